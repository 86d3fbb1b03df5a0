"""The champion moves only when a paired test says so; two runs beside each other."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from textlstm.cli.main import main
from textlstm.config import CompareConfig, PromoteConfig, TrackingConfig
from textlstm.errors import ConfigError, InputError
from textlstm.stages.compare import compare
from textlstm.stages.promote import promote
from textlstm.tracking.registry import champion_of
from textlstm.tracking.tracked_runs import Contrast, PairedRows

if TYPE_CHECKING:
    from mlflow.tracking import MlflowClient

WEAK = [row % 5 != 0 for row in range(200)]
STRONG = [row % 20 != 0 for row in range(200)]


@pytest.fixture
def saved_model_dir(tmp_path: Path) -> Path:
    """Something that looks like a saved model; nothing here loads it."""
    folder = tmp_path / "bundle"
    folder.mkdir()
    (folder / "config.json").write_text('{"format_version": 1, "task": "single_label"}')
    (folder / "manifest.json").write_text("{}")
    return folder


def _champion(client: "MlflowClient") -> str:
    champion = champion_of(client, "textlstm")
    assert champion is not None
    return champion.version


def test_champion_moves_to_a_better_model_only(
    config: TrackingConfig,
    client: "MlflowClient",
    saved_model_dir: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    tracked: Callable[..., str],
) -> None:
    tracked(config, "weak", correct=WEAK, folder=tmp_path, model_dir=saved_model_dir)
    tracked(config, "strong", correct=STRONG, folder=tmp_path, model_dir=saved_model_dir)
    tracked(config, "elsewhere", correct=STRONG, folder=tmp_path, model_dir=saved_model_dir, digest="f" * 64)
    assert _champion(client) == "1"
    # Tested on other rows: refused.
    with pytest.raises(InputError) as caught:
        promote(PromoteConfig(tracking=config, version="3"))
    assert str(caught.value) == (
        "the two models were tested on different rows, so that no paired test is possible; "
        "train or evaluate both on the same test data"
    )
    # Better: promoted.
    promote(PromoteConfig(tracking=config, version="2"))
    assert _champion(client) == "2"
    assert capsys.readouterr().out == (
        "textlstm version 2 against textlstm version 1 on 200 rows: won 30, lost 0, McNemar p < 0.001\n"
        "textlstm version 2 is the champion now\n"
    )
    # Worse: refused.
    with pytest.raises(InputError) as caught:
        promote(PromoteConfig(tracking=config, version="1"))
    assert str(caught.value) == (
        "textlstm version 1 against textlstm version 2 on 200 rows: won 0, lost 30, McNemar p < 0.001: "
        "not better beyond chance; the champion stays. force=true promotes it anyway"
    )
    assert _champion(client) == "2"
    # Forced.
    promote(PromoteConfig(tracking=config, version="1", force=True))
    assert _champion(client) == "1"
    # The page says so too.
    assert "Champion: textlstm version 1." in (Path(config.dir) / "overview.html").read_text()


def test_version_that_does_not_exist_is_told(config: TrackingConfig) -> None:
    with pytest.raises(InputError, match=r"models:/textlstm: no version '7' in the registry"):
        promote(PromoteConfig(tracking=config, version="7"))


def test_two_runs_beside_each_other(
    config: TrackingConfig, tmp_path: Path, capsys: pytest.CaptureFixture[str], tracked: Callable[..., str]
) -> None:
    weak = tracked(config, "weak", correct=WEAK, folder=tmp_path)
    tracked(config, "strong", correct=STRONG, folder=tmp_path, settings={"model": {"encoder": "gru"}, "seed": 1})
    output = tmp_path / "comparison.json"
    compare(CompareConfig(runs=[weak[:8], "strong"], tracking=config, output=str(output)))
    shown = capsys.readouterr().out
    assert "0.8000 [0.7800, 0.8200]" in shown
    assert "of 200 test rows, 0 are right only in A and 30 only in B (McNemar p < 0.001)" in shown
    assert [line.split()[1] for line in shown.splitlines() if "model.encoder" in line] == ["model.encoder"]
    content = json.loads(output.read_text())
    assert content["settings"] == {"model.encoder": ["lstm", "gru"]}
    assert content["rows_only_first_has_right"] == []
    assert len(content["rows_only_second_has_right"]) == 30
    with pytest.raises(InputError) as caught:
        compare(CompareConfig(runs=[weak, "strong"], tracking=config, output=str(output)))
    assert str(caught.value) == f"{output}: exists; set overwrite=true to replace it"


def test_compare_names_the_share_of_rows_seen_in_training(
    config: TrackingConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    for name, first in (("old.csv", 0), ("new.csv", 60)):
        rows = (f"{('a goal', 'the bank')[n % 2]} {n},{('sport', 'money')[n % 2]}" for n in range(first, first + 60))
        Path(name).write_text("text,label\n" + "\n".join(rows) + "\n")
    small = ["auto=[]", "text.pos=false", "model.hidden_size=4", "training.epochs=1", "num_workers=1"]
    files = ["data=files", "data.train=old.csv", "data.test=new.csv"]
    assert main(["train", *small, *files, "output_dir=model", "tracking=off", "evaluation.report=false"]) == 0
    for name in ("old", "new"):
        data = ["data=files", f"data.test={name}.csv", "model_dir=model", "evaluation.report=false", "num_workers=1"]
        data += [f"output_dir={name}", f"tracking.dir={config.dir}", f"tracking.run_name={name}"]
        assert main(["evaluate", *data]) == 0
    capsys.readouterr()
    compare(CompareConfig(runs=["old", "new"], tracking=config))
    warnings = [line for line in capsys.readouterr().err.splitlines() if "seen in training" in line]
    assert warnings == ["warning: old: 100.0% of its test rows were seen in training"]


def test_compare_needs_two_runs_that_exist(config: TrackingConfig) -> None:
    with pytest.raises(ConfigError, match="runs: name two runs"):
        compare(CompareConfig(runs=["a"], tracking=config))
    with pytest.raises(
        InputError, match=r"a: no such run in the experiment; give an id, its beginning, or a run's name"
    ):
        compare(CompareConfig(runs=["a", "b"], tracking=config))


def test_contrast_counts_each_class() -> None:
    mine = PairedRows(["a", "b", "c", "d"], [True, True, False, False], [0, 1, 1, 0], [0, 1, 0, 1], "x")
    theirs = PairedRows(["a", "b", "c", "d"], [False, True, True, False], [0, 1, 1, 0], [1, 1, 1, 1], "x")
    assert mine.against(theirs) == Contrast(4, ("a",), ("c",), {0: (1, 0), 1: (0, 1)})


def test_paired_rows_come_back_from_the_file(tmp_path: Path) -> None:
    rows = PairedRows(["a", "b"], [True, False], [0, -1], [0, 1], "digest")
    rows.write(tmp_path / "paired.parquet")
    assert PairedRows.read(tmp_path / "paired.parquet") == rows
    (tmp_path / "broken.parquet").write_bytes(b"PAR1 and nothing")
    with pytest.raises(InputError, match=r"expected Parquet with columns id, correct, label_id, predicted_id"):
        PairedRows.read(tmp_path / "broken.parquet")
