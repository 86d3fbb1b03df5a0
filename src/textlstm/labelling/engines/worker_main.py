"""A worker process: JSON lines in, JSON lines out, one shard at a time.

in   {"model_dir", "settings", "root", "scratch"}          once; then, a line a shard:
     {"task": [...], "journal": folder}
out  {"ready": true}, {"beat": rows done of the shard}     twice a second while the process is alive,
     {"done": record}, {"failed": class, "problems": [...]}, {"crashed": traceback}

The end of its input, or nobody left to read its output, ends the process.
"""

import json
import os
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, BinaryIO

from textlstm import errors
from textlstm.config import LabellingConfig
from textlstm.config.checks import from_plain
from textlstm.labelling.journal import Journal, ShardRecord
from textlstm.labelling.model import RowClassifier, load_model
from textlstm.labelling.plan import InputFile, RowFormat, Shard
from textlstm.labelling.shard import ShardTask, label_shard
from textlstm.processes.child import Heartbeat, private_stdout, reported_error
from textlstm.processes.memory import freeze_gc, gc_paused
from textlstm.storage.signed_json import compact_json
from textlstm.storage.stores import open_store

BEAT_SECONDS = 0.5


class Answers:
    """The stream of answers, shared by the worker and its heartbeat."""

    def __init__(self, stream: BinaryIO) -> None:
        """Write to `stream`."""
        self._stream = stream
        self._lock = threading.Lock()
        self.rows_done = 0

    def send(self, answer: Mapping[str, object]) -> None:
        """Write one line; the process ends at once when nobody reads it any more."""
        try:
            with self._lock:
                self._stream.write(compact_json(answer))
                self._stream.flush()
        except OSError:
            # sys.exit would end only the thread when it is the heartbeat that finds the reader gone.
            os._exit(1)

    def beat(self) -> None:
        """Say that the process is alive, and how far it is."""
        self.send({"beat": self.rows_done})


def serve(load: Callable[[Path, LabellingConfig, bool], RowClassifier]) -> int:
    """Label shards until the input ends; return the exit code."""
    # Ctrl-C reaches every process of the terminal; the parent alone decides what follows and ends its workers.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # What a library prints would break the protocol, so the real standard output is kept for answers.
    answers = Answers(private_stdout())
    # The heartbeat starts before the model is loaded: a slow load must not look like a stuck worker.
    Heartbeat(answers.beat, seconds=BEAT_SECONDS)
    requests = sys.stdin.buffer
    try:
        job = json.loads(requests.readline())
        settings = from_plain(LabellingConfig, job["settings"])
        store = open_store(job["root"])
        # Modules and model stay until the end, so the collector of cycles need not look at them.
        with gc_paused():
            classifier = load(Path(job["model_dir"]), settings, True)
            freeze_gc()
        answers.send({"ready": True})
        # Every further line is a shard; the loop ends when the parent closes the pipe or dies.
        for line in requests:
            request = json.loads(line)
            record = label_shard(
                task_from_plain(request["task"]),
                classifier,
                settings=settings,
                journal=Journal(store, request["journal"], scratch=job["scratch"]),
                on_rows=lambda rows: setattr(answers, "rows_done", rows),
            )
            # Part, rejects and record are written by now; the answer only tells the parent about them.
            answers.rows_done = 0
            answers.send({"done": asdict(record)})
    except errors.TextLSTMError as error:
        answers.send({"failed": type(error).__name__, "problems": error.problems})
    except Exception:  # any defect must reach the parent, which raises it
        answers.send({"crashed": traceback.format_exc()})
    return 0


def task_from_plain(values: list[Any]) -> ShardTask:
    """Return the task that a request holds as JSON lists."""
    shard, file, output, text_column, known = values
    return ShardTask(Shard(*shard), InputFile.from_plain(file), RowFormat.from_plain(output), text_column, known)


def read_answer(answer: Mapping[str, Any]) -> ShardRecord | None:
    """Return the record of a finished shard, None for any other good news.

    Raises:
        TextLSTMError: What the worker reported, as the class that it was there.
        RuntimeError: The worker crashed by a defect.
    """
    if "crashed" in answer:
        raise RuntimeError(f"a labelling worker crashed:\n{answer['crashed']}")
    if "failed" in answer:
        raise reported_error(answer["failed"], answer["problems"])
    return ShardRecord(**answer["done"]) if "done" in answer else None


if __name__ == "__main__":
    sys.exit(serve(load_model))
