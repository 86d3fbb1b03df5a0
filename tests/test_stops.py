"""A stop is heard within two seconds at each step of each stage, also while C code runs; the same command then works."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
SECONDS = 2.0
SLACK = 8.0
"""Of a loaded machine."""
TRAIN = (
    *("train", "data=files", "data.train=rows.csv", "data.test=rows.csv", "output_dir=model", "tracking=off"),
    *("text.pos=false", "num_workers=1", "model.hidden_size=4", "model.embedding_size=4", "training.epochs=1"),
    *("evaluation.report=false", "evaluation.bootstrap_samples=10", "model.embeddings=[]"),
)
PREPARE = ("prepare", "data=files", "data.train=rows.csv", "text.pos=false", "num_workers=1", "prepared_dir=p")
LABEL = ("label", "model_dir={model}", "input=rows.csv", "output=out.csv", "tracking=off", "labelling.num_workers=1")
EVALUATE = ("evaluate", "model_dir={model}", "data.test=test.csv", "output_dir=e", "tracking=off")
SWEEP = ("sweep", *TRAIN[1:], "sweep.space=['model.hidden_size=2,3']", "auto=[]")
STEPS = [
    *((PREPARE, f"textlstm.corpus.preparation.prepare.{step}") for step in ("ingest", "tokenize_rows", "assemble")),
    (PREPARE, "textlstm.corpus.preparation.prepare.assign_rows"),
    (TRAIN, "textlstm.fitting.auto.choose_expert"),
    ((*TRAIN, "auto=[]"), "sklearn.svm:LinearSVC.fit"),
    ((*TRAIN, "auto=[]"), "textlstm.fitting.networks.encode_texts"),
    ((*TRAIN, "auto=[]"), "textlstm.fitting.networks.TextNetwork"),
    ((*TRAIN, "auto=[]"), "textlstm.fitting.classifier.calibrate"),
    ((*TRAIN, "auto=[]"), "textlstm.stages.training.save_saved_model"),
    ((*TRAIN, "auto=[]"), "textlstm.stages.training.evaluate_split"),
    (SWEEP, "textlstm.stages.sweep.fit_classifier"),
    (EVALUATE, "textlstm.stages.evaluate.score_split"),
    (EVALUATE, "textlstm.stages.evaluate.write_evaluation"),
    *((LABEL, f"textlstm.labelling.job.{step}") for step in ("make_plan", "start_engine", "commit_output")),
    (
        ("explain", "model_dir={model}", "explain.text=a goal", "tracking=off"),
        "textlstm.explain.explanation.explain_texts",
    ),
    (("export", "model_dir={model}", "tracking=off"), "textlstm.stages.export.export_onnx"),
    (("sync",), "textlstm.stages.sync.sync_journals"),
]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with rows to train on, and rows with the labels of the tiny model."""
    for name, labels in (("rows", ("sport", "money")), ("test", ("sport", "money", "film"))):
        lines = [f"a goal match bank {row},{labels[row % len(labels)]}" for row in range(60)]
        (tmp_path / f"{name}.csv").write_text("\n".join(("text,label", *lines)) + "\n")
    return tmp_path


def stopped(command: list[str], step: str, folder: Path, *, deaf_seconds: float = 1.5) -> tuple[int, str, float]:
    """Run a command until `step`, send SIGTERM; return exit code, standard error and seconds until the end."""
    marker = folder / "marker"
    arguments = [sys.executable, str(HERE / "stopped_command.py"), step, str(marker), str(deaf_seconds), *command]
    process = subprocess.Popen(arguments, cwd=folder, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)
    try:
        while not marker.exists():
            assert process.poll() is None, process.communicate()[1]
            time.sleep(0.02)
        time.sleep(0.2)  # into the call
        began = time.monotonic()
        process.send_signal(signal.SIGTERM)
        try:
            _, told = process.communicate(timeout=SECONDS + SLACK)
        except subprocess.TimeoutExpired:
            return 0, "", float("inf")
        return process.returncode, told, time.monotonic() - began
    finally:
        process.kill()
        process.wait()
        marker.unlink(missing_ok=True)


def check(command: tuple[str, ...], step: str, folder: Path, model: Path) -> None:
    typed = [item.format(model=model) for item in command]
    code, told, seconds = stopped(typed, step, folder)
    assert (code, told.splitlines()[-1:], seconds < SECONDS + SLACK) == (143, ["textlstm: interrupted"], True)
    # What it left does not stand in the way of the same command.
    done = subprocess.run([sys.executable, "-m", "textlstm", *typed], cwd=folder, check=False, capture_output=True)
    assert done.returncode == 0, done.stderr


def test_a_stop_is_heard_while_a_network_is_built(folder: Path, tiny_model: Path) -> None:
    check((*TRAIN, "auto=[]"), "textlstm.fitting.networks.TextNetwork", folder, tiny_model)


@pytest.mark.long
@pytest.mark.parametrize(("command", "step"), STEPS, ids=[f"{command[0]} {step}" for command, step in STEPS])
def test_a_stop_is_heard_at_every_step(command: tuple[str, ...], step: str, folder: Path, tiny_model: Path) -> None:
    check(command, step, folder, tiny_model)


@pytest.mark.long
def test_without_the_watching_thread_c_code_hears_nothing(folder: Path) -> None:
    """The negative control."""
    _, _, seconds = stopped([*PREPARE], "textlstm.corpus.preparation.prepare.ingest", folder, deaf_seconds=1000)
    assert seconds == float("inf")
