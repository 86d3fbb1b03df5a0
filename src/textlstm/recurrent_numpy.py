"""The recurrent networks of a saved model, computed by numpy: small, soon started, on the CPU and in fp32 only."""

import sys
from pathlib import Path

import numpy as np
from threadpoolctl import threadpool_limits

from textlstm.bundle import Bundle
from textlstm.config import Device, Precision
from textlstm.models.folded import FoldedLSTM, can_fold
from textlstm.text.spacy_alone import needs_torch
from textlstm.training.batch_plan import plan_sorted
from textlstm.training.encoding import EncodedSplit

MAX_TABLE_BYTES = 128 * 2**20
"""Texts whose distinct words would take more are done in two halves."""
_MOST_ROWS = 256
_BATCH_CELLS = 32_768
_GPU_FILES = ("/dev/nvidiactl", "/dev/nvidia0", "/dev/kfd", "/dev/dxg")


class NumpyNetworks:
    """One network, or several whose probabilities are averaged."""

    def __init__(self, bundle: Bundle, *, num_threads: int | None) -> None:
        """Take the networks of `bundle`, all of which `can_compute`; `num_threads` None means all cores."""
        if num_threads is not None:
            threadpool_limits(num_threads, user_api="blas")
        self._networks = [
            FoldedLSTM.from_arrays(bundle.model, bundle.arrays(f"network.{index}."))
            for index in range(bundle.num_networks)
        ]
        self._tables: list[tuple[np.ndarray, ...] | None] = [None] * len(self._networks)

    def prepare_for_many(self) -> None:
        """Compute what the input weights make of all words, where that has a bound; otherwise texts bring their own."""
        for index, network in enumerate(self._networks):
            if network.pos is None and network.bytes_of_word * len(network.words) <= MAX_TABLE_BYTES:
                self._tables[index] = network.vocabulary_tables()

    def logits(self, split: EncodedSplit) -> list[np.ndarray]:
        """Return the (N, L) float32 logits of each network, the rows in their order."""
        return [
            _logits(network, split, 0, split.num_rows, tables)
            for network, tables in zip(self._networks, self._tables, strict=True)
        ]


def can_compute(bundle: Bundle, *, device: Device, precision: Precision) -> bool:
    """Say whether `NumpyNetworks` serves where torch would be asked for a model that labels.

    Not where torch would use a GPU, in bf16, for networks that cannot be folded, and where spaCy needs torch itself.
    """
    # Of the spaCy model and the tagger the saved settings are asked, even where no tag is read: torch and numpy differ
    # in the last bits, and a saved model keeps the one it has always had.
    return (
        can_fold(bundle.model)
        and precision is Precision.fp32
        and (device is Device.cpu or (device is Device.auto and not may_have_gpu()))
        and not (bundle.text.pos and bundle.text.tagger_precision is Precision.bf16)
        and not needs_torch(bundle.saved_text.spacy_model)
    )


def may_have_gpu() -> bool:
    """Say whether torch might find a GPU here, told without loading it by what the drivers put under /dev."""
    if sys.platform == "linux":
        return any(Path(file).exists() for file in _GPU_FILES)
    return sys.platform != "darwin"  # there, torch is not asked for its GPUs either


def _logits(
    network: FoldedLSTM, split: EncodedSplit, begin: int, end: int, tables: tuple[np.ndarray, ...] | None
) -> np.ndarray:
    """Return the logits of rows `begin` to `end`; they depend on these rows alone, on no earlier call.

    Without the `tables` of all words, those of the words of these rows are computed.
    """
    first, last = split.offsets[begin], split.offsets[end]
    token_ids = split.token_ids[first:last]
    if tables is not None:
        words = network.in_vocabulary(token_ids, tables)
    else:
        words = network.word_tables(token_ids, None if split.pos_ids is None else split.pos_ids[first:last])
        if end - begin > 1 and network.bytes_of_word * len(words.tables[0]) > MAX_TABLE_BYTES:
            middle = (begin + end) // 2
            del words
            return np.concatenate(
                [_logits(network, split, begin, middle, None), _logits(network, split, middle, end, None)]
            )
    starts, lengths = split.offsets[begin:end] - first, np.diff(split.offsets[begin : end + 1])
    found = np.zeros((end - begin, len(network.output[1])), dtype=np.float32)
    if begin == end:
        return found
    plan = plan_sorted(lengths, batch_cells=_BATCH_CELLS, most_rows=_MOST_ROWS)
    for k in range(plan.num_batches):
        rows = plan.rows[plan.starts[k] : plan.starts[k + 1]]
        found[rows] = network.logits(words, starts[rows], lengths[rows])
    return found
