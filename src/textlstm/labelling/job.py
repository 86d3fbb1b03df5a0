"""`label_files`: a labelling job from its settings to the finished output. The order of steps is the whole story."""

import json
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from textlstm.config import LabelConfig, LabellingConfig
from textlstm.corpus.rows.readers import reading_notes
from textlstm.corpus.rows.records import Reject, RejectCount
from textlstm.errors import ConfigError, InputError, IntegrityError, Interrupted
from textlstm.labelling.columns import AddedColumns
from textlstm.labelling.earlier.comparison import refuse_other_model
from textlstm.labelling.earlier.kept import KeptParts, has_known_rows, write_known_rows
from textlstm.labelling.earlier.output import EarlierOutput, take_earlier
from textlstm.labelling.engines.start import ShardEngine, start_engine
from textlstm.labelling.inputs import local_path
from textlstm.labelling.journal import DigestStream, Journal, ShardRecord
from textlstm.labelling.manifest import Manifest
from textlstm.labelling.model import SAVED_MODELS, ModelCard, ModelSource
from textlstm.labelling.output import (
    Target,
    expand_names,
    join_parts,
    open_target,
    refuse_input_as_output,
)
from textlstm.labelling.plan import Plan
from textlstm.labelling.planning import make_plan, refuse_headers, sha256_of_input
from textlstm.labelling.shard import ShardTask, settings_of_reading
from textlstm.labelling.stream import label_stream
from textlstm.labelling.summary import LabelSummary, summarize
from textlstm.labelling.unpacking import unpacked_beside
from textlstm.labelling.work_folder import refuse_existing, refuse_other_output, refuse_other_work, work_folder
from textlstm.processes.standard_streams import standard_output

# The last step of a job: check the sums, then make rejects, manifest and output visible, the output last.


def commit_output(
    plan: Plan,
    records: Sequence[ShardRecord],
    journal: Journal,
    card: ModelCard,
    *,
    config: LabelConfig,
    model_dir: Path,
    target: Target,
    kept: KeptParts | None = None,
    earlier: Sequence[dict[str, Any]] = (),
) -> None:
    """Write the finished files of a job whose shards are all done, and remove its work folder.

    A kill at any moment leaves the output as it was or complete; the same command then finishes the job.

    Raises:
        InputError: An input changed while the job ran.
        IntegrityError: A part does not match its record, or rows are missing.
        StorageError: A file cannot be written.
    """
    # Refuse inputs that changed: the parts would be of another version than the manifest says.
    _check_inputs(plan)
    added = AddedColumns(config.labelling, card.labels, is_multi_label=card.is_multi_label)
    store = target.store
    # Every planned row is in a part or among the rejects.
    num_rejects = sum(record.num_rejects for record in records)
    if sum(record.num_rows for record in records) + num_rejects != plan.num_rows:
        raise IntegrityError(f"{target.work}: rows out and rejects are not the {plan.num_rows:,} rows in")
    # `create` makes a file visible at the end of its block: rejects first, then the manifest, the output last.
    with store.create(target.name, scratch=target.scratch) as raw:
        stream = DigestStream(raw)
        sizes = join_parts(
            stream, records, journal, output=plan.output, added=added, settings=config.labelling, kept=kept
        )
        stream.flush()
        if num_rejects:
            with store.create(target.rejects, scratch=target.scratch) as rejects:
                for record in records:
                    rejects.write(journal.read_rejects(record))
        else:
            # Rejects that an earlier job left under this name do not belong to the new output.
            store.remove(target.rejects)
        # The digest is complete here, while the output itself still has its temporary name.
        manifest = Manifest.of_job(
            plan,
            records,
            card,
            config=config,
            model_dir=model_dir,
            sha256=stream.sha256,
            num_bytes=stream.num_bytes,
            sizes=sizes,
            earlier=earlier,
        )
        with store.create(target.manifest, scratch=target.scratch) as file:
            file.write(manifest.to_json())
    # The output is complete. After a kill before this line, the same command finds all shards done and repeats
    # the steps above.
    store.remove_folder(target.work)


def _check_inputs(plan: Plan) -> None:
    """Refuse to finish when an input is no longer what was planned."""
    changed = []
    # Only local files and folders are hashed again; a URL or standard input is not read a second time.
    for file in plan.inputs:
        path = Path(file.name)
        if (path.is_file() or path.is_dir()) and sha256_of_input(path) != file.sha256:
            changed.append(f"{file.name}: changed while it was labelled; run the same command with overwrite=true")
        elif file.state is not None and not path.exists():
            changed.append(f"{file.name}: vanished while it was labelled; bring it back and run the same command")
    if changed:
        raise InputError(*changed)


# Stops a job as soon as too many of its rows cannot be used.


