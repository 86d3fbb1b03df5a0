"""Temperature scaling (Guo et al. 2017) of one source of logits, or of the weighted sum of several sources."""

from collections.abc import Sequence
from itertools import combinations
from typing import NamedTuple

import numpy as np

from textlstm.config import Task

_SMALLEST = 1e-12
"""Smallest probability whose logarithm is taken."""


def mean_logits(logits: Sequence[np.ndarray], task: Task) -> np.ndarray:
    """Return the log (or logit) of the mean probability of several networks, (N, L) float32."""
    if len(logits) == 1:
        return logits[0]
    # Probabilities are averaged, not logits; later steps expect logits again.
    mean = np.mean([to_probabilities(values, task) for values in logits], axis=0)
    mean = np.clip(mean, _SMALLEST, 1.0)
    if task is Task.multi_label:
        return np.asarray(np.log(mean) - np.log1p(-np.minimum(mean, 1 - 1e-7)), dtype=np.float32)
    return np.asarray(np.log(mean), dtype=np.float32)


def to_probabilities(logits: np.ndarray, task: Task) -> np.ndarray:
    """Return softmax (single label) or sigmoid (multi-label) of (N, L) logits as float32."""
    wide = logits.astype(np.float64)
    if task is Task.multi_label:
        return np.asarray(1.0 / (1.0 + np.exp(-np.clip(wide, -700, 700))), dtype=np.float32)
    wide = np.exp(wide - wide.max(axis=1, keepdims=True))
    return np.asarray(wide / wide.sum(axis=1, keepdims=True), dtype=np.float32)


_MAX_STEPS = 50
_SMALLEST_STEP, _SMALLEST_GAIN = 1e-6, 1e-8  # of Newton's step, and of the loss in nats
_SMALLEST_SCALE, _LARGEST_SCALE = 1e-3, 1e3


class Scales(NamedTuple):
    """Calibrated logits are the sum of each scale times its source, plus the bias."""

    scales: tuple[float, ...]
    """One factor for each source."""
    bias: float
    """Added to every logit; 0 for one label a text, where softmax cancels it."""


class Wanted(NamedTuple):
    """Smoothed targets and weights of N rows, which scales are fitted to."""

    smoothed: np.ndarray
    """(N, L) float64 targets strictly between 0 and 1."""
    task: Task
    weights: np.ndarray
    """(N, 1) importance of the rows."""

    @classmethod
    def of(cls, targets: np.ndarray, num_labels: int, *, task: Task, weights: np.ndarray | None = None) -> "Wanted":
        """Return `targets`, (N,) ids or (N, L) in [0, 1], smoothed by 1 / (N + 2) after Platt (1999).

        Smoothing keeps the scales finite on a validation set without mistakes. `weights` are (N,), 1 by default.
        """
        uncertain = 1 / (len(targets) + 2)
        if task is Task.multi_label:
            smoothed = targets * (1 - 2 * uncertain) + uncertain
        else:
            wanted = np.eye(num_labels)[targets] if targets.ndim == 1 else targets
            smoothed = wanted * (1 - uncertain) + uncertain / num_labels
        return cls(smoothed, task, (np.ones(len(targets)) if weights is None else weights)[:, None])


def mean_loss(logits: np.ndarray, wanted: Wanted) -> float:
    """Return the mean cross-entropy a row, in nats (summed over labels when a row may have several)."""
    if wanted.task is Task.multi_label:
        total = np.sum(wanted.weights * (np.logaddexp(0, logits) - wanted.smoothed * logits))
    else:
        total = -np.sum(wanted.weights * (wanted.smoothed * log_softmax(logits)))
    return float(total) / len(logits)


def row_losses(logits: np.ndarray, targets: np.ndarray, *, task: Task) -> np.ndarray:
    """Return (N,) cross-entropy in nats of (N, L) logits for (N,) label ids, or for (N, L) targets in [0, 1]."""
    if task is Task.multi_label:
        return np.asarray((np.logaddexp(0, logits) - targets * logits).sum(axis=1))
    return -of_targets(log_softmax(logits.astype(np.float64)), targets)


