"""A transformer that is fine-tuned to classify texts, and its probabilities; no other file imports transformers."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional

from textlstm.config import Task
from textlstm.errors import ConfigError
from textlstm.models.network.precision import NumberFormat, computing_in

OnBatch = Callable[[int, int], None]
"""Called after each batch with the number of batches done and their number in all."""
PEAK_LEARNING_RATE = 5e-5
BATCH_SIZE = 16
_WARMUP = 0.1
_WEIGHT_DECAY = 0.01
_MOST_TOKENS = 256
"""Word pieces of a text that are read; the time of attention grows with their square."""
_POOL = 16
"""Batches whose rows are sorted by length together, so that little is padded and the order stays random."""
_LABEL_BATCH_SIZE = 64


@dataclass(frozen=True, slots=True)
class Computing:
    """Where a transformer computes, and in which number format."""

    device: torch.device
    number_format: NumberFormat


class Transformer:
    """A classifier of texts."""

    def __init__(self, model: Any, tokenizer: Any, task: Task, computing: Computing) -> None:
        """Answer with a `model` of transformers that has a logit a label."""
        self._model, self._tokenizer, self._task, self._computing = model, tokenizer, task, computing

    @classmethod
    def load(cls, source: str, *, num_labels: int, task: Task, computing: Computing) -> "Transformer":
        """Return the transformer in a folder or of that name on the hub, with a head of `num_labels`.

        A head that the source lacks, or one of another number of labels, gets random weights.

        Raises:
            ConfigError: transformers is not installed, or `source` holds no transformer with weights as safetensors.
        """
        try:
            import transformers
            from transformers.utils import logging
        except ImportError as error:
            raise ConfigError(
                f"teacher=hf:{source}: transformers is not installed; pip install 'textlstm[teacher]'"
            ) from error
        logging.set_verbosity_error()
        logging.disable_progress_bar()
        # Only safetensors: other weights are pickles, which may run code.
        kinds = {"local_files_only": Path(source).is_dir(), "trust_remote_code": False}
        try:
            tokenizer = transformers.AutoTokenizer.from_pretrained(source, **kinds)
            model = transformers.AutoModelForSequenceClassification.from_pretrained(
                source, num_labels=num_labels, use_safetensors=True, ignore_mismatched_sizes=True, **kinds
            )
        except (OSError, ValueError, KeyError) as error:
            reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
            raise ConfigError(f"teacher=hf:{source}: cannot be loaded: {reason}") from error
        return cls(model.to(computing.device), tokenizer, task, computing)

    @classmethod
    def fine_tune(
        cls,
        source: str,
        texts: Sequence[str],
        targets: np.ndarray,
        *,
        num_labels: int,
        task: Task,
        computing: Computing,
        epochs: int,
        seed: int,
        on_batch: OnBatch,
    ) -> "Transformer":
        """Return the transformer of `source` after `epochs` over N texts: AdamW, a warm-up, then a linear fall.

        Args:
            source: a folder, or a name on the hub.
            texts: N texts.
            targets: (N,) int64 label ids, or (N, L) float32 probabilities.
            num_labels: L.
            task: one label a text or several.
            computing: where and how.
            epochs: passes over the texts.
            seed: of the new head, of dropout and of the order of texts.
            on_batch: called after each batch.

        Raises:
            ConfigError: as `load`.
        """
        # The seed decides the weights of the new head, too.
        torch.manual_seed(seed)
        taught = cls.load(source, num_labels=num_labels, task=task, computing=computing)
        model, encoded = taught._model.train(), taught._encode(texts)
        optimizer = torch.optim.AdamW(model.parameters(), lr=PEAK_LEARNING_RATE, weight_decay=_WEIGHT_DECAY)
        wanted = torch.from_numpy(targets).to(computing.device)
        random = np.random.default_rng(seed)
        plans = [_random_batches([len(ids) for ids in encoded], random) for _ in range(epochs)]
        num_batches = sum(map(len, plans))
        for done, rows in enumerate((rows for plan in plans for rows in plan), start=1):
            for group in optimizer.param_groups:
                group["lr"] = PEAK_LEARNING_RATE * _learning_rate_factor((done - 0.5) / num_batches)
            loss = taught._loss(taught._logits(encoded, rows), wanted[torch.from_numpy(rows)])
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            on_batch(done, num_batches)
        model.eval()
        return taught

    def probabilities(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        """Return the (N, L) probability of each label for N texts."""
        encoded = self._encode(texts)
        # Texts of like length share a batch; their rows go back to where they came from.
        order = np.argsort([len(ids) for ids in encoded], kind="stable")
        found = np.zeros((len(encoded), self._model.config.num_labels), np.float32)
        self._model.eval()
        with torch.inference_mode():
            for start in range(0, len(order), _LABEL_BATCH_SIZE):
                rows = order[start : start + _LABEL_BATCH_SIZE]
                logits = self._logits(encoded, rows)
                chances = logits.sigmoid() if self._task is Task.multi_label else logits.softmax(dim=1)
                found[rows] = chances.cpu().numpy()
        return found

    def save(self, directory: Path) -> None:
        """Write weights, settings and tokenizer into a folder that `load` reads."""
        self._model.save_pretrained(directory)
        self._tokenizer.save_pretrained(directory)

    def _encode(self, texts: Sequence[str]) -> list[list[int]]:
        """Return the ids of the word pieces of each text."""
        most = min(_MOST_TOKENS, self._tokenizer.model_max_length)
        ids: list[list[int]] = self._tokenizer(list(texts), truncation=True, max_length=most)["input_ids"]
        return ids

    def _logits(self, encoded: Sequence[Sequence[int]], rows: npt.NDArray[np.int64]) -> Tensor:
        """Return the (B, L) float32 logits of some rows."""
        # (B, T) ids, padded at the end, and which of them are there.
        width = max(len(encoded[row]) for row in rows)
        ids = np.full((len(rows), width), self._tokenizer.pad_token_id or 0, np.int64)
        is_there = np.zeros((len(rows), width), np.int64)
        for place, row in enumerate(rows):
            ids[place, : len(encoded[row])] = encoded[row]
            is_there[place, : len(encoded[row])] = 1
        device = self._computing.device
        with computing_in(self._computing.number_format, device):
            output = self._model(
                input_ids=torch.from_numpy(ids).to(device), attention_mask=torch.from_numpy(is_there).to(device)
            )
        logits: Tensor = output.logits.float()
        return logits

    def _loss(self, logits: Tensor, wanted: Tensor) -> Tensor:
        if self._task is Task.multi_label:
            return functional.binary_cross_entropy_with_logits(logits, wanted)
        return functional.cross_entropy(logits, wanted)


def versions() -> dict[str, str]:
    """Return the versions of the libraries that decide what a fine-tuning gives.

    Raises:
        ConfigError: transformers is not installed.
    """
    try:
        return {name: metadata.version(name) for name in ("transformers", "tokenizers", "torch")}
    except metadata.PackageNotFoundError as error:
        raise ConfigError("teacher=hf: needs transformers; pip install 'textlstm[teacher]'") from error


def _random_batches(lengths: Sequence[int], random: np.random.Generator) -> list[npt.NDArray[np.int64]]:
    """Return the rows of each batch of an epoch: random, but of like length within a batch."""
    sizes = np.asarray(lengths)
    order = random.permutation(len(sizes))
    pool = _POOL * BATCH_SIZE
    batches = []
    for start in range(0, len(order), pool):
        rows = order[start : start + pool]
        rows = rows[np.argsort(sizes[rows], kind="stable")]
        batches += [rows[first : first + BATCH_SIZE] for first in range(0, len(rows), BATCH_SIZE)]
    return [batches[place] for place in random.permutation(len(batches))]


def _learning_rate_factor(done: float) -> float:
    """Return the part of the peak learning rate when `done` of all steps are done, in (0, 1)."""
    return min(done / _WARMUP, (1 - done) / (1 - _WARMUP))
