"""`textlstm evaluate`: score a saved model on labelled rows and write what that shows."""

import json
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from textlstm.config import DataConfig, EvaluateConfig, Task, TrackingConfig, TrainConfig
from textlstm.corpus.preparation.prepare import prepare_labelled_files
from textlstm.corpus.prepared import PreparedCorpus, PreparedSplit
from textlstm.corpus.sources.examples import read_extra_columns
from textlstm.errors import InputError, TextLSTMError
from textlstm.evaluation.evaluate import (
    BASELINE,
    CHAMPION,
    EXPERT,
    MAJORITY,
    RECURRENT,
    Evaluation,
    evaluate_rows,
    seen_warning,
)
from textlstm.evaluation.figures import draw_figures
from textlstm.evaluation.metrics import Metrics
from textlstm.evaluation.output import (
    EXPLANATIONS_FILE,
    METRICS_FILE,
    REPORT_FILE,
    refuse_existing_evaluation,
    write_evaluation,
)
from textlstm.figure_text import counted, interval_text, score_text
from textlstm.inference.classifier import TextClassifier
from textlstm.inference.scoring import BLOCK_ROWS, score_split, with_filters_undone
from textlstm.processes.devices import refuse_missing_gpu
from textlstm.saved_model import SavedModel, saved_warnings
from textlstm.stages.explain import explain_rows
from textlstm.stages.report_details import (
    NOTE_TAG,
    class_words,
    links_of,
    report_details,
    run_note,
    training_of,
    write_sample,
)
from textlstm.stages.screen import Advance, columns_of, note, progress, say, table
from textlstm.tracking.model_logging import task_key
from textlstm.tracking.registry import champion_dir, resolve_model_dir
from textlstm.tracking.run import Tracker, open_run
from textlstm.tracking.tracked_runs import PAIRED_FILE, PAIRED_FOLDER, PairedRows

_STEPS = 6
"""Steps of an evaluation that its bar shows."""
_MANY_ROWS = 4_000
"""From so many rows on, networks on a CPU are computed as `label` computes them, which is faster."""
_WIDE = 96
"""Columns that the table of models needs with its whole names."""
NAMES = {
    RECURRENT: "  recurrent branch alone",
    EXPERT: "  linear expert alone",
    BASELINE: "TF-IDF + LinearSVC",
    CHAMPION: "registered champion",
    MAJORITY: "majority class",
}


@dataclass(frozen=True, slots=True)
class Evaluated:
    """An evaluation and where its files are."""

    evaluation: Evaluation
    output_dir: Path


def evaluate(config: EvaluateConfig) -> None:
    """Score `config.model_dir` on `config.data.test`, write metrics and report, print the numbers.

    Raises:
        InputError: no labelled rows were named, their columns are not for the task of the model, their labels are not
            the model's, or output_dir holds an evaluation and overwrite is false.
    """
    refuse_missing_gpu(device=config.device)
    # Refuse a wrong call before a model is loaded.
    output_dir = Path(config.output_dir)
    if not config.data.test:
        raise InputError("data.test: name the labelled rows to score, such as data.test=reviews.csv")
    if not config.overwrite:
        refuse_existing_evaluation(output_dir)
    # Load the model and check that its task is that of the data.
    model_dir = resolve_model_dir(config.model_dir, config.tracking)
    classifier = TextClassifier.load(model_dir, device=config.device)
    refuse_other_task(classifier.saved_model, config.data)
    # Slices show parts of speech, so rows are tagged as in training even for a model that does not read tags.
    corpus = prepare_labelled_files(
        config.data,
        classifier.saved_model.text,
        labels=classifier.labels,
        saved=classifier.saved_model.text_fingerprint,
        prepared_dir=Path(config.prepared_dir),
        num_workers=config.num_workers,
    )
    note(*(f"warning: {warning}" for warning in corpus.warnings))
    if corpus.test is None or not len(corpus.test):
        raise InputError("data.test: no rows to score are left after the checks")
    # Score the rows within an MLflow run of their own.
    name = config.tracking.run_name or f"{model_dir.name} on {Path(config.data.test[0]).name}"
    with open_run(config.tracking, stage="evaluate", run_name=name) as run:
        run.log_dataset(
            config.data.title,
            context="test",
            digest=corpus.test.digest,
            num_rows=len(corpus.test),
            source=str(config.data.test),
        )
        evaluated = evaluate_split(
            classifier,
            corpus.test,
            config,
            output_dir=output_dir,
            run=run,
        )
    print_evaluation(evaluated)


