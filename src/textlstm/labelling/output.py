"""The output of a job: the names of everything it writes, and the finished file.

The file is joined from parts, with the same bytes whoever made the parts.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO, NamedTuple, cast

from textlstm.config import FileFormat, LabelConfig, LabellingConfig
from textlstm.corpus.rows.inputs import MANIFEST_SUFFIX, REJECTS_SUFFIX, WORK_SUFFIX, expand_inputs
from textlstm.corpus.rows.settings import STDIN, Compression, FileKind, has_row_suffix, kind_by_name
from textlstm.corpus.rows.values import parse_object
from textlstm.corpus.rows.workbooks import WorkbookWriter
from textlstm.errors import ConfigError, InputError
from textlstm.labelling.columns import AddedColumns
from textlstm.labelling.earlier.kept import KeptParts
from textlstm.labelling.inputs import expand_remote
from textlstm.labelling.journal import DigestStream, Journal, ShardRecord
from textlstm.labelling.plan import RowFormat
from textlstm.labelling.shard import parquet_schema, write_header
from textlstm.storage.databases import is_database, parse_address
from textlstm.storage.endings import NEVER_ROWS
from textlstm.storage.files import is_same_file, output_file
from textlstm.storage.stores import Store, is_remote, open_store


class Target(NamedTuple):
    """Where the results of a job go; names are relative to the store's root."""

    store: Store
    name: str

    @property
    def rejects(self) -> str:
        """Rows that could not be labelled."""
        return f"{self.name}{REJECTS_SUFFIX}"

    @property
    def manifest(self) -> str:
        """Where the labels come from."""
        return f"{self.name}{MANIFEST_SUFFIX}"

    @property
    def work(self) -> str:
        """Folder of plan, parts and journal; gone when the job is finished."""
        return f"{self.name}{WORK_SUFFIX}"

    @property
    def plan(self) -> str:
        """The plan of the job that the work folder belongs to."""
        return f"{self.work}/plan.json"

    @property
    def scratch(self) -> str:
        """Folder of temporary names."""
        return f"{self.work}/unfinished"

    @property
    def is_local(self) -> bool:
        """Whether the results are on a local disk."""
        return not is_remote(self.store.root)


def open_target(output: str) -> Target:
    """Return the target for `output`, a path, an fsspec URL or the address of a table.

    Raises:
        ConfigError: No output was given.
        InputError: The output is a folder, a pipe or a device, or its name tells a format that is not written.
    """
    if not output:
        raise ConfigError("output: not set; say where the labelled rows go, such as output=labelled.csv")
    if is_database(output):
        table = parse_address(output).table
        if not table:
            raise InputError(f"{output}: is a query; name the table that the rows go to, as in ?table=labelled")
        return Target(open_store(output), table)
    _refuse_other_formats(output)
    if is_remote(output):
        root, _, name = output.rpartition("/")
        return Target(open_store(root), name)
    path = Path(output).expanduser()
    if path.is_dir():
        raise InputError(f"{output}: is a folder; name a file, such as output={path / 'labelled.csv'}")
    path = output_file(path, remedy="use output=- to write to standard output, or name a file")
    target = Target(open_store(str(path.absolute().parent)), path.name)
    # Both are written beside the output, by renaming as well.
    for name in (target.rejects, target.manifest):
        output_file(Path(target.store.address(name)), remedy=f"remove it, or choose another output than {output}")
    return target


def expand_names(patterns: Sequence[str]) -> list[str]:
    """Return the files to label, local paths first in their order, then URLs in theirs.

    Raises:
        InputError: A path, glob or URL that names nothing, all of them; or inputs of different formats.
    """
    local = [pattern for pattern in patterns if not is_remote(pattern)]
    remote = [pattern for pattern in patterns if is_remote(pattern)]
    return [*map(str, expand_inputs(local)), *expand_remote(remote)]


def refuse_input_as_output(output: str, inputs: Sequence[str], patterns: Sequence[str]) -> None:
    """Refuse an output that is one of the inputs, by name or by link, or in a folder that is labelled as a whole.

    Raises:
        InputError: It is.
    """
    if is_remote(output):
        if output in inputs:
            raise InputError(f"{output}: is the input itself; labels are never written over their input")
        return
    path = Path(output).expanduser()
    # Resolved paths, so that an output that reaches the input folder through a link is found.
    for folder in map(Path, patterns):
        if folder.is_dir() and path.resolve().is_relative_to(folder.resolve()):
            raise InputError(f"{output}: lies in the input folder {folder}; choose an output elsewhere")
    for source in map(Path, inputs):
        if source != STDIN and is_same_file(path, source):
            raise InputError(f"{output}: is the input {source} itself; labels are never written over their input")


