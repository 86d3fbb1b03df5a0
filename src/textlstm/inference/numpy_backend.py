"""The recurrent networks of a saved model, computed by numpy on the CPU in fp32; torch is not loaded."""

import sys
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
from threadpoolctl import threadpool_limits

from textlstm.config import Device, Precision
from textlstm.inference.numpy_lstm import NumpyLSTM, supports
from textlstm.inference.one_text import OneTextLSTM
from textlstm.models.network.batch_plan import plan_sorted
from textlstm.models.network.inputs import EncodedSplit
from textlstm.processes.devices import num_cores
from textlstm.saved_model import SavedModel
from textlstm.text.spacy_models import needs_torch

MAX_TABLE_BYTES = 128 * 2**20
"""Most bytes of the tables of one call; with more distinct words, the texts are computed in two halves."""
_MOST_ROWS = 256
_BATCH_CELLS = 32_768
_ROWS_OF_THREAD = 1_000
"""A thread is worth its start from so many rows on."""
_GPU_FILES = ("/dev/nvidiactl", "/dev/nvidia0", "/dev/kfd", "/dev/dxg")


class NumpyNetworks:
    """One network, or several whose probabilities are averaged."""

    def __init__(self, saved_model: SavedModel, *, num_threads: int | None) -> None:
        """Take the networks of `saved_model`, all of which `can_compute`; `num_threads` None means all cores."""
        # This holds for the whole process: without a `with` block nothing sets the limit back.
        if num_threads is not None:
            threadpool_limits(num_threads, user_api="blas")
        self._num_threads = num_threads or num_cores()
        self._networks = [
            NumpyLSTM.from_arrays(saved_model.model, saved_model.arrays(f"network.{index}."))
            for index in range(saved_model.num_networks)
        ]
        self._tables: list[tuple[np.ndarray, ...] | None] = [None] * len(self._networks)
        self._alone: list[OneTextLSTM] | None = [OneTextLSTM(network) for network in self._networks]

    def prepare_for_many(self) -> None:
        """Compute the tables of the whole vocabulary if they are small enough; else each call computes its own."""
        # A single text is computed as one of many, so that its last bits do not depend on how texts are divided.
        self._alone = None
        for index, network in enumerate(self._networks):
            if network.pos is None and network.bytes_of_word * len(network.words) <= MAX_TABLE_BYTES:
                self._tables[index] = network.vocabulary_tables()

    def after_fork(self) -> None:
        """Numpy's BLAS starts its threads anew by itself."""

    def logits(self, split: EncodedSplit) -> list[np.ndarray]:
        """Return the (N, L) float32 logits of each network, the rows in their order."""
        if self._alone is not None and split.num_rows == 1:
            return [network.logits(split.token_ids, split.pos_ids)[None] for network in self._alone]
        networks = zip(self._networks, self._tables, strict=True)
        num_threads = self._num_threads
        if num_threads == 1 or split.num_rows < _ROWS_OF_THREAD * num_threads:
            return [_logits(network, split, 0, split.num_rows, tables) for network, tables in networks]
        # Products of these sizes gain nothing by threads of their own: two of BLAS took 24 s of two processors for
        # 25,000 texts of 64 words, two of rows with one of BLAS each take 7 s.
        ends = np.linspace(0, split.num_rows, num_threads + 1).astype(int).tolist()
        with threadpool_limits(1, user_api="blas"), ThreadPoolExecutor(num_threads) as pool:
            return [
                np.concatenate(list(pool.map(partial(_logits, network, split, tables=tables), ends[:-1], ends[1:])))
                for network, tables in networks
            ]


def can_compute(saved_model: SavedModel, *, device: Device, precision: Precision) -> bool:
    """Return whether `NumpyNetworks` can take the place of torch for a model that labels.

    It cannot where torch may find a GPU, in bf16, for networks that `NumpyLSTM` does not support, and where spaCy needs
    torch itself.
    """
    # The saved settings of spaCy and the tagger count even if no tag is read: torch and numpy differ in the last bits,
    # and a saved model keeps the one that it has always had.
    return (
        supports(saved_model.model)
        and precision is Precision.fp32
        and (device is Device.cpu or (device is Device.auto and not may_have_gpu()))
        and not (saved_model.text.pos and saved_model.text.tagger_precision is Precision.bf16)
        and not needs_torch(saved_model.text_fingerprint.spacy_model)
    )


def may_have_gpu() -> bool:
    """Return whether torch might find a GPU here, judged by the drivers' files under /dev, without loading torch."""
    if sys.platform == "linux":
        return any(Path(file).exists() for file in _GPU_FILES)
    return sys.platform != "darwin"  # on macOS, torch's own GPUs are not used either


def _logits(
    network: NumpyLSTM, split: EncodedSplit, begin: int, end: int, tables: tuple[np.ndarray, ...] | None
) -> np.ndarray:
    """Return the logits of rows `begin` to `end - 1`, which depend on these rows only, not on earlier calls.

    Without `tables` of the whole vocabulary, the tables of the words of these rows are computed.
    """
    first, last = split.offsets[begin], split.offsets[end]
    token_ids = split.token_ids[first:last]
    if tables is not None:
        words = network.in_vocabulary(token_ids, tables)
    else:
        words = network.word_tables(token_ids, None if split.pos_ids is None else split.pos_ids[first:last])
        # The tables would be too large: each half of the texts computes its own, after these are freed.
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
    # Texts of like length go together, the longest first; results return to their rows.
    plan = plan_sorted(lengths, batch_cells=_BATCH_CELLS, most_rows=_MOST_ROWS)
    for k in range(plan.num_batches):
        rows = plan.rows[plan.starts[k] : plan.starts[k + 1]]
        found[rows] = network.logits(words, starts[rows], lengths[rows])
    return found
