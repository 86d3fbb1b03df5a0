"""Bounds on what is learned from at once: which rows stay, and that nothing changes below the bounds."""

import pickle
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from textlstm.config import ModelConfig, Task, TrainConfig
from textlstm.config.overrides import with_settings
from textlstm.corpus.preparation.prepare import prepare_corpus
from textlstm.corpus.prepared import PREPARED_SCHEMA, PreparedCorpus, PreparedSplit
from textlstm.fitting import networks, sampling
from textlstm.fitting.classifier import fit_classifier
from textlstm.fitting.labelled_rows import labelled_rows
from textlstm.fitting.networks import encode_rows
from textlstm.fitting.sampling import bounded_rows, linear_rows, row_classes, stratified_sample
from textlstm.models.network.inputs import encode_texts
from textlstm.vocabulary import Vocabulary


def test_all_rows_stay_where_they_fit() -> None:
    assert stratified_sample(np.array([0, 1, 1]), np.array([4, 3, 3]), most=10, seed=1) is None


def test_each_class_gives_the_same_part(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sampling, "_LEAST_OF_CLASS", 0)
    targets = np.repeat([0, 1, 2], [600, 300, 100])
    chosen = stratified_sample(targets, np.ones(1000), most=200, seed=1)
    assert chosen is not None
    assert np.bincount(targets[chosen]).tolist() == [120, 60, 20]
    assert (np.diff(chosen) > 0).all()
    again = stratified_sample(targets, np.ones(1000), most=200, seed=1)
    other = stratified_sample(targets, np.ones(1000), most=200, seed=2)
    assert chosen.tolist() == again.tolist() != other.tolist()  # type: ignore[union-attr]


def test_rows_of_every_class_come_first() -> None:
    targets = np.repeat([0, 1], [980, 20])
    chosen = stratified_sample(targets, np.ones(1000), most=100, seed=1)
    assert chosen is not None
    assert np.bincount(targets[chosen]).tolist() == [80, 20]


def test_sizes_of_rows_count() -> None:
    sizes = np.array([50, 1, 1, 1, 1, 50, 1, 1, 1, 1])
    chosen = stratified_sample(np.zeros(10), sizes, most=60, seed=1)
    assert chosen is not None
    assert sizes[chosen].sum() <= 60
    assert len(chosen) > 0


def test_class_of_several_labels_is_the_rarest() -> None:
    targets = np.array([[1, 1, 0], [1, 0, 0], [0, 0, 0], [1, 0, 1]], np.float32)
    assert row_classes(targets).tolist() == [1, 0, 3, 2]


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> PreparedCorpus:
    folder = tmp_path_factory.mktemp("corpus")
    for name, num_rows in (("train", 80), ("validation", 40)):
        rows = [f"{'good' if i % 2 else 'bad'} film number {i},{'pos' if i % 2 else 'neg'}" for i in range(num_rows)]
        (folder / f"{name}.csv").write_text("\n".join(["text,label", *rows]) + "\n", encoding="utf-8")
    files = [f"data.{name}={folder / name}.csv" for name in ("train", "validation")]
    config = with_settings(TrainConfig(), ["data.source=files", *files])
    return prepare_corpus(config.data, config.text, prepared_dir=folder / "prepared", num_workers=1)


def test_rows_within_the_bounds_are_the_same_objects(corpus: PreparedCorpus) -> None:
    rows = labelled_rows(corpus)
    assert bounded_rows(rows, seed=1) is rows
    assert linear_rows(rows, seed=1) is rows


def test_a_network_learns_the_same_from_rows_in_a_file(
    corpus: PreparedCorpus, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    config = with_settings(
        TrainConfig(), ["training.epochs=2", "training.batch_size=4", "model.hidden_size=4", "training.refit=true"]
    )
    config = with_settings(config, ["model.linear_expert=false", "evaluation.baseline=false", "auto=[]"])
    in_memory = fit_classifier(corpus, config, work_dir=tmp_path / "one")
    monkeypatch.setattr(networks, "MOST_TOKENS", 100)
    (tmp_path / "two").mkdir()
    in_file = fit_classifier(corpus, config, work_dir=tmp_path / "two")
    # The refit read 64 training and 40 validation rows of 4 tokens.
    assert (tmp_path / "two" / networks.TOKENS_FILE).stat().st_size == 4 * (64 + 40) * 4
    assert not (tmp_path / "one" / networks.TOKENS_FILE).exists()
    for name, weights in in_memory.saved_model.weights.items():
        np.testing.assert_array_equal(weights, in_file.saved_model.weights[name])


def test_a_model_beyond_the_bounds_says_what_it_learned_from(
    corpus: PreparedCorpus, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    config = with_settings(
        TrainConfig(), ["training.epochs=1", "training.batch_size=16", "model.hidden_size=4", "auto=[]"]
    )
    assert fit_classifier(corpus, config).bounds == ()
    monkeypatch.setattr(sampling, "_LEAST_OF_CLASS", 2)
    monkeypatch.setattr(sampling, "MOST_LINEAR_CHARACTERS", 700)
    monkeypatch.setattr(sampling, "MOST_VALIDATION_ROWS", 25)
    fitted = fit_classifier(corpus, config)
    assert len(fitted.validation_targets) <= 25
    assert len(fitted.bounds) == 2
    assert "of 64 training rows, a stratified sample" in fitted.bounds[0]
    assert "of 40 validation rows were used" in fitted.bounds[1]
    assert set(fitted.bounds) <= set(fitted.events())


@pytest.mark.parametrize("in_file", [False, True])
def test_rows_encoded_by_blocks_are_those_encoded_at_once(
    in_file: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = ["a", "b", "c", "new"]
    batches = []
    for first, tags in ((0, [1, 2]), (1, [3, 4, 5])):
        tokens = [words[first : first + size] for size in (1, 3, 0)]
        values = {
            "id": ["1"] * 3,
            "text": [""] * 3,
            "labels": [["x"]] * 3,
            "tokens": tokens,
            "pos": [[tags[0]] * len(row) for row in tokens],
            "num_removed": [0] * 3,
            "file": ["f"] * 3,
            "row": [1, 2, 3],
            "weight": [None] * 3,
            "probabilities": [None] * 3,
        }
        batches.append(pa.record_batch(values, schema=PREPARED_SCHEMA))
    split = PreparedSplit(pa.Table.from_batches(batches), digest="")
    config = TrainConfig(model=ModelConfig(pos_embedding_size=4, max_tokens=2))
    vocabulary = Vocabulary.build({"a": 3, "b": 2, "c": 1}, max_size=10, min_count=1)
    targets = split.targets(("x",), Task.single_label)
    if in_file:
        monkeypatch.setattr(networks, "MOST_TOKENS", 5)
    encoded = encode_rows(split, vocabulary, targets, config, work_dir=tmp_path)
    assert (tmp_path / networks.TOKENS_FILE).is_file() == in_file
    # Another process gets the same rows.
    found = pickle.loads(pickle.dumps(encoded))
    assert (encoded.file is not None) == (found.file is not None) == in_file
    expected = encode_texts(split.tokenized(), vocabulary=vocabulary, model=config.model, targets=targets)
    assert found.offsets.tolist() == expected.offsets.tolist() == [0, 1, 3, 3, 4, 6, 6]
    assert found.token_ids.tolist() == expected.token_ids.tolist()
    assert found.pos_ids is not None
    assert expected.pos_ids is not None
    assert found.pos_ids.tolist() == expected.pos_ids.tolist() == [1, 1, 1, 3, 3, 3]
    assert (found.targets == expected.targets).all()
    assert found.token_ids.dtype == expected.token_ids.dtype
