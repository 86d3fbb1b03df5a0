"""What the tests of the GPU path train: small networks of every kind, on rows whose label is in their words."""

import contextlib
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple
from unittest import mock

import numpy as np
import torch
from pretended_cuda import Ledger, pretended_cuda

from textlstm.config import (
    Device,
    Encoder,
    Imbalance,
    ModelConfig,
    Pooling,
    Task,
    TrainingConfig,
    TrainingPrecision,
)
from textlstm.models.network import parallel
from textlstm.models.network import precision as precision_module
from textlstm.models.network.inputs import EncodedSplit
from textlstm.models.network.network import NetworkSizes, TextNetwork, predict_logits
from textlstm.training.job import FitResult, TrainingJob
from textlstm.training.loop import fit

VOCABULARY_SIZE = 120
NUM_LABELS = 3
SMALL = {"embedding_size": 10, "hidden_size": 8, "vocabulary_size": 500, "max_tokens": 60}
NO_DROPOUT = {"locked_dropout": 0.0, "word_dropout": 0.0, "head_dropout": 0.0}


class Case(NamedTuple):
    """Settings of a training. Without dropout a GPU and a CPU must agree; masks differ between the two."""

    model: dict[str, Any] = {}
    training: dict[str, Any] = {}
    multi_label: bool = False
    has_dropout: bool = False


CASES = {
    "lstm": Case(),
    "lstm in one direction": Case({"bidirectional": False}),
    "lstm in two layers": Case({"num_layers": 2}),
    "gru": Case({"encoder": Encoder.gru}),
    "rnn": Case({"encoder": Encoder.rnn}),
    "cnn_lstm": Case({"encoder": Encoder.cnn_lstm, "conv_size": 8}),
    "char_cnn": Case({"char_cnn_size": 6}),
    "subwords": Case({"subword_buckets": 40}),
    "pos": Case({"pos_embedding_size": 4}),
    "dense": Case({"dense_size": 6}),
    "pooling last": Case({"pooling": Pooling.last}),
    "pooling attention": Case({"pooling": Pooling.attention}),
    "pooling mean": Case({"pooling": Pooling.mean}),
    "pooling max": Case({"pooling": Pooling.max}),
    "multi-label": Case(multi_label=True),
    "multi-label focal": Case(training={"imbalance": Imbalance.focal}, multi_label=True),
    "class_weights": Case(training={"imbalance": Imbalance.class_weights}),
    "balanced_sampler": Case(training={"imbalance": Imbalance.balanced_sampler}),
    "focal": Case(training={"imbalance": Imbalance.focal}),
    "logit_adjustment": Case(training={"imbalance": Imbalance.logit_adjustment}),
    "r_drop": Case(training={"r_drop": 1.0}),
    "adversarial": Case(training={"adversarial": 0.1}),
    "r_drop and adversarial": Case(training={"r_drop": 1.0, "adversarial": 0.1}),
    "neither average nor clipping": Case(training={"ema_decay": 0.0, "clip_norm": 0.0}),
    "frozen words": Case({"freeze_epochs": -1}),
    "frozen words, adversarial": Case({"freeze_epochs": -1}, {"adversarial": 0.1}),
    "words frozen for an epoch": Case({"freeze_epochs": 1}),
    "default dropouts": Case({"locked_dropout": 0.4, "word_dropout": 0.1, "head_dropout": 0.5}, has_dropout=True),
    "all dropouts": Case({"locked_dropout": 0.4, "embedding_dropout": 0.1, "num_layers": 2}, has_dropout=True),
    "weight-drop": Case({"recurrent_dropout": 0.3}, has_dropout=True),
    "weight-drop gru": Case({"recurrent_dropout": 0.3, "encoder": Encoder.gru}, has_dropout=True),
    "weight-drop rnn": Case({"recurrent_dropout": 0.3, "encoder": Encoder.rnn}, has_dropout=True),
}


def model_config(case: Case) -> ModelConfig:
    return ModelConfig(**{**SMALL, **NO_DROPOUT, **case.model})


def split(case: Case, num_rows: int, *, seed: int) -> EncodedSplit:
    """Rows of 0 to 19 tokens, a third of which name the label."""
    model = model_config(case)
    random = np.random.default_rng(seed)
    lengths = random.integers(0, 20, num_rows)
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    targets = random.integers(0, NUM_LABELS, num_rows)
    token_ids = random.integers(2, VOCABULARY_SIZE, offsets[-1]).astype(np.int32)
    named = np.arange(len(token_ids)) % 3 == 0
    token_ids[named] = 2 + np.repeat(targets, lengths)[named]
    spellings = None
    if model.char_cnn_size or model.subword_buckets:
        spellings = random.integers(1, 100, (VOCABULARY_SIZE + 10, 12)).astype(np.uint8)
        spellings[:, 8:], spellings[0] = 0, 0
        token_ids[::17] = VOCABULARY_SIZE + 5  # an unknown word with a spelling
    pos_ids = random.integers(0, 19, len(token_ids)).astype(np.uint8) if model.pos_embedding_size else None
    wanted = np.eye(NUM_LABELS, dtype=np.float32)[targets] if case.multi_label else targets.astype(np.int64)
    return EncodedSplit(token_ids, offsets, pos_ids, wanted, spellings)


