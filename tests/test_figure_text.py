"""Figures are written in one way everywhere, never as minus zero; scales and labels of pages."""

import pytest

from textlstm.figure_text import counted, fixed, interval_text, percent_text, score_text
from textlstm.html_pages import breakable
from textlstm.tracks import Scale, bar_track, interval_track


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        (score_text(0.98588), "0.9859"),
        (score_text(-0.00001), "0.0000"),
        (interval_text(0.97654, 1), "[0.9765, 1.0000]"),
        (percent_text(0.0325), "3.2%"),
        (percent_text(1.0, decimals=0), "100%"),
        (fixed(-0.004, 2), "0.00"),
        (fixed(-0.004, 2, sign=True), "+0.00"),
        (counted(1, "row"), "1 row"),
        (counted(1000, "row"), "1,000 rows"),
    ],
)
def test_one_way_to_write_a_figure(written: str, expected: str) -> None:
    assert written == expected


def test_a_scale_holds_all_values_and_names_few_ticks() -> None:
    scale = Scale.around([0.83, 0.95])
    assert scale == Scale(0.8, 0.95, 0.05)
    assert scale.ticks == [0.8, 0.85, 0.9, 0.95]
    assert (scale.share(0.8), scale.share(0.95), scale.share(2.0)) == (0.0, 1.0, 1.0)
    narrow = Scale.around([0.931, 0.934])
    assert narrow.low <= 0.931 <= 0.934 <= narrow.high
    assert len(narrow.ticks) <= 6
    assert Scale.around([]) == Scale(0.0, 1.0, 0.25)


def test_tracks_place_figures_in_percent_and_escape_names() -> None:
    drawn = interval_track(0.9, (0.85, 0.95), Scale(0.8, 1.0, 0.1), title="<b>")
    assert 'cx="50.00%"' in drawn
    assert 'x1="25.00%" x2="75.00%"' in drawn
    assert "<b>" not in drawn
    assert 'width="100.00%"' in bar_track(7.0)


def test_labels_may_break_behind_marks_alone() -> None:
    assert str(breakable("card_<not>_working")) == "card_&lt;not&gt;_<wbr>working"
    assert str(breakable("0.9489")) == "0.9489"
