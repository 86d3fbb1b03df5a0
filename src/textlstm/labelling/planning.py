"""Make the plan of a job: find the inputs, hash them, cut them into shards, refuse what cannot work."""

import base64
import hashlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import asdict, replace
from pathlib import Path
from typing import NamedTuple

from textlstm.config import FileFormat, LabelConfig, LabellingConfig
from textlstm.corpus.rows.class_folders import list_class_files
from textlstm.corpus.rows.lines import LineInput, RowStart
from textlstm.corpus.rows.parquet import read_parquet_schema
from textlstm.corpus.rows.readers import index_rows, kind_of_input, read_columns, read_records
from textlstm.corpus.rows.records import Record
from textlstm.corpus.rows.settings import ReadSettings, encoding_name
from textlstm.corpus.rows.streams import check_unchanged, file_state, read_blocks
from textlstm.corpus.rows.workbooks import MAX_ROWS
from textlstm.errors import InputError
from textlstm.labelling.columns import AddedColumns
from textlstm.labelling.earlier.output import EarlierOutput
from textlstm.labelling.inputs import local_path
from textlstm.labelling.inputs import num_bytes as num_bytes_of
from textlstm.labelling.model import ModelCard
from textlstm.labelling.output import choose_output_kind
from textlstm.labelling.plan import InputFile, Plan, RowFormat, Shard
from textlstm.labelling.shard import settings_of_reading
from textlstm.labelling.unpacking import Unpacked, copy_rows, unpack
from textlstm.model_folder import library_versions
from textlstm.storage.databases import is_database
from textlstm.storage.stores import is_remote

WITHOUT_EFFECT = ("num_workers", "max_reject_fraction", "early_exit", "append")
"""Labelling settings that do not change the bytes of the output; an early exit that the model has is added again."""
LATER = ("delimiter", "decimal_comma", "source_column")
_TAIL_SHARDS = 1
"""Number of whole shards at the end of a file that are cut, with the rest of the rows, into small ones."""
_TAIL_PARTS = 8
_MIN_TAIL_ROWS = 500
"""A small shard has at least this many rows: the networks need enough rows at once."""


class Planned(NamedTuple):
    """One input file with its shards and columns."""

    file: InputFile
    shards: list[Shard]
    columns: tuple[str, ...]
    format: FileFormat
    """Of the file as the user gave it; shards may read a copy in another one."""


def make_plan(
    names: Sequence[str],
    config: LabelConfig,
    card: ModelCard,
    *,
    unpacked: Unpacked,
    earlier: EarlierOutput | None = None,
) -> Plan:
    """Read every input once, without looking at values, and return the plan.

    Packed inputs, standard input and encodings that cannot be cut at line feeds are unpacked, since shards need to
    seek. The labels of an `earlier` output are kept: of an input that has only grown since then, new rows are read.

    Raises:
        InputError: Inputs that cannot be read, lack the text column or clash with added columns; all of them.
        StorageError: The work folder cannot be written.
    """
    settings = config.labelling
    reading = settings_of_reading(settings, text_column=card.text_column)
    added = AddedColumns(settings, card.labels, is_multi_label=card.is_multi_label)
    # Problems of all inputs are collected, so that one attempt names every one of them.
    problems: list[str] = []
    planned: list[Planned] = []
    for name in names:
        try:
            one = _plan_file(
                name,
                reading,
                index=len(planned),
                shard_rows=settings.shard_rows,
                unpacked=unpacked,
                earlier=earlier,
            )
            added.check(one.columns, name=name)
            planned.append(one)
        except InputError as error:
            problems += error.problems
    if problems:
        raise InputError(*problems)
    # Shards are numbered across all files, in the order of the output.
    shards = [shard for one in planned for shard in one.shards]
    # A job may be continued with another number of workers: such settings are no part of the plan.
    # Settings that came later count only where they are used, so that jobs of earlier versions go on.
    later = {key: value for key, value in asdict(LabellingConfig()).items() if key in LATER}
    kept = {
        key: value
        for key, value in asdict(settings).items()
        if key not in WITHOUT_EFFECT and not (key in later and value == later[key])
    }
    # Jobs of models without early exits, and those of earlier versions, have no such entry.
    if (early_exit := card.early_exit(settings)) is not None:
        kept["early_exit"] = early_exit.rate
    if card.is_multi_label:
        kept["labels"] = "list"  # version 0.1.0 joined them by commas: such a job is not continued with lists
    return Plan(
        inputs=tuple(one.file for one in planned),
        shards=tuple(shard._replace(number=number) for number, shard in enumerate(shards)),
        output=_output_format(planned, config, reading),
        model=card.digest,
        settings={**kept, "text_column": reading.columns.text},
        libraries=library_versions(),
        earlier=earlier.digest if earlier is not None else "",
    )


