"""Which rows go to validation and test: stratified, duplicate-safe, independent of the order of rows and files."""

import hashlib

import numpy as np
import numpy.typing as npt

from textlstm.corpus.preparing.token_hashes import Hashes, mix


def content_hash(text: str) -> int:
    """Return the first 64 bits of sha256 of the text's words, joined by single spaces.

    Texts with equal hashes count as equal, so white space makes no difference. Among a million different texts a false
    pair has a chance of 3e-8.
    """
    words = " ".join(text.split())
    return int.from_bytes(hashlib.sha256(words.encode("utf-8", "surrogatepass")).digest()[:8], "big")


def take_part(
    hashes: Hashes, *, strata: npt.NDArray[np.int32], fraction: float, split_seed: int
) -> npt.NDArray[np.bool_]:
    """Return which of N rows belong to a part of about `fraction` of the different texts.

    Rows with equal `hashes` (N,) uint64 count as one text and stay together. Each stratum (`strata` (N,) int32, ranks
    that do not depend on the order of rows; a text with several keeps the smallest) gives its share, rounded by largest
    remainders, in the order of hash and seed, but never its last text. So 10 texts of stratum 0 and 5 of stratum 1 at
    0.2 give 2 and 1.

    Returns:
        (N,) bool; all false where no stratum has two texts.
    """
    order = order_of(hashes)
    ordered = hashes[order]
    is_first = np.ones(len(ordered), np.bool_)
    is_first[1:] = ordered[1:] != ordered[:-1]
    texts = ordered[is_first]
    del ordered
    starts = np.flatnonzero(is_first)
    smallest = np.minimum.reduceat(strata[order], starts) if len(starts) else strata
    taken = _take_texts(texts, smallest, fraction=fraction, split_seed=split_seed)
    rows = np.zeros(len(hashes), np.bool_)
    rows[order] = np.repeat(taken, np.diff(starts, append=len(hashes)))
    return rows


def order_of(hashes: Hashes) -> npt.NDArray[np.uint32]:
    """Return the (N,) order that sorts the hashes, equal ones as they come; 4 bytes a row."""
    return np.argsort(hashes, kind="stable").astype(np.uint32)


def _take_texts(
    texts: Hashes, strata: npt.NDArray[np.int32], *, fraction: float, split_seed: int
) -> npt.NDArray[np.bool_]:
    """Return which of some different texts belong to the part."""
    sizes = np.bincount(strata)
    quotas = _quotas(sizes, fraction)
    taken: npt.NDArray[np.bool_] = np.zeros(len(texts), dtype=np.bool_)
    seed = mix(np.array([split_seed + 1], np.uint64))
    by_stratum = np.argsort(strata, kind="stable").astype(np.uint32)
    ends = np.cumsum(sizes)
    # A stratum at a time: its texts in the order of hash and seed give the first so many.
    for stratum in np.flatnonzero(quotas):
        places = by_stratum[ends[stratum] - sizes[stratum] : ends[stratum]]
        order = np.argsort(mix(texts[places] ^ seed), kind="stable")
        taken[places[order[: quotas[stratum]]]] = True
    return taken


def _quotas(sizes: npt.NDArray[np.int64], fraction: float) -> npt.NDArray[np.int64]:
    """Return how many texts each stratum gives: shares rounded down, the rest by largest remainder."""
    most = np.maximum(sizes - 1, 0)  # also 0 for strata without texts
    shares = sizes * fraction
    quotas: npt.NDArray[np.int64] = np.minimum(np.floor(shares).astype(np.int64), most)
    wanted = max(1, round(float(sizes.sum()) * fraction))
    by_remainder = np.lexsort((np.arange(len(sizes)), -sizes, quotas - shares))
    for stratum in by_remainder:
        if quotas.sum() >= wanted:
            break
        quotas[stratum] = min(quotas[stratum] + 1, most[stratum])
    return quotas
