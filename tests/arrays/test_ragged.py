import numpy as np
import torch

from textlstm.arrays.ragged import (
    GrowableRaggedArray,
    RaggedArray,
    ResizableArray,
    offsets_of,
    places_of,
    row_numbers,
)


def test_rows_stay_in_order_while_they_grow():
    growing = ResizableArray(torch.zeros(1, 2), lambda num_rows: torch.empty(num_rows, 2))
    for number in range(1, 40):
        growing.append(torch.full((number % 3, 2), float(number)))
    expected = [0.0] + [float(number) for number in range(1, 40) for _ in range(number % 3)]
    assert growing.rows[:, 0].tolist() == expected
    assert len(growing) == len(expected)


def test_arrays_grow_too_and_keep_their_type():
    growing = ResizableArray(np.zeros(1, np.bool_), lambda num_rows: np.empty(num_rows, np.bool_))
    growing.append(np.array([True, False]))
    assert growing.rows.tolist() == [False, True, False]
    assert growing.rows.dtype == np.bool_


def test_runs_are_taken_by_their_numbers_while_they_grow():
    runs = GrowableRaggedArray(np.int32)
    assert runs.take(np.zeros(0, np.int64)).values.tolist() == []
    expected = []
    for number in range(20):
        more = [[number] * size for size in (number % 3, 0, 2)]
        runs.append(
            RaggedArray(np.array([value for one in more for value in one], np.int32), np.array(list(map(len, more))))
        )
        expected += more
    assert len(runs) == len(expected) == 60
    wanted = np.array([59, 0, 4, 59, 3, 1])
    values, sizes = runs.take(wanted)
    assert values.dtype == np.int32
    assert values.tolist() == [value for number in wanted for value in expected[number]]
    assert sizes.tolist() == [len(expected[number]) for number in wanted]


def test_offsets_rows_and_places_of_ragged_rows() -> None:
    sizes = np.array([2, 0, 3])
    assert offsets_of(sizes).tolist() == [0, 2, 2, 5]
    assert row_numbers(sizes).tolist() == [0, 0, 2, 2, 2]
    assert places_of(np.array([7, 1, 3]), sizes).tolist() == [7, 8, 3, 4, 5]
    none = np.zeros(0, np.int64)
    assert (offsets_of(none).tolist(), row_numbers(none).tolist(), places_of(none, none).tolist()) == ([0], [], [])
