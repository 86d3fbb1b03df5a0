"""Strings of an Arrow column, made when they are read."""

import pyarrow as pa

from textlstm.arrays.string_column import StringColumn


def test_a_column_reads_as_the_list_of_its_strings() -> None:
    strings = ["a", "", "c d", "é", "five"]
    released: list[None] = []
    column = StringColumn(pa.chunked_array([strings[:2], strings[2:]]), release=lambda: released.append(None))
    assert list(column) == strings
    assert len(released) == 2
    assert len(column) == 5
    assert [column[place] for place in (0, 3, -1)] == ["a", "é", "five"]
    for cut in (slice(1, 4), slice(None), slice(-2, None), slice(0, 5, 2)):
        assert column[cut] == strings[cut]