def refuse_other_task(saved_model: SavedModel, data: DataConfig) -> None:
    """Check that the label columns of `data` fit the task of the model.

    Raises:
        InputError: the model gives several labels and one column of single labels is named, or the reverse.
    """
    columns = saved_model.columns
    if saved_model.task is Task.multi_label and not data.labels_column:
        trained = [f"data.labels_column={columns.labels}"]
        trained += [f"data.label_separator={columns.label_separator!r}"] if columns.label_separator else []
        raise InputError(
            "data.labels_column is empty, but the model gives a row several labels (multi-label). "
            f"Name the column that holds all labels of a row; the model was trained with {' '.join(trained)}."
        )
    if saved_model.task is Task.single_label and data.labels_column:
        raise InputError(
            f"data.labels_column={data.labels_column} names several labels a row, but the model gives exactly one. "
            f"Leave it away and name the column with one label; the model was trained with "
            f"data.label_column={columns.label}."
        )


def evaluate_split(
    model: TextClassifier | Path,
    split: PreparedSplit,
    config: EvaluateConfig | TrainConfig,
    *,
    output_dir: Path,
    run: Tracker,
    corpus: PreparedCorpus | None = None,
) -> Evaluated:
    """Score one split, write its evaluation into `output_dir` and log it to `run`, texts only where allowed.

    With the `corpus` that the model was trained on, the report says how the model does without the rows that are almost
    equal to training rows, and links the data card.
    """
    with progress("evaluating", steps=True) as advance:
        return _evaluate(model, split, config, output_dir=output_dir, run=run, corpus=corpus, advance=advance)


def _evaluate(
    model: TextClassifier | Path,
    split: PreparedSplit,
    config: EvaluateConfig | TrainConfig,
    *,
    output_dir: Path,
    run: Tracker,
    corpus: PreparedCorpus | None,
    advance: Advance,
) -> Evaluated:
    settings, log_text = config.evaluation, config.tracking.log_text
    advance(0, _STEPS, "loading the model")
    classifier = model if isinstance(model, TextClassifier) else TextClassifier.load(model)
    # Score the rows, and add what the report shows beside them: filters, columns for slices, the champion.
    advance(1, _STEPS, f"scoring {counted(len(split), 'row')}")
    if len(split) >= _MANY_ROWS:
        classifier.recurrent.prepare_for_many()
    rows = score_split(classifier, split)
    if settings.report:
        rows = with_filters_undone(rows, classifier, split)
    if corpus is not None:
        rows = replace(rows, near_training=_near_training(split, corpus))
    if settings.slice_columns:
        files, numbers = (split.table.column(name).to_pylist() for name in ("file", "row"))
        rows = replace(rows, columns=read_extra_columns(config.data, files, numbers))
    if settings.champion and (champion := _champion(classifier, config.tracking)):
        blocks = [champion.predict_proba(block.texts()) for block in split.blocks(num_rows=BLOCK_ROWS)]
        rows = replace(rows, champion_probabilities=np.concatenate(blocks))
    # Compute the figures at the thresholds that were saved with the model.
    warnings = saved_warnings(classifier.saved_model.provenance)
    advance(2, _STEPS, "figures and intervals")
    evaluation = evaluate_rows(
        rows,
        settings,
        threshold=abstention_threshold(classifier),
        max_error=classifier.saved_model.thresholds.max_error,
        warnings=warnings,
    )
    # Draw the pictures and explain some texts; an exported model has no network to trace.
    title = f"{config.data.title}: {counted(len(split), 'test row')}"
    advance(3, _STEPS, "pictures")
    pictures = list(draw_figures(evaluation)) if settings.report else None
    explained = None
    if settings.report and settings.explained_texts and classifier.saved_model.is_exported:
        note("no texts are explained: an exported model cannot be looked into")
    elif settings.report and settings.explained_texts:
        advance(4, _STEPS, "explaining texts")
        heading = f"Why the model decided: {title}"
        explained = explain_rows(classifier, rows, num_texts=settings.explained_texts, title=heading)
    # Write the folder for the user, which may hold texts.
    advance(5, _STEPS, "writing the report")
    details = report_details(classifier, config.data, run)
    training = training_of(classifier.saved_model)
    write_evaluation(
        evaluation,
        output_dir,
        title=title,
        details=details,
        pictures=pictures,
        class_words=class_words(classifier, rows) or (explained.class_words if explained else ()),
        explanations=explained.page if explained else None,
        links=links_of(corpus, output_dir, run, config.tracking),
        **training,
    )
    seen = seen_warning(rows)
    note(*(f"warning: {warning}" for warning in (*warnings, *((seen,) if seen else ()))))
    # The run gets the figures, and an evaluation that is written again without texts unless `log_text` allows them.
    run.log_metrics({f"test/{name}": value for name, value in evaluation.tracked_metrics().items()})
    run.set_tags({NOTE_TAG: run_note(evaluation, details)})
    with TemporaryDirectory() as temporary:
        folder = Path(temporary)
        if not log_text:
            write_evaluation(
                evaluation, folder, title=title, details=details, pictures=pictures, include_text=False, **training
            )
        # MLflow shows both as tables: all models, and the first predictions without their texts.
        (folder / "models.json").write_text(json.dumps(evaluation.models_table(), ensure_ascii=False), encoding="utf-8")
        write_sample(evaluation, folder / "predictions_sample.csv")
        # Later comparisons need the ids of the rows that were right, and the digest that says which rows they are.
        _paired_rows(evaluation, digest=split.digest).write(folder / PAIRED_FILE)
        run.log_artifact(folder, folder=PAIRED_FOLDER)
    if log_text:
        run.log_artifact(output_dir, folder=PAIRED_FOLDER, holds_text=True)
    return Evaluated(evaluation, output_dir)


