"""A saved model as other rooms see it: labels, settings, weights, thresholds, and where it came from."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from textlstm.arrays.hashing import content_hash
from textlstm.config import ModelConfig, Task, TextConfig
from textlstm.models.calibration.early_exit import EarlyExit, early_exit_at
from textlstm.text.fingerprint import TextFingerprint, inference_text
from textlstm.vocabulary import Vocabulary


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
    early_exits: tuple[EarlyExit, ...] = ()
    """When the linear expert answers alone, one a rate, rising; empty where the networks read every row."""
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
        hashes = np.fromiter(map(content_hash, texts), np.uint64, len(texts))
        # (N,) places in the sorted hashes; one beyond the end is that of an unseen text.
        places = np.searchsorted(self.training_rows, hashes)
        found = np.zeros(len(hashes), dtype=np.bool_)
        inside = places < len(self.training_rows)
        found[inside] = self.training_rows[places[inside]] == hashes[inside]
        return found

    def early_exit_at(self, rate: float) -> EarlyExit | None:
        """Return the early exit of the highest rate up to `rate`; None where there is none."""
        return early_exit_at(self.early_exits, rate)

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


def with_provenance(saved_model: SavedModel, **entries: object) -> SavedModel:
    """Return `saved_model` with more provenance."""
    return replace(saved_model, provenance={**(saved_model.provenance or {}), **entries})


def saved_warnings(provenance: Mapping[str, Any] | None) -> tuple[str, ...]:
    """Return the warnings of the training, in sentences, such as an error rate that it cannot guarantee."""
    return tuple((provenance or {}).get("warnings", ()))
