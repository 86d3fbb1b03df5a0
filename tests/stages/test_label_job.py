"""What `textlstm label` tells: the screen, a log file, one JSON object, a look ahead."""

import contextlib
import io
import json
import os
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from textlstm.cli.main import main
from textlstm.stages import screen


@pytest.fixture
def label(tmp_path: Path, tiny_model: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., int]:
    """Run `textlstm label` in a folder of its own."""
    monkeypatch.chdir(tmp_path)
    Path("in.csv").write_text("text\nthe goal of the match\nbank profit\n")

    def command(*typed: str) -> int:
        return main(["label", f"model_dir={tiny_model}", "input=in.csv", "output=out.csv", "tracking=off", *typed])

    return command


def test_quiet_leaves_only_errors_on_the_screen(label: Callable[..., int], capsys: pytest.CaptureFixture[str]) -> None:
    assert label("--quiet") == 0
    assert capsys.readouterr() == ("", "")
    assert label("--quiet") == 2
    assert capsys.readouterr() == (
        "",
        "textlstm: out.csv: exists; choose another output or set overwrite=true\n",
    )
    assert label("overwrite=true") == 0  # negative control
    assert "labelled 2 rows into out.csv" in capsys.readouterr().err


def test_json_is_one_object_on_standard_output(label: Callable[..., int], capsys: pytest.CaptureFixture[str]) -> None:
    assert label("--json", "--quiet") == 0
    summary = json.loads(capsys.readouterr().out)
    assert (summary["output"], summary["num_rows"], summary["num_labelled"], summary["num_kept"]) == (
        "out.csv",
        2,
        2,
        0,
    )
    assert summary["labels"] == {"money": 1, "sport": 1}
    assert label("--json", "output=labelled/") == 0
    [one] = json.loads(capsys.readouterr().out)["outputs"]
    assert (one["output"], one["num_rows"]) == ("labelled/in.csv", 2)
    assert label("--json", "output=-") == 2
    assert capsys.readouterr().err == ("textlstm: json=true and output=- both write to standard output; name a file\n")


