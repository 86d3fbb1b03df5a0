"""Training on a GPU: on the card of this machine, or on a pretended one (`pretended_cuda.py`)."""

import importlib
import statistics
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from textlstm.config import TrainingPrecision

sys.path.insert(0, str(Path(__file__).parent))
gpu = importlib.import_module("gpu_cases")

PRETENDED = not torch.cuda.is_available()
only_pretended = pytest.mark.skipif(not PRETENDED, reason="a real GPU keeps no ledger")


QUICK_IN_BF16 = (
    "lstm",
    "gru",
    "rnn",
    "cnn_lstm",
    "pooling attention",
    "adversarial",
    "default dropouts",
    "multi-label",
)
RUNS = [(name, TrainingPrecision.fp32) for name in gpu.CASES]
RUNS += [
    pytest.param(name, TrainingPrecision.bf16, marks=() if name in QUICK_IN_BF16 else pytest.mark.long)
    for name in gpu.CASES
]


@pytest.mark.parametrize(("name", "precision"), RUNS)
def test_gpu_trains_as_cpu_does(name: str, precision: TrainingPrecision) -> None:
    case = gpu.CASES[name]
    on_gpu = gpu.train(case, on_gpu=True, precision=precision)
    assert np.isfinite(on_gpu.logits).all()
    if on_gpu.ledger is not None:
        assert not on_gpu.ledger.waits, "a step let the host wait"
    if case.has_dropout:
        return
    on_cpu = gpu.train(case, on_gpu=False)
    tolerance = 1e-4 if precision is TrainingPrecision.fp32 else 0.1
    for one, other in zip(on_cpu.result.history, on_gpu.result.history, strict=True):
        assert other.train_loss == pytest.approx(one.train_loss, abs=tolerance)
        assert other.validation_loss == pytest.approx(one.validation_loss, abs=tolerance)
    np.testing.assert_allclose(on_gpu.logits, on_cpu.logits, atol=10 * tolerance)
    assert (on_cpu.words_moved > 0) == (on_gpu.words_moved > 0)


def test_words_are_trained_after_frozen_epochs() -> None:
    thawed = {on: gpu.train(gpu.CASES["words frozen for an epoch"], on_gpu=on).words_moved for on in (True, False)}
    assert thawed[True] == pytest.approx(thawed[False], abs=1e-4)
    assert thawed[True] > 0.005


@only_pretended
@pytest.mark.parametrize(("precision", "most"), [(TrainingPrecision.fp32, 98), (TrainingPrecision.bf16, 106)])
def test_step_of_the_default_network_launches_few_kernels(precision: TrainingPrecision, most: int) -> None:
    # A ratchet: 160 and 186 before the weights of a cell were cast at once and both directions pooled at once.
    trained = gpu.train(gpu.CASES["default dropouts"], on_gpu=True, precision=precision)
    median = statistics.median(trained.launches)
    sys.stdout.write(f"launches a step in {precision}: {median:g}, of 187 (bf16) at first\n")
    assert median <= most, trained.ledger.lines.most_common(40)


@only_pretended
@pytest.mark.parametrize("name", ["lstm", "gru", "rnn", "lstm in two layers", "cnn_lstm"])
def test_weights_lie_in_one_piece_as_cudnn_wants_them(name: str) -> None:
    with gpu.a_gpu() as ledger:
        gpu_ledger = ledger
        gpu.train(gpu.CASES[name], on_gpu=False)
    assert not [call for call in gpu_ledger.recurrent if "SEVERAL" in call]
    assert gpu_ledger.recurrent


@only_pretended
@pytest.mark.parametrize("more", [{}, {"batch_tokens": 96, "epochs": 4}])
def test_both_directions_are_computed_on_streams_of_their_own(more: dict[str, int]) -> None:
    with gpu.a_gpu() as ledger:
        gpu.train(gpu.CASES["lstm in two layers"], on_gpu=False, **more)
        main, side = (stream.launches for stream in ledger.work.streams)
        backward = "the backward pass of a cell"
        assert side["lstm"] == main["lstm"] > 0
        assert side[backward] == main[backward] > 0
        assert bool(ledger.captures) == bool(more)


@only_pretended
@pytest.mark.parametrize("waits", ["the second for the first", "the first for the second"])
def test_streams_that_do_not_wait_would_be_noticed(waits: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from pretended_streams import PretendedStream

    plain, is_left_out = PretendedStream.wait_stream, waits == "the second for the first"
    with gpu.a_gpu() as ledger:
        first = torch.cuda.current_stream()
        monkeypatch.setattr(
            PretendedStream,
            "wait_stream",
            lambda self, other: None if (other is first) == is_left_out else plain(self, other),
        )
        gpu.train(gpu.CASES["lstm"], on_gpu=False)
        assert ledger.work.races
        ledger.work.races.clear()
