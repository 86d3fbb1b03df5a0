"""The recurrent text classifier as an ONNX graph: embedder -> encoder -> pooling -> head, as `models/network.py`.

Inputs of the graph: `token_ids` (T, B) int64, 0 is padding; `lengths` (B,) int64, 0 allowed; and where the networks
read them `pos_ids` (T, B) int64, and `spelling_ids` (T, B) int64, the row of each token in `spellings` (U, C) int64
bytes, of which row 0 is padding and all zero. Outputs: `logits_0`, ... (B, L) float32, one a network.

Steps come first, as ONNX's recurrent operators want them. Legend as in `models/batch.py`; U distinct spellings.
"""

from collections.abc import Mapping, Sequence

import numpy as np

import onnx
from textlstm.config import ExportPrecision, ModelConfig
from textlstm.models.spelling import SPELLING_SIZE
from textlstm.onnx.embedder import add_embedder
from textlstm.onnx.encoder import add_encoder
from textlstm.onnx.graph import FLOAT, GraphInput, GraphWriter
from textlstm.onnx.pooling import add_pooling
from textlstm.onnx.weights import Weights

TOKENS = GraphInput("token_ids", ("T", "B"))
LENGTHS = GraphInput("lengths", ("B",))
POS = GraphInput("pos_ids", ("T", "B"))
SPELLING_IDS = GraphInput("spelling_ids", ("T", "B"))
SPELLINGS = GraphInput("spellings", ("U", SPELLING_SIZE))
OUTPUT_PREFIX = "logits_"


def build_model(
    config: ModelConfig, networks: Sequence[Mapping[str, np.ndarray]], *, precision: ExportPrecision
) -> onnx.ModelProto:
    """Return the graph of one or several networks of the same settings, from the arrays of their weights."""
    graph = GraphWriter(precision)
    inputs = [TOKENS, LENGTHS]
    if config.pos_embedding_size:
        inputs.append(POS)
    if config.char_cnn_size or config.subword_buckets:
        inputs += [SPELLING_IDS, SPELLINGS]
    outputs = []
    for index, arrays in enumerate(networks):
        weights = Weights(arrays)
        logits = _add_network(graph, config, weights)
        output = GraphInput(f"{OUTPUT_PREFIX}{index}", ("B", len(arrays["head.output.bias"])), FLOAT)
        graph.name_output(logits, output.name)
        weights.refuse_unused()
        outputs.append(output)
    return graph.to_model(inputs, outputs)


def _add_network(graph: GraphWriter, config: ModelConfig, weights: Weights) -> str:
    vectors = add_embedder(graph, config, weights.under("embedder."))
    encoded = add_encoder(graph, config, weights.under("encoder."), vectors=vectors, lengths=LENGTHS.name)
    pooled = add_pooling(graph, config.pooling, weights.under("pool."), encoded)
    head = weights.under("head.")
    if config.dense_size:
        pooled = graph.one("Relu", _linear(graph, pooled, head.under("dense.")))
    return _linear(graph, pooled, head.under("output."))


def _linear(graph: GraphWriter, inputs: str, weights: Weights) -> str:
    """Return (B, outputs) of (B, inputs)."""
    weight, bias = graph.weight(weights.take("weight")), graph.constant(weights.take("bias"))
    return graph.one("Gemm", inputs, weight, bias, transB=1)
