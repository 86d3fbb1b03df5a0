"""How the processes of `torchrun` join on GPUs; NCCL itself needs cards."""

from datetime import timedelta

import pytest
import torch
from torch import distributed

from textlstm.config import Device
from textlstm.processes.devices import choose_device
from textlstm.processes.distributed import Processes, joined


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
