"""Bounds on what is learned from at once: stratified samples of rows, where a corpus has more than fit.

A sample depends on labels, lengths and seed. Below the bounds nothing is sampled, and the same rows come back.
"""

import numpy as np
import numpy.typing as npt

from textlstm.fitting.labelled_rows import LabelledRows

MOST_LINEAR_CHARACTERS = 40_000_000
"""Characters of training texts that the linear expert and the baseline learn from: their n-grams take about 10 bytes of
memory for each (measured: 0.35 GB for 36,000 texts of 230 characters), and LinearSVC reads them all again and again."""
MOST_VALIDATION_ROWS, MOST_VALIDATION_CHARACTERS = 50_000, 10_000_000
"""Validation rows and their characters; of 50,000 rows, the standard error of an accuracy is at most 0.22 points."""
_LEAST_OF_CLASS = 20
"""Rows of each class that come before all others."""


def bounded_rows(rows: LabelledRows, *, seed: int) -> LabelledRows:
    """Return `rows` with validation rows that fit: scored after each epoch, and to calibrate on."""
    sizes = rows.validation.num_characters() / MOST_VALIDATION_CHARACTERS + 1 / MOST_VALIDATION_ROWS
    chosen = stratified_sample(rows.validation_targets, sizes, most=1.0, seed=seed)
    if chosen is None:
        return rows
    return rows.select_validation(chosen)


def linear_rows(rows: LabelledRows, *, seed: int) -> LabelledRows:
    """Return `rows` with the training rows that linear models learn from."""
    chosen = stratified_sample(rows.train_targets, rows.train.num_characters(), most=MOST_LINEAR_CHARACTERS, seed=seed)
    if chosen is None:
        return rows
    return rows.select_train(chosen)


def stratified_sample(
    targets: np.ndarray, sizes: np.ndarray, *, most: float, seed: int
) -> npt.NDArray[np.int64] | None:
    """Return the places of rows whose `sizes` sum to at most `most`, in order; None where all rows fit.

    Each class gives the same part of its rows, but some rows of every class come first: classes of 6 and 2 rows of
    equal size give 3 and 1 where half of all rows fit and no class has rows to come first.

    Args:
        targets: (N,) label ids, or (N, L) 0/1, where the rarest label of a row is its class.
        sizes: (N,) of the rows.
        most: sum of the sizes that fit.
        seed: of the order in which the rows of a class are taken.
    """
    if sizes.sum() <= most:
        return None
    classes = row_classes(targets)
    # A random order, sorted by class: the place of a row within its class, as a part of the class.
    order = np.random.default_rng(seed).permutation(len(classes))
    order = order[np.argsort(classes[order], kind="stable")]
    _, starts, counts = np.unique(classes[order], return_index=True, return_counts=True)
    places = np.arange(len(order)) - np.repeat(starts, counts)
    parts = np.where(places < _LEAST_OF_CLASS, 0.0, (places + 0.5) / np.repeat(counts, counts))
    # The rows with the smallest parts are taken while they fit.
    order = order[np.argsort(parts, kind="stable")]
    num_taken = int(np.searchsorted(np.cumsum(sizes[order]), most, side="right"))
    return np.sort(order[: max(num_taken, 1)])


def row_classes(targets: np.ndarray) -> npt.NDArray[np.int64]:
    """Return the (N,) class of each row: its label or rarest label; rows without labels are a class of their own."""
    if targets.ndim == 1:
        return np.asarray(targets, dtype=np.int64)
    rarity = targets.sum(axis=0)
    rarest = np.where(targets > 0, rarity, np.inf).argmin(axis=1)
    classes: npt.NDArray[np.int64] = np.where(targets.any(axis=1), rarest, targets.shape[1]).astype(np.int64)
    return classes
