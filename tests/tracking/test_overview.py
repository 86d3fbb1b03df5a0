"""Ranks and the overview page."""

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from page_checks import faults
from textlstm.tracking.overview import Link, make_boards, render_overview
from textlstm.tracking.tracked_runs import TrackedRun

XSS = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "</title><svg onload=alert(1)>",
    "{{ 7 * 7 }}",
    "'-alert(1)-'",
    "</style><script>alert(1)</script>",
    "javascript:alert(1)",
    "<a href='javascript:alert(1)'>x</a>",
]


def _run(name: str, value: float | None, *, digest: str = "d", interval: bool = True) -> TrackedRun:
    return TrackedRun(
        run_id=f"id-{name}",
        name=name,
        stage="train",
        status="FINISHED",
        started=0.0,
        seconds=60.0,
        metrics={} if value is None else {"test/macro_f1": value, "test/accuracy": value},
        intervals={"macro_f1": (value - 0.02, value + 0.02)} if interval and value is not None else {},
        params={},
        test_digest=digest,
        test_name="tiny",
        num_test_rows=100,
        labels=(),
    )


def _ranks(*runs: TrackedRun) -> list[list[tuple[int, str]]]:
    boards = make_boards(runs, champion_run_id="")
    return [[(entry.rank, entry.run.name) for entry in board.entries] for board in boards]


def test_runs_within_the_interval_of_the_best_share_its_rank() -> None:
    runs = [_run("c", 0.87), _run("a", 0.90), _run("b", 0.89), _run("d", 0.86), _run("e", 0.80)]
    assert _ranks(*runs) == [[(1, "a"), (1, "b"), (3, "c"), (3, "d"), (5, "e")]]


def test_runs_on_other_test_rows_are_another_board_and_untested_runs_none() -> None:
    runs = [_run("a", 0.9), _run("b", 0.99, digest="other"), _run("c", None)]
    assert _ranks(*runs) == [[(1, "a")], [(1, "b")]]


def test_without_intervals_only_equal_values_share_a_rank() -> None:
    runs = [_run(name, value, interval=False) for name, value in (("a", 0.9), ("b", 0.9), ("c", 0.8999))]
    assert _ranks(*runs) == [[(1, "a"), (1, "b"), (3, "c")]]


def _page(*runs: TrackedRun, champion: str = "", champion_run_id: str = "") -> str:
    boards = make_boards(runs, champion_run_id=champion_run_id)
    return render_overview(boards, runs, experiment="news", champion=champion, now=0.0)


def test_page_marks_the_champion_and_shows_figures() -> None:
    page = _page(_run("a", 0.9), _run("b", 0.8), champion="textlstm version 3", champion_run_id="id-b")
    assert "Champion: textlstm version 3." in page
    names = re.findall(r'<span class="name">(.*?)</span><span class="where">', page)
    assert [name.removesuffix("</span>") for name in names] == ["a", 'b <span class="champion">★ champion</span>']
    assert "[0.8800, 0.9200]" in page


def test_all_boards_have_one_scale() -> None:
    page = _page(_run("a", 0.9), _run("b", 0.52, digest="other"))
    axes = re.findall(r'<svg class="line axis".*?</svg>', page)
    assert len(axes) == 2
    assert axes[0] == axes[1]
    assert (">0.50<" in axes[0], ">1.00<" in axes[0]) == (True, True)


def test_parts_of_other_runs_are_on_no_board() -> None:
    runs = [_run("three seeds", 0.9), replace(_run("seed 1", 0.91), parent="id-three seeds")]
    assert _ranks(*runs) == [[(1, "three seeds")]]


def test_links_lead_to_pages_of_the_run() -> None:
    boards = make_boards([_run("a", 0.9)], champion_run_id="")
    links = {"id-a": [Link("report", "file:///tracking/report.html")]}
    page = render_overview(boards, [], experiment="news", champion="", now=0.0, links=links)
    assert '<a href="file:///tracking/report.html">report</a>' in page


def test_the_page_has_no_fault_at_any_width(browser: Any, tmp_path: Path) -> None:
    runs = [_run(f"balance_of_accounts bilstm 0.9{n} with a long name", 0.9 + n / 200) for n in range(5)]
    runs += [_run("other", 0.5, digest="other"), replace(_run("broken", None), status="FAILED")]
    page = tmp_path / "overview.html"
    page.write_text(_page(*runs, champion="textlstm version 3", champion_run_id="id-other"), encoding="utf-8")
    assert faults(browser, page) == []
    assert faults(browser, page, scheme="dark") == []


