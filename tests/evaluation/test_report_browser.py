"""report.html in a real browser: figures are visible, nothing foreign runs, every size and scheme is legible."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from page_checks import faults, printed_pages
from textlstm.config import EvaluationConfig, Task
from textlstm.evaluation.evaluate import evaluate_rows
from textlstm.evaluation.figures import draw_figures
from textlstm.evaluation.output import write_evaluation
from textlstm.evaluation.report import ClassWords, EpochPoint, Link, WordWeight
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


def test_figures_are_visible_and_nothing_foreign_runs(browser: Any, report: Path) -> None:
    open_page(browser, report)
    assert browser.title == f"report {ATTACK}"
    widths = browser.execute_script(
        "return [...document.querySelectorAll('svg.plot, svg.matrix')].map(svg => svg.getBoundingClientRect().width)"
    )
    assert len(widths) == 3
    assert min(widths) > 200
    assert browser.execute_script("return document.scripts.length") == 1
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


# Pages of all sizes, at all widths.


def written_report(rows: ScoredRows, folder: Path) -> Path:
    config = EvaluationConfig(bootstrap_samples=20)
    evaluation = evaluate_rows(rows, config, threshold=0.5)
    words = [
        ClassWords(label, 7, tuple(WordWeight(f"word{n}", 3, 1 / (n + 1)) for n in range(6)), ())
        for label in rows.labels
    ]
    epochs = [EpochPoint(n, 2 / n, 2.5 / n, 1 - 1 / (n + 1)) for n in range(1, 9)]
    write_evaluation(
        evaluation,
        folder,
        title=f"corpus: {rows.num_rows} test rows",
        details={"Model": "lstm of 128 units", "run": "0a1b2c3d", "settings": "epochs=8 batch_size=32"},
        pictures=[],
        class_words=words,
        explanations=b"why",
        links=[Link("Data card", "../card.html")],
        epochs=epochs,
        best_epoch=7,
    )
    return folder / "report.html"


def long_labels(count: int) -> tuple[str, ...]:
    return tuple(f"balance_not_updated_after_bank_transfer_{n}" if n % 3 else f"class {n}" for n in range(count))


@pytest.mark.parametrize(
    "num_labels",
    [*(pytest.param(number, marks=pytest.mark.long) for number in (2, 25, 150)), 5, 77],
)
def test_no_fault_at_any_width_with_any_number_of_classes(
    browser: Any, rows_of: MakeRows, tmp_path: Path, num_labels: int
) -> None:
    rows = rows_of(8 * num_labels + 40, long_labels(num_labels))
    page = written_report(rows, tmp_path)
    assert faults(browser, page) == []
    assert faults(browser, page, scheme="dark") == []


def test_no_fault_where_rows_have_several_labels(browser: Any, rows_of: MakeRows, tmp_path: Path) -> None:
    page = written_report(rows_of(300, long_labels(28), task=Task.multi_label), tmp_path)
    assert faults(browser, page) == []


def test_77_classes_are_printed_on_eight_pages(browser: Any, rows_of: MakeRows, tmp_path: Path) -> None:
    page = written_report(rows_of(3080, long_labels(77)), tmp_path)
    assert 3 <= printed_pages(browser, page) <= 8


def test_the_answers_stand_on_the_first_screen(browser: Any, rows_of: MakeRows, tmp_path: Path) -> None:
    open_page(browser, written_report(rows_of(800, long_labels(77)), tmp_path))
    ends = browser.execute_script(
        "return [...document.querySelectorAll('.answer')].map(box => box.getBoundingClientRect().bottom)"
    )
    assert len(ends) == 4
    assert max(ends) <= 900
    # The figure of models and baseline ends on the second screen.
    assert (
        browser.execute_script("return document.querySelector('#models .dots').getBoundingClientRect().bottom") < 1800
    )


def test_the_filter_finds_rows_and_the_table_needs_no_script(browser: Any, rows_of: MakeRows, tmp_path: Path) -> None:
    page = written_report(rows_of(400), tmp_path)
    open_page(browser, page)
    shown = "return [...document.querySelectorAll('#wrong-rows tbody tr')].filter(row => row.checkVisibility()).length"
    everything = browser.execute_script(shown)
    assert everything > 20
    first = browser.execute_script("return document.querySelector('#wrong-rows td').textContent")
    browser.find_element("css selector", "#filter input[name=words]").send_keys(f"{first} text")
    assert 1 <= browser.execute_script(shown) < everything
    browser.find_element("css selector", "#filter button").click()
    browser.execute_script(
        "const box = document.querySelector('#filter select'); box.value = '1';"
        "box.dispatchEvent(new Event('input', {bubbles: true}))"
    )
    assert 1 <= browser.execute_script(shown) < everything
    # Without scripts the table is whole and the filter is not there.
    browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
    browser.get(page.as_uri())
    browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": False})
    assert browser.execute_script(shown) == everything
    assert browser.execute_script("return document.getElementById('filter').checkVisibility()") is False
