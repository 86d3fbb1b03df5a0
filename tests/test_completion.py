"""Completion of commands in a shell."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from textlstm.cli.completion import SCRIPTS, candidates
from textlstm.cli.main import STAGES, main

CONFIGS = {name: stage.config_class for name, stage in STAGES.items()}


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("textlstm la", ["label"]),
        ("textlstm --v", ["--version"]),
        ("textlstm serve batch_", ["batch_wait_ms=", "batch_rows="]),
        ("textlstm serve batch_rows=3 batch_", ["batch_wait_ms="]),
        ("textlstm train training.refit=", ["training.refit=true", "training.refit=false"]),
        ("textlstm train model.encoder=g", ["model.encoder=gru"]),
        ("textlstm train training=det", ["training=deterministic"]),
        ("textlstm nothing x", []),
        ("textlstm train training.epochs=", []),
    ],
)
def test_the_last_word_is_completed(line: str, expected: list[str]) -> None:
    assert candidates(line, CONFIGS) == expected


def test_a_new_word_is_any_stage_or_any_setting() -> None:
    assert set(STAGES) < set(candidates("textlstm ", CONFIGS))
    assert {"data.train=", "model=", "seed="} < set(candidates("textlstm train ", CONFIGS))


def test_scripts_are_printed_and_another_shell_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    for shell, script in SCRIPTS.items():
        assert main(["--completion", shell]) == 0
        assert capsys.readouterr().out == f"{script}\n"
    assert main(["--completion", "tcsh"]) == 2
    assert capsys.readouterr().err == "textlstm: --completion: expected bash, zsh, fish, got 'tcsh'\n"


@pytest.mark.skipif(shutil.which("bash") is None, reason="bash is not installed")
@pytest.mark.parametrize(
    ("line", "expected"), [("textlstm lab", ["label"]), ("textlstm train model.encoder=g", ["gru"])]
)
def test_bash_completes_with_the_script(tmp_path: Path, line: str, expected: list[str]) -> None:
    command = tmp_path / "textlstm"
    command.write_text(f'#!/bin/sh\nexec {sys.executable} -m textlstm "$@"\n')
    command.chmod(0o755)
    code = (
        f'export PATH={tmp_path}:$PATH; eval "$(textlstm --completion bash)"; '
        f"COMP_LINE='{line}' COMP_POINT={len(line)}; _textlstm; printf '%s\\n' \"${{COMPREPLY[@]}}\""
    )
    done = subprocess.run(["bash", "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == expected
