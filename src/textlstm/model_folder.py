"""The one owner of the saved-model folder: plain data, every byte checked before anything is opened.

config.json          labels, task, text and model settings, the spaCy model and its version, columns, thresholds,
                     early exits
vocabulary.txt       one token a line, line number = id
stop_words.txt       one word a line
weights.safetensors  every array: network.N.*, expert.*, baseline.*, gate.*
model.onnx           of an exported model only: its networks, in place of network.N.*
training_rows.bin    sorted 64-bit hashes of the texts that the model learned from; absent from older models
manifest.json        sha256 of the files above and of itself, library versions, provenance
README.md            the model card, for people: nothing reads it, and it may be edited or absent
"""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np

from textlstm.config import ModelConfig, Task, TextConfig
from textlstm.config.checks import from_plain
from textlstm.errors import InputError, IntegrityError
from textlstm.model_card import model_card, model_facts
from textlstm.models.calibration.early_exit import EarlyExit
from textlstm.saved_model import Columns, SavedModel, Thresholds
from textlstm.storage.files import atomic_file, atomic_folder, replace_file
from textlstm.storage.signed_json import DamagedJsonError, SignedJson, readable_json, sha256_of_json
from textlstm.text.fingerprint import TextFingerprint
from textlstm.vocabulary import Vocabulary

FORMAT_VERSION = 1
CONFIG_FILE = "config.json"
VOCABULARY_FILE = "vocabulary.txt"
STOP_WORDS_FILE = "stop_words.txt"
WEIGHTS_FILE = "weights.safetensors"
NETWORKS_FILE = "model.onnx"
TRAINING_ROWS_FILE = "training_rows.bin"
MANIFEST_FILE = "manifest.json"
CARD_FILE = "README.md"
DATA_FILES = (CONFIG_FILE, VOCABULARY_FILE, STOP_WORDS_FILE, WEIGHTS_FILE)
OPTIONAL_FILES = (NETWORKS_FILE, TRAINING_ROWS_FILE)
_SIGNED = SignedJson("manifest_sha256", readable_json)
RECORDED_LIBRARIES = (
    "textlstm",
    "torch",
    "spacy",
    "scikit-learn",
    "numpy",
    "safetensors",
    "datasets",
    "pyarrow",
    "onnxruntime",
)


def named_model_dir(text: str | Path) -> Path:
    """Return the path of a model folder: it appears by renaming, so it needs a name that is its own.

    Raises:
        InputError: it is empty, the present folder, the one above, or the root of all.
    """
    path = Path(text)
    if path.name in ("", ".."):
        raise InputError(f"{str(text)!r} is no name for a model folder; name one such as outputs/model")
    return path


def refuse_existing(model_dir: Path, *, overwrite: bool) -> None:
    """Refuse to replace what is in `model_dir` unless it is a model and that is asked for: the folder goes as a whole.

    Raises:
        InputError: there is something, and `overwrite` is false; or what is there is no model.
    """
    if model_dir.is_dir() and any(model_dir.iterdir()):
        if not (model_dir / MANIFEST_FILE).is_file():
            raise InputError(
                f"{model_dir}: holds files that are no model, which a model would replace; set another output_dir"
            )
        if not overwrite:
            raise InputError(f"{model_dir}: holds a model; set overwrite=true to replace it, or another output_dir")
    if model_dir.exists() and not model_dir.is_dir():
        raise InputError(f"{model_dir}: is a file; set output_dir to a folder")


def save_saved_model(saved_model: SavedModel, directory: Path) -> Path:
    """Write `saved_model` as the folder `directory`, which appears complete or not at all; return it.

    Where `directory` is a link, the folder behind it is replaced.

    Raises:
        StorageError: the disk is full or read-only.
    """
    with atomic_folder(directory, remedy="; no model was saved") as folder:
        _write_files(saved_model, folder)
    return directory


def load_saved_model(directory: Path) -> SavedModel:
    """Return the model in `directory`, once every file's sha256 matches the manifest.

    Raises:
        IntegrityError: a file is missing, has other bytes, or is of a later format.
    """
    manifest = read_manifest(directory)
    return _from_files(_folder_files(directory, manifest), manifest, where=f"{directory}/")


def load_saved_bytes(files: Mapping[str, bytes]) -> SavedModel:
    """Return the model whose files are the values of `files`, by name, as `saved_bytes` gives them.

    Raises:
        IntegrityError: as `load_saved_model`.
    """
    manifest = _parse_manifest(files.get(MANIFEST_FILE, b""), where=MANIFEST_FILE)
    return _from_files(files, _known_format(manifest, where=MANIFEST_FILE), where="")


def saved_bytes(saved_model: SavedModel) -> dict[str, bytes]:
    """Return the bytes of every file of the folder of `saved_model`, by name."""
    files = _data_bytes(saved_model)
    return {**files, MANIFEST_FILE: _SIGNED.to_bytes(_manifest_of(saved_model, files))}


