"""From the states of all steps to one vector a text, as `models/pooling.py`; padding never takes part."""

from typing import assert_never

import numpy as np

from textlstm.config import Pooling
from textlstm.onnx.encoder import EncodedNames, step_mask
from textlstm.onnx.graph import FLOAT, GraphWriter
from textlstm.onnx.weights import Weights


def add_pooling(graph: GraphWriter, pooling: Pooling, weights: Weights, encoded: EncodedNames) -> str:
    """Return (B, P) pooled states; zeros for a text without tokens."""
    has_tokens = graph.one("Unsqueeze", graph.one("Greater", encoded.lengths, _number(graph, 0)), graph.integers(1))
    by_step = graph.one("Transpose", step_mask(graph, encoded.states, encoded.lengths), perm=[1, 0])
    mask = graph.one("Unsqueeze", by_step, graph.integers(2))  # (T, B, 1)
    match pooling:
        case Pooling.last:
            pooled = encoded.last
        case Pooling.max:
            pooled = _highest(graph, encoded, mask)
        case Pooling.mean:
            pooled = _mean(graph, encoded, mask)
        case Pooling.max_mean:
            pooled = graph.one("Concat", _highest(graph, encoded, mask), _mean(graph, encoded, mask), axis=1)
        case Pooling.attention:
            pooled = _attended(graph, weights, encoded, mask)
        case _:
            assert_never(pooling)
    return graph.one("Where", has_tokens, pooled, _float(graph, 0.0))


def _highest(graph: GraphWriter, encoded: EncodedNames, mask: str) -> str:
    lowest = _float(graph, float(np.finfo(np.float32).min))
    return graph.one("ReduceMax", graph.one("Where", mask, encoded.states, lowest), graph.integers(0), keepdims=0)


def _mean(graph: GraphWriter, encoded: EncodedNames, mask: str) -> str:
    shown = graph.one("Where", mask, encoded.states, _float(graph, 0.0))
    total = graph.one("ReduceSum", shown, graph.integers(0), keepdims=0)
    count = graph.one("Cast", graph.one("Max", encoded.lengths, _number(graph, 1)), to=FLOAT)
    return graph.one("Div", total, graph.one("Unsqueeze", count, graph.integers(1)))


def _attended(graph: GraphWriter, weights: Weights, encoded: EncodedNames, mask: str) -> str:
    """Return the sum of states weighted by a softmax over the tokens (Yang et al. 2016)."""
    project, score = weights.under("project."), weights.under("score.")
    turned = graph.one("MatMul", encoded.states, _turned(graph, project.take("weight")))
    hidden = graph.one("Tanh", graph.one("Add", turned, graph.constant(project.take("bias"))))
    scores = graph.one("MatMul", hidden, _turned(graph, score.take("weight")))  # (T, B, 1)
    lowest = _float(graph, float(np.finfo(np.float32).min))
    shares = graph.one("Softmax", graph.one("Where", mask, scores, lowest), axis=0)
    shown = graph.one("Where", mask, graph.one("Mul", encoded.states, shares), _float(graph, 0.0))
    return graph.one("ReduceSum", shown, graph.integers(0), keepdims=0)


def _turned(graph: GraphWriter, weight: np.ndarray) -> str:
    return graph.one("Transpose", graph.weight(weight), perm=[1, 0])


def _number(graph: GraphWriter, value: int) -> str:
    return graph.constant(np.array(value, dtype=np.int64))


def _float(graph: GraphWriter, value: float) -> str:
    return graph.constant(np.array(value, dtype=np.float32))
