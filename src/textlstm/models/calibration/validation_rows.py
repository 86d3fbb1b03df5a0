"""The validation rows that a calibration is learned from: folds for cross-fitting, and weights for label shift."""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from textlstm.errors import ConfigError

NUM_FOLDS = 5
LEAST_ROWS = 100
"""With fewer rows of known labels, no correction is fitted: it would not hold for other rows."""


def known_rows(targets: np.ndarray, *, seed: int) -> np.ndarray:
    """Return the shuffled int64 indices of the rows with a known label.

    `targets` are (N,) label ids, -1 is unknown; or (N, L) probabilities, which are all known.
    """
    known = targets >= 0 if targets.ndim == 1 else np.ones(len(targets), np.bool_)
    return np.random.default_rng(seed).permutation(np.flatnonzero(known))


def folds(order: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield (the rows of all other folds, the rows of one fold) for each fold of the row indices `order`."""
    for fold in range(NUM_FOLDS):
        yield np.delete(order, np.s_[fold::NUM_FOLDS]), order[fold::NUM_FOLDS]


def label_shift_weights(targets: np.ndarray, labels: Sequence[str], shares: Mapping[str, float]) -> np.ndarray:
    """Return (N,) float64 importance weights with mean 1, for rows that will come with other class shares.

    If only the class shares differ ("label shift"), a weighted mean over these rows estimates the mean over the rows
    that the model will meet (Saerens, Latinne and Decaestecker 2002).

    Args:
        targets: (N,) label ids of the rows, -1 for a label unknown to the model.
        labels: name of each label id.
        shares: share of each named label, in [0, 1]; labels without a share split the rest as in these rows.

    Raises:
        ConfigError: a label is not one of `labels` or has no row here, or the shares of all labels do not add up to 1.
    """
    weights = np.ones(len(targets))
    rest = np.ones(len(targets), dtype=np.bool_)  # rows whose label has no given share
    for label, share in shares.items():
        if label not in labels:
            raise ConfigError(f"evaluation.label_shares: no label is named {label!r}")
        rows = targets == list(labels).index(label)
        if share and not rows.any():
            raise ConfigError(
                f"evaluation.label_shares: no validation row is labelled {label!r}, so its share teaches nothing"
            )
        # The share to come over the share among these rows.
        weights[rows] = share / max(rows.mean(), 1e-12)
        rest &= ~rows
    missing = 1 - sum(shares.values())
    if abs(missing) > 1e-6 and not rest.any():
        raise ConfigError(f"evaluation.label_shares: all labels are named, but their shares add up to {1 - missing:g}")
    # Labels without a share divide what is missing as they do here.
    weights[rest] = max(missing, 0.0) / max(rest.mean(), 1e-12)
    return weights
