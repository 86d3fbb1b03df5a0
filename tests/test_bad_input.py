"""Bad files through the whole command: exit code, every line on stderr, and nothing left behind.

The table of all cases is docs/bad-input.md; the rooms' own tests hold each of them with its whole message.
"""

import gzip
import json
import re
import time
from pathlib import Path

import numpy as np
import pytest

from textlstm.cli import main
from textlstm.config import ModelConfig, Task, TextConfig, TrainingConfig
from textlstm.models.network.inputs import encode_split
from textlstm.models.network.network import NetworkSizes, TextNetwork, predict_logits
from textlstm.text.pipeline import TextPipeline
from textlstm.training.job import TrainingJob
from textlstm.training.loop import fit

ROOT = Path(__file__).resolve().parent.parent
GOOD_ROWS = "".join(
    f"{'good' if row % 2 else 'bad'} film number {row},{'pos' if row % 2 else 'neg'}\n" for row in range(200)
)
GOOD = f"text,label\n{GOOD_ROWS}".encode()
PREPARE = ["prepare", "data=files", "text.pos=false", "num_workers=1", "prepared_dir=prepared"]
NUM_CASES = 159


@pytest.fixture(autouse=True)
def _in_tmp_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def files_below(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


REFUSED = [
    (1, "missing.csv", None, ["missing.csv: no such file."]),
    (2, "x.csv", b"", ["x.csv: is empty (0 bytes)."]),
    (3, "x.csv", b"text,label\n", ["x.csv: has no data rows."]),
    (5, "x.csv", GOOD.decode().encode("utf-16"), ["x.csv: looks like UTF-16 text. Set data.encoding=utf-16."]),
    (
        15,
        "x.csv",
        GOOD + b'"never closed,pos\n',
        ["x.csv:201: a quote opens a cell in this row and is never closed. Close it, or double it where it is text."],
    ),
    (
        17,
        "x.csv",
        b"text,label\n" + b"a film, with a comma,pos\n" * 2 + b"good film,pos\nbad film,neg\n" * 2,
        [
            "x.csv: 2 of 6 rows cannot be used; data.max_reject_fraction=0.01 allows 0. "
            "Mend the rows or raise data.max_reject_fraction.",
            "x.csv:1: has 3 fields where the header has 2",
            "x.csv:2: has 3 fields where the header has 2",
        ],
    ),
    (
        21,
        "x.csv",
        GOOD.replace(b"text,label", b" Text,label", 1),
        ["x.csv: no column 'text'; did you mean ' Text'? The columns are ' Text', 'label'. Set data.text_column."],
    ),
    (25, "x.csv", gzip.compress(GOOD, mtime=0), ["x.csv: is gzip data. Rename it to end in .gz."]),
    (
        45,
        "x.csv",
        GOOD + b"a better film,Pos\nthe best film,Pos\n",
        [
            "train: labels look alike: 'Pos' (2 rows) and 'pos' (100 rows) differ in upper and lower case. "
            "Make them one."
        ],
    ),
    (
        49,
        "x.csv",
        GOOD.replace(b",neg", b",pos"),
        ["train: all rows have the same label; there must be at least two classes."],
    ),
    (
        96,
        "x.json",
        b'[{"text": "a", "label": "b"}, {"text"',
        ["x.json: the JSON array is never closed; is the file whole?"],
    ),
    (
        60,
        "x.jsonl",
        b'{\n  "text": "a"\n}\n',
        ["x.jsonl: is indented JSON, not JSONL. Write one object a line, as with `jq -c .`."],
    ),
]


@pytest.mark.parametrize(("number", "name", "content", "lines"), REFUSED, ids=[f"case {case[0]}" for case in REFUSED])
def test_refused_files_end_with_exit_code_2_and_leave_nothing(
    number: int, name: str, content: bytes | None, lines: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    if content is not None:
        Path(name).write_bytes(content)
    before = files_below(Path())
    code = main([*PREPARE, f"data.train={name}"])
    captured = capsys.readouterr()
    assert [line.removeprefix("textlstm: ") for line in captured.err.splitlines()] == lines
    assert (code, captured.out) == (2, "")
    assert {path for path in files_below(Path()) if "/.locks/" not in path} == set(before)


def test_a_good_file_passes_the_same_command(capsys: pytest.CaptureFixture[str]) -> None:
    Path("x.csv").write_bytes(GOOD)
    assert main([*PREPARE, "data.train=x.csv"]) == 0
    assert len(list(Path("prepared").glob("*/card.json"))) == 1


def test_06_one_bad_row_of_two_hundred_is_left_out_and_told(capsys: pytest.CaptureFixture[str]) -> None:
    Path("x.csv").write_bytes(GOOD + b"caf\xe9 film,pos\n")
    assert main([*PREPARE, "data.train=x.csv"]) == 0
    (rejects,) = Path("prepared").glob("*/rejects.jsonl")
    offset = len(GOOD) + 3
    assert [json.loads(line) for line in rejects.read_text().splitlines()] == [
        {
            "file": "x.csv",
            "row": 201,
            "byte_offset": len(GOOD),
            "reason": f"is not valid utf-8: byte 0xE9 at byte offset {offset}",
        }
    ]


def test_labelling_refuses_and_rejects_alike(tiny_model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    label = ["label", f"model_dir={tiny_model}", "output=out.csv", "tracking=off", "labelling.num_workers=1"]
    Path("x.csv").write_bytes(b"txt,id\na goal,1\n")
    assert main([*label, "input=x.csv"]) == 2
    assert capsys.readouterr().err == (
        "textlstm: x.csv: no column 'text'; did you mean 'txt'? The columns are 'txt', 'id'. "
        "Set labelling.text_column.\n"
    )
    assert sorted(files_below(Path())) == ["x.csv"]
    Path("x.csv").write_bytes(b"text,id\n" + b"a goal,1\n" * 150 + b"a match\n")
    assert main([*label, "input=x.csv"]) == 0
    assert len(Path("out.csv").read_bytes().splitlines()) == 151
    (line,) = Path("out.csv.rejects.jsonl").read_text().splitlines()
    assert json.loads(line) == {
        "file": "x.csv",
        "row": 151,
        "byte_offset": 1358,
        "reason": "has 1 fields where the header has 2",
    }


@pytest.mark.parametrize("text", ["(" * 20_000, "😀" * 20_000, "a" * 900_000, "a." * 300_000, "http://" * 100_000])
def test_29_30_long_runs_take_at_most_a_second(text: str) -> None:
    pipeline = TextPipeline(TextConfig(pos=False))
    pipeline.prepare(["warm up"])
    start = time.process_time()
    prepared = pipeline.prepare([text])
    assert time.process_time() - start < 1
    assert max(len(token) for token in prepared.tokens) <= TextConfig().max_run


def test_34_a_text_of_stop_words_is_kept_and_counted() -> None:
    prepared = TextPipeline(TextConfig(pos=False, stop_words="remove")).prepare(["the a of", "the goal"])
    assert prepared.tokens == ["goal"]
    assert prepared.offsets.tolist() == [0, 0, 1]
    assert prepared.num_removed.tolist() == [3, 1]


@pytest.mark.parametrize("batch_size", [1, 1000])
def test_54_batches_of_one_row_and_larger_than_the_data(batch_size: int) -> None:
    rng = np.random.default_rng(0)
    offsets = np.arange(0, 4 * 23 + 1, 4)
    targets = np.arange(23) % 2
    token_ids = rng.integers(2, 9, offsets[-1], dtype=np.int32)
    split = encode_split(token_ids, offsets, None, targets, max_tokens=16)
    network = TextNetwork(ModelConfig(hidden_size=4, embedding_size=4), NetworkSizes(vocabulary_size=9, num_labels=2))
    config = TrainingConfig(epochs=1, batch_size=batch_size, deterministic=True)
    fit(TrainingJob(network, split, split, config=config, task=Task.single_label, seed=0))
    assert predict_logits(network, split).shape == (23, 2)
    assert np.isfinite(predict_logits(network, split)).all()


def test_the_table_has_every_case_and_names_tests_that_exist() -> None:
    rows = re.findall(
        r"^\| (\d+) \|.*\| `(tests/[^`]+)` \|$", (ROOT / "docs" / "bad-input.md").read_text(), re.MULTILINE
    )
    assert [int(number) for number, _ in rows] == list(range(1, NUM_CASES + 1))
    missing = []
    for number, address in rows:
        file, _, test = address.partition("::")
        path = ROOT / file
        if not path.is_file() or f"def {test}(" not in path.read_text():
            missing.append(f"{number}: {address}")
    assert missing == []