def _refuse_other_formats(output: str) -> None:
    """Refuse an output whose name tells a format that it would not have.

    Raises:
        InputError: The name ends like a workbook, a database, an archive and so on.
    """
    suffix = Path(output).suffix.lower()
    if suffix in NEVER_ROWS and is_remote(output):
        raise InputError(f"{output}: names no table of a database; add one, as in {output}?table=labelled")
    if suffix in NEVER_ROWS:
        raise InputError(
            f"{output}: {suffix} is not written; name the output .csv, .tsv, .jsonl, .parquet or .xlsx, "
            "the first three also with .gz or .zst"
        )


def choose_output_kind(config: LabelConfig, input_format: FileFormat) -> FileKind:
    """Return format and packing of the output: the setting, else what its name says, else the input's format.

    Raises:
        InputError: The format cannot hold added columns.
    """
    if is_database(config.output):
        return FileKind(FileFormat.jsonl, Compression.none)
    chosen = config.labelling.output_format
    if chosen is FileFormat.auto and not has_row_suffix(Path(config.output)):
        chosen = input_format
    kind = kind_by_name(Path(config.output), format=chosen, key_prefix="labelling")
    if kind.format in (FileFormat.text, FileFormat.folder):
        raise InputError(
            f"{config.output}: {kind.format} has no columns for labels; name the output .csv, .tsv, .jsonl or .parquet"
            ", or set labelling.output_format"
        )
    return kind


# From parts to the finished file: the same bytes whoever made the parts.


def join_parts(
    stream: DigestStream,
    records: Sequence[ShardRecord],
    journal: Journal,
    *,
    output: RowFormat,
    added: AddedColumns,
    settings: LabellingConfig,
    kept: KeptParts | None = None,
) -> list[int]:
    """Write the header and all parts, each checked against its record, in the order of `records`.

    Parts that are `kept` come from the earlier output. Returned is the size of each part: bytes, row groups, or rows
    of a workbook.

    Raises:
        InputError: The earlier output was changed since it was checked.
        IntegrityError: A part does not match its record.
        StorageError: The stream cannot be written.
    """
    if output.format is FileFormat.parquet:
        return _join_parquet(stream, records, journal, output=output, added=added, kept=kept)
    if output.format is FileFormat.xlsx:
        return _join_workbook(stream, records, journal, columns=(*output.columns, *added.names))
    # Packed parts are joined as they are: gzip members and zstd frames that follow one another are one valid file.
    write_header(stream, output, added, settings=settings)
    sizes = []
    for record in records:
        is_kept = kept is not None and record.number in kept.places
        sizes.append(stream.write(kept.read(record.number) if kept and is_kept else journal.read_part(record)))
    return sizes


def _join_workbook(
    stream: DigestStream, records: Sequence[ShardRecord], journal: Journal, *, columns: Sequence[str]
) -> list[int]:
    """Write the rows of all parts, which are JSONL, into one sheet; return how many each part has."""
    writer = WorkbookWriter(cast(BinaryIO, stream), columns=columns)
    for record in records:
        for line in journal.read_part(record).split(b"\n")[:-1]:
            writer.write(parse_object(line.decode("utf-8")))
    writer.close()
    return [record.num_rows for record in records]


def _join_parquet(
    stream: DigestStream,
    records: Sequence[ShardRecord],
    journal: Journal,
    *,
    output: RowFormat,
    added: AddedColumns,
    kept: KeptParts | None,
) -> list[int]:
    """Copy the row groups of all parts into one file; return how many each part has."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    schema = parquet_schema(output, added)
    sizes: list[int] = []
    with pq.ParquetWriter(cast(BinaryIO, stream), schema, compression="zstd", write_page_checksum=True) as writer:
        for record in records:
            sizes.append(0)
            if kept is not None and record.number in kept.places:
                tables = kept.tables(record.number)
            else:
                # Each part is a Parquet file of its own; its row groups are written anew, one at a time.
                part = pq.ParquetFile(pa.BufferReader(journal.read_part(record)))
                tables = map(part.read_row_group, range(part.num_row_groups))
            for table in tables:
                writer.write_table(table.cast(schema), row_group_size=max(table.num_rows, 1))
                sizes[-1] += 1
    return sizes
