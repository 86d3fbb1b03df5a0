"""From a prepared corpus to a model: vocabulary, vectors, linear expert, networks, gate, thresholds, baseline.

Stages `train`, `run` and `sweep` share it. The linear expert and the networks learn from the training rows; the gate
(temperatures and weights) and the abstention threshold from the validation rows; then the expert is fitted again on
both, as is the baseline, so that neither gives rows away.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from textlstm.bundle import Bundle, Columns, Thresholds
from textlstm.config import DataConfig, Task, TrainConfig
from textlstm.corpus.prepared import PreparedCorpus, PreparedSplit
from textlstm.embeddings import Embeddings, load_embeddings
from textlstm.errors import InputError
from textlstm.evaluation.thresholds import find_threshold, fit_label_thresholds
from textlstm.models.gate import Gate
from textlstm.models.linear_expert import LinearExpert
from textlstm.models.network import NetworkSizes, TextNetwork
from textlstm.predictor import choose_device, encode_texts, mean_logits, to_probabilities
from textlstm.training.encoding import EncodedSplit
from textlstm.training.loop import fit
from textlstm.training.prediction import predict_logits
from textlstm.training.reports import EpochReport, FitResult
from textlstm.vocabulary import Vocabulary

ACCEPT_NOTHING = 2.0
"""Threshold of a model for which the promise cannot be kept at any probability."""


@dataclass(frozen=True, slots=True)
class Fitted:
    """A model and what its making showed."""

    bundle: Bundle
    results: tuple[FitResult, ...]
    """One a network."""
    embeddings: Embeddings | None
    validation_probabilities: np.ndarray
    """(N, L) float32, calibrated, of the validation rows."""
    validation_targets: np.ndarray
    """(N,) int64 or (N, L) float32."""
    expert_share: float
    """How much of the combined decision is the linear expert's, in [0, 1]."""

    def metrics(self) -> dict[str, float]:
        """Return the figures of the making, by name: validation scores, speed, padding, coverage of the vectors."""
        task = self.bundle.task
        figures = {
            "validation/macro_f1": self.results[0].history[self.results[0].best_epoch - 1].macro_f1,
            "tokens_per_second": float(np.mean([result.tokens_per_second for result in self.results])),
            "padding_share": float(np.mean([result.padding_share for result in self.results])),
            "best_epoch": float(self.results[0].best_epoch),
            "expert_share": self.expert_share,
        }
        if task is Task.single_label:
            right = self.validation_probabilities.argmax(axis=1) == self.validation_targets
            figures["validation/accuracy"] = float(right.mean())
        return figures


def fit_classifier(
    corpus: PreparedCorpus,
    config: TrainConfig,
    *,
    work_dir: Path | None = None,
    on_epoch: Callable[[EpochReport], None] | None = None,
    stop: Callable[[], int] | None = None,
) -> Fitted:
    """Return the model that `config` asks for, fitted on `corpus`.

    Args:
        corpus: with training and validation rows.
        config: all settings of stage train.
        work_dir: where checkpoints are kept; an unfinished training there is continued.
        on_epoch: called after each epoch.
        stop: asked between steps; true ends training after a checkpoint.

    Raises:
        InputError: the corpus has no training or no validation rows.
    """
    if corpus.train is None or corpus.validation is None or not len(corpus.train) or not len(corpus.validation):
        raise InputError("training needs rows in train and in validation; set data.train or data.validation_fraction")
    train, validation = corpus.train, corpus.validation
    model = config.model
    train_targets = train.targets(corpus.labels, corpus.task)
    targets = validation.targets(corpus.labels, corpus.task)
    vocabulary = Vocabulary.build(train.token_counts(), max_size=model.vocabulary_size, min_count=model.min_count)
    embeddings = None
    if model.embeddings:
        embeddings = load_embeddings(model.embeddings, vocabulary, language=config.text.language)
    matrix = None if embeddings is None else torch.from_numpy(embeddings.matrix)
    expert = None
    if model.linear_expert:
        expert = _fit_expert(train.texts(), train_targets, corpus, config)
    results, networks = [], []
    encoded_train = _encode(train, vocabulary, train_targets, config)
    encoded_validation = _encode(validation, vocabulary, targets, config)
    for index in range(config.training.num_models):
        seed = config.seed + 1000 * index
        torch.manual_seed(seed)
        network = TextNetwork(model, network_sizes(vocabulary, corpus, embeddings), embeddings=matrix)
        result = fit(
            network,
            encoded_train,
            encoded_validation,
            config=config.training,
            task=corpus.task,
            seed=seed,
            freeze_epochs=model.freeze_epochs,
            checkpoint_dir=None if work_dir is None else work_dir / f"network-{index}",
            on_epoch=on_epoch,
            stop=stop,
        )
        results.append(result)
        networks.append(network.eval())
    device = choose_device(config.training.device)
    logits = [predict_logits(network.to(device), encoded_validation, device=device) for network in networks]
    recurrent = mean_logits(logits, corpus.task)
    expert_logits = None if expert is None else expert.logits(validation.texts())
    gate = Gate.fit(recurrent, expert_logits, targets, task=corpus.task)
    probabilities = to_probabilities(gate.combine(recurrent, expert_logits), corpus.task)
    weights = _weights(networks, gate)
    weights |= _expert_and_baseline(corpus, config, has_expert=expert is not None)
    bundle = Bundle(
        labels=corpus.labels,
        task=corpus.task,
        text=config.text,
        model=model,
        saved_text=corpus.saved_text,
        vocabulary=vocabulary,
        weights=weights,
        columns=columns_of(config.data),
        thresholds=_thresholds(probabilities, targets, corpus.task, config),
        label_shares=_label_shares(train_targets, len(corpus.labels)),
    )
    return Fitted(bundle, tuple(results), embeddings, probabilities, targets, gate.expert_share)


