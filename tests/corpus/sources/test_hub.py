"""Rows through the `datasets` library, from a folder that `save_to_disk` wrote; no network."""

from pathlib import Path
from typing import Any

import pytest

from textlstm.config import DataConfig, DataSource, TextConfig
from textlstm.corpus.preparation.prepare import prepare_corpus
from textlstm.corpus.prepared import Split
from textlstm.corpus.rows.records import Reject
from textlstm.corpus.sources.sources import Source, open_sources
from textlstm.errors import InputError

datasets = pytest.importorskip("datasets")


def save(folder: Path, splits: dict[str, dict[str, list[Any]]], features: Any) -> str:
    made = {name: datasets.Dataset.from_dict(columns, features=features) for name, columns in splits.items()}
    datasets.DatasetDict(made).save_to_disk(str(folder))
    return str(folder)


def single_label() -> Any:
    return datasets.Features({"text": datasets.Value("string"), "label": datasets.ClassLabel(names=["no", "yes"])})


def sources_of(name: str, **settings: Any) -> dict[Split, Source]:
    return {source.split: source for source in open_sources(DataConfig(source=DataSource.hub, name=name, **settings))}


def labelled(source: Source) -> list[tuple[str, tuple[str, ...]]]:
    return [(example.text, example.labels) for example in source.examples() if not isinstance(example, Reject)]


def test_texts_are_verbatim_and_classes_have_names(tmp_path: Path) -> None:
    texts = ["NA", "00123", " two\nlines ", "1e5"]
    name = save(tmp_path / "set", {"train": {"text": texts, "label": [0, 1, 1, 0]}}, single_label())
    source = sources_of(name)[Split.train]
    assert labelled(source) == [("NA", ("no",)), ("00123", ("yes",)), (" two\nlines ", ("yes",)), ("1e5", ("no",))]
    assert source.names == ("set[train]",)


def test_number_labels_stay_as_they_are_written(tmp_path: Path) -> None:
    features = datasets.Features({"text": datasets.Value("string"), "label": datasets.Value("int64")})
    name = save(tmp_path / "set", {"train": {"text": ["a", "b"], "label": [1, 10]}}, features)
    assert labelled(sources_of(name)[Split.train]) == [("a", ("1",)), ("b", ("10",))]


def test_lists_of_classes_are_several_labels(tmp_path: Path) -> None:
    features = datasets.Features(
        {"text": datasets.Value("string"), "labels": datasets.List(datasets.ClassLabel(names=["x", "y", "z"]))}
    )
    columns = {"text": ["a", "b", "c"], "labels": [[0, 2], [], [1]]}
    name = save(tmp_path / "set", {"train": columns}, features)
    assert labelled(sources_of(name, labels_column="labels")[Split.train]) == [
        ("a", ("x", "z")),
        ("b", ()),
        ("c", ("y",)),
    ]


def test_dev_is_validation_and_secret_labels_are_left_out(tmp_path: Path) -> None:
    rows = {"text": ["a", "b"], "label": [0, 1]}
    secret = {"text": ["c"], "label": [-1]}
    name = save(tmp_path / "set", {"train": rows, "dev": rows, "test": secret}, single_label())
    found = sources_of(name)
    assert list(found) == [Split.train, Split.validation]
    assert found[Split.train].notes == (f"{name}[test] has no labels and is left out",)


def test_a_null_text_is_rejected_with_its_row(tmp_path: Path) -> None:
    name = save(tmp_path / "set", {"train": {"text": ["a", None], "label": [0, 1]}}, single_label())
    rows = list(sources_of(name)[Split.train].examples())
    assert rows[1] == Reject(f"{name}[train]", 2, -1, "column 'text': the text is null, not a string")


def test_the_digest_depends_on_content_alone(tmp_path: Path) -> None:
    rows = {"text": ["a", "b"], "label": [0, 1]}
    first = save(tmp_path / "first", {"train": rows}, single_label())
    second = save(tmp_path / "second", {"train": rows}, single_label())
    third = save(tmp_path / "third", {"train": {"text": ["a", "b"], "label": [0, 0]}}, single_label())
    digests = [sources_of(name)[Split.train].digest for name in (first, second, third)]
    assert digests[0] == digests[1] != digests[2]


def test_a_corpus_is_prepared_from_a_folder(tmp_path: Path, one_spacy: None) -> None:
    rows = {"text": [f"text {i}" for i in range(40)], "label": [i % 2 for i in range(40)]}
    name = save(tmp_path / "set", {"train": rows, "test": {"text": ["x", "y"], "label": [0, 1]}}, single_label())
    data = DataConfig(source=DataSource.hub, name=name)
    corpus = prepare_corpus(data, TextConfig(pos=False), prepared_dir=tmp_path / "prepared", num_workers=1)
    assert (corpus.labels, corpus.warnings) == (("no", "yes"), ())
    assert [len(split) if split else 0 for split in (corpus.train, corpus.validation, corpus.test)] == [36, 4, 2]


def test_a_missing_column_names_those_that_exist(tmp_path: Path) -> None:
    name = save(tmp_path / "set", {"train": {"text": ["a"], "label": [0]}}, single_label())
    with pytest.raises(InputError) as error:
        sources_of(name, text_column="txt")
    assert str(error.value) == (
        f"{name}[train]: no column 'txt'; did you mean 'text'? The columns are 'text', 'label'. Set data.text_column."
    )


def test_a_set_without_train_names_its_splits(tmp_path: Path) -> None:
    name = save(tmp_path / "set", {"test": {"text": ["a"], "label": [0]}}, single_label())
    with pytest.raises(InputError) as error:
        sources_of(name)
    assert str(error.value) == f"data.name='{name}' has no split 'train'; its splits are 'test'."


def test_a_folder_of_something_else_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError) as error:
        sources_of(str(tmp_path))
    assert str(error.value) == (
        f"data.name='{tmp_path}': is no folder that datasets' save_to_disk wrote (Directory {tmp_path} is neither a "
        "`Dataset` directory nor a `DatasetDict` directory.). Use data=files for files of rows."
    )


def test_a_hub_out_of_reach_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise ConnectionError("Couldn't reach 'ag_news' on the Hub (LocalEntryNotFoundError)")

    monkeypatch.setattr(datasets, "load_dataset", refuse)
    with pytest.raises(InputError) as error:
        sources_of("ag_news")
    assert str(error.value) == (
        "data.name='ag_news': the hub cannot be reached and the data set is not in the local cache (Couldn't reach "
        "'ag_news' on the Hub (LocalEntryNotFoundError)). Where there is a network, run "
        "datasets.load_dataset('ag_news').save_to_disk('FOLDER'), copy the folder, and set data.name=FOLDER."
    )
