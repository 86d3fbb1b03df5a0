"""Which device a labelling job takes, and how its workers share several GPUs."""

import csv
import shutil
import signal
import subprocess
import sys
from collections import Counter
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import psutil
import pytest
import torch

from textlstm.config import Device, LabelConfig, LabellingConfig, Precision
from textlstm.errors import IntegrityError, StorageError, TextLSTMError
from textlstm.inference import gpu_process
from textlstm.inference.classifier import TextClassifier
from textlstm.labelling.engines import local, start
from textlstm.labelling.job import label_files
from textlstm.labelling.model import load_model
from textlstm.models.network.inputs import EncodedSplit

HERE = Path(__file__).parent


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


# Larger inputs: worker processes prepare texts, and one process a GPU computes.


class Cards(NamedTuple):
    """Two pretended cards, and what their processes were asked."""

    log: Path
    processes: list[gpu_process.GpuProcess]

    def questions(self) -> Counter[str]:
        """Return the number of texts that each card was asked about."""
        counts: Counter[str] = Counter()
        for line in self.log.read_text().splitlines() if self.log.exists() else ():
            card, num_texts = line.split()
            counts[card] += int(num_texts)
        return counts


@pytest.fixture
def cards(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Cards:
    """Let the machine have two pretended GPUs, and small inputs be done by workers."""
    found = Cards(tmp_path / "questions", [])
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setenv("PRETENDED_LOG", str(found.log))
    monkeypatch.setattr(gpu_process, "COMMAND", (sys.executable, str(HERE / "pretended_gpu_main.py")))
    monkeypatch.setattr(start, "INLINE_BYTES", 0)
    monkeypatch.setattr(start, "INLINE_ROWS", 0)

    class Noted(gpu_process.GpuProcess):
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, **kwargs)
            found.processes.append(self)

    monkeypatch.setattr(start, "GpuProcess", Noted)
    return found


def _label(model: Path, folder: Path, name: str, **settings: Any) -> list[dict[str, str]]:
    words = ["goal", "match", "bank", "profit", "actor", "scene", "the", "of", "was"]
    texts = [" ".join(words[(row * step) % 9] for step in range(1, 2 + row % 11)) for row in range(240)]
    (folder / "in.csv").write_text("text\n" + "\n".join(texts) + "\n")
    labelling = LabellingConfig(**{"shard_rows": 40, "num_workers": 2, "early_exit": "off", **settings})
    label_files(
        LabelConfig(
            model_dir=str(model), input=[str(folder / "in.csv")], output=str(folder / name), labelling=labelling
        )
    )
    with (folder / name).open() as stream:
        return list(csv.DictReader(stream))


@pytest.mark.skipif(torch.cuda.is_available(), reason="there are real GPUs")
def test_two_cards_label_as_the_cpu_does(early_exit_model: Path, tmp_path: Path, cards: Cards) -> None:
    on_cards = _label(early_exit_model, tmp_path, "cuda.csv", device=Device.cuda)
    # Each of the 240 texts was computed on one of the two cards; each card has a process, and both are over.
    counts = cards.questions()
    assert set(counts) == {"cuda:0", "cuda:1"}
    assert sum(counts.values()) == 240
    assert [process._process.poll() for process in cards.processes] == [-signal.SIGKILL, -signal.SIGKILL]
    on_cpu = TextClassifier.load(early_exit_model, device=Device.cpu, early_exit=0.0)
    for row, prediction in zip(on_cards, on_cpu.predict([row["text"] for row in on_cards]), strict=True):
        assert row["predicted_label"] == prediction.label
        assert float(row["probability"]) == pytest.approx(prediction.probability, abs=2e-6)


@pytest.mark.long
@pytest.mark.skipif(torch.cuda.is_available(), reason="there are real GPUs")
def test_bytes_depend_on_the_number_neither_of_workers_nor_of_cards(
    early_exit_model: Path, tmp_path: Path, cards: Cards
) -> None:
    for num_workers, num_cards in ((3, 2), (1, 1)):
        before = len(cards.processes)
        _label(early_exit_model, tmp_path, f"{num_workers}.csv", device=Device.cuda, num_workers=num_workers)
        assert len(cards.processes) - before == num_cards
    assert (tmp_path / "1.csv").read_bytes() == (tmp_path / "3.csv").read_bytes()
    # `auto` is the CPU, even beside two GPUs.
    assert sum(cards.questions().values()) == 480
    for name, settings in (("auto.csv", {}), ("cpu.csv", {"device": Device.cpu})):
        _label(early_exit_model, tmp_path, name, **settings)
    assert (tmp_path / "auto.csv").read_bytes() == (tmp_path / "cpu.csv").read_bytes()
    assert sum(cards.questions().values()) == 480


