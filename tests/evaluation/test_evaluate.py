"""The whole evaluation: three numbers, opponents, edge cases."""

from collections.abc import Callable

import numpy as np
import pytest

from textlstm.config import EvaluationConfig, Task
from textlstm.errors import InputError
from textlstm.evaluation.comparison import Verdict
from textlstm.evaluation.evaluate import evaluate_rows, signature
from textlstm.evaluation.scored_rows import ScoredRows

MakeRows = Callable[..., ScoredRows]


def test_branches_alone_and_together_are_always_three_numbers(rows_of: MakeRows, quick: EvaluationConfig) -> None:
    rows = rows_of(300)
    flat = evaluate_rows(rows, quick).flat_metrics()
    for name, probabilities in {
        "accuracy": rows.probabilities,
        "recurrent_accuracy": rows.recurrent_probabilities,
        "expert_accuracy": rows.expert_probabilities,
    }.items():
        assert flat[name] == pytest.approx((probabilities.argmax(axis=1) == rows.targets).mean())


def test_a_model_without_expert_is_its_recurrent_branch(rows_of: MakeRows, quick: EvaluationConfig) -> None:
    others = evaluate_rows(rows_of(300, expert_probabilities=None), quick).others
    assert list(others) == ["baseline", "majority"]


def test_the_champion_is_compared_on_the_same_rows(rows_of: MakeRows, quick: EvaluationConfig) -> None:
    rows = rows_of(300)
    evaluation = evaluate_rows(rows_of(300, champion_probabilities=rows.probabilities), quick)
    verdicts = dict(zip(evaluation.others, (part.verdict for part in evaluation.comparisons), strict=True))
    assert verdicts["champion"] is Verdict.equal
    assert verdicts["majority"] is Verdict.better


def test_the_majority_of_the_training_rows_is_the_opponent_when_given(
    rows_of: MakeRows, quick: EvaluationConfig
) -> None:
    rows = rows_of(300, majority_label=2)
    assert evaluate_rows(rows, quick).flat_metrics()["majority_accuracy"] == pytest.approx((rows.targets == 2).mean())


def test_the_threshold_splits_rows_into_accepted_and_abstained(rows_of: MakeRows, quick: EvaluationConfig) -> None:
    evaluation = evaluate_rows(rows_of(300), quick, threshold=0.9)
    accepted = evaluation.confidences >= 0.9
    assert evaluation.abstention.num_accepted == accepted.sum()
    assert evaluation.abstention.error == pytest.approx((~evaluation.correct[accepted]).mean())
    assert evaluate_rows(rows_of(300), quick, threshold=1.0).abstention.error == 0.0


def test_the_promise_of_the_model_goes_before_that_of_the_settings(rows_of: MakeRows, quick: EvaluationConfig) -> None:
    evaluation = evaluate_rows(rows_of(300), quick, threshold=0.5, max_error=0.0001)
    assert (evaluation.abstention.max_error, evaluation.abstention.kept) == (0.0001, False)
    assert evaluate_rows(rows_of(300), quick, threshold=0.5, max_error=0.9).abstention.kept


def test_risk_falls_to_the_overall_error_at_full_coverage(rows_of: MakeRows, quick: EvaluationConfig) -> None:
    evaluation = evaluate_rows(rows_of(300), quick)
    assert evaluation.coverage.coverage[-1] == 1.0
    assert evaluation.coverage.risk[-1] == pytest.approx(1 - evaluation.metrics.values["accuracy"])
    assert evaluation.coverage.area < evaluation.coverage.risk[-1]


def test_hardest_rows_are_the_wrong_ones_the_model_was_surest_of(rows_of: MakeRows, quick: EvaluationConfig) -> None:
    evaluation = evaluate_rows(rows_of(300), quick)
    assert len(evaluation.hardest) == 5
    assert not evaluation.correct[evaluation.hardest].any()
    assert evaluation.confidences[evaluation.hardest[0]] == evaluation.confidences[~evaluation.correct].max()


def test_confused_pairs_count_the_confusion_matrix(rows_of: MakeRows, quick: EvaluationConfig) -> None:
    evaluation = evaluate_rows(rows_of(300), quick)
    first = evaluation.confused[0]
    row, column = (evaluation.rows.labels.index(name) for name in (first.label, first.predicted_label))
    off_diagonal = evaluation.confusion[:4] - np.diag(np.diag(evaluation.confusion[:4]))
    assert first.num_rows == evaluation.confusion[row, column] == off_diagonal.max()


def test_no_rows_are_refused(rows_of: MakeRows) -> None:
    with pytest.raises(InputError) as error:
        rows_of(0)
    assert str(error.value) == "no labelled rows to evaluate: the evaluated file or split is empty. Set data.test."


