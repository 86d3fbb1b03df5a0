"""`curve.html`: what more rows would bring, and how far the curve is."""

from pathlib import Path
from typing import Any

from page_checks import faults, printed_pages
from textlstm.evaluation.bootstrap import Interval
from textlstm.evaluation.learning_curve import CurvePoint, fit_power_law
from textlstm.evaluation.report.curve_page import render_curve

SIZES = [250, 500, 1000, 2000]
ATTACK = "<img src=x onerror=document.title='owned'>"


def page_of(num_done: int) -> str:
    points = [
        CurvePoint(rows, 1 - 2 * rows**-0.35, Interval(0.6, 0.95), 0.8, 0.7 if rows > 250 else None)
        for rows in SIZES[:num_done]
    ]
    page = render_curve(points, fit_power_law(points), sizes=SIZES, figure_name="accuracy", title=f"news {ATTACK}")
    return page.decode()


def test_a_page_in_between_says_how_far_the_curve_is() -> None:
    first, third = page_of(1), page_of(3)
    assert "Not known yet." in first
    assert "1 of 4 sizes are trained; this page is written anew after each. Next: 500 training rows." in first
    assert "3 of 4 sizes are trained" in third
    assert "Twice the rows would bring about +3.8 points of accuracy" in third
    assert ATTACK not in third


def test_the_last_page_says_what_twice_the_rows_would_bring() -> None:
    page = page_of(4)
    # 2 * 2000^-0.35 less 2 * 4000^-0.35
    assert "Twice the rows would bring about +3.0 points of accuracy, if the line through these sizes goes on." in page
    assert "sizes are trained" not in page
    assert page.count("TF-IDF baseline</bdi>") == 3
    assert all(f"{rows:,} rows</bdi>" in page for rows in SIZES)


def test_the_page_has_no_fault_at_any_width(browser: Any, tmp_path: Path) -> None:
    path = tmp_path / "curve.html"
    for num_done in (1, 4):
        path.write_text(page_of(num_done), encoding="utf-8")
        assert faults(browser, path) == []
    assert printed_pages(browser, path) == 1
