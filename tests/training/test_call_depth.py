"""How far it is from the command to the gradient."""

import csv
import sys
from pathlib import Path

import pytest
import torch

import textlstm
from textlstm.cli import main

PACKAGE = str(Path(textlstm.__file__).parent)
MOST_CALLS = 8


def _write_rows(path: Path) -> Path:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(("text", "label"))
        writer.writerows((f"{word} number {row}", word) for row in range(30) for word in ("good", "bad"))
    return path


def _own_calls() -> list[str]:
    """Names of this package's functions that are being called, `main` first."""
    frame, names = sys._getframe(1), []
    while frame is not None:
        if frame.f_code.co_filename.startswith(PACKAGE):
            names.append(frame.f_code.co_name)
        frame = frame.f_back
    names.reverse()
    return names[names.index("main") :]


def test_few_calls_lead_from_the_command_to_the_gradient(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: set[tuple[str, ...]] = set()
    backward = torch.Tensor.backward

    def watched(self: torch.Tensor, *args: object, **kwargs: object) -> None:
        seen.add(tuple(_own_calls()))
        backward(self, *args, **kwargs)

    monkeypatch.setattr(torch.Tensor, "backward", watched)
    settings = ["auto=[]", "text=fast", "tracking=off", "training.epochs=1", "training.num_threads=1", "num_workers=1"]
    settings += ["model.hidden_size=4", "model.embedding_size=4", "evaluation.report=false", "data=files"]
    paths = {"data.train": _write_rows(tmp_path / "train.csv"), "output_dir": tmp_path / "model"}
    paths["prepared_dir"] = tmp_path / "prepared"
    assert main(["train", *settings, *(f"{key}={path}" for key, path in paths.items())]) == 0
    (calls,) = seen
    assert len(calls) <= MOST_CALLS, calls
    assert (calls[0], calls[1]) == ("main", "train")
