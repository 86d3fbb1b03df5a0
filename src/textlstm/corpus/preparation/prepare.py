"""`prepare_corpus`: read, check, split, tokenize, tag, filter, store; or find it all in the store."""

import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import NamedTuple

from textlstm.config import DataConfig, Engine, Task, TextConfig
from textlstm.corpus.preparation.corpus_folder import corpus_key, load_corpus, seal
from textlstm.corpus.preparation.reading import Ingested, ingest
from textlstm.corpus.preparation.splitting import Assignment, assign_known, assign_rows, refuse_leaks
from textlstm.corpus.preparation.tokenizing import Done, tokenize_rows
from textlstm.corpus.preparation.writing import assemble
from textlstm.corpus.prepared import PreparedCorpus
from textlstm.corpus.sources.sources import Source, check_unchanged, labelled_file_sources, open_sources
from textlstm.errors import InputError
from textlstm.processes.worker_group import WorkerGroup
from textlstm.storage.files import replace_folder, storage_errors
from textlstm.storage.locks import exclusive_lock
from textlstm.text.fingerprint import TextDescription, TextFingerprint
from textlstm.text.workers import start_workers_early

# Progress: a stage shows it as a bar.


class Phase(StrEnum):
    """The steps of a preparation, in order."""

    waiting = "waiting"
    """Another process prepares the same corpus."""
    reading = "reading"
    """Rows are read, checked and split."""
    tokenizing = "tokenizing"
    """Texts become tokens and parts of speech."""
    writing = "writing"
    """Parts are joined, measured and stored."""


class Progress(NamedTuple):
    """How far a phase is; `rows_total` is None while the number of rows is not known."""

    phase: Phase
    rows_done: int
    rows_total: int | None
    words_done: int
    """Tokens in `tokenizing`; 0 elsewhere."""


ProgressCallback = Callable[[Progress], None]
"""Called often (every few thousand rows); an exception it raises ends the preparation cleanly."""


def ignore_progress(progress: Progress) -> None:
    """Report nothing."""


# The store of prepared corpora, and how one gets into it.

KEY_LENGTH = 32
"""Hexadecimal digits of the key in a folder's name."""


@dataclass(frozen=True, slots=True)
class Preparation:
    """Everything that decides one prepared corpus, and who is told about it."""

    data: DataConfig
    text: TextConfig
    sources: Sequence[Source]
    key: str
    saved: TextFingerprint | None
    """What a model recorded; None takes what is installed."""
    assign: Callable[[Ingested], Assignment]
    """Gives every row its split."""
    num_workers: int
    progress: ProgressCallback
    engine: Engine = Engine.local
    """Where texts are tokenized."""
    timings: dict[str, float] = field(default_factory=dict)

    @property
    def task(self) -> Task:
        """Whether rows have one label or any number."""
        return Task.multi_label if self.data.labels_column else Task.single_label

    @contextmanager
    def phase(self, phase: Phase) -> Iterator[None]:
        """Add the seconds of the block to `timings`."""
        self.progress(Progress(phase, 0, None, 0))
        start = time.perf_counter()
        yield
        self.timings[phase.value] = self.timings.get(phase.value, 0.0) + time.perf_counter() - start


def run_preparation(preparation: Preparation, prepared_dir: Path, *, overwrite: bool) -> PreparedCorpus:
    """Return the corpus, from the store where it is there.

    Raises:
        TextLSTMError: as `prepare_corpus` says.
    """
    name = preparation.key[:KEY_LENGTH]
    final, work_dir = prepared_dir / name, prepared_dir / ".work" / name
    # A whole corpus that nobody works on needs no lock; a work folder tells of another process, or of a kill.
    if final.exists() and not overwrite and not work_dir.exists():
        return _load(preparation, final, reused=True)
    waited = False

    def wait() -> None:
        nonlocal waited
        waited = True
        preparation.progress(Progress(Phase.waiting, 0, None, 0))

    # One process prepares; a second one that waited finds the corpus in the store.
    with exclusive_lock(prepared_dir / ".locks" / name, on_wait=wait):
        if final.exists() and (waited or not overwrite):
            shutil.rmtree(work_dir, ignore_errors=True)  # left by a kill just after the last rename
            return _load(preparation, final, reused=True)
        _prepare(preparation, work_dir, final)
        return _load(preparation, final, reused=False)


def _prepare(preparation: Preparation, work_dir: Path, final: Path) -> None:
    # parts/ survives a kill and is continued; whole/ is begun anew by every run.
    parts_dir, whole_dir = work_dir / "parts", work_dir / "whole"
    with storage_errors(work_dir):
        parts_dir.mkdir(parents=True, exist_ok=True)
        shutil.rmtree(whole_dir, ignore_errors=True)
        whole_dir.mkdir()
    # Workers load while rows are read, checked and split.
    described: list[TextDescription] = []
    with _start_workers_early(preparation) as group:
        try:
            with preparation.phase(Phase.reading):
                ingested = _read(preparation, work_dir)
                assignment = preparation.assign(ingested)
        except InputError:
            # Rows that cannot be used leave nothing behind: the rows files and earlier parts go.
            shutil.rmtree(work_dir, ignore_errors=True)
            raise
        # Parts that an earlier, killed run has finished are not made again.
        ingested = ingested.without_hashes()
        with preparation.phase(Phase.tokenizing):
            num_parts = tokenize_rows(
                ingested,
                assignment,
                directory=parts_dir,
                text=preparation.text,
                saved=preparation.saved,
                num_workers=preparation.num_workers,
                engine=preparation.engine,
                group=group,
                on_ready=described.append,
                on_part=lambda done: _report(preparation, Phase.tokenizing, done, assignment),
            )
    # The tables, the card and the manifest are written aside and appear by one rename.
    [description] = described
    with preparation.phase(Phase.writing):
        assemble(
            whole_dir,
            parts_dir=parts_dir,
            num_parts=num_parts,
            ingested=ingested,
            assignment=assignment,
            task=preparation.task,
            saved=description.saved,
            warnings=(*_notes(preparation.sources), *description.warnings, *assignment.warnings),
            on_rows=lambda rows: _report(preparation, Phase.writing, Done(rows, 0), assignment),
        )
        seal(whole_dir, key=preparation.key)
        # A kill up to here leaves the store as it was; a later one leaves a work folder, which the next run removes.
        replace_folder(whole_dir, final)
        shutil.rmtree(work_dir, ignore_errors=True)


