"""A GPU that is asked for and missing is refused in one line, before any work, by every stage."""

from pathlib import Path

import pytest
import torch

from textlstm.cli import main

pytestmark = pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")

STAGES = {
    "train": ("training.device", ["data=files", "data.train=missing.csv", "output_dir={folder}/model"]),
    "run": ("labelling.device", ["output_dir={folder}/run"]),
    "sweep": ("training.device", ["sweep.space=model.hidden_size=4,8", "output_dir={folder}/sweep"]),
    "evaluate": ("device", ["model_dir={folder}/none", "data.test=missing.csv", "output_dir={folder}/evaluation"]),
    "label": ("labelling.device", ["model_dir={folder}/none", "input=missing.csv", "output={folder}/out.csv"]),
    "explain": ("device", ["model_dir={folder}/none", "explain.text=good", "output={folder}/page.html"]),
    "prepare": ("text.tagger_device", ["data=files", "data.train=missing.csv"]),
}


@pytest.mark.parametrize("stage", STAGES)
def test_missing_gpu_is_refused_before_any_work(
    stage: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    key, settings = STAGES[stage]
    code = main([stage, f"{key}=cuda", *(setting.format(folder=tmp_path) for setting in settings)])
    captured = capsys.readouterr()
    assert (code, captured.out) == (2, "")
    assert captured.err == (
        f"textlstm: {key}=cuda: torch {torch.__version__} sees no GPU here; set {key}=auto or cpu\n"
    )
    assert list(tmp_path.iterdir()) == []
