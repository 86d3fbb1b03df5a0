"""From a prepared corpus to a model: vocabulary, vectors, linear expert, networks, thresholds, baseline.

Stages `train`, `run` and `sweep` share it. The linear expert and the networks learn from the training rows; the
combiner of both and the abstention threshold learn from the validation rows, or where these are few from the scores of
cross-fitting. Then the expert is fitted anew on all rows, as are the baseline and, with `training.refit`, the networks.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from textlstm.config import DataConfig, Device, Task, TrainConfig, with_one_network
from textlstm.corpus.prepared import PreparedCorpus
from textlstm.embeddings import Embeddings
from textlstm.evaluation.abstention import Shortfall
from textlstm.fitting.calibrating import Calibrated, calibrate, class_counts, validation_weights
from textlstm.fitting.cross_fit import HeldOutScores, cross_fit
from textlstm.fitting.distillation import answers_of_networks
from textlstm.fitting.early_exit import fit_early_exits
from textlstm.fitting.labelled_rows import LabelledRows, labelled_rows, with_answers
from textlstm.fitting.linear import linear_models
from textlstm.fitting.networks import NetworkInputs, OnStep, fit_networks, named_steps, network_inputs, refit_networks
from textlstm.fitting.sampling import MOST_LINEAR_CHARACTERS, bounded_rows, linear_rows
from textlstm.fitting.thresholds import fit_thresholds, thresholds_of_expert, with_thresholds
from textlstm.models.calibration.combination import BranchCombiner
from textlstm.models.calibration.early_exit import EarlyExit
from textlstm.models.calibration.temperature import mean_logits, to_probabilities
from textlstm.models.linear.fits import LinearModels
from textlstm.models.network.network import TextNetwork, predict_logits
from textlstm.processes.devices import choose_device
from textlstm.saved_model import Columns, SavedModel
from textlstm.teaching.answers import Answers
from textlstm.training.job import EpochReport, FitResult
from textlstm.training.validation_scores import score


@dataclass(frozen=True, slots=True)
class Fitted:
    """A model and the figures of its making."""

    saved_model: SavedModel
    results: tuple[FitResult, ...]
    """One a network, of the training that validation rows were held out of."""
    refits: tuple[FitResult, ...]
    """One a network, of the training on all rows; empty without `training.refit`."""
    embeddings: Embeddings | None
    validation_probabilities: np.ndarray
    """(N, L) float32, calibrated, of the validation rows; class biases, where there are any, from other rows."""
    validation_targets: np.ndarray
    """(N,) int64 or (N, L) float32."""
    calibrated: Calibrated
    shortfall: Shortfall | None = None
    """Why the error rate that was asked for is not guaranteed; None where it is, or none was asked for."""
    bounds: tuple[str, ...] = ()
    """Who taught the networks, and which parts of the model learned from a sample of the rows; a line each."""

    def metrics(self) -> dict[str, float]:
        """Return the figures of the making, by name: validation scores, speed, padding, coverage of the vectors."""
        task = self.saved_model.task
        figures = {
            "validation/macro_f1": self._macro_f1(),
            "tokens_per_second": float(np.mean([result.tokens_per_second for result in self.results])),
            "padding_share": float(np.mean([result.padding_share for result in self.results])),
            "best_epoch": float(self.results[0].best_epoch),
            "expert_share": self.calibrated.combiner.expert_share,
            "class_bias_gain": self.calibrated.class_bias_gain,
            "confidence_slope": self.calibrated.combiner.confidence_slope,
        }
        for source in self.embeddings.coverage if self.embeddings else ():
            figures[f"vectors_found/{Path(source.source).name}"] = source.num_found / max(source.num_words, 1)
        if task is Task.single_label:
            right = self.validation_probabilities.argmax(axis=1) == self.validation_targets
            figures["validation/accuracy"] = float(right.mean())
        return figures

    def _macro_f1(self) -> float:
        """Return that of the first network at its best epoch; after cross-fitting, that of the calibrated model."""
        best = self.results[0].history[self.results[0].best_epoch - 1]
        # Cross-fitting leaves the last training without validation rows, so its epochs have no figures.
        if len(self.validation_targets) and not best.macro_f1 and not best.accuracy:
            logits = np.log(np.maximum(self.validation_probabilities, 1e-12))
            return score(logits, self.validation_targets, task=self.saved_model.task).macro_f1
        return best.macro_f1

    def events(self) -> tuple[str, ...]:
        """Return events of the making, for the user: continued, memory ran out, stopped early, classes corrected."""
        events = tuple(event for result in self.results for event in result.events)
        events += tuple(f"refit: {event}" for result in self.refits for event in result.events)
        events += self.bounds
        if not self.calibrated.class_bias_gain:
            return events
        return (
            *events,
            f"classes are not as likely on validation rows as in training; a bias a class lowers the "
            f"log loss by {self.calibrated.class_bias_gain:.3f} there",
        )


def fit_classifier(
    corpus: PreparedCorpus,
    config: TrainConfig,
    answers: Answers | None = None,
    *,
    work_dir: Path | None = None,
    on_epoch: Callable[[EpochReport], None] | None = None,
    on_refit_epoch: Callable[[EpochReport], None] | None = None,
    on_step: OnStep | None = None,
    on_wait: Callable[[str], None] = lambda _what: None,
    stop: Callable[[], int] | None = None,
) -> Fitted:
    """Return the model that `config` asks for, fitted on `corpus`.

    Args:
        corpus: with training and validation rows.
        config: all settings of stage train.
        answers: of a teacher, which the networks learn from beside the labels; None without one.
        work_dir: where checkpoints are kept; an unfinished training there is continued.
        on_epoch: called after each epoch.
        on_refit_epoch: called after each epoch of `training.refit`, which has no validation figures.
        on_step: called after each batch, with the name of the training: there are several with folds and a refit.
        on_wait: called before work that no batch counts, with the words for it.
        stop: asked between steps; true ends training after a checkpoint.

    Raises:
        InputError: the corpus has no training or no validation rows.
        ConfigError: `evaluation.label_shares` names what validation rows do not have.
    """
    rows = labelled_rows(corpus, answers, teacher_share=config.training.teacher_share)
    rows = bounded_rows(rows, seed=config.seed)
    lines: tuple[str, ...] = ()
    if config.training.distil:
        # Several networks teach, and one learns.
        own = answers_of_networks(rows, corpus, config, work_dir=work_dir, stop=stop, on_step=on_step)
        rows = with_answers(rows, own, teacher_share=config.training.teacher_share)
        config, lines = with_one_network(config), own.lines
    weights = validation_weights(
        rows.validation_targets, corpus, config.evaluation, row_weights=rows.validation.weights()
    )

    on_wait("starting the linear models")
    with linear_models(rows, corpus, config, score_validation=not config.training.cross_fit) as linear:
        if config.training.cross_fit:
            outcome = _fit_by_folds(
                rows, corpus, config, work_dir=work_dir, on_epoch=on_epoch, on_step=on_step, stop=stop
            )
            on_wait("the linear models are fitted")
            return _fitted(outcome, linear(stop), rows, corpus, config, lines=lines)

        # Both branches learn from the training rows.
        on_wait("numbering words")
        inputs = network_inputs(rows, config, work_dir=work_dir)
        networks, results = fit_networks(
            inputs, corpus, config, work_dir=work_dir, on_epoch=on_epoch, on_step=named_steps(on_step, ""), stop=stop
        )

        # (N, L) logits of validation rows by each network, averaged to those of the recurrent branch.
        on_wait("scoring validation rows")
        device = choose_device(config.training.device, key="training.device")
        logits = [predict_logits(network.to(device), inputs.validation, device=device) for network in networks]
        recurrent = mean_logits(logits, corpus.task)

        # Nothing more is learned from held-out rows by networks: the refitted ones may see them, as the expert does.
        # The refit comes before the results of linear fits are needed: other processes of a training would wait there.
        refits: tuple[FitResult, ...] = ()
        if config.training.refit:
            inputs, networks, refits = refit_networks(
                rows,
                results,
                corpus,
                config,
                work_dir=work_dir,
                on_epoch=on_refit_epoch,
                on_step=named_steps(on_step, "refit"),
                stop=stop,
            )

        # The combiner and the thresholds learn from the validation rows.
        targets = rows.validation_targets
        on_wait("the linear models are fitted")
        models = linear(stop)
        on_wait("calibrating")
        counts = class_counts(rows.train_targets, len(corpus.labels))
        calibrated = calibrate(
            recurrent,
            models.validation_logits,
            rows.calibrated_targets,
            task=corpus.task,
            weights=weights,
            class_counts=counts,
            num_training_rows=len(rows.train_targets),
        )
        probabilities = to_probabilities(calibrated.log_probabilities, corpus.task)

        held_out = HeldOutScores(recurrent, models.validation_logits, targets, rows.validation.weights())
        outcome = _Outcome(inputs, networks, results, refits, calibrated, probabilities, held_out, weights)
        return _fitted(outcome, models, rows, corpus, config, lines=lines)


def _fit_by_folds(
    rows: LabelledRows,
    corpus: PreparedCorpus,
    config: TrainConfig,
    *,
    work_dir: Path | None,
    on_epoch: Callable[[EpochReport], None] | None,
    on_step: OnStep | None,
    stop: Callable[[], int] | None,
) -> "_Outcome":
    """Fit where validation rows are few: calibrate on rows of all folds, then train on all rows."""
    # Scores of every row by branches that have not seen it.
    scores = cross_fit(rows, corpus, config, work_dir=work_dir, on_step=on_step, stop=stop)
    targets = scores.targets
    weights = validation_weights(targets, corpus, config.evaluation, row_weights=scores.row_weights)
    calibrated = calibrate(
        scores.recurrent_logits,
        scores.expert_logits,
        scores.calibrated_targets,
        task=corpus.task,
        weights=weights,
        class_counts=class_counts(targets, len(corpus.labels)),
        num_training_rows=len(targets),
        network_must_help=True,
    )
    probabilities = to_probabilities(calibrated.log_probabilities, corpus.task)

    # The networks of the model learn from all rows.
    inputs = network_inputs(rows.joined(), config, work_dir=work_dir)
    networks, results = fit_networks(
        inputs,
        corpus,
        config,
        work_dir=work_dir,
        on_epoch=on_epoch,
        on_step=named_steps(on_step, "all rows"),
        stop=stop,
    )
    return _Outcome(inputs, networks, results, (), calibrated, probabilities, scores, weights)


@dataclass(frozen=True, slots=True)
class _Outcome:
    """Results of the steps of a fit, for the model."""

    inputs: NetworkInputs
    networks: list[TextNetwork]
    results: tuple[FitResult, ...]
    refits: tuple[FitResult, ...]
    calibrated: Calibrated
    probabilities: np.ndarray
    held_out: HeldOutScores
    weights: np.ndarray | None


def _fitted(
    outcome: _Outcome,
    linear: LinearModels,
    rows: LabelledRows,
    corpus: PreparedCorpus,
    config: TrainConfig,
    *,
    lines: tuple[str, ...],
) -> Fitted:
    """Put the model together."""
    probabilities, held_out, weights = outcome.probabilities, outcome.held_out, outcome.weights
    # Of several labels, those with few validation rows have thresholds near those of the expert on folds of all rows.
    toward = None
    if linear.cross_logits is not None:
        of_linear = linear_rows(rows, seed=config.seed).joined().train_targets
        toward = thresholds_of_expert(outcome.calibrated.combiner, linear.cross_logits, of_linear)
    guarded = fit_thresholds(
        probabilities, held_out.targets, corpus.task, config.evaluation, weights=weights, toward=toward
    )
    # With class shares of other rows the validation rows do not tell how often labels would differ there.
    early_exits: tuple[EarlyExit, ...] = ()
    if corpus.task is Task.single_label and not config.evaluation.shares_by_label():
        combiner = outcome.calibrated.combiner
        found = fit_early_exits(combiner, held_out.recurrent_logits, held_out.expert_logits, probabilities)
        early_exits = with_thresholds(found, combiner, held_out, probabilities, config.evaluation, weights=weights)
    saved_model = SavedModel(
        labels=corpus.labels,
        task=corpus.task,
        text=replace(config.text, tagger_device=Device.cpu),  # where it ran is no part of the model
        model=config.model,
        text_fingerprint=corpus.text_fingerprint,
        vocabulary=outcome.inputs.vocabulary,
        weights=_weights(outcome.networks, outcome.calibrated.combiner) | linear.arrays,
        columns=columns_of(config.data),
        thresholds=guarded.thresholds,
        early_exits=early_exits,
        label_shares=_label_shares(rows.train_targets, len(corpus.labels)),
        training_rows=_hashes_of(rows),
    )
    return Fitted(
        saved_model,
        outcome.results,
        outcome.refits,
        outcome.inputs.embeddings,
        probabilities,
        held_out.targets,
        outcome.calibrated,
        guarded.shortfall,
        lines + _bounds(corpus, rows, config),
    )


def _bounds(corpus: PreparedCorpus, rows: LabelledRows, config: TrainConfig) -> tuple[str, ...]:
    lines = []
    num_linear = len(linear_rows(rows, seed=config.seed).train)
    if num_linear < len(rows.train):
        lines.append(
            f"the linear expert and the baseline learned from {num_linear:,} of {len(rows.train):,} training rows, a "
            f"stratified sample of at most {MOST_LINEAR_CHARACTERS:,} characters"
        )
    assert corpus.validation is not None
    if len(rows.validation) < len(labelled_rows(corpus).validation):
        lines.append(
            f"{len(rows.validation):,} of {len(corpus.validation):,} validation rows were used, a stratified sample"
        )
    return tuple(lines)


def join_training(corpus: PreparedCorpus, config: TrainConfig, *, stop: Callable[[], int] | None = None) -> None:
    """Train along in a further process of `torchrun`; the first process runs `fit_classifier` and gets the model.

    Raises:
        InputError: the corpus has no training or no validation rows.
    """
    # The same trainings in the same order as in the first process: all meet in each sum of gradients.
    rows = bounded_rows(labelled_rows(corpus), seed=config.seed)
    if config.training.cross_fit:
        cross_fit(rows, corpus, config, work_dir=None, stop=stop)
        rows = rows.joined()
    _, results = fit_networks(network_inputs(rows, config), corpus, config, work_dir=None, on_epoch=None, stop=stop)
    if config.training.refit and not config.training.cross_fit:
        refit_networks(rows, results, corpus, config, work_dir=None, on_epoch=None, stop=stop)


def columns_of(data: DataConfig) -> Columns:
    """Return the column names that a model remembers."""
    return Columns(
        text=data.text_column,
        label=data.label_column,
        labels=data.labels_column,
        label_separator=data.label_separator,
        id=data.id_column,
    )


def _weights(networks: list[TextNetwork], combiner: BranchCombiner) -> dict[str, np.ndarray]:
    weights = {f"gate.{name}": value for name, value in combiner.to_arrays().items()}
    for index, network in enumerate(networks):
        weights |= {f"network.{index}.{name}": value for name, value in network.to_arrays().items()}
    return weights


def _hashes_of(rows: LabelledRows) -> np.ndarray:
    """Return the sorted hashes of all texts that any part of the model learned from: training and validation rows."""
    return np.unique(rows.joined().learned()[0].hashes())


def _label_shares(targets: np.ndarray, num_labels: int) -> tuple[float, ...]:
    if targets.ndim == 2:
        return tuple(float(share) for share in targets.mean(axis=0))
    counts = np.bincount(targets[targets >= 0], minlength=num_labels)
    return tuple(float(share) for share in counts / max(1, counts.sum()))