def _start_workers_early(preparation: Preparation) -> AbstractContextManager[WorkerGroup | None]:
    """Start workers now, so that they load while rows are read, where the files are surely large enough."""
    if preparation.engine is Engine.ray:
        return nullcontext()
    return start_workers_early(
        preparation.text,
        num_workers=preparation.num_workers,
        # With data.limit large files may give few rows; 0 bytes starts no worker early.
        num_bytes=0 if preparation.data.limit else sum(source.num_bytes for source in preparation.sources),
        saved=preparation.saved,
    )


def _read(preparation: Preparation, work_dir: Path) -> Ingested:
    report = preparation.progress
    ingested = ingest(
        preparation.sources,
        work_dir,
        data=preparation.data,
        on_rows=lambda rows: report(Progress(Phase.reading, rows, None, 0)),
    )
    # The key was computed from digests taken before reading: a file that changed since must not be stored under it.
    check_unchanged(preparation.sources)
    return ingested


def _notes(sources: Sequence[Source]) -> list[str]:
    notes = (note for source in sources for note in (*source.notes, *source.notes_of_reading()))
    return list(dict.fromkeys(notes))


def _report(preparation: Preparation, phase: Phase, done: Done, assignment: Assignment) -> None:
    total = sum(assignment.num_rows.values())
    preparation.progress(Progress(phase, done.rows, total, done.words))


def _load(preparation: Preparation, final: Path, *, reused: bool) -> PreparedCorpus:
    start = time.perf_counter()
    corpus = load_corpus(final, key=preparation.key, timings=preparation.timings, reused=reused)
    preparation.timings["loading"] = time.perf_counter() - start
    return corpus


def prepare_corpus(
    data: DataConfig,
    text: TextConfig,
    *,
    prepared_dir: Path,
    num_workers: int,
    engine: Engine = Engine.local,
    overwrite: bool = False,
    progress: ProgressCallback | None = None,
) -> PreparedCorpus:
    """Return the prepared corpus of `data`, from the store where it is there.

    Args:
        data: which rows.
        text: what becomes of their texts.
        prepared_dir: the store; made where it is missing.
        num_workers: processes that tokenize and tag; 0 means one a core.
        engine: where they run; the corpus is the same.
        overwrite: prepare again even where the corpus is in the store.
        progress: hears how far each phase is.

    Raises:
        InputError: everything that is wrong with the rows, together; the store is left as it was.
        ConfigError: text settings that cannot be met here.
        IntegrityError: the stored corpus fails its checksums.
        StorageError: the store cannot be written.
    """
    sources = open_sources(data)
    preparation = Preparation(
        data=data,
        text=text,
        sources=sources,
        key=corpus_key(data, text, sources=sources),
        saved=None,
        assign=lambda ingested: assign_rows(ingested, data),
        num_workers=num_workers,
        progress=progress or ignore_progress,
        engine=engine,
    )
    corpus = run_preparation(preparation, prepared_dir, overwrite=overwrite)
    if data.strict:  # the stored corpus may come from a run without it
        refuse_leaks(corpus.card["duplicates"])
    return corpus


def prepare_labelled_files(
    data: DataConfig,
    text: TextConfig,
    *,
    labels: Sequence[str],
    saved: TextFingerprint,
    prepared_dir: Path,
    num_workers: int,
    overwrite: bool = False,
    progress: ProgressCallback | None = None,
) -> PreparedCorpus:
    """Return the files `data.test` as the test split of a corpus with the labels and text settings of a model.

    A label that the model does not know is allowed; it counts as always wrong, and a warning says so.

    Args:
        data: its `test` files and columns; everything about other splits is ignored.
        text: the text settings of the model.
        labels: the labels of the model.
        saved: what the model recorded about text preparation.
        prepared_dir: the store; made where it is missing.
        num_workers: processes that tokenize and tag; 0 means one a core.
        overwrite: prepare again even where the corpus is in the store.
        progress: hears how far each phase is.

    Raises:
        InputError: no file is given, or the rows cannot be used, or their labels are not those of the model.
        IntegrityError: the model's spaCy is not this one, or the stored corpus fails its checksums.
        StorageError: the store cannot be written.
    """
    sources = labelled_file_sources(data)
    preparation = Preparation(
        data=data,
        text=text,
        sources=sources,
        key=corpus_key(data, text, sources=sources, saved=saved, labels=labels),
        saved=saved,
        assign=lambda ingested: assign_known(ingested, labels, data),
        num_workers=num_workers,
        progress=progress or ignore_progress,
    )
    return run_preparation(preparation, prepared_dir, overwrite=overwrite)
