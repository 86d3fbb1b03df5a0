"""A training that was stopped on one device is continued on another."""

import errno
import hashlib
import importlib
import sys
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from textlstm.errors import ConfigError, Interrupted, StorageError
from textlstm.training import checkpoints
from textlstm.training.gradients import is_out_of_memory
from textlstm.training.graphs import StepGraphs

sys.path.insert(0, str(Path(__file__).parent))
gpu = importlib.import_module("gpu_cases")

only_pretended = pytest.mark.skipif(torch.cuda.is_available(), reason="a real GPU keeps no ledger")


@pytest.mark.parametrize("name", ["lstm", "neither average nor clipping", "words frozen for an epoch", "char_cnn"])
@pytest.mark.parametrize(("first", "second"), [("cpu", "gpu"), ("gpu", "cpu"), ("gpu", "gpu")])
def test_stopped_training_continues_on_any_device(name: str, first: str, second: str, tmp_path: Path) -> None:
    case = gpu.CASES[name]
    for num_steps in (2, 6):  # in the first epoch and in the second, on the other device both times
        with pytest.raises(Interrupted):
            gpu.train(case, on_gpu=first == "gpu", checkpoint_dir=tmp_path, stop=gpu.stop_after(num_steps))
    continued = gpu.train(case, on_gpu=second == "gpu", checkpoint_dir=tmp_path)
    whole = gpu.train(case, on_gpu=False)
    assert [event.partition(" ")[0] for event in continued.result.events][-1] == "continued"
    for one, other in zip(whole.result.history, continued.result.history, strict=True):
        assert other.train_loss == pytest.approx(one.train_loss, abs=1e-4)
    np.testing.assert_allclose(continued.logits, whole.logits, atol=1e-3)


@pytest.mark.parametrize(
    "message",
    [
        "CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`",
        "cuDNN error: CUDNN_STATUS_ALLOC_FAILED",
        "CUDA error: out of memory",
        "[enforce fail at alloc_cpu.cpp:124] DefaultCPUAllocator: can't allocate memory",
    ],
)
def test_memory_may_run_out_inside_a_library(message: str) -> None:
    assert is_out_of_memory(RuntimeError(message))
    assert is_out_of_memory(torch.OutOfMemoryError("CUDA out of memory."))
    assert not is_out_of_memory(RuntimeError("CUDA error: device-side assert triggered"))


@only_pretended
def test_memory_is_given_back_before_a_batch_is_tried_in_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    from textlstm.models.network.network import TextNetwork

    embed, seen = TextNetwork.embed, []

    def small_memory(self: TextNetwork, batch: object) -> torch.Tensor:
        if self.training and len(batch.lengths) > 12:
            raise RuntimeError("cuDNN error: CUDNN_STATUS_ALLOC_FAILED")
        return embed(self, batch)

    monkeypatch.setattr(TextNetwork, "embed", small_memory)
    with gpu.a_gpu() as ledger:
        result = gpu.train(gpu.CASES["lstm"], on_gpu=False).result
        seen.append(ledger.calls["empty_cache"])
    assert len(result.events) == seen[0] >= 1
    monkeypatch.undo()
    whole = gpu.train(gpu.CASES["lstm"], on_gpu=False).result
    assert result.history[-1].train_loss == pytest.approx(whole.history[-1].train_loss, abs=1e-4)


# Checkpoints of a GPU are written by a thread while the training goes on.


@only_pretended
def test_checkpoint_of_every_step_has_the_bytes_of_its_moment_and_no_step_waits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written: list[str] = []
    wanted: list[str] = []
    save, replace_file = checkpoints.CheckpointWriter.save, checkpoints.replace_file

    def noted(self: checkpoints.CheckpointWriter, tensors: dict[str, torch.Tensor], progress: dict[str, Any]) -> None:
        from pretended_cuda import PretendedTensor, real
        from safetensors.torch import save as to_bytes

        now = {name: (real(t) if isinstance(t, PretendedTensor) else t).detach().clone() for name, t in tensors.items()}
        wanted.append(hashlib.sha256(to_bytes(now)).hexdigest())
        save(self, tensors, progress)

    def keep(path: Path, data: bytes) -> None:
        if path.suffix == ".safetensors":
            written.append(hashlib.sha256(data).hexdigest())
        replace_file(path, data)

    monkeypatch.setattr(checkpoints.CheckpointWriter, "save", noted)
    monkeypatch.setattr(checkpoints, "replace_file", keep)
    with gpu.a_gpu() as ledger:
        gpu.train(gpu.CASES["lstm"], on_gpu=False, checkpoint_dir=tmp_path, checkpoint_seconds=1e-9)
        assert not [wait for wait in ledger.waits if "checkpoints.py" in wait]
    assert len(set(written)) == len(written) >= 10
    assert written == wanted


