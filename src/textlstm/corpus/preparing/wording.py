"""Numbers and lists as messages say them."""

from collections.abc import Sequence

MAX_LISTED = 10


def counted(number: int, noun: str) -> str:
    """Return `1 row`, `2 rows`, `1,000 training rows`."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def listed(names: Sequence[str]) -> str:
    """Return the first names in quotes; `, ...` stands for more."""
    return ", ".join(repr(name) for name in names[:MAX_LISTED]) + (", ..." if len(names) > MAX_LISTED else "")
