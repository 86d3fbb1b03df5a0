"""Kill -9 at points all over a preparation and a training of many rows: the files of an uninterrupted run.

TEXTLSTM_KILLED_ROWS and TEXTLSTM_KILLS set other numbers of rows and kills, such as 300000 and 20.
"""

import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import NamedTuple

import pytest

ROWS = int(os.environ.get("TEXTLSTM_KILLED_ROWS", "4000"))
KILLS = int(os.environ.get("TEXTLSTM_KILLS", "4"))
PROGRAM = """
import sys
from textlstm.cli import main
from textlstm.fitting import networks
from textlstm.training.job import Progress

networks.MOST_TOKENS = 1000  # token ids lie in a file, as those of more rows do
if sys.argv[1] == "forgetful":
    whole = Progress.from_json
    Progress.from_json = classmethod(lambda _class, data: whole({**data, "batch": data["batch"] + 1}))
sys.exit(main(sys.argv[2:]))
"""
SETTINGS = (
    *("train", "data=files", "text=fast", "tracking=off", "training=deterministic", "auto=[]", "seed=3"),
    *("training.epochs=2", "training.checkpoint_seconds=0.2", "training.batch_size=64", "model.hidden_size=8"),
    *("model.embedding_size=8", "evaluation.report=false", "num_workers=1"),
)


class Run(NamedTuple):
    """A command to the end."""

    seconds: float
    digests: dict[str, str]


@pytest.fixture(scope="module")
def rows_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("rows") / "rows.jsonl"
    words = {"sport": "goal match coach", "money": "bank share profit", "film": "actor plot scene"}
    with path.open("w") as file:
        for number in range(ROWS):
            label = list(words)[number % 3]
            text = f"{words[label].split()[number % 2]} of text{number % 997} number {number} {'again ' * (number % 7)}"
            file.write(json.dumps({"text": text, "label": label}) + "\n")
    return path


def start(rows_file: Path, folder: Path, mode: str = "exact") -> subprocess.Popen[bytes]:
    places = (f"data.train={rows_file}", f"prepared_dir={folder / 'prepared'}", f"output_dir={folder / 'model'}")
    with (folder / "log").open("ab") as log:
        command = [sys.executable, "-c", PROGRAM, mode, *SETTINGS, *places]
        return subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)


def digests_of(folder: Path) -> dict[str, str]:
    """Return the sha256 of each file of the prepared corpus, the model and the predictions that does not hold times."""
    found = [*(folder / "prepared").rglob("*"), *(folder / "model").iterdir(), *(folder / "model-evaluation").iterdir()]
    kept = (".arrow", ".safetensors", ".parquet", ".bin", "card.json", "corpus.json", "vocabulary.txt")
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in found if path.name.endswith(kept)}


def to_the_end(rows_file: Path, folder: Path, mode: str = "exact") -> Run:
    began = time.perf_counter()
    assert start(rows_file, folder, mode).wait() == 0, (folder / "log").read_text()
    return Run(time.perf_counter() - began, digests_of(folder))


def killed(rows_file: Path, folder: Path, *, seconds: float, mode: str = "exact") -> dict[str, str]:
    """Start and kill the command `KILLS` times, each time later, then let it come to its end; return the digests."""
    folder.mkdir()
    for kill in range(1, KILLS + 1):
        process = start(rows_file, folder, mode)
        try:
            assert process.wait(seconds * kill / (KILLS + 1)) == 0, (folder / "log").read_text()
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        # The kill came after the end, or the earlier starts had left little to do.
        if (folder / "model").exists() and not (folder / "model.unfinished").exists():
            return digests_of(folder)
    return to_the_end(rows_file, folder, mode).digests


@pytest.fixture(scope="module")
def whole(rows_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    return to_the_end(rows_file, tmp_path_factory.mktemp("whole"))


@pytest.mark.long
def test_kills_all_over_a_run_leave_no_trace(rows_file: Path, whole: Run, tmp_path: Path) -> None:
    assert {"train.arrow", "weights.safetensors", "predictions.parquet", "training_rows.bin"} <= set(whole.digests)
    found = killed(rows_file, tmp_path / "killed", seconds=whole.seconds)
    assert found == whole.digests
    assert "continued from epoch" in (tmp_path / "killed" / "log").read_text()


@pytest.mark.long
def test_a_run_that_forgets_a_batch_is_seen(rows_file: Path, whole: Run, tmp_path: Path) -> None:
    """The negative control: a continued training that skips a batch has other weights."""
    found = killed(rows_file, tmp_path / "killed", seconds=whole.seconds, mode="forgetful")
    assert found["train.arrow"] == whole.digests["train.arrow"]
    assert found["weights.safetensors"] != whole.digests["weights.safetensors"]
