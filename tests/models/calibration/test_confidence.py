"""The scale of confidence: found where decisions are not as right as they seem, left out where chance would do."""

import numpy as np
import pytest

from textlstm.config import Task
from textlstm.models.calibration.combination import BranchCombiner
from textlstm.models.calibration.confidence import AS_IT_IS, ConfidenceScale, fit_confidence_scale
from textlstm.models.calibration.temperature import log_softmax


def _rows(num_rows: int, *, seed: int, slope: float, shift: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    """Return log-probabilities of five labels, and targets that the decision meets as `slope` and `shift` say."""
    random = np.random.default_rng(seed)
    logits = log_softmax(3 * random.normal(size=(num_rows, 5)))
    true = np.exp(ConfidenceScale(slope, shift)(logits))
    targets = (random.random((num_rows, 1)) > true.cumsum(axis=1)).sum(axis=1)
    return logits, np.minimum(targets, 4)


def test_scale_is_found_and_makes_other_rows_likelier() -> None:
    scale = fit_confidence_scale(*_rows(20_000, seed=0, slope=0.6, shift=0.3))
    assert scale == pytest.approx((0.6, 0.3), abs=0.06)
    logits, targets = _rows(20_000, seed=1, slope=0.6, shift=0.3)
    rows = np.arange(len(targets))
    assert -scale(logits)[rows, targets].mean() < -logits[rows, targets].mean() - 0.01
    for logs, least, most in ((logits, 0.05, 1.0), (scale(logits), 0.0, 0.012)):  # unscaled: the negative control
        confidences, right = np.exp(logs.max(axis=1)), logs.argmax(axis=1) == targets
        bins = (confidences * 10).astype(int)
        gaps = [np.abs((confidences - right)[bins == number].sum()) for number in np.unique(bins)]
        assert least <= sum(gaps) / len(targets) <= most


def test_what_is_chance_does_no_harm() -> None:
    logits, targets = _rows(20_000, seed=100, slope=1.0)
    rows = np.arange(len(targets))
    scales = [fit_confidence_scale(*_rows(400, seed=seed, slope=1.0)) for seed in range(20)]
    harm = [(logits - scale(logits))[rows, targets].mean() for scale in scales]
    assert scales.count(AS_IT_IS) >= 10
    assert np.mean(harm) < 0.002
    assert max(harm) < 0.02


def test_decisions_and_proportions_of_other_labels_stay() -> None:
    logits, _ = _rows(2_000, seed=3, slope=1.0)
    for scale in (ConfidenceScale(0.4, -1.0), ConfidenceScale(2.5, 0.7), ConfidenceScale(0.001, -9.0)):
        scaled = scale(logits)
        assert np.exp(scaled).sum(axis=1) == pytest.approx(1.0)
        assert np.array_equal(scaled.astype(np.float32).argmax(axis=1), logits.argmax(axis=1))
        others = np.argsort(logits, axis=1)[:, :-1]
        before, after = (np.take_along_axis(logs, others, axis=1) for logs in (logits, scaled))
        assert np.diff(after, axis=1) == pytest.approx(np.diff(before, axis=1), abs=1e-9)
    assert AS_IT_IS(logits) == pytest.approx(logits)


def test_a_sure_decision_of_two_labels_keeps_finite_numbers() -> None:
    scaled = ConfidenceScale(0.5, 0.0)(log_softmax(np.array([[800.0, -800.0], [0.0, 0.0]])))
    assert np.exp(scaled) == pytest.approx(np.array([[1.0, 0.0], [0.5, 0.5]]), abs=1e-5)
    assert ConfidenceScale(0.5, 0.0)(np.zeros((2, 1))) == pytest.approx(np.zeros((2, 1)))


def test_weights_count_as_repeated_rows() -> None:
    logits, targets = _rows(3_000, seed=5, slope=0.5)
    twice = np.concatenate([np.arange(3_000), np.arange(500)])
    weights = np.where(np.arange(3_000) < 500, 2.0, 1.0)
    weighted = fit_confidence_scale(logits, targets, weights=weights)
    assert weighted == pytest.approx(fit_confidence_scale(logits[twice], targets[twice]), abs=1e-4)
    assert weighted != pytest.approx(fit_confidence_scale(logits, targets), abs=1e-3)


def test_rows_of_unknown_labels_and_few_rows_teach_nothing() -> None:
    logits, targets = _rows(1_000, seed=0, slope=0.5)
    unknown = np.full(500, -1)
    more = fit_confidence_scale(np.concatenate([logits, logits[:500]]), np.concatenate([targets, unknown]))
    assert more == pytest.approx(fit_confidence_scale(logits, targets), abs=1e-4)
    assert fit_confidence_scale(logits[:99], targets[:99]) is AS_IT_IS
    assert fit_confidence_scale(logits[:0], targets[:0]) is AS_IT_IS


def test_a_gate_scales_its_combination_alone_and_is_kept_in_arrays() -> None:
    logits, targets = _rows(1_000, seed=0, slope=0.5)
    combiner = BranchCombiner.fit(logits, 0.5 * logits, targets, task=Task.single_label)
    scale = ConfidenceScale(0.7, 0.2)
    kept = BranchCombiner.from_arrays(combiner.with_confidence_scale(scale).to_arrays(), task=Task.single_label)
    combined = combiner.combine(logits, 0.5 * logits)
    assert kept.combine(logits, 0.5 * logits) == pytest.approx(scale(combined), abs=1e-5)
    assert kept.recurrent_alone(logits) == pytest.approx(combiner.recurrent_alone(logits), abs=1e-6)


def test_a_gate_saved_before_there_was_a_scale_says_what_it_said() -> None:
    logits, targets = _rows(200, seed=0, slope=1.0)
    combiner = BranchCombiner.fit(logits, None, targets, task=Task.single_label)
    arrays = {name: value for name, value in combiner.to_arrays().items() if not name.startswith("confidence")}
    assert len(arrays) == len(combiner.to_arrays()) - 2
    assert BranchCombiner.from_arrays(arrays, task=Task.single_label) == combiner
