"""Are probabilities and promises kept on test rows? Calibration error and guaranteed error rates of trained models.

    python benchmarks/calibration.py [CORPUS ...] [--seed N ...] [--max-error E] [--output docs/evaluation.md]

Every corpus and seed is a whole `textlstm train experiment=CORPUS`, without a refit, and kept under
.bench/calibration, so that an interrupted call continues. Corpora are found through TEXTLSTM_CORPORA.
"""

import argparse
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from experiments import BENCH, TRAININGS, experiment_settings, found_corpora, publish, train_once
from textlstm.cli.settings import compose_config
from textlstm.config import Task, TrainConfig
from textlstm.corpus.prepared import PreparedCorpus, PreparedSplit
from textlstm.embeddings.sources import vectors_of_expert
from textlstm.evaluation.abstention import find_threshold
from textlstm.evaluation.calibration import decision_bins
from textlstm.fitting.calibrating import Calibrated, calibrate, class_counts, validation_weights
from textlstm.fitting.labelled_rows import labelled_rows
from textlstm.inference.classifier import TextClassifier
from textlstm.inference.prediction import Scores
from textlstm.inference.scoring import uncalibrated
from textlstm.model_folder import load_saved_model
from textlstm.models.calibration.combination import BranchCombiner
from textlstm.models.calibration.confidence import AS_IT_IS
from textlstm.models.calibration.temperature import to_probabilities
from textlstm.models.linear.expert import LinearExpert
from textlstm.saved_model import SavedModel
from textlstm.stages.prepare import prepared

CORPORA = ("r8", "clinc150_oos")
NUM_RESAMPLES = 200
CONFIDENCE = 0.95


class Part(NamedTuple):
    """N rows, and what both branches say of them."""

    scores: Scores
    targets: np.ndarray
    """(N,) label ids."""

    @classmethod
    def of(cls, classifier: TextClassifier, split: PreparedSplit) -> "Part":
        """Return the rows of `split`."""
        saved_model = classifier.saved_model
        return cls(
            classifier.score_prepared(split.tokenized(), split.texts()),
            split.targets(saved_model.labels, saved_model.task).astype(np.int64),
        )

    def combined(self, combiner: BranchCombiner) -> np.ndarray:
        """Return (N, L) log-probabilities."""
        return combiner.combine(self.scores.recurrent_logits, self.scores.expert_logits)


class Model(NamedTuple):
    """A trained model and its held-out rows."""

    validation: Part
    """As the combiner saw them."""
    test: Part
    combiner: BranchCombiner
    """As it was saved."""
    weights: np.ndarray | None
    """(N,) of the validation rows, where label shares are set."""
    counts: np.ndarray
    """(L,) training rows of each class."""


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
            lines += lines_of(f"{corpus}, seed {seed}", trained(corpus, data, seed=seed), arguments.max_error)
    publish("\n".join(lines) + "\n", arguments.output, section="calibration")
    return 0


def trained(corpus: str, data: Sequence[str], *, seed: int) -> Model:
    """Return the model of the experiment of a corpus; train it where that was not done."""
    settings = experiment_settings(corpus, data, seed=seed, prepared_dir=TRAININGS / "prepared")
    # Validation rows must be new to the networks: no refit and no folds.
    settings += ["training.refit=false", "training.cross_fit=0"]
    folder = BENCH / "calibration" / corpus / f"seed-{seed}"
    train_once(folder, settings)
    config = compose_config("train", TrainConfig, settings)
    rows = prepared(config)
    if rows.validation is None or rows.test is None or rows.task is Task.multi_label:
        raise SystemExit(f"{corpus}: this table is about single-label models with validation and test rows")
    saved_model = load_saved_model(folder)
    classifier = TextClassifier(saved_model)
    validation = Part.of(TextClassifier(before_refit(saved_model, rows, config)), rows.validation)
    weights = validation_weights(validation.targets, rows, config.evaluation)
    counts = class_counts(labelled_rows(rows).train_targets, len(rows.labels))
    return Model(validation, Part.of(classifier, rows.test), classifier.combiner, weights, counts)


def before_refit(saved_model: SavedModel, corpus: PreparedCorpus, config: TrainConfig) -> SavedModel:
    """Return the model as it was when it learned combiner and threshold from the validation rows.

    The linear expert of a saved model was fitted once more, on training and validation rows together; what it says of
    validation rows is no test of anything.
    """
    if corpus.train is None or not saved_model.arrays("expert."):
        return saved_model
    expert = LinearExpert.fit(
        corpus.train.texts(),
        corpus.train.targets(corpus.labels, corpus.task),
        num_labels=len(corpus.labels),
        task=corpus.task,
        config=saved_model.model,
        seed=config.seed,
        pretrained=vectors_of_expert(saved_model.model),
    )
    others = {name: value for name, value in saved_model.weights.items() if not name.startswith("expert.")}
    return replace(
        saved_model, weights=others | {f"expert.{name}": value for name, value in expert.to_arrays().items()}
    )


