"""Seconds and peak memory of prepare, train and label as rows grow, on made texts.

    python benchmarks/scale.py [--rows 100000,300000] [--stages prepare,train,label] [--reading 100000]
         [--beside PYTHON] [--output FILE] [--work DIR]

The texts are made from AG News (found through TEXTLSTM_CORPORA): each is an article in which some words are drawn from
others of its class, and new words come at the rate of Heaps' law, as in natural text. Memory is the resident memory of
a process and its children together. `--reading N` compares reading (all that comes before the first token) and
tokenizing without tags on N rows as JSONL, CSV and Parquet, by processor time of one process; `--beside` in turns with
the textlstm of another Python (of another checkout).
"""

import argparse
import csv
import gzip
import json
import os
import random
import shutil
import statistics
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from processes import Measured, run

ROOT = Path(__file__).resolve().parent.parent
_HEAPS_FACTOR, _HEAPS_EXPONENT = 44.0, 0.5
"""Different words of English text: 44 times the square root of its words (Manning et al., 2008, section 5.1)."""
_DRAWN = 0.15
"""Share of the words that are drawn from another article of the class."""
_TOKENIZED = 5000
"""Rows whose tokenizing is timed."""
_SHORT = ("training.epochs=1", "tracking.enabled=false")
_SYLLABLES = ("ka", "lo", "mir", "ten", "sa", "vu", "pel", "dor", "ni", "gra", "tho", "ex", "bu", "zan", "qui", "fe")


class Row(NamedTuple):
    """One made row."""

    id: str
    text: str
    label: str


def made_rows(source: Path, num_rows: int, *, seed: int = 1) -> Iterator[Row]:
    """Yield rows; the first ones are the same however many are asked for."""
    random_numbers = random.Random(seed)
    with gzip.open(source, "rt", encoding="utf-8") as file:
        given = [json.loads(line) for line in file]
    words_of: dict[str, list[str]] = {}
    for row in given:
        words_of.setdefault(row["label"], []).extend(row["text"].split())
    num_words = num_new = 0
    for number in range(1, num_rows + 1):
        row = given[random_numbers.randrange(len(given))]
        words = row["text"].split()
        pool = words_of[row["label"]]
        for place in range(len(words)):
            if random_numbers.random() < _DRAWN:
                words[place] = pool[random_numbers.randrange(len(pool))]
        # As many new words as Heaps' law has when the text so far has grown by this row.
        num_words += len(words)
        while num_new < _HEAPS_FACTOR * num_words**_HEAPS_EXPONENT:
            num_new += 1
            words[random_numbers.randrange(len(words))] = new_word(num_new)
        yield Row(f"row-{number}", " ".join(words), row["label"])


def new_word(number: int) -> str:
    """Return a made word; every number has its own."""
    word = ""
    while number:
        number, syllable = divmod(number, len(_SYLLABLES))
        word += _SYLLABLES[syllable]
    return word


def write_rows(rows: Sequence[Row], path: Path) -> None:
    """Write `rows` in the format of the name of `path`."""
    match path.suffix:
        case ".jsonl":
            with path.open("w", encoding="utf-8") as file:
                file.writelines(json.dumps(row._asdict(), ensure_ascii=False) + "\n" for row in rows)
        case ".csv":
            with path.open("w", encoding="utf-8", newline="") as file:
                writer = csv.writer(file, lineterminator="\n")
                writer.writerow(Row._fields)
                writer.writerows(rows)
        case _:
            pq.write_table(pa.Table.from_pylist([row._asdict() for row in rows]), path)


def command(python: str, *arguments: str) -> list[str]:
    """Return the command line of a stage in the environment of `python`."""
    return [python, "-m", "textlstm", *arguments]


def measured(arguments: Sequence[str], work: Path) -> Measured:
    """Run a stage to its end.

    Raises:
        SystemExit: it failed.
    """
    done = run(arguments, limit_seconds=7200, work=work)
    if done.exit_code:
        raise SystemExit(f"{' '.join(arguments)}\n{done.output}")
    return done


