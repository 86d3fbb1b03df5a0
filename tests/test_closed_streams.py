"""Standard streams that are closed at the start, as a service or `<&-` leaves them, or that take no more bytes."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from textlstm.cli.main import STAGES

CLOSED = {"stdin": (0,), "stdout": (1,), "stderr": (2,), "all": (0, 1, 2)}
NEEDED = ("data=files", "data.train=no.csv", "tracking=off", "model_dir=no", "output=no.csv", "input=no.csv")


def run(*arguments: str, closed: tuple[int, ...], folder: Path) -> tuple[int, str]:
    """Run the command without the streams `closed`; return its exit code and what it wrote to standard error."""
    names = " ".join(f"{number}{'<' if number == 0 else '>'}&-" for number in closed)
    command = f'exec "$@" {names}'
    done = subprocess.run(
        ["/bin/sh", "-c", command, "sh", sys.executable, "-m", "textlstm", *arguments],
        cwd=folder,
        check=False,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=600,
    )
    return done.returncode, done.stderr


@pytest.fixture
def rows(tmp_path: Path) -> Path:
    lines = [
        f"a {'goal match' if row % 2 else 'bank share'} {row},{'sport' if row % 2 else 'money'}" for row in range(40)
    ]
    path = tmp_path / "rows.csv"
    path.write_text("\n".join(("text,label", *lines)) + "\n")
    return path


@pytest.mark.parametrize("closed", CLOSED)
def test_preparing_and_labelling_need_no_streams(closed: str, rows: Path, tiny_model: Path, tmp_path: Path) -> None:
    """Both start child processes or open files, which would get the numbers of the closed streams."""
    numbers = CLOSED[closed]
    prepare = ("prepare", "data=files", "data.train=rows.csv", "num_workers=2", "text.pos=false", "prepared_dir=p")
    code, told = run(*prepare, closed=numbers, folder=tmp_path)
    assert (code, "Traceback" in told) == (0, False), told
    label = ("label", f"model_dir={tiny_model}", "input=rows.csv", "output=out.csv", "tracking=off")
    code, told = run(*label, closed=numbers, folder=tmp_path)
    assert (code, "Traceback" in told) == (0, False), told
    # What was printed went nowhere, and into no file that got the number of a closed stream.
    lines = (tmp_path / "out.csv").read_text().splitlines()
    assert (len(lines), lines[0]) == (41, "text,label,predicted_label,probability,decision")


@pytest.mark.parametrize(
    ("arguments", "closed", "message"),
    [
        (("label", "input=-", "output=o.csv"), (0,), "-: standard input is closed; name a file, or send the rows into"),
        (
            ("label", "input=rows.csv", "output=-"),
            (1,),
            "output=-: standard output is closed; name a file, or send the",
        ),
    ],
)
def test_a_stream_that_is_needed_and_closed_is_named(
    arguments: tuple[str, ...], closed: tuple[int, ...], message: str, rows: Path, tiny_model: Path, tmp_path: Path
) -> None:
    code, told = run(
        *arguments, f"model_dir={tiny_model}", "labelling.format=csv", "tracking=off", closed=closed, folder=tmp_path
    )
    assert (code, told.splitlines()[0][: len(message) + 10]) == (2, f"textlstm: {message}")


@pytest.mark.long
@pytest.mark.parametrize("closed", CLOSED)
@pytest.mark.parametrize("stage", list(STAGES))
def test_every_stage_ends_without_a_traceback(stage: str, closed: str, tmp_path: Path) -> None:
    from textlstm.cli.settings import group_choices, setting_types

    known = {*setting_types(STAGES[stage].config_class), *group_choices(STAGES[stage].config_class)}
    arguments = [item for item in NEEDED if item.partition("=")[0] in known]
    if stage in ("dashboard", "serve"):
        arguments.append("host=0.0.0.0")  # refused, so that no server starts
    if stage == "compare":
        arguments.append("runs=[a,b]")
    code, told = run(stage, *arguments, closed=CLOSED[closed], folder=tmp_path)
    assert (code in (0, 2, 3, 4), "Traceback" in told) == (True, False), told


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
def test_a_full_standard_output_is_a_storage_error() -> None:
    with Path("/dev/full").open("w") as full:
        # Buffered, as for any user, so that the last flush is what fails.
        environment = {key: value for key, value in os.environ.items() if key != "PYTHONUNBUFFERED"}
        command = [sys.executable, "-m", "textlstm", "--help"]
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, check=False, env=environment)
    assert (done.returncode, done.stderr) == (4, f"textlstm: standard output: {os.strerror(28)}\n")


@pytest.mark.skipif(sys.platform != "linux", reason="names of files are text elsewhere")
def test_a_name_that_is_no_text_is_printed(rows: Path, tmp_path: Path) -> None:
    """A byte of a name that is no UTF-8, on a terminal of UTF-8; found by random command 659."""
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "textlstm",
            "prepare",
            "data=files",
            f"data.train={rows.name}",
            "num_workers=1",
            "text.pos=false",
            b"prepared_dir=\xff",
        ],
        cwd=tmp_path,
        check=False,
        capture_output=True,
        env={**os.environ, "PYTHONIOENCODING": "utf-8:strict"},
        timeout=600,
    )
    assert (done.returncode, b"Traceback" in done.stderr) == (0, False)
    assert done.stdout.splitlines()[-1].startswith(rb"data card   \udcff/")
