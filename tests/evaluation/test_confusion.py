"""Words whose removal flipped predictions are counted, in numbers and in the report."""

from collections.abc import Callable
from pathlib import Path

import numpy as np

from textlstm.config import EvaluationConfig
from textlstm.evaluation.confusion import RemovedWord, removal_effects
from textlstm.evaluation.evaluate import evaluate_rows
from textlstm.evaluation.figures import draw_figures
from textlstm.evaluation.output import write_evaluation
from textlstm.evaluation.scored_rows import ScoredRows

MakeRows = Callable[..., ScoredRows]


def filtered_rows(rows_of: MakeRows) -> ScoredRows:
    """Four rows of label 0: two decided 1 with `not` removed (right without), one mended, one the same."""
    probabilities = np.array([[0.1, 0.9], [0.2, 0.8], [0.9, 0.1], [0.9, 0.1]])
    return rows_of(
        4,
        ("good", "bad"),
        targets=np.zeros(4, dtype=int),
        probabilities=probabilities,
        removed_words=[["not", "not", "the"], ["not"], ["the"], ["the", "a"]],
        unfiltered_predictions=np.array([0, 0, 1, 0]),
    )


def test_words_of_flipped_rows_come_first(rows_of: MakeRows) -> None:
    assert removal_effects(filtered_rows(rows_of), limit=5) == [
        RemovedWord("not", num_rows=2, num_flipped=2, num_broken=2, num_mended=0),
        RemovedWord("the", num_rows=3, num_flipped=2, num_broken=1, num_mended=1),
    ]


def test_rows_without_filters_have_no_such_table(rows_of: MakeRows) -> None:
    assert removal_effects(rows_of(10), limit=5) == []


def test_the_report_shows_the_words_unless_texts_are_private(
    rows_of: MakeRows, quick: EvaluationConfig, tmp_path: Path
) -> None:
    evaluation = evaluate_rows(filtered_rows(rows_of), quick)
    for name, include_text in (("open", True), ("private", False)):
        write_evaluation(
            evaluation,
            tmp_path / name,
            title="test",
            include_text=include_text,
            pictures=list(draw_figures(evaluation)),
        )
        shown = "What preparation did" in (tmp_path / name / "report.html").read_text(encoding="utf-8")
        assert shown is include_text