def network_sizes(vocabulary: Vocabulary, corpus: PreparedCorpus, embeddings: Embeddings | None) -> NetworkSizes:
    """Return the sizes that the data decide."""
    word_size = 0 if embeddings is None else embeddings.matrix.shape[1]
    return NetworkSizes(vocabulary_size=len(vocabulary), num_labels=len(corpus.labels), word_size=word_size)


def columns_of(data: DataConfig) -> Columns:
    """Return the column names that a model remembers."""
    return Columns(
        text=data.text_column,
        label=data.label_column,
        labels=data.labels_column,
        label_separator=data.label_separator,
        id=data.id_column,
    )


def _encode(split: PreparedSplit, vocabulary: Vocabulary, targets: np.ndarray, config: TrainConfig) -> EncodedSplit:
    return encode_texts(
        split.token_ids(vocabulary.encode),
        split.offsets(),
        split.pos_ids(),
        tokens=lambda: split.flat_tokens().to_pylist(),
        vocabulary=vocabulary,
        model=config.model,
        targets=targets,
    )


def _fit_expert(texts: list[str], targets: np.ndarray, corpus: PreparedCorpus, config: TrainConfig) -> LinearExpert:
    return LinearExpert.fit(
        texts, targets, num_labels=len(corpus.labels), task=corpus.task, config=config.model, seed=config.seed
    )


def _expert_and_baseline(corpus: PreparedCorpus, config: TrainConfig, *, has_expert: bool) -> dict[str, Tensor]:
    """Fit both on training and validation rows; return their tensors."""
    assert corpus.train is not None
    assert corpus.validation is not None
    texts = corpus.train.texts() + corpus.validation.texts()
    targets = np.concatenate([split.targets(corpus.labels, corpus.task) for split in (corpus.train, corpus.validation)])
    known = targets >= 0 if corpus.task is Task.single_label else np.ones(len(texts), dtype=bool)
    texts = [text for text, keep in zip(texts, known, strict=True) if keep]
    parts: dict[str, Tensor] = {}
    if has_expert:
        expert = _fit_expert(texts, targets[known], corpus, config)
        parts |= {f"expert.{name}": value for name, value in expert.to_tensors().items()}
    if config.evaluation.baseline:
        baseline = LinearExpert.fit_baseline(
            texts, targets[known], num_labels=len(corpus.labels), task=corpus.task, seed=config.seed
        )
        parts |= {f"baseline.{name}": value for name, value in baseline.to_tensors().items()}
    return parts


def _weights(networks: list[TextNetwork], gate: Gate) -> dict[str, Tensor]:
    weights = {f"gate.{name}": value for name, value in gate.to_tensors().items()}
    for index, network in enumerate(networks):
        state = network.cpu().state_dict()
        weights |= {f"network.{index}.{name}": value.detach().clone() for name, value in state.items()}
    return weights


def _thresholds(probabilities: np.ndarray, targets: np.ndarray, task: Task, config: TrainConfig) -> Thresholds:
    if task is Task.multi_label:
        return Thresholds(
            per_class=tuple(float(t) for t in fit_label_thresholds(probabilities, targets.astype(np.bool_)))
        )
    settings = config.evaluation
    if settings.max_error == 0:
        return Thresholds()
    found = find_threshold(
        probabilities.max(axis=1),
        probabilities.argmax(axis=1) == targets,
        max_error=settings.max_error,
        confidence=settings.confidence,
    )
    return Thresholds(
        abstain_below=ACCEPT_NOTHING if found.threshold is None else found.threshold,
        max_error=settings.max_error,
        confidence=settings.confidence,
        expected_coverage=found.coverage,
    )


def _label_shares(targets: np.ndarray, num_labels: int) -> tuple[float, ...]:
    if targets.ndim == 2:
        return tuple(float(share) for share in targets.mean(axis=0))
    counts = np.bincount(targets[targets >= 0], minlength=num_labels)
    return tuple(float(share) for share in counts / max(1, counts.sum()))
