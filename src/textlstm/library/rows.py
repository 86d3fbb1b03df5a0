"""Labeled rows in any container of Python -> a Parquet file that a corpus is prepared from."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from textlstm.corpus.sources.examples import scalar_text
from textlstm.errors import InputError
from textlstm.inference.texts import MAX_NAMED, column_values, is_missing, text_list

TEXT_COLUMN, LABEL_COLUMN, LABELS_COLUMN, WEIGHT_COLUMN = "text", "label", "labels", "weight"


@dataclass(frozen=True, slots=True)
class GivenRows:
    """N texts with their labels."""

    texts: list[str]
    labels: list[str] | list[list[str]]
    """One label a row, or a list of them."""
    is_multi_label: bool
    weights: list[float] | None = None
    """A weight a row; None where all rows weigh alike."""

    @classmethod
    def of(
        cls,
        texts: Iterable[object],
        labels: Iterable[object],
        weights: Iterable[object] | None = None,
        *,
        name: str = "",
    ) -> "GivenRows":
        """Check and convert both columns.

        Args:
            texts: as `text_list` takes them.
            labels: a label a row (strings, numbers, booleans), or a list, tuple or set of labels a row.
            weights: a number of at least 0 a row; None: all rows weigh alike.
            name: begins the names of both columns in messages, such as `validation `.

        Raises:
            InputError: a row cannot be used, or there are more texts than labels; the message names the row.
        """
        # Both columns as Python objects, whatever holds them; the messages name the row.
        given_texts = text_list(texts, name=f"{name}texts")
        given = column_values(labels, column=LABEL_COLUMN, name=f"{name}labels")
        if len(given_texts) != len(given):
            raise InputError(f"{name}texts has {len(given_texts):,} rows, {name}labels has {len(given):,}")
        # One row with a list makes all labels lists; a plain label among them is then a wrong row.
        is_multi_label = any(_is_list(label) for label in given)
        found = [_label_list(value) if is_multi_label else _label(value) for value in given]
        wrong = [row for row, value in enumerate(found) if value is None]
        if wrong:
            kind = "a list of labels" if is_multi_label else "a label (a str, a number, a bool)"
            lines = [f"{name}labels[{row}] is {given[row]!r:.40}, not {kind}" for row in wrong[:MAX_NAMED]]
            more = [f"{name}labels: and {len(wrong) - MAX_NAMED:,} more rows like these"]
            raise InputError(*lines, *more[: len(wrong) > MAX_NAMED])
        numbers = None if weights is None else _weights(weights, num_rows=len(given_texts), name=f"{name}weights")
        return cls(given_texts, found, is_multi_label, numbers)  # type: ignore[arg-type]

    def write(self, path: Path) -> Path:
        """Write the rows as a Parquet file; return its path. Lone surrogates, which no file can hold, become U+FFFD."""
        column = LABELS_COLUMN if self.is_multi_label else LABEL_COLUMN
        kind = pa.list_(pa.string()) if self.is_multi_label else pa.string()
        columns = {TEXT_COLUMN: _as_arrow(self.texts), column: pa.array(self.labels, kind)}
        if self.weights is not None:
            columns[WEIGHT_COLUMN] = pa.array(self.weights, pa.float64())
        pq.write_table(pa.table(columns), path)
        return path


def _weights(weights: Iterable[object], *, num_rows: int, name: str) -> list[float]:
    """Return one weight a row.

    Raises:
        InputError: one is no finite number of at least 0, all are 0, or there are more or fewer than rows.
    """
    given = column_values(weights, column=WEIGHT_COLUMN, name=name)
    if len(given) != num_rows:
        raise InputError(f"{name} has {len(given):,} rows, texts has {num_rows:,}")
    wrong = [row for row, value in enumerate(given) if not _is_weight(value)]
    if wrong:
        rows = ", ".join(f"{name}[{row}] is {given[row]!r:.40}" for row in wrong[:MAX_NAMED])
        more = f" and {len(wrong) - MAX_NAMED:,} more" if len(wrong) > MAX_NAMED else ""
        raise InputError(f"{rows}{more}; a weight is a finite number of at least 0")
    numbers = [float(value) for value in given]
    if numbers and not any(numbers):
        raise InputError(f"{name}: all are zero, so no row is left to learn from")
    return numbers


def _is_weight(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < math.inf


def _as_arrow(texts: Sequence[str]) -> pa.Array:
    try:
        return pa.array(texts, pa.string())
    except UnicodeEncodeError:
        # UTF-16 joins surrogates that are a pair, and replaces lone ones.
        whole = [text.encode("utf-16", "surrogatepass").decode("utf-16", "replace") for text in texts]
        return pa.array(whole, pa.string())


def _is_list(value: Any) -> bool:
    return isinstance(value, list | tuple | set | frozenset) or getattr(value, "shape", ()) != ()


def _label_list(value: Any) -> list[str] | None:
    """Return the labels of a row; those of a set in order. None where they are no list of labels."""
    if not _is_list(value):
        return None
    labels = [_label(item) for item in value]
    if any(label is None for label in labels):
        return None
    named = [label for label in labels if label is not None]
    return sorted(named) if isinstance(value, set | frozenset) else named


def _label(value: Any) -> str | None:
    """Return a label as the readers of files give it, or None where it is none."""
    if hasattr(value, "item") and getattr(value, "shape", None) == ():
        value = value.item()  # numpy's scalars
    return None if is_missing(value) else scalar_text(value) or None
