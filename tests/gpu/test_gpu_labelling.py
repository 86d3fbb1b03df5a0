"""Which device a labelling job takes, and how its workers share several GPUs."""

import subprocess
from pathlib import Path
from typing import Any

import pytest
import torch

from textlstm.config import Device, LabellingConfig
from textlstm.inference.classifier import TextClassifier
from textlstm.labelling.engines import local, start
from textlstm.labelling.model import load_model


@pytest.mark.parametrize(
    ("asked", "taken"), [(Device.auto, Device.cpu), (Device.cpu, Device.cpu), (Device.cuda, Device.cuda)]
)
def test_auto_is_the_cpu_even_beside_a_gpu(
    asked: Device, taken: Device, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[Device] = []
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(TextClassifier, "load", lambda _, *, device, **__: seen.append(device))
    load_model(tmp_path, LabellingConfig(device=asked), False)
    assert seen == [taken]


@pytest.mark.parametrize(
    ("settings", "cores", "expected"),
    [
        ({"device": Device.cuda}, 64, 8),
        ({"device": Device.cuda}, 2, 2),
        ({"device": Device.cuda, "num_workers": 20}, 64, 20),
        ({}, 64, 64),
    ],
)
def test_a_gpu_has_few_workers(
    settings: dict[str, Any], cores: int, expected: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(start, "num_cores", lambda: cores)
    assert start.num_workers(LabellingConfig(**settings)) == expected


@pytest.mark.parametrize(("device", "expected"), [(Device.cuda, ["0", "1", "2", "1"]), (Device.cpu, [None] * 4)])
def test_workers_take_the_gpus_in_turn_and_a_replacement_the_place_of_the_lost(
    device: Device, expected: list[str | None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("LOCAL_RANK", raising=False)
    places: list[str | None] = []
    plain = subprocess.Popen

    def started(*args: Any, env: dict[str, str], **kwargs: Any) -> Any:
        places.append(env.get("LOCAL_RANK"))
        return plain(*args, env=env, **kwargs)

    monkeypatch.setattr(subprocess, "Popen", started)
    job = local.WorkerJob(("sleep", "60"), "model", LabellingConfig(device=device), "", "", ())
    with local.LocalEngine(job, num_workers=3) as engine:
        engine._end_worker(engine._workers[1])
        engine._start_worker()
    assert places == expected
