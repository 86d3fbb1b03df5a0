"""The network of `models/network` as an ONNX graph: embedder, encoder, pooling and head.

Functions add nodes to a graph and return names of values; docstrings give the shapes of these values. Dimensions:
B texts, T tokens, C bytes of a spelling, U distinct spellings, E features of a token, D directions, H units of a
direction, P = D * H, L labels.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple, assert_never

import numpy as np
import onnx

from textlstm.config import Encoder, ExportPrecision, ModelConfig, Pooling
from textlstm.inference.onnx_graph import FLOAT, INT32, INT64, GraphInput, GraphWriter, Weights
from textlstm.models.network.inputs import HASH_MODULUS, HASH_MULTIPLIER, NGRAM_WIDTHS, SPELLING_SIZE
from textlstm.vocabulary import Vocabulary

# Embedder: words, parts of speech, characters and n-grams of unknown words.


def add_embedder(graph: GraphWriter, config: ModelConfig, weights: Weights) -> str:
    """Return the (T, B, E) vectors of the graph's inputs.

    Vectors that depend on the spelling only are computed once for each of the U distinct spellings.
    """
    # Ids beyond the table are spelled unknown words; their own vector is that of the unknown word.
    table = weights.take("words.weight")
    unknown = graph.constant(np.array(Vocabulary.UNKNOWN_ID))
    is_beyond = graph.one("GreaterOrEqual", "token_ids", graph.constant(np.array(len(table))))
    token_ids = graph.one("Where", is_beyond, unknown, "token_ids")
    vectors = graph.rows(table, token_ids)
    # (U, size) vectors of spellings to (T, B, size), added where the word is unknown.
    if config.subword_buckets:
        is_unknown = graph.one("Cast", graph.one("Equal", token_ids, unknown), to=FLOAT)
        subwords = graph.one("Gather", _subwords(graph, weights.under("subwords.")), "spelling_ids")
        of_unknown = graph.one("Mul", subwords, graph.one("Unsqueeze", is_unknown, graph.integers(2)))
        vectors = graph.one("Add", vectors, of_unknown)
    parts = [vectors]
    if config.pos_embedding_size:
        parts.append(graph.rows(weights.take("pos.weight"), "pos_ids"))
    if config.char_cnn_size:
        parts.append(graph.one("Gather", _characters(graph, weights.under("chars.")), "spelling_ids"))
    return graph.one("Concat", *parts, axis=2)


def _characters(graph: GraphWriter, weights: Weights) -> str:
    """Return the (U, filters) maxima of a convolution over the bytes of each spelling."""
    embedded = graph.rows(weights.take("embedding.weight"), "spellings")  # (U, C, size)
    channels = graph.one("Transpose", embedded, perm=[0, 2, 1])
    kernel, bias = weights.take("convolution.weight"), weights.take("convolution.bias")
    filtered = graph.one("Conv", channels, graph.weight(kernel), graph.constant(bias), pads=[1, 1])
    # Padding bytes are 0 and must not win the maximum.
    mask = graph.one("Cast", graph.one("Greater", "spellings", graph.constant(np.array(0))), to=FLOAT)
    masked = graph.one("Mul", graph.one("Relu", filtered), graph.one("Unsqueeze", mask, graph.integers(1)))
    return graph.one("ReduceMax", masked, graph.integers(2), keepdims=0)


def _subwords(graph: GraphWriter, weights: Weights) -> str:
    """Return the (U, size) means of the vectors of each spelling's hashed byte n-grams."""
    table = weights.take("vectors.weight").copy()
    table[0] = 0  # no n-gram
    ids = graph.one("Concat", *(_bucket_ids(graph, width, len(table) - 1) for width in NGRAM_WIDTHS), axis=1)
    total = graph.one("ReduceSum", graph.rows(table, ids), graph.integers(1), keepdims=0)
    is_ngram = graph.one("Cast", graph.one("Greater", ids, graph.constant(np.array(0))), to=FLOAT)
    count = graph.one("ReduceSum", is_ngram, graph.integers(1), keepdims=1)
    return graph.one("Div", total, graph.one("Max", count, graph.constant(np.array(1, dtype=np.float32))))


def _bucket_ids(graph: GraphWriter, width: int, num_buckets: int) -> str:
    """Return the (U, C - width + 1) buckets, from 1, of the n-grams of one width; 0 where there is none."""
    num_ngrams = SPELLING_SIZE - width + 1

    def bytes_from(k: int) -> str:
        return graph.one("Slice", "spellings", graph.integers(k), graph.integers(k + num_ngrams), graph.integers(1))

    # All n-grams of one width at once: byte k of each is the slice that starts at k.
    multiplier, modulus = graph.constant(np.array(HASH_MULTIPLIER)), graph.constant(np.array(HASH_MODULUS))
    key = graph.constant(np.full((1, num_ngrams), width))
    for k in range(width):
        key = graph.one("Mod", graph.one("Add", graph.one("Mul", key, multiplier), bytes_from(k)), modulus)
    bucket = graph.one("Mod", key, graph.constant(np.array(num_buckets)))
    # An n-gram that ends in padding does not exist and gets bucket 0.
    last = graph.one("Cast", graph.one("Greater", bytes_from(width - 1), graph.constant(np.array(0))), to=INT64)
    return graph.one("Mul", graph.one("Add", bucket, graph.constant(np.array(1))), last)


