"""Settings that are `auto`: what data and time decide, what a user typed, and the same model from the saved values."""

import random
from dataclasses import replace

import numpy as np
import pytest

from textlstm.config import AUTO_SETTINGS, ModelConfig, Quality, Task, TrainConfig, TrainingConfig
from textlstm.config.overrides import with_settings
from textlstm.corpus.preparation.prepare import prepare_corpus
from textlstm.corpus.prepared import PreparedCorpus
from textlstm.errors import ConfigError
from textlstm.fitting import Fitted, fit_classifier, linear, resolve, typed_settings, with_values
from textlstm.fitting.auto_expert import EXPERT_KEYS, choose_expert
from textlstm.fitting.auto_network import DataSize, choose_sizes, choose_within_time
from textlstm.fitting.cross_fit import cross_fit, stratified_folds
from textlstm.fitting.labelled_rows import labelled_rows
from textlstm.processes.call import BackgroundCall, Message
from textlstm.training.job import Step

WORDS = {"sport": ("goal", "match", "coach"), "money": ("bank", "share", "profit")}
SMALL = ("text.pos=false", "model.hidden_size=6", "evaluation.baseline=false", "training.deterministic=true")
ALL = frozenset(AUTO_SETTINGS)


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> PreparedCorpus:
    """60 training rows, and 20 for validation."""
    folder, dice = tmp_path_factory.mktemp("corpus"), random.Random(1)
    for name, num_rows in (("train", 60), ("validation", 20)):
        lines = ["text,label"]
        for number in range(num_rows):
            label = list(WORDS)[number % 2]
            lines.append(f"{' '.join(dice.choices((*WORDS[label], 'the', 'said'), k=4 + number % 5))},{label}")
        (folder / f"{name}.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    files = [f"data.{name}={folder / name}.csv" for name in ("train", "validation")]
    config = with_settings(TrainConfig(), ["data.source=files", *files, *SMALL])
    return prepare_corpus(config.data, config.text, prepared_dir=folder / "prepared", num_workers=0)


def _bytes(fitted: Fitted) -> dict[str, bytes]:
    return {name: array.tobytes() for name, array in fitted.saved_model.weights.items()}


def test_the_chosen_values_typed_by_hand_give_the_same_model(corpus: PreparedCorpus) -> None:
    config = with_settings(TrainConfig(), SMALL)
    resolved = resolve(config, corpus)
    assert resolved.config.auto == []
    assert sorted(resolved.values) == sorted([*config.auto, "text.pos"])
    by_hand = with_settings(with_settings(TrainConfig(), SMALL), [*typed_settings(resolved.values).split(), "auto="])
    assert by_hand == resolved.config == with_values(config, resolved.values)
    first, second = (fit_classifier(corpus, settings) for settings in (resolved.config, by_hand))
    assert _bytes(first) == _bytes(second)
    assert first.saved_model.thresholds == second.saved_model.thresholds
    other = with_settings(by_hand, ["training.epochs=2"])
    assert _bytes(fit_classifier(corpus, other)) != _bytes(first)  # the negative control


def test_linear_models_of_another_process_are_those_of_this_one(
    corpus: PreparedCorpus, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = ["auto=", "model.expert_char_ngrams=true", "evaluation.baseline=true", "training.epochs=1"]
    config = with_settings(with_settings(TrainConfig(), SMALL), settings)
    started: list[str] = []

    def noted(module: str, message: Message) -> BackgroundCall:
        started.append(module)
        return BackgroundCall(module, message)

    monkeypatch.setattr(linear, "BackgroundCall", noted)
    here = fit_classifier(corpus, config)
    assert not started
    monkeypatch.setattr(linear, "FEW_CHARACTERS", 0)
    elsewhere = fit_classifier(corpus, config)
    assert started == [linear.MODULE]
    assert _bytes(elsewhere) == _bytes(here)
    other = fit_classifier(corpus, with_settings(config, ["model.expert_c=0.2"]))  # the negative control
    assert _bytes(other) != _bytes(here)


def test_every_batch_of_every_training_is_reported(corpus: PreparedCorpus) -> None:
    config = with_settings(TrainConfig(), [*SMALL, "auto=", "training.epochs=2", "training.refit=true"])
    seen: dict[str, list[Step]] = {}
    fit_classifier(corpus, config, on_step=lambda name, step: seen.setdefault(name, []).append(step))
    assert list(seen) == ["", "refit"]
    for steps in seen.values():
        places = [(step.epoch, step.batch) for step in steps]
        assert places == sorted(set(places))
        assert len(steps) == steps[0].last_epoch * steps[0].num_batches
    folds: set[str] = set()
    crossed = with_settings(config, ["training.cross_fit=2", "training.refit=false"])
    alone = replace(crossed, model=replace(crossed.model, linear_expert=False))
    fit_classifier(corpus, alone, on_step=lambda name, _: folds.add(name))
    assert folds == {"fold 1 of 2", "fold 2 of 2", "all rows"}


def test_what_is_typed_is_kept(corpus: PreparedCorpus) -> None:
    typed = ("training.epochs=3", "training.batch_size=5", "model.embeddings=[]", "model.expert_vectors=0.7")
    resolved = resolve(with_settings(TrainConfig(), [*SMALL, *typed]), corpus)
    assert (resolved.config.training.epochs, resolved.config.training.batch_size) == (3, 5)
    assert (resolved.config.model.embeddings, resolved.config.model.expert_vectors) == ([], 0.7)
    assert "training.epochs" not in resolved.values
    assert resolved.config.training.embedding_learning_rate == 0.008  # no pretrained vectors
    again = with_settings(resolved.config, ["training.epochs=auto"])
    assert again.auto == ["training.epochs"]


def test_few_rows_are_calibrated_by_folds_without_a_network(corpus: PreparedCorpus) -> None:
    resolved = resolve(with_settings(TrainConfig(), SMALL), corpus)
    assert resolved.config.training.cross_fit == 5
    assert resolved.config.model.freeze_epochs == -1
    assert any("20 validation rows are too few" in reason for reason in resolved.reasons)
    fitted = fit_classifier(corpus, resolved.config)
    rows = labelled_rows(corpus)
    assert len(fitted.validation_targets) == len(rows.train) + len(rows.validation)  # each scored without itself
    assert fitted.calibrated.combiner.recurrent_scale == 0
    assert fitted.metrics()["validation/macro_f1"] > 0.8


def test_folds_score_each_row_without_it(corpus: PreparedCorpus) -> None:
    config = with_settings(TrainConfig(), [*SMALL, "training.cross_fit=4", "training.epochs=2"])
    rows = labelled_rows(corpus)
    scores = cross_fit(rows, corpus, config, work_dir=None, stop=None)
    assert scores.expert_logits is not None
    assert (scores.expert_logits.argmax(axis=1) == scores.targets).mean() > 0.9
    # Labels that say nothing are not learned by heart: a row's own label has no part in its score.
    dice = np.random.default_rng(0)
    shuffled = replace(
        rows,
        train_targets=dice.permutation(rows.train_targets),
        validation_targets=dice.permutation(rows.validation_targets),
    )
    by_chance = cross_fit(shuffled, corpus, config, work_dir=None, stop=None)
    assert by_chance.expert_logits is not None
    assert (by_chance.expert_logits.argmax(axis=1) == by_chance.targets).mean() < 0.7


def test_folds_spread_every_label() -> None:
    targets = np.repeat(np.arange(3), (20, 10, 5))
    folds = stratified_folds(targets, num_folds=5, seed=0)
    counts = np.array([np.bincount(folds[targets == label], minlength=5) for label in range(3)])
    assert counts.tolist() == [[4] * 5, [2] * 5, [1] * 5]
    several = np.zeros((10, 2))
    several[:, 0], several[::2, 1] = 1, 1
    assert np.bincount(stratified_folds(several, num_folds=5, seed=0)[::2]).tolist() == [1] * 5


@pytest.mark.parametrize(
    ("num_rows", "batch_size", "freeze_epochs"),
    [(100, 8, -1), (2_000, 16, 0), (5_000, 32, 0), (50_000, 64, 0), (400_000, 128, 0)],
)
def test_batches_grow_with_the_rows(num_rows: int, batch_size: int, freeze_epochs: int) -> None:
    size = DataSize(num_rows=num_rows, num_validation_rows=500, num_tokens=20 * num_rows, num_labels=2)
    choice = choose_sizes(size, ModelConfig(embeddings=["wordllama"]), TrainingConfig(), ALL)
    assert (choice.training.batch_size, choice.model.freeze_epochs) == (batch_size, freeze_epochs)
    assert (choice.training.embedding_learning_rate, choice.training.cross_fit) == (0.002, 0)


@pytest.mark.parametrize(
    ("num_rows", "typed", "on_gpu", "batch_tokens"),
    [
        (200_000, (), True, 16_384),
        (200_000, (), False, 0),
        (200_000, ("training.batch_size",), True, 0),  # a batch size that was typed is kept
        (20_000, (), True, 8_000),  # an epoch has at least 100 steps
        (2_000, (), True, 800),
        (100, (), True, 0),  # batches of rows are larger
    ],
)
def test_batches_of_a_gpu_are_tokens(num_rows: int, typed: tuple[str, ...], on_gpu: bool, batch_tokens: int) -> None:
    size = DataSize(num_rows=num_rows, num_validation_rows=500, num_tokens=40 * num_rows, num_labels=2)
    choice = choose_sizes(size, ModelConfig(), TrainingConfig(), ALL - set(typed), on_gpu=on_gpu)
    assert choice.training.batch_tokens == batch_tokens


def _within(size: DataSize, speed: float, **settings: object) -> tuple[ModelConfig, TrainingConfig, tuple[str, ...]]:
    training = replace(TrainingConfig(batch_size=32), **settings)  # type: ignore[arg-type]
    choice = choose_within_time(size, ModelConfig(), training, ALL, tokens_per_second=speed)
    return choice.model, choice.training, choice.reasons


QUESTIONS = DataSize(num_rows=5_000, num_validation_rows=500, num_tokens=50_000, num_labels=6)
REVIEWS = DataSize(num_rows=22_500, num_validation_rows=2_500, num_tokens=6_000_000, num_labels=2)


def test_options_are_taken_where_the_time_allows() -> None:
    for quality, adversarial, refit, num_models in (
        (Quality.fast, 0.0, False, 1),
        (Quality.balanced, 0.1, True, 1),
        (Quality.best, 0.1, True, 3),
    ):
        _, training, _ = _within(QUESTIONS, 40_000, quality=quality)
        assert (training.adversarial, training.refit, training.num_models) == (adversarial, refit, num_models)
    _, slow, reasons = _within(QUESTIONS, 1_000)
    assert (slow.adversarial, slow.refit) == (0.0, False)
    assert any(reason.startswith("no adversarial training: it would need training.minutes=") for reason in reasons)


def test_classes_with_many_rows_take_few_adversarial_epochs() -> None:
    sentences = DataSize(num_rows=7_000, num_validation_rows=900, num_tokens=130_000, num_labels=2)
    assert _within(sentences, 60_000)[1].epochs == 4
    assert _within(replace(sentences, num_labels=6), 60_000)[1].epochs == 8


def test_the_time_of_linear_fits_is_not_the_networks() -> None:
    training = TrainingConfig(minutes=2.5, batch_size=32)
    choice = choose_within_time(REVIEWS, ModelConfig(), training, ALL, tokens_per_second=90_000, other_seconds=80)
    assert (choice.training.epochs, choice.model.max_tokens) == (1, 400)  # two epochs would fit without


def test_few_validation_rows_give_way_to_folds_in_time() -> None:
    size = replace(QUESTIONS, num_rows=1_200, num_validation_rows=130, num_tokens=12_000)
    model, training, reasons = _within(size, 40_000)
    assert (training.cross_fit, training.refit) == (5, False)
    assert any("130 validation rows are few" in reason for reason in reasons)
    articles = DataSize(num_rows=1_530, num_validation_rows=170, num_tokens=600_000, num_labels=5)
    assert _within(articles, 80_000)[1].cross_fit == 0
    tiny = choose_sizes(replace(size, num_validation_rows=49), model, TrainingConfig(), ALL)
    assert tiny.training.cross_fit == 5


def test_a_short_time_takes_fewer_epochs_then_shorter_texts() -> None:
    model, training, _ = _within(REVIEWS, 90_000, minutes=10.0)
    assert (training.epochs, model.max_tokens) == (4, 400)
    model, training, reasons = _within(REVIEWS, 90_000, minutes=2.5)
    assert (training.epochs, model.max_tokens) == (2, 400)
    assert "4 epochs would take 4.4 minutes: set training.minutes" in " ".join(reasons)
    model, training, _ = _within(REVIEWS, 30_000, minutes=1.0)
    assert (training.epochs, model.max_tokens) == (1, 120)


def _phrases(num_rows: int) -> tuple[list[str], np.ndarray]:
    """Return texts whose label is in the letters of one word; no word occurs twice."""
    dice = np.random.default_rng(0)
    targets = dice.integers(0, 2, num_rows)
    letters = "bcdfghklmn"
    texts = []
    for row, target in enumerate(targets.tolist()):
        stem = "".join(dice.choice(list(letters), 5)) + str(row)
        texts.append(f"{stem}{('ing', 'ous')[target]}")
    return texts, targets


def test_characters_are_chosen_where_they_tell_more() -> None:
    texts, targets = _phrases(600)
    choice = choose_expert(
        texts,
        targets,
        num_labels=2,
        task=Task.single_label,
        config=ModelConfig(),
        keys=EXPERT_KEYS,
        spaceless=False,
        seconds=60,
        seed=1,
    )
    assert choice.config.expert_char_ngrams
    assert not choice.config.expert_char_across
    assert choice.trials[0].name == "words 1-2"
    assert choice.trials[0].accuracy < 0.65
    assert "characters 2-5" in choice.reason
    kept = choose_expert(
        texts,
        targets,
        num_labels=2,
        task=Task.single_label,
        config=ModelConfig(),
        keys=["model.expert_naive_bayes"],
        spaceless=False,
        seconds=60,
        seed=1,
    )
    assert not kept.config.expert_char_ngrams


def test_a_feature_that_takes_too_long_is_named_and_left_out() -> None:
    texts, targets = _phrases(600)
    choice = choose_expert(
        texts,
        targets,
        num_labels=2,
        task=Task.single_label,
        config=ModelConfig(),
        keys=["model.expert_char_ngrams"],
        spaceless=False,
        seconds=0.0,
        seed=1,
    )
    assert not choice.config.expert_char_ngrams
    assert "words 1-2 + characters 2-5 would be better but takes longer than the time allows" in choice.reason


def test_few_rows_take_all_features_for_their_script() -> None:
    for num_rows, spaceless, weight in ((20, False, 2.0), (200, True, 1.0)):
        texts, targets = _phrases(num_rows)
        config = choose_expert(
            texts,
            targets,
            num_labels=2,
            task=Task.single_label,
            config=ModelConfig(),
            keys=EXPERT_KEYS,
            spaceless=spaceless,
            seconds=60,
            seed=1,
        ).config
        assert (config.expert_char_ngrams, config.expert_char_across) == (not spaceless, spaceless)
        assert config.expert_vectors == weight


def test_an_unknown_setting_cannot_be_auto() -> None:
    with pytest.raises(ConfigError, match=r"auto: no setting model\.dropout can be auto"):
        with_settings(TrainConfig(), ["auto=[model.dropout]"])
