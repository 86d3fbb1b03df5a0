"""Every key of `model` and `training` changes what is trained; a new key without a line here fails the first test."""

import hashlib
import random
from dataclasses import dataclass, fields
from pathlib import Path

import pytest

from textlstm.config import ModelConfig, Task, TrainConfig, TrainingConfig
from textlstm.config.overrides import with_settings
from textlstm.corpus.preparation.prepare import prepare_corpus
from textlstm.corpus.prepared import PreparedCorpus
from textlstm.fitting import fit_classifier
from textlstm.models.network.precision import has_bf16_kernels

ROOT = Path(__file__).resolve().parents[1]
WORDS = {"sport": ("goal", "match", "coach"), "money": ("bank", "share", "profit"), "film": ("actor", "plot", "scene")}
BASE = (
    *("text.pos=false", "model.hidden_size=6", "model.embedding_size=5", "evaluation.baseline=false"),
    *("training.epochs=2", "training.num_threads=1", "training.precision=fp32", "training.learning_rate=0.02"),
)


@dataclass(frozen=True, slots=True)
class Change:
    """A key's other value, and the settings beside which it shows."""

    value: str
    beside: tuple[str, ...] = ()


LONG = ("model.encoder=cnn_lstm",)
STILL = ("training.learning_rate=1e-9", "training.embedding_learning_rate=1e-9", "training.epochs=6")
CHANGES = {
    "model.encoder": Change("gru"),
    "model.bidirectional": Change("false"),
    "model.hidden_size": Change("7"),
    "model.num_layers": Change("2"),
    "model.pooling": Change("attention"),
    "model.embedding_size": Change("6"),
    "model.embeddings": Change("[VECTORS]"),
    "model.freeze_epochs": Change("1"),
    "model.vocabulary_size": Change("8"),
    "model.min_count": Change("40"),
    "model.subword_buckets": Change("16"),
    "model.max_tokens": Change("3"),
    "model.char_cnn_size": Change("4"),
    "model.char_embedding_size": Change("8", ("model.char_cnn_size=4",)),
    "model.conv_size": Change("9", LONG),
    "model.conv_width": Change("3", LONG),
    "model.conv_pool": Change("3", LONG),
    "model.dense_size": Change("4"),
    "model.word_dropout": Change("0.3"),
    "model.embedding_dropout": Change("0.3"),
    "model.locked_dropout": Change("0.1"),
    "model.recurrent_dropout": Change("0.3"),
    "model.head_dropout": Change("0.1"),
    "model.linear_expert": Change("false"),
    "model.expert_char_ngrams": Change("true"),
    "model.expert_char_across": Change("true"),
    "model.expert_vectors": Change("1"),
    "model.expert_naive_bayes": Change("true"),
    "model.expert_c": Change("0.1"),
    "training.epochs": Change("3"),
    "training.batch_size": Change("32"),
    "training.batch_tokens": Change("300"),
    "training.learning_rate": Change("0.01"),
    "training.embedding_learning_rate": Change("0.001"),
    "training.weight_decay": Change("0.5"),
    "training.schedule": Change("one_cycle"),
    "training.warmup_fraction": Change("0.5"),
    "training.clip_norm": Change("0.01"),
    "training.label_smoothing": Change("0.3"),
    "training.ema_decay": Change("0.5"),
    "training.r_drop": Change("1"),
    "training.adversarial": Change("0.1"),
    "training.imbalance": Change("balanced_sampler"),
    "training.focal_gamma": Change("1", ("training.imbalance=focal",)),
    "training.patience": Change("1", (*STILL, "training.patience=0")),
    "training.refit": Change("true"),
    "training.cross_fit": Change("3"),
    "training.num_models": Change("2"),
}
LOOP, PROCESSES = "tests/training/test_loop.py", "tests/training/test_processes.py"
AUTO = "tests/fitting/test_auto.py"
FINE_TUNING = "tests/teaching/test_fine_tuning.py"
ELSEWHERE = {
    "training.minutes": (AUTO, "test_a_short_time_takes_fewer_epochs_then_shorter_texts"),
    "training.quality": (AUTO, "test_options_are_taken_where_the_time_allows"),
    "model.pos_embedding_size": ("tests/models/network/test_network.py", "test_key_changes_the_logits"),
    "training.precision": (LOOP, "test_setting_changes_the_result"),
    "training.device": (LOOP, "test_missing_gpu_is_refused"),
    "training.num_threads": (LOOP, "test_thread_and_determinism_settings_reach_torch"),
    "training.deterministic": (LOOP, "test_thread_and_determinism_settings_reach_torch"),
    "training.checkpoint_seconds": (LOOP, "test_checkpoint_seconds_decide_how_often_checkpoints_are_written"),
    "training.num_workers": (PROCESSES, "test_number_of_processes"),
    "training.distil": ("tests/fitting/test_distillation.py", "test_one_network_is_saved_that_the_others_taught"),
    "training.teacher_share": ("tests/teaching/test_answers.py", "test_a_teacher_without_a_share_changes_nothing"),
    "training.teacher_folds": (FINE_TUNING, "test_answers_for_training_rows_are_out_of_fold"),
    "training.teacher_epochs": (FINE_TUNING, "test_a_transformer_teaches_and_is_asked_once"),
}
"""Keys that are not to change the model (or need spaCy's tagger), and the test that sees their effect."""
if has_bf16_kernels("cpu"):
    CHANGES["training.precision"] = Change("bf16")
    del ELSEWHERE["training.precision"]


