"""Prepared rows -> scored rows: what is known of the words that filters removed."""

import csv
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest

from textlstm.arrays.string_column import StringColumn
from textlstm.config import DataConfig, DataSource
from textlstm.corpus.preparation import tokenizing
from textlstm.corpus.preparation.prepare import prepare_labelled_files
from textlstm.evaluation.scored_rows import ScoredRows
from textlstm.inference import scoring
from textlstm.inference.classifier import TextClassifier
from textlstm.inference.scoring import score_split, with_filters_undone
from textlstm.model_folder import load_saved_model

ROWS = (("the coach said a goal", "sport"), ("bank profit", "money"), ("an actor and the plot", "film"))


def test_removed_words_come_back_with_the_prediction_of_the_whole_text(tiny_model: Path, tmp_path: Path) -> None:
    saved_model = load_saved_model(tiny_model)
    classifier = TextClassifier(replace(saved_model, text=replace(saved_model.text, stop_words="remove")))
    file = tmp_path / "rows.csv"
    with file.open("w", newline="", encoding="utf-8") as stream:
        csv.writer(stream).writerows([("text", "label"), *ROWS])
    data = DataConfig(source=DataSource.files, test=[str(file)])
    corpus = prepare_labelled_files(
        data,
        classifier.saved_model.text,
        labels=classifier.labels,
        saved=None,
        prepared_dir=tmp_path / "prepared",
        num_workers=1,
    )
    assert corpus.test is not None
    rows = score_split(classifier, corpus.test)
    undone = with_filters_undone(rows, classifier, corpus.test)
    assert undone.removed_words is not None
    assert undone.unfiltered_predictions is not None
    assert [sorted(words) for words in undone.removed_words] == [["a", "the"], [], ["an", "and", "the"]]
    whole = TextClassifier(saved_model)  # the same network on texts that keep every word
    expected = whole.predict_proba([text for text, _ in ROWS]).argmax(axis=1)
    assert undone.unfiltered_predictions.tolist() == expected.tolist()


def test_rows_scored_by_blocks_are_those_scored_at_once(
    tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    saved_model = load_saved_model(tiny_model)
    classifier = TextClassifier(replace(saved_model, text=replace(saved_model.text, stop_words="remove")))
    monkeypatch.setattr(tokenizing, "PART_ROWS", 4)
    file = tmp_path / "rows.csv"
    with file.open("w", newline="", encoding="utf-8") as stream:
        csv.writer(stream).writerows(
            [("text", "label"), *[(f"{text} {i}", label) for i in range(9) for text, label in ROWS]]
        )
    corpus = prepare_labelled_files(
        DataConfig(source=DataSource.files, test=[str(file)]),
        classifier.saved_model.text,
        labels=classifier.labels,
        saved=None,
        prepared_dir=tmp_path / "prepared",
        num_workers=1,
    )
    assert corpus.test is not None
    whole = with_filters_undone(score_split(classifier, corpus.test), classifier, corpus.test)
    monkeypatch.setattr(scoring, "BLOCK_ROWS", 10)
    assert len(list(corpus.test.blocks(num_rows=10))) == 3
    blocks = with_filters_undone(score_split(classifier, corpus.test), classifier, corpus.test)
    for field in fields(ScoredRows):
        expected, found = getattr(whole, field.name), getattr(blocks, field.name)
        if isinstance(expected, np.ndarray) and expected.dtype.kind == "f":
            np.testing.assert_allclose(found, expected, atol=1e-6)
        elif isinstance(expected, np.ndarray | StringColumn):
            assert list(map(str, found)) == list(map(str, expected))
        else:
            assert found == expected
