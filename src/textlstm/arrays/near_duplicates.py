"""Texts that are almost equal: MinHash over word 3-shingles finds candidates, sketches of the shingles confirm them.

Broder (1997), "On the resemblance and containment of documents". The resemblance of two texts is the number of shingles
they share, divided by the number of shingles of both.
"""

import re
from collections import defaultdict
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from numpy.typing import NDArray

from textlstm.arrays.hashing import Hashes, hash_strings, mix
from textlstm.arrays.ragged import offsets_of, places_of

THRESHOLD = 0.8
"""Least resemblance of near-duplicates."""
SHINGLE_TOKENS = 3
NUM_BANDS, BAND_SIZE = 8, 4
"""A pair is a candidate if all BAND_SIZE minima of a band agree: 98 % of pairs at resemblance 0.8, 40 % at 0.5."""
SKETCH_SIZE = 256
"""Number of smallest shingle hashes kept of a text; resemblance is exact up to this many shingles, else within 0.03."""
MAX_CHECKS = 10
"""Most candidates that are compared with one text; after that it counts as having no near-duplicate."""

_FACTORS = mix(np.arange(1, NUM_BANDS * BAND_SIZE + 1, dtype=np.uint64)) | np.uint64(1)


class Shingles(NamedTuple):
    """Shingle hashes of N texts, flat; text i has hashes[offsets[i]:offsets[i + 1]]."""

    hashes: Hashes
    offsets: npt.NDArray[np.int64]

    def sketch(self, text: int) -> Hashes:
        """Return the sorted SKETCH_SIZE smallest different hashes of one text."""
        return np.unique(self.hashes[self.offsets[text] : self.offsets[text + 1]])[:SKETCH_SIZE]


class NearDuplicate(NamedTuple):
    """A probe text and the first other text that is like it."""

    probe: int
    """Number of the probe, in the order of `add_probes`."""
    other: int
    """Number of the text in the batch of `search`."""
    resemblance: float


class NearDuplicateFinder:
    """Finds near-duplicates of probe texts in batches of other texts; memory grows with the number of probes only."""

    def __init__(self) -> None:
        self._probes_of_key: defaultdict[int, list[int]] = defaultdict(list)
        self._sorted_keys = np.zeros(0, np.uint64)
        self._sketches: list[Hashes] = []
        self._checks_left: list[int] = []

    def add_probes(self, shingles: Shingles) -> None:
        """Add probes, numbered after those added before; call it before the first `search`."""
        for text, keys in enumerate(band_keys(shingles)):
            sketch = shingles.sketch(text)
            # A text without shingles gets a number but no key, so it matches nothing.
            if len(sketch):
                for key in keys.tolist():
                    self._probes_of_key[key].append(len(self._sketches))
            self._sketches.append(sketch)
            self._checks_left.append(MAX_CHECKS)

    def search(self, shingles: Shingles) -> list[NearDuplicate]:
        """Return the probes that have a near-duplicate among these texts and had none in earlier batches."""
        # Sort the keys at the first search, and again after `_open_probes` has removed some.
        if len(self._sorted_keys) != len(self._probes_of_key):
            self._sorted_keys = np.sort(np.fromiter(self._probes_of_key, np.uint64, len(self._probes_of_key)))
        if not len(self._sorted_keys):
            return []
        # (N, NUM_BANDS) keys of the batch; a hit is a key that some probe has. All texts without shingles share their
        # keys, so they are masked.
        keys = band_keys(shingles)
        places = np.searchsorted(self._sorted_keys, keys).clip(max=len(self._sorted_keys) - 1)
        hits = (self._sorted_keys[places] == keys) & (np.diff(shingles.offsets) > 0)[:, None]
        found: list[NearDuplicate] = []
        # Few texts have hits: compare their sketches one by one.
        for text in np.flatnonzero(hits.any(axis=1)).tolist():
            probes = {probe for key in keys[text][hits[text]].tolist() for probe in self._open_probes(key)}
            if probes:
                found += self._compare(sorted(probes), shingles.sketch(text), other=text)
        return found

    def _open_probes(self, key: int) -> list[int]:
        """Return the probes of a key that still need a near-duplicate, and remove the others from the key."""
        probes = [probe for probe in self._probes_of_key.get(key, ()) if self._checks_left[probe]]
        if probes:
            self._probes_of_key[key] = probes
        else:
            self._probes_of_key.pop(key, None)
        return probes

    def _compare(self, probes: list[int], sketch: Hashes, *, other: int) -> list[NearDuplicate]:
        found = []
        for probe in probes:
            self._checks_left[probe] -= 1
            similar = resemblance(self._sketches[probe], sketch)
            if similar >= THRESHOLD:
                # The probe has its near-duplicate: the next look-up of its keys drops it.
                self._checks_left[probe] = 0
                found.append(NearDuplicate(probe, other, similar))
        return found