def test_page_without_runs_says_what_to_do() -> None:
    assert "No run has test figures yet" in _page()


@pytest.mark.parametrize("text", XSS)
def test_page_escapes_what_comes_from_outside(text: str) -> None:
    page = render_overview(
        make_boards([_run(text, 0.9)], champion_run_id=""), [], experiment=text, champion=text, now=0.0
    )
    assert "<script" not in page
    assert "<img" not in page
    assert "onload=alert" not in page.replace("&lt;svg onload=alert", "")
    assert "javascript:alert" not in re.sub(r">[^<]*<", "><", page)
    assert page.count("default-src &#39;none&#39;") + page.count("default-src 'none'") == 1
    assert "49" not in re.sub(r"[0-9.]*[1-9]49|490", "", text) or text == "{{ 7 * 7 }}"


def test_written_page_loads_nothing() -> None:
    page = _page(_run("a", 0.9))
    assert not re.search(r"(src|href)=", page)
    assert "<script" not in page
    assert Path(__file__).name not in page


def test_a_run_tested_on_rows_of_its_training_leads_no_board() -> None:
    runs = [_run("honest", 0.9), _run("trained on them", 0.9995), _run("a few repeats", 0.85)]
    runs[1] = replace(runs[1], metrics={**runs[1].metrics, "test/seen_in_training": 1.0})
    runs[2] = replace(runs[2], metrics={**runs[2].metrics, "test/seen_in_training": 0.01})
    [board] = make_boards(runs, champion_run_id="")
    assert [(entry.rank, entry.run.name) for entry in board.entries] == [(1, "honest"), (2, "a few repeats")]
    assert make_boards(runs[1:2], champion_run_id="") == []


def _job(name: str, drift: float | None, *, started: float = 0.0) -> TrackedRun:
    metrics = {"labelling/rows": 1200.0, "labelling/decision/abstained": 0.25, "labelling/mean_confidence": 0.9}
    metrics |= {} if drift is None else {"labelling/drift": drift}
    return replace(_run(name, None), stage="label", metrics=metrics, labelled=name, started=started)


def test_labelling_jobs_show_the_drift_of_each_input_over_time() -> None:
    day = 86_400.0
    page = _page(_job("tickets.csv", 0.3, started=2 * day), _job("mails.csv", None), _job("tickets.csv", 0.05))
    titles = re.findall(r"<h2>Labelled: (.*?) <span", page)
    assert titles == ["tickets.csv", "mails.csv"]
    drifts = re.findall(r'<span class="name">([\d: -]+)</span></span>.*?<b>(.*?)</b>', page)
    assert drifts == [("1970-01-03 00:00", "0.300"), ("1970-01-01 00:00", "0.050"), ("1970-01-01 00:00", "–")]
    assert "1,200 rows · abstained 25.0% · mean confidence 0.900" in page
    assert "Labelling jobs" in page
    assert "Labelling jobs" not in _page(_run("a", 0.9))
    assert "Labelled:" not in _page(_run("a", 0.9))
    assert "Labelled:" not in _page(replace(_job("a", 0.1), status="FAILED"))


def test_a_job_says_which_label_moved_and_whether_the_drift_is_strong() -> None:
    def job(drift: float, *, started: float, **shares: float) -> TrackedRun:
        found = _job("tickets.csv", drift, started=started)
        metrics = {f"labelling/share/{label}": share for label, share in shares.items()}
        return replace(found, metrics=found.metrics | metrics)

    page = _page(
        job(0.3, started=3.0, billing=0.4, praise=0.15, spam=0.02),
        job(0.12, started=2.0, billing=0.21, praise=0.2),
        job(0.01, started=1.0, billing=0.2, praise=0.2),
    )
    # The label that moved most, against the job before.
    assert re.findall(r'<span class="moved"><bdi>(.*?)</bdi>', page) == [
        "billing 40.0% of the rows, 21.0% in the job before"
    ]
    assert re.findall(r'<span class="interval">(\w+ drift)</span>', page) == ["strong drift", "some drift", "no drift"]


def test_a_drift_beyond_one_has_its_place_on_the_axis() -> None:
    page = _page(_job("other.csv", 1.943), _job("mails.csv", 0.5))
    places = [float(place) for place in re.findall(r'class="dot" cx="([\d.]+)%"', page)]
    assert places == [pytest.approx(97.15), pytest.approx(25.0)]


def test_names_of_labelled_inputs_are_escaped() -> None:
    page = _page(*(_job(text, 0.1) for text in XSS))
    assert "<script>" not in page
    assert "<img" not in page
