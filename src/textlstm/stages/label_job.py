"""What a labelling job tells: the screen, a log file, one JSON object for scripts, and a run in MLflow."""

import json
import os
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict
from datetime import datetime
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from textlstm.config import LabelConfig
from textlstm.corpus.rows.inputs import MANIFEST_SUFFIX, REJECTS_SUFFIX
from textlstm.errors import InputError, Interrupted, TextLSTMError
from textlstm.labelling.output import expand_names
from textlstm.labelling.summary import LabelSummary
from textlstm.stages.screen import Listener, heard_by, note
from textlstm.storage.files import storage_errors
from textlstm.storage.stores import is_remote

if TYPE_CHECKING:
    from textlstm.tracking.run import Tracker

# Screen and log file.


@contextmanager
def told(config: LabelConfig) -> Iterator[None]:
    """Send remarks and progress of this block where `config.quiet` and `config.log_file` say, and errors to the log.

    Raises:
        InputError: The log file is an input or output of the job, or a pipe that nobody reads.
        StorageError: The log file cannot be written.
    """
    if not config.quiet and not config.log_file:
        yield
        return
    if config.log_file:
        _refuse_log(config)
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


def _refuse_log(config: LabelConfig) -> None:
    """Refuse a log file to which lines would be added that others read as rows.

    Raises:
        InputError: It is an input or output of the job.
    """
    log = Path(config.log_file).expanduser()
    inputs: list[str] = []
    # Inputs that are not there are named by the job itself.
    with suppress(InputError):
        inputs = [name for name in expand_names(config.input) if not is_remote(name)]
    names = [Path(name).name for name in inputs] if config.output.endswith("/") else [""]
    outputs = [f"{config.output}{name}" for name in names if config.output not in ("", "-")]
    beside = [f"{output}{suffix}" for output in outputs for suffix in ("", MANIFEST_SUFFIX, REJECTS_SUFFIX)]
    if log.resolve() in {Path(name).expanduser().resolve() for name in (*inputs, *beside)}:
        raise InputError(f"log_file={config.log_file}: is a file of the job itself; choose another log_file")


@contextmanager
def _open_log(path: str) -> Iterator[TextIO | None]:
    if not path:
        yield None
        return
    name = Path(path).expanduser()
    with storage_errors(path):
        if name.is_fifo():
            # To open a pipe without a reader would wait for ever.
            try:
                log = os.fdopen(
                    os.open(name, os.O_WRONLY | os.O_NONBLOCK),
                    "a",
                    encoding="utf-8",
                    errors="backslashreplace",
                    buffering=1,
                )
            except OSError as error:
                raise InputError(f"{path}: is a pipe that nobody reads; name a file, or start its reader") from error
            os.set_blocking(log.fileno(), True)
        else:
            log = name.open("a", encoding="utf-8", errors="backslashreplace", buffering=1)
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


class LabelRun:
    """The run of a job: begun when rows are labelled, so that a job that is killed shows as such, and ended by `end`.

    The journal of the run is written here, and sent by a process that nobody waits for. A job never fails for this.
    """

    def __init__(self, config: LabelConfig) -> None:
        """Log jobs with these settings, one after another."""
        self._config = config
        # An installation for labelling alone has no MLflow.
        self._is_on = config.tracking.enabled and find_spec("mlflow") is not None
        self._run: Tracker | None = None
        self._began = time.time()

    def begin(self) -> None:
        """Write that the job is under way; a second call changes nothing."""
        # Which of the jobs into a folder it is, only its end tells.
        if self._is_on and self._run is None and not self._config.output.endswith("/"):
            with self._warnings():
                self._run = self._open(self._config.output)

    def end(self, result: LabelSummary | BaseException) -> None:
        """Log a job that has ended; an exception means that it failed."""
        if self._is_on:
            with self._warnings():
                self._log(result)
        self._run, self._began = None, time.time()

    @property
    def has_begun(self) -> bool:
        """Whether the journal knows of the job."""
        return self._run is not None

    def _open(self, output: str) -> "Tracker":
        # Imported here, when workers load the model or have done their work: a job should start at once.
        from textlstm.tracking.run import open_run
        from textlstm.tracking.tracked_runs import INPUT_TAG

        config = self._config
        name = config.tracking.run_name or f"label {Path(output).name}"
        # With an output a file, the files of a folder are told apart by their names.
        is_one_of_many = config.output.endswith("/") and output != config.output
        inputs = [*config.input, *([Path(output).name] if is_one_of_many else [])]
        run = open_run(
            config.tracking, stage="label", run_name=name, began_ms=int(self._began * 1000), in_background=True
        )
        run.log_params(asdict(config))
        run.set_tags({INPUT_TAG: ", ".join(inputs)})
        return run

    def _log(self, result: LabelSummary | BaseException) -> None:
        output = result.output if isinstance(result, LabelSummary) else self._config.output
        # The run ends as the job did, but what the job raised is raised by the caller.
        try:
            with self._run or self._open(output) as run:
                if isinstance(result, BaseException):
                    raise result
                _log_summary(run, result)
        except (TextLSTMError, Interrupted) as error:
            if error is not result:
                raise

    @contextmanager
    def _warnings(self) -> Iterator[None]:
        """Turn what hinders the tracking into a warning, once a job."""
        try:
            yield
        except (TextLSTMError, OSError) as error:
            reason = error.problems[0] if isinstance(error, TextLSTMError) else str(error)
            note(f"warning: the job is not in MLflow: {reason}")
            self._is_on = False


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
