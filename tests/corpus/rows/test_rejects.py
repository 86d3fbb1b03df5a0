"""The rejects file and the rule how many rows may be left out."""

import json
import os

import pytest

from textlstm.corpus.rows.records import Reject, RejectCount, reject_line
from textlstm.corpus.rows.settings import ReadSettings
from textlstm.errors import InputError


def test_line_has_file_row_offset_and_reason() -> None:
    line = reject_line(Reject("käse.csv", 7, 120, "has 3 fields where the header has 2"))
    assert line.decode() == (
        '{"file": "käse.csv", "row": 7, "byte_offset": 120, "reason": "has 3 fields where the header has 2"}\n'
    )
    odd = reject_line(Reject(os.fsdecode(b"k\xe4se.csv"), 7, -1, "is not valid utf-8"))
    assert json.loads(odd)["row"] == 7


def count_of(num_rejects: int, num_rows: int) -> RejectCount:
    count = RejectCount()
    count.num_rows = num_rows
    for number in range(1, num_rejects + 1):
        count.add(Reject("x.csv", number, 0, "holds a NUL byte"))
    return count


def test_one_reject_in_a_hundred_is_allowed_and_two_are_not() -> None:
    assert count_of(1, 100).problems(ReadSettings(), name="x.csv") == []
    assert count_of(2, 100).problems(ReadSettings(key_prefix="labelling"), name="x.csv") == [
        "x.csv: 2 of 100 rows cannot be used; labelling.max_reject_fraction=0.01 allows 1. "
        "Mend the rows or raise labelling.max_reject_fraction.",
        "x.csv:1: holds a NUL byte",
        "x.csv:2: holds a NUL byte",
    ]


def test_many_rejects_list_the_first_ten() -> None:
    with pytest.raises(InputError) as caught:
        count_of(1234, 2000).check(ReadSettings(), name="x.csv")
    problems = caught.value.problems
    assert problems[0].startswith(
        "x.csv: 1,234 of 2,000 rows cannot be used; data.max_reject_fraction=0.01 allows 20. "
    )
    assert problems[10] == "x.csv:10: holds a NUL byte"
    assert problems[11:] == ("x.csv: and 1,224 more rows like these.",)
