"""Outputs that are no plain name of a file: pipes, devices, links, and names that tell another format."""

import json
import os
import stat
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import NoReturn

import pytest
from fake_model import FAKE_MODELS

from textlstm.errors import InputError
from textlstm.labelling.output import open_target
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


@pytest.mark.parametrize("name", ["out.xls", "out.XLS", "out.json", "out.zip", "out.sqlite"])
def test_a_name_that_tells_a_format_that_is_not_written_is_refused(rows: Path, run, name: str) -> None:
    assert _refused(run, name) == (
        f"{rows}/{name}: {Path(name).suffix.lower()} is not written; name the output .csv, .tsv, .jsonl, .parquet or .xlsx, "
        "the first three also with .gz or .zst",
    )
    assert _names(rows) == ["in.csv", "model"]


def test_a_name_that_tells_no_format_gets_that_of_the_input(rows: Path, run) -> None:  # control
    run("in.csv", "labelled.2026-11-28")
    assert (rows / "labelled.2026-11-28").read_text() == LABELLED


def test_what_labelling_leaves_beside_outputs_is_no_input_of_a_glob_or_folder(tmp_path: Path, run) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.jsonl").write_text('{"text": "four"}\n{"text": 4}\n')
    run("in/a.jsonl", "in/b.jsonl", label_name="first", probability_name="p", decision_name="")
    (tmp_path / "in" / "c.jsonl.work").mkdir()
    (tmp_path / "in" / "c.jsonl.work" / "0.jsonl").write_text('{"text": "in pieces"}\n')
    assert _names(tmp_path / "in") == [
        "a.jsonl",
        "b.jsonl",
        "b.jsonl.manifest.json",
        "b.jsonl.rejects.jsonl",
        "c.jsonl.work",
    ]
    texts = ["four", "four"]
    for number, pattern in enumerate(("in/*", "in/**/*.jsonl", "in")):
        run(pattern, f"out{number}.jsonl")
        assert [json.loads(line)["text"] for line in (tmp_path / f"out{number}.jsonl").open()] == texts
    with pytest.raises(InputError) as refused:
        run("in/*.rejects.jsonl", "out.jsonl")
    assert refused.value.problems == (
        f"{tmp_path}/in/*.rejects.jsonl: matches no file but rejects, manifests and work folders of labelling.",
    )


def test_a_file_that_only_ends_like_one_of_ours_is_an_input(tmp_path: Path, run) -> None:  # control
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "todays.rejects.jsonl").write_text('{"text": "four"}\n')
    run("in/*", "out.jsonl")
    run("in/todays.rejects.jsonl", "named.jsonl")
    assert (tmp_path / "out.jsonl").read_bytes() == (tmp_path / "named.jsonl").read_bytes()
    assert json.loads((tmp_path / "out.jsonl").read_text())["text"] == "four"


@pytest.mark.parametrize("output", ["out.csv", "-"])
def test_a_missing_column_is_named_before_the_model_is_loaded(tmp_path: Path, run, output: str) -> None:
    def load(*_arguments: object) -> NoReturn:
        raise AssertionError("the model was loaded")

    models = replace(FAKE_MODELS, load=load)
    (tmp_path / "in.csv").write_text("a,b\n1,2\n")
    with pytest.raises(InputError) as refused:
        run("in.csv", output, models=models)
    assert refused.value.problems == (
        f"{tmp_path}/in.csv: no column 'text'; the columns are 'a', 'b'. Set labelling.text_column.",
    )
    assert _names(tmp_path) == ["in.csv", "model"]
    (tmp_path / "in.csv").write_text("text\nfour\n")
    with pytest.raises(AssertionError, match="the model was loaded"):  # control
        run("in.csv", output, models=models)


@pytest.mark.parametrize("suffix", [".rejects.jsonl", ".manifest.json"])
def test_a_pipe_under_a_name_beside_the_output_is_refused(suffix: str, tmp_path: Path) -> None:
    """The job would have replaced it by a file."""
    output = tmp_path / "out.csv"
    pipe = output.with_name(output.name + suffix)
    os.mkfifo(pipe)
    with pytest.raises(InputError) as caught:
        open_target(str(output))
    assert caught.value.problems == (
        f"{pipe}: is a pipe and no file; remove it, or choose another output than {output}",
    )
    pipe.unlink()
    pipe.write_text("of an earlier job")
    assert open_target(str(output)).name == "out.csv"
