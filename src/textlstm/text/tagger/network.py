"""The interface of a tagger's network; `network_torch.py` and `network_numpy.py` are two of them."""

from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

NORM_EPSILON = 1e-8
"""What thinc's layer normalization adds to the variance."""
NEAR_TIE = 2e-4
"""fp32 scores of the best two tags closer than this are left to spaCy itself; rounding moves them ten times less."""


class PredictedTags(NamedTuple):
    """Tags of R rows."""

    tags: NDArray[np.int64]
    """(R,) index into the tagger's labels; gaps hold anything."""
    ties: NDArray[np.bool_]
    """(R,) whether another tag scores almost as high."""


class TagNetwork(Protocol):
    """spaCy's tok2vec and tagger, over word forms in their order."""

    receptive_field: int
    """Rows to each side that a row's tag depends on; the gap between texts has this number of zero rows."""

    def no_vectors(self, num_forms: int) -> Any:
        """Return (num_forms, W) zeros, the vectors of gaps."""

    def embed(self, inputs: NDArray[np.float32]) -> Any:
        """Return the (F, W) vectors of word forms from their concatenated embeddings (F, inputs)."""

    def guess(self, form_vectors: Any, form_ids: NDArray[np.int32]) -> PredictedTags:
        """Return the best tag of each row.

        Args:
            form_vectors: (F, W); form 0 is the gap and all zero.
            form_ids: (R,) int32; texts with at least `receptive_field` zeros before, between and after them.
        """


def used_forms(form_ids: NDArray[np.int32], num_forms: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the distinct forms, the gap first, and the place of each row's form among them.

    Example: forms 0, 7, 3, 7 give (0, 3, 7) and (0, 2, 1, 2).
    """
    # With few rows for many forms, sort the rows; else mark the used forms, which needs no sorting.
    if len(form_ids) * 8 < num_forms:
        used, positions = np.unique(form_ids, return_inverse=True)
        return used.astype(np.int64), positions
    is_used = np.zeros(num_forms, np.bool_)
    is_used[form_ids] = True
    return np.flatnonzero(is_used), (np.cumsum(is_used) - 1)[form_ids]
