"""Long runs of characters without white space: spaCy's tokeniser needs quadratic time for them."""

import re
from functools import lru_cache


def cut_long_runs(text: str, *, max_run: int) -> str:
    """Put a space after every `max_run` characters of a longer run without white space.

    Example: `cut_long_runs("abcdefg hi", max_run=3)` is `"abc def g hi"`.
    """
    if len(text) <= max_run or max(map(len, text.split()), default=0) <= max_run:
        return text
    return _long_run(max_run).sub(r"\1 ", text)


@lru_cache(maxsize=8)
def _long_run(max_run: int) -> re.Pattern[str]:
    return re.compile(rf"(\S{{{max_run}}})(?=\S)")
