"""Term frequency times inverse document frequency, as scikit-learn's TfidfTransformer(sublinear_tf=True) defines it."""

import numpy as np

from textlstm.arrays.sparse import SparseRows


def inverse_document_frequencies(frequencies: np.ndarray, *, num_texts: int) -> np.ndarray:
    """Return (columns,) float32 weights of features that occur in `frequencies` of `num_texts` texts."""
    smoothed: np.ndarray = np.log((1 + num_texts) / (1 + frequencies)) + 1
    return smoothed.astype(np.float32)


def count_rows(features: np.ndarray, rows: np.ndarray, *, num_features: int, num_rows: int) -> SparseRows:
    """Return how often each feature occurs in each row, from one (feature, row) pair an occurrence."""
    num_features = max(num_features, 1)
    keys = rows * np.int64(num_features) + features
    keys.sort(kind="stable")  # which is quick where the rows come almost in order
    firsts = np.flatnonzero(np.diff(keys, prepend=-1))
    rows, features = np.divmod(keys[firsts], num_features)
    offsets = np.concatenate([[0], np.cumsum(np.bincount(rows, minlength=num_rows))])
    return SparseRows(offsets, features, np.diff(firsts, append=len(keys)).astype(np.float32))


def tfidf_rows(counts: SparseRows, idf: np.ndarray) -> SparseRows:
    """Return rows of (1 + log count) * idf, each scaled to length 1; empty rows stay empty."""
    values = (1 + np.log(counts.values)) * idf[counts.features]
    rows = np.repeat(np.arange(len(counts.offsets) - 1), np.diff(counts.offsets))
    norms = np.sqrt(np.bincount(rows, weights=values * values, minlength=len(counts.offsets) - 1))
    return SparseRows(counts.offsets, counts.features, (values / norms[rows]).astype(np.float32))
