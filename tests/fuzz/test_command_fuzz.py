"""Row 3 of issue 22: 2,000 random commands over random small files end as documented and leave everything else alone."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from checked_runs import faults_of, faults_of_command, train_models
from command_server import CommandServer
from random_commands import Command

pytestmark = pytest.mark.long
NUM_COMMANDS = 2_000
CHUNK = 100
SMALL = (
    "model.hidden_size=4",
    "model.embedding_size=4",
    "training.epochs=1",
    "num_workers=1",
    "text.pos=false",
    "auto=[]",
)
ONCE_FAULTY = {
    # A pipe that nobody writes into was waited for.
    "a pipe for training": ("prepare", "num_workers=1", "data=files", "data.train=pipe", "prepared_dir=prepared"),
    "a pipe beside a file": (
        *("prepare", "num_workers=1", "data=files", "data.train=pipe", "data.test=in/test.csv"),
        *("prepared_dir=prepared", "data.strict=false", "text.lowercase=true"),
    ),
    "a pipe for the test": (
        *("run", *SMALL, "data=files", "data.train=in/train.csv", "data.test=pipe", "tracking=off"),
        *("prepared_dir=prepared", "output_dir=out", "model.pos_embedding_size=20"),
    ),
    # A traceback.
    "an empty output_dir": (
        *("train", *SMALL, "data=files", "data.train=in/train.csv", "tracking=off", "prepared_dir=prepared"),
        *("output_dir=", "overwrite=true"),
    ),
    "a log that holds a name that is no text": (
        *("label", "model_dir=\udcff", "input=in/test.csv", "tracking=off", "output=out.tsv.gz"),
        *("--log-file", "log.txt", "quiet=true"),
    ),
    "a store whose name is no text": (
        *("run", *SMALL, "data=files", "data.train=in/train.csv", "tracking=off", "prepared_dir=\udcff"),
        *("output_dir=out", "evaluation.report=false"),
    ),
    "a language that is a path": (
        *("prepare", "num_workers=1", "data=files", "data.train=in/train.csv", "prepared_dir=prepared"),
        "text.language=../en",
    ),
    # The store was made in the folder of the command.
    "an empty name of a store": ("sync", "tracking=off", "tracking.dir="),
}
"""Commands of earlier draws that had a fault, which is mended; each kind has a test of its own beside its code."""


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    with CommandServer() as server:
        return train_models(server, tmp_path_factory.mktemp("models"))


@pytest.fixture(scope="module")
def server() -> Iterator[CommandServer]:
    with CommandServer() as server:
        yield server


@pytest.mark.parametrize("first", range(0, NUM_COMMANDS, CHUNK))
def test_random_commands_end_as_documented(first: int, server: CommandServer, models: dict[str, Path]) -> None:
    found = {seed: faults_of(seed, server, models) for seed in range(first, first + CHUNK)}
    assert {seed: faults for seed, faults in found.items() if faults} == {}


@pytest.mark.parametrize("name", ONCE_FAULTY)
def test_commands_that_were_faulty_stay_mended(name: str, server: CommandServer, models: dict[str, Path]) -> None:
    assert faults_of_command(lambda folder: _once_faulty(name, folder), server, models, name=name) == []


def _once_faulty(name: str, folder: Path) -> Command:
    (folder / "in").mkdir()
    os.mkfifo(folder / "pipe")
    rows = "".join(f"a {('goal', 'bank')[n % 2]} {n},{('sport', 'money')[n % 2]}\n" for n in range(40))
    for split in ("train", "test"):
        (folder / "in" / f"{split}.csv").write_text(f"text,label\n{rows}")
    return Command(list(ONCE_FAULTY[name]), may_write=["prepared", "out", "log.txt", "\udcff"], seconds=120)


def test_a_planted_traceback_is_found(models: dict[str, Path]) -> None:
    """The negative control: stage label raises an error that is no message."""
    with CommandServer(planted="label") as server:
        found = [faults for seed in range(40) if (faults := faults_of(seed, server, models))]
    assert found
    assert {fault for faults in found for fault in faults} >= {"a traceback"}
