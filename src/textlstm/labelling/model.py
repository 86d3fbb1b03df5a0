"""The seam between labelling and models: what a job must know of a model, and how a worker gets one.

Jobs are written against `RowClassifier`; `predictor.TextClassifier` is one, and tests bring a small deterministic one.
"""

import hashlib
import json
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from textlstm.config import Device, LabellingConfig, Task
from textlstm.errors import IntegrityError
from textlstm.models.calibration.early_exit import EarlyExit, early_exit_at


class RowPrediction(Protocol):
    """The label of one text, as `predictor.Prediction`."""

    @property
    def labels(self) -> Sequence[str]:
        """The most probable label alone, or all labels of a multi-label text; none of an empty text."""

    @property
    def probability(self) -> float:
        """Probability of that label."""

    @property
    def decision(self) -> str:
        """`accepted`, `abstained` or `empty`."""


class RowClassifier(Protocol):
    """A model at work."""

    @property
    def labels(self) -> Sequence[str]:
        """The L labels, in the order of the columns of probabilities."""

    @property
    def is_multi_label(self) -> bool:
        """Whether a text may have any number of labels."""

    def predict_proba(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        """Return (N, L) float32 probabilities of N texts."""

    def decide(self, texts: Sequence[str], probabilities: npt.NDArray[np.float32]) -> Sequence[RowPrediction]:
        """Return one prediction a text from its row of (N, L) probabilities."""

    def count_seen(self, texts: Sequence[str]) -> int | None:
        """Return how many of the texts the model learned from; None where that is not known."""

    @property
    def num_without_network(self) -> int:
        """Texts that `predict_proba` has answered by the linear expert alone so far."""


@dataclass(frozen=True, slots=True)
class ModelCard:
    """What the main process knows of a model without loading its weights."""

    digest: str
    """sha256 that stands for all of the model's data files."""
    labels: tuple[str, ...]
    text_column: str
    """Column of the training files that held the text."""
    label_shares: tuple[float, ...] = ()
    """Share of each label among the training rows; empty when unknown."""
    spacy_model: str = ""
    """spaCy model and version that texts are prepared with."""
    provenance: Mapping[str, Any] | None = None
    """Run id, data digests and so on, as the model folder records them."""
    is_multi_label: bool = False
    """Whether a text may have any number of labels."""
    early_exits: tuple[EarlyExit, ...] = ()
    """When the linear expert decides alone, one a rate; empty where the networks read every row."""

    def early_exit(self, settings: LabellingConfig) -> EarlyExit | None:
        """Return when the linear expert decides alone in a job with these settings; None: never."""
        return early_exit_at(self.early_exits, settings.early_exit_rate)


@dataclass(frozen=True, slots=True)
class ModelSource:
    """How a model folder is described, loaded, and served by a worker process."""

    describe: Callable[[Path], ModelCard]
    load: Callable[[Path, LabellingConfig, bool], RowClassifier]
    """Called as load(directory, settings, many_texts)."""
    worker_command: tuple[str, ...]
    """Command line of a worker process; it must call `worker.serve` with the same `load`."""


def describe_model(directory: Path) -> ModelCard:
    """Return the card of the model saved in `directory`, its files checked.

    Raises:
        IntegrityError: There is no model, or its files were changed.
    """
    from textlstm.model_folder import CONFIG_FILE, model_digest, read_manifest

    manifest = read_manifest(directory)
    config = _checked_json(directory / CONFIG_FILE, manifest["sha256"][CONFIG_FILE])
    return ModelCard(
        digest=model_digest(directory),
        labels=tuple(config["labels"]),
        text_column=config["columns"]["text"],
        label_shares=tuple(config["label_shares"]),
        spacy_model=manifest["spacy_model"],
        provenance=manifest["provenance"],
        is_multi_label=config["task"] == Task.multi_label.value,
        early_exits=tuple(EarlyExit(**early_exit) for early_exit in config.get("early_exits", ())),
    )


def _checked_json(path: Path, sha256: str) -> dict[str, Any]:
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise IntegrityError(f"{path}: {error.strerror or error}; copy the model folder again or train anew") from error
    if hashlib.sha256(raw).hexdigest() != sha256:
        raise IntegrityError(f"{path}: does not match its sha256; copy the model folder again or train anew")
    content: dict[str, Any] = json.loads(raw)
    return content


def load_model(directory: Path, settings: LabellingConfig, many_texts: bool) -> RowClassifier:
    """Return the classifier saved in `directory`, on one thread.

    One thread in every process: on a CPU, several one-thread workers beat one worker with several threads, and the
    last bits of a probability do not depend on the number of workers. For the same reason, and as a GPU has not been
    measured to be faster than all cores, `auto` is the CPU. In a worker of `device=cuda` the process of a GPU computes
    the networks. torch is left out where numpy can compute the networks.
    With `many_texts`, tables that make each text faster are computed first, which pays from some thousand texts on.

    Raises:
        IntegrityError: The model's files were changed, or another spaCy model is installed.
    """
    # Imported late: a job whose worker processes hold the model never needs this here.
    from textlstm.inference.classifier import TextClassifier
    from textlstm.inference.gpu_process import GPU_ADDRESS, GpuNetworks
    from textlstm.model_folder import load_saved_model

    gpu = os.environ.get(GPU_ADDRESS) if settings.device is Device.cuda else None
    opened = (
        partial(TextClassifier, load_saved_model(directory), recurrent=GpuNetworks(gpu))
        if gpu
        else partial(TextClassifier.load, directory)
    )
    classifier = opened(
        device=Device.cpu if settings.device is Device.auto else settings.device,
        num_threads=1,
        precision=settings.precision,
        without_torch=True,
        early_exit=settings.early_exit_rate,
    )
    if many_texts:
        classifier.recurrent.prepare_for_many()
    return classifier


SAVED_MODELS = ModelSource(
    describe=describe_model,
    load=load_model,
    worker_command=(sys.executable, "-m", "textlstm.labelling.engines.worker_main"),
)
"""Model folders written by `textlstm train`."""
