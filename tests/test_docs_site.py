"""The documentation site: every stage has a generated page, the site builds without a broken link and fetches nothing."""

import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from textlstm.cli.main import STAGES
from textlstm.cli.settings_help import describe_settings

ROOT = Path(__file__).resolve().parent.parent
PAGES = sorted((ROOT / "docs").rglob("*.md"))
SOURCE = "\n".join(path.read_text(encoding="utf-8") for path in sorted((ROOT / "src").rglob("*.py")))


@pytest.fixture(scope="module")
def settings_pages() -> ModuleType:
    pytest.importorskip("mkdocs", reason="the extra docs is not installed")
    spec = importlib.util.spec_from_file_location("docs_settings", ROOT / "scripts" / "docs_settings.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("stage", list(STAGES))
def test_page_of_a_stage_names_every_setting(settings_pages: Any, stage: str) -> None:
    page = settings_pages.stage_page(stage, STAGES[stage])
    missing = [key for key, _, _ in describe_settings(STAGES[stage].config_class) if f"| `{key}` |" not in page]
    assert missing == []


def test_settings_that_pages_name_exist() -> None:
    known = {key for stage in STAGES.values() for key, _, _ in describe_settings(stage.config_class)}
    groups = {key.partition(".")[0] for key in known if "." in key}
    text = "\n".join(path.read_text(encoding="utf-8") for path in [ROOT / "README.md", *PAGES])
    named = set(re.findall(rf"\b((?:{'|'.join(sorted(groups))})\.[a-z_]+)=", text))
    assert len(named) > 50
    assert sorted(named - known) == []


def test_messages_of_the_troubleshooting_page_are_those_of_the_program() -> None:
    page = (ROOT / "docs" / "troubleshooting.md").read_text(encoding="utf-8")
    messages = re.findall(r"^`([^`]+)`$", page, re.MULTILINE)
    assert len(messages) > 25
    joined = re.sub(r'"\s*\n\s*f?"', "", SOURCE)
    pieces = [piece for message in messages for piece in message.split("…")]
    assert [piece for piece in pieces if piece not in joined] == []


def test_no_page_is_outside_the_navigation() -> None:
    navigation = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    assert [
        str(page.relative_to(ROOT / "docs"))
        for page in PAGES
        if f"{page.relative_to(ROOT / 'docs')}\n" not in navigation
    ] == []


def build(config: Path, site: Path) -> "subprocess.CompletedProcess[str]":
    command = [
        sys.executable,
        "-m",
        "mkdocs",
        "build",
        "--strict",
        "--config-file",
        str(config),
        "-d",
        str(site),
    ]
    environment = os.environ | {"NO_MKDOCS_2_WARNING": "1"}
    return subprocess.run(command, capture_output=True, text=True, check=False, env=environment)


@pytest.mark.long
def test_site_builds_strictly_and_fetches_nothing(tmp_path: Path, browser: Any) -> None:
    pytest.importorskip("material", reason="the extra docs is not installed")
    done = build(ROOT / "mkdocs.yml", tmp_path)
    assert done.returncode == 0, done.stderr
    pages = [path for path in sorted(tmp_path.rglob("*.html")) if path.name != "404.html"]
    assert len(pages) > len(PAGES) + len(STAGES) - 1
    foreign = r"""<(?:script|img|link|iframe)\b[^>]*\b(?:src|href)=["']?https?://"""
    assert [path.name for path in pages if re.search(foreign, path.read_text(encoding="utf-8"))] == []
    for path in pages:
        browser.get(path.as_uri())
        assert browser.execute_script("return document.querySelector('h1').textContent").strip()
        wide = browser.execute_script("return document.documentElement.scrollWidth - window.innerWidth")
        assert wide <= 0, f"{path.name} is {wide} pixels wider than the window"


@pytest.mark.long
@pytest.mark.parametrize("link", ["nowhere.md", "models.md#nowhere"])
def test_a_broken_link_fails_the_build(tmp_path: Path, link: str) -> None:
    pytest.importorskip("material", reason="the extra docs is not installed")
    docs = tmp_path / "docs"
    docs.mkdir()
    (docs / "index.md").write_text(f"# Start\n\n[link]({link})\n", encoding="utf-8")
    (docs / "models.md").write_text("# Models\n", encoding="utf-8")
    text = (ROOT / "mkdocs.yml").read_text(encoding="utf-8").partition("\nhooks:")[0]
    checks = (
        "\nvalidation:\n"
        + (ROOT / "mkdocs.yml").read_text(encoding="utf-8").split("\nvalidation:\n")[1].partition("\nnav:")[0]
    )
    (tmp_path / "mkdocs.yml").write_text(text + checks, encoding="utf-8")
    assert build(tmp_path / "mkdocs.yml", tmp_path / "site").returncode == 1
    (docs / "index.md").write_text("# Start\n\n[link](models.md#models)\n", encoding="utf-8")
    assert build(tmp_path / "mkdocs.yml", tmp_path / "site").returncode == 0
