"""A prepared corpus as other rooms see it: memory-mapped Arrow tables, and the columns that training needs."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from textlstm.arrays.hashing import Hashes, content_hashes
from textlstm.arrays.ragged import offsets_of, row_numbers
from textlstm.arrays.string_column import StringColumn
from textlstm.arrays.strings import TokenColumn
from textlstm.config import Task
from textlstm.storage.mapped import MappedFile
from textlstm.text.fingerprint import TextFingerprint
from textlstm.text.tokenized import TokenizedTexts

SCHEMA_FIELDS = {
    "id": pa.string(),
    "text": pa.string(),
    "labels": pa.list_(pa.string()),
    "tokens": pa.list_(pa.string()),
    "pos": pa.list_(pa.uint8()),
    "num_removed": pa.int32(),
    "file": pa.string(),
    "row": pa.int64(),
    "weight": pa.float64(),
    "probabilities": pa.list_(pa.struct([("label", pa.string()), ("probability", pa.float64())])),
}
PREPARED_SCHEMA = pa.schema(list(SCHEMA_FIELDS.items()))


@dataclass(frozen=True, slots=True)
class PreparedSplit:
    """N rows with M tokens in all, in the order of their files."""

    table: pa.Table
    """Columns of `PREPARED_SCHEMA`, memory-mapped. In every row, `pos` is null where tagging was off, and
    `weight` where rows have none; `probabilities` are null in a row whose labels are sure."""
    digest: str
    """sha256 of texts and labels, in order."""
    files: tuple[MappedFile, ...] = ()
    """The files that `table` points into."""

    def __len__(self) -> int:
        """Return N."""
        return int(self.table.num_rows)

    def blocks(self, *, num_rows: int = 1) -> Iterator["PreparedSplit"]:
        """Yield the rows in blocks of at least `num_rows`, in order; the memory of each is given back after it."""
        batches: list[pa.RecordBatch] = []
        for batch in self.table.to_batches():
            batches.append(batch)
            if sum(map(len, batches)) >= num_rows:
                yield PreparedSplit(pa.Table.from_batches(batches), digest="")
                batches = []
                self.release()
        if batches:
            yield PreparedSplit(pa.Table.from_batches(batches), digest="")
        self.release()

    def release(self) -> None:
        """Give back the memory of the rows that were looked at; they are read again where they are needed."""
        for file in self.files:
            file.release()

    def texts(self) -> list[str]:
        """Return the N texts, verbatim."""
        texts: list[str] = self.table.column("text").to_pylist()
        return texts

    def lazy_strings(self, name: str) -> StringColumn:
        """Return the N texts or ids, the column of that `name`, each made when it is read."""
        return StringColumn(self.table.column(name), release=self.release)

    def num_characters(self) -> npt.NDArray[np.int64]:
        """Return the (N,) length of each text in characters."""
        return _joined([pc.utf8_length(block.table.column("text")).to_numpy() for block in self.blocks()], np.int64)

    def ids(self) -> list[str]:
        """Return the N row ids."""
        ids: list[str] = self.table.column("id").to_pylist()
        return ids

    def select(self, rows: npt.NDArray[np.int64]) -> "PreparedSplit":
        """Return the split of these (K,) row numbers, in their order; its digest is empty."""
        # Arrow copies all chunks of a column before it takes rows of them, so they are taken from one block at a time.
        order = np.argsort(rows, kind="stable")
        ordered = rows[order]
        tables, start, begin = [self.table.slice(0, 0)], 0, 0
        for block in self.blocks():
            end = int(np.searchsorted(ordered, start + len(block)))
            if end > begin:
                tables.append(block.table.take(pa.array(ordered[begin:end] - start)))
            start, begin = start + len(block), end
        table = pa.concat_tables(tables)
        # From the order of the file to that of `rows`.
        is_ordered = (order[1:] > order[:-1]).all()
        return PreparedSplit(table if is_ordered else table.take(pa.array(np.argsort(order))), digest="")

    def hashes(self, name: str = "text") -> Hashes:
        """Return the (N,) uint64 content hashes of the texts or ids, the column of that `name`."""
        columns = (block.table.column(name).chunks for block in self.blocks())
        return _joined([content_hashes(chunk) for chunks in columns for chunk in chunks], np.uint64)

    def weights(self) -> npt.NDArray[np.float64] | None:
        """Return the (N,) weights of the rows, of mean 1; None where all rows weigh alike."""
        column = self.table.column("weight")
        if column.null_count or not len(column):
            return None
        weights = np.asarray(column.to_numpy(), dtype=np.float64)
        # Equal weights are none: the same model to the last bit.
        return None if (weights == weights[0]).all() else weights / weights.mean()

    def probabilities(self, labels: Sequence[str], task: Task) -> npt.NDArray[np.float32] | None:
        """Return the (N, L) chance of each label; None where the labels of all rows are sure.

        A row whose label is sure has 1 there. Labels that are not among `labels` are left out; with one label a row
        the others then add up to 1 again.
        """
        column = self.table.column("probabilities")
        if column.null_count == len(column):
            return None
        flat = pc.list_flatten(column)
        # (K,) pairs of all rows, one after another: the row and the label of each.
        counts = pc.fill_null(pc.list_value_length(column), 0).to_numpy()
        rows = np.repeat(np.arange(len(self)), counts)
        names = pc.index_in(pc.struct_field(flat, "label"), value_set=pa.array(labels, pa.string()))
        places = np.asarray(pc.fill_null(names, -1).to_numpy(), dtype=np.int64)
        chances = np.asarray(pc.struct_field(flat, "probability").to_numpy(), dtype=np.float32)
        found = np.zeros((len(self), len(labels)), dtype=np.float32)
        found[rows[places >= 0], places[places >= 0]] = chances[places >= 0]
        # Sure rows, and rows of which every label is gone, have their own labels.
        targets = self.targets(labels, task)
        if task is Task.multi_label:
            sure = np.asarray(column.is_null().to_numpy(), dtype=np.bool_)
            found[sure] = targets[sure]
            return found
        totals = found.sum(axis=1)
        found[totals == 0] = np.eye(len(labels), dtype=np.float32)[targets[totals == 0].astype(np.int64)]
        return np.asarray(found / np.where(totals == 0, 1, totals)[:, None], dtype=np.float32)

    def flat_tokens(self) -> pa.ChunkedArray:
        """Return the M tokens of all rows, one after another, as Arrow strings."""
        return pc.list_flatten(self.table.column("tokens"))

    def offsets(self) -> npt.NDArray[np.int64]:
        """Return where each text starts, (N+1,) int64: text i has the tokens [offsets[i], offsets[i+1])."""
        sizes = [pc.list_value_length(block.table.column("tokens")).to_numpy() for block in self.blocks()]
        return offsets_of(_joined(sizes, np.int32))

    def tokenized(self) -> TokenizedTexts:
        """Return the tokens of all rows as the text pipeline gave them, each distinct token once."""
        # Each chunk has a dictionary of its own; once unified, a number means the same token in all of them.
        encoded = self.flat_tokens().dictionary_encode().unify_dictionaries()
        distinct: list[str] = encoded.chunk(0).dictionary.to_pylist() if encoded.num_chunks else []
        numbers = [np.zeros(0, np.int32), *(chunk.indices.to_numpy() for chunk in encoded.chunks)]
        return TokenizedTexts(
            tokens=TokenColumn(distinct, np.concatenate(numbers)),
            offsets=self.offsets(),
            pos=self._pos_ids(),
            num_removed=self.table.column("num_removed").to_numpy(),
        )

    def _pos_ids(self) -> npt.NDArray[np.uint8] | None:
        column = self.table.column("pos")
        # Tagging is on or off for a whole corpus: one null means that no row has tags.
        if column.null_count:
            return None
        return np.asarray(pc.list_flatten(column).to_numpy(), dtype=np.uint8)

    def token_counts(self) -> dict[str, int]:
        """Return how often each token occurs, in order of first occurrence."""
        counts: dict[str, int] = {}
        for block in self.blocks():
            counted = pc.value_counts(block.flat_tokens())
            pairs = zip(counted.field("values").to_pylist(), counted.field("counts").to_pylist(), strict=True)
            counts |= {token: counts.get(token, 0) + count for token, count in pairs}
        return counts

    def targets(self, labels: Sequence[str], task: Task) -> npt.NDArray[np.int64] | npt.NDArray[np.float32]:
        """Return what a loss compares logits with.

        Single-label: (N,) int64 indices into `labels`, -1 for a label that is not there. Multi-label: (N, L) float32 of
        0 and 1; labels that are not there set nothing.
        """
        value_set = pa.array(labels, pa.string())
        places, sizes = [], []
        for block in self.blocks():
            column = block.table.column("labels")
            # The labels of all rows, one after another, as places in `labels`; how many each row has.
            places.append(pc.fill_null(pc.index_in(pc.list_flatten(column), value_set=value_set), -1).to_numpy())
            sizes.append(pc.list_value_length(column).to_numpy())
        indices = _joined(places, np.int64)
        if task is Task.single_label:
            return indices
        # (K,) row of each label; then a 1 at each (row, label) of (N, L).
        rows = row_numbers(_joined(sizes, np.int64))
        targets = np.zeros((len(self), len(labels)), dtype=np.float32)
        targets[rows[indices >= 0], indices[indices >= 0]] = 1.0
        return targets


@dataclass(frozen=True, slots=True)
class PreparedCorpus:
    """What `prepare_corpus` returns: tables, labels and everything that was found out about the rows."""

    directory: Path
    key: str
    """sha256 of data, settings, spaCy and its model, and code."""
    task: Task
    labels: tuple[str, ...]
    """Labels of the training rows, sorted; of the model where only a test split was prepared."""
    train: PreparedSplit | None
    validation: PreparedSplit | None
    test: PreparedSplit | None
    card: Mapping[str, Any]
    """The data card: plain JSON values."""
    text_fingerprint: TextFingerprint
    reused: bool
    """True if the corpus was found in the store."""
    warnings: tuple[str, ...]
    timings: Mapping[str, float]
    """Seconds by phase of this call."""


def _joined(parts: Sequence[np.ndarray], dtype: type[np.generic]) -> np.ndarray:
    return np.concatenate([np.zeros(0, dtype), *parts], dtype=dtype)


# The names of the parts of a corpus.


class Split(StrEnum):
    """The three parts of a corpus, in the order in which they are prepared."""

    train = "train"
    validation = "validation"
    test = "test"
