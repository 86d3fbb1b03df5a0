"""Threads of a training."""

import os

import pytest
import torch

from textlstm.config import TrainingConfig
from textlstm.training.compute import compute_settings, num_threads_of


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"batch_size": 16}, 1),
        ({"batch_size": 63}, 1),
        ({"batch_size": 64}, 2),
        ({"batch_size": 1_000}, 4),
        ({"batch_size": 16, "num_threads": 3}, 3),
        ({"batch_size": 1_000, "deterministic": True}, 1),
    ],
)
def test_small_batches_have_few_threads(monkeypatch, settings, expected):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1, 2, 3})
    assert num_threads_of(TrainingConfig(**settings)) == expected


def test_threads_are_shared_by_processes_and_put_back():
    before = torch.get_num_threads()
    with compute_settings(TrainingConfig(num_threads=4), num_processes=2):
        assert torch.get_num_threads() == 2
    assert torch.get_num_threads() == before
