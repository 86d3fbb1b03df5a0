"""The folder of a prepared corpus: its key, written once and whole, checked before it is opened.

The key is a sha256 of everything that decides the content.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from textlstm.arrays.hashing import string_bytes
from textlstm.config import DataConfig, Task, TextConfig
from textlstm.corpus.prepared import PREPARED_SCHEMA, PreparedCorpus, PreparedSplit, Split
from textlstm.corpus.sources.sources import Source
from textlstm.errors import IntegrityError
from textlstm.storage.files import atomic_file, check_files, sha256_of_file, sync_directory
from textlstm.storage.mapped import MappedFile
from textlstm.text.fingerprint import CODE_VERSION, TextFingerprint
from textlstm.text.spacy_models import find_model
from textlstm.text.stop_words import load_stop_words

MANIFEST = "manifest.json"
CORPUS = "corpus.json"
CARD = "card.json"
CARD_PAGE = "card.html"
REJECTS = "rejects.jsonl"


def split_file(split: Split) -> str:
    """Return the name of a split's table."""
    return f"{split}.arrow"


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Write readable JSON whose bytes depend on `content` alone.

    Raises:
        StorageError: the file cannot be written.
    """
    with atomic_file(path) as stream:
        stream.write(json.dumps(content, indent=2, ensure_ascii=False).encode("utf-8") + b"\n")


def seal(directory: Path, *, key: str) -> None:
    """Write the manifest: the sha256 of every file in `directory`.

    Raises:
        StorageError: the manifest cannot be written.
    """
    # The manifest comes after all other files: a folder without it is refused.
    names = sorted(path.name for path in directory.iterdir() if path.name != MANIFEST)
    files = {name: sha256_of_file(directory / name) for name in names}
    write_json(directory / MANIFEST, {"key": key, "files": files})
    sync_directory(directory)


def load_corpus(directory: Path, *, key: str, timings: Mapping[str, float], reused: bool) -> PreparedCorpus:
    """Check every file against the manifest, then map the tables.

    Raises:
        IntegrityError: a file is missing or changed.
    """
    remedy = f"Delete the folder {directory} or set overwrite=true to prepare it again."
    manifest = _read_manifest(directory / MANIFEST, key=key, remedy=remedy)
    check_files(directory, manifest, remedy=remedy)
    content = json.loads((directory / CORPUS).read_text(encoding="utf-8"))
    # corpus.json holds digests only of the splits that the corpus has.
    splits = {
        split: load_split(directory / split_file(split), digest=digest)
        for split in Split
        if (digest := content["digests"].get(split.value)) is not None
    }
    return PreparedCorpus(
        directory=directory,
        key=key,
        task=Task(content["task"]),
        labels=tuple(content["labels"]),
        train=splits.get(Split.train),
        validation=splits.get(Split.validation),
        test=splits.get(Split.test),
        card=json.loads((directory / CARD).read_text(encoding="utf-8")),
        text_fingerprint=TextFingerprint.from_mapping(content["saved_text"]),
        reused=reused,
        warnings=tuple(content["warnings"]),
        timings=timings,
    )


class SplitDigest:
    """sha256 of texts and labels in order, whatever the batches are.

    It is the sha256 of five others: the bytes of all texts, the bytes of all labels, the lengths of the texts, the
    lengths of the labels, and how many labels each row has; numbers are little-endian int64. Weights and
    probabilities, where rows have them, are further ones.
    """

    def __init__(self) -> None:
        self._parts = [hashlib.sha256() for _ in range(5)]
        self._weights: hashlib._Hash | None = None
        self._probabilities: hashlib._Hash | None = None

    def add(self, batch: pa.RecordBatch) -> None:
        """Take the rows of `batch` in."""
        labels = batch.column("labels")
        texts, names = string_bytes(batch.column("text")), string_bytes(pc.list_flatten(labels))
        # Lengths, since offsets depend on where a batch begins: (B,) of texts, (K,) of labels, (B,) labels a row.
        numbers = [np.diff(texts.offsets), np.diff(names.offsets), pc.list_value_length(labels).to_numpy()]
        lengths = [values.astype("<i8") for values in numbers]
        # Each kind has a hash of its own, so that the cut into batches leaves no trace.
        for part, values in zip(self._parts, (texts.data, names.data, *lengths), strict=True):
            part.update(values.tobytes())
        weights = batch.column("weight") if "weight" in batch.schema.names else None
        if weights is not None and len(weights) and not weights.null_count:
            self._weights = self._weights or hashlib.sha256()
            self._weights.update(weights.to_numpy().astype("<f8").tobytes())
        chances = batch.column("probabilities") if "probabilities" in batch.schema.names else None
        if chances is not None and chances.null_count < len(chances):
            self._probabilities = self._probabilities or hashlib.sha256()
            # A line of JSON a row, so that the cut into batches leaves no trace here either.
            for row in chances.to_pylist():
                self._probabilities.update(json.dumps(row).encode() + b"\n")

    def hexdigest(self) -> str:
        """Return the digest of all rows so far."""
        parts = [*self._parts, *(part for part in (self._weights, self._probabilities) if part)]
        return hashlib.sha256(b"".join(part.digest() for part in parts)).hexdigest()


def _read_manifest(path: Path, *, key: str, remedy: str) -> dict[str, str]:
    try:
        manifest = json.loads(path.read_text(encoding="utf-8"))
        files: dict[str, str] = manifest["files"]
        recorded = manifest["key"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise IntegrityError(f"{path}: cannot be read: {type(error).__name__}. {remedy}") from error
    # `load_corpus` reads these two; a manifest that does not list them would leave them unchecked.
    missing = {CORPUS, CARD} - set(files)
    if recorded != key or missing:
        raise IntegrityError(f"{path}: is not the manifest of this corpus. {remedy}")
    return files


def load_split(path: Path, *, digest: str) -> PreparedSplit:
    """Map the table of a split.

    Raises:
        IntegrityError: it has other columns than this version writes.
    """
    # `read_all` copies nothing here: the columns point into the mapped file.
    file = MappedFile(path)
    table = pa.ipc.open_file(pa.py_buffer(file.bytes)).read_all()
    # Corpora of earlier versions have no weights and no probabilities: theirs are null, as where rows have none.
    for name in ("weight", "probabilities"):
        if name not in table.schema.names:
            field = PREPARED_SCHEMA.field(name)
            table = table.append_column(field, pa.nulls(len(table), field.type))
    if table.schema != PREPARED_SCHEMA:
        raise IntegrityError(f"{path}: has other columns than this version writes. Set overwrite=true.")
    return PreparedSplit(table, digest, (file,))


# The key of a prepared corpus: sha256 of everything that decides its content.

FORMAT_VERSION = 1
"""Version of the folder's layout."""

ONLY_WHERE = ("train", "validation", "test", "unlabelled", "name", "config", "strict")
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
            if path.suffix in (".py", ".txt", ".jinja", ".css"):
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
