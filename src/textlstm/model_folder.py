"""The one owner of the saved-model folder: plain data, every byte checked before anything is opened.

config.json          labels, task, text and model settings, the spaCy model and its version, columns, thresholds
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
from dataclasses import asdict, dataclass, replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np

from textlstm.arrays.hashing import content_hash
from textlstm.config import ModelConfig, Task, TextConfig
from textlstm.config.checks import from_plain
from textlstm.errors import IntegrityError
from textlstm.model_card import model_card, model_facts
from textlstm.storage.files import atomic_file, atomic_folder, replace_file
from textlstm.text.fingerprint import TextFingerprint, inference_text
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


@dataclass(frozen=True, slots=True)
class Thresholds:
    """Thresholds of the model's decisions."""

    abstain_below: float = 0.0
    """Rows whose highest probability is lower are abstained from; 0 means never."""
    max_error: float = 0.0
    """The guaranteed error rate of accepted rows; 0 means no guarantee."""
    confidence: float = 0.0
    """Confidence of that guarantee."""
    expected_coverage: float = 1.0
    """Part of validation rows that were accepted."""
    per_class: tuple[float, ...] = ()
    """Multi-label: a class is given when its probability reaches this."""


@dataclass(frozen=True, slots=True)
class Columns:
    """Column names of the training files, so that other files need not name them again."""

    text: str = "text"
    label: str = "label"
    labels: str = ""
    label_separator: str = ""
    id: str = ""


@dataclass(frozen=True, slots=True)
class SavedModel:
    """Everything that a prediction needs, and where it came from."""

    labels: tuple[str, ...]
    task: Task
    text: TextConfig
    model: ModelConfig
    text_fingerprint: TextFingerprint
    vocabulary: Vocabulary
    weights: Mapping[str, np.ndarray]
    """float32 arrays of the networks and the expert, bytes and numbers of its n-grams, the combiner's scalars."""
    columns: Columns = Columns()
    thresholds: Thresholds = Thresholds()
    label_shares: tuple[float, ...] = ()
    """Share of each label among the training rows, for drift."""
    provenance: Mapping[str, Any] | None = None
    """Run id, data digests, seed, git commit, metrics: plain JSON values."""

    onnx_model: bytes | None = None
    """The networks as a serialized ONNX model, in place of `network.N.*`; None where torch computes them."""

    training_rows: np.ndarray | None = None
    """Sorted uint64 `content_hash` of each text that the model learned from; None where an older textlstm saved it."""

    def seen_in_training(self, texts: Sequence[str]) -> np.ndarray | None:
        """Return (N,) bool: the model learned from this text, white space aside; None where that is not known."""
        if self.training_rows is None:
            return None
        hashes = np.array([content_hash(text) for text in texts], dtype=np.uint64)
        # (N,) places in the sorted hashes; one beyond the end is that of an unseen text.
        places = np.searchsorted(self.training_rows, hashes)
        found = np.zeros(len(hashes), dtype=np.bool_)
        inside = places < len(self.training_rows)
        found[inside] = self.training_rows[places[inside]] == hashes[inside]
        return found

    @property
    def is_exported(self) -> bool:
        """Whether onnxruntime computes the networks."""
        return self.onnx_model is not None

    @property
    def inference_text(self) -> TextConfig:
        """The settings that a prediction prepares texts with: `text`, tagging only if the model reads tags."""
        return inference_text(self.text, self.model)

    @property
    def num_networks(self) -> int:
        """Networks among the weights; their probabilities are averaged."""
        # Networks of one model are numbered: `network.0.embedder...` to its number.
        return len({name.split(".")[1] for name in self.weights if name.startswith("network.")})

    def arrays(self, prefix: str) -> dict[str, np.ndarray]:
        """Return the arrays whose names start with `prefix`, without it."""
        return {name.removeprefix(prefix): value for name, value in self.weights.items() if name.startswith(prefix)}


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
    return {**files, MANIFEST_FILE: _sealed(_manifest_of(saved_model, files))}


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


def with_provenance(saved_model: SavedModel, **entries: object) -> SavedModel:
    """Return `saved_model` with more provenance."""
    return replace(saved_model, provenance={**(saved_model.provenance or {}), **entries})


def saved_warnings(provenance: Mapping[str, Any] | None) -> tuple[str, ...]:
    """Return the warnings of the training, in sentences, such as an error rate that it cannot guarantee."""
    return tuple((provenance or {}).get("warnings", ()))


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
    for name, content in ((MANIFEST_FILE, _sealed(manifest)), (CARD_FILE, _card(files, manifest))):
        with atomic_file(directory / name) as stream:
            stream.write(content)


def _write_files(saved_model: SavedModel, directory: Path) -> None:
    files = _data_bytes(saved_model)
    manifest = _manifest_of(saved_model, files)
    # All files are written into the temporary folder of `atomic_folder`; a kill here leaves the final one untouched.
    for name, content in {**files, MANIFEST_FILE: _sealed(manifest), CARD_FILE: _card(files, manifest)}.items():
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
    }
    files = {
        CONFIG_FILE: _canonical(content),
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


def _sealed(manifest: Mapping[str, Any]) -> bytes:
    """Return the bytes of a manifest with the sha256 of its own content in it."""
    # The sha256 of the manifest is over its canonical bytes without that entry.
    body = {key: value for key, value in manifest.items() if key != "manifest_sha256"}
    return _canonical({**body, "manifest_sha256": hashlib.sha256(_canonical(body)).hexdigest()})


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
    return hashlib.sha256(_canonical(manifest["sha256"])).hexdigest()


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
        # Other bytes for the same content count as damage, too.
        manifest = json.loads(raw)
        sound = raw == _canonical(manifest) and raw == _sealed(manifest)
    # A damaged manifest may be any JSON, or none; each way in which it fails means the same to the user.
    except (ValueError, KeyError, AttributeError, RecursionError):
        sound = False
    if not sound:
        raise IntegrityError(f"{where}: damaged; copy the model folder again or train anew")
    return manifest  # type: ignore[no-any-return]


def _canonical(content: object) -> bytes:
    return (json.dumps(content, ensure_ascii=False, indent=1, sort_keys=True) + "\n").encode("utf-8", "surrogatepass")


def _lines(lines: Iterable[str]) -> bytes:
    return "".join(f"{line}\n" for line in lines).encode("utf-8")


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise IntegrityError(f"{path}: {error.strerror or error}") from error
