"""Preparation workers: `python -m textlstm.text.worker_main INPUT OUTPUT ...`, which only `WorkerGroup` starts.

The first process, the starter, reads settings from standard input, loads the pipeline once, and forks one worker for
each pair of descriptors; so start-up costs the same for any number of workers, and they share the memory. It writes
to standard output the description of the preparation, the process ids, and how each worker ended. A worker reads blocks
and writes results, and a sign of life every second.
"""

import json
import os
import queue
import signal
import sys
import threading
import traceback
from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple

from textlstm.errors import TextLSTMError
from textlstm.processes.child import FrameReader, Heartbeat, Kind, pack, private_stdout
from textlstm.processes.memory import freeze_gc, gc_paused
from textlstm.text.messages import decode_block, decode_settings, encode_ready, encode_result
from textlstm.text.spacy_models import uses_torch

if TYPE_CHECKING:
    from textlstm.text.pipeline import TextPipeline

_READ_BYTES = 1 << 20
_ALIVE_SECONDS = 1.0


class _Pipes(NamedTuple):
    """Descriptors of one worker."""

    input: int
    output: int


class _Output:
    """Whole frames to the main process, from two threads."""

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor
        self._lock = threading.Lock()

    def write(self, kind: Kind, body: bytes = b"") -> None:
        view = memoryview(pack(kind, body))
        # os.write may take a part of the frame only; the lock keeps the heartbeat of the other thread out of its
        # middle.
        with self._lock:
            while view:
                view = view[os.write(self.descriptor, view) :]

    def show_life(self) -> Heartbeat:
        return Heartbeat(lambda: self.write(Kind.alive), seconds=_ALIVE_SECONDS)

    def write_error(self, error: Exception) -> None:
        is_known = isinstance(error, TextLSTMError)
        problems = list(error.problems) if isinstance(error, TextLSTMError) else [traceback.format_exc()]
        report = {"error": type(error).__name__ if is_known else "", "problems": problems}
        self.write(Kind.error, json.dumps(report).encode())


def main(descriptors: list[int]) -> None:
    """Load, fork the workers, wait for them; `descriptors` are input and output of each."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches every process; the main one decides.
    stdout = private_stdout()
    output = _Output(stdout.fileno())
    pipes = [_Pipes(*pair) for pair in zip(descriptors[0::2], descriptors[1::2], strict=True)]
    life = output.show_life()
    # Load once, in this process alone.
    try:
        pipeline = _load()
        output.write(Kind.ready, encode_ready(pipeline.description))
    except Exception as error:
        output.write_error(error)
        return
    # Fork the workers, which share what is loaded.
    # The thread of the heartbeat ends first: a fork copies this thread alone, with whatever locks others hold.
    life.stop()
    numbers = {_fork(pipeline, number, pipes, output): number for number in range(len(pipes))}
    # This process gives up its copies of the pipes, so that the end of a worker closes the worker's pipe.
    _close(pipes)
    # Tell their process ids, then how each of them ended.
    with suppress(BrokenPipeError):  # the main process is gone, and the workers find out themselves
        output.write(Kind.started, json.dumps(list(numbers)).encode())
        while numbers:
            process_id, status = os.wait()
            code = os.waitstatus_to_exitcode(status)
            output.write(Kind.ended, json.dumps([numbers.pop(process_id), code]).encode())


def _load() -> "TextPipeline":
    config, saved = decode_settings(sys.stdin.buffer.read())
    with gc_paused():
        # spaCy imports torch wherever it finds it: a second and 200 MB that few settings have a use for.
        needs_torch = uses_torch(config)
        if needs_torch:
            import torch

            torch.set_num_threads(1)
        from textlstm.text.pipeline import TextPipeline

        pipeline = TextPipeline(config, saved=saved, without_torch=not needs_torch)
        # What is loaded leaves the sight of the collector, which would write to pages that the workers share.
        freeze_gc()
    return pipeline


def _fork(pipeline: "TextPipeline", number: int, pipes: list[_Pipes], output: _Output) -> int:
    """Start worker `number`; return its process id. The worker itself never returns."""
    process_id = os.fork()
    if process_id:
        return process_id
    # From here on this process is the worker. It keeps its own two descriptors: copies of other pipes would hide the
    # end of their workers.
    own = pipes[number]
    _close([pair for pair in pipes if pair is not own])
    os.close(output.descriptor)
    _work(pipeline, own.input, _Output(own.output))
    os._exit(1)  # after an error that was reported


def _close(pipes: list[_Pipes]) -> None:
    for pair in pipes:
        os.close(pair.input)
        os.close(pair.output)


def _work(pipeline: "TextPipeline", descriptor: int, output: _Output) -> None:
    # A second thread reads ahead, so that the main process can write while this one works.
    blocks: queue.Queue[bytes] = queue.Queue()
    threading.Thread(target=_read, args=(descriptor, blocks), daemon=True).start()
    output.show_life()
    try:
        while True:
            number, texts = decode_block(blocks.get())
            output.write(Kind.result, encode_result(number, pipeline.prepare(texts)))
    except Exception as error:
        output.write_error(error)


def _read(descriptor: int, blocks: "queue.Queue[bytes]") -> None:
    """Take in blocks while the main thread works; the end of the input is the end of the worker."""
    reader = FrameReader()
    while data := os.read(descriptor, _READ_BYTES):
        for frame in reader.feed(data):
            blocks.put(frame.body)
    # The main process closed the pipe or is gone: nobody waits for the block in work.
    os._exit(0)


if __name__ == "__main__":
    main([int(argument) for argument in sys.argv[1:]])
    sys.stdout.flush()
    os._exit(0)
