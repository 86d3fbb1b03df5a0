"""Labelling with early exit: said in the summary, the same whatever the shards, confirmed by replay."""

import csv
import json
from pathlib import Path

import pytest

from textlstm.config import LabelConfig, LabellingConfig
from textlstm.errors import InputError, Interrupted
from textlstm.inference.classifier import TextClassifier
from textlstm.labelling.job import label_files
from textlstm.labelling.summary import LabelSummary
from textlstm.labelling.trace import replay_row

WORDS = ("goal", "match", "bank", "profit", "actor", "scene", "the", "of", "was")


def label(model: Path, output: Path, **settings: object) -> LabelSummary:
    labelling = LabellingConfig(**{"shard_rows": 50, "max_reject_fraction": 0.5, **settings})  # type: ignore[arg-type]
    source = output.parent / "in.csv"
    if not source.exists():
        with source.open("w", newline="") as stream:
            writer = csv.writer(stream)
            writer.writerow(["text"])
            writer.writerows(
                [" ".join(WORDS[(row * step) % 9] for step in range(1, 2 + row % 7))] for row in range(200)
            )
    return label_files(LabelConfig(model_dir=str(model), input=[str(source)], output=str(output), labelling=labelling))


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as stream:
        return list(csv.DictReader(stream))


def test_the_summary_says_how_many_rows_needed_no_network(tmp_path: Path, early_exit_model: Path) -> None:
    summary = label(early_exit_model, tmp_path / "on.csv")
    assert 0 < summary.num_without_network < 200
    share = f"{summary.num_without_network / 200:.1%}"
    assert summary.lines()[-2] == (
        f"early exit: the linear expert alone decided {summary.num_without_network} rows ({share}): about 1 in 1,000 rows "
        "or fewer have another label than with early_exit=off; the 1,000 held-out rows are too few to show it and show "
        "at most 3 in 1,000 (95% confidence)"
    )
    off = label(early_exit_model, tmp_path / "off.csv", early_exit="off")
    assert off.num_without_network == 0
    assert not any("early exit" in line for line in off.lines())
    # A rate below the lowest that the model knows is as good as off.
    label(early_exit_model, tmp_path / "less.csv", early_exit="0.0001")
    assert (tmp_path / "less.csv").read_bytes() == (tmp_path / "off.csv").read_bytes()


def test_the_rows_are_those_of_predict_whatever_the_shards(tmp_path: Path, early_exit_model: Path) -> None:
    label(early_exit_model, tmp_path / "large.csv")
    label(early_exit_model, tmp_path / "small.csv", shard_rows=7)
    large, small = rows_of(tmp_path / "large.csv"), rows_of(tmp_path / "small.csv")
    predictions = TextClassifier.load(early_exit_model, num_threads=1).predict([row["text"] for row in large])
    for row, other, prediction in zip(large, small, predictions, strict=True):
        assert row["predicted_label"] == other["predicted_label"] == prediction.label
        assert row["decision"] == other["decision"] == str(prediction.decision)
        assert float(row["probability"]) == pytest.approx(float(other["probability"]), abs=1.1e-6)
        assert float(row["probability"]) == pytest.approx(prediction.probability, abs=1.1e-6)


def test_replay_confirms_both_kinds_of_rows(tmp_path: Path, early_exit_model: Path) -> None:
    label(early_exit_model, tmp_path / "on.csv")
    for row in range(1, 12):
        assert replay_row(str(tmp_path / "on.csv"), row).differences == ()
    # The control: by the whole model, some of these probabilities come out differently.
    manifest = json.loads((tmp_path / "on.csv.manifest.json").read_text())
    assert manifest["config"]["labelling"]["early_exit"] == "0.001"
    label(early_exit_model, tmp_path / "off.csv", early_exit="off")
    on, off = (rows_of(tmp_path / name) for name in ("on.csv", "off.csv"))
    assert [row["probability"] for row in on[:11]] != [row["probability"] for row in off[:11]]


def test_an_unfinished_job_is_not_continued_with_another_early_exit(
    tmp_path: Path, early_exit_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*_: object) -> None:
        raise Interrupted(2)

    with monkeypatch.context() as patch:
        patch.setattr("textlstm.labelling.job.RejectWatch.add", interrupt)
        with pytest.raises(Interrupted):
            label(early_exit_model, tmp_path / "out.csv")
    with pytest.raises(InputError, match="since then changed: settings"):
        label(early_exit_model, tmp_path / "out.csv", early_exit="off")
    assert label(early_exit_model, tmp_path / "out.csv").num_continued == 50