@pytest.mark.parametrize(("field", "value"), [("texts", ["one"]), ("columns", {"source": ["one"]})])
def test_arrays_of_other_lengths_are_a_defect(rows_of: MakeRows, field: str, value: object) -> None:
    with pytest.raises(ValueError, match="holds 1 rows, ids holds 300"):
        rows_of(300, **{field: value})


@pytest.mark.parametrize("num_rows", [1, 2, 40])
def test_rows_of_one_class_are_evaluated(rows_of: MakeRows, quick: EvaluationConfig, num_rows: int) -> None:
    evaluation = evaluate_rows(rows_of(num_rows, targets=np.zeros(num_rows, dtype=int)), quick, threshold=0.5)
    assert "roc_auc" not in evaluation.flat_metrics()
    assert evaluation.warnings[0] == "3 of 4 labels do not occur in these rows: 'acq', 'crude', 'trade'."


def test_rows_with_labels_the_model_does_not_know_are_said_so(rows_of: MakeRows, quick: EvaluationConfig) -> None:
    rows = rows_of(300)
    targets = rows.targets.copy()
    targets[:7] = -1
    evaluation = evaluate_rows(rows_of(300, targets=targets), quick)
    assert evaluation.warnings == (
        "7 rows have a label that the model does not know: they count as wrong, and log loss, Brier score and ranking "
        "figures leave them out.",
    )
    assert not evaluation.correct[:7].any()


def test_rows_that_all_have_unknown_labels_are_evaluated(rows_of: MakeRows, quick: EvaluationConfig) -> None:
    flat = evaluate_rows(rows_of(30, targets=np.full(30, -1)), quick).flat_metrics()
    assert flat["accuracy"] == 0.0
    assert "log_loss" not in flat


def test_multi_label_rows_are_evaluated(rows_of: MakeRows, quick: EvaluationConfig) -> None:
    evaluation = evaluate_rows(rows_of(200, task=Task.multi_label), quick)
    assert evaluation.predictions.shape == (200, 4)
    assert evaluation.confusion is None
    assert {"micro_f1", "macro_f1", "subset_accuracy", "ranking_loss", "accuracy"} <= evaluation.flat_metrics().keys()
    assert list(evaluation.others) == ["baseline", "recurrent", "expert"]


def test_label_thresholds_decide_multi_label_rows(rows_of: MakeRows, quick: EvaluationConfig) -> None:
    rows = rows_of(200, task=Task.multi_label, label_thresholds=np.array([0.0, 0.5, 0.5, 1.1]))
    assert evaluate_rows(rows, quick).predictions.mean(axis=0)[[0, 3]].tolist() == [1.0, 0.0]


def test_the_signature_changes_with_what_the_score_depends_on(rows_of: MakeRows) -> None:
    config = EvaluationConfig()
    line = signature(rows_of(300), config)
    assert line.startswith("rows:300|labels:4|task:single_label|data:")
    assert signature(rows_of(300), config) == line
    texts = [*rows_of(300).texts[:-1], "another"]
    assert signature(rows_of(300, texts=texts), config) != line
    assert signature(rows_of(300), EvaluationConfig(seed=1)) != line


def test_the_same_rows_give_the_same_figures(rows_of: MakeRows, quick: EvaluationConfig) -> None:
    first, again = (evaluate_rows(rows_of(300), quick).metrics for _ in range(2))
    assert (first.values, first.intervals) == (again.values, again.intervals)


def test_rows_of_the_training_are_counted_and_said(rows_of: MakeRows, quick: EvaluationConfig) -> None:
    seen = np.arange(300) < 75
    evaluation = evaluate_rows(rows_of(300, seen_in_training=seen), quick)
    assert evaluation.warnings == (
        "75 of 300 rows (25.0%) were seen in training: the figures are better than those of new rows would be.",
    )
    assert evaluation.flat_metrics()["seen_in_training"] == 0.25
    assert evaluate_rows(rows_of(300, seen_in_training=~seen & seen), quick).warnings == ()
    assert "seen_in_training" not in evaluate_rows(rows_of(300), quick).flat_metrics()


def test_trackers_get_two_figures_of_each_opponent_and_a_table_of_all(
    rows_of: MakeRows, quick: EvaluationConfig
) -> None:
    evaluation = evaluate_rows(rows_of(300), quick)
    tracked = evaluation.tracked_metrics()
    opponents = ("recurrent", "expert", "baseline", "majority")
    assert sorted(name for name in tracked if name.startswith(opponents)) == sorted(
        f"{name}_{figure}" for name in opponents for figure in ("accuracy", "macro_f1")
    )
    assert tracked["brier"] == evaluation.metrics.values["brier"]
    table = evaluation.models_table()
    assert [line[0] for line in table["data"]] == ["together", "baseline", "recurrent", "expert", "majority"]
    place = table["columns"].index("accuracy")
    assert table["data"][1][place] == round(evaluation.others["baseline"].values["accuracy"], 4)
