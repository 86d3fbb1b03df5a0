"""The commands as scripts use them: train, evaluate, label, run, on small files written here."""

import csv
import json
import os
import random
import re
import subprocess
import sys
from pathlib import Path

import pytest

from textlstm.cli import main
from textlstm.tracking.run import Tracker

WORDS = {
    "sport": ["goal", "match", "coach", "league", "striker", "final"],
    "money": ["bank", "share", "profit", "market", "loan", "tax"],
    "film": ["actor", "scene", "plot", "cinema", "director", "script"],
}
FILLER = ["the", "a", "said", "was", "and", "not", "in", "of"]
SMALL = ["text=fast", "model.hidden_size=8", "model.embedding_size=8", "training.epochs=2", "training.num_threads=1"]
FEW = ["evaluation.bootstrap_samples=20", "evaluation.report=false", "num_workers=1"]


def write_rows(path: Path, *, num_rows: int, seed: int) -> Path:
    dice = random.Random(seed)
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(("id", "text", "label", "note"))
        for row in range(num_rows):
            label = list(WORDS)[row % 3]
            words = dice.choices(WORDS[label] * 2 + FILLER, k=4 + dice.randrange(9))
            writer.writerow((row, f"{' '.join(words)}, row {seed}-{row}.", label, f'a "note"; {row}'))
    return path


