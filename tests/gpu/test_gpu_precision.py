"""Number formats on a GPU: fp32 is exact to rounding, TF32 and bf16 are choices."""

import importlib
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from textlstm.config import Device, Precision, TrainingPrecision
from textlstm.errors import ConfigError
from textlstm.explain.explanation import explain_texts
from textlstm.inference.classifier import TextClassifier
from textlstm.models.network.precision import tf32_set_to

sys.path.insert(0, str(Path(__file__).parent))
gpu = importlib.import_module("gpu_cases")
TEXTS = [
    "Shares fell again after the warning.",
    "",
    "A late goal decided the match!",
    "The plot is thin, the acting superb.",
]
only_pretended = pytest.mark.skipif(torch.cuda.is_available(), reason="a real GPU may lack TF32")


def _logits(model_dir: Path, device: Device, precision: Precision = Precision.fp32) -> np.ndarray:
    return (
        TextClassifier.load(model_dir, device=device, precision=precision, num_threads=1).score(TEXTS).recurrent_logits
    )


def test_saved_model_answers_on_a_gpu_as_on_a_cpu(tiny_model: Path) -> None:
    expected = _logits(tiny_model, Device.cpu)
    with gpu.a_gpu():
        np.testing.assert_allclose(_logits(tiny_model, Device.cuda), expected, atol=1e-6)
        np.testing.assert_allclose(_logits(tiny_model, Device.auto, Precision.bf16), expected, atol=0.05)


def test_explanations_are_exact_on_a_gpu(tiny_model: Path) -> None:
    on_cpu = explain_texts(TextClassifier.load(tiny_model, device=Device.cpu, num_threads=1), TEXTS)
    with gpu.a_gpu():
        on_gpu = explain_texts(TextClassifier.load(tiny_model, device=Device.cuda, num_threads=1), TEXTS)
    for one, other in zip(on_cpu, on_gpu, strict=True):
        assert one.label == other.label
        assert all(cell.error < 1e-5 for cell in other.cells)
        for method, values in one.attributions.items():
            np.testing.assert_allclose(other.attributions[method], values, atol=1e-4)


@only_pretended
def test_fp32_holds_whatever_torch_is_set_to(tiny_model: Path) -> None:
    exact = _logits(tiny_model, Device.cpu)
    with gpu.a_gpu(), tf32_set_to(True):
        np.testing.assert_allclose(_logits(tiny_model, Device.cuda), exact, atol=1e-6)
        assert torch.backends.cudnn.rnn.fp32_precision == "tf32"  # and torch is left as it was


@only_pretended
def test_tf32_is_a_choice_of_training_alone() -> None:
    fp32, tf32 = (
        gpu.train(gpu.CASES["lstm"], on_gpu=True, precision=precision)
        for precision in (TrainingPrecision.fp32, TrainingPrecision.tf32)
    )
    gaps = [abs(a.train_loss - b.train_loss) for a, b in zip(fp32.result.history, tf32.result.history, strict=True)]
    assert 1e-6 < max(gaps) < 1e-2


def test_tf32_is_refused_on_a_cpu() -> None:
    with pytest.raises(ConfigError) as caught:
        gpu.train(gpu.CASES["lstm"], on_gpu=False, precision=TrainingPrecision.tf32, device=Device.cpu)
    assert str(caught.value) == (
        "training.precision=tf32: this cpu has no TF32 (GPUs have it from Ampere on); set training.precision=auto"
    )


@only_pretended
def test_random_state_and_workspace_are_put_back(monkeypatch: pytest.MonkeyPatch) -> None:
    import os

    monkeypatch.delenv("CUBLAS_WORKSPACE_CONFIG", raising=False)
    with gpu.a_gpu() as ledger:
        monkeypatch.setattr(torch.cuda, "get_rng_state_all", lambda: ["the state before"])
        put_back = []
        monkeypatch.setattr(torch.cuda, "set_rng_state_all", put_back.append)
        gpu.train(gpu.CASES["lstm"], on_gpu=False, deterministic=True)
        assert ledger.recurrent
    assert put_back == [["the state before"]]
    assert "CUBLAS_WORKSPACE_CONFIG" not in os.environ
