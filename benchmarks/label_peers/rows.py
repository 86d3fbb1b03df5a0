"""The frame of a peer: read JSONL, hand texts to a function, write JSONL with a label and a probability more."""

import json
import sys
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from pathlib import Path

BLOCK_ROWS = 10_000

Train = Callable[[list[str], list[str], Path], None]
Label = Callable[[Path], Callable[[Sequence[str]], list[tuple[str, float]]]]


def main(train: Train, label: Label) -> None:
    """Run `SCRIPT train ROWS MODEL` or `SCRIPT label MODEL ROWS OUT`."""
    verb, *places = sys.argv[1:]
    if verb == "train":
        rows = [json.loads(line) for line in Path(places[0]).read_text(encoding="utf-8").splitlines()]
        train([row["text"] for row in rows], [row["label"] for row in rows], Path(places[1]))
        return
    predict = label(Path(places[0]))
    with Path(places[1]).open(encoding="utf-8") as lines, Path(places[2]).open("w", encoding="utf-8") as out:
        for block in blocks(map(json.loads, lines)):
            for row, (name, probability) in zip(block, predict([row["text"] for row in block]), strict=True):
                out.write(json.dumps({**row, "predicted_label": name, "probability": probability}) + "\n")


def blocks(rows: Iterator[dict[str, str]]) -> Iterator[list[dict[str, str]]]:
    """Yield rows in lists of BLOCK_ROWS."""
    while block := list(islice(rows, BLOCK_ROWS)):
        yield block
