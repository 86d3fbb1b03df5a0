"""A saved model at work: texts in, labels and probabilities out; label, evaluate and library users share it."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from enum import StrEnum
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, Self

import numpy as np

from textlstm.config import EARLY_EXIT, Device, Precision, Task
from textlstm.errors import ConfigError
from textlstm.inference.numpy_backend import NumpyNetworks, can_compute
from textlstm.inference.prediction import Decision, Prediction, Scores, is_empty
from textlstm.inference.texts import text_list
from textlstm.model_folder import load_saved_bytes, load_saved_model, saved_bytes
from textlstm.models.calibration.combination import BranchCombiner
from textlstm.models.calibration.temperature import mean_logits, to_probabilities
from textlstm.models.linear.expert import LinearExpert
from textlstm.models.network.inputs import EncodedSplit, encode_texts
from textlstm.saved_model import SavedModel
from textlstm.text.pipeline import TextPipeline
from textlstm.text.tokenized import TokenizedTexts

if TYPE_CHECKING:
    import torch

    from textlstm.inference.torch_backend import TorchNetworks
    from textlstm.models.network.network import TextNetwork


class RecurrentBranch(Protocol):
    """The recurrent networks of a model, whatever computes them."""

    def logits(self, split: EncodedSplit) -> list[np.ndarray]:
        """Return the (N, L) float32 logits of each network."""

    def prepare_for_many(self) -> None:
        """Prepare for many texts; for few it would cost more than it saves."""

    def after_fork(self) -> None:
        """Make the networks, and a tagger of the same library, work in a forked process; does nothing elsewhere."""


class TextClassifier:
    """A model ready to predict.

    Example:
        classifier = TextClassifier.load("outputs/model")
        [prediction] = classifier.predict(["Shares fell again after the bank's warning."])
        prediction.label, prediction.probability
    """

    def __init__(
        self,
        saved_model: SavedModel,
        *,
        device: Device = Device.auto,
        num_threads: int | None = None,
        precision: Precision = Precision.fp32,
        without_torch: bool = False,
        early_exit: float = EARLY_EXIT,
        recurrent: RecurrentBranch | None = None,
    ) -> None:
        """Build the parts of `saved_model`; `num_threads` are those of the networks, None for all cores.

        `early_exit` is the part of the rows that may get another label because the linear expert decides alone where it
        is sure enough; 0: the networks read every row.

        torch is imported for networks of torch only: not for a model that was exported to ONNX, and with
        `without_torch` not where numpy can compute the networks, which can then not be looked into. With `recurrent`,
        which computes them elsewhere in the way that `device` says, they are not opened here.

        Raises:
            ConfigError: the networks cannot be computed on that device or in that precision.
        """
        self.saved_model = saved_model
        self.labels = saved_model.labels
        self._how = {
            "device": device,
            "num_threads": num_threads,
            "precision": precision,
            "without_torch": without_torch,
            "early_exit": early_exit,
        }
        without_torch = without_torch and can_compute(saved_model, device=device, precision=precision)
        self.recurrent: RecurrentBranch = recurrent or (
            NumpyNetworks(saved_model, num_threads=num_threads)
            if without_torch and not saved_model.is_exported
            else open_networks(saved_model, device=device, num_threads=num_threads, precision=precision)
        )
        self.pipeline = TextPipeline(
            saved_model.inference_text,
            saved=saved_model.text_fingerprint,
            without_torch=without_torch or saved_model.is_exported,
        )
        expert = saved_model.arrays("expert.")
        self.expert = LinearExpert.from_arrays(expert) if expert else None
        self.combiner = BranchCombiner.from_arrays(saved_model.arrays("gate."), task=saved_model.task)
        self.early_exit = saved_model.early_exit_at(early_exit)
        """When the linear expert decides alone; None: never."""
        self.num_without_network = 0
        """Rows that `predict` and `predict_proba` have answered without the networks so far."""

    @classmethod
    def load(
        cls,
        directory: str | Path,
        *,
        device: Device = Device.auto,
        num_threads: int | None = None,
        precision: Precision = Precision.fp32,
        without_torch: bool = False,
        early_exit: float = EARLY_EXIT,
    ) -> Self:
        """Return the classifier saved in `directory`; the arguments are those of the class.

        Raises:
            IntegrityError: a file was changed, or the installed spaCy model that the model reads tags or lemmas of is
                another version than the saved one, or the tokenizer is another.
        """
        saved_model = load_saved_model(Path(directory))
        return cls(
            saved_model,
            device=device,
            num_threads=num_threads,
            precision=precision,
            without_torch=without_torch,
            early_exit=early_exit,
        )

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[object, ...]]:
        """Pickle as the bytes of the saved model, which are compared with their sha256 when they come back."""
        how = {name: str(value) if isinstance(value, StrEnum) else value for name, value in self._how.items()}
        return load_pickled, (type(self), saved_bytes(self.saved_model), how)

    @property
    def is_multi_label(self) -> bool:
        """Whether a text may have any number of labels."""
        return self.saved_model.task is Task.multi_label

    @cached_property
    def tagging_pipeline(self) -> TextPipeline:
        """The preparation of training: the same tokens as `pipeline`, with tags for a reader if the model reads none.

        Raises:
            IntegrityError: the installed spaCy model is another version than the saved one.
        """
        saved_model = self.saved_model
        if saved_model.inference_text == saved_model.text:
            return self.pipeline
        return TextPipeline(saved_model.text, saved=saved_model.text_fingerprint)

    @property
    def networks(self) -> "list[TextNetwork]":
        """The networks themselves, to look into.

        Raises:
            ConfigError: the model was exported, or loaded without torch.
        """
        return self._torch_networks().networks

    @property
    def device(self) -> "torch.device":
        """Where the networks are.

        Raises:
            ConfigError: the model was exported, or loaded without torch.
        """
        return self._torch_networks().device

    def _torch_networks(self) -> "TorchNetworks":
        from textlstm.inference.torch_backend import TorchNetworks

        if isinstance(self.recurrent, NumpyNetworks):
            raise ConfigError(
                "this classifier was loaded without torch; load it with without_torch=False to look into it"
            )
        if not isinstance(self.recurrent, TorchNetworks):
            raise ConfigError(
                "model_dir: an exported model cannot be looked into; set model_dir to the model that it came from"
            )
        self.recurrent.after_fork()
        return self.recurrent

    def predict(self, texts: Iterable[object]) -> list[Prediction]:
        """Return one prediction a text, in order; `texts` is a list, series, array or other column of strings.

        Raises:
            InputError: a row is no string, or `texts` is no column; the message names the row.
        """
        given = self.given_texts(texts)
        return self.decide(given, self._probabilities(given))

    def predict_proba(self, texts: Iterable[object]) -> np.ndarray:
        """Return calibrated probabilities, (N, L) float32, columns in the order of `labels`.

        Raises:
            InputError: as `predict`.
        """
        return self._probabilities(self.given_texts(texts))

    def given_texts(self, texts: Iterable[object]) -> list[str]:
        """Return `texts` as a list; of a table, the column that the model was trained on.

        Raises:
            InputError: as `predict`.
        """
        return text_list(texts, column=self.saved_model.columns.text)

    def _probabilities(self, texts: Sequence[str]) -> np.ndarray:
        """Return what `predict_proba` does; the networks read only the rows that the linear expert leaves to them."""
        self.recurrent.after_fork()  # before the tagger, which may compute by torch
        # A combiner that gives the networks no weight needs none of them: their logits count 0 times.
        is_idle = not self.combiner.uses_network
        if self.expert is None or (self.early_exit is None and not is_idle):
            whole = self.combiner.combine(*self._logits(self.pipeline.prepare(texts), texts))
            return to_probabilities(whole, self.saved_model.task)
        # Both branches read the same words. Cutting these into tokens, and tagging, waits for what is left.
        words = self.pipeline.split(texts)
        expert = self.expert.logits(texts, words)
        if self.early_exit is None:
            self.num_without_network += len(texts)
            return to_probabilities(self.combiner.combine(np.zeros_like(expert), expert), self.saved_model.task)
        answers = self.early_exit.answer(self.combiner, expert)
        probabilities = to_probabilities(answers.log_probabilities, self.saved_model.task)
        # (R,) of the N rows go on to the networks.
        left = np.flatnonzero(~answers.stands)
        if len(left):
            its_words = None if words is None else words.pick(left)
            its_texts = self.pipeline.prepare([texts[i] for i in left.tolist()], its_words)
            combined = self.combiner.combine(self._recurrent_logits(its_texts), expert[left])
            probabilities[left] = to_probabilities(combined, self.saved_model.task)
        self.num_without_network += len(texts) - len(left)
        return probabilities

    def probabilities_in_use(self, scores: Scores) -> np.ndarray:
        """Return (N, L) float32: what `predict_proba` gives for the texts that have these `scores`."""
        if self.early_exit is None or scores.expert_logits is None:
            return scores.probabilities
        answers = self.early_exit.answer(self.combiner, scores.expert_logits)
        alone = to_probabilities(answers.log_probabilities, self.saved_model.task)
        return np.where(answers.stands[:, None], alone, scores.probabilities)

    @property
    def abstain_below(self) -> float:
        """Rows whose highest probability is lower are abstained from; 0 means never."""
        in_use = self.saved_model.thresholds if self.early_exit is None else self.early_exit
        return in_use.abstain_below

    def score(self, texts: Sequence[str]) -> Scores:
        """Return the scores of every part of the model for `texts`; the networks read all of them."""
        self.recurrent.after_fork()  # before the tagger, which may compute by torch
        return self.score_prepared(self.pipeline.prepare(texts), texts)

    def score_prepared(self, prepared: TokenizedTexts, texts: Sequence[str]) -> Scores:
        """Return the scores of N texts whose tokens are at hand; the linear expert reads the raw `texts`."""
        self.recurrent.after_fork()
        recurrent, expert = self._logits(prepared, texts)
        return Scores(
            probabilities=to_probabilities(self.combiner.combine(recurrent, expert), self.saved_model.task),
            recurrent_logits=recurrent,
            expert_logits=expert,
            unknown_share=_unknown_share(prepared.tokens.each(self.saved_model.vocabulary.encode), prepared.offsets),
            num_tokens=np.diff(prepared.offsets),
        )

    def _logits(self, prepared: TokenizedTexts, texts: Sequence[str]) -> tuple[np.ndarray, np.ndarray | None]:
        """Return the (N, L) float32 logits of the networks, and of the expert if there is one."""
        recurrent = self._recurrent_logits(prepared)
        return recurrent, None if self.expert is None else self.expert.logits(texts, prepared.words)

    def _recurrent_logits(self, prepared: TokenizedTexts) -> np.ndarray:
        """Return (N, L) float32 logits of the recurrent branch."""
        saved_model = self.saved_model
        # Labels are unknown here; zeros stand in for them.
        targets = np.zeros(len(prepared), dtype=np.int64)
        split = encode_texts(prepared, vocabulary=saved_model.vocabulary, model=saved_model.model, targets=targets)
        # (N, L) logits of each network to their mean; the shape is given since for N = 0 a backend may not know L.
        logits = mean_logits(self.recurrent.logits(split), saved_model.task)
        return logits.reshape(len(prepared), len(saved_model.labels))

    def count_seen(self, texts: Sequence[str]) -> int | None:
        """Return how many of the texts the model learned from; None where an older textlstm did not record it."""
        seen = self.saved_model.seen_in_training(texts)
        return None if seen is None else int(seen.sum())

    def decide(
        self, texts: Sequence[str], probabilities: np.ndarray, *, abstain_below: float | None = None
    ) -> list[Prediction]:
        """Return the decision for each row of `probabilities` (N, L) by the thresholds saved with the model.

        `abstain_below` is another threshold than that of `predict`.
        """
        least = self.abstain_below if abstain_below is None else abstain_below
        thresholds = self.saved_model.thresholds
        best = probabilities.argmax(axis=1)
        highest = probabilities[np.arange(len(texts)), best]
        # Plain lists: Python reads their items several times faster than those of arrays, one by one.
        accepted = (highest >= least).tolist()
        best_of, highest_of = best.tolist(), highest.tolist()
        is_multi_label = self.is_multi_label
        predictions = []
        for row, text in enumerate(texts):
            # A text without visible characters gets no label, whatever the probabilities are.
            if is_empty(text):
                predictions.append(Prediction("", 0.0, Decision.empty, ()))
                continue
            if is_multi_label:
                chosen = np.flatnonzero(probabilities[row] >= np.asarray(thresholds.per_class or 0.5))
                names = tuple(self.labels[index] for index in chosen)
            else:
                names = (self.labels[best_of[row]],)
            decision = Decision.accepted if accepted[row] else Decision.abstained
            predictions.append(Prediction(",".join(names), highest_of[row], decision, names))
        return predictions


def load_pickled(kind: type[TextClassifier], files: Mapping[str, bytes], how: Mapping[str, Any]) -> TextClassifier:
    """Return the classifier that a pickle holds as the `files` of its folder.

    Raises:
        IntegrityError: the bytes are not those of the manifest.
    """
    device, precision = Device(how["device"]), Precision(how["precision"])
    return kind(load_saved_bytes(files), **{**how, "device": device, "precision": precision})


def open_networks(
    saved_model: SavedModel, *, device: Device, num_threads: int | None, precision: Precision
) -> RecurrentBranch:
    """Return the networks of a model, computed by torch, or by onnxruntime where the model was exported.

    Raises:
        ConfigError: they cannot be computed on that device or in that precision.
    """
    if saved_model.onnx_model is not None:
        from textlstm.inference.onnx_backend import OnnxNetworks

        return OnnxNetworks(saved_model.onnx_model, device=device, num_threads=num_threads, precision=precision)
    from textlstm.inference.torch_backend import TorchNetworks

    return TorchNetworks(saved_model, device=device, num_threads=num_threads, precision=precision)


def _unknown_share(token_ids: np.ndarray, offsets: np.ndarray) -> np.ndarray:
    # (M + 1,) running count of unknown tokens, so that the count of a text is one difference.
    unknown = np.concatenate([[0], np.cumsum(token_ids == 1)])
    counts = np.diff(offsets)
    return np.asarray((unknown[offsets[1:]] - unknown[offsets[:-1]]) / np.maximum(counts, 1), dtype=np.float32)
