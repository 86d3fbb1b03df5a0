"""What can go wrong, one class an exit code.

Every error a user can cause is a `TextLSTMError`. It carries one or more lines, each of which says where, what was
found, what is allowed and what to do. The command prints those lines and ends with `exit_code`; a traceback means a
defect of ours.
"""

from typing import ClassVar


class TextLSTMError(Exception):
    """Base of all errors that are reported without a traceback."""

    exit_code: ClassVar[int] = 1

    def __init__(self, *problems: str) -> None:
        """Keep every problem found, one line each."""
        super().__init__("\n".join(problems))
        self.problems = problems


class InputError(TextLSTMError):
    """Bad input data: a file, a column, a row, a label. Exit code 2."""

    exit_code = 2


class ConfigError(TextLSTMError):
    """A setting that is unknown, of the wrong type or out of range. Exit code 2."""

    exit_code = 2


class IntegrityError(TextLSTMError):
    """A model, cache or vocabulary that fails its checksum or version. Exit code 3."""

    exit_code = 3


class StorageError(TextLSTMError):
    """The disk is full, read-only, or fails. Exit code 4."""

    exit_code = 4


class Interrupted(KeyboardInterrupt):
    """A signal asked for a clean stop; like KeyboardInterrupt, no `except Exception` swallows it."""

    def __init__(self, signal_number: int, *problems: str) -> None:
        """Remember the signal, and what to tell the user."""
        super().__init__("\n".join(problems))
        self.signal_number = signal_number
        self.problems = problems

    @property
    def exit_code(self) -> int:
        """Exit code of the process, as shells report it: 130 for SIGINT, 143 for SIGTERM."""
        return 128 + self.signal_number
