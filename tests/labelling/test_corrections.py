"""From labelled rows to better training rows: `review` chooses, a person fills in, `merge` takes over."""

import csv
import gzip
import json
import os
import re
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from textlstm.cli.main import main
from textlstm.corpus.rows.readers import read_records
from textlstm.corpus.rows.records import Record
from textlstm.corpus.rows.settings import ReadSettings
from textlstm.labelling.corrections.selection import choose_spread
from textlstm.labelling.model import describe_model

TRAIN = "id,text,label\n1,the goal of the match,sport\n2,bank profit,sport\n3,actor in a scene,film\n4,a share of it,money\n"


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as stream:
        return list(csv.DictReader(stream))


def write(path: Path, rows: list[dict[str, str]]) -> None:
    with path.open("w", newline="") as stream:
        writer = csv.DictWriter(stream, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


@pytest.fixture
def labelled(tmp_path: Path, tiny_model: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Clear rows, rows between two labels, and rows of new words, labelled by the real model."""
    monkeypatch.chdir(tmp_path)
    clear = [f"the goal of the match said coach {number}" for number in range(20)]
    unclear = ["bank goal", "goal bank actor", "profit coach", "entirely new words here", ""]
    write(tmp_path / "in.csv", [{"id": str(number), "text": text} for number, text in enumerate(clear + unclear)])
    label = ["label", f"model_dir={tiny_model}", "input=in.csv", "output=out.csv", "tracking=off", "--quiet"]
    assert main(label) == 0
    return tmp_path


def test_the_rows_most_worth_a_look_come_with_their_reasons(labelled: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["review", "out.csv", "num_rows=4"]) == 0
    assert capsys.readouterr().out.startswith("4 rows of 25 to look at in out.csv.review.csv\n")
    rows = rows_of(labelled / "out.csv.review.csv")
    names = "review_reason correct_label id text predicted_label probability decision review_source"
    assert list(rows[0]) == names.split()
    assert all(row["correct_label"] == "" and row["text"] for row in rows)
    assert all(re.match(r"probability [01]\.\d\d", row["review_reason"]) for row in rows)
    new = next(row for row in rows if row["text"] == "entirely new words here")
    assert "new words 100%" in new["review_reason"]
    assert new["review_source"].startswith("out.csv row 24, model ")
    # Of the twenty rows that are alike, at most one is shown.
    assert sum(row["text"].startswith("the goal of the match") for row in rows) <= 1


def test_what_cannot_be_reviewed_is_refused(labelled: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def refusal(*typed: str) -> str:
        assert main(["review", *typed]) in (2, 3)
        return capsys.readouterr().err

    assert refusal() == "textlstm: output: not set; name a labelled file, such as textlstm review labelled.csv\n"
    assert "only files that `textlstm label` wrote can be traced" in refusal("in.csv")
    assert "num_rows must be at least 1" in refusal("out.csv", "num_rows=0")
    assert main(["review", "out.csv"]) == 0
    assert refusal("out.csv") == (
        "textlstm: out.csv.review.csv: exists; choose another review=FILE or set overwrite=true\n"
    )
    Path("out.csv").write_text(Path("out.csv").read_text().replace("sport", "money", 1))
    assert "was changed after it was labelled" in refusal("out.csv", "overwrite=true")


@pytest.fixture
def merge(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., int]:
    """Merge three reviewed rows and an empty one into four training rows."""
    monkeypatch.chdir(tmp_path)
    Path("train.csv").write_text(TRAIN)
    reviewed = [("bank profit", "money"), ("a scene", "film"), ("the goal of the match", "sport"), ("open", "")]
    write(
        Path("reviewed.csv"),
        [
            {"text": text, "correct_label": label, "review_source": f"out.csv row {n}"}
            for n, (text, label) in enumerate(reviewed)
        ],
    )
    return lambda *typed: main(["merge", "reviewed.csv", "train=train.csv", "output=new.csv", *typed])


def test_reviewed_rows_join_the_training_rows_with_their_provenance(
    merge: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    assert merge() == 0
    assert capsys.readouterr().out == (
        "new.csv: 5 rows, 1 added, 1 with another label than before, 1 there already, 1 not filled in\n"
    )
    assert Path("new.csv").read_text() == (
        "id,text,label,provenance\n"
        "1,the goal of the match,sport,\n"
        '2,bank profit,money,"out.csv row 0, was sport"\n'
        "3,actor in a scene,film,\n"
        "4,a share of it,money,\n"
        ",a scene,film,out.csv row 1\n"
    )
    assert Path("train.csv").read_text() == TRAIN
    # The same rows again change nothing.
    assert main(["merge", "reviewed.csv", "train=new.csv", "output=again.csv"]) == 0
    assert Path("again.csv").read_bytes() == Path("new.csv").read_bytes()


def test_wrong_reviews_are_refused_together(merge: Callable[..., int], capsys: pytest.CaptureFixture[str]) -> None:
    with Path("reviewed.csv").open("a") as stream:
        stream.write("bank profit,sprot,x\n")
    assert merge() == 2
    assert capsys.readouterr().err == (
        "textlstm: reviewed.csv:5: no training row has the label 'sprot'; did you mean 'sport'? Set new_labels=true where "
        "it is a new one\n"
        "textlstm: reviewed.csv:5: 'sprot', but a review of the same text says 'money'\n"
    )
    assert not Path("new.csv").exists()
    assert main(["merge"]) == 2
    assert capsys.readouterr().err.count(": not set; see textlstm merge --help") == 3
    Path("reviewed.csv").write_text("text,correct_label\nbank profit,\n")
    assert merge() == 2
    assert capsys.readouterr().err == ("textlstm: reviewed.csv: no row has a correct_label; fill that column first\n")
    Path("reviewed.csv").write_text("text,correct_label\nrain,weather\n")
    assert merge("new_labels=true") == 0


@pytest.mark.parametrize("name", ["todo.xls", "todo.txt", "todo", "todo.json"])
def test_a_name_without_a_format_that_is_written_is_refused(
    labelled: Path, merge: Callable[..., int], capsys: pytest.CaptureFixture[str], name: str
) -> None:
    refusal = (
        f"textlstm: {name}: tells no format that is written; choose a name that ends in .csv, .tsv, .jsonl, .parquet or .xlsx, "
        "the first three also with .gz or .zst\n"
    )
    assert (main(["review", "out.csv", f"review={name}"]), capsys.readouterr().err) == (2, refusal)
    assert (merge(f"output={name}"), capsys.readouterr().err) == (2, refusal)
    assert not Path(name).exists()


def test_a_packed_review_is_packed(labelled: Path) -> None:
    assert main(["review", "out.csv", "review=todo.csv.gz", "num_rows=3"]) == 0
    assert len(gzip.decompress(Path("todo.csv.gz").read_bytes()).splitlines()) == 4


def test_what_is_read_stays_as_it_is(
    labelled: Path, merge: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    before = {name: Path(name).read_bytes() for name in ("out.csv", "train.csv", "reviewed.csv")}
    Path("link.csv").symlink_to("train.csv")
    assert main(["review", "out.csv", "review=out.csv", "overwrite=true"]) == 2
    for name in ("train.csv", "link.csv", "reviewed.csv"):
        assert merge(f"output={name}", "overwrite=true") == 2
    assert capsys.readouterr().err.splitlines() == [
        f"textlstm: {name}: is a file that is read and stays as it is; choose another {key}"
        for name, key in (
            *(("out.csv", "review=FILE"), ("train.csv", "output"), ("link.csv", "output"), ("reviewed.csv", "output")),
        )
    ]
    assert {name: Path(name).read_bytes() for name in before} == before
    Path("old.csv").write_text("x")
    assert merge("output=old.csv", "overwrite=true") == 0  # negative control


def test_a_pipe_for_the_review_stays_a_pipe(labelled: Path) -> None:
    os.mkfifo("pipe.csv")
    assert main(["review", "out.csv", "review=pipe.csv", "overwrite=true"]) == 2
    assert Path("pipe.csv").is_fifo()


def test_rows_of_jsonl_keep_all_their_columns(labelled: Path, tiny_model: Path) -> None:
    Path("in.jsonl").write_text('{"text": "bank goal", "a": 1.50}\n{"text": "actor", "b": [1, null]}\n')
    label = ["label", f"model_dir={tiny_model}", "input=in.jsonl", "output=out.jsonl", "tracking=off", "--quiet"]
    assert main(label) == 0
    assert main(["review", "out.jsonl", "review=todo.csv"]) == 0
    assert {(row["text"], row["a"], row["b"]) for row in rows_of(Path("todo.csv"))} == {
        ("bank goal", "1.50", ""),
        ("actor", "", "[1, null]"),
    }
    assert main(["review", "out.jsonl", "review=todo.jsonl"]) == 0
    assert '"a": 1.50' in Path("todo.jsonl").read_text()
    Path("train.jsonl").write_text('{"text": "goal", "label": "sport"}\n{"text": "x", "label": "film", "late": 1}\n')
    Path("reviewed.csv").write_text("text,correct_label\ngoal,film\n")
    assert main(["merge", "reviewed.csv", "train=train.jsonl", "output=new.csv"]) == 0
    assert Path("new.csv").read_text() == (
        'text,label,late,provenance\ngoal,film,,"reviewed.csv row 1, was sport"\nx,film,1,\n'
    )


def test_a_review_of_several_labels_is_refused_before_the_rows_are_read(
    labelled: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def card(directory: Path) -> object:
        return replace(describe_model(directory), is_multi_label=True)

    monkeypatch.setattr("textlstm.labelling.corrections.review.describe_model", card)
    monkeypatch.setattr("textlstm.labelling.corrections.review.read_records", None)
    assert main(["review", "out.csv"]) == 2
    assert capsys.readouterr().err == (
        "textlstm: out.csv: its model gives several labels a row; only single labels can be reviewed\n"
    )


# Training files of every kind.


@pytest.fixture
def reviewed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("reviewed.csv").write_text("text,correct_label\ngoal,film\nnew,sport\n")


@pytest.mark.usefixtures("reviewed")
def test_a_training_file_in_a_pipe_is_merged() -> None:
    os.mkfifo("train.csv")
    writer = threading.Thread(target=Path("train.csv").write_text, args=("text,label\ngoal,sport\nx,film\n",))
    writer.start()
    assert main(["merge", "reviewed.csv", "train=train.csv", "output=new.csv"]) == 0
    writer.join()
    assert [row["label"] for row in rows_of(Path("new.csv"))] == ["film", "film", "sport"]


@pytest.mark.usefixtures("reviewed")
def test_lists_of_one_label_are_that_label() -> None:
    Path("train.jsonl").write_text('{"text": "goal", "label": ["sport"]}\n{"text": "x", "label": ["film"]}\n')
    assert main(["merge", "reviewed.csv", "train=train.jsonl", "output=new.jsonl"]) == 0
    found = [json.loads(line) for line in Path("new.jsonl").read_text().splitlines()]
    assert [row["label"] for row in found] == [["film"], ["film"], ["sport"]]
    assert main(["merge", "reviewed.csv", "train=train.jsonl", "output=new.csv"]) == 0
    assert [row["label"] for row in rows_of(Path("new.csv"))] == ["film", "film", "sport"]


@pytest.mark.usefixtures("reviewed")
def test_parquet_keeps_its_types() -> None:
    columns = {"text": ["goal", "x"], "label": ["sport", "film"], "n": pa.array([1, 2], pa.int32()), "z": [b"a", None]}
    schema = pa.schema(
        [
            ("text", pa.string()),
            ("label", pa.dictionary(pa.int8(), pa.string())),
            ("n", pa.int32()),
            ("z", pa.binary()),
        ],
        metadata={b"pandas": b"{}"},
    )
    pq.write_table(pa.table(columns).cast(schema), "train.parquet")
    assert main(["merge", "reviewed.csv", "train=train.parquet", "output=new.parquet"]) == 0
    table = pq.read_table("new.parquet")
    assert [str(field.type) for field in table.schema] == [
        *("string", "dictionary<values=string, indices=int8, ordered=0>", "int32", "binary", "string"),
    ]
    assert (table["label"].to_pylist(), table["n"].to_pylist()) == (["film", "film", "sport"], [1, 2, None])
    assert b"pandas" in table.schema.metadata


@pytest.mark.usefixtures("reviewed")
def test_class_numbers_of_datasets_become_their_names() -> None:
    feature = {"names": ["film", "sport"], "_type": "ClassLabel"}
    metadata = {b"huggingface": json.dumps({"info": {"features": {"label": feature}}}).encode()}
    table = pa.table({"text": ["goal", "x"], "label": [1, 0]})
    pq.write_table(table.replace_schema_metadata(metadata), "train.parquet")
    assert main(["merge", "reviewed.csv", "train=train.parquet", "output=new.parquet"]) == 0
    settings = ReadSettings(need_labels=True)
    rows = list(read_records(Path("new.parquet"), settings))
    assert [row.fields["label"] for row in rows if isinstance(row, Record)] == ["film", "film", "sport"]


@pytest.mark.usefixtures("reviewed")
def test_a_reviewed_label_needs_a_text_and_is_one(capsys: pytest.CaptureFixture[str]) -> None:
    Path("train.csv").write_text("text,label\ngoal,sport\nx,film\n")
    Path("todo.jsonl").write_text(
        '{"text": " ", "correct_label": "film"}\n{"text": "goal", "correct_label": ["film", "sport"]}\n'
        '{"text": "goal", "correct_label": null}\n'
    )
    assert main(["merge", "todo.jsonl", "train=train.csv", "output=new.csv"]) == 2
    assert capsys.readouterr().err == (
        "textlstm: todo.jsonl:1: has a correct_label and no text\n"
        "textlstm: todo.jsonl:2: correct_label holds no single label\n"
    )


@pytest.mark.usefixtures("reviewed")
def test_messages_name_the_settings_of_merge(capsys: pytest.CaptureFixture[str]) -> None:
    Path("train.csv").write_text("text,label\ngoal,sport\nx,film\n")
    Path("wide.csv").write_text("text,label\ngoal,sport\nx,film\n", encoding="utf-16")

    def refusal(*typed: str) -> str:
        assert main(["merge", "train=train.csv", "output=new.csv", *typed]) == 2
        return capsys.readouterr().err.rpartition("; ")[2].rpartition(". ")[2]

    assert refusal("reviewed.csv", "text_column=body") == "Set text_column.\n"
    assert refusal("reviewed.csv", "label_column=class") == "Set label_column.\n"
    assert refusal("reviewed.csv", "review_text_column=body") == "Set review_text_column.\n"
    assert refusal("train.csv") == "Name files of `textlstm review`.\n"
    assert main(["merge", "reviewed.csv", "train=wide.csv", "output=new.csv"]) == 2
    assert capsys.readouterr().err == "textlstm: wide.csv: looks like UTF-16 text. Set encoding=utf-16.\n"
    assert main(["merge", "reviewed.csv", "train=wide.csv", "output=new.csv", "encoding=utf-16"]) == 0


def test_chosen_texts_are_spread_over_clusters() -> None:
    texts = [f"alpha beta gamma kappa lambda mu nu xi omicron {n % 3}" for n in range(30)] + [
        "delta epsilon",
        "zeta eta theta",
    ]
    worth = np.array([0.9] * 30 + [0.5, 0.4])
    chosen = choose_spread(texts, worth, num_rows=3)
    assert {texts[place].split()[0] for place in chosen} == {"alpha", "delta", "zeta"}
    # Negative control: by worth alone all three would be alike.
    assert {texts[place].split()[0] for place in np.argsort(-worth, kind="stable")[:3]} == {"alpha"}
    assert choose_spread(["a", "a", "b"], np.array([0.1, 0.3, 0.2]), num_rows=5).tolist() == [1, 2]
    assert choose_spread([], np.zeros(0), num_rows=5).tolist() == []