@pytest.mark.parametrize("on_gpu", [True, False])
def test_training_goes_on_while_a_gpu_s_checkpoint_is_written(
    on_gpu: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    later_step, did_go_on = threading.Event(), []
    replace_file, num_steps = checkpoints.replace_file, []

    def slow(path: Path, data: bytes) -> None:
        did_go_on.append(later_step.wait(20 if on_gpu else 0.1))
        replace_file(path, data)

    def stop() -> int:
        num_steps.append(1)
        if len(num_steps) == 2:
            later_step.set()
        return 0

    monkeypatch.setattr(checkpoints, "replace_file", slow)
    gpu.train(gpu.CASES["lstm"], on_gpu=on_gpu, checkpoint_dir=tmp_path, stop=stop, checkpoint_seconds=1e-9, epochs=1)
    # The first file is written after the first step: on a CPU before the second one begins.
    assert did_go_on[0] == on_gpu
    assert sorted(path.suffix for path in tmp_path.iterdir()) == [".json", ".json", ".safetensors", ".safetensors"]


@only_pretended
@pytest.mark.parametrize("is_waited_for", [True, False])
def test_no_step_is_captured_while_a_thread_waits_for_the_device(
    is_waited_for: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ready, capture_if_due = checkpoints.HostCopies.ready, StepGraphs.capture_if_due
    has_begun = threading.Event()

    def late(self: checkpoints.HostCopies) -> dict[str, torch.Tensor]:
        has_begun.wait(0.3)
        return ready(self)

    def noted(self: StepGraphs, *args: Any) -> bool:
        step = self._step

        def begun(*args: Any) -> None:
            has_begun.set()
            threading.Event().wait(0.2)
            step(*args)

        self._step = begun
        try:
            return capture_if_due(self, *args)
        finally:
            self._step = step

    monkeypatch.setattr(checkpoints.HostCopies, "ready", late)
    monkeypatch.setattr(StepGraphs, "capture_if_due", noted)
    if not is_waited_for:  # the negative control
        plain = StepGraphs.__init__
        monkeypatch.setattr(StepGraphs, "__init__", lambda self, step, **how: plain(self, step, device=how["device"]))
    # A checkpoint is under way when the first shape comes for the third time.
    how = {"checkpoint_dir": tmp_path, "checkpoint_seconds": 1e-9, "batch_tokens": 96}
    if is_waited_for:
        trained = gpu.train(gpu.CASES["lstm"], on_gpu=True, **how)
        assert trained.ledger.captures
        assert not trained.result.events
    else:
        with pytest.raises(RuntimeError, match="an event is waited for"):
            gpu.train(gpu.CASES["lstm"], on_gpu=True, **how)


def _full_disk(_path: Path, _data: bytes) -> None:
    raise OSError(errno.ENOSPC, "No space left on device")


@pytest.mark.parametrize("on_gpu", [True, False])
@pytest.mark.parametrize("num_steps", [2, 1000])
def test_checkpoint_that_cannot_be_written_ends_the_training(
    on_gpu: bool, num_steps: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checkpoints, "replace_file", _full_disk)
    stop = gpu.stop_after(num_steps)
    with pytest.raises(StorageError, match="the checkpoint cannot be written: No space left on device"):
        gpu.train(gpu.CASES["lstm"], on_gpu=on_gpu, checkpoint_dir=tmp_path, stop=stop, epochs=1)
    assert not [thread for thread in threading.enumerate() if thread.name == "checkpoint"]


def test_what_went_wrong_in_the_training_is_told_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkpoints, "replace_file", _full_disk)
    writer = checkpoints.CheckpointWriter(checkpoints.CheckpointStore(tmp_path, fingerprint="f"))

    def diverge() -> None:
        with writer.until_written():
            writer.save({"weights": torch.ones(3, device="cuda")}, {})
            raise ConfigError("diverged")

    with gpu.a_gpu(), pytest.raises(ConfigError, match="diverged"):
        diverge()
    assert not [thread for thread in threading.enumerate() if thread.name == "checkpoint"]


def test_stop_comes_after_its_checkpoint_is_on_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    replace_file = checkpoints.replace_file

    def slow(path: Path, data: bytes) -> None:
        threading.Event().wait(0.2)
        replace_file(path, data)

    monkeypatch.setattr(checkpoints, "replace_file", slow)
    with pytest.raises(Interrupted):
        gpu.train(gpu.CASES["lstm"], on_gpu=True, checkpoint_dir=tmp_path, stop=gpu.stop_after(3))
    assert sorted(path.suffix for path in tmp_path.iterdir()) == [".json", ".safetensors"]
