"""The answers on the first screen of a report, and the pictures behind them."""

from collections.abc import Callable

import numpy as np
import pytest

from textlstm.config import EvaluationConfig, Task
from textlstm.evaluation.calibration import equal_count_bins
from textlstm.evaluation.evaluate import evaluate_rows
from textlstm.evaluation.report.answers import Tone, answers, choices
from textlstm.evaluation.report.confusion_matrix import confusion_matrix, order_by_confusion
from textlstm.evaluation.scored_rows import ScoredRows

MakeRows = Callable[..., ScoredRows]


def certain(targets: np.ndarray, predicted: np.ndarray, probability: np.ndarray, *, num_labels: int) -> np.ndarray:
    """Return (N, L) probabilities that give `predicted` its probability and share the rest."""
    found = np.repeat(((1 - probability) / (num_labels - 1))[:, None], num_labels, axis=1)
    found[np.arange(len(targets)), predicted] = probability
    return found


def test_a_model_that_beats_the_baseline_says_so_in_words(rows_of: MakeRows, quick: EvaluationConfig) -> None:
    targets = np.arange(400) % 4
    predicted = np.where(np.arange(400) < 20, (targets + 1) % 4, targets)
    sure = np.where(np.arange(400) < 20, 0.6, 0.99)
    rows = rows_of(
        400,
        targets=targets,
        probabilities=certain(targets, predicted, sure, num_labels=4),
        baseline_predictions=np.where(np.arange(400) < 100, (targets + 1) % 4, targets),
        baseline_features="words 1-2",
    )
    evaluation = evaluate_rows(rows, quick)
    better, confused, fix, alone = answers(evaluation)
    assert (better.short, better.tone) == ("Yes, by 20.00 points, beyond chance.", Tone.good)
    assert better.details[0] == "Accuracy 0.9500; TF-IDF + LinearSVC on words 1-2 has 0.7500."
    # Five rows of each label are taken for the next: the pairs are counted both ways.
    assert confused.short == "20 rows wrong; mixed up most:"
    assert confused.details[0] == "earn and acq: 5 of their 200 rows"
    assert confused.details[-1] == "The other 5 wrong rows are of other pairs."
    assert fix.short == "Nothing stands out." or "look" in fix.short
    assert alone.short == "95.0% of the rows, with 0.0% wrong."
    assert alone.details == (
        "It decides the rows from probability 0.99 on; a person decides the other 20. Of what it decides, 0.0% is wrong "
        "(95% interval 0.0% to 1.0%).",
        "Deciding every row, it is wrong in 5.0%.",
        "The probability was chosen on these rows, so new rows may do worse. Train with evaluation.max_error=0.005 to "
        "get one that holds for new rows.",
    )


def test_thresholds_decide_as_many_rows_as_the_error_allows(rows_of: MakeRows, quick: EvaluationConfig) -> None:
    targets = np.zeros(200, dtype=int)
    # The surest half is right, of the others one in ten is wrong.
    wrong = (np.arange(200) >= 100) & (np.arange(200) % 10 == 0)
    sure = np.linspace(0.99, 0.6, 200)
    rows = rows_of(200, targets=targets, probabilities=certain(targets, np.where(wrong, 1, 0), sure, num_labels=4))
    table = choices(evaluate_rows(rows, quick))
    assert [round(choice.error, 3) for choice in table][-1] == 0.05
    assert table[-1].coverage == 1.0
    assert [choice.coverage for choice in table] == sorted(choice.coverage for choice in table)
    assert table[0].coverage == 0.5  # row 100 is the first wrong one
    assert all(choice.num_left == 200 - round(200 * choice.coverage) for choice in table)


def test_rows_seen_in_training_take_the_answer_away(rows_of: MakeRows, quick: EvaluationConfig) -> None:
    seen = np.arange(300) % 4 == 0
    better, _, fix, _ = answers(evaluate_rows(rows_of(300, seen_in_training=seen), quick))
    assert (better.short, better.tone) == ("Not known: it has seen 25.0% of these rows.", Tone.bad)
    assert fix.details[0].startswith("75 test rows also in the training rows: accuracy without them is 0.")


def test_rows_like_training_rows_are_told_with_the_accuracy_without_them(
    rows_of: MakeRows, quick: EvaluationConfig
) -> None:
    near = np.arange(300) < 15
    evaluation = evaluate_rows(rows_of(300, near_training=near), quick)
    line = next(line for line in answers(evaluation)[2].details if "almost equal" in line)
    without = float(evaluation.correct[~near].mean())
    assert line == f"15 test rows (5.0%) almost equal to a training row: accuracy without them is {without:.4f}."