def refuse_headers(names: Sequence[str], config: LabelConfig, card: ModelCard) -> None:
    """Look at names and headers only, which takes no time, before the model is loaded and the inputs are read.

    Pipes and standard input can be read only once, so they wait for the plan.

    Raises:
        InputError: Inputs that lack the text column or clash with added columns, all of them, or a format that no
            output can have.
    """
    reading = settings_of_reading(config.labelling, text_column=card.text_column)
    added = AddedColumns(config.labelling, card.labels, is_multi_label=card.is_multi_label)
    problems: list[str] = []
    for name in names:
        path = local_path(name)
        if not path.is_file():
            continue
        own = _reading_of(name, reading)
        try:
            kind = kind_of_input(path, own)
            if config.output != "-":
                choose_output_kind(config, kind.format)
            added.check(read_columns(path, own), name=name)
        except InputError as error:
            problems += (problem.replace(str(path), name) for problem in error.problems)
    if problems:
        # The same problem of several inputs is named once.
        raise InputError(*dict.fromkeys(problems))


def _reading_of(name: str, reading: ReadSettings) -> ReadSettings:
    """Return how an input is read: rows of a database are fetched as JSONL, whatever the settings say of files."""
    return replace(reading, format=FileFormat.jsonl, encoding="utf-8") if is_database(name) else reading


def sha256_of_input(path: Path) -> str:
    """Return the sha256 (hex) of the bytes of a file, packed or not; of names and bytes of all files of a folder.

    Raises:
        InputError: It cannot be read.
    """
    digest = hashlib.sha256()
    if path.is_dir():
        # Names count as well as bytes; a zero byte, which no file name can hold, ends each name.
        for file in list_class_files(path):
            name = file.relative_to(path).as_posix()
            digest.update(f"{name}\0{sha256_of_input(file)}\n".encode("utf-8", "surrogateescape"))
        return digest.hexdigest()
    with closing(read_blocks(path)) as blocks:
        for block in blocks:
            digest.update(block)
    return digest.hexdigest()


def _sha256_of_prefix(path: Path, num_bytes: int) -> tuple[str, str]:
    """Return the sha256 (hex) of the first `num_bytes` of a longer file ("" of none), and that of the whole file."""
    digest, prefix, before = hashlib.sha256(), "", 0
    with closing(read_blocks(path)) as blocks:
        for block in blocks:
            if before < num_bytes < before + len(block):
                begun = digest.copy()
                begun.update(block[: num_bytes - before])
                prefix = begun.hexdigest()
            elif before == num_bytes > 0:
                prefix = digest.hexdigest()
            digest.update(block)
            before += len(block)
    return prefix, digest.hexdigest()


