"""Near-duplicates are found whatever their case and punctuation; different texts are not joined."""

import time

import numpy as np
import pytest

from textlstm.arrays.near_duplicates import DuplicatePair, near_duplicates

STORY = "the central bank raised its main interest rate by half a point on thursday to fight rising prices"


@pytest.mark.parametrize(
    "other", [STORY, STORY.upper() + "!", STORY.replace(" ", "  \n"), STORY.replace(" the", " THE,")]
)
def test_the_same_words_are_duplicates_whatever_case_and_marks(other: str) -> None:
    assert near_duplicates(["something else entirely happened", STORY, other]) == [DuplicatePair(1, 2, 1.0)]


def test_one_changed_word_at_the_end_is_a_near_duplicate() -> None:
    """The 18 words have 16 word 3-grams; another last word leaves 15 of 17 in common."""
    assert near_duplicates([STORY, STORY.replace("prices", "costs")]) == [DuplicatePair(0, 1, pytest.approx(15 / 17))]


def test_texts_that_share_words_but_not_order_are_no_duplicates() -> None:
    assert near_duplicates([STORY, " ".join(reversed(STORY.split()))]) == []


def test_short_and_empty_texts_are_compared_whole() -> None:
    assert near_duplicates(["", "  ", "yes", "Yes.", "no", "yes please", "!!!"]) == [DuplicatePair(2, 3, 1.0)]


def test_every_copy_is_joined_to_an_earlier_row_once() -> None:
    pairs = near_duplicates(["one", *[STORY] * 5])
    assert [pair.second for pair in pairs] == [2, 3, 4, 5]
    assert all(pair.first < pair.second for pair in pairs)


def test_no_texts_have_no_duplicates() -> None:
    assert near_duplicates([]) == []
    assert near_duplicates(["", "..."]) == []


def test_equal_texts_are_found_among_many_in_seconds() -> None:
    generator = np.random.default_rng(0)
    words = np.array([f"word{index}" for index in range(5000)])
    texts = [" ".join(generator.choice(words, 30)) for _ in range(5000)]
    texts[4000:4100] = texts[:100]
    start = time.process_time()
    pairs = near_duplicates(texts)
    assert time.process_time() - start < 20
    assert [(pair.first, pair.second) for pair in pairs] == [(index, 4000 + index) for index in range(100)]