@pytest.mark.long
@pytest.mark.skipif(torch.cuda.is_available(), reason="there are real GPUs")
def test_killed_process_of_a_gpu_ends_the_job_and_the_same_command_goes_on(
    early_exit_model: Path, tmp_path: Path, cards: Cards, monkeypatch: pytest.MonkeyPatch
) -> None:
    num_finished: list[int] = []
    plain = local.read_answer

    def heard(answer: Any) -> Any:
        record = plain(answer)
        if record is not None:
            num_finished.append(record.number)
        if record is not None and len(num_finished) == 2:
            for process in cards.processes:
                process._process.kill()
                process._process.wait()
        return record

    monkeypatch.setattr(local, "read_answer", heard)
    with pytest.raises(TextLSTMError) as caught:
        _label(early_exit_model, tmp_path, "out.csv", device=Device.cuda)
    assert str(caught.value) == (
        "the process that computes on the GPU has ended (out of memory?); finished shards are kept, run the same "
        "command to go on, or with labelling.device=cpu"
    )
    before = sum(cards.questions().values())
    assert before < 240
    continued = _label(early_exit_model, tmp_path, "out.csv", device=Device.cuda)
    assert sum(cards.questions().values()) - before <= 240 - 2 * 40  # what was finished was not done again
    assert [row["predicted_label"] for row in continued] == [
        row["predicted_label"] for row in _label(early_exit_model, tmp_path, "cpu.csv", device=Device.cpu)
    ]


@pytest.mark.long
@pytest.mark.skipif(torch.cuda.is_available(), reason="there are real GPUs")
def test_what_is_wrong_with_the_model_is_told_as_by_one_process(
    early_exit_model: Path, tmp_path: Path, cards: Cards
) -> None:
    broken = tmp_path / "model"
    shutil.copytree(early_exit_model, broken)
    with closing(gpu_process.GpuProcess(broken, gpu=1, precision=Precision.fp32, folder=tmp_path)) as process:
        networks = gpu_process.GpuNetworks(process.address)
        rows = EncodedSplit(np.array([2, 3], np.int32), np.array([0, 1, 2]), None, np.zeros(2, np.int64))
        (logits,) = networks.logits(rows)
        assert logits.shape == (2, 3)
    (broken / "weights.safetensors").write_bytes(b"")
    with closing(gpu_process.GpuProcess(broken, gpu=0, precision=Precision.fp32, folder=tmp_path)) as process:
        for _ in range(2):
            with pytest.raises(IntegrityError, match=r"weights\.safetensors: its sha256 is not the manifest's"):
                gpu_process.GpuNetworks(process.address).logits(rows)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there are real GPUs")
def test_process_of_a_gpu_ends_with_its_parent(early_exit_model: Path, tmp_path: Path, cards: Cards) -> None:
    program = (
        "import os, sys; from pathlib import Path; from textlstm.config import Precision; "
        "from textlstm.inference import gpu_process; "
        f"gpu_process.COMMAND = {gpu_process.COMMAND!r}; "
        f"started = gpu_process.GpuProcess(Path({str(early_exit_model)!r}), gpu=0, precision=Precision.fp32, "
        f"folder=Path({str(tmp_path)!r})); print(started.pid, flush=True); os.kill(os.getpid(), 9)"
    )
    parent = subprocess.run([sys.executable, "-c", program], check=False, capture_output=True, text=True)
    assert parent.returncode == -signal.SIGKILL
    process = psutil.Process(int(parent.stdout)) if psutil.pid_exists(int(parent.stdout)) else None
    if process is not None:
        psutil.wait_procs([process], timeout=30)
        assert not process.is_running() or process.status() == psutil.STATUS_ZOMBIE


def test_folder_too_deep_for_a_socket_is_told(tmp_path: Path) -> None:
    folder = tmp_path / ("deep" * 30)
    folder.mkdir()
    with pytest.raises(StorageError) as caught:
        gpu_process.GpuProcess(tmp_path, gpu=0, precision=Precision.fp32, folder=folder)
    assert str(caught.value) == (
        f"{folder}/gpu-0: no socket can be made: AF_UNIX path too long; set TMPDIR to a shorter path"
    )


@pytest.mark.parametrize(("gpus", "expected"), [(("a", "b"), ["a", "b", "a", "b"]), ((), [None] * 4)])
def test_workers_take_the_gpus_in_turn_and_a_replacement_the_place_of_the_lost(
    gpus: tuple[str, ...], expected: list[str | None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(gpu_process.GPU_ADDRESS, raising=False)
    addresses: list[str | None] = []
    plain = subprocess.Popen

    def started(*args: Any, env: dict[str, str], **kwargs: Any) -> Any:
        addresses.append(env.get(gpu_process.GPU_ADDRESS))
        return plain(*args, env=env, **kwargs)

    monkeypatch.setattr(subprocess, "Popen", started)
    job = local.WorkerJob(("sleep", "60"), "model", LabellingConfig(device=Device.cuda), "", "", (), gpus)
    with local.LocalEngine(job, num_workers=3) as engine:
        engine._end_worker(engine._workers[1])
        engine._start_worker()
    assert addresses == expected
