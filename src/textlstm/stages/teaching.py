"""What a teacher says of the training rows and of unlabelled rows, for the stages that train."""

from pathlib import Path

from textlstm.config import TrainConfig
from textlstm.corpus.preparation.unlabelled import UnlabelledRows, prepare_unlabelled
from textlstm.corpus.prepared import PreparedCorpus
from textlstm.errors import ConfigError
from textlstm.processes.distributed import under_torchrun
from textlstm.stages.screen import note, progress
from textlstm.teaching.answers import Answers, read_answers
from textlstm.teaching.fine_tuning import PREFIX, fine_tuned_answers


def taught(config: TrainConfig, corpus: PreparedCorpus) -> Answers | None:
    """Return the answers of `config.teacher` for the rows of `corpus` and of data.unlabelled; None without a teacher.

    With training.distil they are the unlabelled rows alone: the training asks its own networks.

    Raises:
        InputError: unlabelled rows or answers cannot be used.
        ConfigError: a teacher under `torchrun`.
    """
    if not (config.teacher or config.training.distil):
        return None
    if under_torchrun():
        raise ConfigError("teacher and training.distil: torchrun trains without a teacher; train in one process")
    unlabelled = _unlabelled(config, corpus) if config.data.unlabelled else None
    rows = None
    if unlabelled is not None:
        note(unlabelled.line)
        rows = unlabelled.split
    if not config.teacher:
        return Answers(None, rows)
    if config.teacher.startswith(PREFIX):
        with progress("asking the teacher", steps=True) as advance:
            answers = fine_tuned_answers(
                config.teacher.removeprefix(PREFIX),
                corpus,
                rows,
                config.training,
                store=Path(config.prepared_dir) / "teachers",
                advance=advance,
            )
    else:
        answers = read_answers(config.teacher, corpus, rows, config.data, task=corpus.task)
    note(*answers.lines)
    return answers


def _unlabelled(config: TrainConfig, corpus: PreparedCorpus) -> UnlabelledRows:
    with progress("preparing unlabelled rows") as advance:
        return prepare_unlabelled(
            config.data,
            config.text,
            corpus,
            prepared_dir=Path(config.prepared_dir),
            num_workers=config.num_workers,
            progress=lambda state: advance(state.rows_done, state.rows_total, str(state.phase)),
        )
