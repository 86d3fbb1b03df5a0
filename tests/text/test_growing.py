import torch

from textlstm.text.growing import GrowingRows


def test_rows_stay_in_order_while_they_grow():
    growing = GrowingRows(torch.zeros(1, 2))
    for number in range(1, 40):
        growing.append(torch.full((number % 3, 2), float(number)))
    expected = [0.0] + [float(number) for number in range(1, 40) for _ in range(number % 3)]
    assert growing.rows[:, 0].tolist() == expected
    assert len(growing) == len(expected)


def test_type_of_the_first_rows_holds():
    growing = GrowingRows(torch.zeros(1, dtype=torch.bool))
    growing.append(torch.tensor([True, False]))
    assert growing.rows.tolist() == [False, True, False]
    assert growing.rows.dtype == torch.bool
