"""One LSTM layer over words, computed by numpy, for many texts on a CPU.

The input weights times the vector of a word (and of its part of speech) do not depend on the word's neighbors, so this
product is computed once for each distinct word. A token then needs one look-up and the recurrent product.

All four gates are one call of tanh, since sigmoid(x) = (1 + tanh(x / 2)) / 2: the weights of the three sigmoid gates
are halved beforehand, and states are kept doubled until they are pooled. Halving and doubling are exact.

Dimensions: B texts, M tokens of all texts, W distinct words, V words of the vocabulary, E features of a token, H units
of a direction, L labels.
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


def supports(config: ModelConfig) -> bool:
    """Return whether `NumpyLSTM` computes networks of `config`: one LSTM layer, no characters, max or mean pooling."""
    return (
        config.encoder is Encoder.lstm
        and config.num_layers == 1
        and config.pooling in (Pooling.max, Pooling.mean, Pooling.max_mean)
        and not config.char_cnn_size
        and not config.subword_buckets
    )


class WordTables(NamedTuple):
    """Input weights times the vectors of W distinct words, plus biases."""

    word_ids: np.ndarray
    """(M,) number of each token's word, below W."""
    tables: tuple[np.ndarray, ...]
    """(W, 4H) float32 for each direction."""


class _Direction(NamedTuple):
    input: np.ndarray  # (E, 4H)
    bias: np.ndarray  # (4H,)
    recurrent: np.ndarray  # (H, 4H), for doubled states


class _Pooled(NamedTuple):
    max: np.ndarray  # (B, H), doubled
    sum: np.ndarray  # (B, H), doubled


