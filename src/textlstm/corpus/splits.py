"""Which rows go to validation and test: stratified, duplicate-safe, independent of the order of rows and files."""

import hashlib
from enum import StrEnum

import numpy as np
import numpy.typing as npt

from textlstm.corpus.token_hashes import Hashes, mix


class Split(StrEnum):
    """The three parts of a corpus, in the order in which they are prepared."""

    train = "train"
    validation = "validation"
    test = "test"


def content_hash(text: str) -> int:
    """Return the first 64 bits of sha256 of the text's words, joined by single spaces.

    Texts with equal hashes count as equal, so white space makes no difference. Among a million different texts a false
    pair has a chance of 3e-8.
    """
    words = " ".join(text.split())
    return int.from_bytes(hashlib.sha256(words.encode("utf-8", "surrogatepass")).digest()[:8], "big")


def take_part(
    hashes: Hashes, *, strata: npt.NDArray[np.int64], fraction: float, split_seed: int
) -> npt.NDArray[np.bool_]:
    """Return which of N rows belong to a part of about `fraction` of the different texts.

    Rows with equal `hashes` (N,) uint64 count as one text and stay together. Each stratum (`strata` (N,) int64, ranks
    that do not depend on the order of rows; a text with several keeps the smallest) gives its share, rounded by largest
    remainders, in the order of hash and seed, but never its last text. So 10 texts of stratum 0 and 5 of stratum 1 at
    0.2 give 2 and 1.

    Returns:
        (N,) bool; all false where no stratum has two texts.
    """
    order = np.argsort(hashes, kind="stable")
    ordered = hashes[order]
    is_first = np.ones(len(ordered), np.bool_)
    is_first[1:] = ordered[1:] != ordered[:-1]
    texts, starts = ordered[is_first], np.flatnonzero(is_first)
    smallest = np.minimum.reduceat(strata[order], starts) if len(starts) else strata
    taken = _take_texts(texts, smallest, fraction=fraction, split_seed=split_seed)
    rows = np.zeros(len(hashes), np.bool_)
    rows[order] = np.repeat(taken, np.diff(starts, append=len(hashes)))
    return rows


def _take_texts(
    texts: Hashes, strata: npt.NDArray[np.int64], *, fraction: float, split_seed: int
) -> npt.NDArray[np.bool_]:
    """Return which of some different texts belong to the part."""
    _, stratum, sizes = np.unique(strata, return_inverse=True, return_counts=True)
    quotas = _quotas(sizes, fraction)
    order = np.lexsort((mix(texts ^ mix(np.array([split_seed + 1], np.uint64))), stratum))
    rank_in_stratum = np.arange(len(texts)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    taken: npt.NDArray[np.bool_] = np.zeros(len(texts), dtype=np.bool_)
    taken[order] = rank_in_stratum < quotas[stratum[order]]
    return taken


def _quotas(sizes: npt.NDArray[np.int64], fraction: float) -> npt.NDArray[np.int64]:
    """Return how many texts each stratum gives: shares rounded down, the rest by largest remainder."""
    most = np.maximum(sizes - 1, 0)
    shares = sizes * fraction
    quotas: npt.NDArray[np.int64] = np.minimum(np.floor(shares).astype(np.int64), most)
    wanted = max(1, round(float(sizes.sum()) * fraction))
    by_remainder = np.lexsort((np.arange(len(sizes)), -sizes, quotas - shares))
    for stratum in by_remainder:
        if quotas.sum() >= wanted:
            break
        quotas[stratum] = min(quotas[stratum] + 1, most[stratum])
    return quotas
