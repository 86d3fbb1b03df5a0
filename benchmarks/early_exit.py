"""What early exit changes on test rows: labels, accuracy, calibration error, and how many rows need no network.

    python benchmarks/early_exit.py [MODEL=TEST_ROWS ...] [--corpora NAME ...] [--rate RATE]
        [--max-error ERROR] [--output FILE]

MODEL is a model folder, TEST_ROWS a file that `textlstm evaluate data.test=` reads. Without arguments the models of
`benchmarks/results.py` are taken, CORPUS/seed-1 under .bench/results, with the test rows of their corpora.
"""

import argparse
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from calibration import NUM_RESAMPLES, kept_in_resamples, kept_when_exchangeable
from experiments import TRAININGS, found_corpora, publish
from textlstm.config import EARLY_EXIT, DataConfig, DataSource, Task
from textlstm.corpus.preparation.prepare import prepare_labelled_files
from textlstm.evaluation.calibration import decision_bins
from textlstm.inference.classifier import TextClassifier

CORPORA = (
    *("r8", "r52", "20ng", "mr", "ag_news_10k", "trec6", "sst2"),
    *("banking77", "clinc150", "snips", "sms_spam", "imdb", "clinc150_oos"),
)


class Rows(NamedTuple):
    """N test rows of one model: what the whole model and what the model in use says of them."""

    targets: np.ndarray
    """(N,) label ids; -1 for a label that the model does not know."""
    whole: np.ndarray
    """(N, L) probabilities without early exit."""
    in_use: np.ndarray
    """(N, L) probabilities with early exit."""
    exits: np.ndarray
    """(N,) bool: decided by the linear expert alone."""


def main() -> int:
    """Print the table, write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="*", metavar="MODEL=TEST_ROWS")
    parser.add_argument("--corpora", nargs="*", default=list(CORPORA))
    parser.add_argument("--rate", type=float, default=EARLY_EXIT)
    parser.add_argument(
        "--max-error", type=float, default=0.0, help="error rate to guarantee for models that guarantee none"
    )
    parser.add_argument("--output", default="")
    arguments = parser.parse_args()
    given = [(Path(model), Path(rows)) for model, _, rows in (pair.partition("=") for pair in arguments.models)]
    lines = header(arguments.rate, max_error=arguments.max_error)
    for model_dir, test_rows in given or found_models(arguments.corpora):
        lines.append(line(model_dir, test_rows, rate=arguments.rate, max_error=arguments.max_error))
        print(lines[-1], file=sys.stderr, flush=True)
    publish("\n".join(lines) + "\n", arguments.output, section="early exit")
    return 0


def found_models(corpora: Sequence[str]) -> Iterator[tuple[Path, Path]]:
    """Yield each trained model of `benchmarks/results.py` and the test rows of its corpus."""
    for corpus, data in found_corpora(corpora):
        folder = TRAININGS / corpus / "seed-1"
        rows = [setting.partition("=")[2] for setting in data if setting.startswith("data.test=")]
        if rows and (folder / "manifest.json").exists():
            yield folder, Path(rows[0])


def scored(model_dir: Path, test_rows: Path, *, rate: float) -> Rows | None:
    """Return the test rows scored both ways; None for a model that gives a row several labels."""
    classifier = TextClassifier.load(model_dir, early_exit=rate)
    saved_model = classifier.saved_model
    if saved_model.task is Task.multi_label:
        return None
    columns = saved_model.columns
    corpus = prepare_labelled_files(
        DataConfig(
            source=DataSource.files, test=[str(test_rows)], text_column=columns.text, label_column=columns.label
        ),
        saved_model.text,
        labels=classifier.labels,
        saved=saved_model.text_fingerprint,
        prepared_dir=TRAININGS / "prepared",
        num_workers=1,
    )
    assert corpus.test is not None
    scores = classifier.score_prepared(corpus.test.tokenized(), corpus.test.texts())
    targets = corpus.test.targets(classifier.labels, Task.single_label).astype(np.int64)
    exits = np.zeros(len(targets), dtype=np.bool_)
    if classifier.early_exit is not None and scores.expert_logits is not None:
        exits = classifier.early_exit.answer(classifier.combiner, scores.expert_logits).stands
    elif classifier.combiner.recurrent_scale == 0:
        exits[:] = True  # the networks have no weight, so that they are never asked
    return Rows(targets, scores.probabilities, classifier.probabilities_in_use(scores), exits)


def header(rate: float, *, max_error: float) -> list[str]:
    """Return the top of the table."""
    others = [
        f"Models that guarantee none: with a threshold that guarantees {max_error:g} (95 % confidence), found on a",
        f"random half of the test rows, the share of {NUM_RESAMPLES} draws in which the rate holds on the other half.",
    ]
    return [
        f"Test rows of models with early exit at {1000 * rate:g} in 1,000. Equal: rows with the label of the whole",
        "model. Alone: rows decided by the linear expert without the networks. ECE: expected calibration error, 15",
        f"bins. Kept: bootstrap resamples of the test rows, of {NUM_RESAMPLES}, in which the guaranteed error rate of",
        "accepted rows holds, in %, for models that have one.",
        *(others if max_error else []),
        "",
        "| model | test rows | equal | alone | accuracy off | on | points | ECE off | on | kept off | on |",
        "|---|---|---|---|---|---|---|---|---|---|---|",
    ]


def line(model_dir: Path, test_rows: Path, *, rate: float, max_error: float) -> str:
    """Return the line of one model."""
    name = f"{model_dir.parent.name}/{model_dir.name}"
    rows = scored(model_dir, test_rows, rate=rate)
    if rows is None:
        return f"| {name} | several labels a row: no early exit |" + " |" * 9
    classifier = TextClassifier.load(model_dir, early_exit=rate)
    thresholds = classifier.saved_model.thresholds
    figures, kept = [], []
    for probabilities, threshold in (
        (rows.whole, thresholds.abstain_below),
        (rows.in_use, classifier.abstain_below),
    ):
        right = probabilities.argmax(axis=1) == rows.targets
        error = decision_bins(rows.targets, probabilities, task=Task.single_label).expected_error
        figures.append((float(right.mean()), error))
        if thresholds.max_error:
            accepted = probabilities.max(axis=1) >= threshold
            kept.append(f"{100 * kept_in_resamples(accepted, right, max_error=thresholds.max_error):.1f}")
        elif max_error:
            # A threshold for the answers in use, as training finds it on validation rows.
            confidences, half = probabilities.max(axis=1), len(right) // 2
            share = kept_when_exchangeable(confidences, right, num_first=half, max_error=max_error)
            kept.append(f"{100 * share:.1f}")
    (off, error_off), (on, error_on) = figures
    equal = (rows.whole.argmax(axis=1) == rows.in_use.argmax(axis=1)).mean()
    cells = [
        name,
        f"{len(rows.targets):,}",
        f"{100 * equal:.3f} %",
        f"{100 * rows.exits.mean():.1f} %",
        *(f"{100 * off:.2f}", f"{100 * on:.2f}", f"{100 * (on - off):+.3f}"),
        *(f"{error_off:.4f}", f"{error_on:.4f}"),
        *(kept or ["", ""]),
    ]
    return f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    sys.exit(main())