def _near_training(split: PreparedSplit, corpus: PreparedCorpus) -> np.ndarray:
    """Return (N,) whether a row is almost equal to a training row, as far as the data card names such rows."""
    found = corpus.card["compared_with_train"].get("test", {}).get("near_duplicate_rows", ())
    near = {entry["row"] for entry in found}
    is_near: list[bool] = []
    for block in split.blocks():
        files, numbers = (block.table.column(name).to_pylist() for name in ("file", "row"))
        is_near += [f"{file}:{number}" in near for file, number in zip(files, numbers, strict=True)]
    return np.array(is_near, dtype=np.bool_)


def _champion(classifier: TextClassifier, tracking: TrackingConfig) -> TextClassifier | None:
    """Return the registered champion of the same labels; None where there is none, or where a remark says why not."""
    if not tracking.enabled or not tracking.register:
        return None
    address = f"models:/{tracking.register}@champion"
    try:
        saved_model = classifier.saved_model
        data_source = str((saved_model.provenance or {}).get("data_source", ""))
        # Champions are kept by task: one that was trained for other labels or data is no rival.
        directory = champion_dir(tracking, task=task_key(saved_model.labels, saved_model.task, data_source))
        champion = TextClassifier.load(directory) if directory else None
    except TextLSTMError as error:
        note(f"warning: not compared with the champion: {'; '.join(error.problems)}")
        return None
    if champion is None:
        return None
    # Its probabilities can be compared only when their columns mean the same labels.
    if (champion.labels, champion.saved_model.task) != (classifier.labels, classifier.saved_model.task):
        note(f"not compared with the champion {address}: it decides between other labels")
        return None
    return champion


def _paired_rows(evaluation: Evaluation, *, digest: str) -> PairedRows:
    """Return which rows the model had right, without their texts, for later paired tests."""
    rows = evaluation.rows
    # With several labels a row there is no single class to count by; -1 says so.
    several = [-1] * rows.num_rows
    return PairedRows(
        ids=rows.ids,
        correct=evaluation.correct.tolist(),
        label_ids=several if rows.is_multi_label else rows.targets.tolist(),
        predicted_ids=several if rows.is_multi_label else evaluation.predictions.tolist(),
        digest=digest,
    )


def abstention_threshold(classifier: TextClassifier) -> float | None:
    """Return the threshold under which the model abstains; None when it never does."""
    threshold = classifier.abstain_below
    return threshold if threshold > 0 else None


def print_evaluation(evaluated: Evaluated) -> None:
    """Print accuracy and macro-F1 with intervals of the model, its branches and the baselines, and who wins."""
    evaluation = evaluated.evaluation
    confidence = f"{evaluation.config.confidence:.0%}"
    # One line a model, the evaluated one first.
    features = evaluation.rows.baseline_features
    names = NAMES | {BASELINE: f"{NAMES[BASELINE]} ({features})"}
    if (columns_of(sys.stdout) or _WIDE) < _WIDE:
        # Eighty columns hold the table only with short names.
        names |= {BASELINE: f"LinearSVC ({features})", RECURRENT: "  recurrent alone", EXPERT: "  linear alone"}
    models = {"this model": evaluation.metrics} | {names[name]: metrics for name, metrics in evaluation.others.items()}
    figures = (
        ("subset_accuracy", "micro_f1", "macro_f1") if evaluation.rows.is_multi_label else ("accuracy", "macro_f1")
    )
    rows = [(name, *(_with_interval(metrics, figure) for figure in figures)) for name, metrics in models.items()]
    header = ("", *(f"{figure.replace('_', ' ')} [{confidence}]" for figure in figures))
    table(f"test: {counted(evaluation.rows.num_rows, 'row')}", header, rows)
    # Sentences are about the baseline and the champion; the branches and the majority class stand in the table.
    compared = zip(evaluation.others, evaluation.comparisons, strict=True)
    say(*(comparison.sentence for name, comparison in compared if name in (BASELINE, CHAMPION)))
    say(f"report      {evaluated.output_dir / (REPORT_FILE if evaluation.config.report else METRICS_FILE)}")
    if (evaluated.output_dir / EXPLANATIONS_FILE).exists():
        say(f"reasons     {evaluated.output_dir / EXPLANATIONS_FILE}")


def _with_interval(metrics: Metrics, figure: str) -> str:
    interval = metrics.intervals[figure]
    return f"{score_text(metrics.values[figure])} {interval_text(*interval)}"