def _folder_files(directory: Path, manifest: Mapping[str, Any]) -> dict[str, bytes]:
    # A name in the manifest that is no file is left out here, and reported as missing by `_checked`.
    names = [name for name in _data_files(manifest) if (directory / name).is_file()]
    return {name: _read(directory / name) for name in names}


def _checked(files: Mapping[str, bytes], manifest: Mapping[str, Any], *, where: str) -> Mapping[str, bytes]:
    """Return `files`, every byte of which is compared with the manifest before anyone parses it."""
    # All problems are collected, so that one message names every damaged file.
    problems = []
    for name in _data_files(manifest):
        if name not in files:
            problems.append(f"{where}{name}: missing; copy the model folder again or train anew")
        elif hashlib.sha256(files[name]).hexdigest() != manifest["sha256"].get(name):
            problems.append(
                f"{where}{name}: its sha256 is not the manifest's; copy the model folder again or train anew"
            )
    if problems:
        raise IntegrityError(*problems)
    return files


def _from_files(files: Mapping[str, bytes], manifest: Mapping[str, Any], *, where: str) -> SavedModel:
    from safetensors.numpy import load

    # Every byte is compared before any of it is parsed.
    files = _checked(files, manifest, where=where)
    content = json.loads(files[CONFIG_FILE])
    weights = load(files[WEIGHTS_FILE])
    stop_words = files[STOP_WORDS_FILE].decode("utf-8").splitlines()
    # Only a line feed ends a token here: `splitlines` would also cut at other line breaks inside a token.
    lines = files[VOCABULARY_FILE].decode("utf-8").split("\n")[:-1]
    text_fingerprint = TextFingerprint.from_mapping({**content["saved_text"], "stop_words": tuple(stop_words)})
    return SavedModel(
        labels=tuple(content["labels"]),
        task=Task(content["task"]),
        text=from_plain(TextConfig, content["text"]),
        model=from_plain(ModelConfig, content["model"]),
        text_fingerprint=text_fingerprint,
        vocabulary=Vocabulary.from_lines(lines),
        weights=weights,
        columns=Columns(**content["columns"]),
        thresholds=Thresholds(**{**content["thresholds"], "per_class": tuple(content["thresholds"]["per_class"])}),
        # Models of before early exits have no such entry.
        early_exits=tuple(EarlyExit(**early_exit) for early_exit in content.get("early_exits", ())),
        label_shares=tuple(content["label_shares"]),
        provenance=manifest["provenance"],
        onnx_model=files.get(NETWORKS_FILE) if NETWORKS_FILE in manifest["sha256"] else None,
        training_rows=_hashes(files[TRAINING_ROWS_FILE]) if TRAINING_ROWS_FILE in manifest["sha256"] else None,
    )


def read_manifest(directory: Path) -> dict[str, Any]:
    """Return the manifest of the model in `directory`; it is checked against its own sha256.

    Raises:
        IntegrityError: there is no model, the manifest is damaged, or its format is another.
    """
    path = directory / MANIFEST_FILE
    if not path.is_file():
        raise IntegrityError(f"{directory}: no model here ({MANIFEST_FILE} is missing); train one or set model_dir")
    return _known_format(_parse_manifest(_read(path), where=str(path)), where=str(directory))


def _known_format(manifest: dict[str, Any], *, where: str) -> dict[str, Any]:
    found = manifest["format_version"]
    if found != FORMAT_VERSION:
        raise IntegrityError(f"{where}: model format {found}, this textlstm reads {FORMAT_VERSION}; train it again")
    return manifest


def model_digest(directory: Path) -> str:
    """Return one sha256 (hex) that stands for all data files of a model, from its manifest.

    Raises:
        IntegrityError: as `read_manifest`.
    """
    return _digest(read_manifest(directory))


def add_figures(directory: Path, figures: Mapping[str, Sequence[float]]) -> None:
    """Add figures that came after saving to the manifest and the card of the model in `directory`.

    The digest of the model stays, since its data files do.

    Args:
        directory: the model.
        figures: by name, such as test/accuracy: a value, or value, low and high.

    Raises:
        IntegrityError: as `read_manifest`.
        StorageError: the folder cannot be written.
    """
    manifest = read_manifest(directory)
    known = manifest["provenance"].get("figures", {})
    manifest["provenance"]["figures"] = {**known, **{name: list(values) for name, values in figures.items()}}
    files = {name: _read(directory / name) for name in _data_files(manifest)}
    # Each file is replaced as a whole; a kill in between leaves the older card, which nothing reads.
    for name, content in ((MANIFEST_FILE, _SIGNED.to_bytes(manifest)), (CARD_FILE, _card(files, manifest))):
        with atomic_file(directory / name) as stream:
            stream.write(content)


