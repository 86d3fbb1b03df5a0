"""Preparation in several processes, in order, with a watchdog."""

import json
import select
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from itertools import chain

from textlstm import errors
from textlstm.config import Device, TextConfig
from textlstm.processes.child import Frame, Kind, pack, reported_error
from textlstm.processes.devices import num_cores
from textlstm.processes.worker_group import WorkerGroup, WorkerProcess
from textlstm.text.fingerprint import TextDescription, TextFingerprint
from textlstm.text.messages import decode_ready, decode_result, encode_block, encode_settings
from textlstm.text.pipeline import TextPipeline
from textlstm.text.spacy_models import resolve_device, uses_torch
from textlstm.text.tokenized import TokenizedTexts

WORKER_MODULE = "textlstm.text.worker_main"
PATIENCE_SECONDS = 20.0
"""A worker that shows no sign of life for this long is given up; it shows one every second."""
_START_SECONDS = 28.0
"""Patience until the first sign of life: a new program on a busy machine."""
_SILENT = "has shown no sign of life for {:.0f} s"
_STOPPED = "it may be stopped or the machine out of memory: run again, perhaps with fewer workers"
_NO_MEMORY = "if the machine ran out of memory, run again with fewer workers"
_BLOCKS_AHEAD = 2
"""Blocks that a worker has at once, so that it never waits for the next one."""
_SMALL_CHARS_POS = 1_000_000
_SMALL_CHARS = 3_000_000
"""Inputs of fewer characters, with and without parts of speech, are done before workers would have started."""


@contextmanager
def start_workers_early(
    config: TextConfig, *, num_workers: int, num_bytes: int, saved: TextFingerprint | None = None
) -> Iterator[WorkerGroup | None]:
    """Start workers before there are texts, so that they load while files are read; None where one process will do.

    Args:
        config: the settings.
        num_workers: processes; 0 means one a core.
        num_bytes: least size of the texts.
        saved: what a model folder recorded, as for `TextPipeline`.
    """
    config = resolve_device(config)
    count = _num_workers(config, num_workers)
    if count == 1 or num_bytes < _small_chars(config):
        yield None
        return
    # From here to `finally` the processes exist: they load while the caller reads files.
    group = WorkerGroup(encode_settings(config, saved), count, module=WORKER_MODULE)
    try:
        yield group
    finally:
        group.close()


def prepare_in_processes(
    config: TextConfig,
    blocks: Iterable[Sequence[str]],
    *,
    num_workers: int,
    saved: TextFingerprint | None = None,
    on_ready: Callable[[TextDescription], None] | None = None,
    group: WorkerGroup | None = None,
) -> Iterator[TokenizedTexts]:
    """Yield the prepared texts of each block, in order.

    A small input is prepared in this process. Workers are separate programs with one thread each, so that nothing in
    this process (threads, open files, an unguarded main module) can disturb them.

    Args:
        config: the settings.
        blocks: blocks of some 10,000 to 100,000 words (see `blocks_by_words`); read a few ahead of the results.
        num_workers: processes; 0 means one a core, or one with a GPU.
        saved: what a model folder recorded, as for `TextPipeline`.
        on_ready: called once, before the first result, with the description of the preparation, so that the caller
            need not load spaCy to have it.
        group: workers from `start_workers_early` with the same settings; whoever started them ends them.

    Raises:
        TextLSTMError: a worker was killed, stopped, or met an error; the message names the block.
    """
    if group is not None:
        yield from _Pool(group, on_ready).run(iter(blocks))
        return
    config = resolve_device(config)
    count, remaining, small = _num_workers(config, num_workers), iter(blocks), _small_chars(config)
    # Read ahead until it is clear whether the input is worth the start of workers.
    head = _take_chars(remaining, small) if count > 1 else []
    # A small input is prepared here.
    if count == 1 or sum(len(text) for block in head for text in block) < small:
        device, without_torch = config.tagger_device.value, not uses_torch(config)
        pipeline = TextPipeline(config, saved=saved, device=device, without_torch=without_torch)
        if on_ready is not None:
            on_ready(pipeline.description)
        yield from map(pipeline.prepare, chain(head, remaining))
        return
    # A large one goes to workers, with the blocks that were read ahead first.
    with closing(WorkerGroup(encode_settings(config, saved), count, module=WORKER_MODULE)) as own_group:
        yield from _Pool(own_group, on_ready).run(chain(head, remaining))


def _num_workers(config: TextConfig, wanted: int) -> int:
    """Return how many processes prepare: a GPU is fed by one."""
    return 1 if config.tagger_device is Device.cuda else wanted or num_cores()


def _small_chars(config: TextConfig) -> int:
    return _SMALL_CHARS_POS if config.pos else _SMALL_CHARS


def _take_chars(blocks: Iterator[Sequence[str]], num_chars: int) -> list[Sequence[str]]:
    """Return the first blocks that together have `num_chars` characters, or all."""
    taken = []
    while num_chars > 0 and (block := next(blocks, None)) is not None:
        taken.append(block)
        num_chars -= sum(map(len, block))
    return taken


