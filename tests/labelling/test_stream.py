"""Standard input to standard output, and standard input to a file."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from fake_model import FAKE_MODELS, FakeClassifier

PROGRAM = """
import sys
sys.path.insert(0, sys.argv[1])
from fake_model import FAKE_MODELS
from textlstm.config import FileFormat, LabelConfig, LabellingConfig
from textlstm.errors import TextLSTMError
from textlstm.labelling.job import label_files
settings = LabellingConfig(format=FileFormat(sys.argv[3]), output_format=FileFormat(sys.argv[4]), max_reject_fraction=0.4)
try:
    label_files(LabelConfig(model_dir="model", input=["-"], output=sys.argv[2], labelling=settings), models=FAKE_MODELS)
except TextLSTMError as error:
    sys.stderr.write("\\n".join(error.problems) + "\\n")
    sys.exit(error.exit_code)
"""


def pipe(
    content: bytes, *, output: str = "-", format: str = "csv", output_format: str = "auto"
) -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, "-c", PROGRAM, str(Path(__file__).parent), output, format, output_format]
    return subprocess.run(command, input=content, capture_output=True, check=False)


def test_csv_streams_to_csv_and_rejects_go_to_standard_error() -> None:
    done = pipe(b"id,text\n1,four\n2,a,b\n3,\n")
    assert done.returncode == 0
    assert done.stdout == b"id,text,predicted_label,probability,decision\n1,four,odd,0.54,abstained\n3,,,0.0,empty\n"
    assert json.loads(done.stderr) == {
        "file": "-",
        "row": 2,
        "byte_offset": 15,
        "reason": "has 3 fields where the header has 2",
    }


def test_a_streamed_file_is_told_to_be_read_in_another_way(tmp_path: Path, run, capsysbinary) -> None:
    (tmp_path / "in.csv").write_text("id;text\n1;four\n")
    assert run("in.csv", "-").notes == ("in.csv: read with semicolons between its cells",)
    assert capsysbinary.readouterr().out == b"id,text,predicted_label,probability,decision\n1,four,odd,0.54,abstained\n"
    (tmp_path / "plain.csv").write_text("id,text\n1,four\n")
    assert run("plain.csv", "-").notes == ()


def test_text_lines_stream_to_jsonl() -> None:
    done = pipe(b"four\n", format="text")
    assert done.stdout == b'{"text": "four", "predicted_label": "odd", "probability": 0.54, "decision": "abstained"}\n'


def test_many_blocks_keep_their_order() -> None:
    done = pipe(b"".join(b'{"text": "%d"}\n' % number for number in range(2500)), format="jsonl")
    assert [json.loads(line)["text"] for line in done.stdout.splitlines()] == [str(number) for number in range(2500)]


@pytest.mark.parametrize(
    ("content", "format", "output_format", "message"),
    [
        (
            b'{"text": "a"}\n',
            "jsonl",
            "csv",
            b"output=-: jsonl cannot be streamed as csv; set labelling.output_format=jsonl, or name a file as output\n",
        ),
        (b"a\n", "auto", "auto", b"-: standard input has no name to tell its format. Set labelling.format.\n"),
        (b"", "text", "auto", b"-: has no data rows.\n"),
    ],
)
def test_streams_that_cannot_be_are_refused(content: bytes, format: str, output_format: str, message: bytes) -> None:
    done = pipe(content, format=format, output_format=output_format)
    assert (done.returncode, done.stdout, done.stderr) == (2, b"", message)


def test_too_many_rejects_end_with_exit_2() -> None:
    done = pipe(b"text\na,b\nc\n")
    assert done.returncode == 2
    assert b"-: 1 of 2 rows cannot be used; labelling.max_reject_fraction=0.4 allows 0." in done.stderr


def test_standard_input_into_a_file_is_exactly_once_as_well(tmp_path: Path) -> None:
    done = pipe(b"text\nfour\n", output=str(tmp_path / "out.csv"))
    assert (done.returncode, done.stderr) == (0, b"")
    assert (
        tmp_path / "out.csv"
    ).read_bytes() == b"text,predicted_label,probability,decision\nfour,odd,0.54,abstained\n"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out.csv", "out.csv.manifest.json"]


def test_the_fake_model_is_what_the_expectations_say() -> None:
    assert FAKE_MODELS.describe(Path()).labels == FakeClassifier.labels == ("even", "odd", "three")
