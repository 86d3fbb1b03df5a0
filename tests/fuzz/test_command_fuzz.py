"""Row 3 of issue 22: 2,000 random commands over random small files end as documented and leave everything else alone."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from checked_runs import faults_of, train_models
from command_server import CommandServer

pytestmark = pytest.mark.long
NUM_COMMANDS = 2_000
CHUNK = 100
ONCE_FAULTY = (146, 1071, 1516, 1584, 1609)
"""Seeds whose commands had a fault that is mended; each kind of fault has a test of its own beside its code."""


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


@pytest.mark.parametrize("seed", ONCE_FAULTY)
def test_commands_that_were_faulty_stay_mended(seed: int, server: CommandServer, models: dict[str, Path]) -> None:
    assert faults_of(seed, server, models) == []


def test_a_planted_traceback_is_found(models: dict[str, Path]) -> None:
    """The negative control: stage label raises an error that is no message."""
    with CommandServer(planted="label") as server:
        found = [faults for seed in range(40) if (faults := faults_of(seed, server, models))]
    assert found
    assert {fault for faults in found for fault in faults} >= {"a traceback"}