class _Pool:
    """Workers and the blocks on their way."""

    def __init__(self, group: WorkerGroup, on_ready: Callable[[TextDescription], None] | None) -> None:
        self._group = group
        self._workers = group.workers
        self._on_ready = on_ready
        self._results: dict[int, TokenizedTexts] = {}
        self._texts_before: dict[int, int] = {}
        self._waiting_since = time.monotonic()

    def run(self, blocks: Iterator[Sequence[str]]) -> Iterator[TokenizedTexts]:
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
            # Yield what is next in order; later blocks wait in `_results`. Time that the caller spends with a result
            # must not count as silence of the workers.
            while num_yielded in self._results:
                yield self._results.pop(num_yielded)
                del self._texts_before[num_yielded]
                num_yielded += 1
                self._waiting_since = time.monotonic()
            if num_yielded < num_sent:
                self._wait()

    def _wait(self) -> None:
        """Let frames pass, at most a second; give up processes that are gone or silent."""
        by_descriptor = {worker.output.descriptor: worker for worker in self._workers}
        poll = select.poll()
        poll.register(self._group.control.descriptor, select.POLLIN)
        for worker in self._workers:
            poll.register(worker.output.descriptor, select.POLLIN)
            # An idle pipe always has room: watch for room only while something is left to send.
            if worker.has_unsent:
                poll.register(worker.input, select.POLLOUT)
        ready = [descriptor for descriptor, _ in poll.poll(1000)]
        if self._group.control.descriptor in ready:
            self._receive_control()
        for descriptor in ready:
            if descriptor in by_descriptor:
                self._receive(by_descriptor[descriptor])
        # Whatever fits into the pipes now is sent, without waiting.
        for worker in self._workers:
            worker.flush()
        self._check_signs_of_life()

    def _check_signs_of_life(self) -> None:
        now = time.monotonic()
        # Before the workers exist only the starter can be silent; a new program has more time until its first sign of
        # life.
        if not self._group.has_started:
            control = self._group.control
            patience = PATIENCE_SECONDS if control.has_been_heard else _START_SECONDS
            if now - max(control.last_heard, self._waiting_since) > patience:
                raise errors.TextLSTMError(
                    f"{self._starter_name()} {_SILENT.format(patience)} while it loads; {_STOPPED}"
                )
            return
        # With blocks to work on, a worker must be heard from; the clock starts anew whenever the caller took a result.
        for worker in self._workers:
            if worker.blocks and now - max(worker.output.last_heard, self._waiting_since) > PATIENCE_SECONDS:
                raise errors.TextLSTMError(
                    f"{self._name(worker)} {_SILENT.format(PATIENCE_SECONDS)} while preparing "
                    f"{self._block_words(worker)}; {_STOPPED}"
                )

    def _receive_control(self) -> None:
        """Take what the starter says."""
        try:
            for frame in self._group.control.receive():
                match frame.kind:
                    case Kind.ready:
                        if self._on_ready is not None:
                            self._on_ready(decode_ready(frame.body))
                    case Kind.error:
                        _raise(json.loads(frame.body), f"{self._starter_name()}: loading:")
                    case _:
                        self._group.take(frame)
        except EOFError:
            raise errors.TextLSTMError(
                f"{self._starter_name()} {self._group.starter_end_words()}; {_NO_MEMORY}"
            ) from None

    def _receive(self, worker: WorkerProcess) -> None:
        try:
            for frame in worker.output.receive():
                self._take(worker, frame)
        except EOFError:
            end_words = self._group.end_words(worker)
            raise errors.TextLSTMError(
                f"{self._name(worker)} {end_words} while preparing {self._block_words(worker)}; {_NO_MEMORY}"
            ) from None

    def _take(self, worker: WorkerProcess, frame: Frame) -> None:
        match frame.kind:
            case Kind.alive:
                return
            case Kind.result:
                number, prepared = decode_result(frame.body)
                self._results[number] = prepared
                worker.blocks.remove(number)
            case Kind.error:
                _raise(json.loads(frame.body), f"{self._name(worker)}: preparing {self._block_words(worker)}:")
            case _:
                raise RuntimeError(f"a worker sent a frame of kind {frame.kind}")

    def _starter_name(self) -> str:
        return f"the starter of text workers (process {self._group.pid})"

    def _name(self, worker: WorkerProcess) -> str:
        return f"text worker {worker.number + 1} of {len(self._workers)} (process {worker.pid})"

    def _block_words(self, worker: WorkerProcess) -> str:
        if not worker.blocks:
            return "no block"
        first = worker.blocks[0]
        return f"block {first + 1} (from text {self._texts_before[first] + 1} on)"


def _raise(report: dict[str, object], where: str) -> None:
    """Raise what another process reported; `where` heads an error that is not for users."""
    problems = report["problems"]
    lines = [str(problem) for problem in problems] if isinstance(problems, list) else []
    if report["error"]:
        raise reported_error(str(report["error"]), lines)
    raise RuntimeError("\n".join([where, *lines]))
