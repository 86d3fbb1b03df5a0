"""An exported model beside the one it came from: whole labelling processes in turn, start-up included.

    python benchmarks/exported.py MODEL ROWS [--rounds 3]

Exports MODEL (a folder of `textlstm train`) to ONNX in fp32 and in int8, then labels one row, and all rows of the JSONL
file ROWS with one worker, each as a process of its own. Times on a busy machine are noise: compare within one call.
"""

import argparse
import statistics
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from processes import Measured, run, size_of

LIMIT_SECONDS = 600.0
COMMAND = (sys.executable, "-m", "textlstm")


def main() -> int:
    """Export, measure in turn, print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("rows", type=Path)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    with TemporaryDirectory() as temporary:
        work = Path(temporary)
        models = {"torch": arguments.model, "ONNX fp32": work / "fp32", "ONNX int8": work / "int8"}
        for precision in ("fp32", "int8"):
            settings = (f"model_dir={arguments.model}", f"output_dir={work / precision}", f"precision={precision}")
            checked(run((*COMMAND, "export", *settings), limit_seconds=LIMIT_SECONDS, work=work))
        lines = arguments.rows.read_text(encoding="utf-8").splitlines(keepends=True)
        (work / "one.jsonl").write_text(lines[0], encoding="utf-8")
        inputs = {"one": work / "one.jsonl", "many": arguments.rows}
        done: dict[tuple[str, str], list[Measured]] = {}
        for _ in range(arguments.rounds):
            for name, model in models.items():
                for size, source in inputs.items():
                    done.setdefault((name, size), []).append(label(model, source, work))
        print(table(models, done, num_rows=len(lines), rounds=arguments.rounds))
    return 0


def label(model: Path, source: Path, work: Path) -> Measured:
    """Label `source` in a process of its own with one worker."""
    settings = (f"model_dir={model}", f"input={source}", f"output={work / 'out.jsonl'}", "overwrite=true")
    command = (*COMMAND, "label", *settings, "labelling.num_workers=1", "tracking.enabled=false")
    return checked(run(command, limit_seconds=LIMIT_SECONDS, work=work))


def checked(measured: Measured) -> Measured:
    """Return `measured`, or end with what the process printed."""
    if measured.exit_code:
        raise SystemExit(measured.output)
    return measured


def table(models: dict[str, Path], done: dict[tuple[str, str], list[Measured]], *, num_rows: int, rounds: int) -> str:
    """Return the medians as a Markdown table."""
    lines = [
        f"{num_rows:,} rows, one worker, median of {rounds} rounds in turn",
        "",
        "| | folder MB | one row s | rows/s | CPU s | RSS MB |",
        "|---|---|---|---|---|---|",
    ]
    for name, model in models.items():
        one, many = done[name, "one"], done[name, "many"]
        seconds = statistics.median(entry.seconds for entry in many)
        lines.append(
            f"| {name} | {size_of(model):.1f} | {statistics.median(entry.seconds for entry in one):.2f} | "
            f"{num_rows / seconds:,.0f} | {statistics.median(entry.cpu_seconds for entry in many):.1f} | "
            f"{max(entry.megabytes for entry in many):,.0f} |"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