class Trained(NamedTuple):
    """A training, and what its network answers afterwards."""

    result: FitResult
    logits: np.ndarray
    """(24, 3) of further rows, in fp32."""
    words_moved: float
    """Largest change of a word vector."""
    ledger: Ledger | None
    """Of the steps alone; None on a CPU or a real GPU."""
    launches: list[int]
    """A step."""


@contextlib.contextmanager
def a_gpu(card: int = 0) -> Any:
    """The GPU of this machine, or a pretended one, this one of two, and its ledger."""
    _forget_devices()
    with contextlib.nullcontext() if torch.cuda.is_available() else pretended_cuda(card, count=2) as ledger:
        yield ledger
        assert ledger is None or not ledger.work.races
    _forget_devices()


def _forget_devices() -> None:
    precision_module.has_bf16_kernels.cache_clear()
    parallel._second_stream.cache_clear()


def train(
    case: Case,
    *,
    on_gpu: bool,
    precision: TrainingPrecision = TrainingPrecision.fp32,
    checkpoint_dir: Path | None = None,
    stop: Callable[[], int] | None = None,
    card: int = 0,
    **training: Any,
) -> Trained:
    """Train on 72 rows for two epochs, and predict 24 others."""
    model = model_config(case)
    plain = {"device": Device.auto, "epochs": 2, "batch_size": 16, "num_threads": 1, "learning_rate": 0.01}
    config = TrainingConfig(**{**plain, **case.training, "precision": precision, **training})
    torch.manual_seed(7)
    network = TextNetwork(model, NetworkSizes(vocabulary_size=VOCABULARY_SIZE, num_labels=NUM_LABELS))
    words = network.embedder.words.weight.detach().numpy().copy()
    task = Task.multi_label if case.multi_label else Task.single_label
    rows, others = split(case, 72, seed=1), split(case, 24, seed=2)
    job = TrainingJob(network, rows, others, config=config, task=task, seed=3, freeze_epochs=model.freeze_epochs)
    with a_gpu(card) if on_gpu else contextlib.nullcontext() as ledger, _steps_watched(ledger) as (steps, launches):
        result = fit(job, checkpoint_dir=checkpoint_dir, stop=stop)
        device = f"cuda:{card}" if on_gpu else "cpu"
        logits = predict_logits(network.to(device), split(case, 24, seed=5), device=device)
        assert len(predict_logits(network, split(case, 0, seed=5), device=device)) == 0
        moved = float(np.abs(network.to_arrays()["embedder.words.weight"] - words).max())
    return Trained(result, logits, moved, steps, launches)


@contextlib.contextmanager
def _steps_watched(ledger: Ledger | None) -> Any:
    """Give a ledger of what happens in steps, each with the gathering of the next batch, and the launches of each."""
    from textlstm.training.trainer import Trainer

    if ledger is None:
        yield None, []
        return
    begin_step, end_step, before = Trainer.take_captured_step, Trainer.end_step, Ledger()
    steps, launches = Ledger(), []

    def begin(self: Trainer, batch: object, factor: float) -> bool:
        before.launches, before.lines, before.waits = (
            counter.copy() for counter in (ledger.launches, ledger.lines, ledger.waits)
        )
        before.captures = ledger.captures
        return begin_step(self, batch, factor)

    def end(self: Trainer, batch: object, *, is_last: bool) -> None:
        made = ledger.launches - before.launches
        steps.launches.update(made)
        steps.lines.update(ledger.lines - before.lines)
        steps.captures += ledger.captures - before.captures
        launches.append(made.total())
        end_step(self, batch, is_last=is_last)
        if not is_last:  # at the end of an epoch the host looks at the count of skipped steps
            steps.waits.update(ledger.waits - before.waits)

    with mock.patch.object(Trainer, "take_captured_step", begin), mock.patch.object(Trainer, "end_step", end):
        yield steps, launches


def stop_after(num_steps: int) -> Callable[[], int]:
    """Ask for a clean stop after so many steps, once."""
    asked = []

    def stop() -> int:
        asked.append(1)
        return signal.SIGTERM if len(asked) == num_steps else 0

    return stop
