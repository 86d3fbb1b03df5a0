"""Sizes, epochs and options of the network by the numbers of rows and tokens, as far as the time allows."""

from dataclasses import dataclass, replace
from typing import Any

from textlstm.config import ModelConfig, Quality, TrainingConfig

FEW_ROWS = 500
"""With fewer training rows pretrained vectors stay as they are, and epochs are many."""
LEAST_VALIDATION_ROWS = 200
"""With fewer validation rows, cross-fitting takes their place where the time allows."""
FEW_VALIDATION_ROWS = 50
"""With fewer validation rows, it does so in any case."""
NUM_FOLDS = 5

# Epochs. Measured on validation rows of the public corpora: more bring nothing there, since the best epoch is kept.
_EPOCHS_OF_RARE_CLASSES = 8
_ROWS_OF_RARE_CLASSES = 200
_MANY_ROWS_A_CLASS = 2_500
_EPOCHS = ((500_000, 6), (3_000_000, 5))
_EPOCHS_OF_MANY_TOKENS = 4
_FEW_EPOCH_TOKENS = 300_000
_EPOCHS_WITH_ADVERSARIAL = 8
_LEAST_STEPS = 200
"""A training of few rows takes at least this many steps, in at most `_MOST_EPOCHS`."""
_MOST_EPOCHS = 20

_GPU_BATCH_TOKENS = 16_384
"""Tokens of a batch that keep a GPU busy."""
_LEAST_STEPS_AN_EPOCH = 100
"""Batches of small corpora stay within a few times those of a CPU; `benchmarks/gpu_batches.py` measures the cost."""

_SHORT_TEXT = 60
"""Mean tokens of a text up to which adversarial training is tried: one changed word counts in a short text only."""
_FEW_TOKENS = 200_000
"""Up to this many, more epochs cost little: for rare classes, and for adversarial training, which learns slowly."""

# Factors by which options multiply the time of a training (docs/training.md measures the first).
_ADVERSARIAL_FACTOR = 3.0
_REFIT_FACTOR = 1.8
_LEAST_SHARE_OF_NETWORK = 0.3
"""Part of the minutes that is left to the network, whatever time linear fits take."""
_MOST_WITH_REFIT = 0.18
"""Part of the minutes that a training may take with its refit, which is 0.8 times as long for a tenth more rows."""
_SHARE_OF_OPTIONS = {Quality.fast: 0.0, Quality.balanced: 1 / 4, Quality.best: 1.0}
"""Part of the minutes within which a training with such options must stay."""


@dataclass(frozen=True, slots=True)
class DataSize:
    """The numbers that rules go by."""

    num_rows: int
    """Training rows."""
    num_validation_rows: int
    num_tokens: int
    """Tokens of all training rows."""
    num_labels: int

    @property
    def mean_length(self) -> float:
        """Tokens a row."""
        return self.num_tokens / max(1, self.num_rows)

    @property
    def rows_a_class(self) -> float:
        """Training rows for each label, on average."""
        return self.num_rows / max(1, self.num_labels)


@dataclass(frozen=True, slots=True)
class NetworkChoice:
    """Settings of the network and its training, and why."""

    model: ModelConfig
    training: TrainingConfig
    reasons: tuple[str, ...]
    """A line each, for people."""


def choose_sizes(
    size: DataSize, model: ModelConfig, training: TrainingConfig, free: frozenset[str], *, on_gpu: bool = False
) -> NetworkChoice:
    """Return the settings that do not depend on time: batches, learning rate of vectors, frozen vectors, folds."""
    few = size.num_rows < FEW_ROWS
    if "training.batch_size" in free:
        training = replace(training, batch_size=_batch_size(size.num_rows))
        # A batch size that was typed is kept on a GPU, too.
        if "training.batch_tokens" in free and on_gpu:
            training = replace(training, batch_tokens=_batch_tokens(size, training.batch_size))
    if "training.embedding_learning_rate" in free:
        training = replace(training, embedding_learning_rate=0.002 if model.embeddings else 0.008)
    batches = f"{training.batch_tokens:,} tokens" if training.batch_tokens else f"{training.batch_size} rows"
    reasons = [f"batches of {batches}, for {size.num_rows:,} training rows"]
    if "model.freeze_epochs" in free:
        model = replace(model, freeze_epochs=-1 if few and model.embeddings else 0)
        if model.freeze_epochs:
            reasons.append(f"vectors stay fixed: {size.num_rows:,} rows cannot improve them")
    if "training.cross_fit" in free:
        training = replace(training, cross_fit=NUM_FOLDS if size.num_validation_rows < FEW_VALIDATION_ROWS else 0)
        if training.cross_fit:
            reasons.append(
                f"{size.num_validation_rows:,} validation rows are too few to calibrate by (at least "
                f"{LEAST_VALIDATION_ROWS} are needed): {training.cross_fit} folds of all rows take their place"
            )
    return NetworkChoice(model, training, tuple(reasons))


