"""The loss: cross-entropy of one label or of several, its smoothing, and the remedies for imbalance."""

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from textlstm.config import Imbalance, Task, TrainingConfig


@dataclass(frozen=True, slots=True)
class Objective:
    """Row losses of logits; build it with `build_objective`."""

    task: Task
    label_smoothing: float
    focal_gamma: float
    """0 means no focal loss."""
    class_weights: Tensor | None
    """(L,) float32 factors of the classes, of mean 1 over training rows."""
    smoothed_targets: Tensor
    """(L, L) float32 wanted probabilities for each label, with smoothing."""
    log_prior: Tensor | None
    """(L,) float32 added to training logits: log p for one label, log odds for several (Menon et al. 2021)."""

    def losses(self, logits: Tensor, targets: Tensor) -> Tensor:
        """Return (B,) float32 losses of (B, L) `logits` for (B,) label ids or (B, L) probabilities."""
        # (B, L) + (L,): frequent labels get a head start in training that they must do without later.
        if self.log_prior is not None:
            logits = logits + self.log_prior
        if self.task is Task.multi_label:
            return self._multi_label(logits, targets)
        if targets.ndim == 2:
            return self._of_probabilities(logits, targets)
        if logits.is_cuda:
            # The same from a table of smoothed targets, (B,) to (B, L): half as many kernels.
            losses = functional.cross_entropy(logits, self.smoothed_targets[targets], reduction="none")
        else:
            losses = functional.cross_entropy(logits, targets, reduction="none", label_smoothing=self.label_smoothing)
        if self.focal_gamma:
            # (B, L) probabilities to the (B,) probability of the right label
            right = logits.softmax(dim=1).gather(1, targets.unsqueeze(1)).squeeze(1)
            losses = losses * (1 - right) ** self.focal_gamma
        return losses if self.class_weights is None else losses * self.class_weights[targets]

    def _of_probabilities(self, logits: Tensor, targets: Tensor) -> Tensor:
        """Return (B,) losses of one label a row, of which (B, L) `targets` says how probable each is."""
        smoothed = targets * (1 - self.label_smoothing) + self.label_smoothing / targets.shape[1]
        losses = -(smoothed * logits.log_softmax(dim=1)).sum(dim=1)
        if self.focal_gamma:
            right = (logits.softmax(dim=1) * targets).sum(dim=1)
            losses = losses * (1 - right).clamp(min=0) ** self.focal_gamma
        return losses if self.class_weights is None else losses * (targets @ self.class_weights)

    def _multi_label(self, logits: Tensor, targets: Tensor) -> Tensor:
        smoothed = targets * (1 - self.label_smoothing) + self.label_smoothing / 2
        losses = functional.binary_cross_entropy_with_logits(
            logits, smoothed, reduction="none", pos_weight=self.class_weights
        )
        if self.focal_gamma:
            probabilities = logits.sigmoid()
            # (B, L) probability of the wrong answer to each yes-or-no question
            wrong = torch.where(targets > 0, 1 - probabilities, probabilities)
            losses = losses * wrong**self.focal_gamma
        return losses.mean(dim=1)  # (B, L) to (B,)

    def divergence(self, first: Tensor, second: Tensor) -> Tensor:
        """Return (B,) symmetric Kullback-Leibler divergences of two (B, L) logits (R-Drop, Liang et al. 2021)."""
        if self.task is Task.multi_label:
            # (B, L) divergences of yes-or-no answers: the difference of probabilities times that of logits.
            gap = (first.sigmoid() - second.sigmoid()) * (first - second)
            return gap.mean(dim=1) / 2
        log_first, log_second = first.log_softmax(dim=1), second.log_softmax(dim=1)
        return ((log_first.exp() - log_second.exp()) * (log_first - log_second)).sum(dim=1) / 2


def build_objective(
    config: TrainingConfig, task: Task, *, targets: np.ndarray, num_labels: int, device: torch.device
) -> Objective:
    """Return the loss of `config`; class weights and priors come from the training `targets`.

    With (N, L) probabilities a class has as many rows as they add up to. A class without training rows gets weight 0.
    For several labels the weight of a class is that of its positives: the square root of negatives over positives.
    """
    counts = label_counts(targets, num_labels)
    weights = log_prior = None
    if config.imbalance is Imbalance.class_weights:
        weights = _class_weights(counts, task, num_rows=len(targets))
    elif config.imbalance is Imbalance.logit_adjustment:
        log_prior = _log_prior(counts, task, num_rows=len(targets))
    return Objective(
        task=task,
        label_smoothing=config.label_smoothing,
        focal_gamma=config.focal_gamma if config.imbalance is Imbalance.focal else 0.0,
        class_weights=None if weights is None else torch.from_numpy(weights).to(device),
        smoothed_targets=_smoothed_targets(num_labels, config.label_smoothing).to(device),
        log_prior=None if log_prior is None else torch.from_numpy(log_prior).to(device),
    )


def _smoothed_targets(num_labels: int, label_smoothing: float) -> Tensor:
    return torch.eye(num_labels) * (1 - label_smoothing) + label_smoothing / num_labels


def row_weights(targets: np.ndarray, num_labels: int) -> np.ndarray:
    """Return (N,) float64 chances of drawing each row so that classes are drawn equally often.

    A row with several labels counts by its rarest one, a row without labels by the mean of the others; so does a row
    with probabilities, each label by its part.
    """
    # (L,) chance of a row of each class; a class without rows divides by zero and gets 0.
    with np.errstate(divide="ignore"):
        chance = 1.0 / label_counts(targets, num_labels)
    chance[np.isinf(chance)] = 0.0
    if targets.ndim == 1:
        weights = chance[targets]
    else:
        # (N, L) chances of a row's labels to the (N,) highest, which is that of its rarest label.
        weights = (targets * chance).max(axis=1)
        weights[weights == 0] = weights[weights > 0].mean() if weights.any() else 1.0
    return np.asarray(weights / weights.sum(), dtype=np.float64)


def label_counts(targets: np.ndarray, num_labels: int) -> np.ndarray:
    """Return (L,) int64 training rows of each label; probabilities add up, rounded."""
    counts = np.bincount(targets, minlength=num_labels) if targets.ndim == 1 else targets.sum(axis=0).round()
    return np.asarray(counts, dtype=np.int64)


def _class_weights(counts: np.ndarray, task: Task, *, num_rows: int) -> np.ndarray:
    present = counts > 0
    weights = np.zeros(len(counts))
    if task is Task.multi_label:
        weights[present] = np.sqrt((num_rows - counts[present]) / counts[present])
    else:
        # Mean 1 over training rows: each class that occurs gets the same part of the total.
        weights[present] = num_rows / (present.sum() * counts[present])
    return weights.astype(np.float32)


def _log_prior(counts: np.ndarray, task: Task, *, num_rows: int) -> np.ndarray:
    # One row more of each class (several labels: one with it and one without), so that no logarithm is infinite.
    if task is Task.multi_label:
        prior = np.log((counts + 1) / (num_rows - counts + 1))
    else:
        prior = np.log(counts + 1) - math.log(num_rows + len(counts))
    return np.asarray(prior, dtype=np.float32)
