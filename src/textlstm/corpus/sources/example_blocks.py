"""From many rows at once to examples: the rows of `ExampleReader`, as an Arrow table and rejects.

What every value of a column shares is looked at once, by arrays; a row in which anything is odd (a text without a
visible character, a label that is null) is read again and judged by `ExampleReader`.
"""

from collections.abc import Hashable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from textlstm.corpus.prepared import PREPARED_SCHEMA
from textlstm.corpus.rows.blocks.row_block import RowBlock
from textlstm.corpus.rows.records import Record, Reject, text_of_name
from textlstm.corpus.rows.settings import ReadSettings
from textlstm.corpus.sources.examples import Example, ExampleReader, is_blank_text, weight_of

_ROW_FIELDS = ("id", "text", "labels", "file", "row", "weight", "probabilities")
ROW_SCHEMA = pa.schema([PREPARED_SCHEMA.field(name) for name in _ROW_FIELDS])
_VISIBLE = "[!-~]"
"""ASCII characters of which one is enough: a text that has it is not blank."""
_MOST_KNOWN = 100_000
"""Labels whose meaning is kept in mind."""


class ExampleBlock(NamedTuple):
    """Consecutive rows of one file: those that can be used, and the others."""

    file: str
    rows: pa.RecordBatch
    """Columns of `ROW_SCHEMA`."""
    rejects: Sequence[Reject]

    @property
    def num_rows(self) -> int:
        """All rows, rejects too."""
        return int(self.rows.num_rows) + len(self.rejects)


