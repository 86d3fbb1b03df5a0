"""Environments of the peers: one folder .peers/NAME each, made from the package registry, outside .venv.

    python benchmarks/peer_environments.py [NAME ...]     # make bench-peers

A peer that cannot be installed or imported keeps a file `left_out.txt` that says why; the benchmarks print that reason.
"""

import argparse
import shutil
import subprocess
import sys
import venv
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / ".peers"
REASON = "left_out.txt"
INSTALL_SECONDS = 900
IMPORT_SECONDS = 120


class Environment(NamedTuple):
    """What pip installs, in steps, and the module that must be importable then."""

    module: str
    steps: tuple[tuple[str, ...], ...]


ENVIRONMENTS = {
    "fasttext": Environment("fasttext", (("fasttext-numpy2-wheel",),)),
    "keras": Environment("keras, tensorflow", (("tensorflow-cpu",),)),
    # torch first, in the version of this project, so that all systems run on the same one.
    "flair": Environment("flair", (("torch==2.13.0",), ("flair",))),
    "ludwig": Environment("ludwig.api", (("torch==2.13.0",), ("ludwig",))),
}


def main() -> int:
    """Make the environments that are named, or all that are not there yet; failures are told, not fatal."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", help=f"of {', '.join(ENVIRONMENTS)}; none: those not tried yet")
    arguments = parser.parse_args()
    unknown = sorted(set(arguments.names) - set(ENVIRONMENTS))
    if unknown:
        parser.error(f"no such peer: {', '.join(unknown)}")
    for name in arguments.names or ENVIRONMENTS:
        folder = FOLDER / name
        if arguments.names or not folder.exists():
            shutil.rmtree(folder, ignore_errors=True)
            make(name, folder)
        print(f"{name:10} {left_out(name) or 'ready'}")
    return 0


def python_of(name: str) -> str:
    """Return the interpreter of a peer's environment."""
    return str(FOLDER / name / "bin" / "python")


def left_out(name: str) -> str:
    """Return why a peer cannot take part, empty when it can."""
    folder = FOLDER / name
    if not folder.is_dir():
        return "not installed; run make bench-peers"
    reason = folder / REASON
    return reason.read_text(encoding="utf-8").strip() if reason.exists() else ""


def make(name: str, folder: Path) -> None:
    """Make one environment; leave the reason in it where that fails."""
    wanted = ENVIRONMENTS[name]
    print(f"{name}: installing ...", file=sys.stderr)
    venv.create(folder, with_pip=True)
    reason = folder / REASON
    reason.write_text(
        "its installation was interrupted; run make bench-peers with its name in ARGS\n", encoding="utf-8"
    )
    python = python_of(name)
    commands = [
        ([python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *packages], INSTALL_SECONDS)
        for packages in wanted.steps
    ]
    commands.append(([python, "-c", f"import {wanted.module}"], IMPORT_SECONDS))
    for command, seconds in commands:
        what = "import" if "-c" in command else f"pip install {' '.join(command[6:])}"
        problem = failure(command, seconds=seconds)
        if problem:
            reason.write_text(f"{what}: {problem}\n", encoding="utf-8")
            return
    reason.unlink()


def failure(command: list[str], *, seconds: int) -> str:
    """Run a command; return its last line of complaint where it fails, or that it took too long."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=seconds)
    except subprocess.TimeoutExpired:
        return f"not done after {seconds} s"
    if done.returncode == 0:
        return ""
    lines = [line for line in done.stderr.splitlines() if line.strip()]
    return lines[-1].strip()[:300] if lines else f"exit code {done.returncode}"


if __name__ == "__main__":
    sys.exit(main())
