"""`textlstm compare RUN RUN`: two runs beside each other."""

import json
from pathlib import Path

from textlstm.config import CompareConfig
from textlstm.errors import ConfigError, InputError
from textlstm.evaluation.comparison import format_p_value, mcnemar_p_value
from textlstm.figure_text import interval_text, percent_text, score_text
from textlstm.stages.screen import note, say, table
from textlstm.storage.endings import refuse_other_formats
from textlstm.storage.files import atomic_file, output_file, storage_errors
from textlstm.tracking.recovery import sync_journals
from textlstm.tracking.registry import connect
from textlstm.tracking.store import experiment_id, locate_store
from textlstm.tracking.tracked_runs import TEST_PREFIX, Contrast, TrackedRun, find_run, load_paired_rows

_IGNORED_SETTINGS = ("output_dir", "overwrite", "tracking.")
SEEN = "seen_in_training"
_VALIDATION = ("validation/accuracy", "validation/macro_f1")
_COSTS = ("train_seconds", "tokens_per_second")


def compare(config: CompareConfig) -> None:
    """Print figures with intervals, differing settings, and the rows that only one of the two runs has right.

    Raises:
        ConfigError: Not two runs were named.
        InputError: A run does not exist, or output exists.
    """
    # Refuse a wrong call before anything is sent to MLflow.
    if len(config.runs) != 2:
        raise ConfigError(f"runs: name two runs, such as runs=[1f2e3d4c,9a8b7c6d]; got {len(config.runs)}")
    refuse_other_formats(config.output, written="a JSON object", endings=(".json",))
    output = output_file(Path(config.output)) if config.output else None
    if output and output.exists() and not config.overwrite:
        raise InputError(f"{output}: exists; set overwrite=true to replace it")
    # Send what earlier runs still hold in their journals, so that both runs are found with all their figures.
    sync_journals(config.tracking)
    store = locate_store(config.tracking)
    client = connect(store, timeout_seconds=config.tracking.timeout_seconds)
    experiment = experiment_id(client, store, name=config.tracking.experiment)
    first, second = (find_run(client, experiment, text=text) for text in config.runs)
    # Figures, settings, rows.
    names = (f"A {first.name}", f"B {second.name}")
    table("figures", ("", *names), _figure_rows(first, second))
    for run in (first, second):
        if run.figure(SEEN):
            note(f"warning: {run.name}: {percent_text(run.figure(SEEN) or 0)} of its test rows were seen in training")
    table("settings that differ", ("", *names), _setting_rows(first, second))
    # Rows can be compared only where both runs were tested on the same ones; otherwise the figures above must do.
    contrast = None
    try:
        contrast = load_paired_rows(client, first.run_id).against(load_paired_rows(client, second.run_id))
        _show_rows(contrast, first)
    except InputError as error:
        note(*error.problems)
    if output:
        _write(output, first, second, contrast)
        say(f"comparison  {output}")


def _figure_rows(first: TrackedRun, second: TrackedRun) -> list[tuple[str, str, str]]:
    """Return figures with an interval in either run, then what training cost."""
    figures = sorted({*first.intervals, *second.intervals})
    names = [*(f"{TEST_PREFIX}{figure}" for figure in figures), *_VALIDATION, *_COSTS]
    return [
        (name, _figure(first, name), _figure(second, name))
        for name in names
        if name in first.metrics or name in second.metrics
    ]


def _figure(run: TrackedRun, name: str) -> str:
    if name not in run.metrics:
        return "–"
    interval = run.intervals.get(name.removeprefix(TEST_PREFIX)) if name.startswith(TEST_PREFIX) else None
    ends = f" {interval_text(*interval)}" if interval else ""
    return f"{score_text(run.metrics[name])}{ends}"


def _setting_rows(first: TrackedRun, second: TrackedRun) -> list[tuple[str, str, str]]:
    names = sorted(set(first.params) | set(second.params))
    return [
        (name, first.params.get(name, "–"), second.params.get(name, "–"))
        for name in names
        if first.params.get(name) != second.params.get(name) and not name.startswith(_IGNORED_SETTINGS)
    ]


def _show_rows(contrast: Contrast, first: TrackedRun) -> None:
    won, lost = len(contrast.won), len(contrast.lost)
    # Trials of a sweep have no test rows; they share validation rows.
    kind = "test" if first.test_digest else "validation"
    say(
        f"of {contrast.num_rows:,} {kind} rows, {won} are right only in A and {lost} only in B "
        f"(McNemar p {format_p_value(mcnemar_p_value(won, lost))})"
    )
    if contrast.by_class:
        rows = [
            (_class_name(first, label_id), str(only_first), str(only_second))
            for label_id, (only_first, only_second) in contrast.by_class.items()
        ]
        table("rows by class", ("", "right only in A", "right only in B"), rows)


def _class_name(run: TrackedRun, label_id: int) -> str:
    return run.labels[label_id] if 0 <= label_id < len(run.labels) else "(several or unknown labels)"


def _write(output: Path, first: TrackedRun, second: TrackedRun, contrast: Contrast | None) -> None:
    content = {
        "runs": [first.run_id, second.run_id],
        "figures": {name: [first.metrics.get(name), second.metrics.get(name)] for name in sorted(first.metrics)},
        "settings": {name: list(values) for name, *values in _setting_rows(first, second)},
        "rows_only_first_has_right": list(contrast.won) if contrast else None,
        "rows_only_second_has_right": list(contrast.lost) if contrast else None,
    }
    with storage_errors(output):
        output.parent.mkdir(parents=True, exist_ok=True)
    with atomic_file(output) as stream:
        stream.write(json.dumps(content, indent=2).encode() + b"\n")
