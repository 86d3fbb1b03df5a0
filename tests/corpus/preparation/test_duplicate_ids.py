"""Ids must be unique (56 of docs/bad-input.md)."""

from textlstm.corpus.preparation.row_checks import DuplicateIds


def test_56_duplicate_ids_name_both_rows_and_not_the_id() -> None:
    ids = DuplicateIds()
    for number, row_id in enumerate(["a", "b", "a"], 1):
        ids.add(row_id, file="x.csv", number=number)
    for number, row_id in ((1, "c"), (3, "b"), (4, "d")):  # row 2 was rejected
        ids.add(row_id, file="y.csv", number=number)
    assert ids.problems("id") == [
        "x.csv:3: column 'id': the id is that of x.csv:1 too. Make ids unique, or set data.id_column to another column.",
        "y.csv:3: column 'id': the id is that of x.csv:2 too. Make ids unique, or set data.id_column to another column.",
    ]


def test_56_unique_ids_pass_and_many_duplicates_are_counted() -> None:
    ids = DuplicateIds()
    assert ids.problems("id") == []
    for number in range(1, 31):
        ids.add(str(number), file="x.csv", number=number)
    assert ids.problems("id") == []
    for number in range(1, 31):
        ids.add(str(number), file="y.csv", number=number)
    problems = ids.problems("id")
    assert len(problems) == 11
    assert problems[-1] == "y.csv:30: and 20 more ids occur again."
