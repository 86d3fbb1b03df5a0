"""The calibration: learned from the validation rows, once both branches have learned from the training rows."""

from typing import NamedTuple

import numpy as np

from textlstm.config import EvaluationConfig, Task
from textlstm.corpus.prepared import PreparedCorpus
from textlstm.errors import ConfigError
from textlstm.models.calibration.class_bias import fit_class_biases
from textlstm.models.calibration.class_scales import fit_class_scales
from textlstm.models.calibration.combination import BranchCombiner
from textlstm.models.calibration.confidence import fit_confidence_scale
from textlstm.models.calibration.rare_labels import LabelRows, expected_shares, network_weights, share_biases
from textlstm.models.calibration.temperature import log_softmax, row_losses
from textlstm.models.calibration.validation_rows import label_shift_weights


class Calibrated(NamedTuple):
    """A combiner, and its probabilities for the rows that it was learned from."""

    combiner: BranchCombiner
    log_probabilities: np.ndarray
    """(N, L) of these rows: thresholds may be learned from these. With one label a row, each row's class biases are
    learned without it; with several these are logits of sigmoids, whose biases know the shares of labels alone."""
    class_bias_gain: float
    """Nats that biases of the classes take off the log loss of a row; 0 where there are none."""


def validation_weights(
    targets: np.ndarray, corpus: PreparedCorpus, config: EvaluationConfig, *, row_weights: np.ndarray | None = None
) -> np.ndarray | None:
    """Return (N,) weights that give validation rows the class shares of use, times the weights of the rows.

    It is None where these shares are those of the rows, and all rows weigh alike.

    Raises:
        ConfigError: `label_shares` names what validation rows do not have, or rows have several labels.
    """
    shares = config.shares_by_label()
    if not shares:
        return row_weights
    if corpus.task is Task.multi_label:
        raise ConfigError("evaluation.label_shares is about one label a text; this corpus has several")
    by_label = label_shift_weights(targets, corpus.labels, shares)
    return by_label if row_weights is None else by_label * row_weights


def class_counts(targets: np.ndarray, num_labels: int) -> np.ndarray:
    """Return (L,) rows of each class among `targets`, (N,) label ids or (N, L) 0/1."""
    if targets.ndim == 2:
        return np.asarray(targets.sum(axis=0))
    return np.bincount(targets[targets >= 0], minlength=num_labels)


def calibrate(
    recurrent_logits: np.ndarray,
    expert_logits: np.ndarray | None,
    targets: np.ndarray,
    *,
    task: Task,
    weights: np.ndarray | None = None,
    class_counts: np.ndarray | None = None,
    num_training_rows: int = 0,
    network_must_help: bool = False,
) -> Calibrated:
    """Learn, in turn, scales of both branches, those of rare classes, a bias a class, and the scale of confidence.

    All but the first only where cross-validation shows a gain.

    Args:
        recurrent_logits: (N, L) of the networks.
        expert_logits: (N, L) of the linear expert, None without one.
        targets: (N,) label ids, -1 for a label unknown to the model, or (N, L) probabilities, which are 0/1 when a row
            may have several labels that are sure.
        task: which of the two targets it is.
        weights: (N,) importance of the rows, None for equal.
        class_counts: (L,) training rows of each class; None: no scales for rare classes.
        num_training_rows: those that were counted; with several labels a row, 0 leaves rare labels as they are.
        network_must_help: leave the network out unless it lowers the log loss of the expert by more than two
            standard errors: the rule for few rows.

    Raises:
        ValueError: there is no row.
    """
    # The scales of both branches.
    combiner = BranchCombiner.fit(recurrent_logits, expert_logits, targets, task=task, weights=weights)
    # With few rows a network that looks better than the expert by chance is left out.
    if (
        network_must_help
        and expert_logits is not None
        and not _network_helps(combiner, recurrent_logits, expert_logits, targets)
    ):
        combiner = combiner.without_network()
    combined, gain = combiner.combine(recurrent_logits, expert_logits), 0.0
    # Other scales for rare classes. The (N, L) values go on as held out: each row's scales come from the others.
    scales = None
    if class_counts is not None and expert_logits is not None and (combiner.uses_network or not network_must_help):
        scales = fit_class_scales(
            recurrent_logits, expert_logits, combined, targets, class_counts, task=task, weights=weights
        )
        if scales is not None:
            combiner = combiner.with_class_scales(scales, recurrent_logits, expert_logits)
            combined = scales.held_out if task is Task.multi_label else log_softmax(scales.held_out)
            combined = combined.astype(np.float32)
    if task is Task.multi_label:
        if class_counts is None or not num_training_rows:
            return Calibrated(combiner, combined, gain)
        # Labels of few held-out rows: more of the expert, unless it has scales by rarity, and their share of all rows.
        if expert_logits is not None and scales is None:
            combiner = combiner.leaning_on_expert(network_weights(targets))
            combined = combiner.combine(recurrent_logits, expert_logits)
        shares = expected_shares(targets, LabelRows(class_counts, num_training_rows), weights=weights)
        label_biases = share_biases(combined, shares, weights=weights)
        return Calibrated(combiner.with_class_biases(label_biases), (combined + label_biases).astype(np.float32), gain)
    # A bias a class, where that helps; the values go on as held out again.
    biases = fit_class_biases(combined, targets, weights=weights)
    if biases is not None:
        combiner, combined, gain = combiner.with_class_biases(biases.biases), biases.held_out, biases.gain
    # The confidence comes last: it is that of the probabilities which the biases have changed.
    scale = fit_confidence_scale(combined, targets, weights=weights)
    return Calibrated(combiner.with_confidence_scale(scale), scale(combined), gain)


def _network_helps(combiner: BranchCombiner, recurrent: np.ndarray, expert: np.ndarray, targets: np.ndarray) -> bool:
    """Return whether the combination has a lower log loss than the expert alone, by more than two standard errors."""
    if not (combiner.uses_network and combiner.uses_expert):
        return False
    # (N,) losses of both on the same rows: the pairs make the standard error small.
    alone = row_losses(combiner.expert_alone(expert), targets, task=combiner.task)
    gains = alone - row_losses(combiner.combine(recurrent, expert), targets, task=combiner.task)
    return bool(gains.mean() > 2 * gains.std() / np.sqrt(max(len(gains), 1)))
