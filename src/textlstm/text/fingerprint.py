"""What a model folder and a prepared corpus remember about the preparation of their texts."""

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import NamedTuple

from textlstm.config import ModelConfig, TextConfig
from textlstm.errors import IntegrityError

CODE_VERSION = 1
"""Raised whenever the same text, settings and spaCy model would give other tokens or tags."""


@dataclass(frozen=True, slots=True)
class TextFingerprint:
    """Plain data; equal values mean equal tokens and tags for equal texts and settings."""

    spacy_version: str
    spacy_model: str
    """Package name; empty for a blank pipeline."""
    spacy_model_version: str
    """Version of that package; empty for a blank pipeline."""
    language: str
    has_pos: bool
    stop_words: tuple[str, ...]
    """Sorted words that are removed; empty when stop words are kept."""
    tagger: str
    """`none`, or the precision class of the tags: `fp32` (equal to spaCy's) or `bf16`."""
    tokenizer_digest: str
    """sha256 of the tokenizer's rules and patterns."""
    code_version: int = CODE_VERSION

    @classmethod
    def from_mapping(cls, values: Mapping[str, object]) -> "TextFingerprint":
        """Return the record that `dataclasses.asdict` turned into JSON.

        Raises:
            IntegrityError: a field is missing, unknown or of the wrong type.
        """
        # The record comes from a file: check names and types before any of it is used.
        names = {field.name for field in fields(cls)}
        if set(values) != names:
            wrong = ", ".join(sorted(set(values) ^ names))
            raise IntegrityError(f"the text record has missing or unknown fields: {wrong}")
        strings = ("spacy_version", "spacy_model", "spacy_model_version", "language", "tagger", "tokenizer_digest")
        stop_words, has_pos, version = values["stop_words"], values["has_pos"], values["code_version"]
        if (
            not all(isinstance(values[name], str) for name in strings)
            or not isinstance(stop_words, list | tuple)
            or not all(isinstance(word, str) for word in stop_words)
            or not isinstance(has_pos, bool)
            or not isinstance(version, int)
        ):
            raise IntegrityError("the text record has a field of the wrong type")
        texts = {name: str(values[name]) for name in strings}
        return cls(stop_words=tuple(stop_words), has_pos=has_pos, code_version=version, **texts)


class TextDescription(NamedTuple):
    """Fingerprint and warnings of a loaded preparation."""

    saved: TextFingerprint
    warnings: tuple[str, ...]


def inference_text(text: TextConfig, model: ModelConfig) -> TextConfig:
    """Return the settings that a saved model prepares texts with: `text.pos` is on only if the model reads tags.

    Filters by part of speech, lemmas and an embedding of parts of speech read them; nothing else in a model does. The
    tokens are the same with and without tags.
    """
    reads_pos = text.keep_pos or text.drop_pos or text.lemmas or model.pos_embedding_size
    return text if reads_pos else replace(text, pos=False)


def check_saved(saved: TextFingerprint, current: TextFingerprint, *, reads_spacy_model: bool = True) -> None:
    """Refuse to prepare texts for a model in another way than it was trained with.

    Args:
        saved: what the model folder recorded.
        current: what this installation would do.
        reads_spacy_model: whether tags or lemmas are read. Where they are not, the spaCy model only gives the
            tokenizer, and an equal tokenizer from anywhere is as good.

    Raises:
        IntegrityError: the spaCy model, its version, the tokenizer or this package's preparation differ; every
            difference is one line that names both sides and the remedy.
    """
    problems = []
    same_tokenizer = saved.tokenizer_digest == current.tokenizer_digest
    same_spacy_model = (saved.spacy_model, saved.spacy_model_version) == (
        current.spacy_model,
        current.spacy_model_version,
    )
    # Name the model or the tokenizer, not both: another model explains another tokenizer.
    if not same_spacy_model and (reads_spacy_model or not same_tokenizer):
        wanted = _model_words(saved)
        problems.append(
            f"the model was made with {wanted}, but here is {_model_words(current)}; install {wanted} or train again"
        )
    elif not same_tokenizer:
        problems.append(
            f"the model was made with the tokenizer of spaCy {saved.spacy_version}, but here is another one, of spaCy "
            f"{current.spacy_version}; install spaCy {saved.spacy_version} or train again"
        )
    if saved.code_version != current.code_version:
        problems.append(
            f"the model was made with text preparation version {saved.code_version}, but here is version "
            f"{current.code_version}; install the textlstm that made it or train again"
        )
    if problems:
        raise IntegrityError(*problems)


def _model_words(saved: TextFingerprint) -> str:
    if not saved.spacy_model:
        return f"no spaCy model for '{saved.language}'"
    return f"spaCy model {saved.spacy_model} {saved.spacy_model_version}"
