"""`textlstm info` says what a model is."""

from pathlib import Path

import pytest

from textlstm.cli import main
from textlstm.model_folder import model_digest


def test_info_tells_labels_network_size_and_digest(tiny_model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["info", str(tiny_model)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[:2] == ["labels         3: film, money, sport", "task           single_label"]
    assert lines[-1] == f"digest         {model_digest(tiny_model)}"
    assert [line.split("  ")[0] for line in lines] == [
        *("labels", "task", "network", "linear expert", "language", "made with", "size", "digest")
    ]


def test_info_refuses_what_is_no_model(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["info", f"model_dir={tmp_path}"]) == 3
    assert capsys.readouterr().err == (
        f"textlstm: {tmp_path}: no model here (manifest.json is missing); train one or set model_dir\n"
    )


def test_version_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out.startswith("textlstm ")
