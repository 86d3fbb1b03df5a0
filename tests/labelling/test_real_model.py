"""Labelling with a saved model: the library's own predictions, the same bytes from every engine, costly rows."""

import csv
import gc
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from textlstm.config import Engine, LabelConfig, LabellingConfig
from textlstm.labelling.engines import start
from textlstm.labelling.job import label_files
from textlstm.labelling.model import load_model
from textlstm.labelling.summary import LabelSummary
from textlstm.labelling.trace import replay_row


def label(model: Path, source: Path, output: Path, *, engine: Engine = Engine.local, workers: int = 2) -> LabelSummary:
    settings = LabellingConfig(shard_rows=100, num_workers=workers, max_reject_fraction=0.5)
    return label_files(
        LabelConfig(model_dir=str(model), input=[str(source)], output=str(output), engine=engine, labelling=settings)
    )


def write_rows(path: Path, num_rows: int) -> None:
    words = ["goal", "match", "bank", "profit", "actor", "scene", "the", "of", "was"]
    with path.open("w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["text"])
        for row in range(num_rows):
            writer.writerow([" ".join(words[(row * step) % 9] for step in range(1, 2 + row % 11)) + f" {row}"])


def test_labels_are_those_of_the_library(tmp_path: Path, tiny_model: Path) -> None:
    from textlstm.inference.classifier import TextClassifier

    (tmp_path / "in.jsonl").write_text(
        '{"text": "the goal of the match"}\n{"text": "\\u200b"}\n{"text": "bank profit"}\n'
    )
    label(tiny_model, tmp_path / "in.jsonl", tmp_path / "out.jsonl")
    rows = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    predictions = TextClassifier.load(tiny_model).predict([row["text"] for row in rows])
    assert [row["predicted_label"] for row in rows] == ["sport", "", "money"]
    assert [row["predicted_label"] for row in rows] == [prediction.label for prediction in predictions]
    assert [row["probability"] for row in rows] == pytest.approx([one.probability for one in predictions], abs=2e-6)
    assert [row["decision"] for row in rows] == [str(prediction.decision) for prediction in predictions]
    assert replay_row(str(tmp_path / "out.jsonl"), 3).differences == ()


def test_workers_give_the_labels_of_the_calling_process(
    tmp_path: Path, tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_rows(tmp_path / "in.csv", 400)
    label(tiny_model, tmp_path / "in.csv", tmp_path / "inline.csv")
    monkeypatch.setattr(start, "INLINE_BYTES", 0)
    summary = label(tiny_model, tmp_path / "in.csv", tmp_path / "workers.csv")
    assert summary.num_workers == 2
    pairs = zip(
        csv.DictReader((tmp_path / "inline.csv").open()), csv.DictReader((tmp_path / "workers.csv").open()), strict=True
    )
    for one, other in pairs:
        assert (one["text"], one["predicted_label"]) == (other["text"], other["predicted_label"])
        assert float(one["probability"]) == pytest.approx(float(other["probability"]), abs=2e-5)


@pytest.mark.long
def test_local_and_ray_engines_give_the_same_bytes(
    tmp_path: Path, tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("ray", reason="Ray is not installed (extra 'ray')")
    write_rows(tmp_path / "in.csv", 5000)
    monkeypatch.setattr(start, "INLINE_BYTES", 0)
    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    for engine, workers in ((Engine.local, 1), (Engine.local, 2), (Engine.ray, 2), (Engine.ray, 3)):
        label(tiny_model, tmp_path / "in.csv", tmp_path / f"{engine}{workers}.csv", engine=engine, workers=workers)
    outputs = [(tmp_path / name).read_bytes() for name in ("local1.csv", "local2.csv", "ray2.csv", "ray3.csv")]
    assert len(set(outputs)) == 1
    assert outputs[0].count(b"\n") == 5001


PATHOLOGICAL = {
    "brackets": "(" * 20_000,
    "emoji": "\U0001f600" * 20_000,
    "one word": "a" * 900_000,
    "a million characters": "goal " * 200_000,
    "white space": " " * 1_000_000,
    "zero width": "\u200b" * 100_000,
    "combining marks": "e\u0301" * 100_000,
    "dots": "." * 100_000,
    "URLs": "http://a.b/c?d=e&f=g#h/" * 20_000,
    "apostrophes": "'" * 50_000,
    "right to left": "\u05d0\u05d1 " * 50_000,
    "escapes": "\x1b[31m" * 50_000,
    "digits": "1234567890" * 50_000,
    "lines": "a\n" * 200_000,
    "mixed case without spaces": "aB1-" * 100_000,
}


@pytest.fixture(scope="module")
def classifier(tiny_model: Path) -> Iterator[object]:
    # One collection of the million objects that the other tests of a whole run leave took .57 s of a row's time.
    gc.collect()
    gc.freeze()
    yield load_model(tiny_model, LabellingConfig(), False)
    gc.unfreeze()


@pytest.mark.parametrize("name", PATHOLOGICAL)
def test_no_row_costs_more_than_a_second(classifier, name: str) -> None:
    """F10, in processor time of this thread's process, so that a busy machine does not count."""
    text = PATHOLOGICAL[name]
    assert len(text) <= 1_000_000
    classifier.predict_proba(["a usual text first"])
    started = time.process_time()
    probabilities = classifier.predict_proba([text])
    assert time.process_time() - started < 1.0
    assert probabilities.shape == (1, 3)


MEMORY_PROGRAM = """
import sys
from textlstm.config import LabelConfig, LabellingConfig
from textlstm.labelling.job import label_files
label_files(LabelConfig(model_dir=sys.argv[1], input=[sys.argv[2]], output=sys.argv[3], labelling=LabellingConfig(num_workers=2)))
"""


def peak_memory(model: Path, source: Path, output: Path) -> float:
    """Label in a process of its own; return the largest memory of it and its workers together, in bytes."""
    process = subprocess.Popen([sys.executable, "-c", MEMORY_PROGRAM, str(model), str(source), str(output)])
    peak = 0.0
    stop = threading.Event()
    while process.poll() is None:
        try:
            family = [psutil.Process(process.pid), *psutil.Process(process.pid).children(recursive=True)]
            peak = max(peak, float(sum(one.memory_info().rss for one in family)))
        except psutil.Error:
            pass
        stop.wait(0.2)
    assert process.returncode == 0
    return peak


@pytest.mark.long
def test_memory_does_not_grow_with_the_input(tmp_path: Path, tiny_model: Path) -> None:
    """F9: five million rows need at most a tenth more than one million, every row with words never seen before."""
    peaks = {}
    for millions in (1, 5):
        with (tmp_path / "in.txt").open("w") as stream:
            stream.writelines(f"n{row:x}q {row * 7919:x}z\n" for row in range(millions * 1_000_000))
        output = tmp_path / f"out{millions}.jsonl"
        peaks[millions] = peak_memory(tiny_model, tmp_path / "in.txt", output)
        output.unlink()
    assert peaks[5] <= 1.1 * peaks[1], f"{peaks[1] / 1e6:.0f} MB for 1M rows, {peaks[5] / 1e6:.0f} MB for 5M rows"
    assert peaks[5] <= 1.5e9


def test_the_memory_check_sees_a_job_that_grows(tmp_path: Path) -> None:
    """Negative control: a process that keeps all rows is told apart by the same measure."""
    program = "import sys, time; rows = ['x' * 50 for _ in range(int(sys.argv[1]))]; time.sleep(0.5); assert rows"
    peaks = []
    for rows in (100_000, 500_000):
        process = subprocess.Popen([sys.executable, "-c", program, str(rows)], env={**os.environ})
        peak = 0.0
        while process.poll() is None:
            try:
                peak = max(peak, float(psutil.Process(process.pid).memory_info().rss))
            except psutil.Error:
                break
            time.sleep(0.02)
        peaks.append(peak)
    assert peaks[1] > 1.1 * peaks[0]
