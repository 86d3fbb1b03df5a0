"""What `labelling.append=true` saves: whole commands in turn, start-up included.

    python benchmarks/append.py [--rows 200000] [--new 0.01] [--rounds 3] [--formats csv,jsonl]

Rows are those of `benchmarks/label.py`, again and again under new ids, in CSV and JSONL; the model is its first one.
`grown` has the new rows at the end, so that the old part is taken over by its bytes; in `mixed` they stand in front and
in the middle, so that every row is looked up by its text. Each output is compared with labelling everything anew.
Times on a busy machine are noise, and processor time is less so.
"""

import argparse
import csv
import json
import os
import shutil
import statistics
import sys
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from label import SYSTEMS, model_path, train
from label_rows import make_rows
from processes import run

ROOT = Path(__file__).resolve().parent.parent
WORK = ROOT / ".bench" / "append"
LIMIT_SECONDS = 3600.0
SOURCE_ROWS = 100_000


def main() -> int:
    """Make the rows, train the model where it is missing, label in turn, print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=200_000)
    parser.add_argument("--new", type=float, default=0.01, help="part of the rows that is new")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--formats", default="csv,jsonl")
    arguments = parser.parse_args()
    corpora = Path(os.environ.get("TEXTLSTM_CORPORA", ROOT.parent / "shared" / "data"))
    if not corpora.is_dir():
        print(f"skipped: no corpora at {corpora}; set TEXTLSTM_CORPORA", file=sys.stderr)
        return 0
    places_of_label = ROOT / ".bench" / "label"
    for folder in (WORK, places_of_label):
        folder.mkdir(parents=True, exist_ok=True)
    places = make_rows(corpora, places_of_label, num_rows=SOURCE_ROWS)
    train(SYSTEMS[0], places)
    num_new = int(arguments.new * arguments.rows)
    print(
        f"{arguments.rows:,} rows labelled before, {num_new:,} new ones; median of {arguments.rounds} rounds in turn\n"
    )
    print(
        "| format | new rows | all anew, s | append, s | append by anew | CPU | same bytes |\n"
        "|---|---|---|---|---|---|---|"
    )
    source = Path(places["rows"])
    old = list(islice(rows(source), arguments.rows))
    new = [(f"new-{number}", f"{text} {number}") for number, (_, text) in enumerate(islice(rows(source), num_new))]
    half = arguments.rows // 2
    orders = {"grown": [*old, *new], "mixed": [*new[: num_new // 2], *old[:half], *new[num_new // 2 :], *old[half:]]}
    for format in arguments.formats.split(","):
        # The earlier output, of an input with the later name.
        write(WORK / f"in.{format}", old)
        label(WORK / f"in.{format}", WORK / f"append.{format}", "overwrite=true")
        for name in (f"append.{format}", f"append.{format}.manifest.json"):
            (WORK / name).replace(WORK / f"{name}.kept")
        for where, content in orders.items():
            write(WORK / f"in.{format}", content)
            print(measure(format, where, num_rounds=arguments.rounds), flush=True)
    return 0


def measure(format: str, where: str, *, num_rounds: int) -> str:
    """Return a row of the table: append and anew, `num_rounds` times in turn."""
    after = WORK / f"in.{format}"
    seconds: dict[str, list[float]] = {"anew": [], "append": []}
    cpu: dict[str, list[float]] = {"anew": [], "append": []}
    for _ in range(num_rounds):
        for name in (f"append.{format}", f"append.{format}.manifest.json"):
            shutil.copyfile(WORK / f"{name}.kept", WORK / name)
        for name, setting in (("anew", "overwrite=true"), ("append", "labelling.append=true")):
            done = label(after, WORK / f"{name}.{format}", setting)
            seconds[name].append(done[0])
            cpu[name].append(done[1])
    same = (WORK / f"append.{format}").read_bytes() == (WORK / f"anew.{format}").read_bytes()
    ratio = statistics.median(mine / theirs for mine, theirs in zip(seconds["append"], seconds["anew"], strict=True))
    cpu_ratio = statistics.median(mine / theirs for mine, theirs in zip(cpu["append"], cpu["anew"], strict=True))
    anew, append = (statistics.median(seconds[name]) for name in ("anew", "append"))
    return (
        f"| {format} | {where} | {anew:.1f} | {append:.1f} | "
        f"{ratio:.1%} | {cpu_ratio:.1%} of {statistics.median(cpu['anew']):.1f} s | {'yes' if same else 'no'} |"
    )


def label(source: Path, output: Path, setting: str) -> tuple[float, float]:
    """Label by the command; return its seconds and processor seconds."""
    command = [sys.executable, "-m", "textlstm", "label", f"model_dir={model_path(SYSTEMS[0])}", f"input={source}"]
    command += [f"output={output}", "tracking.enabled=false", setting]
    done = run(command, limit_seconds=LIMIT_SECONDS, work=WORK)
    if done.exit_code:
        raise SystemExit(f"labelling failed: {' '.join(command)}\n{done.output}")
    return done.seconds, done.cpu_seconds


def rows(source: Path) -> Iterator[tuple[str, str]]:
    """Yield id and text of the rows of `source` again and again; texts of later turns end in the number of the turn."""
    turn = 0
    while True:
        with source.open(encoding="utf-8") as lines:
            for number, line in enumerate(lines):
                text = json.loads(line)["text"]
                yield f"{turn}-{number}", f"{text} {turn}" if turn else text
        turn += 1


def write(path: Path, content: list[tuple[str, str]]) -> None:
    """Write ids and texts as CSV or JSONL."""
    with path.open("w", encoding="utf-8", newline="") as stream:
        if path.suffix == ".csv":
            writer = csv.writer(stream, lineterminator="\n")
            writer.writerow(["id", "text"])
            writer.writerows(content)
        else:
            stream.writelines(json.dumps({"id": row, "text": text}) + "\n" for row, text in content)


if __name__ == "__main__":
    sys.exit(main())