def scale_table(sizes: Sequence[int], stages: Sequence[str], source: Path, work: Path) -> list[str]:
    """Return the table of rows against seconds and memory."""
    lines = [f"| rows |{'|'.join(f' {stage} s | MB ' for stage in stages)}|", "|---" * (1 + 2 * len(stages)) + "|"]
    for size in sizes:
        rows = work / f"rows-{size}.jsonl"
        write_rows(list(made_rows(source, size)), rows)
        model, out = work / f"model-{size}", work / f"labelled-{size}.jsonl"
        shared = ["data=files", f"data.train={rows}", "text=fast", f"prepared_dir={work / 'prepared'}"]
        arguments = {
            "prepare": ["prepare", *shared],
            "train": ["train", *shared, f"output_dir={model}", *_SHORT],
            "label": ["label", f"model_dir={model}", f"input={rows}", f"output={out}"],
        }
        cells = []
        for stage in stages:
            done = measured(command(sys.executable, *arguments[stage]), work)
            cells.append(f"{done.seconds:,.0f} | {done.megabytes:,.0f}")
            print(f"{size:,} rows, {stage}: {cells[-1]}", file=sys.stderr, flush=True)
        lines.append(f"| {size:,} | {' | '.join(cells)} |")
        for path in (work / "prepared", model):
            shutil.rmtree(path, ignore_errors=True)
        out.unlink(missing_ok=True)
    return lines


_READER = """
import sys, tempfile, time
from pathlib import Path
from textlstm.config import DataConfig, DataSource, TextConfig
from textlstm.text.pipeline import TextPipeline
try:
    from textlstm.corpus.preparation.reading import ingest
    from textlstm.corpus.sources.sources import open_sources
except ImportError:  # before 2026-11-28
    from textlstm.corpus.preparing.ingest import ingest
    from textlstm.corpus.sources.labelled_rows import open_sources

def read(path):
    data = DataConfig(source=DataSource.files, train=[path])
    with tempfile.TemporaryDirectory() as folder:
        begun = time.process_time()
        [source] = ingest(open_sources(data), Path(folder), data=data, on_rows=lambda rows: None).sources
        return len(source.hashes) / (time.process_time() - begun)

read(sys.argv[1])  # imports
pipeline = TextPipeline(TextConfig(pos=False))
texts = Path(sys.argv[3]).read_text(encoding="utf-8").splitlines()
pipeline.prepare(texts[:200])
begun = time.process_time()
pipeline.prepare(texts)
print(read(sys.argv[2]), len(texts) / (time.process_time() - begun))
"""


def reading_table(size: int, pythons: Sequence[str], source: Path, work: Path, *, rounds: int) -> list[str]:
    """Return the rows a second of processor time of reading and of tokenizing without tags, by format and checkout."""
    rows = list(made_rows(source, size))
    texts = work / "texts.txt"
    texts.write_text("\n".join(row.text for row in rows[:_TOKENIZED]), encoding="utf-8")
    lines = ["| format | textlstm | reading rows/s | tokenizing rows/s |", "|---|---|---|---|"]
    for suffix in (".jsonl", ".csv", ".parquet"):
        few, path = work / f"few{suffix}", work / f"reading{suffix}"
        write_rows(rows[:100], few)
        write_rows(rows, path)
        found: dict[str, list[list[float]]] = {}
        # In turns, so that a busy machine slows all alike.
        for _ in range(rounds):
            for python in pythons:
                done = measured([python, "-c", _READER, str(few), str(path), str(texts)], work)
                found.setdefault(python, []).append([float(word) for word in done.output.split()[-2:]])
        for python in pythons:
            name = "this checkout" if python == sys.executable else "the other"
            reading, tokenizing = (statistics.median(speeds) for speeds in zip(*found[python], strict=True))
            lines.append(f"| {suffix[1:]} | {name} | {reading:,.0f} | {tokenizing:,.0f} |")
            print(lines[-1], file=sys.stderr, flush=True)
    return lines


def main() -> int:
    """Measure and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", default="", help="numbers of rows, with commas")
    parser.add_argument("--stages", default="prepare,train,label", help="which of these; label needs train")
    parser.add_argument("--reading", type=int, default=0)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--beside", default="")
    parser.add_argument("--output", default="")
    parser.add_argument("--work", default="")
    arguments = parser.parse_args()
    corpora = Path(os.environ.get("TEXTLSTM_CORPORA", ROOT.parent / "shared" / "data"))
    source = corpora / "ag_news_10k" / "train.jsonl.gz"
    if not source.is_file():
        print("skipped: no ag_news_10k under TEXTLSTM_CORPORA", file=sys.stderr)
        return 0
    work = Path(arguments.work or tempfile.mkdtemp(prefix="scale-"))
    work.mkdir(parents=True, exist_ok=True)
    lines: list[str] = []
    if arguments.reading:
        pythons = [sys.executable, *filter(None, [arguments.beside])]
        lines += [*reading_table(arguments.reading, pythons, source, work, rounds=arguments.rounds), ""]
    if arguments.rows:
        sizes = [int(size) for size in arguments.rows.split(",")]
        lines += scale_table(sizes, arguments.stages.split(","), source, work)
    page = "\n".join(lines) + "\n"
    print(page)
    if arguments.output:
        Path(arguments.output).write_text(page, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
