"""From token ids to vectors, as `models/embedder.py`: words, parts of speech, characters, pieces of unknown words."""

import numpy as np

from textlstm.config import ModelConfig
from textlstm.models.spelling import HASH_MODULUS, HASH_MULTIPLIER, NGRAM_WIDTHS, SPELLING_SIZE
from textlstm.onnx.graph import FLOAT, INT64, GraphWriter
from textlstm.onnx.weights import Weights
from textlstm.vocabulary import Vocabulary


def add_embedder(graph: GraphWriter, config: ModelConfig, weights: Weights) -> str:
    """Return the (T, B, E) vectors of the graph's inputs.

    What depends on the spelling alone is computed once for each of the U distinct spellings.
    """
    table = weights.take("words.weight")
    unknown = graph.constant(np.array(Vocabulary.UNKNOWN_ID))
    is_beyond = graph.one("GreaterOrEqual", "token_ids", graph.constant(np.array(len(table))))
    token_ids = graph.one("Where", is_beyond, unknown, "token_ids")
    vectors = graph.rows(table, token_ids)
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
    mask = graph.one("Cast", graph.one("Greater", "spellings", graph.constant(np.array(0))), to=FLOAT)
    shown = graph.one("Mul", graph.one("Relu", filtered), graph.one("Unsqueeze", mask, graph.integers(1)))
    return graph.one("ReduceMax", shown, graph.integers(2), keepdims=0)


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

    multiplier, modulus = graph.constant(np.array(HASH_MULTIPLIER)), graph.constant(np.array(HASH_MODULUS))
    key = graph.constant(np.full((1, num_ngrams), width))
    for k in range(width):
        key = graph.one("Mod", graph.one("Add", graph.one("Mul", key, multiplier), bytes_from(k)), modulus)
    bucket = graph.one("Mod", key, graph.constant(np.array(num_buckets)))
    last = graph.one("Cast", graph.one("Greater", bytes_from(width - 1), graph.constant(np.array(0))), to=INT64)
    return graph.one("Mul", graph.one("Add", bucket, graph.constant(np.array(1))), last)
