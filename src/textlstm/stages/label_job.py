"""What a labelling job tells: the screen, a log file, one JSON object for scripts, and a run in MLflow."""

import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from datetime import datetime
from importlib.util import find_spec
from pathlib import Path
from typing import Any, TextIO

from textlstm.config import LabelConfig
from textlstm.errors import Interrupted, TextLSTMError
from textlstm.labelling.summary import LabelSummary
from textlstm.stages.screen import Listener, heard_by, note
from textlstm.storage.files import storage_errors

# Screen and log file.


@contextmanager
def told(config: LabelConfig) -> Iterator[None]:
    """Send remarks and progress of this block where `config.quiet` and `config.log_file` say, and errors to the log.

    Raises:
        StorageError: The log file cannot be written.
    """
    if not config.quiet and not config.log_file:
        yield
        return
    with _open_log(config.log_file) as log:

        def on_note(line: str) -> None:
            # Warnings are for people, also for those who asked for quiet.
            if not config.quiet or line.startswith("warning:"):
                print(line, file=sys.stderr)
            _write(log, line)

        def on_progress(line: str) -> None:
            if not config.quiet and not sys.stderr.isatty():
                print(line, file=sys.stderr)
            _write(log, line)

        with heard_by(Listener(on_note, shows_bars=not config.quiet, on_progress=on_progress)):
            try:
                yield
            except (TextLSTMError, Interrupted) as error:
                for problem in error.problems:
                    _write(log, problem)
                raise


@contextmanager
def _open_log(path: str) -> Iterator[TextIO | None]:
    if not path:
        yield None
        return
    with storage_errors(path):
        log = Path(path).expanduser().open("a", encoding="utf-8", buffering=1)
    with log:
        yield log


def _write(log: TextIO | None, line: str) -> None:
    if log is not None:
        with storage_errors(log.name):
            log.write(f"{datetime.now().astimezone().isoformat(timespec='seconds')} {line}\n")


def summary_json(summaries: Sequence[LabelSummary], *, of_folder: bool) -> str:
    """Return the summary of a job as one JSON object; of a job a file into a folder, an object with `outputs`."""
    objects = [
        {**asdict(one), "num_labelled": one.num_here, "rows_per_second": one.rows_per_second} for one in summaries
    ]
    return json.dumps({"outputs": objects} if of_folder else objects[0], ensure_ascii=False)


# The run in MLflow.


def track(config: LabelConfig, result: LabelSummary | BaseException, *, began: float) -> None:
    """Log a job that has ended as a run; `began` is in seconds since the epoch, an exception means that it failed.

    The journal of the run is written here, and sent by a process that nobody waits for. A job never fails for this.
    """
    # An installation for labelling alone has no MLflow.
    if not config.tracking.enabled or find_spec("mlflow") is None:
        return
    # Imported here, after the work: a job should start at once.
    from textlstm.tracking.run import Tracker, open_run
    from textlstm.tracking.tracked_runs import INPUT_TAG

    output = result.output if isinstance(result, LabelSummary) else config.output
    name = config.tracking.run_name or f"label {Path(output).name}"
    # With an output a file, the files of a folder are told apart by their names.
    inputs = [*config.input, *([Path(output).name] if config.output.endswith("/") and output != config.output else [])]
    try:
        run: Tracker = open_run(
            config.tracking, stage="label", run_name=name, began_ms=int(began * 1000), in_background=True
        )
        # The run ends as the job did, but what the job raised is raised by the caller.
        try:
            with run:
                run.log_params(asdict(config))
                run.set_tags({INPUT_TAG: ", ".join(inputs)})
                if isinstance(result, BaseException):
                    raise result
                _log_summary(run, result)
        except (TextLSTMError, Interrupted) as error:
            if error is not result:
                raise
    except (TextLSTMError, OSError) as error:
        reason = error.problems[0] if isinstance(error, TextLSTMError) else str(error)
        note(f"warning: the job is not in MLflow: {reason}")


def _log_summary(run: Any, summary: LabelSummary) -> None:
    """Log counts, shares, drift, seconds and the manifest, which holds no texts."""
    total = max(summary.num_rows, 1)
    figures = {
        "labelling/rows": summary.num_rows,
        "labelling/rejects": summary.num_rejects,
        "labelling/kept": summary.num_kept,
        "labelling/mean_confidence": summary.mean_confidence,
        "labelling/seconds": summary.seconds,
        "labelling/rows_per_second": summary.rows_per_second,
        **{f"labelling/decision/{name}": count / total for name, count in summary.decisions.items()},
        **{f"labelling/share/{label or 'none'}": count / total for label, count in summary.labels.items()},
    }
    if summary.drift is not None:
        figures["labelling/drift"] = summary.drift
    run.log_metrics(figures)
    manifest = Path(summary.manifest) if summary.manifest else None
    if manifest is not None and manifest.is_file():
        run.log_artifact(manifest, folder="labelling")
        model = json.loads(manifest.read_bytes())["model"]
        run.set_tags({"textlstm.model_digest": model["digest"]})
