"""What a reader yields: a row verbatim, or why it was rejected."""

import json
from collections import Counter
from collections.abc import Generator, Mapping
from pathlib import Path
from typing import NamedTuple

from textlstm.corpus.rows.settings import ReadSettings
from textlstm.errors import InputError


class Record(NamedTuple):
    """One row of an input file, verbatim.

    CSV, TSV and text values are `str`. JSON values are what the JSON says; a JSON number is a `JsonNumber`, which keeps
    its source text. Parquet strings, booleans, integers and floats are Python objects, all other Parquet values are
    Arrow scalars, so that nothing is lost on the way to a Parquet output.
    """

    file: str
    number: int
    """Row number in the file, 1 for the first data row; a CSV header and blank JSONL lines do not count."""
    offset: int
    """Byte offset of the row's first byte in the unpacked file; -1 where there is none (Parquet, UTF-16)."""
    fields: Mapping[str, object]
    """Values by column name, in the file's column order."""


class Reject(NamedTuple):
    """A row that cannot be used; never holds the text itself."""

    file: str
    number: int
    offset: int
    reason: str


def text_of_name(name: str) -> str:
    r"""Return the name of a file as text that can be stored: a byte of it that is no UTF-8 becomes `\udce9`."""
    return name.encode("utf-8", "backslashreplace").decode("utf-8")


class NamedRows:
    """Counts rows, and names the first of them in a message."""

    def __init__(self, most: int) -> None:
        """Name at most `most` rows."""
        self.num_rows = 0
        self._most, self._names = most, list[str]()

    def add(self, file: str, number: int) -> None:
        """Take in row `number` of `file`."""
        self.num_rows += 1
        if len(self._names) < self._most:
            self._names.append(f"{text_of_name(Path(file).name)}:{number}")

    @property
    def first(self) -> str:
        """The first rows, as `a.csv:1, a.csv:7`."""
        return ", ".join(self._names)

    def __str__(self) -> str:
        """Return the first rows and how many more there are."""
        num_more = self.num_rows - len(self._names)
        return f"{self.first} and {num_more:,} more" if num_more else self.first


Rows = Generator[Record | Reject, None, None]
"""What readers return."""

# The rejects file: which rows were left out and why, never what they say; and the rule how many may be.

_NUM_EXAMPLES = 10
"""Rejects that an error message lists."""
# Readers begin the reason of a row with bad bytes with these words; `RejectCount` looks for them.
_ENCODING_REASON = "is not valid "


def reject_line(reject: Reject) -> bytes:
    """Return the line of the rejects file for `reject`, with its line feed."""
    entry = {"file": reject.file, "row": reject.number, "byte_offset": reject.offset, "reason": reject.reason}
    return json.dumps(entry, ensure_ascii=False).encode("utf-8", "backslashreplace") + b"\n"


class RejectCount:
    """Counts rejects and rows, and tells when there are too many; memory does not grow with them."""

    def __init__(self) -> None:
        self.num_rows = 0
        """Rows seen, usable or not; the caller adds them."""
        self.num_rejects = 0
        self.by_file: Counter[str] = Counter()
        self._examples: list[Reject] = []
        self._num_encoding = 0

    def add(self, reject: Reject) -> None:
        """Count one reject; `num_rows` is the caller's to count."""
        self.num_rejects += 1
        self.by_file[reject.file] += 1
        self._num_encoding += reject.reason.startswith(_ENCODING_REASON)
        if len(self._examples) < _NUM_EXAMPLES:
            self._examples.append(reject)

    def problems(self, settings: ReadSettings, *, name: str) -> list[str]:
        """Return one line for each of the first rejects when there are too many of them in input `name`, else none."""
        allowed = settings.max_reject_fraction
        if self.num_rejects == 0 or self.num_rejects <= allowed * self.num_rows:
            return []
        key = f"{settings.key_prefix}.max_reject_fraction"
        problems = [
            f"{name}: {self.num_rejects:,} of {self.num_rows:,} rows cannot be used; {key}={allowed:g} allows "
            f"{int(allowed * self.num_rows):,}. Mend the rows or raise {key}."
        ]
        # Where most rejects have bad bytes, the encoding is probably another one.
        if self._num_encoding * 2 > self.num_rejects:
            problems.append(
                f"{name}: most of them are not {settings.encoding} text. Is the file cp1252 (Windows) or latin-1? "
                f"Set {settings.key_prefix}.encoding=cp1252."
            )
        problems += [f"{reject.file}:{reject.number}: {reject.reason}" for reject in self._examples]
        if self.num_rejects > len(self._examples):
            problems.append(f"{name}: and {self.num_rejects - len(self._examples):,} more rows like these.")
        return problems

    def check(self, settings: ReadSettings, *, name: str) -> None:
        """Raise InputError if more than `settings.max_reject_fraction` of the rows of `name` were rejected."""
        problems = self.problems(settings, name=name)
        if problems:
            raise InputError(*problems)
