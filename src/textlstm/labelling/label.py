"""`label_files`: a labelling job from its settings to the finished output. The order of steps is the whole story."""

import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from textlstm.config import LabelConfig
from textlstm.errors import ConfigError, InputError, StorageError
from textlstm.labelling.classifier import SAVED_MODELS, ModelCard, ModelSource
from textlstm.labelling.commit import commit_output
from textlstm.labelling.journal import Journal, ShardRecord
from textlstm.labelling.lock import OutputLock
from textlstm.labelling.manifest import Manifest
from textlstm.labelling.plan import Plan
from textlstm.labelling.planning import Unpacked, make_plan
from textlstm.labelling.rejection import RejectWatch
from textlstm.labelling.shards import ShardTask
from textlstm.labelling.staffing import ShardEngine, start_engine
from textlstm.labelling.stream import label_stream
from textlstm.labelling.summary import LabelSummary, summarise
from textlstm.labelling.target import Target, expand_names, open_target, refuse_input_as_output

Advance = Callable[[int, int | None, str], None]
"""Called as advance(rows done, rows in all or None, remark)."""


def label_files(
    config: LabelConfig,
    *,
    model_dir: Path | None = None,
    models: ModelSource = SAVED_MODELS,
    advance: Advance | None = None,
) -> LabelSummary:
    """Label every row of `config.input` into `config.output`, exactly once, and return what came out.

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
    if config.output == "-":
        classifier = models.load(directory, config.labelling, False)
        return label_stream(config, classifier, card, output=sys.stdout.buffer, rejects=sys.stderr.buffer)
    names = expand_names(config.input)
    target = open_target(config.output)
    refuse_input_as_output(config.output, names, config.input)
    _refuse_existing(target, config)
    with (
        _work_folder(target, output=config.output) as inherited,
        start_engine(config, models, directory, names=names, target=target, inherited=inherited) as engine,
    ):
        plan = _agreed_plan(config, card, names, target)
        _refuse_other_output(target, plan, config)
        journal = Journal(target.store, f"{target.work}/{plan.key[:16]}", scratch=target.scratch)
        done = journal.done(plan.shards)
        num_continued = sum(record.row_total for record in done.values())
        records = [done[shard.number] for shard in plan.shards] if len(done) == len(plan.shards) else []
        if not records:
            records = _label_shards(plan, engine, journal, config, done=done, advance=advance)
        commit_output(plan, records, journal, card, config=config, model_dir=directory, target=target)
    return summarise(
        records,
        card,
        output=config.output,
        rejects=target.store.address(target.rejects),
        manifest=target.store.address(target.manifest),
        num_continued=num_continued,
        seconds=time.perf_counter() - started,
        num_workers=engine.num_workers,
    )


def _label_shards(
    plan: Plan,
    engine: ShardEngine,
    journal: Journal,
    config: LabelConfig,
    *,
    done: dict[int, ShardRecord],
    advance: Advance | None,
) -> list[ShardRecord]:
    """Have the shards done that are not done yet; return the records of all, in order."""
    watch = RejectWatch(plan, config.labelling, journal)
    started = time.monotonic()
    for record in done.values():
        watch.add(record)
    rows_before = rows_finished = sum(record.row_total for record in done.values())

    def report(rows_under_way: int) -> None:
        if advance is not None:
            rows = rows_finished + rows_under_way
            speed = (rows - rows_before) / max(time.monotonic() - started, 1e-3)
            advance(rows, plan.num_rows, f"{speed:,.0f} rows/s")

    tasks = [
        ShardTask(shard, plan.inputs[shard.file], plan.output, plan.settings["text_column"])
        for shard in plan.shards
        if shard.number not in done
    ]
    for record in engine.run(tasks, journal=journal, on_rows=report):
        done[record.number] = record
        watch.add(record)
        rows_finished += record.row_total
        report(0)
    return [done[shard.number] for shard in plan.shards]


def _agreed_plan(config: LabelConfig, card: ModelCard, names: Sequence[str], target: Target) -> Plan:
    """Return the plan of this job, stored in the work folder, where no other job's may be.

    Raises:
        InputError: The work folder belongs to a job with another input, model or setting.
        IntegrityError: The stored plan was changed.
        StorageError: The work folder cannot be written.
    """
    unpacked = Unpacked(target.store, f"{target.work}/inputs", target.scratch)
    plan = make_plan(names, config, card, unpacked=unpacked)
    if target.store.exists(target.plan) and not config.overwrite:
        with target.store.open(target.plan) as stream:
            earlier = Plan.from_json(stream.read(), address=target.store.address(target.plan))
        if earlier.key != plan.key:
            changed = " and ".join(plan.changes_since(earlier))
            raise InputError(
                f"{config.output}: an unfinished job is in {target.work}, and since then changed: {changed}; "
                "finish it with what it began with, or start anew with overwrite=true"
            )
    with target.store.create(target.plan, scratch=target.scratch) as stream:
        stream.write(plan.to_json())
    return plan


def _refuse_existing(target: Target, config: LabelConfig) -> None:
    """Refuse to replace a finished output, unless a work folder says that a kill may have come before the tidying up.

    Raises:
        InputError: The output exists.
    """
    if config.overwrite or not target.store.exists(target.name) or target.store.exists(target.plan):
        return
    raise _exists(config)


def _refuse_other_output(target: Target, plan: Plan, config: LabelConfig) -> None:
    """Refuse to replace an output that is not the one that `plan` gives.

    Raises:
        InputError: The output is another one.
    """
    if config.overwrite or not target.store.exists(target.name):
        return
    if not target.store.exists(target.manifest):
        raise _exists(config)
    with target.store.open(target.manifest) as stream:
        manifest = Manifest.from_json(stream.read(), address=target.store.address(target.manifest))
    if manifest.plan != plan.key:
        raise _exists(config)


def _exists(config: LabelConfig) -> InputError:
    return InputError(f"{config.output}: exists; choose another output or set overwrite=true")


@contextmanager
def _work_folder(target: Target, *, output: str) -> Iterator[tuple[int, ...]]:
    """Hold the work folder for one job; give the descriptors that its workers must keep open.

    What is finished stays for the next run of the same command. Nothing stays of a job that ends before it was planned,
    or by an error of the input, which asks for another command.

    Raises:
        InputError: Another command holds it.
    """
    lock = OutputLock(Path(target.store.address(target.work)), output=output) if target.is_local else None
    existed = target.store.exists(target.plan)
    try:
        yield () if lock is None else (lock.descriptor,)
    except BaseException as error:
        is_of_use = target.store.exists(target.plan) and not isinstance(error, InputError)
        if not existed and not is_of_use:
            with suppress(StorageError):
                target.store.remove_folder(target.work)
        raise
    finally:
        if lock is not None:
            lock.release()
