"""`labelling.append=true`: the output that is there already, and which of its labels the new one keeps.

A copy of it (a link on a local disk) is in the work folder before the plan is, so that a kill in the last step, which
replaces output and manifest, leaves what the job began with.
"""

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import accumulate, chain, repeat
from pathlib import Path
from typing import Any, cast

from textlstm.config import FileFormat, LabelConfig, LabellingConfig
from textlstm.config.checks import from_plain
from textlstm.corpus.rows.lines import RowRange, RowStart
from textlstm.corpus.rows.readers import read_records
from textlstm.corpus.rows.records import Record
from textlstm.corpus.rows.settings import ColumnNames, Compression, ReadSettings, delimiter_of
from textlstm.corpus.rows.streams import FileState, file_state
from textlstm.corpus.sources.examples import text_to_label
from textlstm.errors import InputError, IntegrityError
from textlstm.labelling.columns import AddedColumns
from textlstm.labelling.earlier.kept import KeptParts, KnownRow
from textlstm.labelling.inputs import local_path
from textlstm.labelling.journal import ShardRecord
from textlstm.labelling.manifest import Manifest
from textlstm.labelling.output import Target
from textlstm.labelling.plan import InputFile, Plan

FREE_SETTINGS = ("append", "num_workers", "max_reject_fraction", "shard_rows")
"""Settings that may be others than those of the earlier output."""


