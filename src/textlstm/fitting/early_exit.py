"""From which lead on the linear expert decides alone, learned on held-out rows (`models/calibration/early_exit.py`)."""

from collections.abc import Sequence

import numpy as np

from textlstm.evaluation.bootstrap import proportion_interval
from textlstm.models.calibration.combination import BranchCombiner
from textlstm.models.calibration.confidence import fit_confidence_to
from textlstm.models.calibration.early_exit import EarlyExit, ExpertLeads

RATES = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05)
"""Parts of the rows that may get another label, for each of which a margin is learned."""
CONFIDENCE = 0.95
LEAST_ROWS = 200
"""With fewer held-out rows, how fast differences vanish as the lead grows cannot be told."""
_PENALTY = 0.01
_SPARE = 0.5
"""Where held-out rows are too few for an exact bound, the estimated part of differing rows is at most this part of the
rate: the true fall need not be logistic."""
_NUM_DRAWS = 200


def fit_early_exits(
    combiner: BranchCombiner,
    recurrent_logits: np.ndarray,
    expert_logits: np.ndarray | None,
    probabilities: np.ndarray,
    *,
    rates: Sequence[float] = RATES,
) -> tuple[EarlyExit, ...]:
    """Return the early exits that held-out rows allow, rising by rate; none where a branch has no say or rows are few.

    A row differs where its label from the expert alone is not that of both branches. The part of all rows that exits
    and differs falls as the margin grows, so a bound that holds at the chosen margin holds with its confidence although
    the margin was chosen on the same rows (Bates et al. 2021, "Distribution-Free, Risk-Controlling Prediction Sets").
    Where rows are too few for a bound as low as the rate, a larger margin is estimated, and `bound` is above `rate`.

    Args:
        combiner: of both branches, for one label a row.
        recurrent_logits: (N, L) of rows that neither branch has learned from.
        expert_logits: (N, L), None without a linear expert.
        probabilities: (N, L) calibrated, of the whole model.
        rates: parts of the rows that may get another label.
    """
    if expert_logits is None or not (combiner.uses_expert and combiner.uses_network):
        return ()
    num_rows = len(expert_logits)
    if num_rows < LEAST_ROWS or expert_logits.shape[1] < 2:
        return ()
    leads = ExpertLeads.of(combiner, expert_logits)
    differs = leads.labels != combiner.combine(recurrent_logits, expert_logits).argmax(axis=1)
    # Rows that are too few for an exact bound at the lowest rate need an estimate beside it.
    estimate = _Estimate(leads.margins, differs) if upper_bound(0, num_rows) > min(rates) else None
    found = []
    for rate in rates:
        margin = _margin(leads.margins, differs, estimate, rate)
        exits = leads.margins >= margin
        if not exits.any():
            continue
        # The expert's confidence takes that of the whole model as its measure, which is calibrated on these rows.
        wanted = probabilities[exits, leads.labels[exits]].astype(np.float64)
        scale = fit_confidence_to(leads.log_probabilities[exits], wanted)
        bound = upper_bound(int((exits & differs).sum()), num_rows)
        found.append(
            EarlyExit(
                rate=rate,
                margin=margin,
                slope=scale.slope,
                shift=scale.shift,
                bound=bound,
                confidence=CONFIDENCE,
                num_rows=num_rows,
                share=float(exits.mean()),
            )
        )
    return tuple(found)


def upper_bound(count: int, num_rows: int) -> float:
    """Return the largest share that `count` of `num_rows` rows leave possible (Clopper-Pearson, one-sided, 95 %).

    None of 3,000 rows leaves 0.000998 possible.
    """
    return proportion_interval(count, num_rows, confidence=2 * CONFIDENCE - 1).high


def _margin(margins: np.ndarray, differs: np.ndarray, estimate: "_Estimate | None", rate: float) -> float:
    """Return the least margin at which at most `rate` of the rows differ, for (N,) rows; infinite where none does."""
    # Rows by falling margin: with k of them, num_differ[k - 1] differ.
    order = np.argsort(-margins, kind="stable")
    ranked, num_differ = margins[order], np.cumsum(differs[order])
    if estimate is None or upper_bound(0, len(margins)) <= rate:
        allowed = np.array([upper_bound(count, len(margins)) <= rate for count in range(int(num_differ[-1]) + 1)])
        fits = allowed[num_differ]
    else:
        # Even no differing row leaves more than `rate` possible, so none may differ and the estimate decides.
        fits = (num_differ == 0) & (estimate(ranked) <= _SPARE * rate)
    # Both conditions fail for good once they fail, since counts and estimates only grow.
    num_exits = int(fits.sum())
    if not num_exits:
        return float("inf")
    # Rows of equal margin exit together.
    if num_exits < len(ranked) and ranked[num_exits] == ranked[num_exits - 1]:
        return float(np.nextafter(ranked[num_exits - 1], np.inf))
    return float(ranked[num_exits - 1])


class _Estimate:
    """How fast differences vanish as the margin grows: a logistic function of the margin, and how uncertain it is."""

    def __init__(self, margins: np.ndarray, differs: np.ndarray) -> None:
        from scipy.optimize import minimize

        terms = np.stack([np.ones_like(margins), margins])

        def loss(numbers: np.ndarray) -> tuple[float, np.ndarray]:
            odds = numbers @ terms
            value = (np.logaddexp(0, odds) - differs * odds).sum() + _PENALTY / 2 * numbers @ numbers
            return float(value), terms @ (_logistic(odds) - differs) + _PENALTY * numbers

        # The penalty keeps offset and slope finite where no row differs.
        numbers = minimize(loss, np.array([0.0, -1.0]), jac=True, method="L-BFGS-B").x
        # Near the best fit the likelihood is about normal, with the inverse of the curvature as covariance.
        chances = _logistic(numbers @ terms)
        curvature = (terms * (chances * (1 - chances))) @ terms.T + _PENALTY * np.eye(2)
        generator = np.random.default_rng(0)
        # (K, 2) offsets and slopes; a slope above 0 would say that a lead is a bad sign.
        self._numbers = generator.multivariate_normal(numbers, np.linalg.inv(curvature), _NUM_DRAWS)
        self._numbers[:, 1] = np.minimum(self._numbers[:, 1], 0.0)

    def __call__(self, ranked: np.ndarray) -> np.ndarray:
        """Return (N,): of the first rows by falling margin, the part of all N that is estimated to differ at most.

        "At most" is the 95th percentile over the draws.
        """
        chances = _logistic(self._numbers @ np.stack([np.ones_like(ranked), ranked]))
        parts = np.cumsum(chances, axis=1) / len(ranked)
        return np.asarray(np.quantile(parts, CONFIDENCE, axis=0))


def _logistic(odds: np.ndarray) -> np.ndarray:
    return np.asarray(1 / (1 + np.exp(-np.clip(odds, -500, 500))))
