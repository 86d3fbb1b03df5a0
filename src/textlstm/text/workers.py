"""Preparation in several processes, in order, with a watchdog."""

import json
import os
import select
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain

from textlstm import errors
from textlstm.config import TextConfig
from textlstm.text.pipeline import TextPipeline
from textlstm.text.prepared import PreparedTexts
from textlstm.text.saved import SavedText, TextDescription
from textlstm.text.spacy_models import uses_torch
from textlstm.text.worker_messages import Frame, Kind, decode_ready, decode_result, encode_block, encode_settings, pack
from textlstm.text.worker_process import WorkerProcess

PATIENCE_SECONDS = 20.0
"""A worker that shows no sign of life for as long is given up; it shows one every second."""
_START_SECONDS = 28.0
"""Patience until the first sign of life: a new program on a busy machine."""
_BLOCKS_AHEAD = 2
"""Blocks that a worker has at once, so that it never waits for the next one."""
_SMALL_CHARS_POS = 1_000_000
_SMALL_CHARS = 3_000_000
"""Inputs of fewer characters, with and without parts of speech, are done before workers would have started."""


def prepare_in_processes(
    config: TextConfig,
    blocks: Iterable[Sequence[str]],
    *,
    num_workers: int,
    saved: SavedText | None = None,
    on_ready: Callable[[TextDescription], None] | None = None,
) -> Iterator[PreparedTexts]:
    """Yield the prepared texts of each block, in order.

    A small input is prepared in this process. Workers are separate programs with one thread each, so that nothing in
    this process (threads, open files, an unguarded main module) can disturb them.

    Args:
        config: The settings.
        blocks: Blocks of some 10,000 to 100,000 words (see `blocks_by_words`); read a few ahead of the results.
        num_workers: Processes; 0 means one a core.
        saved: What a model folder recorded, as for `TextPipeline`.
        on_ready: Hears once, before the first result, what the preparation says of itself; so the caller need not load
            spaCy to know.

    Raises:
        TextLSTMError: A worker was killed, stopped, or met an error; the message names the block.
    """
    count = num_workers or len(os.sched_getaffinity(0))
    remaining = iter(blocks)
    head = _take_chars(remaining, _SMALL_CHARS_POS if config.pos else _SMALL_CHARS) if count > 1 else []
    is_small = count > 1 and sum(len(text) for block in head for text in block) < (
        _SMALL_CHARS_POS if config.pos else _SMALL_CHARS
    )
    if count == 1 or is_small:
        pipeline = TextPipeline(config, saved=saved, without_torch=not uses_torch(config))
        if on_ready is not None:
            on_ready(pipeline.description)
        yield from map(pipeline.prepare, chain(head, remaining))
        return
    pool = _Pool(config, count, saved, on_ready)
    try:
        yield from pool.run(chain(head, remaining))
    finally:
        pool.close()


def _take_chars(blocks: Iterator[Sequence[str]], num_chars: int) -> list[Sequence[str]]:
    """Return the first blocks that together have `num_chars` characters, or all."""
    taken = []
    while num_chars > 0 and (block := next(blocks, None)) is not None:
        taken.append(block)
        num_chars -= sum(map(len, block))
    return taken


