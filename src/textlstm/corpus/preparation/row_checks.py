"""Checks of the id, the weight and the probabilities of every row of a source, told in one message for all rows."""

import math
from array import array
from collections import Counter
from hashlib import blake2b

import numpy as np
import pyarrow as pa

from textlstm.corpus.rows.records import NamedRows
from textlstm.corpus.sources.example_blocks import ExampleBlock
from textlstm.corpus.sources.examples import Example
from textlstm.figure_text import counted

# Finds ids that occur more than once, in 8 bytes a row.

_NUM_EXAMPLES = 10


class DuplicateIds:
    """Keeps a 64-bit hash of every id; among 10 million different ids, two share one with probability 3e-6."""

    def __init__(self) -> None:
        self._hashes = array("Q")
        self._places: list[tuple[int, str, int]] = []
        self._next_number = 0

    def add(self, row_id: str, *, file: str, number: int) -> None:
        """Note the id of row `number` of `file`; rows come file by file."""
        index = len(self._hashes)
        # A place is noted only where numbers jump (another file, a rejected row); in between, rows can be counted.
        if not self._places or self._places[-1][1] != file or number != self._next_number:
            self._places.append((index, file, number))
        self._next_number = number + 1
        self._hashes.append(int.from_bytes(blake2b(row_id.encode("utf-8"), digest_size=8).digest(), "little"))

    def problems(self, column: str) -> list[str]:
        """Return one line for each of the first rows whose id, in `column`, an earlier row has; ids are not shown."""
        hashes = np.frombuffer(self._hashes, dtype=np.uint64)
        # (N,) for each row the first row with the same id; a row that is not its own first repeats an id.
        _, first, inverse = np.unique(hashes, return_index=True, return_inverse=True)
        earlier = first[inverse]
        again = np.flatnonzero(earlier != np.arange(len(hashes)))
        problems = [
            f"{self._where(int(index))}: column {column!r}: the id is that of {self._where(int(earlier[index]))} too. "
            "Make ids unique, or set data.id_column to another column."
            for index in again[:_NUM_EXAMPLES]
        ]
        if len(again) > _NUM_EXAMPLES:
            problems.append(f"{self._where(int(again[-1]))}: and {len(again) - _NUM_EXAMPLES:,} more ids occur again.")
        return problems

    def _where(self, index: int) -> str:
        # Find the last place that begins at or before `index`.
        low, high = 0, len(self._places)
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (middle, high) if self._places[middle][0] <= index else (low, middle)
        start, file, number = self._places[low]
        return f"{file}:{number + index - start}"


class RowWeights:
    """Looks at the weight of every row, and says in one message which ones are none."""

    def __init__(self) -> None:
        self._wrong = NamedRows(_NUM_EXAMPLES)
        self._num_zero = 0
        self._any_counts = False

    def counts(self, example: Example) -> bool:
        """Say whether a row is to be learned from: not one of weight 0, or of no weight where rows have weights."""
        if example.weight is None:
            return True
        if math.isnan(example.weight):
            self._wrong.add(example.record.file, example.record.number)
        self._num_zero += example.weight == 0
        self._any_counts |= example.weight > 0
        return example.weight > 0

    def counted(self, block: ExampleBlock) -> pa.RecordBatch:
        """Return the rows of a block that are to be learned from."""
        column = block.rows.column("weight")
        if column.null_count == len(column):
            return block.rows
        weights = column.to_numpy()
        if (weights > 0).all():
            self._any_counts = True
            return block.rows
        # NaN is no weight: it is told at the end, in the words for all such rows.
        for place in np.flatnonzero(np.isnan(weights)).tolist():
            self._wrong.add(block.file, block.rows.column("row")[place].as_py())
        self._num_zero += int((weights == 0).sum())
        self._any_counts |= bool((weights > 0).any())
        return block.rows.filter(pa.array(weights > 0))

    def problems(self, column: str) -> list[str]:
        """Return one line about all rows of one source whose weight is none, or whose weights are all 0."""
        if self._wrong.num_rows:
            rows = counted(self._wrong.num_rows, "row")
            return [
                f"{self._wrong}: column {column!r}: the weight of {rows} is no number of at least 0. "
                "Correct them, or set data.weight_column to another column."
            ]
        if self._num_zero and not self._any_counts:
            return [f"column {column!r}: all {self._num_zero:,} weights are 0, so no row is left to learn from."]
        return []


class RowProbabilities:
    """Looks at the probabilities of every row, and says in one message which ones cannot be used."""

    def __init__(self) -> None:
        self.num_rows_of: Counter[str] = Counter()
        """Rows in which each label has a probability above 0."""
        self._reasons: Counter[str] = Counter()
        self._wrong = NamedRows(_NUM_EXAMPLES)

    def are_usable(self, example: Example) -> bool:
        """Say whether a row has probabilities that can be used, or a sure label."""
        if not isinstance(example.probabilities, str):
            self.num_rows_of.update(tuple(example.probabilities or ()))
            return True
        self._reasons[example.probabilities] += 1
        self._wrong.add(example.record.file, example.record.number)
        return False

    def problems(self, column: str) -> list[str]:
        """Return one line about all rows of one source whose probabilities cannot be used."""
        if not self._wrong.num_rows:
            return []
        found = ", ".join(f"{counted(count, 'row')} with {reason}" for reason, count in self._reasons.items())
        return [
            f"{self._wrong}: column {column!r}: {found}. Correct them, leave them empty where the "
            "label column says the label, or set data.probabilities_column to another column."
        ]
