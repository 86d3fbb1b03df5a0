"""The promise holds as often as it says, also where a naive choice of the threshold breaks it."""

import numpy as np
import pytest

from textlstm.evaluation.abstention import RiskGuarantee, abstention, find_shortfall, find_threshold

MAX_ERROR = 0.1


def draw(generator: np.random.Generator, num_rows: int) -> tuple[np.ndarray, np.ndarray]:
    """Confidences and what came of them: the chance to be right is (1 + c) / 2, at most 0.99."""
    confidences = np.round(generator.random(num_rows) ** 0.3, 3)
    return confidences, generator.random(num_rows) < np.minimum((1 + confidences) / 2, 0.99)


def naive_threshold(confidences: np.ndarray, correct: np.ndarray) -> float:
    """The lowest threshold whose error on the validation rows is within the limit: what one would do without a test."""
    order = np.argsort(-confidences)
    errors = np.cumsum(~correct[order]) / np.arange(1, len(correct) + 1)
    kept = np.flatnonzero(errors <= MAX_ERROR)
    return float(confidences[order][kept[-1]]) if len(kept) else 2.0


def test_promise_is_broken_in_at_most_five_percent_of_simulations() -> None:
    generator = np.random.default_rng(0)
    new_confidences, new_correct = draw(generator, 400_000)
    broken = naive_broken = guaranteed = 0
    num_rounds = 400
    for _ in range(num_rounds):
        confidences, correct = draw(generator, 600)
        guarantee = find_threshold(confidences, correct, max_error=MAX_ERROR, confidence=0.95)
        if guarantee.threshold is not None:
            guaranteed += 1
            broken += 1 - new_correct[new_confidences >= guarantee.threshold].mean() > MAX_ERROR
        naive_broken += 1 - new_correct[new_confidences >= naive_threshold(confidences, correct)].mean() > MAX_ERROR
    assert guaranteed > 0.9 * num_rounds  # it is of use: nearly always something can be guaranteed
    assert broken / num_rounds <= 0.05 + 2 * np.sqrt(0.05 * 0.95 / num_rounds)
    assert naive_broken / num_rounds > 0.3  # the control: the untested threshold breaks it often


