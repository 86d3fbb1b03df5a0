"""Texts of many clients, scored together: a row among 64 costs a small part of a row alone."""

import asyncio
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import NamedTuple

import numpy as np


class _Waiting(NamedTuple):
    texts: Sequence[str]
    answer: "asyncio.Future[np.ndarray]"
    since: float  # seconds of the monotonic clock


class Batcher:
    """Collects texts for a few milliseconds, and scores them in one thread, batch after batch.

    While a batch is computed the next one fills, so that a busy server never waits.
    """

    def __init__(
        self,
        score: Callable[[Sequence[str]], np.ndarray],
        *,
        wait_seconds: float,
        most_rows: int,
        on_batch: Callable[[int], None] = lambda _rows: None,
    ) -> None:
        """Keep how to work; `run` does the work.

        Args:
            score: returns (N, L) float32 probabilities of N texts; called in a thread of its own, never twice at once.
            wait_seconds: how long the first text of a batch waits for others.
            most_rows: rows of a batch; longer requests are cut, so that memory stays bounded.
            on_batch: is told the rows of each batch.
        """
        self._score, self._on_batch = score, on_batch
        self._wait_seconds, self._most_rows = wait_seconds, most_rows
        self._queue: deque[_Waiting] = deque()
        self._arrived, self._full = asyncio.Event(), asyncio.Event()
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="model")
        self.num_waiting = 0
        """Rows that no batch has taken yet."""

    async def probabilities(self, texts: Sequence[str]) -> np.ndarray:
        """Return the (N, L) float32 probabilities of N texts.

        Raises:
            Exception: what `score` raised for the batch.
        """
        pieces = [texts[start : start + self._most_rows] for start in range(0, len(texts), self._most_rows)] or [texts]
        loop = asyncio.get_running_loop()
        waiting = [_Waiting(piece, loop.create_future(), time.monotonic()) for piece in pieces]
        self._queue.extend(waiting)
        self.num_waiting += len(texts)
        self._arrived.set()
        if self.num_waiting >= self._most_rows:
            self._full.set()
        if len(waiting) == 1:
            return await waiting[0].answer
        return np.concatenate(await asyncio.gather(*(one.answer for one in waiting)))

    async def run(self) -> None:
        """Score batches until the task is cancelled."""
        while True:
            await self._arrived.wait()
            # The first text has a claim to `wait_seconds`; those that came during the last batch have used theirs.
            left = self._queue[0].since + self._wait_seconds - time.monotonic()
            if left > 0 and not self._full.is_set():
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._full.wait(), left)
            batch = self._take()
            # A client that has gone has cancelled its future; its rows are not computed.
            batch = [one for one in batch if not one.answer.done()]
            if batch:
                await self._answer(batch)

    def stop(self) -> None:
        """End the thread once its batch is done."""
        self._thread.shutdown(wait=True, cancel_futures=True)

    def _take(self) -> list[_Waiting]:
        """Take requests from the queue up to `most_rows` rows, at least one."""
        batch = [self._queue.popleft()]
        rows = len(batch[0].texts)
        while self._queue and rows + len(self._queue[0].texts) <= self._most_rows:
            batch.append(self._queue.popleft())
            rows += len(batch[-1].texts)
        self.num_waiting -= rows
        if not self._queue:
            self._arrived.clear()
        if self.num_waiting < self._most_rows:
            self._full.clear()
        return batch

    async def _answer(self, batch: Sequence[_Waiting]) -> None:
        texts = [text for one in batch for text in one.texts]
        self._on_batch(len(texts))
        try:
            # (N, L) for all texts of the batch, cut into the rows of each request.
            found = await asyncio.get_running_loop().run_in_executor(self._thread, self._score, texts)
        except Exception as error:  # the clients of this batch hear of it, and the server goes on
            for one in batch:
                if not one.answer.done():
                    one.answer.set_exception(error)
            return
        start = 0
        for one in batch:
            end = start + len(one.texts)
            if not one.answer.done():
                one.answer.set_result(found[start:end])
            start = end
