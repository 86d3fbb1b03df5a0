"""Slices: where a model is weak it is said so, chance is not, and small parts are flagged."""

from collections.abc import Callable

import numpy as np
import pytest

from textlstm.evaluation.scored_rows import ScoredRows
from textlstm.evaluation.slices import Slice, cut_slices

MakeRows = Callable[..., ScoredRows]


def by_value(slices: list[Slice], group: str) -> dict[str, Slice]:
    return {part.value: part for part in slices if part.group == group}


def test_a_column_cuts_the_rows_by_its_values(rows_of: MakeRows) -> None:
    correct = np.arange(300) % 2 == 0
    parts = by_value(cut_slices(rows_of(300), correct, confidence=0.95), "column source")
    assert {value: (part.num_rows, part.num_correct) for value, part in parts.items()} == {
        "web": (150, 150),
        "print": (150, 0),
    }
    assert max(part.p_value for part in parts.values()) < 1e-6


def test_a_weak_part_stands_out_and_chance_does_not(rows_of: MakeRows) -> None:
    rows = rows_of(1000)
    generator = np.random.default_rng(0)
    correct = generator.random(1000) < 0.9
    assert min(part.p_value for part in cut_slices(rows, correct, confidence=0.95)) > 0.05
    correct &= ~((rows.num_tokens >= 45) & (generator.random(1000) < 0.4))
    weak = [part for part in cut_slices(rows, correct, confidence=0.95) if part.p_value < 0.05 and part.accuracy < 0.7]
    assert [part.group for part in weak] == ["length"]


def test_lengths_are_cut_into_four_parts_that_hold_every_row(rows_of: MakeRows) -> None:
    parts = by_value(cut_slices(rows_of(400), np.ones(400, bool), confidence=0.95), "length")
    assert len(parts) == 4
    assert sum(part.num_rows for part in parts.values()) == 400
    assert next(iter(parts)).startswith("1-")
    assert list(parts)[-1].endswith("-59 tokens")


def test_small_parts_are_flagged(rows_of: MakeRows) -> None:
    rows = rows_of(100, columns={"source": ["rare"] * 29 + ["common"] * 71})
    parts = by_value(cut_slices(rows, np.ones(100, bool), confidence=0.95), "column source")
    assert {value: part.is_small for value, part in parts.items()} == {"common": False, "rare": True}


@pytest.mark.parametrize("values", [["same"] * 100, [f"value {index}" for index in range(100)]])
def test_columns_of_one_value_or_of_many_are_no_slices(rows_of: MakeRows, values: list[str]) -> None:
    rows = rows_of(100, columns={"source": values})
    assert by_value(cut_slices(rows, np.ones(100, bool), confidence=0.95), "column source") == {}


def test_parts_of_speech_and_classes_are_cut_too(rows_of: MakeRows) -> None:
    groups = {part.group for part in cut_slices(rows_of(200), np.ones(200, bool), confidence=0.95)}
    assert {"class", "unknown words", "removed words", "share of NOUN", "share of VERB", "share of ADJ"} <= groups


def test_rows_without_anything_known_are_cut_by_class_alone(rows_of: MakeRows) -> None:
    rows = rows_of(200, num_tokens=None, num_removed=None, unknown_share=None, pos_share=None, columns={})
    assert {part.group for part in cut_slices(rows, np.ones(200, bool), confidence=0.95)} == {"class"}
