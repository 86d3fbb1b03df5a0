"""The store of prepared corpora, and how one gets into it.

    prepared_dir/<key>/          a finished corpus, never changed
    prepared_dir/.work/<key>/    one in the making; a killed preparation continues from its parts
    prepared_dir/.locks/<key>    held by whoever makes it

A key is the sha256 of everything that decides the content, so that equal keys mean equal bytes.
"""

import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from textlstm.config import DataConfig, Task, TextConfig
from textlstm.corpus.files.storage import exclusive_lock, storage_errors
from textlstm.corpus.prepared import PreparedCorpus
from textlstm.corpus.preparing.assemble import assemble
from textlstm.corpus.preparing.assign import Assignment
from textlstm.corpus.preparing.corpus_folder import load_corpus, publish, seal
from textlstm.corpus.preparing.ingest import Ingested, ingest
from textlstm.corpus.preparing.progress import Phase, Progress, ProgressCallback
from textlstm.corpus.preparing.tokenise import Done, tokenise_rows
from textlstm.corpus.sources.labelled_rows import Source, check_unchanged
from textlstm.errors import InputError
from textlstm.text.saved import SavedText, TextDescription
from textlstm.text.worker_process import WorkerCrew
from textlstm.text.workers import workers_ahead

KEY_LENGTH = 32
"""Hexadecimal digits of the key in a folder's name."""


@dataclass(frozen=True, slots=True)
class Preparation:
    """Everything that decides one prepared corpus, and who is told about it."""

    data: DataConfig
    text: TextConfig
    sources: Sequence[Source]
    key: str
    saved: SavedText | None
    """What a model recorded; None takes what is installed."""
    assign: Callable[[Ingested], Assignment]
    """Gives every row its split."""
    num_workers: int
    progress: ProgressCallback
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
        TextLSTMError: As `prepare_corpus` says.
    """
    name = preparation.key[:KEY_LENGTH]
    final, work_dir = prepared_dir / name, prepared_dir / ".work" / name
    if final.exists() and not overwrite and not work_dir.exists():
        return _load(preparation, final, reused=True)
    waited = False

    def wait() -> None:
        nonlocal waited
        waited = True
        preparation.progress(Progress(Phase.waiting, 0, None, 0))

    with exclusive_lock(prepared_dir / ".locks" / name, on_wait=wait):
        if final.exists() and (waited or not overwrite):
            shutil.rmtree(work_dir, ignore_errors=True)  # left by a kill just after the last rename
            return _load(preparation, final, reused=True)
        _prepare(preparation, work_dir, final)
        return _load(preparation, final, reused=False)


def _prepare(preparation: Preparation, work_dir: Path, final: Path) -> None:
    parts_dir, whole_dir = work_dir / "parts", work_dir / "whole"
    with storage_errors(work_dir):
        parts_dir.mkdir(parents=True, exist_ok=True)
        shutil.rmtree(whole_dir, ignore_errors=True)
        whole_dir.mkdir()
    described: list[TextDescription] = []
    with _workers_ahead(preparation) as crew:
        try:
            with preparation.phase(Phase.reading):
                ingested = _read(preparation, work_dir)
                assignment = preparation.assign(ingested)
        except InputError:
            shutil.rmtree(work_dir, ignore_errors=True)
            raise
        ingested = ingested.without_hashes()
        with preparation.phase(Phase.tokenising):
            num_parts = tokenise_rows(
                ingested,
                assignment,
                directory=parts_dir,
                text=preparation.text,
                saved=preparation.saved,
                num_workers=preparation.num_workers,
                crew=crew,
                on_ready=described.append,
                on_part=lambda done: _report(preparation, Phase.tokenising, done, assignment),
            )
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
        publish(whole_dir, final)
        shutil.rmtree(work_dir, ignore_errors=True)


def _workers_ahead(preparation: Preparation) -> AbstractContextManager[WorkerCrew | None]:
    """Start workers now, so that they load while rows are read, where the files are surely large enough."""
    return workers_ahead(
        preparation.text,
        num_workers=preparation.num_workers,
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
    check_unchanged(preparation.sources)
    return ingested


def _notes(sources: Sequence[Source]) -> list[str]:
    return list(dict.fromkeys(note for source in sources for note in source.notes))


def _report(preparation: Preparation, phase: Phase, done: Done, assignment: Assignment) -> None:
    total = sum(assignment.num_rows.values())
    preparation.progress(Progress(phase, done.rows, total, done.words))


def _load(preparation: Preparation, final: Path, *, reused: bool) -> PreparedCorpus:
    start = time.perf_counter()
    corpus = load_corpus(final, key=preparation.key, timings=preparation.timings, reused=reused)
    preparation.timings["loading"] = time.perf_counter() - start
    return corpus
