"""Recurrent encoders, as `models/encoders.py`: ONNX's operators stop each text at its own length in both directions."""

from typing import NamedTuple, assert_never

import numpy as np

from textlstm.config import Encoder, ModelConfig
from textlstm.onnx.graph import FLOAT, INT32, GraphWriter
from textlstm.onnx.weights import Weights


class EncodedNames(NamedTuple):
    """Names of what an encoder makes of B texts."""

    states: str
    """(T, B, P) outputs of both directions side by side; zeros at padded steps."""
    last: str
    """(B, P) what each direction knows at its end."""
    lengths: str
    """(B,) int64 steps of each text."""


def add_encoder(
    graph: GraphWriter, config: ModelConfig, weights: Weights, *, vectors: str, lengths: str
) -> EncodedNames:
    """Return the encoding of (T, B, E) `vectors` of texts with (B,) int64 `lengths`."""
    family, recurrent = config.encoder, weights
    if config.encoder is Encoder.cnn_lstm:
        family, recurrent = Encoder.lstm, weights.under("recurrent.")
        vectors = _convolved(graph, config, weights.under("convolution."), vectors=vectors, lengths=lengths)
        pool = graph.constant(np.array(config.conv_pool))
        rounding = graph.constant(np.array(config.conv_pool - 1))
        lengths = graph.one("Div", graph.one("Add", lengths, rounding), pool)
    short_lengths = graph.one("Cast", lengths, to=INT32)
    last = ""
    for layer in range(config.num_layers):
        part = recurrent.under(f"layers.{layer}.")
        states, last = _add_layer(graph, family, config, part, vectors=vectors, lengths=short_lengths)
        vectors = _side_by_side(graph, states, [0, 0, -1], perm=[0, 2, 1, 3])
    return EncodedNames(vectors, _side_by_side(graph, last, [0, -1], perm=[1, 0, 2]), lengths)


def _add_layer(
    graph: GraphWriter, family: Encoder, config: ModelConfig, weights: Weights, *, vectors: str, lengths: str
) -> list[str]:
    """Return the (T, D, B, H) outputs of D directions and their (D, B, H) last ones."""
    names = ("forwards", "backwards") if config.bidirectional else ("forwards",)
    cells = [weights.under(f"{name}.") for name in names]
    inputs, recurrent, biases = [], [], []
    for cell in cells:
        inputs.append(_gates(family, cell.take("weight_ih_l0")))
        recurrent.append(_gates(family, cell.take("weight_hh_l0")))
        biases.append(
            np.concatenate([_gates(family, cell.take("bias_ih_l0")), _gates(family, cell.take("bias_hh_l0"))])
        )
    num_cells = len(cells)
    tensors = [_stacked(graph, arrays, num_cells) for arrays in (inputs, recurrent)] + [
        graph.constant(np.stack(biases))
    ]
    # torch's GRU applies the reset gate after the recurrent product, biases included.
    extra = {"linear_before_reset": 1} if family is Encoder.gru else {}
    return graph.add(
        {Encoder.lstm: "LSTM", Encoder.gru: "GRU", Encoder.rnn: "RNN"}[family],
        vectors,
        *tensors,
        lengths,
        num_outputs=2,
        direction="bidirectional" if config.bidirectional else "forward",
        hidden_size=config.hidden_size,
        **extra,
    )


def _stacked(graph: GraphWriter, arrays: list[np.ndarray], num_cells: int) -> str:
    """Return (D, G * H, inputs) weights of D cells; each row has a scale of its own in int8."""
    rows, size = np.concatenate(arrays), arrays[0].shape[1]
    return graph.one("Reshape", graph.weight(rows), graph.integers(num_cells, -1, size))


def _gates(family: Encoder, stacked: np.ndarray) -> np.ndarray:
    """Reorder gates stacked in torch's order to ONNX's.

    LSTM: input, forget, cell, output becomes input, output, forget, cell; GRU: reset, update, new becomes update,
    reset, new.
    """
    match family:
        case Encoder.lstm | Encoder.cnn_lstm:
            entering, kept, cell, shown = np.split(stacked, 4)
            return np.concatenate([entering, shown, kept, cell])
        case Encoder.gru:
            reset, update, new = np.split(stacked, 3)
            return np.concatenate([update, reset, new])
        case Encoder.rnn:
            return stacked
        case _:
            assert_never(family)


def _side_by_side(graph: GraphWriter, states: str, shape: list[int], *, perm: list[int]) -> str:
    """Return states whose directions, an axis of their own, are joined to features."""
    return graph.one("Reshape", graph.one("Transpose", states, perm=perm), graph.integers(*shape))


def _convolved(graph: GraphWriter, config: ModelConfig, weights: Weights, *, vectors: str, lengths: str) -> str:
    """Return (ceil(T / pool), B, filters) of (T, B, E) `vectors`."""
    mask = graph.one("Unsqueeze", step_mask(graph, vectors, lengths), graph.integers(1))  # (B, 1, T)
    mask = graph.one("Cast", mask, to=FLOAT)
    channels = graph.one("Mul", graph.one("Transpose", vectors, perm=[1, 2, 0]), mask)  # (B, E, T)
    before = (config.conv_width - 1) // 2
    kernel, bias = graph.weight(weights.take("weight")), graph.constant(weights.take("bias"))
    filtered = graph.one("Conv", channels, kernel, bias, pads=[before, config.conv_width - 1 - before])
    shown = graph.one("Mul", graph.one("Relu", filtered), mask)
    pool = config.conv_pool
    pooled = graph.one("MaxPool", shown, kernel_shape=[pool], strides=[pool], ceil_mode=1)
    return graph.one("Transpose", pooled, perm=[2, 0, 1])


def step_mask(graph: GraphWriter, states: str, lengths: str) -> str:
    """Return (B, T) bool, true where a step of (T, B, P) `states` holds a token."""
    num_steps = graph.one("Squeeze", graph.one("Shape", states, start=0, end=1), graph.integers(0))
    steps = graph.one("Range", graph.constant(np.array(0)), num_steps, graph.constant(np.array(1)))
    return graph.one("Less", steps, graph.one("Unsqueeze", lengths, graph.integers(1)))
