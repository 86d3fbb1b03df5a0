"""Where the milliseconds of one row go, with the model in memory; the models are those that peers.py left in .bench.

    python benchmarks/row_profile.py [--corpora NAME ...]
    python benchmarks/row_profile.py --model DIR --texts rows.jsonl

Rows are asked for one by one, as a server does; medians over 200 rows after 20 others.
"""

import argparse
import statistics
import sys
import time
from itertools import pairwise
from pathlib import Path

from peer_rows import CORPORA, read_rows
from peers import SYSTEMS, WORK
from textlstm.inference.classifier import TextClassifier
from textlstm.models.calibration.temperature import mean_logits, to_probabilities

SYSTEMS_PROFILED = SYSTEMS[:2]
"""The defaults, and without parts of speech."""
NUM_ROWS, NUM_WARM = 200, 20
STEPS = ("prepare text", "recurrent network", "linear expert", "combination, decision", "all", "predict")


def main() -> int:
    """Profile and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--corpora", nargs="*", default=list(CORPORA), choices=CORPORA)
    parser.add_argument("--model", type=Path, help="this model folder, in place of those of peers.py")
    parser.add_argument("--texts", type=Path, help="its rows, JSONL with a column text")
    given = parser.parse_args()
    columns = {}
    if given.model:
        columns[given.model.name] = profile(given.model, given.texts)
    for corpus in () if given.model else given.corpora:
        for system in SYSTEMS_PROFILED:
            model = WORK / corpus / system.folder / "model"
            if model.is_dir():
                columns[f"{corpus}, {system.name}"] = profile(model, WORK / corpus / "test.jsonl")
            else:
                print(f"skipped: no model at {model}; run peers.py first", file=sys.stderr)
    if columns:
        print(f"| milliseconds | {' | '.join(columns)} |")
        print(f"|---|{'---|' * len(columns)}")
        for step in STEPS:
            print(f"| {step} | " + " | ".join(f"{one[step]:.2f}" for one in columns.values()) + " |")
    return 0


def profile(model: Path, rows: Path) -> dict[str, float]:
    """Return the median milliseconds of each step."""
    classifier = TextClassifier.load(model)
    found = [steps_of(classifier, row["text"]) for row in read_rows(rows)[: NUM_ROWS + NUM_WARM]][NUM_WARM:]
    return {step: statistics.median(one[step] for one in found) for step in STEPS}


def steps_of(classifier: TextClassifier, text: str) -> dict[str, float]:
    """Return the milliseconds of each step of one row, done as `TextClassifier.predict` does it."""
    saved_model, texts = classifier.saved_model, [text]
    times = [time.perf_counter()]
    prepared = classifier.pipeline.prepare(texts)
    times.append(time.perf_counter())
    scores = classifier.score_prepared(prepared, texts)
    times.append(time.perf_counter())
    expert = None if classifier.expert is None else classifier.expert.logits(texts)
    times.append(time.perf_counter())
    recurrent = mean_logits([scores.recurrent_logits], saved_model.task)
    classifier.decide(texts, to_probabilities(classifier.combiner.combine(recurrent, expert), saved_model.task))
    times.append(time.perf_counter())
    classifier.predict(texts)  # the call itself; its text is prepared for the second time, so its words are known
    end = time.perf_counter()
    prepare, score, linear, rest = ((later - earlier) * 1000 for earlier, later in pairwise(times))
    return {
        "prepare text": prepare,
        "recurrent network": score - linear,  # scoring holds the expert, which is then asked once more by itself
        "linear expert": linear,
        "combination, decision": rest,
        "all": prepare + score + rest,
        "predict": (end - times[-1]) * 1000,
    }


if __name__ == "__main__":
    sys.exit(main())