def test_every_key_has_a_change_or_a_test_elsewhere() -> None:
    groups = {"model": ModelConfig, "training": TrainingConfig}
    keys = [f"{group}.{field.name}" for group, config_class in groups.items() for field in fields(config_class)]
    assert sorted([*CHANGES, *ELSEWHERE]) == sorted(keys)
    for file, test in ELSEWHERE.values():
        assert f"def {test}(" in (ROOT / file).read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> PreparedCorpus:
    """90 texts of three classes, the first twice as frequent as the others."""
    folder, dice = tmp_path_factory.mktemp("corpus"), random.Random(1)
    lines = ["text,label"]
    for number in range(90):
        label = list(WORDS)[(0, 1, 0, 2)[number % 4]]
        lines.append(f"{' '.join(dice.choices((*WORDS[label], 'the', 'a', 'said'), k=4 + number % 5))},{label}")
    (folder / "train.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    config = with_settings(TrainConfig(), ["data.source=files", f"data.train={folder / 'train.csv'}", *BASE])
    return prepare_corpus(config.data, config.text, prepared_dir=folder / "prepared", num_workers=0)


@pytest.fixture(scope="module")
def vectors(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("vectors") / "words.txt"
    path.write_text("goal 1 0 0 0 1\nbank 0 1 0 1 0\nplot 0 0 1 1 1\n", encoding="utf-8")
    return path


_KNOWN: dict[tuple[str, ...], str] = {}


def _outcome(corpus: PreparedCorpus, *settings: str) -> str:
    """Return a digest of all that a training leaves: weights, vocabulary, and how many epochs it took."""
    if settings not in _KNOWN:
        fitted = fit_classifier(corpus, with_settings(TrainConfig(), [*BASE, *settings]))
        digest = hashlib.sha256(repr([len(result.history) for result in fitted.results]).encode())
        for name, array in sorted(fitted.saved_model.weights.items()):
            digest.update(f"{name} {array.shape}".encode() + array.tobytes())
        _KNOWN[settings] = digest.hexdigest()
    return _KNOWN[settings]


def test_the_same_settings_leave_the_same(corpus: PreparedCorpus) -> None:
    """Negative control: what is compared below does not change by itself."""
    assert corpus.task is Task.single_label
    first = _outcome(corpus)
    _KNOWN.clear()
    assert _outcome(corpus) == first


@pytest.mark.parametrize("key", CHANGES)
def test_key_changes_what_is_trained(key: str, corpus: PreparedCorpus, vectors: Path) -> None:
    change = CHANGES[key]
    value = change.value.replace("VECTORS", str(vectors))
    assert _outcome(corpus, *change.beside, f"{key}={value}") != _outcome(corpus, *change.beside)


def test_a_key_of_what_is_switched_off_changes_nothing(corpus: PreparedCorpus) -> None:
    """Negative control: a key that is read by nothing would be found."""
    assert _outcome(corpus, "model.conv_size=9", "training.focal_gamma=1") == _outcome(corpus)
