"""Gradients summed over processes: begun within the backward pass, and of the word table the rows of the batch."""

import importlib
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, distributed

from textlstm.processes.distributed import Processes
from textlstm.training.exchange import sum_rows
from textlstm.training.job import TrainingJob
from textlstm.training.trainer import Trainer

sys.path.insert(0, str(Path(__file__).parent))
toy = importlib.import_module("toy")


class Beside(Processes):
    """Two processes, of which the other sends what is given here."""

    def __init__(self, *theirs: Tensor) -> None:
        super().__init__(0, 2)
        object.__setattr__(self, "theirs", theirs)
        object.__setattr__(self, "sizes", [])

    def sum(self, tensors: Sequence[Tensor]) -> None:
        self.sizes.append(tuple(tensors[0].shape))
        for tensor, other in zip(tensors, self.theirs, strict=True):
            tensor.add_(other)


@pytest.mark.parametrize(("num_words", "expected"), [(50, (7, 3)), (7, (7, 3))])
def test_rows_of_the_batch_are_exchanged(num_words: int, expected: tuple[int, int]) -> None:
    token_ids = torch.tensor([[4, 5, 4], [6, 0, 90]])  # the last one is an unknown word with a spelling
    mine, theirs = torch.zeros(num_words, 3), torch.zeros(num_words, 3)
    mine[[1, 4]], theirs[[4, 5, 6]] = 1.0, 2.0
    whole = mine + theirs
    loss = torch.tensor(3.0)
    ids = torch.tensor([4, 5, 4, 6, 0, 1, 1])
    sent = theirs[ids] if num_words == 50 else theirs
    processes = Beside(sent, torch.tensor(4.0))
    sum_rows(mine, token_ids, [loss], processes=processes)
    torch.testing.assert_close(mine, whole)
    assert (float(loss), processes.sizes) == (7.0, [expected])


class _Done:
    def wait(self) -> None:
        pass


@pytest.fixture
def trainer(monkeypatch: pytest.MonkeyPatch) -> Trainer:
    """The first of two processes; the second one has the same gradients."""
    monkeypatch.setattr(Trainer, "_share_state", lambda self: None)
    job = TrainingJob(
        toy.network(locked_dropout=0.0, head_dropout=0.0, word_dropout=0.0),
        toy.split(60, seed=1),
        toy.split(20, seed=2),
        config=toy.config(),
        task=toy.TASK,
        seed=3,
    )
    return Trainer(job, Processes(0, 2), device=torch.device("cpu"), checkpoint_dir=None)


def _step(trainer: Trainer) -> list[np.ndarray]:
    batch = trainer.begin_epoch().batch(0)
    assert batch is not None
    inputs, targets, words, _ = batch.gathered
    before_last = trainer.begin_step(words)
    loss = trainer.gradients.add(
        inputs, targets, trainer.optimizer, trainer.progress, share=slice(0, None, 2), before_last=before_last
    )
    assert trainer.sum_over_processes(loss, inputs.token_ids, asked_to_stop=0) == 0
    return [gradient.numpy().copy() for gradient in trainer.optimizer.gradients]


def test_sums_begin_within_the_backward_pass(trainer: Trainer, monkeypatch: pytest.MonkeyPatch) -> None:
    order: list[str] = []

    def all_reduce(tensor: Tensor, async_op: bool = False) -> _Done:
        order.append("cells" if async_op else "words")
        tensor *= 2
        return _Done()

    monkeypatch.setattr(distributed, "all_reduce", all_reduce)
    trainer.network.embedder.words.weight.register_post_accumulate_grad_hook(lambda _: order.append("words are ready"))
    _step(trainer)
    assert order == ["cells", "words are ready", "words"]


def test_memory_that_runs_out_after_a_sum_has_begun_sums_nothing_twice(
    trainer: Trainer, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[int] = []

    def all_reduce(tensor: Tensor, async_op: bool = False) -> _Done:
        calls.append(tensor.numel())
        tensor *= 2
        return _Done()

    monkeypatch.setattr(distributed, "all_reduce", all_reduce)
    expected = _step(trainer)
    expected_calls, failures = list(calls), []
    calls.clear()

    def run_out(_: Tensor) -> None:
        if not failures:
            failures.append(1)
            raise RuntimeError("can't allocate memory")

    trainer.network.embedder.words.weight.register_post_accumulate_grad_hook(run_out)
    found = _step(trainer)
    assert (trainer.progress.pieces, calls) == (2, expected_calls)
    for one, other in zip(expected, found, strict=True):
        np.testing.assert_allclose(other, one, atol=1e-6)
