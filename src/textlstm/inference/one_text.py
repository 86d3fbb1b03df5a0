"""The LSTM over one text: what a program asks that labels row by row.

The batch path spends most of the time of one row outside of its products. Here both directions go through each step
together, and the gates lie beside the cell so that a step takes eight calls of numpy:

    [input | forget | output | cell gate | cell], of which a product of the first two with the last two is the new cell

Sums are taken in another order than in a batch: logits agree to 2e-6.

Dimensions: T tokens, D directions, E features of a token, H units of a direction, L labels.
"""

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
from threadpoolctl import ThreadpoolController

from textlstm.config import Pooling
from textlstm.inference.numpy_lstm import NumpyLSTM

_HALF = np.float32(0.5)


class OneTextLSTM:
    """A network of `NumpyLSTM` for one text at a time; calls from several threads do not disturb each other."""

    def __init__(self, network: NumpyLSTM) -> None:
        """Reorder the weights of `network`; the vectors of words are shared with it."""
        self._network = network
        size = len(network.directions[0].recurrent)
        # Gates in the order input, forget, output, cell gate, where torch has input, forget, cell gate, output.
        order = np.concatenate([np.arange(2 * size), np.arange(3 * size, 4 * size), np.arange(2 * size, 3 * size)])
        self._size = size
        self._inputs = [np.ascontiguousarray(one.input[:, order]) for one in network.directions]  # (E, 4H) each
        self._recurrent = [np.ascontiguousarray(one.recurrent[:, order]) for one in network.directions]  # (H, 4H) each
        self._bias = np.stack([one.bias[order] for one in network.directions])  # (D, 4H)

    def logits(self, token_ids: np.ndarray, pos_ids: np.ndarray | None) -> np.ndarray:
        """Return (L,) float32 logits of a text of (T,) tokens.

        Raises:
            ValueError: the network reads parts of speech and there are none.
        """
        network = self._network
        # A text without tokens pools to zeros, as one of a single zero state does.
        states = np.zeros((1, len(self._inputs), self._size), dtype=np.float32)  # (T, D, H), doubled
        if len(token_ids):
            with one_blas_thread():
                states = self._states(network.vectors_of(token_ids, pos_ids))
        # (D H,) each, one direction after the other.
        pooled = []
        if network.pooling is not Pooling.mean:
            pooled.append((states.max(axis=0) * _HALF).reshape(-1))
        if network.pooling is not Pooling.max:
            pooled.append((states.sum(axis=0) / np.float32(2 * len(states))).reshape(-1))
        features = pooled[0] if len(pooled) == 1 else np.concatenate(pooled)
        return network.head(features)

    def _states(self, vectors: np.ndarray) -> np.ndarray:
        """Return (T, D, H) doubled states for (T, E) vectors; the second direction starts at the last token."""
        num_tokens, num_directions, size = len(vectors), len(self._inputs), self._size
        given = np.empty((num_tokens, num_directions, 4 * size), dtype=np.float32)
        for direction, weights in enumerate(self._inputs):
            np.matmul(vectors[::-1] if direction else vectors, weights, out=given[:, direction])
        given += self._bias

        # One row a direction: four gates and the cell, (D, 5H). All names below are views of it.
        row = np.zeros((num_directions, 5 * size), dtype=np.float32)
        gates, sigmoids, output = row[:, : 4 * size], row[:, : 3 * size], row[:, 2 * size : 3 * size]
        factors, terms, cell = row[:, : 2 * size], row[:, 3 * size :], row[:, 4 * size :]
        product = np.zeros((num_directions, 4 * size), dtype=np.float32)
        products = np.empty((num_directions, 2 * size), dtype=np.float32)
        of_input, of_cell = products[:, :size], products[:, size:]
        squashed = np.empty((num_directions, size), dtype=np.float32)
        states = np.empty((num_tokens, num_directions, size), dtype=np.float32)
        recurrent = list(zip(self._recurrent, product, strict=True))
        add, multiply, tanh, dot = np.add, np.multiply, np.tanh, np.dot
        before = None
        for own, state in zip(given, states, strict=True):
            # At the first token, states are zero, and so is `product`.
            if before is not None:
                for (weights, out), its_state in zip(recurrent, before, strict=True):
                    dot(its_state, weights, out)
            add(own, product, gates)
            tanh(gates, gates)
            add(sigmoids, 1, sigmoids)  # a sigmoid gate s is now 2 s

            # cell = (2 input * cell_gate + 2 forget * cell) / 2
            multiply(factors, terms, products)
            add(of_input, of_cell, cell)
            multiply(cell, _HALF, cell)

            # Doubled state = 2 output * tanh(cell).
            tanh(cell, squashed)
            multiply(output, squashed, state)
            before = state
        return states


class _BlasThreads:
    """How many calls want one thread now, and what was set before the first of them."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._libraries = [one for one in ThreadpoolController().lib_controllers if one.user_api == "blas"]
        self._before: list[int] = []
        self._num_calls = 0

    def enter(self) -> None:
        with self._lock:
            if self._num_calls == 0:
                self._before = [library.num_threads for library in self._libraries]
                self._set([1] * len(self._libraries))
            self._num_calls += 1

    def leave(self) -> None:
        with self._lock:
            self._num_calls -= 1
            if self._num_calls == 0:
                self._set(self._before)

    def _set(self, counts: list[int]) -> None:
        for library, before, count in zip(self._libraries, self._before, counts, strict=True):
            if before != 1:
                library.set_num_threads(count)


_blas: _BlasThreads | None = None


def _forget_threads() -> None:
    """Begin anew in a forked process: a thread that held the lock is not there to let it go."""
    global _blas  # noqa: PLW0603
    _blas = None


@contextmanager
def one_blas_thread() -> Iterator[None]:
    """Let numpy's products of the block run in one thread: sharing a product of one row costs more than it saves."""
    global _blas  # noqa: PLW0603 - the number of threads belongs to the process, too
    if _blas is None:
        _blas = _BlasThreads()
        os.register_at_fork(after_in_child=_forget_threads)
    _blas.enter()
    try:
        yield
    finally:
        _blas.leave()
