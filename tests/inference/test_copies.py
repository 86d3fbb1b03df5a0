"""Copies of a classifier in other processes: forked, pickled, with the bytes checked on the way."""

import copy
import pickle
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from textlstm.config import TextConfig
from textlstm.errors import IntegrityError
from textlstm.inference.classifier import TextClassifier, load_pickled
from textlstm.model_folder import load_saved_model, save_saved_model, saved_bytes
from textlstm.text.pipeline import TextPipeline

TEXTS = ["the coach said goal", "bank profit", ""]
FORKED = """
import os, sys, time
from textlstm.inference.classifier import TextClassifier
classifier = TextClassifier.load(sys.argv[1])
if sys.argv[2] != "many threads in the child":
    texts = ["where is my parcel"] * 400
    expected = classifier.predict_proba(texts)
else:  # the control: what happens without our care
    import torch
    texts, expected = [], None
    torch.ones(2000, 2000) @ torch.ones(2000, 2000)
started = time.monotonic()
pid = os.fork()
if pid == 0:
    if expected is None:
        torch.ones(2000, 2000) @ torch.ones(2000, 2000)
        (torch.ones(4_000_000) * 2).sigmoid().sum()
        os._exit(0)
    found = classifier.predict_proba(texts)
    os._exit(0 if abs(found - expected).max() < 1e-6 else 1)
while time.monotonic() - started < 10:
    done, status = os.waitpid(pid, os.WNOHANG)
    if done:
        print("ended", status, time.monotonic() - started < 2)
        break
    time.sleep(0.01)
else:
    os.kill(pid, 9)
    print("hangs")
"""


def run_forked(model: Path, kind: str) -> str:
    command = [sys.executable, "-c", FORKED, str(model), kind]
    environment = {"PATH": "", "OMP_NUM_THREADS": "2"}
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=90, env=environment)
    return done.stdout.strip() or done.stderr


@pytest.mark.parametrize("reads_tags", [False, True])
def test_predict_works_in_a_forked_process(tiny_model: Path, tmp_path: Path, reads_tags: bool) -> None:
    model = tiny_model
    if reads_tags:  # a tagger computes by torch, too, before the networks do
        text = TextConfig(drop_pos=["X"])
        saved_model = replace(load_saved_model(tiny_model), text=text, text_fingerprint=TextPipeline(text).saved)
        model = save_saved_model(saved_model, tmp_path / "model")
    assert run_forked(model, "predict") == "ended 0 True"


def test_a_process_that_hangs_would_be_seen(tiny_model: Path) -> None:
    assert run_forked(tiny_model, "many threads in the child") == "hangs"


FORKED_BY_ANOTHER_THREAD = """
import os, sys, time
from textlstm.inference import one_text
with one_text.one_blas_thread():
    pass
threads = one_text._blas
threads._lock.acquire()  # as a thread that predicts does for a moment
pid = os.fork()
if pid == 0:
    if sys.argv[1] == "the lock of before":  # the control: what happens without our care
        threads.enter()
    with one_text.one_blas_thread():
        os._exit(0)
for _ in range(500):
    done, status = os.waitpid(pid, os.WNOHANG)
    if done:
        print("ended", status)
        break
    time.sleep(0.01)
else:
    os.kill(pid, 9)
    print("hangs")
"""


@pytest.mark.parametrize(("kind", "end"), [("predict", "ended 0"), ("the lock of before", "hangs")])
def test_a_fork_while_another_thread_predicts_leaves_no_lock(kind: str, end: str) -> None:
    command = [sys.executable, "-c", FORKED_BY_ANOTHER_THREAD, kind]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert (done.stdout.strip(), done.stderr) == (end, "")


def test_a_pickled_classifier_predicts_the_same(tiny_model: Path) -> None:
    classifier = TextClassifier.load(tiny_model, num_threads=1)
    for again in (pickle.loads(pickle.dumps(classifier)), copy.deepcopy(classifier)):
        np.testing.assert_array_equal(again.predict_proba(TEXTS), classifier.predict_proba(TEXTS))


def test_a_pickle_names_nothing_but_the_loader(tiny_model: Path) -> None:
    import pickletools

    names = [
        value
        for code, value, _ in pickletools.genops(pickle.dumps(TextClassifier.load(tiny_model), protocol=2))
        if code.name == "GLOBAL"
    ]
    ours = ["textlstm.inference.classifier load_pickled", "textlstm.inference.classifier TextClassifier"]
    assert [name for name in names if name not in ("_codecs encode", "__builtin__ bytes")] == ours


def test_changed_bytes_are_refused_when_a_pickle_is_read(tiny_model: Path) -> None:
    saved_model = load_saved_model(tiny_model)
    files = saved_bytes(saved_model)
    how = {"device": "cpu", "precision": "fp32", "num_threads": 1, "without_torch": False}
    assert load_pickled(TextClassifier, files, how).labels == saved_model.labels
    for name, content in files.items():
        if content:
            damaged = {**files, name: content[:-1] + bytes([content[-1] ^ 1])}
            with pytest.raises(IntegrityError):
                load_pickled(TextClassifier, damaged, how)


def test_bytes_of_a_model_are_those_of_its_folder(tiny_model: Path, tmp_path: Path) -> None:
    saved_model = replace(load_saved_model(tiny_model), provenance={"seed": 3})
    folder = save_saved_model(saved_model, tmp_path / "model")
    assert {name: (folder / name).read_bytes() for name in saved_bytes(saved_model)} == saved_bytes(saved_model)
