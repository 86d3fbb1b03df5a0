"""A transformer becomes the teacher of a corpus: fine-tuned by cross-fitting, then asked for every row once.

Each training row is answered by a transformer that has not learned from it; unlabelled and validation rows by one that
has learned from all training rows. Every step leaves a file, so that a run that was killed goes on behind the last one,
and a later training with the same rows asks nobody.
"""

import hashlib
import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from safetensors.numpy import load, save

from textlstm.arrays.hashing import mix
from textlstm.config import TrainingConfig
from textlstm.corpus.prepared import PreparedCorpus, PreparedSplit
from textlstm.figure_text import counted
from textlstm.processes.devices import choose_device
from textlstm.storage.files import atomic_file, atomic_folder, sha256_of_file, storage_errors
from textlstm.storage.locks import exclusive_lock
from textlstm.teaching.answers import Answers, right_text

# torch and transformers are imported once something has to be computed: answers that lie there need neither.
if TYPE_CHECKING:
    from textlstm.teaching.transformer import Transformer

PREFIX = "hf:"
"""Begins a teacher that is a transformer: `hf:NAME_OR_FOLDER`."""
BLOCK_ROWS = 1024
"""Rows that are answered, and stored, at a time."""
_SEED = 1
_FORMAT = 1
Advance = Callable[[int, int | None, str], None]
"""Hears rows or batches done, their number, and what is done."""


def fine_tuned_answers(
    name: str,
    corpus: PreparedCorpus,
    unlabelled: PreparedSplit | None,
    config: TrainingConfig,
    *,
    store: Path,
    advance: Advance,
) -> Answers:
    """Return the answers of the transformer `name` for all training rows and all `unlabelled` rows.

    Args:
        name: a folder, or a name on the hub.
        corpus: with training rows, and validation rows by which the teacher is judged.
        unlabelled: rows without labels; None without any.
        config: teacher_folds, teacher_epochs, device, threads and number format.
        store: folder of the work of all teachers.
        advance: hears how far it is.

    Raises:
        ConfigError: transformers is not installed, or there is no such transformer.
        StorageError: the store cannot be written.
    """
    work = _Work.of(name, corpus, config, store=store, advance=advance)
    # A second training of the same rows waits, and then finds the answers.
    with exclusive_lock(store / ".locks" / work.directory.name), work.computing_settings():
        train = work.cross_fitted()
        lines = [work.judged(train)]
        if unlabelled is None:
            return Answers(train, lines=tuple(lines))
        chances = work.answered(unlabelled)
    speed = len(unlabelled) / max(chances.seconds, 1e-9)
    lines.append(
        f"teacher: {counted(len(unlabelled), 'unlabelled row')} answered in {chances.seconds:,.0f} s, {speed:,.0f} "
        f"rows/s, {1e6 / speed / 3600:,.1f} hours a million rows"
    )
    return Answers(train, unlabelled, chances.chances, tuple(lines))


@dataclass(frozen=True, slots=True)
class _Chances:
    """Answers for N rows."""

    chances: npt.NDArray[np.float32]
    """(N, L)."""
    seconds: float
    """Time that they took."""