def _write_files(saved_model: SavedModel, directory: Path) -> None:
    files = _data_bytes(saved_model)
    manifest = _manifest_of(saved_model, files)
    # All files are written into the temporary folder of `atomic_folder`; a kill here leaves the final one untouched.
    written = {**files, MANIFEST_FILE: _SIGNED.to_bytes(manifest), CARD_FILE: _card(files, manifest)}
    for name, content in written.items():
        replace_file(directory / name, content)


def _data_bytes(saved_model: SavedModel) -> dict[str, bytes]:
    """Return the bytes of every file but the manifest and the card."""
    from safetensors.numpy import save

    text_fingerprint = asdict(saved_model.text_fingerprint)
    # Stop words have a file of their own and are left out of the JSON.
    stop_words = text_fingerprint.pop("stop_words")
    content = {
        "format_version": FORMAT_VERSION,
        "task": saved_model.task,
        "labels": saved_model.labels,
        "text": asdict(saved_model.text),
        "model": asdict(saved_model.model),
        "saved_text": text_fingerprint,
        "columns": asdict(saved_model.columns),
        "thresholds": asdict(saved_model.thresholds),
        "label_shares": saved_model.label_shares,
        **({"early_exits": [asdict(one) for one in saved_model.early_exits]} if saved_model.early_exits else {}),
    }
    files = {
        CONFIG_FILE: readable_json(content),
        VOCABULARY_FILE: _lines(saved_model.vocabulary.to_lines()),
        STOP_WORDS_FILE: _lines(stop_words),
        WEIGHTS_FILE: save({name: np.asarray(value, order="C") for name, value in saved_model.weights.items()}),
    }
    if saved_model.onnx_model is not None:
        files[NETWORKS_FILE] = saved_model.onnx_model
    if saved_model.training_rows is not None:
        # Little-endian whatever the machine, so that the bytes and their sha256 are the same everywhere.
        files[TRAINING_ROWS_FILE] = saved_model.training_rows.astype("<u8").tobytes()
    return files


def _manifest_of(saved_model: SavedModel, files: Mapping[str, bytes]) -> dict[str, Any]:
    spacy = saved_model.text_fingerprint
    return {
        "format_version": FORMAT_VERSION,
        "sha256": {name: hashlib.sha256(content).hexdigest() for name, content in files.items()},
        "libraries": library_versions(),
        "spacy_model": f"{spacy.spacy_model} {spacy.spacy_model_version}".strip(),
        "provenance": dict(saved_model.provenance or {}),
    }


def card_facts(saved_model: SavedModel) -> dict[str, str]:
    """Return the facts that the card of `saved_model` tells, a line a fact."""
    files = _data_bytes(saved_model)
    return _facts(files, _manifest_of(saved_model, files))


def folder_facts(directory: Path) -> dict[str, str]:
    """Return the facts of the model in `directory`, whose files are checked.

    Raises:
        IntegrityError: as `load_saved_model`.
    """
    manifest = read_manifest(directory)
    return _facts(_checked(_folder_files(directory, manifest), manifest, where=f"{directory}/"), manifest)


def _card(files: Mapping[str, bytes], manifest: Mapping[str, Any]) -> bytes:
    return model_card(_facts(files, manifest)).encode("utf-8", "replace")


def _facts(files: Mapping[str, bytes], manifest: Mapping[str, Any]) -> dict[str, str]:
    num_bytes = sum(len(content) for content in files.values())
    return model_facts(json.loads(files[CONFIG_FILE]), manifest, num_bytes=num_bytes, digest=_digest(manifest))


def _digest(manifest: Mapping[str, Any]) -> str:
    # The digests of the data files alone: figures may be added to the manifest without another digest.
    return sha256_of_json(manifest["sha256"], readable_json)


def _data_files(manifest: Mapping[str, Any]) -> tuple[str, ...]:
    return (*DATA_FILES, *(name for name in OPTIONAL_FILES if name in manifest["sha256"]))


def _hashes(content: bytes) -> np.ndarray:
    return np.frombuffer(content, dtype="<u8").astype(np.uint64)


def library_versions() -> dict[str, str]:
    """Return the versions of the libraries that a prediction depends on."""
    versions = {}
    for name in RECORDED_LIBRARIES:
        try:
            versions[name] = version(name)
        except PackageNotFoundError:
            versions[name] = "not installed"
    return versions


def _parse_manifest(raw: bytes, *, where: str) -> dict[str, Any]:
    try:
        manifest: dict[str, Any] = _SIGNED.from_bytes(raw)
    except DamagedJsonError as error:
        raise IntegrityError(f"{where}: damaged; copy the model folder again or train anew") from error
    return manifest


def _lines(lines: Iterable[str]) -> bytes:
    return "".join(f"{line}\n" for line in lines).encode("utf-8")


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise IntegrityError(f"{path}: {error.strerror or error}") from error