def shingle(token_hashes: Hashes, offsets: npt.NDArray[np.int64]) -> Shingles:
    """Return the word 3-shingles of N texts; a text of one or two tokens is one shingle, one of none has none.

    Args:
        token_hashes: (M,) uint64.
        offsets: (N+1,) int64; text i has the tokens [offsets[i], offsets[i + 1]).
    """
    lengths = np.diff(offsets)
    # Zeros at the end let a window of SHINGLE_TOKENS start at every token.
    padded = np.concatenate([token_hashes, np.zeros(SHINGLE_TOKENS - 1, np.uint64)])
    position = places_of(np.zeros(len(lengths), np.int64), lengths)  # of each token within its text
    length = np.repeat(lengths, lengths)
    total = np.zeros(len(token_hashes), np.uint64)
    for step in range(SHINGLE_TOKENS):
        # total[i] hashes the tokens i .. i + step; beyond the end of a text, a constant stands for the token.
        inside = position + step < length
        total = mix(total + np.where(inside, padded[step : step + len(token_hashes)], np.uint64(step)))
    # A text of n >= 3 tokens has n - 2 shingles, a shorter one has one: (M,) windows become (S,) shingles.
    num_shingles = np.where(lengths > 0, np.maximum(lengths - SHINGLE_TOKENS + 1, 1), 0)
    keep = position < np.repeat(num_shingles, lengths)
    return Shingles(total[keep], offsets_of(num_shingles))


def band_keys(shingles: Shingles) -> Hashes:
    """Return (N, NUM_BANDS) uint64: texts that resemble each other likely agree in one of them."""
    num_texts = len(shingles.offsets) - 1
    filled = np.diff(shingles.offsets) > 0
    # MinHash: a product with an odd number permutes the 64-bit values; keep the minimum of each permutation.
    minima = np.zeros((num_texts, len(_FACTORS)), np.uint64)
    if filled.any():
        # np.minimum.reduceat returns an element of the next text for an empty run, so texts without shingles are left
        # out.
        starts = shingles.offsets[:-1][filled]
        for column, factor in enumerate(_FACTORS):
            minima[filled, column] = np.minimum.reduceat(shingles.hashes * factor, starts)
    # The minima of a band become one key. Starting from the number of the band keeps equal minima of two bands apart.
    keys = np.zeros((num_texts, NUM_BANDS), np.uint64)
    for band in range(NUM_BANDS):
        key = np.full(num_texts, band, np.uint64)
        for column in range(band * BAND_SIZE, (band + 1) * BAND_SIZE):
            key = mix(key + minima[:, column])
        keys[:, band] = key
    return keys


def resemblance(left: Hashes, right: Hashes) -> float:
    """Return the resemblance of two texts, estimated from their sketches (sorted, different hashes)."""
    # The smallest hashes of the union are a random sample of it: count those that both texts hold.
    both = np.union1d(left, right)[:SKETCH_SIZE]
    shared = np.isin(both, left, assume_unique=True) & np.isin(both, right, assume_unique=True)
    return float(shared.sum() / len(both))


# Near-duplicate rows of a list of texts; case, white space and punctuation are ignored.

_WORD = re.compile(r"\w+")


class DuplicatePair(NamedTuple):
    """Two near-duplicate rows, `first` < `second`."""

    first: int
    second: int
    similarity: float
    """Resemblance; 1.0 for the same words in the same order, up to case, white space and punctuation."""


def near_duplicates(texts: Sequence[str], *, min_similarity: float = THRESHOLD) -> list[DuplicatePair]:
    """Return pairs of near-duplicates; each row is at most once `second`, with an earlier row as `first`.

    Rows without words are left out. Cost grows with the number of words, not with the number of pairs.
    """
    shingles = _shingles(texts)
    found: dict[int, DuplicatePair] = {}
    # Pairs come in the order of the later row, so the first similar pair of a row decides.
    for first, second in _candidates(shingles):
        if second in found:
            continue
        similarity = resemblance(shingles.sketch(first), shingles.sketch(second))
        if similarity >= min_similarity:
            found[second] = DuplicatePair(first, second, similarity)
    return sorted(found.values())


def _shingles(texts: Sequence[str]) -> Shingles:
    """Return the shingles of each text's words in lower case."""
    numbers: dict[str, int] = {}
    flat: list[int] = []
    offsets = np.zeros(len(texts) + 1, dtype=np.int64)
    for index, text in enumerate(texts):
        flat.extend(numbers.setdefault(word, len(numbers)) for word in _WORD.findall(text.casefold()))
        offsets[index + 1] = len(flat)
    word_hashes = hash_strings(pa.array(list(numbers), pa.string()))
    return shingle(word_hashes[np.array(flat, dtype=np.int64)], offsets)


def _candidates(shingles: Shingles) -> list[tuple[int, int]]:
    """Return pairs (earlier row, later row) that agree in one band of MinHash values, the later rows in order."""
    rows: NDArray[np.int64] = np.flatnonzero(np.diff(shingles.offsets) > 0)
    pairs: set[tuple[int, int]] = set()
    for band in band_keys(shingles)[rows].T:
        # A stable sort keeps rows with equal keys in order, so the first of a run is the earliest row.
        order = np.argsort(band, kind="stable")
        same = np.flatnonzero(band[order][1:] == band[order][:-1])
        leaders = np.arange(len(order))
        for position in same:  # the first row of a run of equal values is its leader
            leaders[position + 1] = leaders[position]
        # Compare each row with the first of its run and with its neighbor only: the number of pairs stays linear.
        pairs.update((int(rows[order[leaders[at + 1]]]), int(rows[order[at + 1]])) for at in same)
        pairs.update((int(rows[order[at]]), int(rows[order[at + 1]])) for at in same)
    return sorted(pairs, key=lambda pair: (pair[1], pair[0]))
