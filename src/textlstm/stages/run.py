"""`textlstm run`: prepare, train, evaluate and label in one go, and say where everything is."""

import csv
import io
from dataclasses import replace
from pathlib import Path

from textlstm.config import FileFormat, LabelConfig, RunConfig
from textlstm.corpus.prepared import PreparedSplit
from textlstm.corpus.rows.settings import delimiter_of
from textlstm.errors import InputError
from textlstm.labelling.columns import AddedColumns
from textlstm.labelling.job import label_files
from textlstm.processes.devices import refuse_missing_gpu
from textlstm.stages.evaluate import print_evaluation
from textlstm.stages.prepare import describe
from textlstm.stages.screen import Stopwatch, note, say
from textlstm.stages.seeds import print_seeds, train_seeds
from textlstm.storage.files import atomic_file, output_file

COLUMNS = ("id", "text")
"""Of the rows that are labelled."""


def run(config: RunConfig) -> None:
    """Run the whole pipeline into `config.output_dir`: model/, evaluation/, test_rows.csv and labelled.csv.

    Raises:
        InputError: output_dir holds a model or labelled rows, and overwrite is false; or a pipe has their name.
    """
    refuse_missing_gpu(labelling__device=config.labelling.device)
    watch = Stopwatch()
    output_dir = Path(config.output_dir)
    unlabelled, labelled = output_dir / "test_rows.csv", output_dir / f"labelled.{_ending(config)}"
    # The names of added columns are known now, and would else clash after the training.
    AddedColumns(config.labelling, (), is_multi_label=False).check(COLUMNS, name=str(unlabelled))
    for path in map(output_file, (unlabelled, labelled)):
        if path.exists() and not config.overwrite:
            raise InputError(f"{path}: exists; set overwrite=true to replace it, or another output_dir")
    # Train and evaluate, with everything under one folder.
    trained, seeds = train_seeds(config, model_dir=output_dir / "model", evaluation_dir=output_dir / "evaluation")
    # Label the test rows (the validation rows where there are none) as a user would: from a file without labels.
    split = trained.corpus.test or trained.corpus.validation
    assert split is not None
    _write_rows(split, unlabelled, delimiter=delimiter_of(config.labelling.delimiter) or ",")
    # What settings say of an input is about files of the user, and not about this one.
    settings = LabelConfig(
        model_dir=str(trained.model_dir),
        input=[str(unlabelled)],
        output=str(labelled),
        labelling=replace(config.labelling, format=FileFormat.csv, encoding="utf-8", text_column=COLUMNS[1]),
        overwrite=True,
    )
    summary = label_files(settings, model_dir=trained.model_dir)
    note(*summary.lines())
    # Print the results together at the end, after the progress lines.
    describe(trained.corpus)
    print_seeds(seeds)
    if trained.evaluated is not None:
        print_evaluation(trained.evaluated)
    say(
        f"model       {trained.model_dir}",
        f"labelled    {labelled} ({summary.num_rows:,} rows)",
        "dashboard   make dashboard   (or: textlstm dashboard)",
        f"done in {watch.seconds:.0f} s",
    )


def _ending(config: RunConfig) -> str:
    """Return the ending of the labelled rows: that of their format."""
    format = config.labelling.output_format
    return "csv" if format is FileFormat.auto else str(format)


def _write_rows(split: PreparedSplit, path: Path, *, delimiter: str) -> None:
    """Write ids and texts, without labels, as a file to label."""
    with atomic_file(path) as stream:
        file = io.TextIOWrapper(stream, encoding="utf-8", newline="", write_through=True)
        writer = csv.writer(file, delimiter=delimiter)
        writer.writerow(COLUMNS)
        writer.writerows(zip(split.ids(), split.texts(), strict=True))
        file.detach()  # the stream is flushed and renamed after this block
