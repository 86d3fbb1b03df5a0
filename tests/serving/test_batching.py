"""Rows of many clients are computed together, and every client gets its own."""

import asyncio
import threading
from collections.abc import Sequence

import numpy as np
import pytest

from textlstm.serving.batching import Batcher


class Model:
    """Scores a text by its number, and notes its batches."""

    def __init__(self) -> None:
        self.batches: list[list[str]] = []
        self.may_go_on = threading.Event()
        self.may_go_on.set()

    def __call__(self, texts: Sequence[str]) -> np.ndarray:
        self.may_go_on.wait(10)
        self.batches.append(list(texts))
        if "bad" in texts:
            raise ValueError("a bad text")
        return np.array([[float(text), 1.0] for text in texts], dtype=np.float32).reshape(len(texts), 2)


async def _with_batcher(model: Model, *requests: Sequence[str], wait: float, most: int) -> list[object]:
    batcher = Batcher(model, wait_seconds=wait, most_rows=most)
    task = asyncio.create_task(batcher.run())
    found = await asyncio.gather(*(batcher.probabilities(texts) for texts in requests), return_exceptions=True)
    task.cancel()
    batcher.stop()
    return found


def test_requests_within_the_wait_are_one_batch_and_get_their_own_rows() -> None:
    model = Model()
    found = asyncio.run(_with_batcher(model, ["1"], ["2", "3"], [], ["4"], wait=0.2, most=100))
    assert model.batches == [["1", "2", "3", "4"]]
    assert [np.asarray(rows)[:, 0].tolist() for rows in found] == [[1], [2, 3], [], [4]]


def test_a_full_batch_does_not_wait_and_a_long_request_is_cut() -> None:
    model = Model()
    texts = [str(number) for number in range(6)]
    [found] = asyncio.run(asyncio.wait_for(_with_batcher(model, texts, wait=30, most=3), 10))
    assert model.batches == [["0", "1", "2"], ["3", "4", "5"]]
    assert np.asarray(found)[:, 0].tolist() == list(range(6))


def test_an_error_reaches_the_clients_of_its_batch_alone() -> None:
    model = Model()
    found = asyncio.run(_with_batcher(model, ["1", "2", "3"], ["bad", "bad", "bad"], ["4"], wait=0.05, most=3))
    assert np.asarray(found[0])[:, 0].tolist() == [1, 2, 3]
    assert isinstance(found[1], ValueError)
    assert np.asarray(found[2])[:, 0].tolist() == [4]


def test_rows_of_a_client_that_has_gone_are_not_computed() -> None:
    async def story(model: Model) -> list[float]:
        batcher = Batcher(model, wait_seconds=0.1, most_rows=100)
        task = asyncio.create_task(batcher.run())
        gone = asyncio.create_task(batcher.probabilities(["1"]))
        await asyncio.sleep(0.01)
        gone.cancel()
        kept = await batcher.probabilities(["2"])
        task.cancel()
        batcher.stop()
        return [float(value) for value in kept[:, 0]]

    model = Model()
    assert asyncio.run(story(model)) == [2.0]
    assert model.batches == [["2"]]


def test_requests_that_come_during_a_batch_are_the_next_one() -> None:
    async def story(model: Model) -> int:
        batcher = Batcher(model, wait_seconds=0.0, most_rows=100)
        task = asyncio.create_task(batcher.run())
        model.may_go_on.clear()
        first = asyncio.create_task(batcher.probabilities(["1"]))
        await asyncio.sleep(0.05)
        others = [asyncio.create_task(batcher.probabilities([str(number)])) for number in range(2, 6)]
        await asyncio.sleep(0.05)
        waiting = batcher.num_waiting
        model.may_go_on.set()
        await asyncio.gather(first, *others)
        task.cancel()
        batcher.stop()
        return waiting

    model = Model()
    assert asyncio.run(story(model)) == 4
    assert model.batches == [["1"], ["2", "3", "4", "5"]]


@pytest.mark.parametrize("most", [1, 4])
def test_many_clients_get_the_right_rows(most: int) -> None:
    model = Model()
    requests = [[str(number)] for number in range(50)]
    found = asyncio.run(_with_batcher(model, *requests, wait=0.001, most=most))
    assert [float(np.asarray(rows)[0, 0]) for rows in found] == list(range(50))
    assert max(map(len, model.batches)) <= most
