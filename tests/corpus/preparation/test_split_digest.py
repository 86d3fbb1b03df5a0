"""The digest of a split names its texts and labels, in order."""

import pyarrow as pa

from textlstm.corpus.preparation.corpus_folder import SplitDigest

Row = tuple[str, list[str]]
ROWS: list[Row] = [("one", ["a"]), ("", ["b", "c"]), ("zwölf 😀", []), ("four", ["a"])]


def digest(*batches: list[Row]) -> str:
    split = SplitDigest()
    schema = pa.schema([("text", pa.string()), ("labels", pa.list_(pa.string()))])
    for rows in batches:
        columns = [pa.array([text for text, _ in rows]), pa.array([labels for _, labels in rows], schema.field(1).type)]
        split.add(pa.record_batch(columns, schema=schema))
    return split.hexdigest()


def test_batches_make_no_difference() -> None:
    assert digest(ROWS) == digest(ROWS[:1], ROWS[1:3], ROWS[3:])


def test_order_texts_labels_and_their_bounds_count() -> None:
    others = [
        ROWS[::-1],
        ROWS[:3],
        [("onefour", ["a"]), *ROWS[1:3], ("", ["a"])],  # the same bytes, cut elsewhere
        [ROWS[0], ("", ["bc"]), *ROWS[2:]],
        [ROWS[0], ("", ["b"]), ("zwölf 😀", ["c"]), ROWS[3]],
        [ROWS[0], ("", ["b", "d"]), *ROWS[2:]],
    ]
    assert len({digest(ROWS), *map(digest, others)}) == 7
