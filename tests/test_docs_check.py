"""`make docs-check`: pages are parsed as documented, right output passes, and every kind of wrong output fails."""

import sys
from pathlib import Path
from types import ModuleType

import pytest

FOLDER = Path(__file__).resolve().parent.parent / "scripts" / "docs_check"

PAGE = """# Page

<!-- check: decimals=0.1 counts=2 exit=3 stderr -->
```console
$ echo one; \\
    echo two
one
two
$ true
```

    $ echo an indented block is not run

```python
print(1)
```

```text
1
```
"""


@pytest.fixture(scope="module", autouse=True)
def on_path() -> object:
    sys.path.insert(0, str(FOLDER))
    yield
    sys.path.remove(str(FOLDER))


@pytest.fixture
def pages() -> ModuleType:
    import pages

    return pages


def compare(expected: str, printed: str) -> list[str]:
    from comparing import differences
    from pages import Tolerance

    return differences(expected.splitlines(), printed.splitlines(), Tolerance())


def test_a_page_is_read_as_commands_and_outputs(tmp_path: Path, pages: ModuleType) -> None:
    (tmp_path / "page.md").write_text(PAGE, encoding="utf-8")
    steps = pages.read_steps(tmp_path / "page.md")
    assert [(step.command, step.expected, step.line) for step in steps] == [
        ("echo one; \\\n    echo two", ["one", "two"], 5),
        ("true", [], 9),
        ("print(1)\n", ["1"], 15),
    ]
    assert steps[0].tolerance == pages.Tolerance(decimals=0.1, counts=2)
    assert (steps[0].exit_code, steps[0].stream, steps[2].is_python) == (3, "stderr", True)


@pytest.mark.parametrize(
    "text", ["```console\noutput first\n```\n", "<!-- check: color=1 -->\n```console\n$ true\n```\n"]
)
def test_a_page_that_cannot_be_run_is_refused(tmp_path: Path, pages: ModuleType, text: str) -> None:
    (tmp_path / "page.md").write_text(text, encoding="utf-8")
    with pytest.raises(ValueError, match=r"page\.md:"):
        pages.read_steps(tmp_path / "page.md")


@pytest.mark.parametrize(
    ("expected", "printed"),
    [
        ("accuracy 0.91, 3 rows", "accuracy 0.93, 3 rows"),
        ("┏━━━━┓\n│ a  │\n└────┘", "┏━━━━━━━━┓\n│ a      │\n└────────┘"),
        ("done in 9 s", "done in 31 s"),
        ("data/a4f08c13eb8bb1b7/card.html", "data/00bb1c13eb8bb1b7/card.html"),
        ("labelled: 2026-11-23T23:21:45+00:00", "labelled: 2027-01-01T00:00:00+00:00"),
        ("first\n...\nlast", "first\nsecond\nthird\nlast"),
        ("first\n...", "first"),
        ("labelled 6 rows in 9 s ...", "labelled 6 rows in 8 s (1 rows/s)"),
        ("1,530", "1,530"),
    ],
)
def test_output_as_the_page_says_passes(expected: str, printed: str) -> None:
    assert compare(expected, printed) == []


@pytest.mark.parametrize(
    ("expected", "printed"),
    [
        ("accuracy 0.91, 3 rows", "accuracy 0.97, 3 rows"),
        ("accuracy 0.91, 3 rows", "accuracy 0.91, 4 rows"),
        ("accuracy 0.91", "precision 0.91"),
        ("done in 9 s", "done in 9,000 s"),
        ("data/a4f08c13eb8bb1b7/card.html", "data/nothing/card.html"),
        ("first\nlast", "first\nsecond\nlast"),
        ("first\nsecond", "first"),
        ("first", ""),
        ("first\n...\nlast", "first\nsecond"),
        ("labelled 6 rows ...", "labelled 7 rows into x"),
        ("1,530", "1,531"),
    ],
)
def test_any_other_output_fails_with_a_diff(expected: str, printed: str) -> None:
    assert compare(expected, printed)[:2] == ["--- page", "+++ output"]


def test_diff_shows_the_lines_that_differ_only() -> None:
    diff = compare("rows 3\naccuracy 0.91\nend", "rows 3\naccuracy 0.50\nend")
    assert [line for line in diff if line[0] in "+-" and line[:3] not in ("---", "+++")] == [
        "-accuracy 0.91",
        "+accuracy 0.50",
    ]


def test_command_lines_of_readme_and_tutorials_stand_in_blocks_that_are_run() -> None:
    root = FOLDER.parent.parent
    for path in [root / "README.md", *sorted((root / "docs" / "tutorials").glob("*.md"))]:
        indented = [line for line in path.read_text(encoding="utf-8").splitlines() if line.startswith("    textlstm ")]
        assert indented == [], f"{path.name}: not run by make docs-check"