def run_stage(*arguments: str) -> None:
    assert main(list(arguments)) == 0


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with train.csv, test.csv and a model trained by the command."""
    folder = tmp_path_factory.mktemp("trained")
    write_rows(folder / "train.csv", num_rows=240, seed=1)
    write_rows(folder / "test.csv", num_rows=60, seed=2)
    run_stage(
        "train",
        "data=files",
        f"data.train={folder / 'train.csv'}",
        f"data.test={folder / 'test.csv'}",
        f"output_dir={folder / 'model'}",
        f"prepared_dir={folder / 'prepared'}",
        "tracking=off",
        *SMALL,
        *FEW,
    )
    return folder


def test_train_leaves_a_model_and_no_unfinished_work(trained: Path) -> None:
    assert sorted(path.name for path in trained.iterdir() if path.name.startswith("model")) == [
        "model",
        "model-evaluation",
    ]
    assert json.loads((trained / "model-evaluation" / "metrics.json").read_text())["accuracy"] >= 0.95


def test_training_says_what_the_vectors_cover_and_what_happened(
    trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    logged: dict[str, object] = {}
    monkeypatch.setattr(Tracker, "set_tags", lambda self, tags: logged.update(tags))
    monkeypatch.setattr(Tracker, "log_metrics", lambda self, metrics, step=None: logged.update(metrics))
    vectors = tmp_path / "words.txt"
    vectors.write_text("goal 1 0\nbank 0 1\nunheard 1 1\n", encoding="utf-8")
    settings = ["data=files", f"data.train={trained / 'train.csv'}", f"output_dir={tmp_path / 'model'}", *SMALL, *FEW]
    settings += [f"prepared_dir={trained / 'prepared'}", "tracking=off", f"model.embeddings=[{vectors}]"]
    still = ["training.learning_rate=1e-9", "training.embedding_learning_rate=1e-9", "training.epochs=9"]
    run_stage("train", *settings, *still, "training.patience=1", "training.cross_fit=0")
    said = capsys.readouterr().err.splitlines()
    (covered,) = [line for line in said if line.startswith("vectors: ")]
    num_words = int(covered.split()[-3])
    assert covered == f"vectors: {vectors}: 2 dimensions, 2 of {num_words} words ({2 / num_words:.1%})"
    (stopped,) = [line for line in said if line.startswith("stopped after epoch ")]
    assert stopped.endswith(": no better validation macro-F1 in 1 epochs")
    assert logged["training_events"] == stopped
    assert logged["vectors_found/words.txt"] == 2 / num_words
    assert 0 <= logged["padding_share"] < 1


@pytest.mark.long
def test_torchrun_trains_the_model_that_two_workers_train(trained: Path, tmp_path: Path) -> None:
    settings = ["data=files", f"data.train={trained / 'train.csv'}", f"prepared_dir={trained / 'prepared'}"]
    settings += ["tracking=off", "training.precision=fp32", *SMALL, "training.num_threads=2", *FEW]
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2"]
    command += ["-m", "textlstm", "train", *settings, f"output_dir={tmp_path / 'joined'}"]
    subprocess.run(command, check=True, timeout=200, env=os.environ | {"OMP_NUM_THREADS": "1"})
    run_stage("train", *settings, f"output_dir={tmp_path / 'workers'}", "training.num_workers=2")
    run_stage("train", *settings, f"output_dir={tmp_path / 'alone'}")
    weights = [(tmp_path / name / "weights.safetensors").read_bytes() for name in ("joined", "workers", "alone")]
    assert weights[0] == weights[1]
    assert weights[0] != weights[2]  # negative control: dropout masks of one process differ


def test_evaluate_writes_the_promised_figures(trained: Path, tmp_path: Path) -> None:
    run_stage(
        "evaluate",
        f"model_dir={trained / 'model'}",
        f"data.test={trained / 'test.csv'}",
        f"output_dir={tmp_path / 'E'}",
        f"prepared_dir={trained / 'prepared'}",
        "tracking=off",
        *FEW,
    )
    figures = json.loads((tmp_path / "E" / "metrics.json").read_text())
    before = json.loads((trained / "model-evaluation" / "metrics.json").read_text())
    assert {name: figures[name] for name in ("accuracy", "macro_f1", "num_examples")} == {
        name: before[name] for name in ("accuracy", "macro_f1", "num_examples")
    }
    assert figures["num_examples"] == 60


@pytest.mark.parametrize("log_text", [True, False])
def test_training_keeps_the_reasons_and_sends_texts_only_where_allowed(
    log_text: bool, trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run_stage(
        "train",
        "data=files",
        f"data.train={trained / 'train.csv'}",
        f"data.test={trained / 'test.csv'}",
        f"output_dir={tmp_path / 'model'}",
        f"prepared_dir={tmp_path / 'prepared'}",
        f"tracking.dir={tmp_path / 'tracking'}",
        f"tracking.log_text={str(log_text).lower()}",
        *SMALL,
        "text.stop_words=remove",
        "evaluation.bootstrap_samples=20",
        "evaluation.explained_texts=12",
        "num_workers=1",
    )
    written = tmp_path / "model-evaluation"
    assert f"reasons     {written / 'explanations.html'}" in capsys.readouterr().out
    report = (written / "report.html").read_text(encoding="utf-8")
    assert "What counts for each class" in report
    assert json.loads((written / "metrics.json").read_text())["removal"]["num_rows"] > 30
    metrics = json.loads((written / "metrics.json").read_text())
    assert "champion" not in metrics["models"]  # there is none yet
    run_stage(
        "evaluate",
        f"model_dir={trained / 'model'}",
        "data=files",
        f"data.test={trained / 'test.csv'}",
        f"output_dir={tmp_path / 'again'}",
        f"prepared_dir={tmp_path / 'prepared'}",
        f"tracking.dir={tmp_path / 'tracking'}",
        *FEW,
    )
    again = json.loads((tmp_path / "again" / "metrics.json").read_text())
    assert again["models"]["champion"]["accuracy"] == metrics["accuracy"]
    assert again["comparisons"]["champion"]["verdict"] == "equal"
    sent = sorted(path.name for path in (tmp_path / "tracking").rglob("*.html"))
    assert sent == (["card.html", "explanations.html", "report.html"] if log_text else ["report.html"])


def test_evaluate_refuses_to_replace_an_evaluation(trained: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = trained / "model-evaluation"
    code = main(
        ["evaluate", f"model_dir={trained / 'model'}", "data.test=x.csv", f"output_dir={folder}", "tracking=off"]
    )
    assert (code, capsys.readouterr().err) == (
        2,
        f"textlstm: {folder}: holds an evaluation; set overwrite=true to replace it, or another output_dir\n",
    )


def test_label_keeps_every_row_and_column_in_order(trained: Path, tmp_path: Path) -> None:
    output = tmp_path / "labelled.csv"
    run_stage(
        "label", f"model_dir={trained / 'model'}", f"input={trained / 'test.csv'}", f"output={output}", "tracking=off"
    )
    with (trained / "test.csv").open(newline="") as file:
        before = list(csv.reader(file))
    with output.open(newline="") as file:
        after = list(csv.reader(file))
    assert after[0] == [*before[0], "predicted_label", "probability", "decision"]
    assert [row[: len(before[0])] for row in after] == before
    assert sum(row[4] == row[2] for row in after[1:]) >= 57


def test_label_says_how_many_rows_the_model_has_seen(
    trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    both = tmp_path / "both.csv"
    lines = (trained / "test.csv").read_text().splitlines() + (trained / "train.csv").read_text().splitlines()[1:181]
    both.write_text("\n".join(lines) + "\n")
    for path, expected in ((both, "180 rows (75.0%) were seen in training"), (trained / "test.csv", None)):
        run_stage(
            "label",
            f"model_dir={trained / 'model'}",
            f"input={path}",
            f"output={tmp_path / 'o.csv'}",
            "overwrite=true",
            "tracking=off",
        )
        told = "".join(capsys.readouterr())
        assert expected in told if expected else "seen in training" not in told


def test_train_refuses_to_replace_a_model(trained: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code = main(["train", "data=files", f"data.train={trained / 'train.csv'}", f"output_dir={trained / 'model'}"])
    assert (code, capsys.readouterr().err) == (
        2,
        f"textlstm: {trained / 'model'}: holds a model; set overwrite=true to replace it, or another output_dir\n",
    )


def test_same_seed_same_model(trained: Path, tmp_path: Path) -> None:
    def weights(name: str, *extra: str) -> bytes:
        run_stage(
            "train",
            "data=files",
            f"data.train={trained / 'train.csv'}",
            f"output_dir={tmp_path / name}",
            f"prepared_dir={trained / 'prepared'}",
            "tracking=off",
            "training.deterministic=true",
            *SMALL,
            *FEW,
            *extra,
        )
        return (tmp_path / name / "weights.safetensors").read_bytes()

    assert weights("a") == weights("b")
    assert weights("a2", "seed=2") != weights("a3")


def test_run_does_everything_and_says_where(
    trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    arguments = ["run", "data=files", f"data.train={trained / 'train.csv'}", *SMALL, *FEW]
    run_stage(*arguments)
    first = capsys.readouterr()
    assert "prepared the corpus" in first.err
    with Path("outputs/run/test_rows.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    with Path("outputs/run/labelled.csv").open(newline="") as file:
        labelled = list(csv.DictReader(file))
    assert [(row["id"], row["text"]) for row in rows] == [(row["id"], row["text"]) for row in labelled]
    assert len(labelled) == 48
    for line in (
        "model       outputs/run/model",
        "labelled    outputs/run/labelled.csv (48 rows)",
        "dashboard   make dashboard",
    ):
        assert line in first.out
    assert "TF-IDF + LinearSVC" in first.out
    run_stage(*arguments)
    assert "reused the prepared corpus" in capsys.readouterr().err


def test_multi_label_goes_the_same_way(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    dice = random.Random(4)
    rows = []
    for number in range(300):
        labels = [label for label in WORDS if dice.random() < 0.4] or ["film"]
        words = [dice.choice(WORDS[label]) for label in labels for _ in range(3)] + dice.choices(FILLER, k=3)
        dice.shuffle(words)
        rows.append({"text": f"{' '.join(words)} {number}", "labels": labels})
    for name, part in (("train", rows[:240]), ("test", rows[240:])):
        (tmp_path / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in part))
    run_stage(
        "train",
        "data=files",
        f"data.train={tmp_path / 'train.jsonl'}",
        f"data.test={tmp_path / 'test.jsonl'}",
        "data.labels_column=labels",
        f"output_dir={tmp_path / 'model'}",
        f"prepared_dir={tmp_path / 'prepared'}",
        "tracking=off",
        *SMALL,
        *FEW,
        "training.epochs=6",
    )
    assert json.loads((tmp_path / "model-evaluation" / "metrics.json").read_text())["macro_f1"] >= 0.9
    output = tmp_path / "labelled.jsonl"
    run_stage(
        "label",
        f"model_dir={tmp_path / 'model'}",
        f"input={tmp_path / 'test.jsonl'}",
        f"output={output}",
        "tracking=off",
    )
    given = [json.loads(line)["predicted_label"] for line in output.read_text().splitlines()]
    assert len(given) == 60
    assert any(len(labels) > 1 for labels in given)  # lists, as they came
    # The summary counts labels, not combinations of labels.
    told = "".join(capsys.readouterr())
    for label in WORDS:
        count = sum(label in labels for labels in given)
        assert re.search(rf"^ +{100 * count / 60:.2f}%  {label}$", told, re.MULTILINE), told
    assert "sport, money" not in told


def test_label_errors_are_a_table_to_correct(trained: Path, tmp_path: Path) -> None:
    run_stage(
        "train",
        "data=files",
        f"data.train={trained / 'train.csv'}",
        f"data.test={trained / 'test.csv'}",
        f"output_dir={tmp_path / 'model'}",
        f"prepared_dir={trained / 'prepared'}",
        "tracking=off",
        "evaluation.label_errors=true",
        *SMALL,
        *FEW,
    )
    with (tmp_path / "model-evaluation" / "label_errors.csv").open(newline="") as file:
        header = next(csv.reader(file))
    assert header[:4] == ["id", "text", "label", "suggested_label"]


def test_doctor_finds_this_machine_well(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor"]) == 0
    assert capsys.readouterr().out.endswith("Nothing is missing.\n")


def test_doctor_names_a_damaged_model(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor", f"model_dir={tmp_path}"]) == 2
    assert capsys.readouterr().out.endswith("1 problem(s): model\n")
