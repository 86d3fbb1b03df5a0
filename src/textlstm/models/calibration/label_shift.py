"""Weights that give held-out rows the class shares of the rows that a model will meet ("label shift")."""

from collections.abc import Mapping, Sequence

import numpy as np

from textlstm.errors import ConfigError


def label_shift_weights(targets: np.ndarray, labels: Sequence[str], shares: Mapping[str, float]) -> np.ndarray:
    """Return (N,) float64 importance weights of rows, with mean 1 (Saerens, Latinne and Decaestecker 2002).

    Where only the shares of the classes differ, a weighted mean over these rows estimates the mean over the rows that
    the model will meet.

    Args:
        targets: (N,) label ids of the rows, -1 for a label unknown to the model.
        labels: name of each label id.
        shares: of some labels; the rows of all others share the rest as they do here.

    Raises:
        ConfigError: a label is not one of `labels`, no row here has it, or the shares of all rows are not 1.
    """
    weights = np.ones(len(targets))
    rest = np.ones(len(targets), dtype=np.bool_)
    for label, share in shares.items():
        if label not in labels:
            raise ConfigError(f"evaluation.label_shares: no label is named {label!r}")
        rows = targets == list(labels).index(label)
        if share and not rows.any():
            raise ConfigError(
                f"evaluation.label_shares: no validation row is labelled {label!r}, so its share teaches nothing"
            )
        weights[rows] = share / max(rows.mean(), 1e-12)
        rest &= ~rows
    missing = 1 - sum(shares.values())
    if abs(missing) > 1e-6 and not rest.any():
        raise ConfigError(f"evaluation.label_shares: all labels are named, but their shares add up to {1 - missing:g}")
    weights[rest] = max(missing, 0.0) / max(rest.mean(), 1e-12)
    return weights
