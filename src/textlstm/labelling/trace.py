"""Where a label came from (`trace`), and whether it comes out again (`replay`)."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from textlstm.config import FileFormat, LabellingConfig
from textlstm.config.checks import from_plain
from textlstm.corpus.rows.lines import RowRange, RowStart
from textlstm.corpus.rows.readers import read_records
from textlstm.corpus.rows.records import Record
from textlstm.corpus.rows.settings import ColumnNames, ReadSettings, delimiter_of
from textlstm.corpus.rows.values import cell_text
from textlstm.corpus.sources.examples import text_to_label
from textlstm.errors import InputError, IntegrityError
from textlstm.labelling.columns import AddedColumns
from textlstm.labelling.inputs import local_path
from textlstm.labelling.manifest import Manifest
from textlstm.labelling.model import SAVED_MODELS, ModelSource
from textlstm.labelling.output import Target, open_target
from textlstm.labelling.planning import sha256_of_input
from textlstm.labelling.shard import settings_of_reading
from textlstm.storage.databases import is_database

PROBABILITY_TOLERANCE = 1e-5
"""A text alone and the same text among others may differ this much: sums are taken in another order."""


@dataclass(frozen=True, slots=True)
class RowTrace:
    """The origin of one row of a labelled file."""

    output: str
    row: int
    input: str
    input_row: int
    shard: int
    values: Mapping[str, str]
    """The added columns as they stand in the output."""
    manifest: Manifest
    job: int = 0
    """Which job labelled it: 0 is the one that wrote the output, 1 the one before that."""

    def lines(self) -> list[str]:
        """Return the origin for a person."""
        manifest = self.manifest
        # A label that was kept comes from an earlier job, by the same model, with libraries and a machine of its own.
        labelled = manifest.earlier[self.job - 1] if self.job else asdict(manifest)
        since = f", and kept since, last on {manifest.finished}" if self.job else ""
        provenance = manifest.model["provenance"]
        known = {name: provenance[name] for name in ("run_id", "git_commit", "data_digest") if provenance.get(name)}
        return [
            f"{self.output}:{self.row} comes from {self.input}:{self.input_row} (shard {self.shard})",
            *(f"  {name}: {value}" for name, value in self.values.items()),
            f"model: {manifest.model['directory']}, sha256 {manifest.model['digest']}",
            *(f"  {name}: {value}" for name, value in known.items()),
            f"spaCy model: {manifest.model['spacy_model'] or 'none'}",
            f"libraries: {', '.join(f'{name} {version}' for name, version in labelled['libraries'].items())}",
            f"labelled: {labelled['finished']} on {labelled['machine']['platform']}{since}",
            *(f"  its manifest then: sha256 {labelled['manifest_sha256']}" for _ in range(min(self.job, 1))),
        ]


@dataclass(frozen=True, slots=True)
class Replay:
    """A label computed again."""

    trace: RowTrace
    values: Mapping[str, object]
    """The added columns as they come out now."""
    differences: tuple[str, ...]
    """What differs beyond the last digits; none: the label is confirmed."""

    def lines(self) -> list[str]:
        """Return the outcome for a person."""
        if self.differences:
            return list(self.differences)
        shown = ", ".join(f"{name} {value}" for name, value in self.values.items())
        return [f"{self.trace.output}:{self.trace.row}: the same again: {shown}"]


def trace_row(output: str, row: int) -> RowTrace:
    """Return where row `row` of a labelled file comes from (1 is the first data row).

    Raises:
        InputError: There is no such file, manifest or row.
        IntegrityError: Output, rejects or manifest were changed.
    """
    target = open_target(output)
    manifest = checked_manifest(target, output)
    if not 1 <= row <= manifest.output["num_rows"]:
        raise InputError(f"{output}: has no row {row}; its rows are 1 to {manifest.output['num_rows']}")
    # Shards stand in the order of the output: count their rows until the wanted one is reached.
    before = 0
    for number, (file, first, last, _, num_rows, num_rejects) in enumerate(manifest.shards):
        if row <= before + num_rows:
            name = manifest.inputs[file]["name"]
            # Rejected rows are not in the output, so a row of the part is counted among the rows that were kept.
            skipped = _rejected_rows(target, name, first, last) if num_rejects else set()
            kept = [candidate for candidate in range(first, last + 1) if candidate not in skipped]
            values = _added_values(output, row, manifest)
            job = _job_of_row(manifest, number, row - before)
            return RowTrace(output, row, name, kept[row - before - 1], number, values, manifest, job)
        before += num_rows
    raise IntegrityError(f"{output}: its manifest counts rows that no shard has; label the input again")


def replay_row(output: str, row: int, *, model_dir: Path | None = None, models: ModelSource = SAVED_MODELS) -> Replay:
    """Compute the label of one row of `output` again from its input, and compare.

    Args:
        output: A labelled file with its manifest.
        row: 1 is the first data row.
        model_dir: Where the model is now; None: where it was.
        models: How models are described and loaded.

    Raises:
        InputError: The input is gone or changed.
        IntegrityError: The model is another one, or a file was changed.
    """
    trace = trace_row(output, row)
    manifest = trace.manifest
    directory = labelling_model(manifest) if model_dir is None else model_dir
    # Only the model that gave the label can confirm it.
    if models.describe(directory).digest != manifest.model["digest"]:
        raise IntegrityError(f"{directory}: is not the model that labelled {output}; set model_dir to that one")
    settings = from_plain(LabellingConfig, manifest.config["labelling"])
    classifier = models.load(directory, settings, False)
    text = _input_text(trace, settings)
    # (1, L) probabilities: the text alone, where the job had it among others.
    probabilities = classifier.predict_proba([text])
    predictions = classifier.decide([text], probabilities)
    added = AddedColumns(
        replace(settings, explanation=False), classifier.labels, is_multi_label=classifier.is_multi_label
    )
    [values] = added.values(predictions, probabilities)
    differences = [
        f"{output}:{row}: {name} was {trace.values.get(name)!r}, now it is {value!r}"
        for name, value in values.items()
        if not _same(trace.values.get(name), value)
    ]
    return Replay(trace, values, tuple(differences))


def labelling_model(manifest: Manifest) -> Path:
    """Return the folder of the model that gave the labels; in a project folder that was moved, where it was typed."""
    directory, typed = Path(manifest.model["directory"]), Path(manifest.model["address"])
    return typed if typed.is_dir() and not directory.exists() else directory


def checked_manifest(target: Target, output: str) -> Manifest:
    """Return the manifest of a labelled file that is as it was written.

    Raises:
        InputError: There is no such file, or it has no manifest.
        IntegrityError: One of both was changed.
    """
    if is_database(output):
        raise InputError(f"{output}: is a table, which others may change; labels are traced in files")
    address = target.store.address(target.manifest)
    if not target.store.exists(target.name):
        raise InputError(f"{output}: no such file")
    if not target.store.exists(target.manifest):
        raise InputError(f"{output}: has no {address}; only files that `textlstm label` wrote can be traced")
    with target.store.open(target.manifest) as stream:
        manifest = Manifest.from_json(stream.read(), address=address)
    with target.store.open(target.name) as stream:
        found = hashlib.file_digest(stream, "sha256").hexdigest()  # type: ignore[arg-type]
    if found != manifest.output["sha256"]:
        raise IntegrityError(f"{output}: was changed after it was labelled; its manifest no longer speaks of it")
    return manifest


def _job_of_row(manifest: Manifest, shard: int, row: int) -> int:
    """Return which job labelled row `row`, from 1 on, of a part."""
    for job, num_rows in manifest.parts[shard]["jobs"] if manifest.parts else ():
        if row <= num_rows:
            return int(job)
        row -= num_rows
    return 0


def _rejected_rows(target: Target, name: str, first: int, last: int) -> set[int]:
    with target.store.open(target.rejects) as stream:
        entries = [json.loads(line) for line in stream]
    return {entry["row"] for entry in entries if entry["file"] == name and first <= entry["row"] <= last}


def _added_values(output: str, row: int, manifest: Manifest) -> dict[str, str]:
    # The manifest lists only labels that occurred; columns of other labels are found by the beginning of their names.
    settings = from_plain(LabellingConfig, manifest.config["labelling"])
    added = AddedColumns(settings, sorted(manifest.counts["labels"]), is_multi_label=False)  # for its names
    reading = ReadSettings(
        format=FileFormat(manifest.output["format"]),
        delimiter=delimiter_of(settings.delimiter),
        # Labels of a multi-label model are lists, and no text.
        columns=ColumnNames(text=manifest.text_column, label=""),
        max_expansion=1_000_000,
        key_prefix="labelling",
    )
    rows = read_records(local_path(output), reading, rows=RowRange(row, row))
    for record in rows:
        if isinstance(record, Record):
            names = [name for name in record.fields if name in added.names or name.startswith(_prefixes(settings))]
            return {name: cell_text(record.fields[name]) for name in names}
    raise IntegrityError(f"{output}: row {row} cannot be read; label the input again")


def _prefixes(settings: LabellingConfig) -> tuple[str, ...]:
    return (f"{settings.probability_name}[", f"{settings.label_name}_", f"{settings.probability_name}_")


def _input_text(trace: RowTrace, settings: LabellingConfig) -> str:
    manifest = trace.manifest
    file, first, _, offset, _, _ = manifest.shards[trace.shard]
    source: dict[str, Any] = manifest.inputs[file]
    if source["name"] == "-":
        raise InputError(f"{trace.output}: was labelled from standard input, which is not kept")
    # A URL is read where it was; a local file is found by its absolute path, whatever the working directory is now.
    path = local_path(source["name"] if "://" in source["name"] else source["path"])
    # In a project folder that was moved it lies where it was typed; its sha256 tells whether that is the same file.
    if not path.exists() and Path(source["name"]).exists():
        path = Path(source["name"])
    if sha256_of_input(path) != source["sha256"]:
        raise InputError(f"{source['name']}: changed since it was labelled; bring the old file back")
    reading = settings_of_reading(settings, text_column=manifest.text_column)
    reading = replace(reading, format=FileFormat(source["format"]))
    # Seek to the beginning of the shard and read on to the row.
    start = RowStart(first, offset) if offset >= 0 else None
    for record in read_records(path, reading, rows=RowRange(trace.input_row, trace.input_row, start)):
        if isinstance(record, Record):
            return text_to_label(record, reading.columns.text)
    raise IntegrityError(f"{source['name']}: row {trace.input_row} cannot be read although it was labelled")


def _same(before: str | None, now: object) -> bool:
    if isinstance(now, list):  # labels, which version 0.1.0 joined by commas
        return before in (cell_text(now), ",".join(now))
    if not isinstance(now, float) or before is None:
        return before == now
    try:
        return abs(float(before.replace(",", ".")) - now) <= PROBABILITY_TOLERANCE
    except ValueError:
        return False
