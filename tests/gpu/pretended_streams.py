"""Streams, events and memory of the pretended device: what a GPU does in which order, and what it may do too early.

Operations are done at once on the CPU, so their numbers are always those of the order in which the host launched them.
A GPU keeps that order within a stream only. `Work` therefore notes, by vector clocks, what each stream is sure to have
waited for, and tells as a race

* what reads or changes memory that another stream changes, without having waited for it;
* memory that is handed out again on its stream while another stream may still use it. torch's allocator gives freed
  memory to the next tensor of the stream on which it was made, whatever other streams do with it.

Copies to pinned memory that nobody waits for hold no sensible numbers until the host waits for their stream.
"""

import contextlib
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from pretended_graphs import refuse_in_capture
from torch import Tensor


class Block:
    """A piece of memory: its numbers, and which streams have used it."""

    def __init__(self, storage: torch.UntypedStorage, work: "Work") -> None:
        self.storage = storage
        self.home = work.current
        self.written: tuple[PretendedStream, int] | None = None
        self.used: dict[PretendedStream, int] = {}
        self._work = work

    def __del__(self) -> None:
        if any(stream is not self.home for stream in self.used):
            self._work.freed.setdefault(self.home, []).append(self.used)


class PretendedStream:
    """Stands in for `torch.cuda.Stream`."""

    def __init__(self, work: "Work", name: str) -> None:
        self.name = name
        self.number = 0
        """Of the operation that was launched last."""
        self.launches: Counter[str] = Counter()
        """By name of the operation."""
        self.seen: dict[PretendedStream, int] = {}
        """Operations of other streams that are over before the next one of this stream begins."""
        self._work = work

    def wait_stream(self, other: "PretendedStream") -> None:
        self.see({**other.seen, other: other.number})

    def wait_event(self, event: "PretendedEvent") -> None:
        self.see(event.seen)

    def synchronize(self) -> None:
        self._work.host_waits({**self.seen, self: self.number})

    def see(self, others: dict["PretendedStream", int]) -> None:
        for stream, number in others.items():
            self.seen[stream] = max(number, self.seen.get(stream, 0))

    def has_seen(self, stream: "PretendedStream", number: int) -> bool:
        return stream is self or self.seen.get(stream, 0) >= number


class PretendedEvent:
    """Stands in for `torch.cuda.Event`."""

    def __init__(self, work: "Work") -> None:
        self.seen: dict[PretendedStream, int] = {}
        self._work = work

    def record(self, stream: PretendedStream | None = None) -> None:
        stream = stream or self._work.current
        self.seen = {**stream.seen, stream: stream.number}

    def synchronize(self) -> None:
        refuse_in_capture("an event is waited for, if by another thread")
        self._work.host_waits(self.seen)


class Work:
    """What a device has been given to do, stream by stream."""

    def __init__(self) -> None:
        self.current = PretendedStream(self, "the first stream")
        self.streams = [self.current]
        self.races: Counter[str] = Counter()
        self.freed: dict[PretendedStream, list[dict[PretendedStream, int]]] = {}
        """By the stream of memory that was given back: the streams that used it, and when."""
        self._pending: list[tuple[PretendedStream, int, Callable[[], object]]] = []

    def new_stream(self, *_: object, **__: object) -> PretendedStream:
        """Return a further stream."""
        self.streams.append(PretendedStream(self, f"stream {len(self.streams) + 1}"))
        return self.streams[-1]

    def new_event(self, *_: object, **__: object) -> PretendedEvent:
        """Return an event."""
        return PretendedEvent(self)

    @contextlib.contextmanager
    def on(self, stream: PretendedStream) -> Iterator[None]:
        """Stand in for `torch.cuda.stream`."""
        before, self.current = self.current, stream
        try:
            yield
        finally:
            self.current = before

    def launch(
        self, name: str, line: str, *, reads: Sequence[Block], writes: Sequence[Block], made: Sequence[Block]
    ) -> None:
        """Note an operation on the current stream: blocks that it reads, changes, and has just been given."""
        if len(self.streams) == 1:
            return
        stream = self.current
        stream.number += 1
        stream.launches[name] += 1
        what = f"{name} at {line}"
        for block in reads:
            if block.written is not None and not stream.has_seen(*block.written):
                self.races[f"{what} on {stream.name} reads what {block.written[0].name} may still write"] += 1
        for block in writes:
            if not all(stream.has_seen(*use) for use in block.used.items()):
                self.races[f"{what} on {stream.name} changes what another stream may still use"] += 1
        if made:
            for used in self.freed.pop(stream, []):
                if not all(stream.has_seen(*use) for use in used.items()):
                    self.races[f"{what} on {stream.name} is given memory that another stream may still use"] += 1
        for block in (*reads, *writes, *made):
            block.used[stream] = stream.number
        for block in (*writes, *made):
            block.written = (stream, stream.number)

    def copy_later(self, into: Tensor, source: Tensor) -> None:
        """Copy to pinned memory, whose numbers are there once the host has waited for the current stream."""
        numbers = source.clone()
        into.view(-1).view(torch.uint8).fill_(0xFF)  # as a float: not a number
        self._pending.append((self.current, self.current.number, lambda: into.copy_(numbers)))

    def host_waits(self, seen: dict[PretendedStream, int] | None = None) -> None:
        """Let the host wait for what `seen` says, else for all streams: what it launches from now on comes later."""
        seen = {stream: stream.number for stream in self.streams} if seen is None else seen
        for stream in self.streams:
            stream.see(seen)
        left = []
        for stream, number, copy in self._pending:
            if seen.get(stream, -1) >= number:
                with torch.inference_mode():  # in which memory may have been asked for: during a prediction
                    copy()
            else:
                left.append((stream, number, copy))
        self._pending = left

    def functions(self) -> dict[str, Any]:
        """Return what takes the place of functions and classes of `torch.cuda`."""
        return {
            "Stream": self.new_stream,
            "Event": self.new_event,
            "stream": self.on,
            "current_stream": lambda *_: self.current,
            "synchronize": lambda *_: self.host_waits(),
        }
