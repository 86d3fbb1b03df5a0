"""Ranks of runs: only runs on the same test rows are compared, and runs that chance cannot tell apart share a rank."""

from collections.abc import Sequence
from dataclasses import dataclass

from textlstm.tracking.tracked_runs import TrackedRun

DECIDING_FIGURE = "macro_f1"


@dataclass(frozen=True, slots=True)
class Entry:
    """One run in the table."""

    rank: int
    """1 for the best run and all that cannot be told from it; the next group goes on counting runs."""
    run: TrackedRun
    is_champion: bool


@dataclass(frozen=True, slots=True)
class Board:
    """The runs that were tested on the same rows, best first."""

    test_name: str
    test_digest: str
    num_rows: int
    entries: tuple[Entry, ...]

    def position(self, value: float) -> float:
        """Return where `value` lies between the lowest and the highest interval end of the board, in [0, 1]."""
        ends = [end for entry in self.entries for end in entry.run.intervals.get(DECIDING_FIGURE, ())]
        lowest, highest = min(ends, default=0.0), max(ends, default=1.0)
        return (value - lowest) / max(highest - lowest, 1e-9)


def make_boards(runs: Sequence[TrackedRun], *, champion_run_id: str) -> list[Board]:
    """Return one board a test set, the one with the newest run first; runs without test figures are left out.

    A run shares the rank of its group's best run while the best run's interval holds its value. Example: values
    .90 [.88, .92], .89, .87 give ranks 1, 1, 3.
    """
    digests = list(dict.fromkeys(run.test_digest for run in runs if run.figure(DECIDING_FIGURE) is not None))
    return [_board([run for run in runs if run.test_digest == digest], champion_run_id) for digest in digests]


def _board(runs: Sequence[TrackedRun], champion_run_id: str) -> Board:
    tested = [run for run in runs if run.figure(DECIDING_FIGURE) is not None]
    ordered = sorted(tested, key=lambda run: (-_value(run), run.started))
    entries: list[Entry] = []
    rank, low = 1, _low(ordered[0])
    for index, run in enumerate(ordered):
        if _value(run) < low:
            rank, low = index + 1, _low(run)
        entries.append(Entry(rank, run, run.run_id == champion_run_id))
    return Board(ordered[0].test_name, ordered[0].test_digest, ordered[0].num_test_rows, tuple(entries))


def _value(run: TrackedRun) -> float:
    value = run.figure(DECIDING_FIGURE)
    return -1.0 if value is None else value


def _low(run: TrackedRun) -> float:
    interval = run.intervals.get(DECIDING_FIGURE)
    return _value(run) if interval is None else interval[0]
