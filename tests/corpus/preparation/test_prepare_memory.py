"""Memory of a preparation does not grow with the rows, even where every row brings new words."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

CHILD = """
import resource, sys, threading, time
from pathlib import Path

import psutil

from textlstm.config import DataConfig, DataSource, TextConfig
from textlstm.corpus.preparation.prepare import prepare_corpus


def resident():
    process = psutil.Process()
    total = 0
    for member in [process, *process.children(recursive=True)]:
        try:
            total += member.memory_info().rss
        except psutil.NoSuchProcess:
            pass
    return total


def watch():
    global peak
    while True:
        peak = max(peak, resident())
        time.sleep(0.2)


if __name__ == "__main__":
    peak = 0
    threading.Thread(target=watch, daemon=True).start()
    prepare_corpus(
        DataConfig(source=DataSource.files, train=[sys.argv[1]]), TextConfig(pos=False),
        prepared_dir=Path(sys.argv[2]), num_workers=2,
    )
    print(peak)
"""


def peak_bytes(num_rows: int, tmp_path: Path) -> int:
    """Prepare rows of novel words in another process; return the peak of it and its workers together."""
    path = tmp_path / f"{num_rows}.jsonl"
    with path.open("w") as file:
        for i in range(num_rows):
            text = f"novel{i} word{7 * i} said the {i} of many rows: {'filler ' * (i % 12)}, x{3 * i} and y{5 * i}."
            file.write(json.dumps({"text": text, "label": "ab"[i % 2]}) + "\n")
    command = [sys.executable, "-c", CHILD, str(path), str(tmp_path / f"prepared-{num_rows}")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return int(done.stdout.splitlines()[-1])


@pytest.mark.long
def test_a_million_rows_take_the_memory_of_200_thousand(tmp_path: Path) -> None:
    small, large = (peak_bytes(num_rows, tmp_path) for num_rows in (200_000, 1_000_000))
    found = f"{small / 2**20:.0f} MiB for 200k rows, {large / 2**20:.0f} MiB for 1M"
    print(found)  # noqa: T201  (what pytest -s is asked for)
    assert large <= 1.1 * small, found
