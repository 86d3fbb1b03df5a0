"""The rejects file: which rows were left out and why, never what they say; and the rule how many may be."""

import json
from collections import Counter
from pathlib import Path
from types import TracebackType
from typing import Self

from textlstm.corpus.read_settings import ReadSettings
from textlstm.corpus.records import Reject
from textlstm.errors import InputError, StorageError

_NUM_EXAMPLES = 10
"""Rejects that an error message lists."""
_ENCODING_REASON = "is not valid "


def rejects_path(output: Path) -> Path:
    """Return the path of the rejects file beside `output`."""
    return output.with_name(f"{output.name}.rejects.jsonl")


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


class RejectsWriter:
    """Writes rejects to a temporary file beside the output; `commit` gives it its name, else it vanishes."""

    def __init__(self, output: Path) -> None:
        self.path = rejects_path(output)
        self.count = RejectCount()
        self._temporary = self.path.with_name(self.path.name + ".partial")
        try:
            self._file = self._temporary.open("wb")
        except OSError as error:
            raise self._failure(error) from error

    def write(self, reject: Reject) -> None:
        """Add one reject.

        Raises:
            StorageError: the file cannot be written.
        """
        self.count.add(reject)
        try:
            self._file.write(reject_line(reject))
        except OSError as error:
            raise self._failure(error) from error

    def commit(self) -> None:
        """Give the file its name, or remove one of an earlier run when nothing was rejected.

        Raises:
            StorageError: the file cannot be written.
        """
        try:
            self._file.close()
            if self.count.num_rejects:
                self._temporary.replace(self.path)
            else:
                self._temporary.unlink()
                self.path.unlink(missing_ok=True)
        except OSError as error:
            raise self._failure(error) from error

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._file.close()
        self._temporary.unlink(missing_ok=True)

    def _failure(self, error: OSError) -> StorageError:
        return StorageError(f"{self.path}: could not be written: {error.strerror or error}.")
