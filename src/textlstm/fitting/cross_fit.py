"""Scores of rows by models that were trained without them, where validation rows are too few to learn from."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from textlstm.config import DataConfig, Task, TrainConfig
from textlstm.corpus.prepared import PreparedCorpus
from textlstm.embeddings.sources import vectors_of_expert
from textlstm.evaluation.label_errors import QUALITY_FILE, quality_table
from textlstm.fitting.labelled_rows import LabelledRows
from textlstm.fitting.networks import OnStep, encode_rows, fit_networks, named_steps, network_inputs
from textlstm.fitting.sampling import linear_rows, row_classes
from textlstm.models.linear.expert import LinearExpert
from textlstm.models.network.network import predict_logits
from textlstm.processes.devices import choose_device

LEAST_ROWS_OF_NETWORK = 200
"""With fewer rows, held-out rows cannot tell whether a network adds to the linear expert; on draws it made it worse."""


@dataclass(frozen=True, slots=True)
class HeldOutScores:
    """Scores of both branches for rows that they have not seen."""

    recurrent_logits: np.ndarray
    """(N, L) float32; zeros where rows are too few for a network to be judged."""
    expert_logits: np.ndarray | None
    """(N, L) float32; None without a linear expert."""
    targets: np.ndarray
    """(N,) int64 or (N, L) float32."""
    row_weights: np.ndarray | None = None
    """(N,) weights of the rows, of mean 1; None where all weigh alike."""
    probabilities: np.ndarray | None = None
    """(N, L) float32 chance of each label; None where `targets` are sure."""

    @property
    def calibrated_targets(self) -> np.ndarray:
        """Targets that the calibration learns from."""
        return self.targets if self.probabilities is None else self.probabilities


def cross_fit(
    rows: LabelledRows,
    corpus: PreparedCorpus,
    config: TrainConfig,
    *,
    work_dir: Path | None,
    stop: Callable[[], int] | None,
    on_step: OnStep | None = None,
) -> HeldOutScores:
    """Return scores of all training and validation rows, each fold scored by branches trained on the other folds.

    One network a fold is trained for all of `training.epochs`: no row decides when to stop. With fewer than
    `LEAST_ROWS_OF_NETWORK` rows, and a linear expert to rely on, no network is trained.
    """
    joined = rows.joined()
    targets = joined.train_targets
    num_labels = len(corpus.labels)
    single = replace(config, training=replace(config.training, num_models=1, refit=False))
    device = choose_device(config.training.device, key="training.device")
    # Both (N, L) are filled fold by fold; without a network its logits stay zeros.
    recurrent = np.zeros((len(targets), num_labels), dtype=np.float32)
    expert = np.zeros_like(recurrent) if config.model.linear_expert else None
    pretrained = vectors_of_expert(config.model)
    with_network = expert is None or len(targets) >= LEAST_ROWS_OF_NETWORK
    folds = stratified_folds(targets, num_folds=config.training.cross_fit, seed=config.seed)
    for fold in range(config.training.cross_fit):
        kept, left = np.flatnonzero(folds != fold), np.flatnonzero(folds == fold)
        # A fold may be empty where rows are fewer than folds.
        if not len(left) or not len(kept):
            continue
        # The network of the other folds.
        if with_network:
            inputs = network_inputs(joined.select_train(kept), config)
            [network], _ = fit_networks(
                inputs,
                corpus,
                single,
                work_dir=work_dir,
                on_epoch=None,
                stop=stop,
                on_step=named_steps(on_step, f"fold {fold + 1} of {config.training.cross_fit}"),
                name=f"fold-{fold}",
            )
            held_out = encode_rows(joined.train.select(left), inputs.vocabulary, targets[left], config)
            recurrent[left] = predict_logits(network.to(device), held_out, device=device)
        # The linear expert of the other folds.
        if expert is not None:
            some = linear_rows(joined.select_train(kept), seed=config.seed)
            fitted = LinearExpert.fit(
                some.train.texts(),
                some.train_targets,
                num_labels=num_labels,
                task=corpus.task,
                config=config.model,
                seed=config.seed,
                pretrained=pretrained,
                row_weights=some.train.weights(),
                probabilities=some.train_probabilities,
            )
            expert[left] = fitted.logits(joined.train.select(left).texts())
    return HeldOutScores(recurrent, expert, targets, joined.train.weights(), joined.train_probabilities)


def stratified_folds(targets: np.ndarray, *, num_folds: int, seed: int) -> np.ndarray:
    """Return the (N,) fold of each row; the rows of a label are spread evenly.

    Rows with several labels are spread by their rarest one. Labels [0, 0, 1, 1] in 2 folds give [0, 1, 0, 1] or another
    such order.
    """
    classes = row_classes(targets)
    # A random order, sorted by class and dealt out in turn: each class is spread evenly over the folds.
    order = np.random.default_rng(seed).permutation(len(targets))
    order = order[np.argsort(classes[order], kind="stable")]
    folds = np.empty(len(targets), dtype=np.int64)
    folds[order] = np.arange(len(targets)) % num_folds
    return folds


# The training rows of a corpus whose labels look wrong, as a table to correct and train on again.


def write_label_errors(corpus: PreparedCorpus, data: DataConfig, directory: Path, *, seed: int) -> Path:
    """Write the table of training rows to look at into `directory`; return its path. It holds texts: never for MLflow.

    Args:
        corpus: with training rows; those that occur among its test rows are marked.
        data: the names of the columns, so that the table can be trained on with the same settings.
        directory: is made where it is missing.
        seed: of the folds by which rows are rated.
    """
    assert corpus.train is not None
    targets = corpus.train.targets(corpus.labels, corpus.task)
    table = quality_table(
        corpus.train.texts(),
        targets.astype(np.bool_) if corpus.task is Task.multi_label else targets.astype(np.int64),
        ids=corpus.train.ids(),
        labels=corpus.labels,
        task=corpus.task,
        seed=seed,
        evaluated_texts=corpus.test.texts() if corpus.test is not None else (),
        text_column=data.text_column,
        label_column=data.labels_column or data.label_column,
    )
    directory.mkdir(parents=True, exist_ok=True)
    return table.write(directory / QUALITY_FILE)
