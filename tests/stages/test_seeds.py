"""`textlstm train seeds=3` and `textlstm curve`: several trainings in one command."""

import json
import random
import re
import statistics
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from textlstm.cli import main
from textlstm.config import TrackingConfig
from textlstm.tracking.registry import connect
from textlstm.tracking.store import locate_store

if TYPE_CHECKING:
    from mlflow.entities import Run

WORDS = {"sport": ("goal", "match", "coach"), "money": ("bank", "share", "profit")}
SMALL = (
    *("text=fast", "model.hidden_size=4", "model.embedding_size=4", "model.embeddings=[]", "training.epochs=2"),
    *("training.num_threads=1", "num_workers=1", "auto=[]", "evaluation.bootstrap_samples=20"),
)


@pytest.fixture
def settings(tmp_path: Path) -> list[str]:
    """Settings of train over 160 short texts of two classes, a sixth of them with the other label."""
    dice = random.Random(1)
    lines = ["text,label"]
    for number in range(160):
        said, label = list(WORDS)[number % 2], list(WORDS)[(number + (dice.random() < 1 / 6)) % 2]
        lines.append(f"{' '.join(dice.choices(WORDS[said], k=3))} {number},{label}")
    (tmp_path / "rows.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    data = ["data=files", f"data.train={tmp_path / 'rows.csv'}", f"prepared_dir={tmp_path / 'prepared'}"]
    return [*data, *SMALL, f"output_dir={tmp_path / 'model'}"]


def _runs(folder: Path) -> "list[Run]":
    client = connect(locate_store(TrackingConfig(dir=str(folder / "tracking"))), timeout_seconds=30)
    return list(client.search_runs([client.get_experiment_by_name("textlstm").experiment_id]))


def test_several_seeds_keep_the_model_in_the_middle(
    settings: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings += ["tracking=off", "evaluation.report=false", "seeds=3", "seed=5"]
    assert main(["train", *settings]) == 0
    out = capsys.readouterr().out
    assert "3 seeds; the one in the middle by validation is kept" in out
    kept = [line.split()[2] for line in out.splitlines() if "(kept)" in line]
    manifest = json.loads((tmp_path / "model" / "manifest.json").read_text(encoding="utf-8"))
    assert [str(manifest["provenance"]["seed"])] == kept
    assert kept[0] in ("5", "6", "7")
    # Nothing but the model and its evaluation is left.
    assert sorted(path.name for path in tmp_path.glob("model*")) == ["model", "model-evaluation"]


def test_seeds_that_were_trained_before_a_kill_are_not_trained_again(
    settings: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from textlstm.stages import seeds

    trained: list[int] = []
    train_model = seeds.train_model

    def killed_in_the_second(config, **arguments):  # type: ignore[no-untyped-def]
        trained.append(config.seed)
        if trained == [1, 2]:
            raise KeyboardInterrupt
        return train_model(config, **arguments)

    monkeypatch.setattr(seeds, "train_model", killed_in_the_second)
    settings += ["tracking=off", "evaluation.report=false", "seeds=2"]
    assert main(["train", *settings]) == 130
    assert main(["train", *settings]) == 0
    assert trained == [1, 2, 2]
    assert "seed 1: trained before the command was cut off" in capsys.readouterr().err
    # Other settings are no continuation.
    (tmp_path / "model.seeds").mkdir()
    (tmp_path / "model.seeds" / "settings.json").write_text('{"digest": "another", "resume_key": null}')
    changed = [*settings, f"output_dir={tmp_path / 'model'}", "training.learning_rate=0.1"]
    assert main(["train", *changed, "overwrite=false"]) == 2


def test_a_sweep_and_a_curve_have_one_seed(settings: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["sweep", *settings, "seeds=3", "sweep.space=model.hidden_size=4,8"]) == 2
    assert "seeds must be 1 in a sweep, whose trials have one seed each, got 3" in capsys.readouterr().err
    assert main(["curve", *settings, "seeds=3"]) == 2
    assert main(["curve", *settings, "data.train_limit=20"]) == 2
    assert "data.train_limit: a curve chooses the numbers of rows itself" in capsys.readouterr().err


@pytest.mark.long
def test_seeds_are_children_of_a_run_with_mean_and_deviation(settings: list[str], tmp_path: Path) -> None:
    settings += [f"tracking.dir={tmp_path / 'tracking'}", "evaluation.report=false", "seeds=3"]
    assert main(["train", *settings]) == 0
    runs = _runs(tmp_path)
    (parent,) = [run for run in runs if run.data.tags["textlstm.stage"] == "seeds"]
    children = [run for run in runs if run.data.tags.get("mlflow.parentRunId") == parent.info.run_id]
    assert len(children) == 3
    found = [run.data.metrics["test/accuracy"] for run in children]
    # Names say data, encoder, and accuracy; the description begins with the answers of the report.
    assert re.fullmatch(r"rows bilstm 3 seeds 0\.\d{4} ±0\.\d{4}", parent.info.run_name)
    assert {run.info.run_name.rpartition(" ")[0] for run in children} == {f"rows bilstm seed {n}" for n in (1, 2, 3)}
    assert parent.data.tags["mlflow.note.content"].startswith("**Is it better than the baseline?**")
    assert parent.data.metrics["seeds/accuracy_mean"] == pytest.approx(statistics.mean(found))
    assert parent.data.metrics["seeds/accuracy_sd"] == pytest.approx(statistics.stdev(found))
    # The parent holds the model that is kept, and is tested on the same rows as its children.
    assert parent.data.metrics["test/accuracy"] in found
    client = connect(locate_store(TrackingConfig(dir=str(tmp_path / "tracking"))), timeout_seconds=30)
    assert [version.run_id for version in client.search_model_versions("name='textlstm'")] == [parent.info.run_id]


@pytest.mark.long
def test_a_curve_says_what_twice_the_rows_would_bring(
    settings: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings += [f"tracking.dir={tmp_path / 'tracking'}", f"output_dir={tmp_path / 'curve'}"]
    assert main(["curve", *settings, "curve.points=3"]) == 0
    out = capsys.readouterr().out
    content = json.loads((tmp_path / "curve" / "curve.json").read_text(encoding="utf-8"))
    assert [each["num_rows"] for each in content["points"]] == [29, 58, 115]
    assert ("Twice the rows would bring about" in out) is (content["law"] is not None)
    assert (tmp_path / "curve" / "curve.svg").is_file()
    page = (tmp_path / "curve" / "curve.html").read_text(encoding="utf-8")
    assert all(f"{rows} rows" in page for rows in (29, 58, 115))
    assert "sizes are trained" not in page
    runs = _runs(tmp_path)
    (parent,) = [run for run in runs if run.data.tags["textlstm.stage"] == "curve"]
    assert sum(run.data.tags.get("mlflow.parentRunId") == parent.info.run_id for run in runs) == 3