def of_targets(log_probabilities: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """Return the (N,) log-probabilities of (N,) label ids, or the mean ones under (N, L) probabilities."""
    if targets.ndim == 2:
        return np.asarray((log_probabilities * targets).sum(axis=1))
    return np.asarray(log_probabilities[np.arange(len(targets)), targets])


def log_softmax(logits: np.ndarray) -> np.ndarray:
    """Return (N, L) log-probabilities."""
    shifted = logits - logits.max(axis=1, keepdims=True)
    normalized: np.ndarray = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    return normalized


def fit_scales(sources: Sequence[np.ndarray], wanted: Wanted) -> Scales:
    """Return the scales >= 0 with which the sum of K >= 1 (N, L) `sources` has the least mean cross-entropy.

    The loss is convex, so at its minimum some sources have positive scales, the best for these sources alone, and all
    others have scale 0. Newton's method with halved steps fits every choice of sources, and the best fit is returned. A
    single source gets at least a scale of 0.001, which keeps its ranking of labels.
    """
    least = _SMALLEST_SCALE if len(sources) == 1 else 0.0
    choices = [active for size in range(1, len(sources) + 1) for active in combinations(range(len(sources)), size)]
    fits = [_fit_choice(active, sources, wanted, least) for active in choices]
    return min(fits, key=lambda fitted: mean_loss(_summed(sources, fitted), wanted))


def _fit_choice(active: tuple[int, ...], sources: Sequence[np.ndarray], wanted: Wanted, least: float) -> Scales:
    """Return the best scales of the sources `active`, bounded, and 0 for the others."""
    fitted = fit_free_scales([sources[k] for k in active], wanted)
    scales = [0.0] * len(sources)
    for k, scale in zip(active, fitted.scales, strict=True):
        scales[k] = min(max(scale, least), _LARGEST_SCALE)
    return Scales(tuple(scales), fitted.bias)


def _summed(sources: Sequence[np.ndarray], fitted: Scales) -> np.ndarray:
    """Return the (N, L) sum of the scaled sources and the bias."""
    total = np.full(sources[0].shape, fitted.bias)
    for scale, source in zip(fitted.scales, sources, strict=True):
        total += scale * source
    return total


def fit_free_scales(sources: Sequence[np.ndarray], wanted: Wanted) -> Scales:
    """Return the scales, of any sign, with which the sum of (N, L) `sources` has the least mean cross-entropy."""
    num_sources, has_bias = len(sources), wanted.task is Task.multi_label
    terms = [*sources, np.ones_like(wanted.smoothed)] if has_bias else sources
    stack = np.stack(terms).astype(np.float64)  # (K, N, L), the bias as last of the K terms
    scales = np.zeros(num_sources + has_bias)  # at 0 no probability is near 0 or 1, so the first step is safe
    loss = mean_loss(np.tensordot(scales, stack, 1), wanted)
    gained = np.inf
    for _ in range(_MAX_STEPS):
        step, size = _newton_step(stack, scales, wanted), 1.0
        # Halve the step until the loss falls; `else` runs only where it did.
        while (new_loss := mean_loss(np.tensordot(scales - size * step, stack, 1), wanted)) >= loss:
            size /= 2
            if size < _SMALLEST_STEP:
                break
        else:
            scales, gained, loss = scales - size * step, loss - new_loss, new_loss
        if size < _SMALLEST_STEP or gained < _SMALLEST_GAIN:
            break
    return Scales(tuple(scales[:num_sources].tolist()), float(scales[-1]) if has_bias else 0.0)


def _newton_step(stack: np.ndarray, scales: np.ndarray, wanted: Wanted) -> np.ndarray:
    """Return gradient / curvature of the loss at `scales`, both over K terms."""
    logits = np.tensordot(scales, stack, 1)
    if wanted.task is Task.multi_label:
        probabilities = 1 / (1 + np.exp(-np.clip(logits, -500, 500)))
        centered, spread = stack, probabilities * (1 - probabilities)
    else:
        probabilities = np.exp(log_softmax(logits))
        centered, spread = stack - (stack * probabilities).sum(axis=2, keepdims=True), probabilities
    # (K,) first and (K, K) second derivatives; the small diagonal keeps two equal sources solvable.
    gradient = (wanted.weights * (probabilities - wanted.smoothed) * stack).sum(axis=(1, 2)) / len(logits)
    curvature = np.einsum("knl,nl,jnl->kj", centered, wanted.weights * spread, centered, optimize=True) / len(logits)
    step: np.ndarray = np.linalg.solve(curvature + 1e-9 * np.eye(len(scales)), gradient)
    return step
