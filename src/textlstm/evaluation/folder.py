"""The folder an evaluation leaves behind; file names live here alone."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from textlstm.corpus.files.storage import atomic_file, storage_errors
from textlstm.evaluation.class_words import ClassWords
from textlstm.evaluation.drawing import Picture
from textlstm.evaluation.evaluate import Evaluation
from textlstm.evaluation.predictions import predictions_bytes
from textlstm.evaluation.report import render_report
from textlstm.evaluation.summary import summarize

METRICS_FILE = "metrics.json"
PREDICTIONS_FILE = "predictions.parquet"
REPORT_FILE = "report.html"
EXPLANATIONS_FILE = "explanations.html"
FIGURES_DIR = "figures"


def write_evaluation(
    evaluation: Evaluation,
    output_dir: Path,
    *,
    title: str,
    details: Mapping[str, str] | None = None,
    include_text: bool = True,
    pictures: Sequence[Picture] | None = None,
    class_words: Sequence[ClassWords] = (),
    explanations: bytes | None = None,
) -> list[Path]:
    """Write predictions, figures, report and, last, `metrics.json`; each file appears complete or not at all.

    Args:
        evaluation: what `evaluate_rows` returned.
        output_dir: created when missing; files of the same name are replaced.
        title: heading of the report.
        details: shown in the report as they are, such as the model folder and the data files.
        include_text: whether texts of rows may stand in predictions and report.
        pictures: what `draw_figures` yields; None: neither figures nor `report.html` are written.
        class_words: what counts for each class, for the report.
        explanations: the page of explained texts, written where texts may be shown.

    Returns:
        The files written.

    Raises:
        StorageError: a file cannot be written.
    """
    contents = {PREDICTIONS_FILE: predictions_bytes(evaluation, include_text=include_text)}
    if include_text and explanations is not None:
        contents[EXPLANATIONS_FILE] = explanations
    if pictures is not None:
        contents |= {f"{FIGURES_DIR}/{picture.name}.svg": picture.svg for picture in pictures}
        contents |= {f"{FIGURES_DIR}/{picture.name}.png": picture.png for picture in pictures}
        contents[REPORT_FILE] = render_report(
            evaluation,
            pictures,
            title=title,
            details=details or {},
            include_text=include_text,
            class_words=class_words,
        )
    summary = json.dumps(summarize(evaluation), indent=2, ensure_ascii=False, allow_nan=False)
    contents[METRICS_FILE] = f"{summary}\n".encode("utf-8", "backslashreplace")
    return _write_files(output_dir, contents)


def _write_files(output_dir: Path, contents: Mapping[str, bytes]) -> list[Path]:
    """Write each file whole, in the given order, under `output_dir`."""
    paths = []
    for name, data in contents.items():
        path = output_dir / name
        with storage_errors(path):
            path.parent.mkdir(parents=True, exist_ok=True)
        with atomic_file(path) as stream:
            stream.write(data)
        paths.append(path)
    return paths
