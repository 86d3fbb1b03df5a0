"""The training rows of a corpus whose labels look wrong, as a table to correct and train on again."""

from pathlib import Path

import numpy as np

from textlstm.config import DataConfig, Task
from textlstm.corpus.prepared import PreparedCorpus
from textlstm.evaluation.label_errors import QUALITY_FILE, quality_table


def write_label_errors(corpus: PreparedCorpus, data: DataConfig, directory: Path, *, seed: int) -> Path:
    """Write the table of training rows to look at into `directory`; return its path. It holds texts: never for MLflow.

    Args:
        corpus: with training rows; those that occur among its test rows are marked.
        data: the names of the columns, so that the table can be trained on with the same settings.
        directory: is made where it is missing.
        seed: of the folds by which rows are rated.
    """
    assert corpus.train is not None
    targets = corpus.train.targets(corpus.labels, corpus.task)
    table = quality_table(
        corpus.train.texts(),
        targets.astype(np.bool_) if corpus.task is Task.multi_label else targets.astype(np.int64),
        ids=corpus.train.ids(),
        labels=corpus.labels,
        task=corpus.task,
        seed=seed,
        evaluated_texts=corpus.test.texts() if corpus.test is not None else (),
        text_column=data.text_column,
        label_column=data.labels_column or data.label_column,
    )
    directory.mkdir(parents=True, exist_ok=True)
    return table.write(directory / QUALITY_FILE)