def test_a_log_file_has_summary_and_errors_with_their_times(
    label: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    assert label("--log-file", "label.log") == 0
    assert label("--quiet", "--log-file=label.log") == 2
    lines = Path("label.log").read_text().splitlines()
    assert all(re.match(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d[+-]\d\d:\d\d ", line) for line in lines)
    assert " labelled 2 rows into out.csv in " in lines[0]
    assert lines[-1].endswith(" out.csv: exists; choose another output or set overwrite=true")
    assert "labelled 2 rows" in capsys.readouterr().err
    assert label("--log-file") == 2
    assert capsys.readouterr().err == "textlstm: --log-file: expected the path of a file\n"
    assert label("overwrite=true", "--log-file=in.csv/label.log") == 4


def test_progress_goes_to_the_log_every_ten_seconds(
    label: Callable[..., int], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(screen, "LINE_SECONDS", 0.0)
    assert label("--quiet", "--log-file=label.log") == 0
    assert " labelling: 2 of 2, " in Path("label.log").read_text()
    assert label("overwrite=true") == 0
    assert "labelling: 2 of 2, " in capsys.readouterr().err


def test_options_of_label_are_no_options_of_others(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["trace", "--quiet"]) == 2
    assert capsys.readouterr().err == (
        "textlstm: --quiet: no such option; settings are KEY=VALUE, options are --help and --config\n"
    )
    assert main(["label", "--loud"]) == 2
    assert capsys.readouterr().err == (
        "textlstm: --loud: no such option; settings are KEY=VALUE, options are --help, --quiet, --json, --log-file and "
        "--config\n"
    )


def test_a_dry_run_says_what_would_be_done_and_writes_nothing(
    label: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    before = sorted(Path().rglob("*"))
    assert label("dry_run=true", "labelling.top_k=1") == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[:2] == [
        "would label 2 rows of 1 input into out.csv",
        "adds the columns predicted_label, probability, decision, predicted_label_1, probability_1",
    ]
    assert re.fullmatch(r"about \d+ s with 1 process, at [\d,]+ rows/s a process", lines[3])
    assert lines[4] == "nothing was written"
    assert sorted(Path().rglob("*")) == before
    # What the job would refuse is refused here.
    assert label("dry_run=true", "labelling.text_column=body") == 2
    assert "no column 'body'" in capsys.readouterr().err
    assert label() == 0
    assert label("dry_run=true") == 2
    assert label("dry_run=true", "input=-", "overwrite=true") == 2


def test_a_dry_run_counts_what_is_kept(label: Callable[..., int], capsys: pytest.CaptureFixture[str]) -> None:
    Path("in.csv").write_text("text\n" + "".join(f"the goal of match {number}\n" for number in range(9)))
    assert label("labelling.shard_rows=2") == 0
    with Path("in.csv").open("a") as stream:
        stream.write("one more\n")
    capsys.readouterr()
    assert label("labelling.shard_rows=2", "labelling.append=true", "dry_run=true", "--json") == 0
    outlook = json.loads(capsys.readouterr().out)
    assert (outlook["num_rows"], outlook["num_kept"], outlook["dry_run"]) == (10, 8, True)


def test_a_log_file_holds_names_that_are_no_text(label: Callable[..., int]) -> None:
    """A byte of a name that is no UTF-8; found by random command 1023, which ended in a traceback."""
    # The interpreter's own standard error writes such a byte with a backslash; the one that pytest captures refuses it.
    written = io.TextIOWrapper(io.BytesIO(), "utf-8", errors="backslashreplace")
    with contextlib.redirect_stderr(written):
        assert label("--log-file", "label.log", "model_dir=\udcff") == 3
    written.seek(0)
    message = "\\udcff: no model here (manifest.json is missing); train one or set model_dir\n"
    assert written.read() == f"textlstm: {message}"
    assert Path("label.log").read_text(encoding="utf-8").endswith(message)


@pytest.mark.parametrize("log", ["in.csv", "./in.csv", "link", "out.csv", "out.csv.manifest.json"])
def test_a_log_file_is_no_file_of_the_job(
    label: Callable[..., int], capsys: pytest.CaptureFixture[str], log: str
) -> None:
    Path("link").symlink_to("in.csv")
    before = Path("in.csv").read_bytes()
    assert label("--log-file", log) == 2
    assert capsys.readouterr().err == (
        f"textlstm: log_file={log}: is a file of the job itself; choose another log_file\n"
    )
    assert Path("in.csv").read_bytes() == before
    assert not Path("out.csv").exists()
    assert label("output=many/", "--log-file", "many/in.csv") == 2
    assert label("--log-file", "other.log") == 0  # negative control


def test_a_log_file_that_is_a_pipe_is_never_waited_for(
    label: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    os.mkfifo("pipe")
    assert label("--log-file", "pipe") == 2
    assert capsys.readouterr().err == (
        "textlstm: pipe: is a pipe that nobody reads; name a file, or start its reader\n"
    )
    # Negative control: with a reader the lines arrive.
    reader = os.open("pipe", os.O_RDONLY | os.O_NONBLOCK)
    assert label("--log-file", "pipe") == 0
    assert b"labelled 2 rows into out.csv" in os.read(reader, 10_000)
    os.close(reader)


def test_a_dry_run_refuses_what_the_job_would_refuse(
    label: Callable[..., int], capsys: pytest.CaptureFixture[str], early_exit_model: Path
) -> None:
    def refusals(*typed: str) -> tuple[str, str]:
        errors = []
        for dry_run in ("dry_run=true", "dry_run=false"):
            assert label(*typed, dry_run) == 2
            errors.append(capsys.readouterr().err)
        return errors[0], errors[1]

    Path("out.csv").write_text("text,predicted_label\n")
    ahead, job = refusals("labelling.append=true")
    assert "so that nobody knows how it was labelled" in job
    assert ahead == job
    Path("out.csv").unlink()
    Path("out.csv.work").mkdir()
    Path("out.csv.work/mine.txt").write_text("x")
    ahead, job = refusals()
    assert "holds something else" in job
    assert ahead == job
    Path("out.csv.work/mine.txt").unlink()
    assert label() == 0
    capsys.readouterr()
    ahead, job = refusals("labelling.append=true", f"model_dir={early_exit_model}")
    assert "was labelled by another model" in job
    assert ahead == job


def test_a_dry_run_with_nothing_left_to_do_is_json_too(
    label: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    def no_constant(name: str) -> None:
        raise AssertionError(name)

    assert label("output=many/", "--quiet") == 0
    assert label("output=many/", "dry_run=true", "--json") == 0
    outlook = json.loads(capsys.readouterr().out, parse_constant=no_constant)
    assert (outlook["num_rows"], outlook["rows_per_second"]) == (0, None)
    with pytest.raises(AssertionError, match="Infinity"):  # negative control
        json.loads(json.dumps({"rows_per_second": float("inf")}), parse_constant=no_constant)
