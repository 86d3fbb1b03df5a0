"""Files of somebody else under the names that a stage would use stay as they are, with `overwrite=true`, too."""

import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from textlstm.cli import main

ROWS = "text,label\n" + "".join(
    f"a {'goal match' if row % 2 else 'bank share'} {row},{'sport' if row % 2 else 'money'}\n" for row in range(60)
)
SMALL = (
    *("data=files", "data.train=rows.csv", "tracking=off", "text=fast", "num_workers=1", "auto=[]"),
    *("model.hidden_size=4", "model.embedding_size=4", "model.embeddings=[]", "training.epochs=1"),
    *("evaluation.report=false", "evaluation.bootstrap_samples=10", "data.test_fraction=0"),
)
TRAIN = ("train", *SMALL, "output_dir=out", "overwrite=true")


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    (tmp_path / "rows.csv").write_text(ROWS)
    monkeypatch.chdir(tmp_path)
    yield
    assert sorted(path.name for path in Path.cwd().glob("*.old")) == []


def refusal(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """Run a command that must end with exit code 2; return its line."""
    capsys.readouterr()
    assert main(list(arguments)) == 2
    (line,) = capsys.readouterr().err.splitlines()
    return line.removeprefix("textlstm: ")


@pytest.mark.parametrize(
    ("name", "file", "content"),
    [
        ("out.unfinished", "notes.txt", "mine"),
        ("out.unfinished", "settings.json", '{"theme": "dark"}'),
        ("out.unfinished", "settings.json", "no JSON"),
        ("out.seeds", "notes.txt", "mine"),
    ],
)
def test_a_folder_of_unfinished_work_that_is_not_ours_stays(
    name: str, file: str, content: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path = Path(name, file)
    path.parent.mkdir()
    path.write_text(content)
    seeds = ("seeds=2",) if name == "out.seeds" else ()
    assert refusal(capsys, *TRAIN, *seeds) == (
        f"{name}: is where an unfinished training would lie, and holds something else; "
        "move that away, or set another output_dir"
    )
    assert (path.read_text(), Path("out").exists(), Path("prepared").exists()) == (content, False, False)


def test_a_file_under_the_name_of_unfinished_work_stays(capsys: pytest.CaptureFixture[str]) -> None:
    Path("out.unfinished").write_text("mine")
    assert "is where an unfinished training would lie" in refusal(capsys, *TRAIN)
    assert Path("out.unfinished").read_text() == "mine"


@pytest.mark.parametrize(("name", "seeds"), [("out.unfinished", 1), ("out.seeds", 2)])
def test_our_own_unfinished_work_is_replaced(name: str, seeds: int) -> None:
    """The control: what a training left is removed where `overwrite=true` asks for it, and an empty folder is used."""
    Path(name).mkdir()
    assert main([*TRAIN, f"seeds={seeds}"]) == 0
    assert not Path(name).exists()
    Path(name, "network-0").mkdir(parents=True)
    Path(name, "network-0", "state-1.json").write_text("{}")
    Path(name, "settings.json").write_text(json.dumps({"digest": "another", "resume_key": None}))
    assert main([*TRAIN, f"seeds={seeds}", "overwrite=false"]) == 2
    assert main([*TRAIN, f"seeds={seeds}"]) == 0
    assert not Path(name).exists()


def test_seeds_stopped_after_the_model_was_saved_are_finished(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from textlstm.fitting.unfinished import UnfinishedWork

    remove = UnfinishedWork.remove

    def interrupted(work: UnfinishedWork) -> None:
        if work.directory.name == "out.seeds":
            raise KeyboardInterrupt
        remove(work)

    # Into a folder behind a link, which stays one.
    Path("elsewhere").mkdir()
    Path("out").symlink_to("elsewhere")
    command = [*TRAIN[:-1], "seeds=2"]
    monkeypatch.setattr(UnfinishedWork, "remove", interrupted)
    assert main(command) == 130
    assert Path("out", "manifest.json").is_file()
    monkeypatch.setattr(UnfinishedWork, "remove", remove)
    assert main(command) == 0
    assert "seed 1: trained before the command was cut off" in capsys.readouterr().err
    assert (Path("out").is_symlink(), Path("elsewhere", "manifest.json").is_file()) == (True, True)
    assert not Path("out.seeds").exists()


def test_a_work_folder_of_labelling_that_is_not_ours_stays(
    tiny_model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    label = ["label", f"model_dir={tiny_model}", "input=rows.csv", "output=out.csv", "tracking=off"]
    label += ["labelling.num_workers=1", "overwrite=true"]
    notes = Path("out.csv.work", "notes.txt")
    notes.parent.mkdir()
    notes.write_text("mine")
    assert refusal(capsys, *label) == (
        f"{notes.parent.absolute()}: is where the work folder of out.csv would lie, and holds something else; "
        "move that away, or choose another output"
    )
    assert (notes.read_text(), Path("out.csv").exists()) == ("mine", False)
    # The control: without that file the folder is used, and removed.
    notes.unlink()
    assert main(label) == 0
    assert not notes.parent.exists()


@pytest.mark.parametrize("name", ["report.html", "predictions.parquet", "figures/mine.svg"])
def test_an_evaluation_replaces_no_other_files(name: str, tiny_model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("rows.csv").write_text("text,label\na goal,sport\na bank,money\nan actor,film\n")
    evaluate = ["evaluate", f"model_dir={tiny_model}", "data.test=rows.csv", "output_dir=E", "tracking=off"]
    evaluate += ["num_workers=1", "evaluation.bootstrap_samples=10", "evaluation.report=false"]
    path = Path("E", name)
    path.parent.mkdir(parents=True)
    path.write_text("mine")
    holds = name.partition("/")[0]
    assert refusal(capsys, *evaluate) == (
        f"E: holds {holds}, which an evaluation would replace; set overwrite=true to allow that, or another output_dir"
    )
    assert path.read_text() == "mine"
    # The control: it is asked for, or there is none.
    assert main([*evaluate, "overwrite=true"]) == 0
    shutil.rmtree("E")
    assert main(evaluate) == 0


@pytest.mark.parametrize("name", ["trials.csv", "best.yaml"])
def test_a_sweep_replaces_no_other_files(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("optuna")
    sweep = ["sweep", *SMALL, "sweep.space=[model.hidden_size=2]", "sweep.num_trials=1", "output_dir=S"]
    Path("S").mkdir()
    Path("S", name).write_text("mine")
    assert refusal(capsys, *sweep) == (
        f"S: holds {name}, which a sweep would replace, and no sweep; choose another output_dir"
    )
    assert [path.name for path in Path("S").iterdir()] == [name]
    # The control: its own files are replaced when it goes on.
    Path("S", name).unlink()
    assert main(sweep) == 0
    assert main(sweep) == 0


def test_run_and_curve_replace_nothing_where_they_may_not(capsys: pytest.CaptureFixture[str]) -> None:
    rows, model = Path("R", "test_rows.csv"), Path("C", "rows-30", "mine.txt")
    for path in (rows, model):
        path.parent.mkdir(parents=True)
        path.write_text("mine")
    settings = [item for item in SMALL if item != "data.test_fraction=0"]
    line = "exists; set overwrite=true to replace it, or another output_dir"
    assert refusal(capsys, "run", *settings, "output_dir=R", "overwrite=false") == f"R/test_rows.csv: {line}"
    assert refusal(capsys, "curve", *settings, "output_dir=C", "overwrite=false") == f"C/rows-30: {line}"
    assert (rows.read_text(), model.read_text()) == ("mine", "mine")


@pytest.mark.parametrize(
    ("command", "pipe"),
    [
        (("compare", "runs=[a,b]", "output=pipe", "overwrite=true"), "pipe"),
        (("run", *SMALL, "output_dir=R"), "R/test_rows.csv"),
        *((("curve", *SMALL[:-1], "output_dir=C"), f"C/curve.{ending}") for ending in ("json", "html", "svg", "png")),
    ],
)
def test_a_pipe_under_the_name_of_an_output_is_refused_at_once(
    command: tuple[str, ...], pipe: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Opening it waits until somebody reads."""
    Path(pipe).parent.mkdir(exist_ok=True)
    os.mkfifo(pipe)
    assert refusal(capsys, *command) == f"{pipe}: is a pipe and no file; name a file"
    assert (Path(pipe).is_fifo(), Path("prepared").exists(), Path("data").exists()) == (True, False, False)


def test_a_curve_without_test_rows_is_refused_before_preparing(capsys: pytest.CaptureFixture[str]) -> None:
    assert refusal(capsys, "curve", *SMALL, "output_dir=C", "prepared_dir=prepared") == (
        "a curve needs test rows; set data.test, or data.test_fraction above 0"
    )
    assert not Path("prepared").exists()


@pytest.mark.parametrize("setting", ["label_name=text", "source_column=id", "decision_name=id"])
def test_columns_that_clash_are_named_before_the_training(setting: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert refusal(capsys, "run", *SMALL, "output_dir=R", f"labelling.{setting}") == (
        f"R/test_rows.csv: the input has a column '{setting.partition('=')[2]}' already, which labelling adds. "
        "Rename it, or set another name in labelling.*_name."
    )
    assert not Path("R").exists()


def test_settings_of_an_input_do_not_stop_a_run_after_its_training() -> None:
    """The rows that a run labels are its own; what settings say of inputs is about other files."""
    Path("rows.csv").write_text(ROWS.replace("text,", "message,", 1))
    settings = [item for item in SMALL if item != "data.test_fraction=0"]
    odd = (
        "text_column=message",
        "encoding=utf-16",
        "format=jsonl",
        "delimiter=;",
        "output_format=tsv",
        "num_workers=1",
    )
    run = ["run", *settings, "data.text_column=message", *(f"labelling.{setting}" for setting in odd), "output_dir=R"]
    assert main(run) == 0
    assert Path("R/test_rows.csv").read_text().startswith("id;text\n")
    assert Path("R/labelled.tsv").read_text().startswith("id;text;predicted_label;")


@pytest.mark.parametrize(
    ("command", "name", "message"),
    [
        ("explain", "page.pdf", "page.pdf: an HTML page is no .pdf; choose an output that ends in .html"),
        ("explain", "rows.csv", "rows.csv: an HTML page is no .csv; choose an output that ends in .html"),
        ("explain", "rows", "rows: is the input itself; choose another output"),
        ("compare", "rows.csv.gz", "rows.csv.gz: a JSON object is no .csv; choose an output that ends in .json"),
    ],
)
def test_pages_and_comparisons_replace_no_rows(
    command: str, name: str, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    os.link("rows.csv", "rows")
    given = ("runs=[a,b]", "overwrite=true") if command == "compare" else ("input=rows.csv",)
    assert refusal(capsys, command, *given, f"output={name}", "tracking=off") == message
    assert Path("rows.csv").read_text() == ROWS


@pytest.mark.parametrize("name", ["", ".", "..", "/"])
def test_a_model_needs_a_folder_with_a_name(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Its neighbors have names made from it; this was a traceback (found by the fuzz)."""
    for command in (("train", *SMALL), ("export", "model_dir=no", "tracking=off")):
        assert refusal(capsys, *command, f"output_dir={name}", "overwrite=true") == (
            f"{name!r} is no name for a model folder; name one such as outputs/model"
        )
    assert not Path("prepared").exists()
