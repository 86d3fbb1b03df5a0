"""Run every command of README and the tutorials, and compare what they print with what the pages say.

    python scripts/docs_check [PAGE ...]

Each page runs in a fresh folder with links to the parts of the project, so that what a run leaves behind is its own
(the tutorials share one, since each begins where the one before ended; that of the week begins with nothing). Exit code
1 and a diff where a page is wrong.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

from comparing import differences
from pages import Step, read_steps

ROOT = Path(__file__).resolve().parent.parent.parent
README = ("README.md",)
TUTORIALS = (
    *("docs/tutorials/pipeline.md", "docs/tutorials/dashboard.md", "docs/tutorials/labelling.md"),
    "docs/tutorials/from-python.md",
)
WEEK = ("docs/tutorials/operators-week.md",)
LINKED = ("src", "conf", "docs", "examples", "benchmarks", "Makefile", "pyproject.toml", "requirements.lock", ".venv")
TIMEOUT_SECONDS = 600
PAGE_FOLDER = "/home/you/textlstm"
"""What pages call the folder in which commands run."""
WRONG_PAGE = "```console\n$ echo accuracy 0.91, 3 rows\naccuracy 0.97, 3 rows\n```\n"


def main() -> int:
    """Check the pages; the exit code says whether all were right."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pages", nargs="*", help="pages to check; none: README and the tutorials")
    parser.add_argument("--folder", type=Path, help="run in this folder and leave it, instead of a fresh one")
    arguments = parser.parse_args()
    if not sees_a_wrong_page():
        print("docs-check would not notice a wrong page; it proves nothing", file=sys.stderr)
        return 1
    started = time.perf_counter()
    failed = total = 0
    for group in [tuple(arguments.pages)] if arguments.pages else [README, TUTORIALS, WEEK]:
        with nullcontext(arguments.folder) if arguments.folder else fresh_folder() as folder:
            link_project(folder)
            for name in group:
                for step in read_steps(ROOT / name, name=name):
                    total += 1
                    failed += not check(step, folder)
    print(f"{total - failed} of {total} commands print what the pages say, {time.perf_counter() - started:.0f} s")
    return 1 if failed else 0


@contextmanager
def fresh_folder() -> Iterator[Path]:
    """Give a folder that goes when it is done with."""
    with tempfile.TemporaryDirectory(prefix="docs-check-") as folder:
        yield Path(folder)


def link_project(folder: Path) -> None:
    """Make `folder` look like a fresh checkout whose environment is installed."""
    for name in LINKED:
        if (ROOT / name).exists() and not (folder / name).is_symlink():
            (folder / name).symlink_to(ROOT / name)


def check(step: Step, folder: Path) -> bool:
    """Run one step; print a line, and a diff where it is not as the page says."""
    started = time.perf_counter()
    title = step.command.splitlines()[0] if not step.is_python else "(Python)"
    done = run(step, folder)
    printed = (done.stdout if step.stream == "stdout" else done.stderr).replace(str(folder), PAGE_FOLDER).splitlines()
    diff = differences(step.expected, printed, step.tolerance) if step.expected else []
    good = not diff and done.returncode == step.exit_code
    print(f"{'ok  ' if good else 'FAIL'} {step.page}:{step.line} {title} ({time.perf_counter() - started:.1f} s)")
    if done.returncode != step.exit_code:
        print(f"     exit code {done.returncode}, expected {step.exit_code}")
    if not good:
        print("\n".join(f"     {line}" for line in diff))
        print("\n".join(f"     stderr: {line}" for line in done.stderr.splitlines()[-10:]))
    sys.stdout.flush()
    return good


def run(step: Step, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run the command in `folder` as in a shell whose virtual environment is active; 124 where it takes too long."""
    environment = {**os.environ, "PATH": f"{ROOT / '.venv' / 'bin'}{os.pathsep}{os.environ['PATH']}", "COLUMNS": "100"}
    for name in ("MAKEFLAGS", "MAKELEVEL", "MFLAGS"):  # a make within a make would say where it is
        environment.pop(name, None)
    environment |= {"MLFLOW_DISABLE_TELEMETRY": "true", "PYTHONUNBUFFERED": "1"}
    shell = ["python", "-c", step.command] if step.is_python else ["bash", "-c", step.command]
    try:
        return subprocess.run(
            shell, cwd=folder, env=environment, capture_output=True, text=True, check=False, timeout=TIMEOUT_SECONDS
        )
    except subprocess.TimeoutExpired as late:
        output, errors = (
            part.decode() if isinstance(part, bytes) else part or "" for part in (late.stdout, late.stderr)
        )
        return subprocess.CompletedProcess(shell, 124, output, errors)


def sees_a_wrong_page() -> bool:
    """Say whether a page with one wrong number fails: the negative control of every run."""
    with tempfile.TemporaryDirectory() as folder:
        page = Path(folder) / "page.md"
        page.write_text(WRONG_PAGE, encoding="utf-8")
        [step] = read_steps(page)
        return bool(differences(step.expected, run(step, Path(folder)).stdout.splitlines(), step.tolerance))


if __name__ == "__main__":
    sys.exit(main())
