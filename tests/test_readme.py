"""The README names every stage and every make target, and none that does not exist."""

import re
import subprocess
from pathlib import Path

import pytest

from textlstm.cli.main import STAGES

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
TARGETS = re.findall(r"^([a-z][a-z-]*):.*## ", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)


def test_every_stage_stands_in_the_readme() -> None:
    assert [stage for stage in STAGES if f"`textlstm {stage}" not in README] == []


def test_every_make_target_stands_in_the_readme() -> None:
    assert [target for target in TARGETS if f"`make {target}" not in README] == []


def test_readme_names_no_stage_or_target_that_is_not_there() -> None:
    assert set(re.findall(r"`make ([a-z][a-z-]*)", README)) <= set(TARGETS)
    assert set(re.findall(r"`textlstm ([a-z]+)", README)) <= set(STAGES)


def test_links_lead_to_files() -> None:
    pages = [ROOT / "README.md", *(ROOT / "docs").rglob("*.md"), *(ROOT / "examples").rglob("*.md")]
    broken = [
        f"{page.name}: {link}"
        for page in pages
        for link in re.findall(r"\]\(([^)#:]+?)(?:#[^)]*)?\)", page.read_text(encoding="utf-8"))
        if not (page.parent / link).exists()
    ]
    assert broken == []


def test_library_example_has_eight_lines_and_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    code = re.search(r"```python\n(.*?)```", README, re.DOTALL)
    assert code is not None
    lines = [line for line in code[1].splitlines() if line.strip()]
    assert len(lines) <= 8
    names: dict[str, object] = {}
    exec(code[1], names)
    assert getattr(names["probabilities"], "shape", None) == (2, 2)
    assert capsys.readouterr().out == "business\nsport\n"
    assert (tmp_path / "news" / "manifest.json").is_file()


def outputs_of(page: str) -> list[str]:
    """Return the outputs that the commands of a page name, without folders of others."""
    named = re.findall(r"^(?:\$ | {4})textlstm .*?\boutput(?:_dir)?=([\w./-]+)", page, re.MULTILINE)
    return [name for name in named if name != "-" and "/" not in name]


@pytest.mark.skipif(not (ROOT / ".git").exists(), reason="no checkout of git")
def test_commands_leave_nothing_untracked_in_the_checkout() -> None:
    pages = [README, *(page.read_text(encoding="utf-8") for page in (ROOT / "docs" / "tutorials").glob("*.md"))]
    outputs = sorted({name for page in pages for name in outputs_of(page)} | {"news", "model-evaluation"})
    assert {"model", "labelled.csv", "evaluation", "why.html"} <= set(outputs)

    def ignored(names: list[str]) -> list[str]:
        command = ["git", "-C", str(ROOT), "check-ignore", "--no-index", *names]
        return subprocess.run(command, capture_output=True, text=True, check=False).stdout.split()

    paths = [name if "." in name else f"{name}/file" for name in outputs]
    assert [path for path in paths if path not in ignored(paths)] == []
    assert ignored(["README.md", "examples/tickets/tickets.csv"]) == []  # the control
