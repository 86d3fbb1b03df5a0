"""The weights of spaCy's tok2vec and tagger, taken out of a loaded pipeline whose architecture is recognized."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from spacy.language import Language
    from spacy.vectors import Vectors

_ALLOWED_PIPES = {"tok2vec", "tagger", "attribute_ruler"}
_HASH_EMBED = ("ints-getitem", "hashembed")
_MAXOUT = ("maxout", "layernorm", "dropout")


class UnknownArchitecture(Exception):  # noqa: N818  (a finding, not a fault: spaCy itself is used then)
    """The pipeline is not the tok2vec + tagger that the fast tagger can compute; says why."""


@dataclass(frozen=True, slots=True)
class HashTable:
    """One hash embedding: an attribute's 64-bit value -> the sum of four rows."""

    column: int
    """Which of `TaggerWeights.columns` it reads."""
    seed: int
    rows: NDArray[np.float32]
    """(num_rows, width)."""


@dataclass(frozen=True, slots=True)
class MaxoutLayer:
    """A linear layer, the largest of P pieces for each unit, layer normalization."""

    weight: NDArray[np.float32]
    """(P * width, inputs): piece by piece, so that a piece's units stand side by side."""
    bias: NDArray[np.float32]
    """(P * width,)."""
    num_pieces: int
    scale: NDArray[np.float32]
    """(width,) of the normalization."""
    shift: NDArray[np.float32]
    """(width,)."""


@dataclass(frozen=True, slots=True)
class StaticVectors:
    """Word vectors of the model's vocabulary and their projection; the last inputs of the embedding's maxout."""

    vectors: "Vectors"
    projection: NDArray[np.float32]
    """(width, vector_size)."""


@dataclass(frozen=True, slots=True)
class TaggerWeights:
    """Everything between a word's attributes and the scores of its tags."""

    columns: tuple[str, ...]
    """Attributes that the hash embeddings read, such as NORM, PREFIX, SUFFIX, SHAPE, SPACY, IS_SPACE."""
    tables: tuple[HashTable, ...]
    static: StaticVectors | None
    embed: MaxoutLayer
    windows: tuple[MaxoutLayer, ...]
    """Residual layers over (previous, this, next) token."""
    output_weight: NDArray[np.float32]
    """(num_tags, width)."""
    output_bias: NDArray[np.float32]
    """(num_tags,)."""
    labels: tuple[str, ...]

    @property
    def width(self) -> int:
        """Dimensions of a token's vector in every layer."""
        return len(self.embed.scale)


def read_weights(nlp: "Language") -> TaggerWeights:
    """Return the weights of `spacy.Tok2Vec.v2` (MultiHashEmbed + MaxoutWindowEncoder) under `spacy.Tagger.v2`.

    Raises:
        UnknownArchitecture: another component, architecture, window or setting is found.
    """
    # Each check guards an assumption of the networks in numpy and torch; where one fails, spaCy itself tags.
    extra = [name for name in nlp.pipe_names if name not in _ALLOWED_PIPES]
    if extra or "tagger" not in nlp.pipe_names:
        raise UnknownArchitecture(f"its components are {', '.join(nlp.pipe_names)}")
    tagger = nlp.get_pipe("tagger")
    if tagger.cfg["overwrite"] or [node.name for node in _leaves(tagger.model)][-1] != "softmax":
        raise UnknownArchitecture("its tagger is not spacy.Tagger.v2")
    tok2vec = tagger.model.get_ref("tok2vec")
    # A listener only repeats the output of the pipeline's tok2vec, which holds the weights.
    if tok2vec.name == "tok2vec-listener":
        tok2vec = nlp.get_pipe("tok2vec").model
    if not (tok2vec.has_ref("embed") and tok2vec.has_ref("encode")):
        raise UnknownArchitecture("its tok2vec is not spacy.Tok2Vec.v2")
    embed, encode = tok2vec.get_ref("embed"), tok2vec.get_ref("encode")
    softmax = tagger.model.get_ref("softmax")
    return TaggerWeights(
        columns=_columns(embed),
        tables=_tables(embed),
        static=_static(embed, nlp.vocab.vectors),
        embed=_maxout([node for node in _leaves(embed) if node.name in _MAXOUT]),
        windows=_windows(encode),
        output_weight=_array(softmax, "W"),
        output_bias=_array(softmax, "b"),
        labels=tuple(tagger.labels),
    )