@dataclass(frozen=True, slots=True)
class EarlierOutput:
    """A finished output, copied into the work folder and compared with its manifest."""

    manifest: Manifest
    digest: str
    """sha256 of the bytes of its manifest."""
    path: Path
    state: FileState
    settings: LabellingConfig
    """Those that it was labelled with."""

    @property
    def input_bytes(self) -> dict[str, int]:
        """Size of each of its inputs, by name."""
        return {source["name"]: source["num_bytes"] for source in self.manifest.inputs}

    def kept_shards(self, plan: Plan) -> tuple[dict[int, ShardRecord], KeptParts]:
        """Return the records of the shards whose parts are in this output already, by number, and where they are.

        Those are shards of the same rows of an input that is unchanged, or unchanged up to its former end.
        """
        manifest = self.manifest
        records: dict[int, ShardRecord] = {}
        places: dict[int, tuple[int, int]] = {}
        same_form = [plan.output.format, plan.output.compression, list(plan.output.columns), plan.output.schema] == [
            manifest.output.get(name) for name in ("format", "compression", "columns", "schema")
        ]
        # Manifests of earlier versions do not tell where a part is, and a workbook is one piece.
        if manifest.parts and same_form and plan.output.format is not FileFormat.xlsx:
            unchanged = {file.name: self._unchanged_rows(file) for file in plan.inputs}
            mine = {
                (manifest.inputs[file]["name"], first, last, offset): index
                for index, (file, first, last, offset, _, rejects) in enumerate(manifest.shards)
                if not rejects and last <= unchanged.get(manifest.inputs[file]["name"], 0)
            }
            begins = self._begins()
            for shard in plan.shards:
                name = plan.inputs[shard.file].name
                index = mine.get((name, shard.first_row, shard.last_row, shard.offset))
                if index is not None:
                    records[shard.number] = self._record(index, shard.number)
                    places[shard.number] = (begins[index], begins[index + 1])
        return records, KeptParts(self.path, self.state, places)

    def known_rows(self, kept: KeptParts, added: AddedColumns) -> Iterator[tuple[str, KnownRow]]:
        """Yield text, job and added values of the rows outside of the `kept` parts."""
        for rows, jobs in self._ranges(set(kept.places.values())):
            # In step: the rows of the output in order, and the job that labelled each.
            for (text, fields), job in zip(self.rows(rows), jobs, strict=True):
                values = added.read(fields)
                # The apostrophe that disarms a formula cannot be told from one that was there before.
                cells = (text, *values.values())
                if self.settings.excel_safe and any(isinstance(cell, str) and cell[:1] == "'" for cell in cells):
                    continue
                yield text, KnownRow(job + 1, values)

    def jobs(self) -> list[dict[str, Any]]:
        """Return what the manifest of the new output says of this one's job and those before it, newest first."""
        manifest = self.manifest
        job = {
            "manifest_sha256": self.digest,
            "output_sha256": manifest.output["sha256"],
            "inputs": [{key: source[key] for key in ("name", "sha256", "num_bytes")} for source in manifest.inputs],
            "libraries": manifest.libraries,
            "machine": manifest.machine,
            "finished": manifest.finished,
        }
        return [job, *manifest.earlier]

    def row_offsets(self, file: InputFile) -> dict[int, int]:
        """Return at which byte rows of an input begin, by number: those of its shards, if the input has only grown."""
        offsets = {}
        if self._unchanged_rows(file):
            for index, first, _, offset, *_ in self.manifest.shards:
                if self.manifest.inputs[index]["name"] == file.name and offset >= 0:
                    offsets[first] = offset
        return offsets

    def _unchanged_rows(self, file: InputFile) -> float:
        """Return up to which row an input is as it was; infinity: to its end."""
        for index, source in enumerate(self.manifest.inputs):
            if source["name"] != file.name or (source["format"], source["encoding"]) != (file.format, file.encoding):
                continue
            if source["sha256"] == file.sha256:
                return float("inf")
            if source["sha256"] == file.prefix_sha256:
                # The last row may go on in the bytes that came later, so its shard is not kept.
                return max(last for number, _, last, *_ in self.manifest.shards if number == index) - 1
        return 0

    def _begins(self) -> list[int]:
        """Return where each part begins, in bytes or row groups, and the end of the last one."""
        sizes = [part["size"] for part in self.manifest.parts]
        is_parquet = self.manifest.output["format"] == FileFormat.parquet
        # What comes before the first part is the header.
        header = 0 if is_parquet else self.manifest.output["num_bytes"] - sum(sizes)
        return list(accumulate(sizes, initial=header))

    def _record(self, index: int, number: int) -> ShardRecord:
        part = self.manifest.parts[index]
        *_, num_rows, num_rejects = self.manifest.shards[index]
        return ShardRecord(
            number=number,
            num_rows=num_rows,
            num_rejects=num_rejects,
            sha256="",
            rejects_sha256="",
            labels=part["labels"],
            decisions=part["decisions"],
            confidence_sum=part["confidence_sum"],
            seconds={},
            num_seen=part["num_seen"],
            jobs=[[job + 1, rows] for job, rows in part["jobs"] or [[0, num_rows]]],
        )

    def _ranges(self, kept: set[tuple[int, int]]) -> Iterator[tuple[RowRange, Iterable[int]]]:
        """Yield ranges of rows of the output outside of the parts at the places `kept`, and the job of each row."""
        manifest = self.manifest
        if not manifest.parts:
            yield RowRange(1, manifest.output["num_rows"]), repeat(0, manifest.output["num_rows"])
            return
        begins = self._begins()
        wanted = [
            index
            for index, shard in enumerate(manifest.shards)
            if shard[4] and (begins[index], begins[index + 1]) not in kept
        ]
        # Packed rows are read from the beginning, so that one range is better than several.
        is_packed = manifest.output["compression"] != Compression.none or manifest.output["format"] == FileFormat.xlsx
        if wanted and is_packed:
            wanted = list(range(wanted[0], wanted[-1] + 1))
        for first, last in _runs(wanted):
            jobs = (
                repeat(job, rows)
                for index in range(first, last + 1)
                for job, rows in manifest.parts[index]["jobs"] or [[0, manifest.shards[index][4]]]
            )
            yield self._range(first, last), chain.from_iterable(jobs)

    def _range(self, first: int, last: int) -> RowRange:
        """Return the rows of parts `first` to `last`, and where the first of them begins if that is known."""
        output = self.manifest.output
        before = sum(shard[4] for shard in self.manifest.shards[:first])
        num_rows = sum(shard[4] for shard in self.manifest.shards[first : last + 1])
        is_packed = output["format"] in (FileFormat.parquet, FileFormat.xlsx)
        is_plain = output["compression"] == Compression.none and not is_packed
        start = RowStart(before + 1, self._begins()[first]) if is_plain and self.manifest.parts else None
        return RowRange(before + 1, before + num_rows, start)

    def shard_ranges(self) -> list[RowRange]:
        """Return the rows of each part that has any."""
        return [
            rows for index, shard in enumerate(self.manifest.shards) if shard[4] for rows in [self._range(index, index)]
        ]

    def rows(self, rows: RowRange) -> Iterator[tuple[str, Mapping[str, object]]]:
        """Yield text and columns of a range of rows.

        Raises:
            IntegrityError: A row cannot be read.
        """
        output, text_column = self.manifest.output, self.manifest.text_column
        reading = ReadSettings(
            format=FileFormat(output["format"]),
            delimiter=delimiter_of(self.settings.delimiter),
            columns=ColumnNames(text=text_column, label=""),
            max_expansion=1_000_000,
            key_prefix="labelling",
        )
        for row in read_records(self.path, reading, rows=rows):
            if not isinstance(row, Record):
                raise IntegrityError(f"{self.path}: row {row.number} cannot be read; label anew with overwrite=true")
            yield text_to_label(row, text_column), row.fields


def _runs(numbers: Sequence[int]) -> Iterator[tuple[int, int]]:
    """Yield first and last of each run of consecutive numbers: 1, 2, 5 gives (1, 2) and (5, 5)."""
    for place, number in enumerate(numbers):
        if place == 0 or numbers[place - 1] != number - 1:
            first = number
        if place + 1 == len(numbers) or numbers[place + 1] != number + 1:
            yield first, number


