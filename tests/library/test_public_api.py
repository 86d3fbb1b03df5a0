"""The page of the public API, and a user's file that mypy reads strictly."""

import importlib.util
import re
import subprocess
import sys
from pathlib import Path

import pytest

import textlstm

ROOT = Path(__file__).resolve().parents[2]
USERS_FILE = """
import numpy as np
import pandas as pd

from textlstm import EvaluationReport, InputError, Prediction, TextClassifier
from textlstm.datasets import Labeller
from textlstm.sklearn import LSTMTextClassifier

rows = pd.DataFrame({"text": ["a"], "label": ["x"]})
classifier: TextClassifier = TextClassifier.fit(rows["text"], rows["label"], validation=(["a"], ["x"]), epochs=3)
predictions: list[Prediction] = classifier.predict(rows["text"])
label: str = predictions[0].label
probabilities: np.ndarray = classifier.predict_proba(np.array(["a", "b"]))
report: EvaluationReport = classifier.evaluate(["a"], ["x"])
low: float = report.figures["accuracy"].low
words: list[str] = [entry.word for entry in classifier.explain(["a"]).words(0)]
again: TextClassifier = TextClassifier.load(classifier.save("model"))
estimator: LSTMTextClassifier = LSTMTextClassifier(quality="fast").fit(["a"], ["x"])
weighed = TextClassifier.fit(["a"], ["x"], weights=[1.0], validation=(["a"], ["x"], np.array([2.0])))
estimator = estimator.fit(["a"], ["x"], sample_weight=np.array([1.0]))
labeller = Labeller("model", column="text")
try:
    classifier.predict([None])
except InputError as error:
    problems: tuple[str, ...] = error.problems
"""


def run_mypy(folder: Path, text: str) -> subprocess.CompletedProcess[str]:
    (folder / "user.py").write_text(text)
    command = [sys.executable, "-m", "mypy", "--strict", "--config-file", str(ROOT / "pyproject.toml"), "user.py"]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


def test_a_users_file_passes_mypy_strict(tmp_path: Path) -> None:
    done = run_mypy(tmp_path, USERS_FILE)
    assert done.returncode == 0, done.stdout
    wrong = run_mypy(tmp_path, USERS_FILE + 'number: int = classifier.labels[0]\nclassifier.fits(["a"])\n')
    assert len(re.findall("error:", wrong.stdout)) == 2, "control: two mistakes are seen"


def test_the_page_of_the_public_api_tells_every_name() -> None:
    pytest.importorskip("mkdocs", reason="the extra docs is not installed")
    spec = importlib.util.spec_from_file_location("docs_api", ROOT / "scripts" / "docs_api.py")
    assert spec is not None
    assert spec.loader is not None
    page_maker = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(page_maker)
    page = page_maker.api_page()
    names = [name for name in textlstm.__all__ if not name.startswith("_")]
    assert [name for name in [*names, "LSTMTextClassifier", "Labeller"] if f"\n### {name}\n" not in page] == []
    for method in ("fit", "load", "save", "predict", "predict_proba", "evaluate", "explain"):
        assert f"\n#### TextClassifier.{method}\n" in page
    assert "TextClassifier.score_ids" not in page
    assert "- `seed`: of the weights, the order of batches and dropout." in page