def header(max_error: float) -> list[str]:
    """Return the top of the page."""
    return [
        f"Gate and threshold come from validation rows; the promise is an error of at most {max_error:.0%} among",
        f"accepted rows at {CONFIDENCE:.0%} confidence. ECE: expected calibration error, 15 bins; before: of the plain",
        f"mean of both branches. Kept: share of {NUM_RESAMPLES} bootstrap resamples of the test rows in which the",
        f"promise holds. Exchangeable: validation and test rows pooled and split anew {NUM_RESAMPLES} times, threshold",
        "from one part, kept on the other. Further lines: the same networks, confidence not scaled, and",
        "where the experiment sets label shares, with a combiner and a threshold that know nothing of them.",
        "",
        "| corpus | test rows | accuracy | ECE before | ECE after | threshold | coverage | accepted error | kept "
        "| exchangeable |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]


def lines_of(name: str, model: Model, max_error: float) -> Iterator[str]:
    """Yield a line for the model as it is, and for what it would be without some of its calibration.

    Raises:
        SystemExit: the combiner of the saved model is not found again.
    """
    calibrated = learned(model, model.weights)
    found, saved = (model.test.combined(combiner) for combiner in (calibrated.combiner, model.combiner))
    if not np.allclose(found, saved, atol=1e-3):
        raise SystemExit(f"{name}: the combiner of the saved model is not found again on its validation rows")
    yield line(name, model, calibrated, model.weights, max_error=max_error)
    plain = calibrated.combiner.with_confidence_scale(AS_IT_IS)
    if plain != calibrated.combiner:
        yield cells(f"{name}, confidence not scaled", model.test, plain)
    if model.weights is not None:
        yield line(f"{name}, label shares not set", model, learned(model, None), None, max_error=max_error)


def learned(model: Model, weights: np.ndarray | None) -> Calibrated:
    """Return what training learns from the validation rows."""
    scores, targets = model.validation
    return calibrate(
        scores.recurrent_logits,
        scores.expert_logits,
        targets,
        task=Task.single_label,
        weights=weights,
        class_counts=model.counts,
    )


def line(name: str, model: Model, calibrated: Calibrated, weights: np.ndarray | None, *, max_error: float) -> str:
    """Return a line of the table: what the combiner and its threshold do on the test rows."""
    validation = to_probabilities(calibrated.log_probabilities, Task.single_label)
    correct = validation.argmax(axis=1) == model.validation.targets
    guarantee = find_threshold(
        validation.max(axis=1), correct, max_error=max_error, confidence=CONFIDENCE, weights=weights
    )
    threshold = guarantee.threshold
    probabilities = to_probabilities(model.test.combined(calibrated.combiner), Task.single_label)
    right = probabilities.argmax(axis=1) == model.test.targets
    accepted = probabilities.max(axis=1) >= (np.inf if threshold is None else threshold)
    exchangeable = ""
    if weights is None:
        confidences = np.concatenate([validation.max(axis=1), probabilities.max(axis=1)])
        kept = kept_when_exchangeable(
            confidences, np.concatenate([correct, right]), num_first=len(correct), max_error=max_error
        )
        exchangeable = f"{100 * kept:.1f}"
    return cells(
        name,
        model.test,
        calibrated.combiner,
        "none" if threshold is None else f"{threshold:.3f}",
        f"{100 * accepted.mean():.1f}",
        f"{100 * (1 - right[accepted].mean()) if accepted.any() else 0:.2f}",
        f"{100 * kept_in_resamples(accepted, right, max_error=max_error):.1f}",
        exchangeable,
    )


def cells(name: str, test: Part, combiner: BranchCombiner, *guaranteed: str) -> str:
    """Return a line with the figures of the probabilities, and what is `guaranteed`, if anything."""
    probabilities = to_probabilities(test.combined(combiner), Task.single_label)
    before, after = (
        decision_bins(test.targets, values, task=Task.single_label).expected_error
        for values in (uncalibrated(test.scores, Task.single_label), probabilities)
    )
    accuracy = (probabilities.argmax(axis=1) == test.targets).mean()
    figures = [name, f"{len(test.targets):,}", f"{100 * accuracy:.2f}", f"{before:.3f}", f"{after:.3f}"]
    return f"| {' | '.join([*figures, *(guaranteed or [''] * 5)])} |"


def kept_in_resamples(accepted: np.ndarray, correct: np.ndarray, *, max_error: float) -> float:
    """Return the share of bootstrap resamples of the rows in which accepted rows are wrong at most `max_error`."""
    generator = np.random.default_rng(0)
    kept = 0
    for _ in range(NUM_RESAMPLES):
        drawn = generator.integers(0, len(correct), len(correct))
        num_accepted, num_wrong = accepted[drawn].sum(), (accepted & ~correct)[drawn].sum()
        kept += bool(num_wrong <= max_error * num_accepted)
    return kept / NUM_RESAMPLES


def kept_when_exchangeable(confidences: np.ndarray, correct: np.ndarray, *, num_first: int, max_error: float) -> float:
    """Return how often a threshold from `num_first` random rows keeps its promise on the others."""
    generator = np.random.default_rng(0)
    kept = 0
    for _ in range(NUM_RESAMPLES):
        order = generator.permutation(len(correct))
        fit_on, held_out = order[:num_first], order[num_first:]
        guarantee = find_threshold(confidences[fit_on], correct[fit_on], max_error=max_error, confidence=CONFIDENCE)
        accepted = confidences[held_out] >= (np.inf if guarantee.threshold is None else guarantee.threshold)
        kept += bool((accepted & ~correct[held_out]).sum() <= max_error * accepted.sum())
    return kept / NUM_RESAMPLES


if __name__ == "__main__":
    sys.exit(main())
