"""From texts and labels to a saved model: the stages `train` and `evaluate`, in a folder that is removed afterwards."""

import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

from textlstm.config import DataConfig, DataSource, EvaluationConfig, TrainConfig
from textlstm.corpus.preparation.prepare import prepare_labelled_files
from textlstm.errors import TextLSTMError
from textlstm.evaluation.evaluate import Evaluation, evaluate_rows
from textlstm.inference.classifier import TextClassifier
from textlstm.inference.scoring import score_split
from textlstm.library.rows import LABEL_COLUMN, LABELS_COLUMN, TEXT_COLUMN, WEIGHT_COLUMN, GivenRows
from textlstm.model_folder import load_saved_model, named_model_dir
from textlstm.saved_model import SavedModel
from textlstm.stages.evaluate import abstention_threshold
from textlstm.stages.screen import Listener, heard_by
from textlstm.stages.seeds import train_seeds

_FILE = "texts.parquet"
_PLACE = re.compile(rf"{re.escape(_FILE)}(?::(\d+): column '\w+')?")
LOGGER = logging.getLogger("textlstm")
"""Hears what the command prints on stderr: remarks as INFO, warnings as WARNING."""


def train_rows(rows: GivenRows, validation: GivenRows | None, config: TrainConfig, *, progress: bool) -> SavedModel:
    """Return the model that `textlstm train` makes from a file of `rows` with the settings `config`.

    Files are kept only where `config` names a folder of its own for them.

    Args:
        rows: rows to learn from.
        validation: rows to choose and calibrate by; None: a part of `rows`, as `data.validation_fraction` says.
        config: all settings of the stage.
        progress: show bars in terminals and notebooks.

    Raises:
        InputError: the rows cannot be used.
        ConfigError: settings that cannot be met here.
    """
    with _working_folder(progress=progress) as folder:
        # The stages read files, so the rows become one; the columns have fixed names.
        data = replace(
            config.data,
            train=[str(rows.write(folder / _FILE))],
            validation=[] if validation is None else [str(validation.write(folder / f"validation {_FILE}"))],
            text_column=TEXT_COLUMN,
            label_column=LABEL_COLUMN,
            labels_column=LABELS_COLUMN if rows.is_multi_label else "",
            weight_column="" if rows.weights is None else WEIGHT_COLUMN,
        )
        # Model and corpus are kept where settings name a folder; else they go with the working folder.
        defaults = TrainConfig()
        model_dir = folder / "model" if config.output_dir == defaults.output_dir else named_model_dir(config.output_dir)
        kept = config.prepared_dir != defaults.prepared_dir
        config = replace(config, data=data, prepared_dir=config.prepared_dir if kept else str(folder / "prepared"))
        # The evaluation of a train stage goes beside the model, so it goes away or stays with it.
        evaluation_dir = model_dir.with_name(f"{model_dir.name}-evaluation")
        trained = train_seeds(config, model_dir=model_dir, evaluation_dir=evaluation_dir).kept
        return load_saved_model(trained.model_dir)


def evaluate_given(classifier: TextClassifier, rows: GivenRows, settings: EvaluationConfig) -> Evaluation:
    """Return the evaluation of `classifier` by `textlstm evaluate` on a file of `rows`.

    Raises:
        InputError: the rows cannot be used, or their labels are not those of the model.
    """
    saved_model = classifier.saved_model
    with _working_folder(progress=False) as folder:
        data = DataConfig(
            source=DataSource.files,
            test=[str(rows.write(folder / _FILE))],
            text_column=TEXT_COLUMN,
            label_column=LABEL_COLUMN,
            labels_column=LABELS_COLUMN if rows.is_multi_label else "",
        )
        # The rows are prepared as at inference, with the labels and the text settings of the saved model.
        corpus = prepare_labelled_files(
            data,
            saved_model.inference_text,
            labels=classifier.labels,
            saved=saved_model.text_fingerprint,
            prepared_dir=folder / "prepared",
            num_workers=0,
        )
        for warning in corpus.warnings:
            LOGGER.warning(warning)
        assert corpus.test is not None
        return evaluate_rows(
            score_split(classifier, corpus.test),
            settings,
            threshold=abstention_threshold(classifier),
            max_error=saved_model.thresholds.max_error,
        )


@contextmanager
def _working_folder(*, progress: bool) -> Iterator[Path]:
    """Give a folder that is removed after the block; remarks go to the logger, and messages leave out its path."""
    with TemporaryDirectory(prefix="textlstm-") as name:

        def log(line: str) -> None:
            level = logging.WARNING if line.startswith("warning: ") else logging.INFO
            LOGGER.log(level, _without_files(line.removeprefix("warning: "), name))

        with heard_by(Listener(log, shows_bars=progress)):
            try:
                yield Path(name)
            except TextLSTMError as error:
                # Messages of the stages name a file that the caller has never seen; they are reworded to name the rows.
                raise type(error)(*(_without_files(problem, name) for problem in error.problems)) from None


def _without_files(line: str, folder: str) -> str:
    """Return a message about row 3 of the file as one about `texts[2]`, whatever the folder of the file."""
    line = line.replace(f"{folder}/", "")
    # Row 3 of the file is `texts[2]`: the file counts from 1.
    return _PLACE.sub(lambda found: f"texts[{int(found[1]) - 1}]" if found[1] else "texts", line)
