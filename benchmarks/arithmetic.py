"""Cores, hours, memory, storage and cost of a number of rows, from measured figures.

    python benchmarks/arithmetic.py --prepare 6276 --train 1036 --label 2600 [--epochs 3] [--row-bytes 292]
        [--prepared-bytes 687] [--bytes-of-row 84] [--tokens 44] [--price 0.04] [--days 1] [--output docs/scale.md]

The speeds are rows a second of one core, as `benchmarks/scale.py` and `benchmarks/label.py` measure them;
`--bytes-of-row` is what a training keeps in memory for each row, the slope of `benchmarks/row_memory.py`; the price is
that of a core for an hour.
"""

import argparse
import math
import sys

from experiments import publish

ROWS = (10_000_000, 1_000_000_000, 100_000_000_000)
NAMES = {10_000_000: "10 million", 1_000_000_000: "1 billion", 100_000_000_000: "100 billion"}


def main() -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for speed in ("prepare", "train", "label"):
        parser.add_argument(f"--{speed}", type=float, required=True, help="rows a second of one core")
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--row-bytes", type=float, default=292, help="of a row in the input")
    parser.add_argument("--prepared-bytes", type=float, default=687, help="of a row in the prepared corpus")
    parser.add_argument("--bytes-of-row", type=float, default=84, help="in memory")
    parser.add_argument("--tokens", type=float, default=44, help="of a row")
    parser.add_argument("--price", type=float, default=0.04, help="of a core for an hour")
    parser.add_argument("--days", type=float, default=1.0, help="in which all is to be done")
    parser.add_argument("--output", default="")
    given = parser.parse_args()
    lines = [
        "| rows | prepare, core hours | train, core hours | label, core hours | cores for all in "
        f"{given.days:g} day{'s' if given.days != 1 else ''} | memory of a training, GB | storage, GB | cost |",
        "|---" * 8 + "|",
    ]
    for rows in ROWS:
        prepare, train, label = (
            rows / speed / 3600 for speed in (given.prepare, given.train / given.epochs, given.label)
        )
        hours = prepare + train + label
        cores = math.ceil(hours / (24 * given.days))
        memory = rows * given.bytes_of_row / 1e9
        # The input, the prepared corpus, the token ids of a training, and the labelled rows.
        storage = rows * (2 * given.row_bytes + given.prepared_bytes + 4 * given.tokens) / 1e9
        figures = map(_rounded, (prepare, train, label, cores, memory, storage, hours * given.price))
        lines.append(f"| {NAMES[rows]} | {' | '.join(figures)} |")
    a_million = 1e6 / 3600 * (1 / given.prepare + given.epochs / given.train + 1 / given.label)
    lines += ["", f"A million rows take {a_million:.2f} core hours, {a_million * given.price:.3f} in money."]
    publish("\n".join(lines) + "\n", given.output, section="arithmetic")
    return 0


def _rounded(value: float) -> str:
    return f"{value:,.0f}" if value >= 10 or value == int(value) else f"{value:.1f}"


if __name__ == "__main__":
    sys.exit(main())