@dataclass(slots=True)
class _Work:
    """The folder of one teacher of one corpus, and the transformers that are in memory."""

    name: str
    corpus: PreparedCorpus
    config: TrainingConfig
    directory: Path
    advance: Advance
    loaded: "Transformer | None" = field(default=None)
    """Learned from all training rows."""

    @classmethod
    def of(cls, name: str, corpus: PreparedCorpus, config: TrainingConfig, *, store: Path, advance: Advance) -> "_Work":
        from textlstm.teaching.transformer import BATCH_SIZE, PEAK_LEARNING_RATE, versions

        assert corpus.train is not None
        # Everything that decides the answers.
        content = {
            "format": _FORMAT,
            "source": _digest_of_source(name),
            "rows": corpus.train.digest,
            "labels": list(corpus.labels),
            "task": corpus.task.value,
            "folds": config.teacher_folds,
            "epochs": config.teacher_epochs,
            "recipe": [BATCH_SIZE, PEAK_LEARNING_RATE, _SEED],
            "versions": versions(),
        }
        key = hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
        directory = store / key[:32]
        with storage_errors(directory):
            directory.mkdir(parents=True, exist_ok=True)
        return cls(name, corpus, config, directory, advance)

    def computing_settings(self) -> Any:
        """Return the block in which torch has the threads of the settings; its random state is put back after it."""
        from textlstm.training.compute import compute_settings

        return compute_settings(self.config, choose_device(self.config.device, key="training.device"))

    def cross_fitted(self) -> npt.NDArray[np.float32]:
        """Return (N, L) answers for the training rows, each by a transformer that has not learned from it."""
        split = self.corpus.train
        assert split is not None
        folds = _folds(split, self.config.teacher_folds)
        found = np.zeros((len(split), len(self.corpus.labels)), np.float32)
        for fold in range(self.config.teacher_folds):
            kept, left = np.flatnonzero(folds != fold), np.flatnonzero(folds == fold)

            def answer(fold: int = fold, kept: Any = kept, left: Any = left) -> npt.NDArray[np.float32]:
                what = f"fold {fold + 1} of {self.config.teacher_folds}"
                return self._fine_tuned(split.select(kept), what, seed=_SEED + 1 + fold).probabilities(
                    split.select(left).texts()
                )

            found[left] = self._stored(f"fold-{fold}.safetensors", answer).chances
        return found

    def judged(self, train: npt.NDArray[np.float32]) -> str:
        """Return how often the teacher is right, in a line."""
        corpus = self.corpus
        assert corpus.train is not None
        line = f"teacher: right in {_accuracy(train, corpus.train, corpus)} of the training rows, out of fold"
        if corpus.validation is None or not len(corpus.validation):
            return line
        validation = corpus.validation
        chances = self._stored(
            "validation.safetensors", lambda: self._whole().probabilities(validation.texts())
        ).chances
        return f"{line}, and in {_accuracy(chances, validation, corpus)} of {len(validation):,} validation rows"

    def answered(self, split: PreparedSplit) -> _Chances:
        """Return the answers for unlabelled rows, block by block; blocks that lie there are not asked again."""
        folder = f"rows-{_digest_of_texts(split)}"
        with storage_errors(self.directory / folder):
            (self.directory / folder).mkdir(exist_ok=True)
        texts, blocks = split.texts(), []
        for start in range(0, len(texts), BLOCK_ROWS):
            block = texts[start : start + BLOCK_ROWS]
            blocks.append(
                self._stored(
                    f"{folder}/{start:09d}.safetensors",
                    lambda block=block: self._whole().probabilities(block),  # type: ignore[misc]
                )
            )
            self.advance(min(start + BLOCK_ROWS, len(texts)), len(texts), "the teacher answers for unlabelled rows")
        return _Chances(np.concatenate([block.chances for block in blocks]), sum(block.seconds for block in blocks))

    def _stored(self, name: str, answer: Callable[[], npt.NDArray[np.float32]]) -> _Chances:
        """Return answers from their file, or ask for them and store them."""
        path = self.directory / name
        if not path.exists():
            # Loading a transformer is no part of the time that answers take.
            if not name.startswith("fold"):
                self._whole()
            start = time.perf_counter()
            chances = answer()
            seconds = np.array(time.perf_counter() - start)
            with atomic_file(path) as stream:
                stream.write(save({"chances": np.ascontiguousarray(chances), "seconds": seconds}))
        with storage_errors(path):
            stored = load(path.read_bytes())
        return _Chances(stored["chances"], float(stored["seconds"]))

    def _whole(self) -> "Transformer":
        """Return the transformer that has learned from all training rows, from its folder where it is there."""
        from textlstm.teaching.transformer import Transformer

        if self.loaded is None:
            folder = self.directory / "model"
            if not folder.exists():
                assert self.corpus.train is not None
                taught = self._fine_tuned(self.corpus.train, "all training rows", seed=_SEED)
                with atomic_folder(folder) as directory:
                    taught.save(directory)
            self.loaded = Transformer.load(str(folder), **self._kinds())
        return self.loaded

    def _fine_tuned(self, split: PreparedSplit, what: str, *, seed: int) -> "Transformer":
        from textlstm.teaching.transformer import Transformer

        chances = split.probabilities(self.corpus.labels, self.corpus.task)
        targets = split.targets(self.corpus.labels, self.corpus.task) if chances is None else chances
        return Transformer.fine_tune(
            self.name,
            split.texts(),
            targets,
            epochs=self.config.teacher_epochs,
            seed=seed,
            on_batch=lambda done, total: self.advance(done, total, f"the teacher learns: {what}"),
            **self._kinds(),
        )

    def _kinds(self) -> dict[str, Any]:
        from textlstm.teaching.transformer import Computing
        from textlstm.training.compute import number_format_of

        device = choose_device(self.config.device, key="training.device")
        computing = Computing(device, number_format_of(self.config, device))
        return {"num_labels": len(self.corpus.labels), "task": self.corpus.task, "computing": computing}


def _accuracy(chances: npt.NDArray[np.float32], split: PreparedSplit, corpus: PreparedCorpus) -> str:
    return right_text(chances, split.targets(corpus.labels, corpus.task), corpus.task)


def _folds(split: PreparedSplit, num_folds: int) -> npt.NDArray[np.int64]:
    """Return the (N,) fold of each row; rows of one text are in one fold, or the text would be known."""
    texts, places = np.unique(mix(split.hashes()), return_inverse=True)
    return (np.arange(len(texts)) % num_folds)[places].astype(np.int64)


def _digest_of_texts(split: PreparedSplit) -> str:
    return hashlib.sha256(split.hashes().tobytes()).hexdigest()[:32]


def _digest_of_source(name: str) -> str:
    """Return a digest of the files of a folder; of a name on the hub, the name."""
    folder = Path(name)
    if not folder.is_dir():
        return name
    digest = hashlib.sha256()
    for path in sorted(path for path in folder.iterdir() if path.is_file()):
        digest.update(f"{path.name}\0{sha256_of_file(path)}\0".encode("utf-8", "surrogateescape"))
    return digest.hexdigest()
