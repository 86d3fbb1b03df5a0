"""Compare what a command printed with what the page says: words exactly, numbers within a tolerance.

White space and the width of table rules do not count. A page's line `...` stands for any lines, ` ...` at the end of a
line for any rest. Digests and dates only have to be digests and dates.
"""

import difflib
import re
from collections.abc import Sequence

from pages import Tolerance

NUMBER = re.compile(
    r"(?P<date>\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:[+-]\d\d:\d\d|Z)?)"
    r"|(?P<digest>\b(?=[0-9a-f]*[a-f])(?=[0-9a-f]*\d)[0-9a-f]{7,64}\b)"
    r"|(?P<number>(?<![\w.])[+-]?\d[\d,]*(?:\.\d+)?(?![\w.]*\w))(?P<unit> (?:s|ms|min|rows/s|tokens/s|MB)\b)?"
)
RULE = re.compile(r"[━─═]{2,}")


def differences(expected: Sequence[str], printed: Sequence[str], tolerance: Tolerance) -> list[str]:
    """Return a diff of the page and the output, empty where they agree."""
    page = [clean(line) for line in expected if line.strip()]
    output = [clean(line) for line in printed if line.strip()]
    pairs = align(page, output, tolerance)
    if pairs is not None:
        return []
    # The lines that agree are shown in the page's words, so that the diff holds what does not.
    shown = [next((line for line in page if same_line(line, found, tolerance)), found) for found in output]
    return list(difflib.unified_diff(page, shown, "page", "output", lineterm="", n=2))


def align(page: list[str], output: list[str], tolerance: Tolerance) -> list[int] | None:
    """Return for each line of the page where it stands in the output, or None where they do not agree."""
    if not page:
        return None if output else []
    if page[0] == "...":
        for start in range(len(output) + 1):
            rest = align(page[1:], output[start:], tolerance)
            if rest is not None:
                return [start, *(start + place for place in rest)]
        return None
    if not output or not same_line(page[0], output[0], tolerance):
        return None
    rest = align(page[1:], output[1:], tolerance)
    return None if rest is None else [0, *(1 + place for place in rest)]


def clean(line: str) -> str:
    """Return a line with single spaces and short rules."""
    return " ".join(RULE.sub("─", line).split())


def same_line(expected: str, printed: str, tolerance: Tolerance) -> bool:
    """Say whether two cleaned lines agree."""
    if expected.endswith(" ..."):
        expected = expected[: -len(" ...")]
        words = len(expected.split())
        printed = " ".join(printed.split()[:words])
    left, right = parts(expected), parts(printed)
    if [text for text, _ in left] != [text for text, _ in right]:
        return False
    return all(
        ours is None or theirs is None or same_number(ours, theirs, tolerance, is_duration=kind == "duration")
        for (kind, ours), (_, theirs) in zip(left, right, strict=True)
        if kind in ("number", "duration")
    )


def parts(line: str) -> list[tuple[str, str | None]]:
    """Return the pieces of a line: (text, None) for words, (kind, value) for what only has to be alike."""
    found: list[tuple[str, str | None]] = []
    end = 0
    for match in NUMBER.finditer(line):
        found.append((line[end : match.start()].strip(), None))
        if match["date"]:
            found.append(("date", None))
        elif match["digest"]:
            found.append(("digest", None))
        elif match["unit"]:
            found.append(("duration", match["number"]))
            found.append((match["unit"].strip(), None))
        else:
            found.append(("number", match["number"]))
        end = match.end()
    return [*found, (line[end:].strip(), None)]


def same_number(expected: str, printed: str, tolerance: Tolerance, *, is_duration: bool) -> bool:
    """Say whether two written numbers agree within the tolerance."""
    ours, theirs = (float(value.replace(",", "")) for value in (expected, printed))
    if is_duration:
        return max(ours, theirs) <= tolerance.seconds * max(min(ours, theirs), 1.0)
    if "." in expected or "." in printed:
        return abs(ours - theirs) <= max(tolerance.decimals, tolerance.decimals * abs(ours)) + 1e-9
    return abs(ours - theirs) <= tolerance.counts
