"""Files and folders whose names are no UTF-8: their rows are read, and what stores a name stores it as text."""

import os
from pathlib import Path

import pytest

from textlstm.config import DataConfig, DataSource, TextConfig
from textlstm.corpus.preparation.prepare import prepare_corpus
from textlstm.corpus.prepared import PreparedCorpus
from textlstm.corpus.rows.readers import read_records
from textlstm.corpus.rows.settings import ReadSettings
from textlstm.corpus.sources.examples import read_extra_columns

LATIN_1 = os.fsdecode(b"caf\xe9")


@pytest.fixture(autouse=True)
def _in_tmp_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def prepared(data: DataConfig) -> PreparedCorpus:
    return prepare_corpus(data, TextConfig(pos=False), prepared_dir=Path("prepared"), num_workers=1)


def test_a_training_file_whose_name_is_no_utf_8_is_prepared() -> None:
    rows = "".join(f"row {n} of words,{'ab'[n % 2]},{'uv'[n % 2]}\n" for n in range(60))
    broken = "a row of one cell\n"
    Path(f"{LATIN_1}.csv").write_text(f"text,label,kind\n{rows}{broken}")
    data = DataConfig(source=DataSource.files, train=[f"{LATIN_1}.csv"], max_reject_fraction=0.1)
    train = prepared(data).train
    assert train is not None
    files = train.table.column("file").to_pylist()
    assert set(files) == {"caf\\udce9.csv"}
    extra = read_extra_columns(data, files, train.table.column("row").to_pylist())
    assert sorted(set(extra["kind"])) == ["u", "v"]


def test_folders_of_classes_whose_names_are_no_utf_8_are_prepared() -> None:
    for number in range(40):
        folder = Path("all") / (LATIN_1 if number % 2 else "bar")
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{LATIN_1}{number}.txt").write_text(f"row {number} of words")
    corpus = prepared(DataConfig(source=DataSource.files, train=["all"]))
    assert corpus.labels == ("bar", "caf\\udce9")
    rows = list(read_records(Path("all"), ReadSettings()))
    assert rows[-1].fields["path"] == "caf\\udce9/caf\\udce99.txt"  # type: ignore[union-attr]
