"""How the processes of `torchrun` join and train on GPUs; NCCL itself needs cards."""

import importlib
import json
import os
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import distributed

from textlstm.config import Device
from textlstm.processes.devices import choose_device
from textlstm.processes.distributed import Processes, joined

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))
gpu = importlib.import_module("gpu_cases")
harness = importlib.import_module("two_gpus_harness")


@pytest.fixture
def joining(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, dict[str, object]]]:
    """The calls that join and leave, in their order."""
    calls: list[tuple[str, dict[str, object]]] = []
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "set_device", lambda device: calls.append(("use", {"device": device})))
    monkeypatch.setattr(distributed, "init_process_group", lambda name, **how: calls.append((name, how)))
    monkeypatch.setattr(distributed, "destroy_process_group", lambda: calls.append(("leave", {})))
    monkeypatch.setattr(distributed, "get_rank", lambda: 3)
    monkeypatch.setattr(distributed, "get_world_size", lambda: 4)
    return calls


def test_each_process_of_a_machine_has_its_own_gpu(
    joining: list[tuple[str, dict[str, object]]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LOCAL_RANK", "1")
    device = choose_device(Device.auto, key="training.device")
    with joined(device) as processes:
        assert processes == Processes(rank=3, size=4)
    assert joining == [
        ("use", {"device": torch.device("cuda", 1)}),
        ("nccl", {"timeout": timedelta(hours=3), "device_id": torch.device("cuda", 1)}),
        ("leave", {}),
    ]


def test_processes_without_gpus_join_by_gloo(joining: list[tuple[str, dict[str, object]]]) -> None:
    with joined(choose_device(Device.cpu, key="training.device")):
        pass
    assert joining == [("gloo", {"timeout": timedelta(hours=3)}), ("leave", {})]


@pytest.mark.skipif(torch.cuda.is_available(), reason="there are real GPUs")
@pytest.mark.parametrize(
    "name",
    [
        "lstm in two layers",
        pytest.param("subwords", marks=pytest.mark.long),
        pytest.param("lstm large", marks=pytest.mark.long),
        pytest.param("words frozen for an epoch large", marks=pytest.mark.long),
    ],
)
def test_two_pretended_gpus_train_as_one_process(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    name, large = name.removesuffix(" large"), ["large"] * name.endswith(" large")
    environment = {**os.environ, "PYTHONPATH": f"{HERE.parents[1] / 'src'}:{HERE}"}
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2"]
    command += [str(HERE / "two_gpus_harness.py"), str(tmp_path), name, *large]
    subprocess.run(command, env=environment, check=True, capture_output=True, timeout=240)
    first, second = (json.loads((tmp_path / f"{rank}.json").read_text()) for rank in (0, 1))
    monkeypatch.setattr(gpu, "VOCABULARY_SIZE", harness.VOCABULARY_SIZE)
    whole = gpu.train(gpu.CASES[name], on_gpu=False)
    for found in (first, second):
        for report, (train_loss, validation_loss) in zip(whole.result.history, found["losses"], strict=True):
            assert train_loss == pytest.approx(report.train_loss, abs=1e-4)
            assert validation_loss == pytest.approx(report.validation_loss, abs=1e-4)
        np.testing.assert_allclose(found["logits"], whole.logits, atol=1e-3)
        assert not {line for line in found["waits"] if "num_asked" not in line and "sum_over_processes" not in line}
        # Of the table of 1,500 words of 10 dimensions only the rows of a batch travel.
        assert found["largest_sum"] < harness.VOCABULARY_SIZE * 10 / 2
