"""The thresholds of a model's decisions, found on validation rows."""

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from textlstm.config import EvaluationConfig, Task
from textlstm.evaluation.abstention import Shortfall, find_shortfall, find_threshold
from textlstm.evaluation.label_thresholds import fit_label_thresholds
from textlstm.fitting.cross_fit import HeldOutScores
from textlstm.models.calibration.combination import BranchCombiner
from textlstm.models.calibration.early_exit import EarlyExit
from textlstm.models.calibration.rare_labels import LabelRows, share_biases
from textlstm.models.calibration.temperature import to_probabilities
from textlstm.saved_model import Thresholds


class Guarded(NamedTuple):
    """The thresholds of a model, and why the guarantee that was asked for is not among them."""

    thresholds: Thresholds
    shortfall: Shortfall | None


def fit_thresholds(
    probabilities: np.ndarray,
    targets: np.ndarray,
    task: Task,
    settings: EvaluationConfig,
    *,
    weights: np.ndarray | None = None,
    toward: np.ndarray | None = None,
) -> Guarded:
    """Return the thresholds that the validation rows give; without a guarantee the model decides every row.

    Args:
        probabilities: (N, L) calibrated.
        targets: (N,) label ids, or (N, L) 0/1 when a row may have several.
        task: which of the two targets it is.
        settings: `max_error` and `confidence` of the guarantee.
        weights: (N,) importance of the rows, None for equal.
        toward: (L,) thresholds of more rows, which those of rare labels are drawn to; None without such rows.
    """
    # Several labels: a threshold a label, and no abstention.
    if task is Task.multi_label:
        per_class = fit_label_thresholds(probabilities, targets.astype(np.bool_), toward=toward)
        return Guarded(Thresholds(per_class=tuple(float(t) for t in per_class)), None)
    if settings.max_error == 0:
        return Guarded(Thresholds(), None)
    # The lowest threshold for which the error rate of accepted rows can be guaranteed.
    confidences, correct = probabilities.max(axis=1), probabilities.argmax(axis=1) == targets
    wanted = {"max_error": settings.max_error, "confidence": settings.confidence}
    found = find_threshold(confidences, correct, **wanted, weights=weights)
    # No threshold does: the model decides every row, and the user is told the reason.
    if found.threshold is None:
        return Guarded(Thresholds(), find_shortfall(confidences, correct, **wanted, weights=weights))
    thresholds = Thresholds(
        abstain_below=found.threshold,
        max_error=settings.max_error,
        confidence=settings.confidence,
        expected_coverage=found.coverage,
    )
    return Guarded(thresholds, None)


def thresholds_of_expert(combiner: BranchCombiner, cross_logits: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """Return (L,) thresholds of the linear expert by (N, L) logits of all rows, each by an expert without that row.

    Probabilities are made as likely as the labels are, as those of the whole model, so that its thresholds can lean on
    these where validation rows are few.
    """
    alone = combiner.expert_alone(cross_logits)
    logits = alone + share_biases(alone, LabelRows(targets.sum(axis=0), len(targets)).shares)
    return fit_label_thresholds(to_probabilities(logits, Task.multi_label), targets.astype(np.bool_))


def with_thresholds(
    early_exits: Sequence[EarlyExit],
    combiner: BranchCombiner,
    held_out: HeldOutScores,
    probabilities: np.ndarray,
    settings: EvaluationConfig,
    *,
    weights: np.ndarray | None = None,
) -> tuple[EarlyExit, ...]:
    """Return the early exits, each with the threshold that guarantees the error rate of its own decisions.

    One for which no threshold does is left out where the whole model, with (N, L) `probabilities`, has one.
    """
    whole = fit_thresholds(probabilities, held_out.targets, Task.single_label, settings, weights=weights).thresholds
    if not whole.abstain_below or held_out.expert_logits is None:
        return tuple(early_exits)
    found = []
    for early_exit in early_exits:
        answers = early_exit.answer(combiner, held_out.expert_logits)
        alone = to_probabilities(answers.log_probabilities, Task.single_label)
        decided = np.where(answers.stands[:, None], alone, probabilities)
        own = fit_thresholds(decided, held_out.targets, Task.single_label, settings, weights=weights).thresholds
        if own.abstain_below:
            found.append(replace(early_exit, abstain_below=own.abstain_below, expected_coverage=own.expected_coverage))
    return tuple(found)