@dataclass(frozen=True, slots=True)
class NumpyLSTM:
    """A trained network; gates are in torch's order: input, forget, cell, output (i, f, g, o)."""

    words: np.ndarray
    """(V, E) float32."""
    pos: np.ndarray | None
    """(tags, P) float32, or None when the network reads no parts of speech."""
    directions: tuple[_Direction, ...]
    pooling: Pooling
    dense: tuple[np.ndarray, np.ndarray] | None
    output: tuple[np.ndarray, np.ndarray]

    @classmethod
    def from_arrays(cls, config: ModelConfig, arrays: Mapping[str, np.ndarray]) -> "NumpyLSTM":
        """Return the network whose weights are the `arrays` of `TextNetwork.to_arrays`; `supports(config)` is true."""
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
        """Bytes of one word in the tables."""
        return sum(4 * len(direction.bias) for direction in self.directions)

    def word_tables(self, token_ids: np.ndarray, pos_ids: np.ndarray | None) -> WordTables:
        """Return the tables of the distinct words (with their parts of speech) of (M,) tokens.

        Raises:
            ValueError: the network reads parts of speech and there are none.
        """
        # One tag a word where the network reads none, so that a pair of word and tag is the word.
        token_ids, num_tags = self._known(token_ids), 1
        if self.pos is not None:
            if pos_ids is None:
                raise ValueError("the network reads parts of speech, but the texts have none")
            num_tags = len(self.pos)
            token_ids = token_ids * num_tags + pos_ids

        # Number the distinct pairs of word and tag: a flag for each that occurs, then its number.
        places = np.zeros(len(self.words) * num_tags, dtype=np.int64)
        places[token_ids] = 1
        used = np.flatnonzero(places)
        places[used] = np.arange(len(used))

        vectors = self._vectors(used // num_tags, used % num_tags)  # (W, E)
        return WordTables(places[token_ids], self._project(vectors))

    def vocabulary_tables(self) -> tuple[np.ndarray, ...]:
        """Return the tables of all words of a network that reads no parts of speech, for `in_vocabulary`."""
        return self._project(self.words)

    def in_vocabulary(self, token_ids: np.ndarray, tables: tuple[np.ndarray, ...]) -> WordTables:
        """Return (M,) tokens in the tables of all words."""
        return WordTables(self._known(token_ids), tables)

    def vectors_of(self, token_ids: np.ndarray, pos_ids: np.ndarray | None) -> np.ndarray:
        """Return the (T, E) float32 vectors of (T,) tokens, with those of their parts of speech if these are read.

        Raises:
            ValueError: the network reads parts of speech and there are none.
        """
        if self.pos is not None and pos_ids is None:
            raise ValueError("the network reads parts of speech, but the texts have none")
        return self._vectors(self._known(token_ids), pos_ids)

    def _vectors(self, words: np.ndarray, tags: np.ndarray | None) -> np.ndarray:
        vectors = self.words[words]
        return vectors if self.pos is None else np.concatenate([vectors, self.pos[tags]], axis=1)

    def _known(self, token_ids: np.ndarray) -> np.ndarray:
        """Return int64 ids, with those beyond the vocabulary as the unknown word."""
        return np.where(token_ids < len(self.words), token_ids, UNKNOWN_ID).astype(np.int64)

    def _project(self, vectors: np.ndarray) -> tuple[np.ndarray, ...]:
        tables = tuple(vectors @ one.input for one in self.directions)
        for table, one in zip(tables, self.directions, strict=True):
            np.add(table, one.bias, out=table)  # in place: a new array would take four times as long as the product
        return tables

    def logits(self, words: WordTables, starts: np.ndarray, lengths: np.ndarray) -> np.ndarray:
        """Return (B, L) float32 logits of texts with (B,) `starts` and (B,) falling `lengths` among the tokens."""
        longest = int(lengths[0]) if len(lengths) else 0
        # At step t the first running[t] texts still have a token.
        running = np.searchsorted(-lengths, -np.arange(longest), side="left").tolist()
        # A network of one direction takes the first of these readings only.
        readings = [(starts, 1), (starts + lengths - 1, -1)]  # first token and step of each direction
        pooled = [
            _run(direction, table, words.word_ids, first=first, step=step, running=running)
            for direction, table, (first, step) in zip(self.directions, words.tables, readings, strict=False)
        ]

        # Pool over time; states are doubled. A text without tokens pools to zeros.
        num_read = running[0] if running else 0
        count = 2 * np.maximum(lengths[:num_read], 1).astype(np.float32)[:, None]
        highest = [part.max * _HALF for part in pooled]
        mean = [part.sum / count for part in pooled]
        parts = {Pooling.max: highest, Pooling.mean: mean, Pooling.max_mean: highest + mean}[self.pooling]
        features = np.zeros((len(lengths), sum(part.shape[1] for part in parts)), dtype=np.float32)
        features[:num_read] = np.concatenate(parts, axis=1)

        return self.head(features)

    def head(self, features: np.ndarray) -> np.ndarray:
        """Return the (B, L) or (L,) float32 logits of (B, P) or (P,) pooled features."""
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
    """Return the pooled doubled states of one direction, which starts at the `first` tokens and goes by `step`.

    `running[t]` is the number of texts that have a token at time step t.
    """
    # All arrays have room for the texts of the first step; texts are sorted by falling length, so they end at the back.
    num_texts, size = (running[0] if running else 0), len(direction.recurrent)
    states, cells, total, fresh, kept = (np.zeros((num_texts, size), dtype=np.float32) for _ in range(5))
    highest = np.full((num_texts, size), _LOWEST)
    all_gates, products = (np.empty((num_texts, 4 * size), dtype=np.float32) for _ in range(2))
    places, take, recurrent = first.copy(), table.take, direction.recurrent
    count = -1
    for number, num_running in enumerate(running):
        # New views only when texts end: making a view takes as long as a small product.
        if num_running != count:
            count = num_running
            gates, product, at = all_gates[:count], products[:count], places[:count]
            input_gate, forget_gate, cell_gate, output_gate = (gates[:, k * size : (k + 1) * size] for k in range(4))
            old, new, cell, state = kept[:count], fresh[:count], cells[:count], states[:count]
            top, sum_of_states = highest[:count], total[:count]
        take(word_ids[at], axis=0, out=gates, mode="clip")  # other modes copy twice
        if number:  # at the first token, states are zero
            gates += np.matmul(state, recurrent, out=product)
        np.tanh(gates, out=gates)  # a sigmoid gate s is now 2 s - 1

        # cell = forget * cell + input * cell_gate, with s = (tanh + 1) / 2 for the two sigmoids.
        np.multiply(forget_gate, cell, out=old)
        old += cell
        np.multiply(input_gate, cell_gate, out=new)
        new += cell_gate
        old += new
        np.multiply(old, _HALF, out=cell)

        # Doubled state = 2 * output * tanh(cell).
        np.tanh(cell, out=new)
        np.multiply(output_gate, new, out=state)
        state += new

        sum_of_states += state
        np.maximum(top, state, out=top)
        at += step
    return _Pooled(highest, total)


def _read_direction(arrays: Mapping[str, np.ndarray], prefix: str) -> _Direction:
    # (4H, E) to (E, 4H), and (4H, H) to (H, 4H). The factors are exact halves, see the head of this file.
    recurrent = arrays[f"{prefix}weight_hh_l0"]
    scale = np.full(len(recurrent), _HALF)
    size = recurrent.shape[1]
    scale[2 * size : 3 * size] = 1  # the cell gate is a tanh already
    bias = (arrays[f"{prefix}bias_ih_l0"] + arrays[f"{prefix}bias_hh_l0"]) * scale
    weights = np.ascontiguousarray((arrays[f"{prefix}weight_ih_l0"] * scale[:, None]).T)
    return _Direction(weights, bias, np.ascontiguousarray((recurrent * scale[:, None]).T * _HALF))


def _read_linear(arrays: Mapping[str, np.ndarray], prefix: str) -> tuple[np.ndarray, np.ndarray]:
    return np.ascontiguousarray(arrays[f"{prefix}weight"].T), arrays[f"{prefix}bias"]
