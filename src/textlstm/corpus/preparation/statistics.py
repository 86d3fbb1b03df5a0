"""Counts over the rows of a split, taken batch by batch in bounded memory."""

from collections import Counter
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from textlstm.text.language import count_languages

QUANTILES = {"median": 0.5, "p95": 0.95, "p99": 0.99}
LANGUAGE_SAMPLE = 1000
"""About as many rows, evenly spread, are asked for their language."""


class Lengths:
    """Exact distribution of a length: how many rows have each value."""

    def __init__(self) -> None:
        self._rows_of_length = np.zeros(1, np.int64)

    def add(self, lengths: npt.NDArray[np.int64]) -> None:
        """Take in the lengths of some rows, (N,) int64."""
        counts = np.bincount(lengths, minlength=len(self._rows_of_length))
        counts[: len(self._rows_of_length)] += self._rows_of_length
        self._rows_of_length = counts

    def summary(self) -> dict[str, float]:
        """Return mean, minimum, quantiles and maximum; 95 % of the rows do not exceed p95."""
        total = int(self._rows_of_length.sum())
        if not total:
            return {}
        present = np.flatnonzero(self._rows_of_length)
        reached = np.cumsum(self._rows_of_length)
        mean = float((np.arange(len(self._rows_of_length)) * self._rows_of_length).sum() / total)
        quantiles = {name: int(np.searchsorted(reached, part * total)) for name, part in QUANTILES.items()}
        return {"mean": round(mean, 2), "min": int(present[0]), **quantiles, "max": int(present[-1])}


class SplitStatistics:
    """What the data card says about the rows of one split."""

    def __init__(self, language: str, *, num_rows: int) -> None:
        """Start counting `num_rows` rows to come, whose texts should be in `language`."""
        self.num_rows = 0
        self.num_tokens = 0
        self.num_removed = 0
        self.num_without_tokens = 0
        self.label_counts: Counter[str] = Counter()
        self.labels_per_row: Counter[int] = Counter()
        self.languages: Counter[str] = Counter()
        self._language = language
        self._sample_step = -(-num_rows // LANGUAGE_SAMPLE) or 1
        self.chars, self.tokens_before, self.tokens_after = Lengths(), Lengths(), Lengths()

    def add(self, batch: pa.RecordBatch) -> None:
        """Take in some rows with the columns of `PREPARED_SCHEMA`."""
        sampled = np.arange(-self.num_rows % self._sample_step, batch.num_rows, self._sample_step)
        sample = batch.column("text").take(pa.array(sampled))
        self.languages.update(count_languages(sample.to_pylist(), expected=self._language))
        kept = pc.list_value_length(batch.column("tokens")).to_numpy().astype(np.int64)
        removed = batch.column("num_removed").to_numpy().astype(np.int64)
        self.num_rows += batch.num_rows
        self.num_tokens += int(kept.sum())
        self.num_removed += int(removed.sum())
        self.num_without_tokens += int((kept == 0).sum())
        self.chars.add(pc.utf8_length(batch.column("text")).to_numpy().astype(np.int64))
        self.tokens_before.add(kept + removed)
        self.tokens_after.add(kept)
        self.label_counts.update(_counted(pc.list_flatten(batch.column("labels"))))
        self.labels_per_row.update(_counted(pc.list_value_length(batch.column("labels"))))


def _counted(values: pa.Array) -> dict[Any, int]:
    counted = pc.value_counts(values)
    return dict(zip(counted.field("values").to_pylist(), counted.field("counts").to_pylist(), strict=True))
