"""Early exit: the linear expert answers alone where the recurrent networks could hardly change its decision.

The combined logits of a row are those of the expert, scaled and biased, plus those of the networks (see `combination`).
The wider the expert's own part leads over its second label, the less often the networks turn the decision. From a lead
on that was learned on held-out rows (`fitting/early_exit.py`) they are left out. Each row is decided by its own lead.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, Self

import numpy as np

from textlstm.models.calibration.combination import BranchCombiner
from textlstm.models.calibration.confidence import ConfidenceScale
from textlstm.models.calibration.temperature import log_softmax


@dataclass(frozen=True, slots=True)
class EarlyExit:
    """When the expert answers alone, how sure its answers are, and what held-out rows say about it."""

    rate: float
    """Part of the rows that may get another label than from the whole model, in (0, 1)."""
    margin: float
    """Least lead of the expert's first label over its second, in combined logits."""
    slope: float
    """With `shift`: the scale of the confidence of the expert's answers (see `confidence`)."""
    shift: float
    bound: float
    """Part of the rows that gets another label at most, by a one-sided exact binomial bound on the held-out rows."""
    confidence: float
    """Confidence of that bound."""
    num_rows: int
    """Held-out rows."""
    share: float
    """Part of them that the expert answers alone."""
    abstain_below: float = 0.0
    """Threshold of abstention for the answers of expert and whole model together; 0 means never."""
    expected_coverage: float = 1.0
    """Part of the held-out rows that was accepted."""

    def answer(self, combiner: BranchCombiner, expert_logits: np.ndarray) -> "ExpertAnswers":
        """Return the answers of the expert to (N, L) logits, and which of them stand without the networks."""
        leads = ExpertLeads.of(combiner, expert_logits)
        scale = ConfidenceScale(self.slope, self.shift)
        return ExpertAnswers(scale(leads.log_probabilities).astype(np.float32), leads.margins >= self.margin)


def early_exit_at(early_exits: Sequence[EarlyExit], rate: float) -> EarlyExit | None:
    """Return the one of the highest rate up to `rate`; None where there is none."""
    return max((one for one in early_exits if one.rate <= rate), key=lambda one: one.rate, default=None)


class ExpertAnswers(NamedTuple):
    """What the linear expert alone says of N rows."""

    log_probabilities: np.ndarray
    """(N, L) float32, calibrated on rows whose answer stands."""
    stands: np.ndarray
    """(N,) bool: no network needs to look at this row."""


class ExpertLeads(NamedTuple):
    """The expert's part in the combined logits of N rows."""

    labels: np.ndarray
    """(N,) ids of its first labels."""
    margins: np.ndarray
    """(N,) float64 lead over its second labels; infinite with a single label."""
    log_probabilities: np.ndarray
    """(N, L) float64, at the temperature at which the expert is calibrated by itself."""

    @classmethod
    def of(cls, combiner: BranchCombiner, expert_logits: np.ndarray) -> Self:
        """Return the leads for (N, L) logits; the combiner uses the expert."""
        part = (combiner.expert_scale * expert_logits + combiner.bias).astype(np.float64)
        rows, labels = np.arange(len(part)), part.argmax(axis=1)
        others = part.copy()
        others[rows, labels] = -np.inf
        margins = part[rows, labels] - others.max(axis=1, initial=-np.inf)
        # The mixture gives the expert a smaller scale than it has by itself, since the networks add to it.
        # Of scales by class the least counts: it is that of the classes with many rows.
        scales = np.asarray(combiner.expert_scale)
        temperature = combiner.expert_alone_scale / float(scales[scales > 0].min())
        return cls(labels, margins, log_softmax(temperature * part))
