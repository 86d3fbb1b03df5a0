"""How much of validation and test is already in train: words, and texts that are almost equal."""

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from textlstm.arrays.hashing import Hashes, hash_strings
from textlstm.arrays.near_duplicates import THRESHOLD, NearDuplicateFinder, Shingles, shingle
from textlstm.corpus.preparation.corpus_folder import split_file
from textlstm.corpus.prepared import Split

MAX_PROBES = 10_000
"""Rows of a split that are compared, evenly spread; so memory stays bounded."""
MAX_NAMED = 1000
"""Near-duplicates that the card names."""
_MAX_SHOWN, _MAX_CHARS = 20, 300
"""Near-duplicates whose texts are shown, and how much of each."""


class NearPair(NamedTuple):
    """A row and the training row that is almost the same, with the beginning of both texts."""

    row: str
    train_row: str
    resemblance: float
    text: str
    train_text: str


class Overlap(NamedTuple):
    """What validation and test share with train."""

    card: dict[str, Any]
    """Plain JSON values by split, without texts."""
    pairs: dict[str, list[NearPair]]
    """The first near-duplicates by split, with texts."""


def compare_with_train(
    directory: Path, *, num_rows: Mapping[Split, int], exact: Mapping[Split, npt.NDArray[np.bool_]]
) -> Overlap:
    """Return the comparison of validation and test with train.

    Args:
        directory: holds the tables of the splits.
        num_rows: rows of each split.
        exact: for each split that was given as files, (N,) which rows have a text that is also in train; these are no
            near-duplicates.
    """
    probes = {
        split: _Probes(directory / split_file(split), num_rows=num_rows[split], exact=exact.get(split))
        for split in (Split.validation, Split.test)
        if num_rows[split]
    }
    if not num_rows[Split.train] or not probes:
        return Overlap({}, {})
    # One pass over train: each batch is shingled once for all splits.
    for batch in _batches(directory / split_file(Split.train)):
        words = _words(batch)
        shingles = shingle(words.tokens, words.offsets)
        for probe in probes.values():
            probe.compare(batch, words, shingles)
    return Overlap(
        {split.value: probe.card() for split, probe in probes.items()},
        {split.value: probe.pairs() for split, probe in probes.items()},
    )


class _Words(NamedTuple):
    """The tokens of N texts as hashes."""

    tokens: Hashes
    """(M,) of all tokens, one after another."""
    types: Hashes
    """Of each different token, sorted."""
    offsets: npt.NDArray[np.int64]
    """(N+1,) where each text begins."""


class _Probes:
    """The rows of one split that are compared with train."""

    def __init__(self, path: Path, *, num_rows: int, exact: npt.NDArray[np.bool_] | None) -> None:
        self._finder = NearDuplicateFinder()
        self._names: list[str] = []
        self._is_exact: list[bool] = []
        self._texts: list[str] = []
        self._near: dict[int, tuple[str, float, str]] = {}
        token_hashes = []
        # Every step-th row is a probe, at most MAX_PROBES of them, wherever the batches are cut.
        start, step = 0, -(-num_rows // MAX_PROBES)
        for batch in _batches(path):
            rows = np.arange(-start % step, batch.num_rows, step)
            chosen = batch.take(pa.array(rows))
            words = _words(chosen)
            self._finder.add_probes(shingle(words.tokens, words.offsets))
            self._names += [_name(chosen, row) for row in range(chosen.num_rows)]
            self._texts += pc.utf8_slice_codeunits(chosen.column("text"), 0, _MAX_CHARS).to_pylist()
            self._is_exact += exact[start + rows].tolist() if exact is not None else [False] * len(rows)
            token_hashes.append(words.tokens)
            start += batch.num_rows
        # (T,) different tokens of the probes, sorted, and how often each occurs.
        self._types, self._counts = np.unique(np.concatenate(token_hashes), return_counts=True)
        self._seen = np.zeros(len(self._types), np.bool_)

    def compare(self, batch: pa.RecordBatch, words: _Words, shingles: Shingles) -> None:
        """Take in some training rows."""
        if len(self._types):
            # A hash beyond the last type would get the place T; clipped, it is compared with the last one and differs.
            places = np.searchsorted(self._types, words.types).clip(max=len(self._types) - 1)
            self._seen[places[self._types[places] == words.types]] = True
        # The finder leaves out a probe that has had its near-duplicate, so the first one found stays.
        for pair in self._finder.search(shingles):
            text = batch.column("text")[pair.other].as_py()[:_MAX_CHARS]
            self._near[pair.probe] = (_name(batch, pair.other), pair.resemblance, text)

    def card(self) -> dict[str, Any]:
        """Return what was found."""
        near = self._not_exact()
        unknown = ~self._seen
        num_tokens = int(self._counts.sum())
        return {
            "rows_compared": len(self._names),
            "unknown_token_share": round(float(self._counts[unknown].sum() / num_tokens), 5) if num_tokens else 0.0,
            "unknown_type_share": round(float(unknown.mean()), 5) if len(unknown) else 0.0,
            "near_duplicates_of_train": len(near),
            "near_duplicate_threshold": THRESHOLD,
            "near_duplicate_rows": [
                {"row": self._names[probe], "train_row": name, "resemblance": round(similar, 3)}
                for probe, (name, similar, _) in list(near.items())[:MAX_NAMED]
            ],
        }

    def pairs(self) -> list[NearPair]:
        """Return the first near-duplicates with their texts."""
        return [
            NearPair(self._names[probe], name, similar, self._texts[probe], text)
            for probe, (name, similar, text) in list(self._not_exact().items())[:_MAX_SHOWN]
        ]

    def _not_exact(self) -> dict[int, tuple[str, float, str]]:
        # Rows with a text that train has as well are counted as leaks (`in_train`), not here.
        return {probe: pair for probe, pair in sorted(self._near.items()) if not self._is_exact[probe]}


def _batches(path: Path) -> Iterator[pa.RecordBatch]:
    """Yield the batches of a table; the file is read, not mapped, so that memory stays flat."""
    with pa.OSFile(os.fsencode(path)) as stream, pa.ipc.open_file(stream) as reader:
        for number in range(reader.num_record_batches):
            yield reader.get_batch(number)


def _words(batch: pa.RecordBatch) -> _Words:
    column = batch.column("tokens")
    offsets = np.zeros(len(column) + 1, np.int64)
    np.cumsum(pc.list_value_length(column).to_numpy(), out=offsets[1:])
    # Each different token is hashed once: (M,) tokens become (M,) places among (T,) types.
    encoded = pc.list_flatten(column).dictionary_encode()
    types = hash_strings(encoded.dictionary)
    return _Words(types[encoded.indices.to_numpy()], np.sort(types), offsets)


def _name(batch: pa.RecordBatch, row: int) -> str:
    return f"{batch.column('file')[row].as_py()}:{batch.column('row')[row].as_py()}"
