import pytest

from textlstm.labelling.planning import cut_rows


@pytest.mark.parametrize("num_rows", [0, 1, 624, 625, 626, 4_999, 5_000, 9_999, 10_000, 10_001, 123_457])
@pytest.mark.parametrize("shard_rows", [1, 3, 600, 1_000, 4_999, 5_000])
def test_shards_hold_every_row_once_and_are_no_larger_than_asked(num_rows: int, shard_rows: int) -> None:
    shards = list(cut_rows(num_rows, shard_rows))
    assert [row for first, last in shards for row in range(first, last + 1)] == list(range(1, num_rows + 1))
    assert all(last - first < shard_rows for first, last in shards)


def test_the_last_shards_are_small() -> None:
    sizes = [last - first + 1 for first, last in cut_rows(11_000, 5_000)]
    assert sizes == [5_000, *[625] * 9, 375]


def test_shards_are_not_cut_into_very_small_ones() -> None:
    assert [last - first + 1 for first, last in cut_rows(1_300, 600)] == [600, 600, 100]