def _plan_file(
    name: str,
    read_settings: ReadSettings,
    *,
    index: int,
    shard_rows: int,
    unpacked: Unpacked,
    earlier: EarlierOutput | None,
) -> Planned:
    prefix_sha256 = ""
    path = local_path(name)
    read_settings = _reading_of(name, read_settings)
    kind = kind_of_input(path, read_settings)
    source = LineInput(path, kind, read_settings)
    read_format = kind.format
    encoding = encoding_name(read_settings.encoding, key_prefix=read_settings.key_prefix)
    state = None if kind.format is FileFormat.folder else file_state(path)
    if kind.format is FileFormat.folder:
        # A folder of class folders is hashed file by file and has no state that workers could compare.
        readable, sha256, num_bytes = path, sha256_of_input(path), num_bytes_of(name)
        address, state_of_workers = str(path.absolute()), None
    elif state is not None and not is_database(name) and (kind.format is FileFormat.parquet or source.can_seek):
        # Shards seek in the file itself. Workers fetch a URL again, so the state of the copy here is of no use to them.
        readable, num_bytes = path, state.size
        prefix_bytes = earlier.input_bytes.get(name, 0) if earlier is not None else 0
        prefix_sha256, sha256 = _sha256_of_prefix(path, prefix_bytes)
        address, state_of_workers = (name, None) if is_remote(name) else (str(path.absolute()), state)
    elif kind.format is FileFormat.xlsx:
        # A workbook can be read from its beginning alone: shards read a copy of its rows.
        copy = f"{unpacked.folder}/{index}.jsonl"
        address, state_of_workers = unpacked.store.address(copy), None
        copy_rows(path, read_settings, name=copy, unpacked=unpacked)
        readable, sha256, num_bytes = local_path(address), sha256_of_input(path), num_bytes_of(name)
        read_format, encoding = FileFormat.jsonl, "utf-8"
    else:
        # Packed, piped, of a database, or in an encoding that cannot be cut at line feeds: shards read a copy in the
        # work folder.
        copy = f"{unpacked.folder}/{index}.{kind.format}"
        address, state_of_workers = unpacked.store.address(copy), None
        copy_sha256, num_bytes = unpack(source, name=copy, unpacked=unpacked)
        readable = local_path(address)
        sha256 = sha256_of_input(path) if state is not None else copy_sha256
        encoding = source.encoding
    own = replace(read_settings, format=read_format, encoding=encoding)
    file = InputFile(name, address, read_format, encoding, sha256, num_bytes, state_of_workers, prefix_sha256)
    known = earlier.row_offsets(file) if earlier is not None else {}
    # The number 0 stands until `make_plan` numbers the shards of all files.
    try:
        shards = [
            Shard(0, index, first, last, offset)
            for first, last, offset in _cut_file(readable, own, shard_rows=shard_rows, known=known)
        ]
        columns = read_columns(readable, own)
    except InputError as error:
        raise InputError(*(problem.replace(str(readable), name) for problem in error.problems)) from error
    # Hash and index must be of the same bytes.
    check_unchanged(path, state)
    return Planned(file, shards, columns, kind.format)


def _cut_file(
    path: Path, settings: ReadSettings, *, shard_rows: int, known: Mapping[int, int]
) -> list[tuple[int, int, int]]:
    """Return first row, last row and byte offset (-1: none) of each shard of a file.

    `known` tells the byte offsets of some rows; those before the last of them are not read where that is enough.

    Raises:
        InputError: The file cannot be read.
    """
    # Every shard starts at a multiple of the stride, so at an indexed row.
    stride = _tail_rows(shard_rows)
    usable = [row for row in known if (row - 1) % stride == 0]
    start = RowStart(max(usable), known[max(usable)]) if usable else None
    rows = index_rows(path, settings, stride=stride, start=start)
    cuts = list(cut_rows(rows.num_rows, shard_rows))
    # Shards of another size begin at rows of which nobody knows the place.
    if any(first < rows.first and first not in known for first, _ in cuts):
        rows = index_rows(path, settings, stride=stride)
    shards = []
    for first, last in cuts:
        begin = rows.rows(first, last).start
        shards.append((first, last, begin.offset if begin else known.get(first, -1)))
    return shards


