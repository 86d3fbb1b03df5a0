"""Outputs that are no plain name of a file: pipes, devices, links, and names that tell another format."""

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from textlstm.errors import InputError
from textlstm.storage.files import atomic_file

LABELLED = "text,predicted_label,probability,decision\nfour,odd,0.54,abstained\n"
REMEDY = "use output=- to write to standard output, or name a file"


@pytest.fixture
def rows(tmp_path: Path) -> Path:
    (tmp_path / "in.csv").write_text("text\nfour\n")
    return tmp_path


def _names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def _refused(run, output: str, *, overwrite: bool = False) -> tuple[str, ...]:
    with pytest.raises(InputError) as refused:
        run("in.csv", output, overwrite=overwrite)
    return refused.value.problems


@pytest.mark.parametrize("overwrite", [False, True])
def test_a_pipe_is_refused_and_stays_a_pipe(rows: Path, run, overwrite: bool) -> None:
    os.mkfifo(rows / "pipe.csv")
    assert _refused(run, "pipe.csv", overwrite=overwrite) == (f"{rows}/pipe.csv: is a pipe and no file; {REMEDY}",)
    assert stat.S_ISFIFO((rows / "pipe.csv").stat().st_mode)
    assert _names(rows) == ["in.csv", "model", "pipe.csv"]


@pytest.mark.parametrize("overwrite", [False, True])
def test_a_device_is_refused_and_stays_a_device(rows: Path, run, overwrite: bool) -> None:
    (rows / "dev").mkdir()
    try:
        os.mknod(rows / "dev" / "nul", 0o666 | stat.S_IFCHR, os.makedev(1, 3))
    except PermissionError:
        pytest.skip("devices cannot be made here")
    assert _refused(run, "dev/nul", overwrite=overwrite) == (f"{rows}/dev/nul: is a device and no file; {REMEDY}",)
    assert stat.S_ISCHR((rows / "dev" / "nul").stat().st_mode)
    assert _names(rows / "dev") == ["nul"]


def test_a_link_to_a_pipe_or_device_is_refused_and_stays_a_link(rows: Path, run) -> None:
    (rows / "null.csv").symlink_to("/dev/null")
    os.mkfifo(rows / "pipe")
    (rows / "link.csv").symlink_to("pipe")
    assert _refused(run, "null.csv", overwrite=True) == (f"{rows}/null.csv: is a device and no file; {REMEDY}",)
    assert _refused(run, "link.csv", overwrite=True) == (f"{rows}/link.csv: is a pipe and no file; {REMEDY}",)
    assert ((rows / "null.csv").readlink(), (rows / "link.csv").readlink()) == (Path("/dev/null"), Path("pipe"))


def test_a_link_to_a_file_is_followed(rows: Path, run) -> None:
    (rows / "elsewhere").mkdir()
    (rows / "elsewhere" / "old.csv").write_text("old")
    (rows / "link.csv").symlink_to("elsewhere/old.csv")
    (rows / "dangling.csv").symlink_to("elsewhere/new.csv")
    assert _refused(run, "link.csv") == (f"{rows}/link.csv: exists; choose another output or set overwrite=true",)
    run("in.csv", "link.csv", overwrite=True)
    run("in.csv", "dangling.csv")
    assert (rows / "link.csv").is_symlink()
    assert (rows / "dangling.csv").is_symlink()
    assert (rows / "elsewhere" / "old.csv").read_text() == LABELLED
    assert (rows / "elsewhere" / "new.csv").read_text() == LABELLED
    assert _names(rows) == ["dangling.csv", "elsewhere", "in.csv", "link.csv", "model"]


@pytest.mark.parametrize("into_file", [False, True])
def test_standard_output_by_its_name_is_refused(tmp_path: Path, into_file: bool) -> None:
    (tmp_path / "stdout").symlink_to("/proc/self/fd/1")
    program = (
        "import sys; from textlstm.errors import InputError; from textlstm.labelling.output import open_target\n"
        "try: open_target(sys.argv[1])\n"
        "except InputError as error: sys.stderr.write(str(error))"
    )
    with (tmp_path / "file").open("wb") as file:
        command = [sys.executable, "-c", program, str(tmp_path / "stdout")]
        stdout = file if into_file else subprocess.PIPE
        done = subprocess.run(command, stdout=stdout, stderr=subprocess.PIPE, check=True)
    found = "standard output" if into_file else "a pipe and no file"
    assert done.stderr.decode() == f"{tmp_path}/stdout: is {found}; {REMEDY}"
    assert (tmp_path / "stdout").readlink() == Path("/proc/self/fd/1")


def test_pages_and_tables_follow_links_and_refuse_pipes(tmp_path: Path) -> None:
    (tmp_path / "page.html").symlink_to("other.html")
    with atomic_file(tmp_path / "page.html") as stream:
        stream.write(b"page")
    assert (tmp_path / "other.html").read_bytes() == b"page"
    assert (tmp_path / "page.html").is_symlink()
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(InputError, match=r"pipe: is a pipe and no file; name a file"), atomic_file(tmp_path / "pipe"):
        pass
    assert stat.S_ISFIFO((tmp_path / "pipe").stat().st_mode)


@pytest.mark.parametrize("name", ["out.xlsx", "out.XLSX", "out.json", "out.zip", "out.sqlite"])
def test_a_name_that_tells_a_format_that_is_not_written_is_refused(rows: Path, run, name: str) -> None:
    assert _refused(run, name) == (
        f"{rows}/{name}: {Path(name).suffix.lower()} is not written; name the output .csv, .tsv, .jsonl or .parquet, "
        "the first three also with .gz or .zst",
    )
    assert _names(rows) == ["in.csv", "model"]


def test_a_name_that_tells_no_format_gets_that_of_the_input(rows: Path, run) -> None:  # control
    run("in.csv", "labelled.2026-11-28")
    assert (rows / "labelled.2026-11-28").read_text() == LABELLED