def choose_within_time(
    size: DataSize,
    model: ModelConfig,
    training: TrainingConfig,
    free: frozenset[str],
    *,
    tokens_per_second: float,
    other_seconds: float = 0.0,
) -> NetworkChoice:
    """Return the settings whose training fits `training.minutes` at this speed.

    Args:
        size: of the data.
        model: settings with the sizes chosen.
        training: likewise.
        free: the settings that may change.
        tokens_per_second: of a training with these settings, without options.
        other_seconds: of the minutes that linear fits and the choice of settings take.
    """
    # Linear fits and the choice come out of the minutes, but leave the network its least share.
    budget = max(60 * training.minutes - other_seconds, 60 * training.minutes * _LEAST_SHARE_OF_NETWORK)
    reasons = []

    # The base: as many epochs as the data want, fewer where they do not fit; then shorter texts.
    epoch_seconds = size.num_tokens / tokens_per_second * max(1, training.cross_fit)
    if "training.epochs" in free:
        wanted = _epochs(size, training.batch_size)
        training = replace(training, epochs=max(1, min(wanted, int(budget / max(epoch_seconds, 1e-9)))))
        if epoch_seconds > budget and "model.max_tokens" in free:
            share = budget / epoch_seconds
            model = replace(model, max_tokens=max(64, int(min(model.max_tokens, 1.5 * size.mean_length) * share)))
        fits = min(epoch_seconds, budget) if "model.max_tokens" in free else epoch_seconds
        epochs = "1 epoch" if training.epochs == 1 else f"{training.epochs} epochs"
        line = f"{epochs}, about {training.epochs * fits:,.0f} s"
        if training.epochs < wanted:
            line += f"; {wanted} epochs would take {wanted * epoch_seconds / 60:,.1f} minutes: set training.minutes"
        reasons.append(line)
        if fits < epoch_seconds:
            reasons.append(f"the first and last of {model.max_tokens} tokens of a text, for time")
        epoch_seconds = fits
    seconds = training.epochs * epoch_seconds

    # Options that multiply the time, the most useful first.
    share_of_options = _SHARE_OF_OPTIONS[training.quality]
    for option in _options(size, training, free):
        if "refit" in option.values and training.cross_fit:
            continue  # the saved networks see all rows anyway
        if "adversarial" in option.values and training.adversarial:
            continue  # with more epochs, too
        most = _MOST_WITH_REFIT if "refit" in option.values and training.quality is Quality.balanced else 1.0
        if seconds * option.factor <= budget * min(share_of_options, most):
            training = replace(training, **option.values)
            seconds *= option.factor
            reasons.append(f"{option.name}, about {seconds:,.0f} s in all")
        else:
            needed = (
                seconds * option.factor / min(max(share_of_options, _SHARE_OF_OPTIONS[Quality.balanced]), most) / 60
            )
            reasons.append(f"no {option.name}: it would need training.minutes={needed:.1f}")
    return NetworkChoice(model, training, tuple(reasons))


@dataclass(frozen=True, slots=True)
class _Option:
    """Something that makes a training longer and its model better."""

    name: str
    factor: float
    """By which it multiplies the time."""
    values: dict[str, Any]
    """Of `training`."""


def _options(size: DataSize, training: TrainingConfig, free: frozenset[str]) -> list[_Option]:
    """Return the options that suit the data, in the order of their worth for their time."""
    options = []
    few = size.num_validation_rows < LEAST_VALIDATION_ROWS and not training.cross_fit
    if "training.cross_fit" in free and few:
        name = f"calibration on {NUM_FOLDS} folds of all rows ({size.num_validation_rows:,} validation rows are few)"
        options.append(_Option(name, float(NUM_FOLDS), {"cross_fit": NUM_FOLDS}))
    short = size.mean_length <= _SHORT_TEXT
    if "training.adversarial" in free and short:
        # Classes with many rows are learned in few epochs, which leaves time for the refit (best epoch 3 on SST-2).
        wanted = _EPOCHS_WITH_ADVERSARIAL if size.rows_a_class <= _MANY_ROWS_A_CLASS else _EPOCHS_OF_MANY_TOKENS
        more = wanted / training.epochs
        if "training.epochs" in free and more != 1 and size.num_tokens <= _FEW_TOKENS:
            name = f"adversarial training in {wanted} epochs"
            values = {"adversarial": 0.1, "epochs": wanted}
            options.append(_Option(name, _ADVERSARIAL_FACTOR * more, values))
        options.append(_Option("adversarial training", _ADVERSARIAL_FACTOR, {"adversarial": 0.1}))
    if "training.refit" in free:
        options.append(_Option("refit on training and validation rows", _REFIT_FACTOR, {"refit": True}))
    if "training.num_models" in free and training.quality is Quality.best:
        options.append(_Option("3 networks", 3.0, {"num_models": 3}))
    return options


def _batch_size(num_rows: int) -> int:
    if num_rows >= 100_000:
        return 128
    if num_rows >= 30_000:
        return 64
    if num_rows >= 3_000:
        return 32
    return 16 if num_rows >= FEW_ROWS else 8


def _batch_tokens(size: DataSize, batch_size: int) -> int:
    """Return the tokens of a batch on a GPU; 0 where batches of `batch_size` rows are as large."""
    most = min(_GPU_BATCH_TOKENS, size.num_tokens // _LEAST_STEPS_AN_EPOCH)
    return most if most > batch_size * size.mean_length else 0


def _epochs(size: DataSize, batch_size: int) -> int:
    """Return the number of epochs that suits the data."""
    if size.rows_a_class <= _ROWS_OF_RARE_CLASSES and size.num_tokens <= _FEW_TOKENS:
        epochs = _EPOCHS_OF_RARE_CLASSES
    elif size.mean_length <= _SHORT_TEXT and size.num_tokens > _FEW_EPOCH_TOKENS:
        epochs = _EPOCHS_OF_MANY_TOKENS  # which leaves time for adversarial training
    else:
        epochs = next((number for most, number in _EPOCHS if size.num_tokens <= most), _EPOCHS_OF_MANY_TOKENS)
    steps = max(1, size.num_rows // batch_size)
    return max(epochs, min(_MOST_EPOCHS, -(-_LEAST_STEPS // steps)))
