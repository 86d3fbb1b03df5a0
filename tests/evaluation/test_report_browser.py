"""report.html in a real browser: figures are visible, nothing runs, dark and print are legible."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from textlstm.config import EvaluationConfig
from textlstm.evaluation.evaluate import evaluate_rows
from textlstm.evaluation.figures import draw_figures
from textlstm.evaluation.output import write_evaluation
from textlstm.evaluation.report import ClassWords, WordWeight
from textlstm.evaluation.scored_rows import ScoredRows

MakeRows = Callable[..., ScoredRows]
ATTACK = "<img src=x onerror=document.title='owned'>"


@pytest.fixture(scope="module")
def report(rows_of: MakeRows, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A report with an attack in texts, labels, ids, columns, title and details."""
    labels = tuple(f"{name} {ATTACK}" for name in ("earn", "acq", "crude", "trade"))
    rows = rows_of(
        400,
        labels,
        ids=[f"{index} {ATTACK}" for index in range(400)],
        texts=[f"{ATTACK} <script>document.title='owned'</script>"] * 400,
        columns={ATTACK: [ATTACK, "other"] * 200},
    )
    folder = tmp_path_factory.mktemp("report")
    evaluation = evaluate_rows(rows, EvaluationConfig(bootstrap_samples=20, max_error=0.1), threshold=0.8)
    write_evaluation(
        evaluation,
        folder,
        title=f"report {ATTACK}",
        details={ATTACK: ATTACK},
        pictures=list(draw_figures(evaluation)),
        class_words=[ClassWords(ATTACK, 1, (WordWeight(ATTACK, 1, 0.5),), (WordWeight(ATTACK, 1, 0.5),))],
    )
    return folder / "report.html"


def open_page(browser: Any, path: Path) -> None:
    browser.get_log("browser")
    browser.get(path.as_uri())


def test_figures_are_visible_and_nothing_runs(browser: Any, report: Path) -> None:
    open_page(browser, report)
    assert browser.title == f"report {ATTACK}"
    sizes = browser.execute_script("return [...document.images].map(image => [image.naturalWidth, image.width])")
    assert len(sizes) == 5
    assert min(min(size) for size in sizes) > 200
    assert browser.execute_script("return document.scripts.length") == 0
    assert [entry["message"] for entry in browser.get_log("browser")] == []


def test_the_harness_sees_a_script_that_runs(browser: Any, report: Path, tmp_path: Path) -> None:
    """Negative control: the attack put in raw, without the policy, changes the title."""
    page = re.sub(r'<meta http-equiv="Content-Security-Policy"[^>]*>', "", report.read_text(encoding="utf-8"))
    raw = tmp_path / "raw.html"
    raw.write_text(page.replace("<main>", f"<main>{ATTACK}", 1), encoding="utf-8")
    open_page(browser, raw)
    assert browser.execute_async_script("setTimeout(() => arguments[0](document.title), 500)") == "owned"


def test_the_policy_stops_a_script_that_escaped_escaping(browser: Any, report: Path, tmp_path: Path) -> None:
    raw = tmp_path / "raw.html"
    raw.write_text(report.read_text(encoding="utf-8").replace("<main>", f"<main>{ATTACK}", 1), encoding="utf-8")
    open_page(browser, raw)
    title = browser.execute_async_script("setTimeout(() => arguments[0](document.title), 500)")
    assert title == f"report {ATTACK}"


def test_the_page_does_not_scroll_sideways(browser: Any, report: Path) -> None:
    open_page(browser, report)
    assert browser.execute_script("return document.documentElement.scrollWidth <= window.innerWidth")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_stands_out_from_paper_in_both_schemes(browser: Any, report: Path, scheme: str) -> None:
    features = [{"name": "prefers-color-scheme", "value": scheme}]
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
    open_page(browser, report)
    ink, paper = browser.execute_script(
        "const style = getComputedStyle(document.body); return [style.color, style.backgroundColor]"
    )
    assert contrast(ink, paper) > 7  # WCAG AAA
    assert (luminance(paper) < 0.1) is (scheme == "dark")


def luminance(color: str) -> float:
    """Relative luminance of `rgb(r, g, b)` (WCAG 2)."""
    parts = [int(part) / 255 for part in re.findall(r"\d+", color)[:3]]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    """Contrast ratio of two colors (WCAG 2), 1 to 21."""
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)
