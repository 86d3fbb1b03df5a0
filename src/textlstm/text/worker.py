"""A preparation worker: `python -m textlstm.text.worker`, started by `prepare_in_processes` and nothing else.

Reads settings and blocks from standard input, writes results to standard output, and a sign of life every second.
"""

import gc
import json
import os
import queue
import signal
import sys
import threading
import traceback

from textlstm.errors import TextLSTMError
from textlstm.text.spacy_models import uses_torch
from textlstm.text.worker_messages import (
    FrameReader,
    Kind,
    decode_block,
    decode_settings,
    encode_ready,
    encode_result,
    pack,
)

_READ_BYTES = 1 << 20
_ALIVE_SECONDS = 1.0


class _Output:
    """Whole frames to the main process, from two threads."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._lock = threading.Lock()

    def write(self, kind: Kind, body: bytes = b"") -> None:
        view = memoryview(pack(kind, body))
        with self._lock:
            while view:
                view = view[os.write(self._descriptor, view) :]


def main() -> None:
    """Work until standard input ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches every process; the main one decides.
    output = _Output(os.dup(1))
    os.dup2(2, 1)  # Whatever a library prints goes to standard error.
    blocks: queue.Queue[bytes] = queue.Queue()
    settings: queue.Queue[bytes] = queue.Queue()
    threading.Thread(target=_read, args=(settings, blocks), daemon=True).start()
    threading.Thread(target=_show_life, args=(output,), daemon=True).start()
    try:
        _work(settings, blocks, output)
    except TextLSTMError as error:
        report = {"error": type(error).__name__, "problems": list(error.problems)}
        output.write(Kind.error, json.dumps(report).encode())
    except Exception:
        report = {"error": "", "problems": [traceback.format_exc()]}
        output.write(Kind.error, json.dumps(report).encode())


def _work(settings: "queue.Queue[bytes]", blocks: "queue.Queue[bytes]", output: _Output) -> None:
    config, saved = decode_settings(settings.get())
    # spaCy imports torch wherever it finds it: a second and 200 MB that few settings have a use for.
    needs_torch = uses_torch(config)
    if needs_torch:
        import torch

        torch.set_num_threads(1)
    from textlstm.text.pipeline import TextPipeline

    pipeline = TextPipeline(config, saved=saved, without_torch=not needs_torch)
    output.write(Kind.ready, encode_ready(pipeline.description))
    # The caches only grow, so that looking for cycles in them again and again finds nothing.
    gc.freeze()
    gc.set_threshold(200_000, 20, 50)
    while True:
        number, texts = decode_block(blocks.get())
        output.write(Kind.result, encode_result(number, pipeline.prepare(texts)))


def _read(settings: "queue.Queue[bytes]", blocks: "queue.Queue[bytes]") -> None:
    """Take in frames while the main thread works; the end of the input is the end of the worker."""
    reader = FrameReader()
    while data := os.read(0, _READ_BYTES):
        for frame in reader.feed(data):
            (settings if frame.kind is Kind.settings else blocks).put(frame.body)
    os._exit(0)


def _show_life(output: _Output) -> None:
    pause = threading.Event()
    while not pause.wait(_ALIVE_SECONDS):
        output.write(Kind.alive)


if __name__ == "__main__":
    main()
    sys.stdout.flush()
    os._exit(0)
