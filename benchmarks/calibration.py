"""Are probabilities and promises kept on test rows? Calibration error and promised error rates of trained models.

    python benchmarks/calibration.py [CORPUS ...] [--seed N ...] [--max-error E] [--output docs/evaluation.md]

Every corpus and seed is a whole `textlstm train experiment=CORPUS`, shared with results.py and kept under
.bench/results, so that an interrupted call continues. Corpora are found through TEXTLSTM_CORPORA.
"""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.special import softmax

from class_shares import adapt_to_shares, logarithms
from experiments import TRAININGS, experiment_settings, found_corpora, publish, train_once
from textlstm.bundle import Bundle, load_bundle
from textlstm.cli.door import compose_config
from textlstm.config import Task, TrainConfig
from textlstm.corpus.prepared import PreparedCorpus
from textlstm.evaluation.calibration import decision_bins
from textlstm.evaluation.thresholds import Promise, find_threshold
from textlstm.models.class_biases import fit_class_biases
from textlstm.models.linear_expert import LinearExpert
from textlstm.predictor import TextClassifier
from textlstm.scoring import score_split
from textlstm.stages.prepare import prepared

CORPORA = ("r8", "clinc150_oos")
NUM_RESAMPLES = 200
MAX_SHIFT = 0.2
"""Sum of the differences between the class shares of two sets of rows up to which they count as equal."""
CONFIDENCE = 0.95


@dataclass(frozen=True, slots=True)
class Scored:
    """Probabilities of one trained model; N validation and M test rows, L labels."""

    labels: list[str]
    validation: np.ndarray
    """(N, L), with a temperature of these very rows, and class biases, where there are any, of others among them."""
    validation_targets: np.ndarray
    test: np.ndarray
    """(M, L)."""
    test_before: np.ndarray
    """(M, L) without the gate."""
    test_unbiased: np.ndarray
    """(M, L) without the gate's class biases."""
    test_targets: np.ndarray