class _Pool:
    """Workers and the blocks on their way."""

    def __init__(
        self,
        config: TextConfig,
        count: int,
        saved: SavedText | None,
        on_ready: Callable[[TextDescription], None] | None,
    ) -> None:
        self._on_ready = on_ready
        self._settings = pack(Kind.settings, encode_settings(config, saved))
        self._workers: list[WorkerProcess] = []
        self._heard: set[int] = set()  # workers that have shown life at all
        self._is_described = False
        self._results: dict[int, PreparedTexts] = {}
        self._texts_before: dict[int, int] = {}
        self._waiting_since = time.monotonic()
        for number in range(count):
            worker = WorkerProcess(number)
            self._workers.append(worker)
            worker.send(self._settings)

    def close(self) -> None:
        """End all workers."""
        for worker in self._workers:
            worker.kill()

    def run(self, blocks: Iterator[Sequence[str]]) -> Iterator[PreparedTexts]:
        """Yield the results in the order of `blocks`."""
        num_sent = num_yielded = num_texts = 0
        is_exhausted = False
        while not is_exhausted or num_yielded < num_sent:
            # Hand out blocks: to the least busy worker, and only so far ahead that results do not pile up.
            while not is_exhausted and num_sent < num_yielded + 2 * _BLOCKS_AHEAD * len(self._workers):
                worker = min(self._workers, key=lambda candidate: len(candidate.blocks))
                if len(worker.blocks) >= _BLOCKS_AHEAD:
                    break
                block = next(blocks, None)
                if block is None:
                    is_exhausted = True
                    break
                self._texts_before[num_sent] = num_texts
                num_texts += len(block)
                worker.blocks.append(num_sent)
                worker.send(pack(Kind.block, encode_block(num_sent, block)))
                num_sent += 1
            while num_yielded in self._results:
                yield self._results.pop(num_yielded)
                del self._texts_before[num_yielded]
                num_yielded += 1
                self._waiting_since = time.monotonic()
            if num_yielded < num_sent:
                self._wait()

    def _wait(self) -> None:
        """Let frames pass, at most a second; give up workers that are gone or silent."""
        by_descriptor = {worker.output: worker for worker in self._workers}
        poll = select.poll()
        for worker in self._workers:
            poll.register(worker.output, select.POLLIN)
            if worker.has_unsent:
                poll.register(worker.input, select.POLLOUT)
        for descriptor, _ in poll.poll(1000):
            if descriptor in by_descriptor:
                self._receive(by_descriptor[descriptor])
        now = time.monotonic()
        for worker in self._workers:
            worker.flush()
            silence = now - max(worker.last_heard, self._waiting_since)
            patience = PATIENCE_SECONDS if worker.number in self._heard else _START_SECONDS
            if silence > patience and worker.blocks:
                raise errors.TextLSTMError(
                    f"{self._name(worker)} has shown no sign of life for {patience:.0f} s while preparing "
                    f"{self._block_words(worker)}; it may be stopped or the machine out of memory: run again, perhaps "
                    f"with fewer workers"
                )

    def _receive(self, worker: WorkerProcess) -> None:
        try:
            for frame in worker.receive():
                self._take(worker, frame)
        except EOFError:
            raise errors.TextLSTMError(
                f"{self._name(worker)} {worker.end_words()} while preparing {self._block_words(worker)}; if the "
                f"machine ran out of memory, run again with fewer workers"
            ) from None

    def _take(self, worker: WorkerProcess, frame: Frame) -> None:
        self._heard.add(worker.number)
        match frame.kind:
            case Kind.alive:
                return
            case Kind.ready:
                if not self._is_described and self._on_ready is not None:
                    self._on_ready(decode_ready(frame.body))
                self._is_described = True
            case Kind.result:
                number, prepared = decode_result(frame.body)
                self._results[number] = prepared
                worker.blocks.remove(number)
            case Kind.error:
                self._raise(worker, json.loads(frame.body))
            case _:
                raise RuntimeError(f"a worker sent a frame of kind {frame.kind}")

    def _raise(self, worker: WorkerProcess, report: dict[str, object]) -> None:
        problems = report["problems"]
        lines = [str(problem) for problem in problems] if isinstance(problems, list) else []
        kind = getattr(errors, str(report["error"]), None)
        if isinstance(kind, type) and issubclass(kind, errors.TextLSTMError):
            raise kind(*lines)
        raise RuntimeError("\n".join([f"{self._name(worker)}: preparing {self._block_words(worker)}:", *lines]))

    def _name(self, worker: WorkerProcess) -> str:
        return f"text worker {worker.number + 1} of {len(self._workers)} (process {worker.pid})"

    def _block_words(self, worker: WorkerProcess) -> str:
        if not worker.blocks:
            return "no block"
        first = worker.blocks[0]
        return f"block {first + 1} (from text {self._texts_before[first] + 1} on)"
