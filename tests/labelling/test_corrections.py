"""From labelled rows to better training rows: `review` chooses, a person fills in, `merge` takes over."""

import csv
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from textlstm.cli.main import main
from textlstm.labelling.corrections.selection import choose_spread

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
