"""A small transformer as teacher: accuracy and cost of it, of the model that it teaches, and of the model alone.

    python benchmarks/teacher.py [CORPUS ...] [--seeds 3] [--sentences 30000] [--minutes 30] [--output docs/teacher.md]

The product learns with its default settings, with and without the teacher, each in `--minutes`. sst2 and mr have
sentences cut from imdb's texts as unlabelled rows; trec6 and banking77 have none, so that only the teacher's answers
for their training rows are added. sst2 and mr share sentences with each other: neither gets rows or teachers of the
other.
Needs the extra `teacher`. Trainings are done once and kept under .bench/teacher.
"""

import argparse
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from experiments import (
    BENCH,
    Difference,
    correct_rows,
    experiment_settings,
    found_corpora,
    paired_difference,
    publish,
    spread,
    train_once,
)
from small_teacher import review_sentences, small_teacher
from textlstm import TextClassifier
from textlstm.config import Task, TrainingPrecision
from textlstm.model_folder import load_saved_model
from textlstm.models.network.precision import NumberFormat, resolve_precision
from textlstm.teaching.transformer import Computing, Transformer

CORPORA = ("sst2", "mr", "trec6", "banking77")
WITH_SENTENCES = ("sst2", "mr")
TEACHER = BENCH / "teacher"
TIMED_ROWS = 2_000


@dataclass(frozen=True, slots=True)
class Row:
    """One corpus."""

    corpus: str
    teacher: float
    """Test accuracy, in [0, 1]."""
    student: list[float]
    """Of each seed."""
    alone: list[float]
    difference: Difference
    """Student less alone, over test rows, means of the seeds."""
    teacher_speed: float
    """Rows a second, one thread."""
    student_speed: float

    @property
    def gap_closed(self) -> float:
        """Part of the way from the model alone to the teacher that the student has gone; NaN where there is no gap."""
        gap = self.teacher - statistics.mean(self.alone)
        return (statistics.mean(self.student) - statistics.mean(self.alone)) / gap if gap > 0 else float("nan")


def main() -> int:
    """Train what is missing and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("corpora", nargs="*", default=CORPORA)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--sentences", type=int, default=30_000)
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--output", default="")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    rows = []
    for corpus, data in found_corpora(arguments.corpora):
        rows.append(
            row_of(corpus, data, seeds=arguments.seeds, sentences=arguments.sentences, minutes=arguments.minutes)
        )
        print(line_of(rows[-1]), file=sys.stderr, flush=True)
    header = [
        f"Test accuracy in %, {arguments.seeds} seed{'s' if arguments.seeds > 1 else ''}; the difference is over test "
        "rows. Rows a second and hours a million rows: one thread of this machine.",
        "",
        "| corpus | teacher | student | without teacher | difference | gap closed | teacher rows/s | student rows/s "
        "| hours a million: teacher | student |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    publish("\n".join([*header, *map(line_of, rows)]) + "\n", arguments.output, section="teacher")
    return 0


def row_of(corpus: str, data: Sequence[str], *, seeds: int, sentences: int, minutes: float) -> Row:
    """Return the figures of one corpus."""
    folder = TEACHER / corpus
    further = [f"data.unlabelled={review_sentences(sentences)}"] if corpus in WITH_SENTENCES else []
    correct: dict[str, list[np.ndarray]] = {"student": [], "alone": []}
    for seed in range(1, seeds + 1):
        settings = experiment_settings(corpus, data, seed=seed, prepared_dir=folder / "prepared")
        settings += [f"training.minutes={minutes:g}", "training.num_threads=1"]
        added: dict[str, list[str]] = {"alone": [], "student": [f"teacher=hf:{small_teacher()}", *further]}
        for name, more in added.items():
            evaluation = train_once(folder / f"{name}-{seed}", [*settings, *more])
            correct[name].append(correct_rows(evaluation))
    student = folder / "student-1"
    texts, labels = test_rows(folder / "student-1-evaluation")
    chances, teacher_speed = timed(teacher_of(folder, student).probabilities, texts)
    names = load_saved_model(student).labels
    right = np.equal([names[place] for place in chances.argmax(axis=1)], labels)
    classifier = TextClassifier.load(student, num_threads=1)
    _, student_speed = timed(classifier.predict_proba, texts)
    difference = np.mean(correct["student"], axis=0) - np.mean(correct["alone"], axis=0)
    return Row(
        corpus,
        float(right.mean()),
        [float(rows.mean()) for rows in correct["student"]],
        [float(rows.mean()) for rows in correct["alone"]],
        paired_difference(difference),
        teacher_speed,
        student_speed,
    )


def teacher_of(folder: Path, student: Path) -> Transformer:
    """Return the transformer that has taught the students of a corpus."""
    [work] = (path for path in (folder / "prepared" / "teachers").iterdir() if (path / "model").is_dir())
    device = torch.device("cpu")
    computing = Computing(device, resolve_precision(TrainingPrecision.auto, device) or NumberFormat.fp32)
    num_labels = len(load_saved_model(student).labels)
    return Transformer.load(str(work / "model"), num_labels=num_labels, task=Task.single_label, computing=computing)


def test_rows(evaluation: Path) -> tuple[list[str], list[str]]:
    """Return texts and labels of the test rows."""
    import pyarrow.parquet as pq

    table = pq.read_table(evaluation / "predictions.parquet")
    return table.column("text").to_pylist(), table.column("label").to_pylist()


def timed(answer: Callable[[list[str]], np.ndarray], texts: list[str]) -> tuple[np.ndarray, float]:
    """Return the answers for `texts`, and rows a second of as many as `TIMED_ROWS` of them after a first call."""
    found = answer(texts)
    some = (texts * (TIMED_ROWS // len(texts) + 1))[:TIMED_ROWS]
    start = time.perf_counter()
    answer(some)
    return found, len(some) / (time.perf_counter() - start)


def line_of(row: Row) -> str:
    """Return a row of the table."""
    gap = "" if np.isnan(row.gap_closed) else f"{row.gap_closed:.0%}"
    hours = [1e6 / speed / 3600 for speed in (row.teacher_speed, row.student_speed)]
    return (
        f"| {row.corpus} | {100 * row.teacher:.2f} | {spread(row.student)} | {spread(row.alone)} "
        f"| {row.difference.in_points()} | {gap} | {row.teacher_speed:,.0f} | {row.student_speed:,.0f} "
        f"| {hours[0]:.2f} | {hours[1]:.2f} |"
    )


if __name__ == "__main__":
    sys.exit(main())
