"""What explaining costs, and whether its attributions can be believed.

    python benchmarks/explain.py MODEL_DIR TEXTS [--texts N] [--no-faithfulness]

Prints the seconds of a plain forward pass and of the gate traces over the same batches (alternating, median of five),
the seconds of whole explanations without Captum's part, and the deletion areas of every method.
"""

import argparse
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import torch

from textlstm.config import Device
from textlstm.corpus.rows.readers import read_records
from textlstm.corpus.rows.records import Record
from textlstm.corpus.rows.settings import ColumnNames, ReadSettings
from textlstm.explain.attribution import attribute, cell_decomposition, leave_one_out
from textlstm.explain.expert import weigh_branches
from textlstm.explain.explanation import explained_labels, incremental_predictions, look_inside
from textlstm.explain.faithfulness import measure_faithfulness
from textlstm.explain.gates import trace_encoder
from textlstm.explain.reader import TextReader
from textlstm.inference.classifier import TextClassifier

_REPEATS = 5


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model_dir")
    parser.add_argument("texts", type=Path)
    parser.add_argument("--texts", dest="num_texts", type=int, default=300)
    parser.add_argument("--no-faithfulness", action="store_true")
    arguments = parser.parse_args()
    classifier = TextClassifier.load(arguments.model_dir, device=Device.cpu)
    texts = first_texts(arguments.texts, classifier.saved_model.columns.text, arguments.num_texts)
    prepared = classifier.pipeline.prepare(texts)
    reader = TextReader(classifier, prepared)
    labels = explained_labels(classifier.score_prepared(prepared, texts))
    print(f"{len(texts)} texts of {arguments.texts}, {len(reader.tokens):,} tokens; {torch.get_num_threads()} threads")

    forward, traced = alternate(lambda: pass_forward(reader), lambda: pass_traced(reader))
    print(f"forward pass {forward:.3f} s, gate traces {traced:.3f} s: {traced / forward:.2f} times")
    seconds = {
        "gates and pooling": timed(lambda: look_inside(reader, labels)),
        "leave one out": timed(lambda: leave_one_out(reader, labels)),
        "cell decomposition": timed(lambda: cell_decomposition(reader, labels)),
        "running probability": timed(lambda: incremental_predictions(reader)),
        "preparation": timed(lambda: classifier.pipeline.prepare(texts)),
        "branches": timed(
            lambda: weigh_branches(classifier, texts, classifier.score_prepared(prepared, texts), labels)
        ),
    }
    print(", ".join(f"{name} {value:.2f} s" for name, value in seconds.items()))
    print(f"all of it, without integrated gradients: {sum(seconds.values()):.1f} s")
    if not arguments.no_faithfulness:
        attributions = attribute(reader, labels)
        print("| method | area | random | margin | 95 % interval |")
        print("|---|---|---|---|---|")
        for found in measure_faithfulness(reader, labels, attributions):
            print(
                f"| {found.method.value.replace('_', ' ')} | {found.area:.3f} | {found.random_area:.3f} "
                f"| {found.margin:+.3f} | {found.low:+.3f} to {found.high:+.3f} |"
            )
    return 0


def first_texts(path: Path, column: str, num_texts: int) -> list[str]:
    """Return the first texts of a file."""
    settings = ReadSettings(columns=ColumnNames(text=column, label=""))
    texts: list[str] = []
    for row in read_records(path, settings):
        if isinstance(row, Record):
            texts.append(str(row.fields[column]))
        if len(texts) == num_texts:
            break
    return texts


def pass_forward(reader: TextReader) -> None:
    """Run the network over all texts."""
    with torch.no_grad():
        for _, batch in reader.batches():
            reader.network(batch)


def pass_traced(reader: TextReader) -> None:
    """Run the network over all texts and recompute its gates."""
    with torch.no_grad():
        for _, batch in reader.batches():
            trace = trace_encoder(reader.network.encoder, reader.network.embed(batch), batch.lengths)
            reader.network.classify(trace.encoded)


def alternate(one: Callable[[], object], other: Callable[[], object]) -> tuple[float, float]:
    """Return the median seconds of two jobs, run in turn so that load hits both."""
    pairs = [(timed(one), timed(other)) for _ in range(_REPEATS + 1)][1:]
    return statistics.median(pair[0] for pair in pairs), statistics.median(pair[1] for pair in pairs)


def timed(job: Callable[[], object]) -> float:
    """Return the seconds of one call."""
    start = time.perf_counter()
    job()
    return time.perf_counter() - start


if __name__ == "__main__":
    raise SystemExit(main())
