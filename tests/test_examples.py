"""The example projects: their settings compose, and every command of their pages runs."""

import csv
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.svm import LinearSVC

from textlstm.cli.main import STAGES
from textlstm.cli.settings import compose_config
from textlstm.config import TrainConfig

EXAMPLES = Path(__file__).resolve().parent.parent / "examples"
PAGES = sorted(EXAMPLES.glob("*/README.md"))
FLOORS = {"sentiment": 0.80, "intents": 0.75, "german": 0.65, "tickets": 0.75}
"""Accuracy that a sound run passes by far, and a broken one does not."""


def commands(page: Path) -> list[str]:
    """The command lines of a page: those indented by four spaces."""
    return re.findall(r"^ {4}(textlstm .*)$", page.read_text(encoding="utf-8"), re.MULTILINE)


def test_every_folder_is_on_the_page_of_examples() -> None:
    index = (EXAMPLES / "README.md").read_text(encoding="utf-8")
    assert [page.parent.name for page in PAGES if f"({page.parent.name}/README.md)" not in index] == []
    assert len(PAGES) == 5


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*/*.yaml")), ids=lambda path: path.stem)
def test_settings_compose(path: Path) -> None:
    config = compose_config("train", TrainConfig, [], str(path))
    assert config.output_dir == f"outputs/{path.stem}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.parent.name)
def test_pages_name_stages_and_settings_that_exist(page: Path) -> None:
    found = commands(page)
    assert len(found) >= 2
    for command in found:
        stage, *rest = re.sub(r'"[^"]*"', "x", command).split()[1:]
        overrides = [item for item in rest if "=" in item]
        assert isinstance(
            compose_config(
                stage,
                STAGES[stage].config_class,
                [*overrides, "data.source=files"][: len(overrides) + (stage == "train")],
            ),
            STAGES[stage].config_class,
        )


@pytest.mark.long
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.parent.name)
def test_every_command_of_the_page_runs(page: Path, tmp_path: Path, corpora: Path) -> None:
    needed = set(re.findall(r"TEXTLSTM_CORPORA/(\w+)/", page.read_text(encoding="utf-8")))
    missing = sorted(name for name in needed if not (corpora / name).is_dir())
    if missing:
        pytest.skip(f"no corpus {', '.join(missing)} under {corpora}; set TEXTLSTM_CORPORA")
    (tmp_path / "examples").symlink_to(EXAMPLES)
    environment = os.environ | {
        "TEXTLSTM_CORPORA": str(corpora),
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
    }
    for command in commands(page):
        done = subprocess.run(
            ["bash", "-c", command], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, f"{command}\n{done.stderr}"
    name = page.parent.name
    model = tmp_path / ("model" if name == "tickets" else f"outputs/{name}")
    metrics = json.loads((model.with_name(f"{model.name}-evaluation") / "metrics.json").read_text(encoding="utf-8"))
    if name in FLOORS:
        assert metrics["accuracy"] > FLOORS[name]
    else:
        assert metrics["macro_f1"] > 0.30


def test_the_tickets_can_be_lost() -> None:
    """LinearSVC is right on 80 to 93 % of them, so that comparisons, reports and thresholds have something to show."""
    with (EXAMPLES / "tickets" / "tickets.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    labels = sorted({row["kind"] for row in rows})
    texts, targets = [row["message"] for row in rows], np.array([labels.index(row["kind"]) for row in rows])
    machine = make_pipeline(TfidfVectorizer(sublinear_tf=True, ngram_range=(1, 2)), LinearSVC(random_state=0))
    assert 0.80 <= cross_val_score(machine, texts, targets, cv=5).mean() <= 0.93