class RejectWatch:
    """Adds up rejected rows against what `labelling.max_reject_fraction` allows of all rows."""

    def __init__(self, plan: Plan, settings: LabellingConfig, journal: Journal) -> None:
        """Watch the shards of `plan`."""
        self._plan = plan
        self._settings = settings
        self._journal = journal
        self._records: list[ShardRecord] = []
        self._num_rejects = 0

    def add(self, record: ShardRecord) -> None:
        """Count the rejects of a finished shard.

        Raises:
            InputError: There are too many; the first are listed.
        """
        self._records.append(record)
        self._num_rejects += record.num_rejects
        if self._num_rejects > self._settings.max_reject_fraction * self._plan.num_rows:
            raise InputError(*self._problems())

    def _problems(self) -> list[str]:
        count = RejectCount()
        count.num_rows = self._plan.num_rows
        for record in sorted(self._records, key=lambda record: record.number):
            for line in self._journal.read_rejects(record).splitlines():
                entry = json.loads(line)
                count.add(Reject(entry["file"], entry["row"], entry["byte_offset"], entry["reason"]))
        names = [file.name for file in self._plan.inputs]
        name = names[0] if len(names) == 1 else f"{names[0]} and {len(names) - 1} more"
        reading = settings_of_reading(self._settings, text_column=self._plan.settings["text_column"])
        return count.problems(reading, name=name)


Advance = Callable[[int, int | None, str], None]
"""Called as advance(rows done, rows in all or None, remark)."""


def label_files(
    config: LabelConfig,
    *,
    model_dir: Path | None = None,
    models: ModelSource = SAVED_MODELS,
    advance: Advance | None = None,
) -> LabelSummary:
    """Label every row of `config.input` into `config.output`, exactly once, and return the summary.

    A job that was interrupted is continued by the same call. Nothing is visible at the output before all is done.

    Args:
        config: What to label, where to, and how.
        model_dir: The model's folder, where `config.model_dir` is a registry address.
        models: How models are described and loaded.
        advance: Told about progress.

    Raises:
        ConfigError: No input or output is set.
        InputError: The input cannot be used, changed, or has too many unusable rows; the output exists.
        IntegrityError: The model, or what an earlier run left behind, was changed.
        StorageError: The disk is full, read-only or fails.
        TextLSTMError: A shard cost two worker processes.
    """
    started = time.perf_counter()
    if not config.input:
        raise ConfigError("input: not set; say what to label, such as input=reviews.csv")
    directory = Path(config.model_dir) if model_dir is None else model_dir
    card = models.describe(directory)
    added = AddedColumns(config.labelling, card.labels, is_multi_label=card.is_multi_label)
    # A pipe gets the rows as they are labelled: no plan, no work folder, nothing to continue.
    if config.output == "-":
        if config.labelling.append:
            raise ConfigError("labelling.append=true needs a file as output, whose labels can be kept; name one")
        output = standard_output()
        refuse_headers(expand_names(config.input), config, card)
        classifier = models.load(directory, config.labelling, False)
        return label_stream(config, classifier, card, output=output, rejects=sys.stderr.buffer)
    # Refuse what can be refused before anything is written.
    names = expand_names(config.input)
    target = open_target(config.output)
    refuse_input_as_output(config.output, names, config.input)
    refuse_existing(target, config)
    refuse_other_work(target, output=config.output)
    # Wrong columns are named before a model is loaded, which takes seconds.
    refuse_headers(names, config, card)
    # First the lock of the work folder, whose descriptor the workers inherit.
    with ExitStack() as stack:
        inherited = stack.enter_context(work_folder(target, output=config.output))
        # The output whose labels are kept, and not one by another model.
        earlier = take_earlier(target, config)
        if earlier is not None:
            refuse_other_model(earlier, config, card, models=models, model_dir=directory)
        start = partial(start_engine, config, models, directory, names=names, target=target, inherited=inherited)
        # Workers load the model during planning; where labels are kept, the plan tells first whether it needs any.
        engine = stack.enter_context(start()) if earlier is None else None
        # Read and cut the inputs. After this the plan is on the disk, and the same command continues the job.
        plan = _agreed_plan(config, card, names, target, earlier=earlier)
        refuse_other_output(target, plan, config)
        # The folder is named by the plan's key, so parts of another plan are never taken for parts of this one.
        journal = Journal(target.store, f"{target.work}/{plan.key[:16]}", scratch=target.scratch)
        done = journal.done(plan.shards)
        num_continued = sum(record.row_total - record.num_kept for record in done.values())
        kept_records, kept = earlier.kept_shards(plan) if earlier is not None else ({}, None)
        done |= kept_records
        records = [done[shard.number] for shard in plan.shards] if len(done) == len(plan.shards) else []
        # An earlier run may have done all shards; then only the last step is left.
        if not records:
            try:
                known = _write_known_rows(earlier, kept, journal, added=added, target=target)
                num_left = plan.num_rows - sum(record.row_total for record in done.values())
                engine = engine or stack.enter_context(start(num_rows=num_left))
                records = _label_shards(plan, engine, journal, config, done=done, advance=advance, known=known)
            except Interrupted as stop:
                # Workers may have finished shards of which this process has not heard: only records on the disk count.
                num_kept = sum(record.row_total for record in (journal.done(plan.shards) | kept_records).values())
                words = f"interrupted: {num_kept:,} of {plan.num_rows:,} rows are kept; the same command goes on"
                raise Interrupted(stop.signal_number, words) from stop
        commit_output(
            plan,
            records,
            journal,
            card,
            config=config,
            model_dir=directory,
            target=target,
            kept=kept,
            earlier=earlier.jobs() if earlier is not None else (),
        )
    summary = summarize(
        records,
        card,
        output=config.output,
        rejects=target.store.address(target.rejects),
        manifest=target.store.address(target.manifest),
        num_continued=num_continued,
        seconds=time.perf_counter() - started,
        num_workers=engine.num_workers if engine is not None else 1,
        early_exit=card.early_exit(config.labelling),
    )
    reading = settings_of_reading(config.labelling, text_column=card.text_column)
    # The copies of URLs are there, since the plan was made from them.
    return replace(summary, notes=tuple(note for name in names for note in reading_notes(local_path(name), reading)))


