"""One LSTM layer over words, folded and computed by numpy alone, for labelling on a CPU.

What the input weights make of a word (and its part of speech) does not depend on its neighbours, so it is computed once
for each distinct word of some texts; a token then costs one look-up and the recurrent product. Sigmoids are taken as
(1 + tanh(x / 2)) / 2, so that all gates are one call: their weights are halved beforehand, and what a cell puts out is
kept doubled until it is pooled. Halving and doubling are exact.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from textlstm.config import Encoder, ModelConfig, Pooling

UNKNOWN_ID = 1
_HALF = np.float32(0.5)
_LOWEST = np.float32(-2.0)
"""Doubled states lie in (-2, 2)."""


def can_fold(config: ModelConfig) -> bool:
    """Return whether `FoldedLSTM` computes networks of `config`: one LSTM layer, no characters, max or mean pooling."""
    return (
        config.encoder is Encoder.lstm
        and config.num_layers == 1
        and config.pooling in (Pooling.max, Pooling.mean, Pooling.max_mean)
        and not config.char_cnn_size
        and not config.subword_buckets
    )


class WordTables(NamedTuple):
    """What the input weights make of the W distinct words of some texts."""

    word_ids: np.ndarray
    """(M,) which of the W words each token is."""
    tables: tuple[np.ndarray, ...]
    """For each direction (W, 4H) float32."""


class _Direction(NamedTuple):
    input: np.ndarray  # (E, 4H)
    bias: np.ndarray  # (4H,)
    recurrent: np.ndarray  # (H, 4H), for doubled states


class _Pooled(NamedTuple):
    max: np.ndarray  # (B, H), doubled
    sum: np.ndarray  # (B, H), doubled


@dataclass(frozen=True, slots=True)
class FoldedLSTM:
    """A trained network; gates are in torch's order, input, forget, cell, output."""

    words: np.ndarray
    """(V, E) float32."""
    pos: np.ndarray | None
    """(tags, P) float32, or None when the network reads no parts of speech."""
    directions: tuple[_Direction, ...]
    pooling: Pooling
    dense: tuple[np.ndarray, np.ndarray] | None
    output: tuple[np.ndarray, np.ndarray]

    @classmethod
    def from_arrays(cls, config: ModelConfig, arrays: Mapping[str, np.ndarray]) -> "FoldedLSTM":
        """Return the network whose weights are the `arrays` of `TextNetwork.to_arrays`; `can_fold(config)` is true."""
        names = ("forwards", "backwards") if config.bidirectional else ("forwards",)
        return cls(
            words=arrays["embedder.words.weight"],
            pos=arrays["embedder.pos.weight"] if config.pos_embedding_size else None,
            directions=tuple(_read_direction(arrays, f"encoder.layers.0.{name}.") for name in names),
            pooling=config.pooling,
            dense=_read_linear(arrays, "head.dense.") if config.dense_size else None,
            output=_read_linear(arrays, "head.output."),
        )

    @property
    def bytes_of_word(self) -> int:
        """Bytes that one word takes in the tables."""
        return sum(4 * len(direction.bias) for direction in self.directions)

    def word_tables(self, token_ids: np.ndarray, pos_ids: np.ndarray | None) -> WordTables:
        """Return the tables of the words (with their parts of speech) among (M,) tokens.

        Raises:
            ValueError: the network reads parts of speech and there are none.
        """
        token_ids, num_tags = self._known(token_ids), 1
        if self.pos is not None:
            if pos_ids is None:
                raise ValueError("the network reads parts of speech, but the texts have none")
            num_tags = len(self.pos)
            token_ids = token_ids * num_tags + pos_ids
        places = np.zeros(len(self.words) * num_tags, dtype=np.int64)
        places[token_ids] = 1
        used = np.flatnonzero(places)
        places[used] = np.arange(len(used))
        vectors = self.words[used // num_tags]
        if self.pos is not None:
            vectors = np.concatenate([vectors, self.pos[used % num_tags]], axis=1)
        return WordTables(places[token_ids], self._fold(vectors))

    def vocabulary_tables(self) -> tuple[np.ndarray, ...]:
        """Return the tables of all words of a network that reads no parts of speech, for `in_vocabulary`."""
        return self._fold(self.words)

    def in_vocabulary(self, token_ids: np.ndarray, tables: tuple[np.ndarray, ...]) -> WordTables:
        """Return (M,) tokens in the tables of all words."""
        return WordTables(self._known(token_ids), tables)

    def _known(self, token_ids: np.ndarray) -> np.ndarray:
        return np.where(token_ids < len(self.words), token_ids, UNKNOWN_ID).astype(np.int64)

    def _fold(self, vectors: np.ndarray) -> tuple[np.ndarray, ...]:
        tables = tuple(vectors @ one.input for one in self.directions)
        for table, one in zip(tables, self.directions, strict=True):
            np.add(table, one.bias, out=table)  # fresh memory for a sum would take four times as long as the product
        return tables

    def logits(self, words: WordTables, starts: np.ndarray, lengths: np.ndarray) -> np.ndarray:
        """Return (B, L) float32 logits of texts whose tokens start at (B,) `starts`; their (B,) `lengths` fall."""
        longest = int(lengths[0]) if len(lengths) else 0
        # At step t the first running[t] texts still have a token.
        running = np.searchsorted(-lengths, -np.arange(longest), side="left").tolist()
        readings = [(starts, 1), (starts + lengths - 1, -1)]
        pooled = [
            _run(direction, table, words.word_ids, first=first, step=step, running=running)
            for direction, table, (first, step) in zip(self.directions, words.tables, readings, strict=False)
        ]
        num_read = running[0] if running else 0
        count = 2 * np.maximum(lengths[:num_read], 1).astype(np.float32)[:, None]
        highest = [part.max * _HALF for part in pooled]
        mean = [part.sum / count for part in pooled]
        parts = {Pooling.max: highest, Pooling.mean: mean, Pooling.max_mean: highest + mean}[self.pooling]
        features = np.zeros((len(lengths), sum(part.shape[1] for part in parts)), dtype=np.float32)
        features[:num_read] = np.concatenate(parts, axis=1)  # a text without tokens pools to zeros
        if self.dense is not None:
            features = np.maximum(features @ self.dense[0] + self.dense[1], np.float32(0))
        return np.asarray(features @ self.output[0] + self.output[1], dtype=np.float32)


def _run(
    direction: _Direction,
    table: np.ndarray,
    word_ids: np.ndarray,
    *,
    first: np.ndarray,
    step: int,
    running: Sequence[int],
) -> _Pooled:
    """Read the texts from their `first` tokens on, a `step` at a time, and pool the doubled states."""
    num_texts, size = (running[0] if running else 0), len(direction.recurrent)
    states, cells, total, fresh, kept = (np.zeros((num_texts, size), dtype=np.float32) for _ in range(5))
    highest = np.full((num_texts, size), _LOWEST)
    all_gates, products = (np.empty((num_texts, 4 * size), dtype=np.float32) for _ in range(2))
    places, take, recurrent = first.copy(), table.take, direction.recurrent
    count = -1
    for number, num_running in enumerate(running):
        if num_running != count:  # a view costs as much as a small product
            count = num_running
            gates, product, at = all_gates[:count], products[:count], places[:count]
            entering, keeping, candidate, showing = (gates[:, k * size : (k + 1) * size] for k in range(4))
            old, new, cell, state = kept[:count], fresh[:count], cells[:count], states[:count]
            top, sum_of_states = highest[:count], total[:count]
        take(word_ids[at], axis=0, out=gates, mode="clip")  # other modes copy once more
        if number:  # before the first token, states are zero
            gates += np.matmul(state, recurrent, out=product)
        np.tanh(gates, out=gates)
        np.multiply(keeping, cell, out=old)
        old += cell
        np.multiply(entering, candidate, out=new)
        new += candidate
        old += new
        np.multiply(old, _HALF, out=cell)
        np.tanh(cell, out=new)
        np.multiply(showing, new, out=state)
        state += new
        sum_of_states += state
        np.maximum(top, state, out=top)
        at += step
    return _Pooled(highest, total)


def _read_direction(arrays: Mapping[str, np.ndarray], prefix: str) -> _Direction:
    recurrent = arrays[f"{prefix}weight_hh_l0"]
    scale = np.full(len(recurrent), _HALF)
    size = recurrent.shape[1]
    scale[2 * size : 3 * size] = 1  # the candidate is a tanh as it stands
    bias = (arrays[f"{prefix}bias_ih_l0"] + arrays[f"{prefix}bias_hh_l0"]) * scale
    weights = np.ascontiguousarray((arrays[f"{prefix}weight_ih_l0"] * scale[:, None]).T)
    return _Direction(weights, bias, np.ascontiguousarray((recurrent * scale[:, None]).T * _HALF))


def _read_linear(arrays: Mapping[str, np.ndarray], prefix: str) -> tuple[np.ndarray, np.ndarray]:
    return np.ascontiguousarray(arrays[f"{prefix}weight"].T), arrays[f"{prefix}bias"]
