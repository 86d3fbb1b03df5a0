"""Outputs that `textlstm label` wrote before a random command: made once a model, and copied, some of them damaged."""

import random
import shutil
from pathlib import Path

from command_server import CommandServer

FORMATS = ("csv", "jsonl", "parquet", "xlsx", "tsv.gz")
NUM_ROWS = 24


def label_once(server: CommandServer, model: Path) -> None:
    """Write `earlier.FORMAT` and its input `in/rows.FORMAT` in every format into a folder beside the model."""
    folder = _folder(model)
    (folder / "in").mkdir(parents=True)
    rows = [f"{('goal', 'bank', 'actor')[n % 3]} {n}" for n in range(NUM_ROWS)]
    plain = folder / "plain.csv"
    plain.write_text("text,id\n" + "".join(f"{text},{n}\n" for n, text in enumerate(rows)))
    arguments = ["label", f"model_dir={model}", "tracking=off", "labelling.num_workers=1", "labelling.shard_rows=5"]
    for format in FORMATS:
        # The input has the format of the output: labelling writes it as well as any program would.
        for source, output in ((plain, f"in/rows.{format}"), (f"in/rows.{format}", f"earlier.{format}")):
            extra = ["labelling.label_name=was", "labelling.probability_name=p", "labelling.decision_name="]
            typed = [*arguments, f"input={source}", f"output={output}", *(extra if source == plain else [])]
            outcome = server.run(typed, folder=folder, stdin=b"", seconds=300)
            assert outcome.code == 0, outcome.err
        (folder / "in" / f"rows.{format}.manifest.json").unlink()


def copy_labelled(dice: random.Random, model: Path, folder: Path) -> str:
    """Copy one of the outputs with its manifest and input into `folder`; return its name. A few are damaged."""
    format = dice.choice(FORMATS)
    name = f"earlier.{format}"
    files = (name, f"{name}.manifest.json", f"in/rows.{format}")
    for file in files:
        shutil.copyfile(_folder(model) / file, folder / file)
    if dice.random() < 0.1:
        damaged = folder / dice.choice(files)
        content = damaged.read_bytes()
        place = dice.randrange(len(content))
        damaged.write_bytes(content[:place] + dice.choice((b"", b"x", content[place + 1 :])))
    return name


def later_rows(dice: random.Random, path: Path) -> None:
    """Let the input of an earlier output go on, change within, or stay as it was."""
    if not path.name.endswith((".csv", ".jsonl")):
        return
    lines = path.read_bytes().splitlines(keepends=True)
    change = dice.randrange(4)
    if change == 0 and len(lines) > 3:
        del lines[2]
    elif change:
        lines += dice.choices(lines[1:] or lines, k=dice.choice((1, 7)))
    path.write_bytes(b"".join(lines))


def _folder(model: Path) -> Path:
    return model.with_name(f"{model.name}-labelled")