def _label_shards(
    plan: Plan,
    engine: ShardEngine,
    journal: Journal,
    config: LabelConfig,
    *,
    done: dict[int, ShardRecord],
    advance: Advance | None,
    known: str,
) -> list[ShardRecord]:
    """Label the shards that are not done yet; return the records of all shards, in order."""
    watch = RejectWatch(plan, config.labelling, journal)
    started = time.monotonic()
    # Rejects of an earlier run count too, so a job beyond the limit stops at once.
    for record in done.values():
        watch.add(record)
    rows_before = rows_finished = sum(record.row_total for record in done.values())

    def report(rows_under_way: int) -> None:
        if advance is not None:
            rows = rows_finished + rows_under_way
            speed = (rows - rows_before) / max(time.monotonic() - started, 1e-3)
            advance(rows, plan.num_rows, f"{speed:,.0f} rows/s")

    tasks = [
        ShardTask(shard, plan.inputs[shard.file], plan.output, plan.settings["text_column"], known)
        for shard in plan.shards
        if shard.number not in done
    ]
    # From here on the job is under way, and no refused one.
    report(0)
    # Shards end in any order; a finished one is on the disk before its record arrives here.
    for record in engine.run(tasks, journal=journal, on_rows=report):
        done[record.number] = record
        watch.add(record)
        rows_finished += record.row_total
        report(0)
    # The output has the order of the plan.
    return [done[shard.number] for shard in plan.shards]


def _write_known_rows(
    earlier: EarlierOutput | None, kept: KeptParts | None, journal: Journal, *, added: AddedColumns, target: Target
) -> str:
    """Write the labels of the earlier output outside of the kept parts; return the address of their folder.

    Raises:
        IntegrityError: A row of the earlier output cannot be read.
        StorageError: The work folder cannot be written.
    """
    if earlier is None or kept is None:
        return ""
    if not has_known_rows(target.store, journal.folder):
        write_known_rows(target.store, journal.folder, earlier.known_rows(kept, added), scratch=target.scratch)
    return target.store.address(journal.folder)


def _agreed_plan(
    config: LabelConfig, card: ModelCard, names: Sequence[str], target: Target, *, earlier: EarlierOutput | None
) -> Plan:
    """Return the plan of this job, stored in the work folder, where no other job's may be.

    Raises:
        InputError: The work folder belongs to a job with another input, model or setting.
        IntegrityError: The stored plan was changed.
        StorageError: The work folder cannot be written.
    """
    # Packed inputs are unpacked into the work folder while the plan is made.
    unpacked = unpacked_beside(target.store, target.work, target.scratch)
    plan = make_plan(
        names,
        config,
        card,
        unpacked=unpacked,
        earlier=earlier,
    )
    if target.store.exists(target.plan) and not config.overwrite:
        with target.store.open(target.plan) as stream:
            # A work folder is there: continue it only where the same bytes would come out.
            stored = Plan.from_json(stream.read(), address=target.store.address(target.plan))
        # A job that keeps labels may begin anew with other inputs: what it keeps is still there.
        if stored.key != plan.key and not (earlier is not None and stored.earlier == plan.earlier):
            changed = " and ".join(plan.changes_since(stored))
            raise InputError(
                f"{config.output}: an unfinished job is in {target.work}, and since then changed: {changed}; "
                "finish it with what it began with, or start anew with overwrite=true"
            )
    # Without an earlier plan, with an equal one, or with overwrite=true: this plan now owns the work folder.
    with target.store.create(target.plan, scratch=target.scratch) as stream:
        stream.write(plan.to_json())
    return plan
