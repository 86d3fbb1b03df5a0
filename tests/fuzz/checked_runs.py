"""One random command, run and checked: what is wrong with it, in words.

`python tests/fuzz/checked_runs.py FIRST LAST` runs the commands of these seeds and prints those with a fault; with FUZZ_VERBOSE=1 all of them.
A third argument names a stage that raises ZeroDivisionError in place of its work: the negative control.
"""

import hashlib
import os
import random
import re
import stat
import sys
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

sys.path.insert(0, str(Path(__file__).parent))

from command_server import CommandServer, Outcome
from earlier_outputs import label_once
from random_commands import Command, random_command

CODES = (0, 1, 2, 3, 4)
MOST_LINE = 3_000
"""Characters of one line of a message."""
LINK = "link to "


def train_models(server: CommandServer, folder: Path) -> dict[str, Path]:
    """Return two small models, one label a row and several labels a row, for the stages that read one."""
    dice = random.Random(0)
    models = {}
    for name in ("single", "multi"):
        rows = [
            f"{label} {dice.choice(('goal', 'match', 'bank'))} {n},"
            + (f'"[""{label}""]"' if name == "multi" else label)
            for n in range(60)
            for label in (("sport", "money", "film")[n % 3],)
        ]
        source = folder / f"{name}.csv"
        source.write_text(f"text,{'labels' if name == 'multi' else 'label'}\n" + "\n".join(rows) + "\n")
        arguments = ["train", "data=files", f"data.train={source}", f"output_dir={folder / name}", "tracking=off"]
        arguments += ["auto=[]", "text.pos=false", "model.hidden_size=4", "training.epochs=2", "num_workers=1"]
        arguments += (
            ["evaluation.report=false", "data.labels_column=labels"] if name == "multi" else ["evaluation.report=false"]
        )
        outcome = server.run([*arguments, f"prepared_dir={folder / 'prepared'}"], folder=folder, stdin=b"", seconds=300)
        assert outcome.code == 0, outcome.err
        models[name] = folder / name
        label_once(server, models[name])
    return models


def faults_of(seed: int, server: CommandServer, models: dict[str, Path]) -> list[str]:
    """Run command `seed` in a folder of its own; return what is wrong with its end, and nothing where all is well."""
    return faults_of_command(
        lambda folder: random_command(seed, folder, models),
        server,
        models,
        name=str(seed),
        fresh_children=seed % 10 == 0,
    )


def faults_of_command(
    make: Callable[[Path], Command],
    server: CommandServer,
    models: dict[str, Path],
    *,
    name: str,
    fresh_children: bool = False,
) -> list[str]:
    """Run the command that `make` returns, with its inputs in the folder that `make` is given; as `faults_of`."""
    with TemporaryDirectory(prefix="fuzz-") as directory:
        folder = Path(directory) / "run"
        folder.mkdir()
        command = make(folder)
        before, model_before = _contents(folder), {str(path): _contents(path) for path in models.values()}
        outcome = server.run(
            command.arguments,
            folder=folder,
            stdin=command.stdin,
            seconds=command.seconds,
            fresh_children=fresh_children,
        )
        if os.environ.get("FUZZ_VERBOSE"):
            last = (outcome.err.strip().splitlines() or [""])[-1][:160]
            seconds = f"{outcome.seconds:.1f} s, {outcome.cpu_seconds:.1f} s of CPU"
            print(name, command.arguments[0], outcome.code, seconds, last, flush=True)  # noqa: T201
        faults = [*_faults_of_outcome(outcome), *_faults_of_files(command, before, _contents(folder), outcome.code)]
        if {str(path): _contents(path) for path in models.values()} != model_before:
            faults.append("the model that was read has changed")
        left = sorted(path.name for path in (Path(directory) / "run-streams" / "tmp").iterdir())
        if left:
            faults.append(f"left among temporary files: {', '.join(left)}")
        if faults:
            last = outcome.err.strip().splitlines()[-1:] or [""]
            faults.append(f"code {outcome.code}, {outcome.seconds:.1f} s, last line: {last[0][:300]!r}")
            faults.append(f"command: {command.arguments}")
        _make_removable(folder)
    return faults


def _faults_of_outcome(outcome: Outcome) -> list[str]:
    faults = []
    if outcome.is_late:
        faults.append("took too long")
    elif outcome.code not in CODES:
        faults.append(f"exit code {outcome.code}")
    if "Traceback (most recent call last)" in outcome.err + outcome.out:
        faults.append("a traceback")
    messages = [line for line in outcome.err.splitlines() if line.startswith("textlstm: ")]
    if outcome.code in (1, 2, 3, 4) and not messages and "problem(s)" not in outcome.out:
        faults.append("no message")
    if any(len(line) > MOST_LINE for line in messages):
        faults.append("a message of more than 3,000 characters")
    if any(re.fullmatch(r"textlstm: (None|\w+Error|)", line) for line in messages):
        faults.append("a message that says nothing")
    return faults


def _faults_of_files(command: Command, before: dict[str, str], after: dict[str, str], code: int) -> list[str]:
    changed = {name for name in before.keys() | after.keys() if before.get(name) != after.get(name)}
    # A link among the outputs is followed.
    targets = [target for name in command.may_write if (target := before.get(name, "")).startswith(LINK)]
    allowed = (*command.may_write, *(target.removeprefix(LINK) for target in targets))
    faults = [f"changed outside the outputs: {name}" for name in sorted(changed) if not name.startswith(allowed)]
    may_replace = code == 0 and (
        "overwrite=false" not in command.arguments or "labelling.append=true" in command.arguments
    )
    faults += [
        f"an earlier output was changed: {name}" for name in command.outputs if name in changed and not may_replace
    ]
    # New files may stand beside the inputs where that folder is an output as well.
    if any(name.startswith("in/") for name in changed & before.keys()):
        faults.append("an input was changed")
    return faults


def _contents(folder: Path) -> dict[str, str]:
    """Return a digest of every file below `folder`, and the kind of everything else but folders, by relative path."""
    found = {}
    for place, _, names in os.walk(folder):
        for name in names:
            path = os.path.join(place, name)  # noqa: PTH118  (names may be no UTF-8)
            mode = os.lstat(path).st_mode
            relative = os.path.relpath(path, folder)
            if stat.S_ISREG(mode):
                found[relative] = hashlib.sha256(Path(path).read_bytes()).hexdigest()
            elif stat.S_ISLNK(mode):
                found[relative] = LINK + os.readlink(path)  # noqa: PTH115  (names may be no UTF-8)
            else:
                found[relative] = f"kind {stat.S_IFMT(mode)}"
    return found


def _make_removable(folder: Path) -> None:
    for place, _, _ in os.walk(folder):
        Path(place).chmod(0o755)


def main(first: int, last: int, planted: str = "") -> None:
    num_faulty = 0
    with TemporaryDirectory(prefix="fuzz-models-") as directory:
        with CommandServer() as server:  # the planted fault is for the commands alone
            models = train_models(server, Path(directory))
        with CommandServer(planted=planted) as server:
            for seed in range(first, last):
                faults = faults_of(seed, server, models)
                if faults:
                    num_faulty += 1
                    print(f"seed {seed}:", *faults, sep="\n    ", flush=True)  # noqa: T201
        print(f"{last - first} commands, {num_faulty} with faults", flush=True)  # noqa: T201


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), *sys.argv[3:])
