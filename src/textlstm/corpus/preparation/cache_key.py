"""The key of a prepared corpus: sha256 of everything that decides its content."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from importlib import metadata
from pathlib import Path
from typing import Any

from textlstm.config import DataConfig, TextConfig
from textlstm.corpus.sources.sources import Source
from textlstm.text.fingerprint import CODE_VERSION, TextFingerprint
from textlstm.text.normalization import load_stop_words
from textlstm.text.spacy_models import find_model

FORMAT_VERSION = 1
"""Version of the folder's layout."""

ONLY_WHERE = ("train", "validation", "test", "name", "config", "strict")
"""Data settings that say where rows are or what to refuse, not what is stored."""
ONLY_HOW = ("tagger_device",)
"""Text settings that do not change what is stored."""


def corpus_key(
    data: DataConfig,
    text: TextConfig,
    *,
    sources: Sequence[Source],
    saved: TextFingerprint | None = None,
    labels: Sequence[str] = (),
) -> str:
    """Return the sha256, in hexadecimal; neither spaCy nor a model is loaded for it.

    Args:
        data: its places do not count, only what is read from them (`sources`).
        text: all settings but `ONLY_HOW` count, and the words of a stop-word file.
        sources: digests of the rows.
        saved: what a model recorded; counts in place of what is installed.
        labels: labels of the model, where only a test split is prepared.
    """
    # Files count by digest and by name without folder: the same files in another folder give the same key.
    content = {
        "format": FORMAT_VERSION,
        "code": code_digest(),
        "sources": [[source.split.value, list(source.names), source.digest] for source in sources],
        "data": {name: value for name, value in asdict(data).items() if name not in ONLY_WHERE},
        "text": {name: value for name, value in asdict(text).items() if name not in ONLY_HOW},
        "environment": _installed_text(text) if saved is None else asdict(saved),
        "labels": list(labels),
    }
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def code_digest() -> str:
    """Return one sha256 of the source files that read and prepare rows: a change of code is another corpus."""
    # This file lies in PACKAGE/corpus/preparation, so the package is the third folder up.
    package = Path(__file__).resolve().parents[2]
    digest = hashlib.sha256()
    for room in ("corpus", "text"):
        for path in sorted((package / room).rglob("*.*")):
            # Compiled files (.pyc) lie there too and must not count.
            if path.suffix in (".py", ".txt", ".html"):
                digest.update(f"{path.relative_to(package).as_posix()}\0".encode())
                digest.update(path.read_bytes())
    return digest.hexdigest()


def _installed_text(text: TextConfig) -> Mapping[str, Any]:
    # A spaCy model counts only where tags or lemmas are wanted; without them none is needed.
    model = find_model(text.language, wanted=text.spacy_model) if text.pos or text.lemmas else ""
    return {
        "spacy": metadata.version("spacy"),
        "model": model,
        "model_version": _version(model) if model else "",
        "stop_words": sorted(load_stop_words(text.stop_words, language=text.language)),
        "code_version": CODE_VERSION,
    }


def _version(package: str) -> str:
    try:
        return metadata.version(package.replace("_", "-"))
    except metadata.PackageNotFoundError:
        return "unknown"