def cut_rows(num_rows: int, shard_rows: int) -> Iterator[tuple[int, int]]:
    """Yield the first and last row of each shard; the last ones are small, so that all workers end about together.

    Example: 11,000 rows in shards of 5,000 are one such shard, nine of 625 rows, and one of 375.
    """
    # Whole shards first; the last whole one and the rest are left to the tail.
    num_whole = max(0, num_rows // shard_rows - _TAIL_SHARDS) * shard_rows
    for first in range(1, num_whole + 1, shard_rows):
        yield first, first + shard_rows - 1
    tail_rows = _tail_rows(shard_rows)
    for first in range(num_whole + 1, num_rows + 1, tail_rows):
        yield first, min(first + tail_rows - 1, num_rows)


def _tail_rows(shard_rows: int) -> int:
    """Return the size of small shards: a part of `shard_rows`, or all of it where the part would be very small."""
    # Only divisors of `shard_rows`, so that small shards start where the index has an entry.
    sizes = [shard_rows // parts for parts in range(2, _TAIL_PARTS + 1) if shard_rows % parts == 0]
    return min((size for size in sizes if size >= _MIN_TAIL_ROWS), default=shard_rows)


def _output_format(planned: Sequence[Planned], config: LabelConfig, reading: ReadSettings) -> RowFormat:
    """Return how the output is written.

    Rows of JSONL name their own columns; an output with fixed columns needs to know all of them beforehand.

    Raises:
        InputError: The output's format has no columns, or inputs with fixed columns differ in them.
    """
    kind = choose_output_kind(config, planned[0].format)
    num_rows = sum(shard.num_rows for one in planned for shard in one.shards)
    if kind.format is FileFormat.xlsx and num_rows >= MAX_ROWS:
        raise InputError(
            f"{config.output}: a sheet holds {MAX_ROWS - 1:,} rows below its header, and there are {num_rows:,}; "
            "name the output .csv or .parquet"
        )
    columns: dict[str, None] = {}
    for one in planned:
        columns.update(dict.fromkeys(one.columns))
        # Each row of JSONL names its own columns: all of them are known only after reading every row.
        if one.format is FileFormat.jsonl and kind.format is not FileFormat.jsonl:
            own = replace(reading, format=one.file.format, encoding=one.file.encoding)
            for row in read_records(local_path(one.file.path), own):
                if isinstance(row, Record):
                    columns.update(dict.fromkeys(row.fields))
    problems = []
    # Rows of any other format have fixed columns, and an input that lacks one cannot be written beside the rest.
    for one in planned:
        missing = [name for name in columns if name not in one.columns]
        if missing and one.format is not FileFormat.jsonl:
            listed = ", ".join(map(repr, missing))
            problems.append(f"{one.file.name}: has no column {listed}, which other inputs have; label it on its own")
    if problems:
        raise InputError(*problems)
    # Only from Parquet to Parquet do the columns keep their types; any other Parquet output holds strings.
    schema = ""
    if kind.format is FileFormat.parquet and planned[0].file.format is FileFormat.parquet:
        schema = _common_schema(planned, reading)
    return RowFormat(kind.format, kind.compression, tuple(columns), schema)


def _common_schema(planned: Sequence[Planned], reading: ReadSettings) -> str:
    """Return the Arrow schema of Parquet inputs as plain text.

    Raises:
        InputError: The inputs differ in types.
    """
    first = read_parquet_schema(local_path(planned[0].file.path), reading)
    names = list(first.names)
    problems = []
    for one in planned[1:]:
        schema = read_parquet_schema(local_path(one.file.path), reading)
        for name in names:
            found, wanted = schema.field(name).type, first.field(name).type
            if found != wanted:
                problems.append(
                    f"{one.file.name}: column {name!r} is of type {found}, in {planned[0].file.name} of type {wanted}; "
                    "label it on its own"
                )
    if problems:
        raise InputError(*problems)
    return base64.b64encode(first.serialize().to_pybytes()).decode("ascii")