def test_labels_that_are_taken_for_one_another_are_named_together(rows_of: MakeRows, quick: EvaluationConfig) -> None:
    targets = np.arange(600) % 6
    predicted = targets.copy()
    # Labels 0, 1 and 2 go round: 0 to 1, 1 to 2 and 2 to 0 in five rows each; 4 to 5 in two.
    for one, other, num_rows in ((0, 1, 5), (1, 2, 5), (2, 0, 5), (4, 5, 2)):
        predicted[np.flatnonzero(targets == one)[:num_rows]] = other
    sure = np.where(predicted == targets, 0.99, 0.6)
    probabilities = certain(targets, predicted, sure, num_labels=6)
    rows = rows_of(600, tuple("abcdef"), targets=targets, probabilities=probabilities)
    confused = answers(evaluate_rows(rows, quick))[1]
    assert confused.details[0] == "a, b and c, among each other: 15 of their 300 rows"
    assert confused.details[-1] == "The other 2 wrong rows are of other pairs."


def test_what_to_look_at_is_named_and_what_was_not_found_is_said(rows_of: MakeRows, quick: EvaluationConfig) -> None:
    targets = np.arange(300) % 4
    predicted = targets.copy()
    predicted[[5, 9, 40, 81]] = (targets[[5, 9, 40, 81]] + 1) % 4
    sure = np.full(300, 0.95)
    sure[[40, 9, 81, 5]] = [0.999, 0.99, 0.98, 0.97]
    rows = rows_of(
        300,
        targets=targets,
        probabilities=certain(targets, predicted, sure, num_labels=4),
        ids=[f"id{n}" for n in range(300)],
        seen_in_training=np.zeros(300, bool),
        near_training=np.zeros(300, bool),
    )
    fix = answers(evaluate_rows(rows, quick))[2]
    assert fix.details[0] == (
        "4 test rows wrong at a probability of 90% or more: their label may be wrong, or the model too sure. Look at rows "
        "id40, id9, id81 first."
    )
    assert fix.details[-1] == "No test row is among the training rows, or almost equal to one."


def test_every_kind_of_evaluation_has_four_answers(rows_of: MakeRows, quick: EvaluationConfig) -> None:
    for rows in (rows_of(30), rows_of(300, task=Task.multi_label), rows_of(300, baseline_predictions=None)):
        found = answers(evaluate_rows(rows, quick, threshold=0.7, max_error=0.1))
        assert [answer.question[-1] for answer in found] == ["?"] * 4
        assert all(answer.short for answer in found)


def test_confused_classes_stand_side_by_side() -> None:
    both = np.zeros((5, 5), dtype=int)
    for one, other, rows in ((0, 3, 9), (3, 1, 4), (2, 4, 2)):
        both[one, other] = both[other, one] = rows
    order = order_by_confusion(both)
    assert sorted(order) == [0, 1, 2, 3, 4]
    places = [order.index(label) for label in range(5)]
    assert abs(places[0] - places[3]) == 1
    assert abs(places[2] - places[4]) == 1


@pytest.mark.parametrize("num_labels", [2, 30, 77, 150])
def test_the_matrix_says_how_many_classes_it_shows(num_labels: int) -> None:
    counts = np.diag(np.full(num_labels, 10))
    counts[0, 1] = counts[1, 0] = 3
    matrix = confusion_matrix([f"class_{n}" for n in range(num_labels)], counts)
    assert (matrix.num_shown, matrix.num_labels) == (min(num_labels, 30), num_labels)
    assert matrix.share_of_errors == 1.0
    assert matrix.picture.count("true class_0, predicted class_1: 3 rows, 23.1% of the label") == 1


def test_bins_of_equal_count_hold_as_many_decisions(rows_of: MakeRows) -> None:
    rows = rows_of(205)
    bins = equal_count_bins(rows.targets, rows.probabilities, task=rows.task, confidence=0.95)
    assert sorted({each.num_decisions for each in bins}) == [20, 21]
    assert sum(each.num_decisions for each in bins) == 205
    assert [each.stated for each in bins] == sorted(each.stated for each in bins)
    assert all(each.interval.low <= each.right <= each.interval.high for each in bins)
    few = rows_of(9)
    assert equal_count_bins(few.targets, few.probabilities, task=few.task, confidence=0.95) == []