def test_weighted_promise_holds_where_the_classes_have_the_shares_of_the_weights() -> None:
    """A class of 5 % of the validation rows, on which the model errs six times as often, has 30 % where it is used."""
    generator = np.random.default_rng(0)

    def rows(num_rows: int, share: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        rare = generator.random(num_rows) < share
        confidences = generator.random(num_rows) ** 0.3
        wrong = np.where(rare, 6, 1) * (1 - confidences) / 4
        return confidences, generator.random(num_rows) >= np.minimum(wrong, 1), rare

    new_confidences, new_correct, _ = rows(400_000, 0.3)
    broken = unweighted_broken = guaranteed = 0
    num_rounds = 400
    for _ in range(num_rounds):
        confidences, correct, rare = rows(3_000, 0.05)
        weights = np.where(rare, 0.3 / rare.mean(), 0.7 / (1 - rare.mean()))
        for its_weights in (weights, None):
            guarantee = find_threshold(confidences, correct, max_error=MAX_ERROR, confidence=0.95, weights=its_weights)
            accepted = new_confidences >= (np.inf if guarantee.threshold is None else guarantee.threshold)
            failed = accepted.any() and 1 - new_correct[accepted].mean() > MAX_ERROR
            if its_weights is None:
                unweighted_broken += failed
            else:
                broken += failed
                guaranteed += accepted.mean() > 0.2
    assert guaranteed > 0.9 * num_rounds
    assert broken / num_rounds <= 0.05
    assert unweighted_broken / num_rounds > 0.9  # the control: a promise for other shares does not hold


def test_weighted_coverage_is_that_of_the_rows_in_use() -> None:
    confidences, correct = np.repeat([0.9, 0.6], 1000), np.repeat([True, False], 1000)
    weights = np.repeat([0.5, 1.5], 1000)
    guarantee = find_threshold(confidences, correct, max_error=0.1, confidence=0.95, weights=weights)
    assert (guarantee.threshold, guarantee.num_accepted, guarantee.coverage) == (0.9, 1000, 0.25)
    none = find_threshold(confidences[:0], correct[:0], max_error=0.1, confidence=0.95, weights=weights[:0])
    assert (none.threshold, none.coverage) == (None, 0.0)


def test_a_model_that_is_good_enough_accepts_every_row() -> None:
    confidences = np.linspace(0.5, 1.0, 1000)
    correct = np.ones(1000, bool)
    correct[::200] = False
    guarantee = find_threshold(confidences, correct, max_error=0.02, confidence=0.95)
    assert guarantee == RiskGuarantee(0.5, 0.02, 0.95, num_rows=1000, num_accepted=1000, num_errors=5, coverage=1.0)
    assert guarantee.coverage == 1.0


def test_a_model_that_is_never_good_enough_promises_nothing() -> None:
    correct = np.arange(1000) % 5 > 0
    guarantee = find_threshold(np.linspace(0.5, 1.0, 1000), correct, max_error=0.02, confidence=0.95)
    assert guarantee == RiskGuarantee(None, 0.02, 0.95, num_rows=1000, num_accepted=0, num_errors=0, coverage=0.0)
    assert guarantee.coverage == 0.0


@pytest.mark.parametrize(("num_rows", "threshold"), [(148, None), (149, 0.9)])
def test_fewer_rows_than_could_prove_anything_promise_nothing(num_rows: int, threshold: float | None) -> None:
    """At 2 % and 0.95 it takes 149 rows without an error: 0.98 ** 149 < 0.05 <= 0.98 ** 148."""
    guarantee = find_threshold(np.full(num_rows, 0.9), np.ones(num_rows, bool), max_error=0.02, confidence=0.95)
    assert guarantee.threshold == threshold


def test_no_rows_promise_nothing() -> None:
    guarantee = find_threshold(np.zeros(0), np.zeros(0, bool), max_error=0.02, confidence=0.95)
    assert (guarantee.threshold, guarantee.coverage) == (None, 0.0)


def test_rows_of_equal_confidence_are_accepted_together() -> None:
    confidences = np.repeat([0.9, 0.6], 500)
    correct = np.concatenate([np.ones(500, bool), np.zeros(500, bool)])
    guarantee = find_threshold(confidences, correct, max_error=0.02, confidence=0.95)
    assert (guarantee.threshold, guarantee.num_accepted, guarantee.num_errors) == (0.9, 500, 0)


def test_a_guarantee_out_of_reach_says_what_is_in_reach() -> None:
    """2,000 rows of which every tenth is wrong, whatever the confidence."""
    confidences = np.linspace(0.5, 1.0, 2000)
    correct = np.arange(2000) % 10 != 0
    wanted = {"max_error": 0.105, "confidence": 0.95}
    assert find_threshold(confidences, correct, **wanted).threshold is None
    shortfall = find_shortfall(confidences, correct, **wanted)
    assert shortfall.smallest_error == pytest.approx(0.116, abs=0.005)
    assert (
        find_threshold(confidences, correct, max_error=shortfall.smallest_error or 0, confidence=0.95).threshold
        is not None
    )
    assert shortfall.rows_needed is not None
    more = np.tile(correct, -(-shortfall.rows_needed // 2000))
    assert find_threshold(np.linspace(0.5, 1.0, len(more)), more, **wanted).threshold is not None
    assert str(shortfall) == (
        "evaluation.max_error=0.105 cannot be guaranteed from 2,000 validation rows: the model has no threshold and "
        f"decides every row. The smallest error rate that they guarantee is about {shortfall.smallest_error:.3g}. "
        f"The one asked for needs about {shortfall.rows_needed:,} validation rows with as few errors."
    )


def test_more_rows_do_not_help_a_model_that_is_too_often_wrong() -> None:
    shortfall = find_shortfall(np.linspace(0.5, 1.0, 200), np.arange(200) % 2 == 0, max_error=0.05, confidence=0.95)
    assert shortfall.rows_needed is None
    assert "More rows alone would not help: the most certain decisions are wrong too often." in str(shortfall)
    assert find_shortfall(np.zeros(0), np.zeros(0, bool), max_error=0.05, confidence=0.95)[2:] == (None, None)


def test_a_threshold_that_no_row_reaches_keeps_no_guarantee() -> None:
    confidences = np.full(10, 0.9)
    assert not abstention(confidences, np.ones(10, bool), threshold=2.0, max_error=0.05, confidence=0.95).kept
    assert abstention(confidences, np.ones(10, bool), threshold=0.5, max_error=0.05, confidence=0.95).kept
