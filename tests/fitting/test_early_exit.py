"""Early exit: which rows the expert may decide alone, and what the model with it answers."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from textlstm.config import EARLY_EXIT, EvaluationConfig, ExportPrecision, LabellingConfig, Task
from textlstm.errors import ConfigError
from textlstm.fitting.cross_fit import HeldOutScores
from textlstm.fitting.early_exit import RATES, fit_early_exits, upper_bound
from textlstm.fitting.thresholds import with_thresholds
from textlstm.inference.classifier import TextClassifier
from textlstm.inference.export import export_onnx
from textlstm.model_folder import load_saved_model, save_saved_model
from textlstm.models.calibration.combination import BranchCombiner
from textlstm.models.calibration.early_exit import EarlyExit, ExpertLeads, early_exit_at
from textlstm.models.calibration.temperature import to_probabilities

TEXTS = [
    *("goal match coach goal", "bank share profit", "actor scene plot", "goal bank actor", "", "nothing known"),
    *("coach profit", "plot", "goal", "share share share bank", "the bank said", "match scene"),
]


def drawn(num_rows: int, *, seed: int = 0) -> tuple[BranchCombiner, HeldOutScores]:
    """Return a combiner and the scores of rows of three labels, on which the branches sometimes disagree."""
    generator = np.random.default_rng(seed)
    targets = generator.integers(3, size=num_rows)
    signal = 2.0 * np.eye(3)[targets]
    expert = (signal + generator.normal(size=(num_rows, 3))).astype(np.float32)
    recurrent = (signal + generator.normal(size=(num_rows, 3))).astype(np.float32)
    combiner = BranchCombiner.fit(recurrent, expert, targets, task=Task.single_label)
    return combiner, HeldOutScores(recurrent, expert, targets)


def whole(combiner: BranchCombiner, scores: HeldOutScores) -> np.ndarray:
    return to_probabilities(combiner.combine(scores.recurrent_logits, scores.expert_logits), Task.single_label)


def learned(combiner: BranchCombiner, scores: HeldOutScores, rates: tuple[float, ...] = RATES) -> tuple[EarlyExit, ...]:
    return fit_early_exits(
        combiner, scores.recurrent_logits, scores.expert_logits, whole(combiner, scores), rates=rates
    )


def differing(early_exit: EarlyExit, combiner: BranchCombiner, scores: HeldOutScores) -> float:
    """Return the part of the rows whose label is another with early exit."""
    assert scores.expert_logits is not None
    answers = early_exit.answer(combiner, scores.expert_logits)
    decided = whole(combiner, scores).argmax(axis=1)
    return float((answers.stands & (answers.log_probabilities.argmax(axis=1) != decided)).mean())


def test_the_bound_is_exact() -> None:
    # The probability of no hit in 2,995 trials at a rate of 0.001 is 0.05: (1 - 0.001) ** 2995 = 0.04998.
    assert upper_bound(0, 2995) == pytest.approx(0.001, rel=1e-3)
    assert upper_bound(5, 5) == 1.0


def test_enough_rows_give_a_bound_below_the_rate_that_holds_on_other_rows() -> None:
    combiner, scores = drawn(20_000)
    found = learned(combiner, scores)
    assert [one.rate for one in found] == list(RATES)
    others = drawn(100_000, seed=1)[1]
    for one in found:
        assert 0 < one.bound <= one.rate
        assert differing(one, combiner, others) <= one.rate
    # The more rows may differ, the more of them exit.
    assert [one.share for one in found] == sorted(one.share for one in found)
    assert found[0].share > 0.2


def test_a_margin_chosen_on_few_rows_keeps_the_rate_on_other_rows_and_says_that_it_is_not_shown() -> None:
    others = drawn(50_000, seed=999)[1]
    rates = []
    for seed in range(8):
        combiner, scores = drawn(600, seed=seed)
        first = learned(combiner, scores, RATES[:1])[0]
        assert first.rate == EARLY_EXIT
        assert first.bound == pytest.approx(upper_bound(0, 600))
        assert first.bound > first.rate
        rates.append(differing(first, combiner, others))
    assert max(rates) <= EARLY_EXIT


def test_the_margin_of_no_differing_row_alone_would_not_keep_the_rate() -> None:
    """The negative control of the test above: the least margin at which no held-out row differs is too small."""
    others = drawn(50_000, seed=999)[1]
    rates = []
    for seed in range(8):
        combiner, scores = drawn(600, seed=seed)
        assert scores.expert_logits is not None
        leads = ExpertLeads.of(combiner, scores.expert_logits)
        differs = leads.labels != whole(combiner, scores).argmax(axis=1)
        naive = replace(learned(combiner, scores, RATES[:1])[0], margin=float(leads.margins[differs].max()) + 1e-9)
        rates.append(differing(naive, combiner, others))
    assert max(rates) > EARLY_EXIT


def test_few_rows_or_a_branch_without_a_say_give_no_early_exit() -> None:
    combiner, scores = drawn(199)
    assert learned(combiner, scores) == ()
    combiner, scores = drawn(1_000)
    assert learned(replace(combiner, recurrent_scale=0.0), scores) == ()
    assert learned(replace(combiner, expert_scale=0.0), scores) == ()
    assert fit_early_exits(combiner, scores.recurrent_logits, None, whole(combiner, scores)) == ()


def test_the_answers_of_the_expert_are_as_sure_as_the_whole_model_is_of_them() -> None:
    combiner, scores = drawn(20_000)
    others = drawn(50_000, seed=1)[1]
    assert others.expert_logits is not None
    answers = learned(combiner, scores, RATES[:1])[0].answer(combiner, others.expert_logits)
    alone = np.exp(answers.log_probabilities[answers.stands])
    np.testing.assert_allclose(alone.sum(axis=1), 1, atol=1e-5)
    assert alone.max(axis=1).mean() == pytest.approx(
        whole(combiner, others)[answers.stands].max(axis=1).mean(), abs=2e-3
    )
    right = alone.argmax(axis=1) == others.targets[answers.stands]
    assert alone.max(axis=1).mean() == pytest.approx(right.mean(), abs=5e-3)


def test_the_guaranteed_error_rate_is_that_of_expert_and_whole_model_together() -> None:
    settings = EvaluationConfig(max_error=0.05)
    combiner, scores = drawn(3_200)
    found = with_thresholds(learned(combiner, scores), combiner, scores, whole(combiner, scores), settings)
    assert len(found) == len(RATES)
    assert all(0 < one.abstain_below < 1 for one in found)
    # One draw in twenty may break a guarantee of 95 % confidence; of 20 draws, more than 4 do with a chance of 0.3 %.
    others = drawn(20_000, seed=77)[1]
    assert others.expert_logits is not None
    broken = 0
    for seed in range(20):
        combiner, scores = drawn(3_200, seed=seed)
        first = with_thresholds(
            learned(combiner, scores, RATES[:1]), combiner, scores, whole(combiner, scores), settings
        )[0]
        answers = first.answer(combiner, others.expert_logits)
        alone = to_probabilities(answers.log_probabilities, Task.single_label)
        probabilities = np.where(answers.stands[:, None], alone, whole(combiner, others))
        accepted = probabilities.max(axis=1) >= first.abstain_below
        broken += bool((probabilities.argmax(axis=1) != others.targets)[accepted].mean() > settings.max_error)
    assert broken <= 4


def test_the_highest_rate_up_to_the_one_asked_for_counts() -> None:
    combiner, scores = drawn(20_000)
    found = learned(combiner, scores)
    assert early_exit_at(found, 0.0) is None
    assert early_exit_at(found, 0.0009) is None
    assert early_exit_at(found, 0.001) == found[0]
    assert early_exit_at(found, 0.004) == found[1]
    assert early_exit_at(found, 0.5) == found[-1]


# The model with it: all engines, one row at a time or many, saved and loaded.


def test_rows_that_exit_get_the_answer_of_the_expert_and_the_others_that_of_the_whole_model(
    early_exit_model: Path,
) -> None:
    on, off = (
        TextClassifier.load(early_exit_model, num_threads=1),
        TextClassifier.load(early_exit_model, num_threads=1, early_exit=0),
    )
    scores = off.score(TEXTS)
    assert on.early_exit is not None
    assert scores.expert_logits is not None
    answers = on.early_exit.answer(on.combiner, scores.expert_logits)
    found = on.predict_proba(TEXTS)
    assert on.num_without_network == answers.stands.sum()
    assert 0 < on.num_without_network < len(TEXTS)
    np.testing.assert_allclose(found[answers.stands], np.exp(answers.log_probabilities)[answers.stands], atol=1e-6)
    np.testing.assert_allclose(found[~answers.stands], scores.probabilities[~answers.stands], atol=1e-6)
    np.testing.assert_allclose(on.probabilities_in_use(on.score(TEXTS)), found, atol=1e-6)
    np.testing.assert_array_equal(off.predict_proba(TEXTS), scores.probabilities)
    assert off.num_without_network == 0
    assert (on.abstain_below, off.abstain_below) == (0.6, off.saved_model.thresholds.abstain_below)


def test_the_answer_for_a_row_does_not_depend_on_the_others(early_exit_model: Path) -> None:
    classifier = TextClassifier.load(early_exit_model, num_threads=1)
    together = classifier.predict_proba(TEXTS)
    alone = np.concatenate([classifier.predict_proba([text]) for text in TEXTS])
    backwards = classifier.predict_proba(TEXTS[::-1])[::-1]
    np.testing.assert_allclose(alone, together, atol=1e-6)
    np.testing.assert_allclose(backwards, together, atol=1e-6)
    assert classifier.num_without_network % 3 == 0  # the same rows each time


def test_torch_numpy_and_onnx_answer_the_same(early_exit_model: Path, tmp_path: Path) -> None:
    expected = TextClassifier.load(early_exit_model, num_threads=1)
    as_onnx = export_onnx(load_saved_model(early_exit_model), precision=ExportPrecision.fp32, model_digest="0")
    exported = save_saved_model(as_onnx.saved_model, tmp_path / "onnx")
    for other in (TextClassifier.load(early_exit_model, without_torch=True), TextClassifier.load(exported)):
        np.testing.assert_allclose(other.predict_proba(TEXTS), expected.predict_proba(TEXTS), atol=1e-6)
        assert other.num_without_network == expected.num_without_network
        expected.num_without_network = 0


def test_networks_without_weight_are_never_asked(tiny_model: Path) -> None:
    saved_model = load_saved_model(tiny_model)
    weights = {**saved_model.weights, "gate.recurrent_scale": np.array(0.0)}
    classifier = TextClassifier(replace(saved_model, weights=weights), num_threads=1)
    expected = classifier.score(TEXTS).probabilities
    np.testing.assert_array_equal(classifier.predict_proba(TEXTS), expected)
    assert classifier.num_without_network == len(TEXTS)


def test_a_model_folder_keeps_early_exits_and_one_without_them_is_as_before(
    early_exit_model: Path, tiny_model: Path
) -> None:
    assert load_saved_model(early_exit_model).early_exits[0].rate == 0.001
    without = replace(load_saved_model(tiny_model), early_exits=())
    assert TextClassifier(without, num_threads=1).early_exit is None


@pytest.mark.parametrize("value", ["on", "0", "1", "-0.1", "nan", ""])
def test_other_values_are_refused(value: str) -> None:
    with pytest.raises(ConfigError, match=r"labelling.early_exit must be off or in \(0, 1\), got "):
        LabellingConfig(early_exit=value)


def test_off_and_rates_are_taken() -> None:
    assert LabellingConfig(early_exit="off").early_exit_rate == 0
    assert LabellingConfig(early_exit="0.01").early_exit_rate == 0.01
    assert LabellingConfig().early_exit_rate == EARLY_EXIT
