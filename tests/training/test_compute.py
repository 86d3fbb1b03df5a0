"""Threads of a training."""

import os

import pytest
import torch

from textlstm.config import TrainingConfig
from textlstm.training.compute import compute_settings, num_threads_of

CPU = torch.device("cpu")


@pytest.mark.parametrize(
    ("settings", "parallel_tokens", "expected"),
    [
        ({"batch_size": 16}, 0, 1),
        ({"batch_size": 63}, 0, 1),
        ({"batch_size": 64}, 0, 2),
        ({"batch_size": 1_000}, 0, 4),
        ({"batch_size": 16, "num_threads": 3}, 0, 3),
        ({"batch_size": 1_000, "deterministic": True}, 0, 1),
        ({"batch_size": 16}, 749, 1),
        ({"batch_size": 16}, 750, 2),
        ({"batch_size": 64}, 10_000, 4),
        ({"batch_size": 16, "deterministic": True}, 10_000, 1),
    ],
)
def test_small_batches_have_few_threads(monkeypatch, settings, parallel_tokens, expected):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1, 2, 3})
    assert num_threads_of(TrainingConfig(**settings), parallel_tokens=parallel_tokens) == expected


def test_threads_are_shared_by_processes_and_put_back():
    before = torch.get_num_threads()
    with compute_settings(TrainingConfig(num_threads=4), CPU, num_processes=2):
        assert torch.get_num_threads() == 2
    assert torch.get_num_threads() == before


@pytest.mark.parametrize(("parallel_tokens", "expected"), [(0, 4), (10_000, 2)])
def test_directions_share_the_threads_where_the_network_allows_it(parallel_tokens, expected):
    with compute_settings(TrainingConfig(num_threads=4), CPU, parallel_tokens=parallel_tokens):
        assert torch.get_num_threads() == expected
