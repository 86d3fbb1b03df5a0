"""The word vectors of an installed spaCy model."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from textlstm.errors import ConfigError

_NO_VECTOR_COMPONENTS = ("tagger", "parser", "ner", "lemmatizer", "attribute_ruler", "tok2vec")


class VectorTable(NamedTuple):
    """A table of vectors and where each word stands in it."""

    data: NDArray[np.float32]
    """(rows, dimensions) float32; several words may share a row."""
    row_of: Callable[[str], int]
    """Gives the row of a word, -1 where it has none."""


def open_vectors(model: str, *, language: str) -> VectorTable:
    """Return the vectors of the package or folder `model`; empty means the first of `language` that has some.

    Raises:
        ConfigError: no such model, or it has no vectors.
    """
    import spacy

    if not model:
        installed = sorted(name for name in spacy.util.get_installed_models() if name.startswith(f"{language}_"))
        with_vectors = [name for name in installed if _has_vectors(name)]
        if not with_vectors:
            raise ConfigError(
                f"model.embeddings: no installed spaCy model of '{language}' has vectors "
                f"(installed: {', '.join(installed) or 'none'}). Install one such as {language}_core_web_md, "
                "or take wordllama or a vector file."
            )
        model = with_vectors[0]
    try:
        nlp = spacy.load(model, exclude=list(_NO_VECTOR_COMPONENTS))
    except OSError as error:
        raise ConfigError(f"model.embeddings: spaCy model '{model}' is not installed") from error
    vectors, strings = nlp.vocab.vectors, nlp.vocab.strings
    if not vectors.size:
        raise ConfigError(f"model.embeddings: spaCy model '{model}' has no vectors. Take a larger one, such as *_md.")
    return VectorTable(vectors.data, lambda word: vectors.find(key=strings[word]) if word in strings else -1)


def _has_vectors(package: str) -> bool:
    import spacy

    meta = spacy.util.get_model_meta(spacy.util.get_package_path(package))
    return bool(meta.get("vectors", {}).get("width", 0))
