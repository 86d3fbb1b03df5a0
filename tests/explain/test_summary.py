"""Which rows are explained."""

import numpy as np

from textlstm.explain.summary import choose_texts

CERTAINTY = np.array([0.9, 0.3, 0.6, 0.99, 0.5, 0.7, 0.8, 0.4])


def test_least_and_most_certain_rows_come_first_and_in_turn() -> None:
    chosen = choose_texts(CERTAINTY, np.full(8, 10), num_texts=6)
    assert chosen[:2] == [1, 3]
    assert len(chosen) == len(set(chosen)) == 6


def test_rows_without_tokens_and_rows_beyond_the_work_are_passed_over() -> None:
    lengths = np.array([10, 0, 10, 1000, 10, 10, 10, 10])
    chosen = choose_texts(CERTAINTY, lengths, num_texts=8, max_work=400)
    assert len(chosen) == 4
    assert not {1, 3} & set(chosen)


def test_nothing_to_choose_from() -> None:
    assert choose_texts(np.zeros(0), np.zeros(0, int), num_texts=5) == []
    assert choose_texts(CERTAINTY, np.zeros(8, int), num_texts=5) == []