def _columns(embed: Any) -> tuple[str, ...]:
    columns = [node.attrs["columns"] for node in _leaves(embed) if node.name == "extract_features"]
    if len(columns) != 1 or not all(isinstance(name, str) for name in columns[0]):
        raise UnknownArchitecture("its embedding is not spacy.MultiHashEmbed.v2")
    return tuple(columns[0])


def _tables(embed: Any) -> tuple[HashTable, ...]:
    nodes = _leaves(embed)
    hashes = [node for node in nodes if node.name == "hashembed"]
    static = ["static_vectors"] if any(node.name == "static_vectors" for node in nodes) else []
    # The leaves are compared in their order: any other layer would change the results.
    expected = ["extract_features", "list2ragged", *_HASH_EMBED * len(hashes), *static, *_MAXOUT, "ragged2list"]
    if not hashes or [node.name for node in nodes] != expected:
        raise UnknownArchitecture("its embedding is not spacy.MultiHashEmbed.v2")
    return tuple(HashTable(node.attrs["column"], node.attrs["seed"], _array(node, "E")) for node in hashes)


def _static(embed: Any, vectors: "Vectors") -> StaticVectors | None:
    nodes = [node for node in _leaves(embed) if node.name == "static_vectors"]
    if not nodes:
        return None
    if nodes[0].attrs["key_attr"] != "ORTH" or vectors.mode != "default":
        raise UnknownArchitecture("its static vectors are not looked up by word")
    return StaticVectors(vectors, _array(nodes[0], "W"))


def _windows(encode: Any) -> tuple[MaxoutLayer, ...]:
    nodes = _leaves(encode)
    depth = len([node for node in nodes if node.name == "expand_window"])
    num_residual = len(
        [node for node in encode.walk() if node.name == "residual(expand_window>>maxout>>layernorm>>dropout)"]
    )
    # `pad` rows between texts keep a text from reading its neighbors, as the gaps do here.
    if (
        [node.name for node in nodes] != ["expand_window", *_MAXOUT] * depth
        or num_residual != depth
        or encode.attrs.get("pad", 0) < depth
        or any(node.attrs["window_size"] != 1 for node in nodes if node.name == "expand_window")
    ):
        raise UnknownArchitecture("its encoder is not spacy.MaxoutWindowEncoder.v2 with window 1")
    # Four leaves a layer: expand_window, maxout, layernorm, dropout.
    return tuple(_maxout(nodes[4 * layer + 1 : 4 * layer + 4]) for layer in range(depth))


def _maxout(nodes: Sequence[Any]) -> MaxoutLayer:
    maxout, normalization = nodes[0], nodes[1]
    weight, bias = _array(maxout, "W"), _array(maxout, "b")
    # thinc stores (W, P, inputs); here the pieces come first: (P * W, inputs).
    width, num_pieces, num_inputs = weight.shape
    return MaxoutLayer(
        weight=np.ascontiguousarray(weight.transpose(1, 0, 2)).reshape(num_pieces * width, num_inputs),
        bias=np.ascontiguousarray(bias.T).reshape(-1),
        num_pieces=num_pieces,
        scale=_array(normalization, "G"),
        shift=_array(normalization, "b"),
    )


def _leaves(model: Any) -> list[Any]:
    return [node for node in model.walk(order="dfs_pre") if not node.layers]


def _array(node: Any, name: str) -> NDArray[np.float32]:
    return np.array(node.get_param(name), dtype=np.float32)
