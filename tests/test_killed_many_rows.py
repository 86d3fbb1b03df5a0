"""Kill -9 at points all over a preparation and a training of many rows: the files of an uninterrupted run.

TEXTLSTM_KILLED_ROWS and TEXTLSTM_KILLS set other numbers of rows and kills, such as 300000 and 20.
"""

import hashlib
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

ROWS = int(os.environ.get("TEXTLSTM_KILLED_ROWS", "4000"))
KILLS = int(os.environ.get("TEXTLSTM_KILLS", "4"))
PROGRAM = """
import os, pathlib, signal, sys
from textlstm.cli import main
from textlstm.fitting import networks
from textlstm.training.job import Progress

networks.MOST_TOKENS = 1000  # token ids lie in a file, as those of more rows do
synced, mode, last, counted = os.fsync, sys.argv[1], int(sys.argv[2]), pathlib.Path(sys.argv[3])

def fsync(file):
    synced(file)
    count = int(counted.read_text()) + 1
    counted.write_text(str(count))
    if count == last:
        os.killpg(0, signal.SIGKILL)

counted.write_text("0")
os.fsync = fsync
if mode == "forgetful":
    whole = Progress.from_json
    Progress.from_json = classmethod(lambda _class, data: whole({**data, "batch": data["batch"] + 1}))
sys.exit(main(sys.argv[4:]))
"""
SETTINGS = (
    *("train", "data=files", "text=fast", "tracking=off", "training=deterministic", "auto=[]", "seed=3"),
    *("training.epochs=2", "training.checkpoint_seconds=0.01", "training.batch_size=64", "model.hidden_size=8"),
    *("model.embedding_size=8", "evaluation.report=false", "num_workers=1"),
)


class Run(NamedTuple):
    """A command to the end."""

    num_syncs: int
    """Files and folders that it made safe on disk: the points at which it can be killed, however fast it is."""
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


def run(rows_file: Path, folder: Path, *, mode: str = "exact", last: int = 0) -> int:
    """Run the command, which kills itself after it has made file number `last` safe; return its exit code."""
    places = (f"data.train={rows_file}", f"prepared_dir={folder / 'prepared'}", f"output_dir={folder / 'model'}")
    command = [sys.executable, "-c", PROGRAM, mode, str(last), str(folder / "syncs"), *SETTINGS, *places]
    with (folder / "log").open("ab") as log:
        return subprocess.run(command, check=False, stdout=log, stderr=log, start_new_session=True).returncode


def digests_of(folder: Path) -> dict[str, str]:
    """Return the sha256 of each file of the prepared corpus, the model and the predictions that does not hold times."""
    found = [*(folder / "prepared").rglob("*"), *(folder / "model").iterdir(), *(folder / "model-evaluation").iterdir()]
    kept = (".arrow", ".safetensors", ".parquet", ".bin", "card.json", "corpus.json", "vocabulary.txt")
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in found if path.name.endswith(kept)}


def to_the_end(rows_file: Path, folder: Path, *, mode: str = "exact") -> Run:
    assert run(rows_file, folder, mode=mode) == 0, (folder / "log").read_text()
    return Run(int((folder / "syncs").read_text()), digests_of(folder))


def killed(rows_file: Path, folder: Path, *, num_syncs: int, mode: str = "exact") -> dict[str, str]:
    """Start and kill the command `KILLS` times, each time later, then let it come to its end; return the digests."""
    folder.mkdir()
    for kill in range(1, KILLS + 1):
        code = run(rows_file, folder, mode=mode, last=num_syncs * kill // (KILLS + 1))
        # Earlier starts may have left too little to do for a kill.
        assert code in (0, -signal.SIGKILL), (folder / "log").read_text()
        if code == 0:
            return digests_of(folder)
    return to_the_end(rows_file, folder, mode=mode).digests


@pytest.fixture(scope="module")
def whole(rows_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    return to_the_end(rows_file, tmp_path_factory.mktemp("whole"))


@pytest.mark.long
def test_kills_all_over_a_run_leave_no_trace(rows_file: Path, whole: Run, tmp_path: Path) -> None:
    assert {"train.arrow", "weights.safetensors", "predictions.parquet", "training_rows.bin"} <= set(whole.digests)
    found = killed(rows_file, tmp_path / "killed", num_syncs=whole.num_syncs)
    assert found == whole.digests
    assert "continued from epoch" in (tmp_path / "killed" / "log").read_text()


@pytest.mark.long
def test_a_run_that_forgets_a_batch_is_seen(rows_file: Path, whole: Run, tmp_path: Path) -> None:
    """The negative control: a continued training that skips a batch has other weights."""
    found = killed(rows_file, tmp_path / "killed", num_syncs=whole.num_syncs, mode="forgetful")
    assert found["train.arrow"] == whole.digests["train.arrow"]
    assert found["weights.safetensors"] != whole.digests["weights.safetensors"]
