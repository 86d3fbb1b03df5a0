"""Output for people: results on stdout, remarks and progress on stderr.

Progress is a bar in a terminal or a notebook, and a line every ten seconds elsewhere.
"""

import shutil
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from importlib.util import find_spec
from typing import NamedTuple, TextIO

from rich import box
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeRemainingColumn
from rich.table import Column, Table

Advance = Callable[[int, int | None, str], None]
"""Called as advance(done, total or None, note)."""


def say(*lines: str) -> None:
    """Print result lines on stdout; in a terminal they are wrapped between words."""
    for line in lines:
        print(_wrapped(line, sys.stdout))


def note(*lines: str) -> None:
    """Print remarks and warnings on stderr, or hand them to the program that uses the library."""
    listener = _LISTENER.get()
    for line in lines:
        if listener is None:
            print(_wrapped(line, sys.stderr), file=sys.stderr)
        else:
            listener.on_note(line)


class Listener(NamedTuple):
    """A program that calls stages as functions and wants their remarks."""

    on_note: Callable[[str], None]
    shows_bars: bool
    """Whether progress bars are shown in terminals and notebooks."""
    on_progress: Callable[[str], None] | None = None
    """Called with a line of progress every ten seconds, also where there is a bar; None: with none."""


_LISTENER: ContextVar[Listener | None] = ContextVar("listener", default=None)


@contextmanager
def heard_by(listener: Listener) -> Iterator[None]:
    """Hand the remarks of the stages that run in this block to `listener`; of stderr only the bars are left."""
    # A context variable keeps the listener to this thread or task.
    token = _LISTENER.set(listener)
    try:
        yield
    finally:
        _LISTENER.reset(token)


def _wrapped(line: str, stream: TextIO | None) -> str:
    """Return a line as it is, or in a narrower terminal as lines that end between words."""
    columns = columns_of(stream)
    if columns is None or len(line) <= columns:
        return line
    # Paths and settings are no words: they are cut at spaces alone.
    return "\n".join(
        textwrap.wrap(line, columns, subsequent_indent="  ", break_long_words=False, break_on_hyphens=False)
    )


def columns_of(stream: TextIO | None) -> int | None:
    """Return the width of the terminal behind a stream; None where it is no terminal."""
    return shutil.get_terminal_size().columns if is_terminal(stream) else None


def table(title: str, header: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print a table on stdout; where stdout is no terminal, the table has at most 160 columns of text."""
    console = Console(file=sys.stdout, width=None if is_terminal(sys.stdout) else 160, highlight=False)
    # A narrow terminal gets a table without frame, whose cells then need not be cut.
    narrow = (columns_of(sys.stdout) or _FRAMED) < _FRAMED
    grid = Table(
        title=title,
        title_justify="left",
        title_style="bold",
        box=box.SIMPLE_HEAD if narrow else box.HEAVY_HEAD,
        padding=(0, 0) if narrow else (0, 1),
        collapse_padding=narrow,
    )
    for index, name in enumerate(header):
        grid.add_column(name, justify="left" if index == 0 else "right", overflow="fold")
    for row in rows:
        grid.add_row(*row)
    console.print(grid)


_FRAMED = 96
"""Columns from which on tables have a frame."""


def is_terminal(stream: TextIO | None) -> bool:
    """Say whether a stream is a terminal; a program without streams, such as a window of its own, has None."""
    return stream is not None and stream.isatty()


LINE_SECONDS = 10.0
"""Time between two lines of progress where stderr is no terminal."""


class _Lines:
    """Progress in a log file: a line every `LINE_SECONDS`; work that ends sooner prints none.

    `advance` prints it with the time left; where nothing calls `advance` for so long, a thread prints the step that
    goes on. Of `steps` of different lengths, only the thread tells.
    """

    def __init__(self, title: str, write: Callable[[str], None], *, steps: bool = False) -> None:
        self._title = title
        self._write = write
        self._steps = steps
        self._last = time.monotonic()
        self._text, self._text_began = "", self._last
        self._ended = threading.Event()
        # Where the present work began, and when: one title may stand for several works in turn.
        self._total: int | None = None
        self._done = 0
        self._first_done, self._began = 0, self._last

    def advance(self, done: int, total: int | None, text: str) -> None:
        now = time.monotonic()
        if total != self._total or done < self._done:
            self._first_done, self._began = done, now
        if text != self._text:
            self._text_began = now
        self._total, self._done, self._text = total, done, text
        if self._steps or now - self._last < LINE_SECONDS:
            return
        self._last = now
        of = f" of {total:,}" if total is not None else ""
        # The time left, at the mean speed of this work.
        if total is not None and done > self._first_done:
            left = (now - self._began) * (total - done) / (done - self._first_done)
            text = f"{text}, " if text else ""
            text += f"{left:.0f} s left" if left < 100 else f"{left / 60:.0f} min left"
        self._write(f"{self._title}: {done:,}{of}{f', {text}' if text else ''}")

    @contextmanager
    def with_thread(self) -> Iterator[Advance]:
        """Give `advance`, and print what goes on as long as the block lasts."""
        thread = threading.Thread(target=self._repeat, daemon=True)
        thread.start()
        try:
            yield self.advance
        finally:
            self._ended.set()

    def _repeat(self) -> None:
        while not self._ended.wait(max(LINE_SECONDS, 0.01)):
            now = time.monotonic()
            if now - self._last < LINE_SECONDS or not self._text:
                continue
            self._last = now
            counted = f"{self._done:,} of {self._total:,}, " if self._total is not None else ""
            self._write(f"{self._title}: {counted}{self._text}, {now - self._text_began:.0f} s so far")


@contextmanager
def progress(title: str, *, lines: bool = True, steps: bool = False) -> Iterator[Advance]:
    """Give a function that shows progress: in a terminal or a notebook as a bar with rows/s and the time left.

    Elsewhere it prints a line every ten seconds; with `lines` false it prints none, for a caller that prints its own.
    With `steps`, what is counted are steps of different lengths, which tell no time left.
    """
    console, listener = Console(file=sys.stderr), _LISTENER.get()
    # A bar needs a terminal or a notebook with widgets, and a listener can switch it off.
    in_notebook = listener is not None and console.is_jupyter and find_spec("ipywidgets") is not None
    if not (is_terminal(sys.stderr) or in_notebook) or (listener is not None and not listener.shows_bars):
        heard = note if listener is None else listener.on_progress
        if lines and heard is not None:
            with _Lines(title, heard, steps=steps).with_thread() as advance:
                yield advance
        else:
            yield lambda _done, _total, _note: None
        return
    bar = Progress(
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(bar_width=16),
        MofNCompleteColumn(),
        TimeRemainingColumn(compact=True),
        # The remark takes what is left of the line and is cut there, so that bar and time stay on it.
        TextColumn("{task.fields[note]}", table_column=Column(ratio=1, no_wrap=True, overflow="ellipsis")),
        console=console,
        transient=True,
        expand=True,
    )
    with bar:
        task = bar.add_task(title, total=None, note="")
        log = _Lines(title, listener.on_progress) if lines and listener and listener.on_progress else None

        def advance(done: int, total: int | None, text: str) -> None:
            bar.update(task, completed=done, total=total, note=text)
            if log is not None:
                log.advance(done, total, text)

        yield advance


class Stopwatch:
    """Measures the seconds since it was made."""

    def __init__(self) -> None:
        """Start now."""
        self._start = time.perf_counter()

    @property
    def seconds(self) -> float:
        """Seconds since the start."""
        return time.perf_counter() - self._start
