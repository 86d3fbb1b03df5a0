"""`dry_run=true`: what a job would do and about how long it would take; nothing is written."""

import json
import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, replace
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory

from textlstm.config import LabelConfig
from textlstm.corpus.rows.records import Record
from textlstm.corpus.sources.examples import text_to_label
from textlstm.errors import ConfigError, InputError
from textlstm.figure_text import counted
from textlstm.labelling.columns import AddedColumns
from textlstm.labelling.earlier.comparison import refuse_other_model
from textlstm.labelling.earlier.output import EarlierOutput, look_at_earlier
from textlstm.labelling.engines.start import is_small
from textlstm.labelling.folder import jobs_of_folder
from textlstm.labelling.journal import Journal
from textlstm.labelling.model import SAVED_MODELS, ModelCard, ModelSource
from textlstm.labelling.output import Target, expand_names, open_target, refuse_input_as_output
from textlstm.labelling.plan import Plan
from textlstm.labelling.planning import make_plan, refuse_headers
from textlstm.labelling.shard import read_rows
from textlstm.labelling.unpacking import Unpacked
from textlstm.labelling.work_folder import refuse_existing, refuse_other_work
from textlstm.processes.devices import num_cores
from textlstm.storage.stores import LocalStore, is_remote

SAMPLE_ROWS = 500
"""Rows that are labelled to tell how long all of them take."""


@dataclass(frozen=True, slots=True)
class Outlook:
    """What a job would do."""

    outputs: Sequence[str]
    inputs: Sequence[str]
    num_rows: int
    num_kept: int
    """Rows that are done already: by an unfinished job, or in unchanged parts of an earlier output."""
    columns: Sequence[str]
    """Columns that are added."""
    model: str
    """sha256 that stands for the model's files."""
    num_workers: int
    rows_per_second: float | None
    """Of one process on the first rows; None where no row has a text."""
    seconds: float
    """About how long the job takes, start included."""

    def lines(self) -> list[str]:
        """Return the outlook for a person."""
        outputs = self.outputs[0] if len(self.outputs) == 1 else f"{len(self.outputs)} outputs"
        kept = f", of which {self.num_kept:,} are done already" if self.num_kept else ""
        processes = "1 process" if self.num_workers == 1 else f"{self.num_workers} processes"
        minutes = f"{self.seconds:.0f} s" if self.seconds < 120 else f"{self.seconds / 60:.0f} min"
        speed = "" if self.rows_per_second is None else f", at {self.rows_per_second:,.0f} rows/s a process"
        return [
            f"would label {counted(self.num_rows, 'row')} of {counted(len(self.inputs), 'input')} into {outputs}{kept}",
            f"adds the columns {', '.join(self.columns)}",
            f"model: sha256 {self.model}",
            f"about {minutes} with {processes}{speed}",
            "nothing was written",
        ]

    def to_json(self) -> str:
        """Return the outlook as one JSON object."""
        return json.dumps({**asdict(self), "dry_run": True}, ensure_ascii=False)


def look_ahead(config: LabelConfig, *, model_dir: Path, models: ModelSource = SAVED_MODELS) -> Outlook:
    """Return what `label_files` would do with these settings; a job that it would refuse is refused here.

    Raises:
        ConfigError: No input or output is set.
        InputError: The inputs cannot be used, or can be read only once; the output exists.
        IntegrityError: The model's files or an earlier output were changed.
    """
    if not config.input or config.output in ("", "-"):
        raise ConfigError("dry_run=true needs an input and a file as output; set input and output")
    began = time.perf_counter()
    card = models.describe(model_dir)
    jobs = (
        jobs_of_folder(config, card.digest)
        if config.output.endswith("/")
        else [replace(config, input=expand_names(config.input))]
    )
    names = [name for job in jobs for name in job.input]
    # What can be read only once would be gone for the job itself.
    if once := [name for name in names if not is_remote(name) and not Path(name).is_file() and not Path(name).is_dir()]:
        raise InputError(f"{once[0]}: can be read only once; dry_run=true needs files")
    plans = []
    num_kept = 0
    with TemporaryDirectory(prefix="textlstm-") as folder:
        unpacked = Unpacked(LocalStore(folder), "inputs", "scratch")
        for number, job in enumerate(jobs):
            target = open_target(job.output)
            refuse_input_as_output(job.output, job.input, job.input)
            refuse_existing(target, job)
            refuse_other_work(target, output=job.output)
            refuse_headers(job.input, job, card)
            plan = make_plan(job.input, job, card, unpacked=unpacked._replace(folder=f"inputs-{number}"))
            plans.append(plan)
            # An output whose labels are kept, and not one by another model.
            earlier = None if target.store.exists(target.plan) else look_at_earlier(target, job)
            if earlier is not None:
                refuse_other_model(earlier, job, card, models=models, model_dir=model_dir)
            num_kept += _num_kept(job, plan, target, card, earlier=earlier, unpacked=unpacked)
        planned = time.perf_counter() - began
        loading, speed = _speed(config, plans, model_dir=model_dir, models=models)
    num_rows = sum(plan.num_rows for plan in plans)
    workers = 1 if is_small(names) else config.labelling.num_workers or num_cores()
    return Outlook(
        outputs=[job.output for job in jobs],
        inputs=names,
        num_rows=num_rows,
        num_kept=num_kept,
        columns=AddedColumns(config.labelling, card.labels, is_multi_label=card.is_multi_label).names,
        model=card.digest,
        num_workers=workers,
        rows_per_second=speed,
        seconds=planned + loading + ((num_rows - num_kept) / (speed * workers) if speed else 0),
    )


def _num_kept(
    config: LabelConfig,
    plan: Plan,
    target: Target,
    card: ModelCard,
    *,
    earlier: EarlierOutput | None,
    unpacked: Unpacked,
) -> int:
    """Return how many rows an unfinished job of the same plan has done, or an earlier output has in the same parts."""
    if target.store.exists(target.plan):
        journal = Journal(target.store, f"{target.work}/{plan.key[:16]}", scratch=target.scratch)
        return sum(record.row_total for record in journal.done(plan.shards).values())
    if earlier is None:
        return 0
    plan = make_plan(config.input, config, card, unpacked=unpacked, earlier=earlier)
    records, _ = earlier.kept_shards(plan)
    return sum(record.row_total for record in records.values())


def _speed(
    config: LabelConfig, plans: Sequence[Plan], *, model_dir: Path, models: ModelSource
) -> tuple[float, float | None]:
    """Return the seconds to load the model, and the rows/s of one process on the first rows; None without a text."""
    rows = (
        text_to_label(row, plan.settings["text_column"])
        for plan in plans
        for shard in plan.shards
        for row in read_rows(plan.inputs[shard.file], shard, config.labelling, text_column=plan.settings["text_column"])
        if isinstance(row, Record)
    )
    with closing(rows):
        texts = list(islice(rows, SAMPLE_ROWS))
    began = time.perf_counter()
    classifier = models.load(model_dir, config.labelling, False)
    loading = time.perf_counter() - began
    if not texts:
        return loading, None
    # The first call makes tables that later ones use.
    classifier.predict_proba(texts[:1])
    began = time.perf_counter()
    classifier.decide(texts, classifier.predict_proba(texts))
    return loading, len(texts) / max(time.perf_counter() - began, 1e-6)
