"""Drift of label shares: not told where chance alone would make it."""

import numpy as np
import pytest

from textlstm.labelling.model import ModelCard
from textlstm.labelling.summary import label_drift


def _card(num_labels: int) -> ModelCard:
    labels = tuple(f"label {n}" for n in range(num_labels))
    return ModelCard("digest", labels, "text", label_shares=(1 / num_labels,) * num_labels)


@pytest.mark.parametrize(
    ("num_labels", "num_rows", "is_told"), [(3, 99, False), (3, 100, True), (77, 375, False), (77, 770, True)]
)
def test_drift_needs_ten_rows_a_label(num_labels: int, num_rows: int, is_told: bool) -> None:
    drawn = np.random.default_rng(0).integers(num_labels, size=num_rows)
    counts = {f"label {n}": int((drawn == n).sum()) for n in range(num_labels)}
    drift = label_drift(counts, _card(num_labels))
    assert (drift is not None) is is_told
    # Rows with the shares of training are not called strong drift.
    assert drift is None or drift < 0.25
