"""What can be learned of rows whose class shares moved: every way that was tried, on clinc150_oos with more of `oos`.

    python benchmarks/moved_shares.py [--seed N] [--output docs/evaluation.md]

On validation rows a temperature, a bias a class and weights of some features in the logit of `oos` are learned (shrunk
biases), cross-fitted; class shares of the unlabelled test rows by expectation maximisation; the threshold from
validation rows weighted to these shares, by the Clopper-Pearson bound at their effective number. The model is the one
of calibration.py.
"""

import argparse
import sys
from typing import NamedTuple

import numpy as np
from scipy.stats import beta

from calibration import CONFIDENCE, before_refit, kept_in_resamples, without_biases
from class_shares import adapt_to_shares, cross_fitted, learn, logarithms
from experiments import TRAININGS, experiment_settings, found_corpora, publish, train_once
from textlstm.bundle import load_bundle
from textlstm.cli.door import compose_config
from textlstm.config import Task, TrainConfig
from textlstm.evaluation.calibration import decision_bins
from textlstm.evaluation.rows import ScoredRows
from textlstm.predictor import TextClassifier
from textlstm.scoring import score_split
from textlstm.stages.prepare import prepared

CORPUS, MOVED, MAX_ERROR = "clinc150_oos", "oos", 0.02
FEATURES = {
    "class biases alone": [],
    "certainty": [0],
    "certainty and disagreement of the branches": [0, 1, 2, 3],
    "these, unknown words and length": [0, 1, 2, 3, 4, 5],
}
PENALTIES = (1.0, 4.0, 16.0)


def main() -> int:
    """Score, fit, print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--output", default="")
    arguments = parser.parse_args()
    lines = [
        "Log loss: of cross-fitted validation rows weighted to the shares found. Share: of `oos` in the test rows,",
        "found by expectation maximisation. Kept: share of 200 bootstrap resamples of the test rows with at most",
        f"{MAX_ERROR:.0%} wrong among the accepted.",
        "",
        "| in the logit of oos | penalty | log loss | share | accuracy | ECE | threshold | coverage | error | kept |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for corpus, data in found_corpora([CORPUS]):
        settings = experiment_settings(corpus, data, seed=arguments.seed, prepared_dir=TRAININGS / "prepared")
        model = TRAININGS / corpus / f"seed-{arguments.seed}"
        train_once(model, settings)
        config = compose_config("train", TrainConfig, settings)
        rows = prepared(config)
        assert rows.validation is not None
        assert rows.test is not None
        bundle = load_bundle(model)
        validation = score_split(TextClassifier(before_refit(bundle, rows, config)), rows.validation)
        classifier = TextClassifier(bundle)
        test, bias = score_split(classifier, rows.test), classifier.gate.bias
        fit_on, tried_on = (Seen(part, without_biases(part.probabilities, bias)) for part in (validation, test))
        moved = list(rows.labels).index(MOVED)
        lines += [tried(fit_on, tried_on, moved, name, penalty) for name in FEATURES for penalty in PENALTIES]
    publish("\n".join(lines) + "\n", arguments.output, section="moved-shares")
    return 0


class Seen(NamedTuple):
    """Scored rows, and their (N, L) logits without class biases, which each way has of its own."""

    rows: ScoredRows
    logits: np.ndarray


def tried(validation: Seen, test: Seen, moved: int, name: str, penalty: float) -> str:
    """Return the line of one way."""
    columns = FEATURES[name]
    features, test_features = (features_of(part.rows)[:, columns] for part in (validation, test))
    centre, spread = features.mean(axis=0), features.std(axis=0) + 1e-9
    features, test_features = (features - centre) / spread, (test_features - centre) / spread
    logits, targets = validation.logits, validation.rows.targets.astype(np.int64)
    crossed = cross_fitted(logits, targets, features, penalty=penalty, moved=moved)
    learned = learn(logits, targets, penalty=penalty, features=features, moved=moved)
    known = np.maximum(crossed.mean(axis=0), 1e-6)
    found = adapt_to_shares(learned(test.logits, test_features), known)
    weighted = crossed * (found.shares / known)
    weighted /= weighted.sum(axis=1, keepdims=True)
    weights = (found.shares / np.maximum(np.bincount(targets, minlength=len(known)) / len(targets), 1e-9))[targets]
    losses = -np.log(np.maximum(weighted[np.arange(len(targets)), targets], 1e-30))
    threshold = weighted_threshold(weighted.max(axis=1), weighted.argmax(axis=1) == targets, weights)
    correct = found.probabilities.argmax(axis=1) == test.rows.targets
    accepted = found.probabilities.max(axis=1) >= threshold
    error = decision_bins(test.rows.targets, found.probabilities, task=Task.single_label).expected_error
    cells = (
        name,
        f"{penalty:g}",
        f"{np.average(losses, weights=weights):.4f}",
        f"{found.shares[moved]:.3f}",
        f"{100 * correct.mean():.2f}",
        f"{error:.3f}",
        f"{threshold:.3f}",
        f"{100 * accepted.mean():.1f}",
        f"{100 * (1 - correct[accepted].mean()) if accepted.any() else 0:.2f}",
        f"{100 * kept_in_resamples(accepted, correct, max_error=MAX_ERROR):.1f}",
    )
    return f"| {' | '.join(cells)} |"


def features_of(rows: ScoredRows) -> np.ndarray:
    """Return (N, 6): certainty of the model and of its branches, their disagreement, unknown words, length."""
    recurrent, expert = rows.recurrent_probabilities, rows.expert_probabilities
    assert recurrent is not None
    assert expert is not None
    assert rows.unknown_share is not None
    assert rows.num_tokens is not None
    certainties = [-logarithms(part).max(axis=1) for part in (rows.probabilities, recurrent, expert)]
    apart = 1 - np.sqrt(recurrent.astype(np.float64) * expert).sum(axis=1)
    return np.stack([*certainties, apart, rows.unknown_share, np.log1p(rows.num_tokens)], axis=1)


def weighted_threshold(confidences: np.ndarray, correct: np.ndarray, weights: np.ndarray) -> float:
    """Return the lowest confidence from which the upper bound of the weighted error is in the promise; 2: none is."""
    best = 2.0
    for threshold in np.quantile(confidences, np.linspace(0.9, 0, 19)).tolist():
        accepted = confidences >= threshold
        total = weights[accepted].sum()
        effective = total**2 / (weights[accepted] ** 2).sum()
        wrong = weights[accepted & ~correct].sum() / total * effective
        if beta.ppf(CONFIDENCE, wrong + 1, max(effective - wrong, 1e-9)) <= MAX_ERROR:
            best = min(best, threshold)
    return best


if __name__ == "__main__":
    sys.exit(main())
