"""What a page says can be run: the commands of its console blocks, and what they are said to print.

A console block is fenced with three backticks and the word console. A line that begins with `$ ` is a command (a
trailing backslash continues it), the lines up to the next one are its output. A comment in the line before the block
changes how it is compared:

    <!-- check: decimals=0.05 counts=3 exit=2 stderr -->

A `python` block is run too; a `text` block right behind it is its output.
"""

import re
from dataclasses import dataclass, field
from pathlib import Path

FENCE = re.compile(
    r"(?:^<!-- check: (?P<options>[^>]*?) -->\n)?^```(?P<kind>console|python)\n(?P<body>.*?)^```\n"
    r"(?P<rest>(?:\s*^```text\n.*?^```\n)?)",
    re.MULTILINE | re.DOTALL,
)


@dataclass(frozen=True, slots=True)
class Tolerance:
    """How far what is printed may be from the page."""

    decimals: float = 0.03
    """Largest difference of a number with a decimal point, as such or as a part of the page's number."""
    counts: int = 0
    """Largest difference of a whole number."""
    seconds: float = 30.0
    """Largest ratio of two durations."""


@dataclass(frozen=True, slots=True)
class Step:
    """One command of a page."""

    page: str
    line: int
    """Line of the command in the page, from 1."""
    command: str
    """Shell text, or Python where `is_python`."""
    expected: list[str]
    tolerance: Tolerance = field(default_factory=Tolerance)
    exit_code: int = 0
    stream: str = "stdout"
    is_python: bool = False


def read_steps(path: Path, *, name: str = "") -> list[Step]:
    """Return the steps of a page, in order.

    Raises:
        ValueError: a console block begins with output, or a check comment says something unknown.
    """
    text = path.read_text(encoding="utf-8")
    steps: list[Step] = []
    for match in FENCE.finditer(text):
        line = text.count("\n", 0, match.start("body")) + 1
        place = f"{name or path.name}:{line}"
        options = read_options(match["options"] or "", place=place)
        if match["kind"] == "python":
            rest = re.search(r"```text\n(.*?)^```", match["rest"], re.DOTALL | re.MULTILINE)
            expected = rest[1].splitlines() if rest else []
            steps.append(Step(name or path.name, line, match["body"], expected, is_python=True, **options))
            continue
        for offset, command, expected in split_console(match["body"], place=place):
            steps.append(Step(name or path.name, line + offset, command, expected, **options))
    return steps


def split_console(body: str, *, place: str) -> list[tuple[int, str, list[str]]]:
    """Return (line within the block, command, lines of output) of each command of a console block."""
    found: list[tuple[int, str, list[str]]] = []
    continues = False
    for offset, line in enumerate(body.splitlines()):
        if continues:
            found[-1] = (found[-1][0], f"{found[-1][1]}\n{line}", found[-1][2])
            continues = line.endswith("\\")
        elif line.startswith("$ "):
            found.append((offset, line[2:], []))
            continues = line.endswith("\\")
        elif found:
            found[-1][2].append(line)
        else:
            raise ValueError(f"{place}: a console block begins with a line that is no command: {line!r}")
    return found


def read_options(text: str, *, place: str) -> dict[str, object]:
    """Return what a check comment says, as arguments of Step."""
    options: dict[str, object] = {}
    numbers: dict[str, float] = {}
    for word in text.split():
        key, _, value = word.partition("=")
        match key:
            case "decimals" | "seconds":
                numbers[key] = float(value)
            case "counts":
                numbers[key] = int(value)
            case "exit":
                options["exit_code"] = int(value)
            case "stderr":
                options["stream"] = "stderr"
            case _:
                raise ValueError(f"{place}: no such check option: {word!r}")
    if numbers:
        options["tolerance"] = Tolerance(**numbers)  # type: ignore[arg-type]
    return options
