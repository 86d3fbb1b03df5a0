"""Combination of the recurrent branch and the linear expert: scales of their logits, learned on validation rows."""

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np

from textlstm.config import Task
from textlstm.models.calibration.class_scales import ClassScales
from textlstm.models.calibration.confidence import AS_IT_IS, ConfidenceScale
from textlstm.models.calibration.temperature import Wanted, fit_scales, log_softmax


@dataclass(frozen=True, slots=True)
class BranchCombiner:
    """Combined logits are `recurrent_scale * recurrent + expert_scale * expert + bias`.

    Each scale is the branch's inverse temperature times its mixing weight, so one fit both calibrates and mixes the
    branches; rare classes may need a scale of the expert and a bias of their own (see `class_scales`).
    `recurrent_alone_scale` and `expert_alone_scale` calibrate each branch by itself. A bias is one number with several
    labels a text, 0 with one label, or one number for each class, and the confidence of the decision may be rescaled
    with one label a text (see `confidence`).
    """

    task: Task
    recurrent_scale: float | np.ndarray
    """A number, or (L,) float64 where labels of few rows lean on the expert (see `rare_labels`)."""
    expert_scale: float | np.ndarray
    """A number, or (L,) float64 where rare classes need another one (see `class_scales`)."""
    bias: float | np.ndarray
    """A number, or (L,) float64."""
    recurrent_alone_scale: float
    recurrent_alone_bias: float
    expert_alone_scale: float
    expert_alone_bias: float
    expert_share: float
    """The expert's share of the spread of the combined logits on validation rows, in [0, 1]."""
    confidence_slope: float = AS_IT_IS.slope
    confidence_shift: float = AS_IT_IS.shift

    @classmethod
    def fit(
        cls,
        recurrent_logits: np.ndarray,
        expert_logits: np.ndarray | None,
        targets: np.ndarray,
        *,
        task: Task,
        weights: np.ndarray | None = None,
    ) -> "BranchCombiner":
        """Return the combination with the least cross-entropy on held-out rows; each branch alone is one candidate.

        Weights are chosen by log loss, not accuracy: accuracy differences between good mixtures rest on a few
        validation rows.

        Args:
            recurrent_logits: (N, L) logits of the network.
            expert_logits: (N, L) logits of the linear expert, or None for plain temperature scaling.
            targets: (N,) int label ids (rows with -1, a label unknown to the model, are left out), or (N, L)
                probabilities, which are 0/1 when a row may have several labels that are sure.
            task: which of the two targets it is.
            weights: (N,) importance of the rows, None for equal.

        Raises:
            ValueError: there is no row.
        """
        if task is Task.single_label and targets.ndim == 1:
            known = targets >= 0
            recurrent_logits, targets = recurrent_logits[known], targets[known]
            expert_logits = None if expert_logits is None else expert_logits[known]
            weights = None if weights is None else weights[known]
        if not len(targets):
            raise ValueError("a combiner needs at least one validation row")

        # Calibrate each branch by itself, then both together.
        wanted = Wanted.of(targets, recurrent_logits.shape[1], task=task, weights=weights)
        (recurrent_scale,), recurrent_bias = fit_scales([recurrent_logits], wanted)
        if expert_logits is None:
            return cls(task, recurrent_scale, 0.0, recurrent_bias, recurrent_scale, recurrent_bias, 1.0, 0.0, 0.0)
        (expert_scale,), expert_bias = fit_scales([expert_logits], wanted)
        scales, bias = fit_scales([recurrent_logits, expert_logits], wanted)
        # Branches differ in the size of their logits, so their shares compare scaled spreads, not scales.
        spreads = scales[0] * float(recurrent_logits.std()), scales[1] * float(expert_logits.std())
        share = spreads[1] / max(sum(spreads), 1e-12)
        return cls(task, scales[0], scales[1], bias, recurrent_scale, recurrent_bias, expert_scale, expert_bias, share)

    @property
    def uses_network(self) -> bool:
        """Whether the networks have a say."""
        return bool(np.any(self.recurrent_scale))

    @property
    def uses_expert(self) -> bool:
        """Whether the linear expert has a say."""
        return bool(np.any(self.expert_scale))

    def without_network(self) -> "BranchCombiner":
        """Return the combiner that uses the linear expert alone."""
        return replace(
            self,
            recurrent_scale=0.0,
            expert_scale=self.expert_alone_scale,
            bias=self.expert_alone_bias,
            expert_share=1.0,
        )

    def with_class_biases(self, biases: np.ndarray) -> "BranchCombiner":
        """Return the combiner that adds (L,) biases to the combined logits; the branches alone are unchanged."""
        return replace(self, bias=self.bias + biases)

    def with_class_scales(
        self, scales: ClassScales, recurrent_logits: np.ndarray, expert_logits: np.ndarray
    ) -> "BranchCombiner":
        """Return the combiner with scales by class, which were fitted to these (N, L) logits of both branches."""
        spreads = scales.recurrent * float(recurrent_logits.std()), float((scales.expert * expert_logits).std())
        return replace(
            self,
            recurrent_scale=scales.recurrent,
            expert_scale=scales.expert,
            bias=scales.bias,
            expert_share=spreads[1] / max(sum(spreads), 1e-12),
        )

    def leaning_on_expert(self, weights: np.ndarray) -> "BranchCombiner":
        """Return the mean of this combination and the expert alone, by (L,) `weights` in [0, 1] of the former."""
        rest = 1 - weights
        return replace(
            self,
            recurrent_scale=weights * self.recurrent_scale,
            expert_scale=weights * self.expert_scale + rest * self.expert_alone_scale,
            bias=weights * self.bias + rest * self.expert_alone_bias,
        )

    def with_confidence_scale(self, scale: ConfidenceScale) -> "BranchCombiner":
        """Return the combiner that rescales the confidence of its decisions; the branches alone are unchanged."""
        return replace(self, confidence_slope=scale.slope, confidence_shift=scale.shift)

    def combine(self, recurrent_logits: np.ndarray, expert_logits: np.ndarray | None) -> np.ndarray:
        """Return (N, L) float32 calibrated log-probabilities, or logits of sigmoids when a row may have several labels.

        Raises:
            ValueError: the combiner was fitted with an expert, and there are no expert logits.
        """
        combined = self.recurrent_scale * recurrent_logits
        if self.uses_expert:
            if expert_logits is None:
                raise ValueError("this combiner combines two branches, and the logits of the linear expert are missing")
            combined = combined + self.expert_scale * expert_logits
        # The confidence is rescaled last: it needs log-probabilities.
        scale = ConfidenceScale(self.confidence_slope, self.confidence_shift)
        return np.asarray(scale(self._finish(combined + self.bias)), dtype=np.float32)

    def recurrent_alone(self, recurrent_logits: np.ndarray) -> np.ndarray:
        """Return (N, L) float32 calibrated log-probabilities (or logits, as `combine`) of the network alone."""
        return self._finish(self.recurrent_alone_scale * recurrent_logits + self.recurrent_alone_bias)

    def expert_alone(self, expert_logits: np.ndarray) -> np.ndarray:
        """Return (N, L) float32 calibrated log-probabilities (or logits, as `combine`) of the linear expert alone."""
        return self._finish(self.expert_alone_scale * expert_logits + self.expert_alone_bias)

    def to_arrays(self) -> dict[str, np.ndarray]:
        """Return the scales and biases as float64 arrays, all but class biases without dimensions."""
        return {field.name: np.array(getattr(self, field.name), dtype=np.float64) for field in fields(self)[1:]}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, np.ndarray], *, task: Task) -> "BranchCombiner":
        """Return the combiner that `to_arrays` wrote; missing fields of older versions get their default."""
        found = {field.name: arrays[field.name] for field in fields(cls) if field.name in arrays}
        values: dict[str, Any] = {name: value if value.ndim else float(value) for name, value in found.items()}
        return cls(task, **values)

    def _finish(self, logits: np.ndarray) -> np.ndarray:
        return (logits if self.task is Task.multi_label else log_softmax(logits)).astype(np.float32)