def main() -> int:
    """Train what is missing, print the table, write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("corpora", nargs="*", default=list(CORPORA))
    parser.add_argument("--seed", type=int, nargs="+", default=[1])
    parser.add_argument("--max-error", type=float, default=0.02)
    parser.add_argument("--output", default="")
    arguments = parser.parse_args()
    lines = header(arguments.max_error)
    for corpus, data in found_corpora(arguments.corpora):
        for seed in arguments.seed:
            model = scored(corpus, data, seed=seed)
            lines += rows_of(f"{corpus}, seed {seed}", model, max_error=arguments.max_error)
    publish("\n".join(lines) + "\n", arguments.output, section="calibration")
    return 0


def scored(corpus: str, data: Sequence[str], *, seed: int) -> Scored:
    """Return what the trained model says of validation and test rows; train it where that was not done."""
    settings = experiment_settings(corpus, data, seed=seed, prepared_dir=TRAININGS / "prepared")
    model = TRAININGS / corpus / f"seed-{seed}"
    train_once(model, settings)
    config = compose_config("train", TrainConfig, settings)
    rows = prepared(config)
    if rows.validation is None or rows.test is None or rows.task is Task.multi_label:
        raise SystemExit(f"{corpus}: this table is about single-label models with validation and test rows")
    bundle = load_bundle(model)
    validation = score_split(TextClassifier(before_refit(bundle, rows, config)), rows.validation)
    classifier = TextClassifier(bundle)
    test, bias = score_split(classifier, rows.test), classifier.gate.bias
    assert test.uncalibrated_probabilities is not None
    return Scored(
        labels=list(rows.labels),
        validation=held_out(validation.probabilities, validation.targets, bias),
        validation_targets=validation.targets,
        test=test.probabilities,
        test_before=test.uncalibrated_probabilities,
        test_unbiased=softmax(without_biases(test.probabilities, bias), axis=1),
        test_targets=test.targets,
    )


def before_refit(bundle: Bundle, corpus: PreparedCorpus, config: TrainConfig) -> Bundle:
    """Return the model as it was when it learned gate and threshold from the validation rows.

    The linear expert of a saved model was fitted once more, on training and validation rows together; what it says of
    validation rows is no test of anything.
    """
    if config.training.refit:
        raise SystemExit("with training.refit the saved networks have seen the validation rows; set it to false")
    if corpus.train is None or not bundle.arrays("expert."):
        return bundle
    expert = LinearExpert.fit(
        corpus.train.texts(),
        corpus.train.targets(corpus.labels, corpus.task),
        num_labels=len(corpus.labels),
        task=corpus.task,
        config=config.model,
        seed=config.seed,
    )
    others = {name: value for name, value in bundle.weights.items() if not name.startswith("expert.")}
    return replace(bundle, weights=others | {f"expert.{name}": value for name, value in expert.to_arrays().items()})


def held_out(probabilities: np.ndarray, targets: np.ndarray, bias: float | np.ndarray) -> np.ndarray:
    """Return (N, L) probabilities with class biases that were learned on other rows, as when the model was made."""
    if not np.ndim(bias):
        return probabilities
    correction = fit_class_biases(without_biases(probabilities, bias), targets.astype(np.int64))
    if correction is None:
        raise SystemExit("the biases of a saved model are not found again on its validation rows")
    return np.asarray(np.exp(correction.held_out))


def without_biases(probabilities: np.ndarray, bias: float | np.ndarray) -> np.ndarray:
    """Return (N, L) logits before the class biases of a gate."""
    return logarithms(probabilities) - bias


def header(max_error: float) -> list[str]:
    """Return the top of the page."""
    return [
        f"Temperature and threshold come from validation rows; the promise is an error of at most {max_error:.0%}",
        f"among accepted rows at {CONFIDENCE:.0%} confidence. ECE: expected calibration error, 15 bins. Kept: share of",
        f"{NUM_RESAMPLES} bootstrap resamples of the test rows in which the promise holds. Exchangeable: validation",
        f"and test rows pooled and split anew {NUM_RESAMPLES} times, threshold from one part, kept on the other.",
        "Where the shares of the classes differ between validation and test rows, three more lines. Without",
        "class biases: those that the gate learned are taken off. Mixed like validation: test rows drawn so that each",
        "class has its share of the validation rows. Shares found: with the class shares of the unlabelled test rows",
        "by expectation maximisation (not in the product).",
        "",
        "| corpus | test rows | accuracy | ECE before | ECE after | threshold | coverage | accepted error | kept "
        "| exchangeable |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]


def rows_of(corpus: str, model: Scored, *, max_error: float) -> list[str]:
    """Return a line for the corpus as it is, and three more where the shares of its classes differ in validation."""
    everything = np.arange(len(model.test_targets))
    exchangeable = kept_when_exchangeable(model, max_error=max_error)
    lines = [line(corpus, model, everything, max_error=max_error, exchangeable=f"{100 * exchangeable:.1f}")]
    shares = [
        np.bincount(targets[targets >= 0], minlength=len(model.labels)) / len(targets)
        for targets in (model.validation_targets, model.test_targets)
    ]
    if np.abs(shares[0] - shares[1]).sum() <= MAX_SHIFT:
        return lines
    unbiased = replace(model, test=model.test_unbiased)
    lines.append(line(f"{corpus}, without class biases", unbiased, everything, max_error=max_error))
    weights = (shares[0] / np.maximum(shares[1], 1e-12))[model.test_targets]
    chosen = np.flatnonzero(np.random.default_rng(0).random(len(weights)) < weights / weights.max())
    lines.append(line(f"{corpus}, mixed like validation", model, chosen, max_error=max_error))
    found = adapt_to_shares(model.test, model.validation.mean(axis=0))
    model = replace(model, test=found.probabilities)
    lines.append(line(f"{corpus}, shares found", model, everything, max_error=max_error))
    return lines


def line(name: str, model: Scored, chosen: np.ndarray, *, max_error: float, exchangeable: str = "") -> str:
    """Return the figures of the `chosen` test rows (indices)."""
    probabilities, targets = model.test[chosen], model.test_targets[chosen]
    correct, confidences = probabilities.argmax(axis=1) == targets, probabilities.max(axis=1)
    promise = find_threshold(
        model.validation.max(axis=1),
        model.validation.argmax(axis=1) == model.validation_targets,
        max_error=max_error,
        confidence=CONFIDENCE,
    )
    accepted = confidences >= (2.0 if promise.threshold is None else promise.threshold)
    before, after = (
        decision_bins(targets, values, task=Task.single_label).expected_error
        for values in (model.test_before[chosen], probabilities)
    )
    cells = (
        name,
        f"{len(chosen):,}",
        f"{100 * correct.mean():.2f}",
        f"{before:.3f}",
        f"{after:.3f}",
        "none" if promise.threshold is None else f"{promise.threshold:.3f}",
        f"{100 * accepted.mean():.1f}",
        f"{100 * (1 - correct[accepted].mean()) if accepted.any() else 0:.2f}",
        f"{100 * kept_in_resamples(accepted, correct, max_error=max_error):.1f}",
        exchangeable,
    )
    return f"| {' | '.join(cells)} |"


def kept_in_resamples(accepted: np.ndarray, correct: np.ndarray, *, max_error: float) -> float:
    """Return the share of bootstrap resamples of the rows in which accepted rows are wrong at most `max_error`."""
    generator = np.random.default_rng(0)
    kept = 0
    for _ in range(NUM_RESAMPLES):
        drawn = generator.integers(0, len(correct), len(correct))
        num_accepted, num_wrong = accepted[drawn].sum(), (accepted & ~correct)[drawn].sum()
        kept += bool(num_wrong <= max_error * num_accepted)
    return kept / NUM_RESAMPLES


def kept_when_exchangeable(model: Scored, *, max_error: float) -> float:
    """Return how often a threshold from one random part of the pooled rows keeps its promise on the other part."""
    probabilities = np.concatenate([model.validation, model.test])
    targets = np.concatenate([model.validation_targets, model.test_targets])
    confidences, correct = probabilities.max(axis=1), probabilities.argmax(axis=1) == targets
    generator = np.random.default_rng(0)
    num_calibration, kept = len(model.validation), 0
    for _ in range(NUM_RESAMPLES):
        order = generator.permutation(len(targets))
        fit_on, held_out = order[:num_calibration], order[num_calibration:]
        promise: Promise = find_threshold(
            confidences[fit_on], correct[fit_on], max_error=max_error, confidence=CONFIDENCE
        )
        accepted = confidences[held_out] >= (2.0 if promise.threshold is None else promise.threshold)
        kept += bool((accepted & ~correct[held_out]).sum() <= max_error * accepted.sum())
    return kept / NUM_RESAMPLES


if __name__ == "__main__":
    sys.exit(main())
