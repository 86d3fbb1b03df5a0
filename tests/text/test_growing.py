import numpy as np
import torch

from textlstm.text.growing import GrowingRows


def test_rows_stay_in_order_while_they_grow():
    growing = GrowingRows(torch.zeros(1, 2), lambda num_rows: torch.empty(num_rows, 2))
    for number in range(1, 40):
        growing.append(torch.full((number % 3, 2), float(number)))
    expected = [0.0] + [float(number) for number in range(1, 40) for _ in range(number % 3)]
    assert growing.rows[:, 0].tolist() == expected
    assert len(growing) == len(expected)


def test_arrays_grow_too_and_keep_their_type():
    growing = GrowingRows(np.zeros(1, np.bool_), lambda num_rows: np.empty(num_rows, np.bool_))
    growing.append(np.array([True, False]))
    assert growing.rows.tolist() == [False, True, False]
    assert growing.rows.dtype == np.bool_
