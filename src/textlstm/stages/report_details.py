"""What a report and an MLflow run say beside the figures: model, data, settings, epochs, words, linked pages."""

import csv
import math
import os
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import TypedDict
from urllib.parse import quote

import numpy as np

from textlstm.config import DataConfig, TrackingConfig
from textlstm.corpus.preparation.corpus_folder import CARD_PAGE
from textlstm.corpus.prepared import PreparedCorpus
from textlstm.errors import InputError
from textlstm.evaluation.evaluate import Evaluation
from textlstm.evaluation.output import predictions_table
from textlstm.evaluation.report import ClassWords, EpochPoint, Link, WordWeight
from textlstm.evaluation.report.answers import answers
from textlstm.evaluation.scored_rows import ScoredRows
from textlstm.figure_text import counted
from textlstm.inference.classifier import TextClassifier
from textlstm.saved_model import SavedModel
from textlstm.text.stop_words import packaged_stop_words
from textlstm.tracking.run import Tracker

NOTE_TAG = "mlflow.note.content"
"""The description that MLflow's page of a run shows, as Markdown."""
_SAMPLED = 1000


def run_note(evaluation: Evaluation, details: Mapping[str, str]) -> str:
    """Return the answers of the report as Markdown, in front of what the model is."""
    parts = [
        f"**{answer.question}** {answer.short}\n" + "".join(f"\n- {line}" for line in answer.details)
        for answer in answers(evaluation)
    ]
    facts = " · ".join(f"{name}: {value}" for name, value in details.items())
    return "\n\n".join([*parts, facts])


def write_sample(evaluation: Evaluation, path: Path) -> None:
    """Write the first predictions as CSV, without texts."""
    table = predictions_table(evaluation, include_text=False)
    suffix = "labels" if evaluation.rows.is_multi_label else "label"
    names = ("id", suffix, f"predicted_{suffix}", "probability", "correct", "decision")
    columns = [table.column(name)[:_SAMPLED].to_pylist() for name in names]
    with path.open("w", encoding="utf-8", errors="backslashreplace", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(names)
        writer.writerows(zip(*columns, strict=True))


def report_details(classifier: TextClassifier, data: DataConfig, run: Tracker) -> dict[str, str]:
    """Return what stands under the heading of a report: model, task, when, which run, which settings."""
    saved_model = classifier.saved_model
    model, provenance = saved_model.model, saved_model.provenance or {}
    num_rows = provenance.get("num_rows", {}).get("train")
    facts = {
        "Model": f"{'bi' if model.bidirectional else ''}{model.encoder} of {model.hidden_size} units"
        + (" with a linear expert" if model.linear_expert else ""),
        "classes": str(len(saved_model.labels)),
        "trained on": counted(num_rows, "row") if num_rows else "",
        "seed": str(provenance.get("seed", "")),
        "evaluated": f"{datetime.now():%Y-%m-%d %H:%M}",
        "run": (run.run_id or "")[:8],
        "rows of": ", ".join(Path(name).name for name in data.test[:2]),
    }
    chosen = {**provenance.get("training", {}), **_leaves(provenance.get("chosen_settings", {}))}
    shown = [f"{name}={_plain(chosen[name])}" for name in _SHOWN_SETTINGS if chosen.get(name)]
    return {name: value for name, value in facts.items() if value} | ({"settings": " ".join(shown)} if shown else {})


_SHOWN_SETTINGS = ("epochs", "batch_size", "learning_rate", "embedding_learning_rate", "embeddings", "cross_fit")


def _plain(value: object) -> str:
    return ",".join(map(str, value)) if isinstance(value, list) else str(value)


def _leaves(settings: Mapping[str, object]) -> dict[str, object]:
    return {key.rpartition(".")[2]: value for key, value in settings.items()}


class TrainingOfModel(TypedDict):
    """The epochs behind a model, as a report takes them."""

    epochs: Sequence[EpochPoint]
    best_epoch: int | None


def training_of(saved_model: SavedModel) -> TrainingOfModel:
    """Return the epochs that were saved with a model; none for models of earlier versions."""
    found = (saved_model.provenance or {}).get("epochs", {})
    points = [
        EpochPoint(number, *(math.nan if value is None else float(value) for value in values))
        for number, values in enumerate(found.get("figures", ()), 1)
    ]
    return {"epochs": points, "best_epoch": found.get("best")}


def class_words(classifier: TextClassifier, rows: ScoredRows) -> tuple[ClassWords, ...]:
    """Return the words that count for each label by the linear expert's weights over the rows; empty without one.

    Of more than `_MOST_WORD_ROWS` rows, or `_MOST_WORD_CHARACTERS`, every second, third and so on is looked at.
    """
    expert = classifier.expert
    if expert is None or not expert.table.words.words:
        return ()
    # Imported here, since a report may be switched off.
    from textlstm.explain.expert import words_of_labels

    try:
        stop_words = packaged_stop_words(classifier.saved_model.text.language)
    except InputError:
        stop_words = frozenset()
    step = -(-rows.num_rows // _MOST_WORD_ROWS)
    texts = [rows.texts[row] for row in range(0, rows.num_rows, step)]
    further = -(-sum(map(len, texts)) // _MOST_WORD_CHARACTERS) or 1
    texts, predictions = texts[::further], rows.predictions()[:: step * further]
    given = predictions if rows.is_multi_label else predictions[:, None] == np.arange(len(rows.labels))
    found = words_of_labels(expert, texts, np.asarray(given, bool), without=stop_words, most=_MOST_WORDS)
    return tuple(
        ClassWords(label, int(given[:, index].sum()), tuple(WordWeight(*word) for word in words), ())
        for index, (label, words) in enumerate(zip(rows.labels, found, strict=True))
        if words
    )


_MOST_WORDS = 6
_MOST_WORD_ROWS, _MOST_WORD_CHARACTERS = 10_000, 5_000_000


def links_of(corpus: PreparedCorpus | None, output_dir: Path, run: Tracker, tracking: TrackingConfig) -> list[Link]:
    """Return the pages beside a report: the data card, and the run where MLflow is a server with pages."""
    links = []
    if corpus is not None and (corpus.directory / CARD_PAGE).is_file():
        links.append(Link("Data card", quote(os.fsencode(os.path.relpath(corpus.directory / CARD_PAGE, output_dir)))))
    if run.run_id and tracking.uri.startswith(("http://", "https://")):
        links.append(Link("Run in MLflow", f"{tracking.uri.rstrip('/')}/#/runs/{run.run_id}"))
    return links