class EncodedNames(NamedTuple):
    """Names of the states of B texts."""

    states: str
    """(T, B, P) outputs of both directions side by side; zeros at padded steps."""
    last: str
    """(B, P) state of each direction after its last step."""
    lengths: str
    """(B,) int64 time steps of each text."""


def add_encoder(
    graph: GraphWriter, config: ModelConfig, weights: Weights, *, vectors: str, lengths: str
) -> EncodedNames:
    """Return the encoding of (T, B, E) `vectors` of texts with (B,) int64 `lengths`."""
    family, recurrent = config.encoder, weights
    if config.encoder is Encoder.cnn_lstm:
        # (T, B, E) to (ceil(T / pool), B, filters), and lengths likewise, rounded up.
        family, recurrent = Encoder.lstm, weights.under("recurrent.")
        vectors = _convolved(graph, config, weights.under("convolution."), vectors=vectors, lengths=lengths)
        pool = graph.constant(np.array(config.conv_pool))
        rounding = graph.constant(np.array(config.conv_pool - 1))
        lengths = graph.one("Div", graph.one("Add", lengths, rounding), pool)
    # ONNX's recurrent operators take lengths in int32 only.
    short_lengths = graph.one("Cast", lengths, to=INT32)
    last = ""
    for layer in range(config.num_layers):
        part = recurrent.under(f"layers.{layer}.")
        states, last = _add_layer(graph, family, config, part, vectors=vectors, lengths=short_lengths)
        # A 0 in the shape of a Reshape keeps that dimension: (T, D, B, H) to (T, B, P), the input of the next layer.
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
        # ONNX takes the biases of the input and of the state end to end: (2 * G * H,) for each direction.
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
    """Return stacked gates in ONNX's order instead of torch's.

    LSTM: input, forget, cell, output (i, f, g, o) become i, o, f, g. GRU: reset, update, new become update, reset, new.
    """
    match family:
        case Encoder.lstm | Encoder.cnn_lstm:
            input_gate, forget_gate, cell_gate, output_gate = np.split(stacked, 4)
            return np.concatenate([input_gate, output_gate, forget_gate, cell_gate])
        case Encoder.gru:
            reset, update, new = np.split(stacked, 3)
            return np.concatenate([update, reset, new])
        case Encoder.rnn:
            return stacked
        case _:
            assert_never(family)


def _side_by_side(graph: GraphWriter, states: str, shape: list[int], *, perm: list[int]) -> str:
    """Return states with the axis of directions merged into the features: (T, D, B, H) to (T, B, P)."""
    return graph.one("Reshape", graph.one("Transpose", states, perm=perm), graph.integers(*shape))


def _convolved(graph: GraphWriter, config: ModelConfig, weights: Weights, *, vectors: str, lengths: str) -> str:
    """Return (ceil(T / pool), B, filters) of (T, B, E) `vectors`."""
    mask = graph.one("Unsqueeze", step_mask(graph, vectors, lengths), graph.integers(1))  # (B, 1, T)
    mask = graph.one("Cast", mask, to=FLOAT)
    channels = graph.one("Mul", graph.one("Transpose", vectors, perm=[1, 2, 0]), mask)  # (B, E, T)
    before = (config.conv_width - 1) // 2
    kernel, bias = graph.weight(weights.take("weight")), graph.constant(weights.take("bias"))
    filtered = graph.one("Conv", channels, kernel, bias, pads=[before, config.conv_width - 1 - before])
    masked = graph.one("Mul", graph.one("Relu", filtered), mask)
    pool = config.conv_pool
    pooled = graph.one("MaxPool", masked, kernel_shape=[pool], strides=[pool], ceil_mode=1)
    return graph.one("Transpose", pooled, perm=[2, 0, 1])


def step_mask(graph: GraphWriter, states: str, lengths: str) -> str:
    """Return (B, T) bool, true where a step of (T, B, P) `states` holds a token."""
    num_steps = graph.one("Squeeze", graph.one("Shape", states, start=0, end=1), graph.integers(0))
    steps = graph.one("Range", graph.constant(np.array(0)), num_steps, graph.constant(np.array(1)))
    return graph.one("Less", steps, graph.one("Unsqueeze", lengths, graph.integers(1)))


# Pooling: from the states of all steps to one vector for each text, without padding.


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
    masked = graph.one("Where", mask, encoded.states, _float(graph, 0.0))
    total = graph.one("ReduceSum", masked, graph.integers(0), keepdims=0)
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
    masked = graph.one("Where", mask, graph.one("Mul", encoded.states, shares), _float(graph, 0.0))
    return graph.one("ReduceSum", masked, graph.integers(0), keepdims=0)


def _turned(graph: GraphWriter, weight: np.ndarray) -> str:
    return graph.one("Transpose", graph.weight(weight), perm=[1, 0])


def _number(graph: GraphWriter, value: int) -> str:
    return graph.constant(np.array(value, dtype=np.int64))


def _float(graph: GraphWriter, value: float) -> str:
    return graph.constant(np.array(value, dtype=np.float32))


# The whole network: embedder -> encoder -> pooling -> head.

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
    # Each network has an output of its own; the mean of several is taken outside the graph.
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
