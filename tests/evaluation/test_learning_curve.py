"""The line through accuracies over training rows."""

import math

import pytest

from textlstm.evaluation.bootstrap import Interval
from textlstm.evaluation.learning_curve import CurvePoint, curve_sizes, draw_curve, fit_power_law


def point(num_rows: int, value: float) -> CurvePoint:
    return CurvePoint(num_rows, value, Interval(value - 0.02, min(1.0, value + 0.02)), value, None)


def test_sizes_are_halved_down_to_the_fewest() -> None:
    assert curve_sizes(1001, num_points=3, fewest=10) == [251, 501, 1001]
    assert curve_sizes(1001, num_points=9, fewest=500) == [501, 1001]
    assert curve_sizes(3, num_points=5, fewest=8) == [3]


def test_the_line_finds_the_power_law_that_made_the_points() -> None:
    made = [point(rows, 1 - 2.0 * rows**-0.35) for rows in (100, 200, 400, 800)]
    law = fit_power_law(made)
    assert law is not None
    assert law.scale == pytest.approx(2.0)
    assert law.exponent == pytest.approx(0.35)
    # Twice the rows: 2 * 800^-0.35 less 2 * 1600^-0.35.
    assert law.gain_of_twice(800) == pytest.approx(2 * (800**-0.35 - 1600**-0.35))


def test_accuracy_that_does_not_rise_has_no_line() -> None:
    assert fit_power_law([point(100, 0.9), point(200, 0.88)]) is None
    assert fit_power_law([point(100, 0.9)]) is None


def test_a_size_without_an_error_counts_half_of_what_its_interval_leaves() -> None:
    law = fit_power_law([point(100, 0.9), point(200, 1.0)])
    assert law is not None
    assert math.isclose(law.value(200), 0.99)  # half the error that the interval [0.98, 1] leaves possible


def test_the_figure_says_its_points_in_words() -> None:
    points = [point(100, 0.8), point(200, 0.85)]
    picture = draw_curve(points, fit_power_law(points), figure_name="accuracy")
    assert picture.alternative == "accuracy over training rows: 100 rows 0.800; 200 rows 0.850."
    assert picture.svg.startswith(b"<?xml")