# Which output a job begins with, also after a kill at any moment.


def take_earlier(target: Target, config: LabelConfig) -> EarlierOutput | None:
    """Return the output whose labels this job keeps; None where there is none, or where it is to be replaced.

    Raises:
        InputError: It has no manifest, was labelled with other settings, or has no column of decisions.
        IntegrityError: It was changed after it was labelled.
        StorageError: The work folder cannot be written.
    """
    if not config.labelling.append or config.overwrite:
        return None
    store = target.store
    copy, manifest_copy = f"{target.work}/earlier/{target.name}", f"{target.work}/earlier/manifest.json"
    if store.exists(target.plan) and _is_finished(target):
        # Only the tidying up of the last job is left: its output is the one to begin with.
        store.remove(target.plan)
    if not store.exists(target.plan):
        if not store.exists(target.name):
            return None
        if not store.exists(target.manifest):
            raise _unknown_origin(target, config)
        # The output first: where its manifest is, the copy is complete.
        store.copy(target.name, copy, scratch=target.scratch)
        store.copy(target.manifest, manifest_copy, scratch=target.scratch)
    # An unfinished job that keeps nothing goes on as it began.
    if not store.exists(manifest_copy):
        return None
    with store.open(manifest_copy) as stream:
        raw = stream.read()
    return _checked(raw, local_path(store.address(copy)), target, config)


def look_at_earlier(target: Target, config: LabelConfig) -> EarlierOutput | None:
    """Return what `take_earlier` would, where no job is unfinished, without a copy in the work folder.

    Raises:
        InputError: As `take_earlier`.
        IntegrityError: As `take_earlier`.
    """
    store = target.store
    if not config.labelling.append or config.overwrite or not store.exists(target.name):
        return None
    if not store.exists(target.manifest):
        raise _unknown_origin(target, config)
    with store.open(target.manifest) as stream:
        raw = stream.read()
    return _checked(raw, local_path(store.address(target.name)), target, config)


def _unknown_origin(target: Target, config: LabelConfig) -> InputError:
    return InputError(
        f"{config.output}: has no {target.store.address(target.manifest)}, so that nobody knows how it was labelled; "
        "choose another output, or label everything anew with overwrite=true"
    )


def _checked(raw: bytes, path: Path, target: Target, config: LabelConfig) -> EarlierOutput:
    """Return the output at `path`, compared with its manifest, of which `raw` are the bytes."""
    manifest = Manifest.from_json(raw, address=target.store.address(target.manifest))
    settings = from_plain(LabellingConfig, manifest.config["labelling"])
    _refuse_other_settings(settings, config)
    state = cast(FileState, file_state(path))
    with path.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != manifest.output["sha256"]:
        raise IntegrityError(
            f"{config.output}: was changed after it was labelled, so that its labels cannot be kept; "
            "bring it back, or label everything anew with overwrite=true"
        )
    return EarlierOutput(manifest, hashlib.sha256(raw).hexdigest(), path, state, settings)


def _is_finished(target: Target) -> bool:
    """Say whether the job of the stored plan has replaced output and manifest."""
    store = target.store
    if not (store.exists(target.name) and store.exists(target.manifest)):
        return False
    with store.open(target.manifest) as stream:
        manifest = Manifest.from_json(stream.read(), address=store.address(target.manifest))
    with store.open(target.plan) as stream:
        plan = Plan.from_json(stream.read(), address=store.address(target.plan))
    if manifest.plan != plan.key:
        return False
    # The manifest comes first: the output may still be the one before.
    with store.open(target.name) as stream:
        found = hashlib.file_digest(stream, "sha256").hexdigest()  # type: ignore[arg-type]
    return found == str(manifest.output["sha256"])


def _refuse_other_settings(earlier: LabellingConfig, config: LabelConfig) -> None:
    """Refuse to keep labels that these settings would not give, or of which the decision is not known.

    Raises:
        InputError: They differ.
    """
    before, now = asdict(earlier), asdict(config.labelling)
    changed = [key for key in now if key not in FREE_SETTINGS and now[key] != before[key]]
    if changed:
        listed = ", ".join(f"labelling.{key}={json.dumps(before[key], ensure_ascii=False)}" for key in changed)
        raise InputError(
            f"{config.output}: was labelled with {listed}; set that again to keep its labels, or label everything anew "
            "with overwrite=true"
        )
    if not config.labelling.decision_name:
        raise InputError(
            f"{config.output}: has no column of decisions, so that its labels cannot be kept; "
            "label everything anew with overwrite=true and labelling.decision_name=decision"
        )