class ExampleBlockReader:
    """Turns blocks of rows into blocks of examples."""

    def __init__(self, read: ExampleReader, settings: ReadSettings) -> None:
        """Judge odd rows with `read`, which keeps the notes."""
        self._read = read
        self._settings = settings
        self._file = ""
        self._labels: dict[Hashable, tuple[str, ...] | None] = {}
        """What each value of the label column of this file means; None where `read` has to say why it means nothing."""

    def blocks(self, blocks: Iterable[RowBlock]) -> Iterator[ExampleBlock]:
        """Yield the examples of all blocks."""
        return map(self, blocks)

    def __call__(self, block: RowBlock) -> ExampleBlock:
        """Return the examples of a block, in the order of their rows."""
        if block.file != self._file or len(self._labels) > _MOST_KNOWN:
            self._file, self._labels = block.file, {}
        usual, is_odd = self._usual_rows(block)
        # Odd rows one by one, together with those that were never part of the columns.
        odd = [block.record(place) for place in np.flatnonzero(is_odd).tolist()]
        judged = [row if isinstance(row, Reject) else self._read(row) for row in (*odd, *block.others)]
        rejects = sorted((row for row in judged if isinstance(row, Reject)), key=lambda row: row.number)
        examples = [row for row in judged if isinstance(row, Example)]
        if usual is None:
            examples.sort(key=lambda example: example.record.number)
            return ExampleBlock(block.file, record_batch(examples), rejects)
        if examples:
            both = pa.concat_batches([usual, record_batch(examples)])
            usual = both.take(pc.array_sort_indices(both.column("row")))
        return ExampleBlock(block.file, usual, rejects)

    def _usual_rows(self, block: RowBlock) -> tuple[pa.RecordBatch | None, npt.NDArray[np.bool_]]:
        """Return the rows of the columns that need no judging, and (N,) which rows need it; None for no such rows."""
        columns = self._settings.columns
        num_rows = len(block.numbers)
        is_odd = np.zeros(num_rows, np.bool_)
        texts, given = block.columns.get(columns.text), block.columns.get(columns.labels or columns.label)
        if not num_rows or texts is None or given is None or not pa.types.is_string(texts.type):
            return None, ~is_odd
        # The text: there, not too long, not blank.
        is_odd |= _is_true(pc.is_null(texts))
        is_odd |= _is_true(pc.greater(pc.utf8_length(texts), self._settings.max_chars))
        for place in np.flatnonzero(~_is_true(pc.match_substring_regex(texts, _VISIBLE)) & ~is_odd).tolist():
            is_odd[place] = is_blank_text(texts[place].as_py())
        # Labels, id and weight of the rows.
        numbers, found = self._label_numbers(block, given, is_odd)
        ids = self._ids(block)
        if numbers is None or ids is None:
            return None, np.ones(num_rows, np.bool_)
        is_odd |= numbers < 0
        is_odd |= _is_true(pc.equal(pc.fill_null(pc.binary_length(ids), 0), 0))
        labels = pa.array(found, ROW_SCHEMA.field("labels").type).take(pa.array(np.maximum(numbers, 0)))
        if not (weights := self._weights(block)):
            return None, np.ones(num_rows, np.bool_)
        name = pa.scalar(text_of_name(Path(block.file).name), pa.string())
        sure = pa.nulls(num_rows, ROW_SCHEMA.field("probabilities").type)
        arrays = [ids, texts, labels, pa.repeat(name, num_rows), pa.array(block.numbers), weights[0], sure]
        rows = pa.record_batch(arrays, schema=ROW_SCHEMA)
        return (rows.filter(pa.array(~is_odd)) if is_odd.any() else rows), is_odd

    def _label_numbers(
        self, block: RowBlock, given: pa.Array, is_odd: npt.NDArray[np.bool_]
    ) -> tuple[npt.NDArray[np.int64] | None, list[tuple[str, ...]]]:
        """Return (N,) the place of each row's labels in a list, -1 where they need judging, and that list."""
        kind = given.type
        if pa.types.is_list(kind) or pa.types.is_large_list(kind):
            if not _is_plain(kind.value_type):
                return None, []
            values = [None if row is None else tuple(row) for row in given.to_pylist()]
            places: dict[Hashable, int] = {}
            codes = np.array([places.setdefault(value, len(places)) for value in values], np.int64)
            distinct: Sequence[Hashable] = list(places)
        elif _is_plain(kind):
            encoded = given.dictionary_encode(null_encoding="encode")
            codes = encoded.indices.to_numpy().astype(np.int64)
            distinct = encoded.dictionary.to_pylist()
        else:
            return None, []
        # Each different value is judged once a file, on a row of which the text can be used.
        judged = np.flatnonzero(~is_odd)
        values_there, first = np.unique(codes[judged], return_index=True)
        meanings: list[tuple[str, ...]] = []
        number_of = np.full(len(distinct), -1, np.int64)
        for code, place in zip(values_there.tolist(), judged[first].tolist(), strict=True):
            meaning = self._meaning((str(kind), distinct[code]), block, place)
            if meaning is not None:
                number_of[code] = len(meanings)
                meanings.append(meaning)
        return number_of[codes], meanings or [()]

    def _meaning(self, key: Hashable, block: RowBlock, place: int) -> tuple[str, ...] | None:
        if key not in self._labels:
            record = block.record(place)
            self._labels[key] = self._read.labels_of(record) if isinstance(record, Record) else None
        return self._labels[key]

    def _ids(self, block: RowBlock) -> pa.Array | None:
        """Return the ids as strings, null or empty where they need judging; None where all do."""
        column = self._settings.columns.id
        if not column:
            return pa.array(block.numbers).cast(pa.string())
        ids = block.columns.get(column)
        if ids is None or not (pa.types.is_string(ids.type) or pa.types.is_integer(ids.type)):
            return None
        return ids.cast(pa.string())

    def _weights(self, block: RowBlock) -> tuple[pa.Array] | None:
        """Return the weights, in a tuple of one; None where each row must be looked at."""
        column = self._settings.columns.weight
        if not column:
            return (pa.nulls(len(block.numbers), pa.float64()),)
        weights = block.columns.get(column)
        kinds = (pa.types.is_string, pa.types.is_integer, pa.types.is_floating, pa.types.is_null)
        if weights is None or not any(is_kind(weights.type) for is_kind in kinds):
            return None
        return (pa.array(map(weight_of, weights.to_pylist()), pa.float64()),)


def record_batch(examples: Sequence[Example]) -> pa.RecordBatch:
    """Return examples as a batch of `ROW_SCHEMA`."""
    names = {file: text_of_name(Path(file).name) for file in {example.record.file for example in examples}}
    columns = [
        [example.id for example in examples],
        [example.text for example in examples],
        [list(example.labels) for example in examples],
        [names[example.record.file] for example in examples],
        [example.record.number for example in examples],
        [example.weight for example in examples],
        [_pairs(example.probabilities) for example in examples],
    ]
    arrays = [pa.array(values, field.type) for values, field in zip(columns, ROW_SCHEMA, strict=True)]
    return pa.record_batch(arrays, schema=ROW_SCHEMA)


def _pairs(probabilities: dict[str, float] | str | None) -> list[dict[str, object]] | None:
    if not isinstance(probabilities, dict):
        return None
    return [{"label": label, "probability": chance} for label, chance in probabilities.items()]


def _is_plain(kind: pa.DataType) -> bool:
    return bool(
        pa.types.is_string(kind) or pa.types.is_integer(kind) or pa.types.is_boolean(kind) or pa.types.is_null(kind)
    )


def _is_true(mask: pa.BooleanArray) -> npt.NDArray[np.bool_]:
    return np.asarray(pc.fill_null(mask, False).to_numpy(zero_copy_only=False), dtype=np.bool_)
