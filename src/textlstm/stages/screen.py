"""What a person at the keyboard sees: results on stdout, progress on stderr and only where that is a terminal."""

import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeRemainingColumn
from rich.table import Table

Advance = Callable[[int, int | None, str], None]
"""Called as advance(done, total or None, note)."""


def say(*lines: str) -> None:
    """Print result lines on stdout."""
    for line in lines:
        print(line)


def note(*lines: str) -> None:
    """Print remarks (what is going on, warnings) on stderr."""
    for line in lines:
        print(line, file=sys.stderr)


def table(title: str, header: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print a table on stdout, as wide as it needs to be where stdout is no terminal."""
    console = Console(file=sys.stdout, width=None if sys.stdout.isatty() else 160, highlight=False)
    grid = Table(title=title, title_justify="left", title_style="bold")
    for index, name in enumerate(header):
        grid.add_column(name, justify="left" if index == 0 else "right", overflow="fold")
    for row in rows:
        grid.add_row(*row)
    console.print(grid)


@contextmanager
def progress(title: str) -> Iterator[Advance]:
    """Show a bar with rows/s and the time left on stderr; quiet where stderr is not a terminal."""
    if not sys.stderr.isatty():
        yield lambda _done, _total, _note: None
        return
    bar = Progress(
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[note]}"),
        TimeRemainingColumn(),
        console=Console(file=sys.stderr),
        transient=True,
    )
    with bar:
        task = bar.add_task(title, total=None, note="")
        yield lambda done, total, text: bar.update(task, completed=done, total=total, note=text)


class Stopwatch:
    """Seconds since it was made."""

    def __init__(self) -> None:
        """Start now."""
        self._start = time.perf_counter()

    @property
    def seconds(self) -> float:
        """Seconds since the start."""
        return time.perf_counter() - self._start
