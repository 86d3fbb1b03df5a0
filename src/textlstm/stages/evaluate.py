"""`textlstm evaluate`: score a saved model on labelled rows and write what that shows."""

from dataclasses import dataclass
from pathlib import Path

from textlstm.config import EvaluateConfig, EvaluationConfig, TrackingConfig
from textlstm.corpus.prepared import PreparedSplit
from textlstm.corpus.store import prepare_labelled_files
from textlstm.errors import InputError
from textlstm.evaluation.evaluate import Evaluation, evaluate_rows
from textlstm.evaluation.report import write_evaluation
from textlstm.predictor import TextClassifier
from textlstm.scoring import score_split
from textlstm.stages.screen import note, say, table
from textlstm.tracking.registry import resolve_model_dir
from textlstm.tracking.run import Tracker, open_run


@dataclass(frozen=True, slots=True)
class Evaluated:
    """An evaluation and where its files are."""

    evaluation: Evaluation
    output_dir: Path


def evaluate(config: EvaluateConfig) -> None:
    """Score `config.model_dir` on `config.data.test`, write metrics and report, print the numbers.

    Raises:
        InputError: no labelled rows were named, or output_dir holds an evaluation and overwrite is false.
    """
    output_dir = Path(config.output_dir)
    if not config.data.test:
        raise InputError("data.test: name the labelled rows to score, such as data.test=reviews.csv")
    if (output_dir / "metrics.json").exists() and not config.overwrite:
        raise InputError(f"{output_dir}: holds an evaluation; set overwrite=true to replace it, or another output_dir")
    model_dir = resolve_model_dir(config.model_dir, config.tracking)
    classifier = TextClassifier.load(model_dir, device=config.device)
    corpus = prepare_labelled_files(
        config.data,
        classifier.bundle.text,
        labels=classifier.labels,
        task=classifier.bundle.task,
        saved_text=classifier.bundle.saved_text,
        prepared_dir=Path(config.prepared_dir),
        num_workers=config.num_workers,
    )
    note(*(f"warning: {warning}" for warning in corpus.warnings))
    if corpus.test is None or not len(corpus.test):
        raise InputError("data.test: no rows to score are left after the checks")
    name = config.tracking.run_name or f"{model_dir.name} on {Path(config.data.test[0]).name}"
    with open_run(config.tracking, stage="evaluate", run_name=name) as run:
        run.log_dataset(
            "test", context="test", digest=corpus.test.digest, num_rows=len(corpus.test), source=str(config.data.test)
        )
        evaluated = evaluate_split(
            classifier, corpus.test, config.evaluation, output_dir=output_dir, run=run, tracking=config.tracking
        )
    print_evaluation(evaluated)


def evaluate_split(
    model: TextClassifier | Path,
    split: PreparedSplit,
    settings: EvaluationConfig,
    *,
    output_dir: Path,
    run: Tracker,
    tracking: TrackingConfig,
) -> Evaluated:
    """Score one split, write its evaluation into `output_dir` and log it to `run`."""
    classifier = model if isinstance(model, TextClassifier) else TextClassifier.load(model)
    rows = score_split(classifier, split)
    evaluation = evaluate_rows(rows, settings)
    files = write_evaluation(evaluation, output_dir, include_text=True)
    run.log_metrics({f"test/{name}": value for name, value in evaluation.scalars().items()})
    for file in files:
        run.log_artifact(
            file, folder="evaluation", holds_text=file.suffix in (".html", ".parquet") and not tracking.log_text
        )
    return Evaluated(evaluation, output_dir)


def print_evaluation(evaluated: Evaluated) -> None:
    """Print accuracy and macro-F1 of every part of the model beside the baselines."""
    table("test", ("", "accuracy [95 %]", "macro-F1 [95 %]"), evaluated.evaluation.summary_rows())
    say(*evaluated.evaluation.verdicts())
    say(f"report      {evaluated.output_dir / 'report.html'}")
