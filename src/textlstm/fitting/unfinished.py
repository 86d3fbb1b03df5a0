"""The folder of a training that is not finished: its checkpoints, and what must be equal to continue there.

It stands beside the model folder as `NAME.unfinished` and is removed once the model is saved.
"""

import hashlib
import json
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path

from textlstm.config import TrainConfig
from textlstm.corpus.prepared import PreparedCorpus
from textlstm.errors import InputError

SETTINGS_FILE = "settings.json"


@dataclass(frozen=True, slots=True)
class UnfinishedTraining:
    """The work folder of one training."""

    directory: Path
    digest: str
    """Of the corpus and all settings that change what is trained."""
    is_continued: bool
    """Whether an equal training was interrupted here."""
    resume_key: str | None
    """MLflow run of that training; None without one."""

    @classmethod
    def open(cls, model_dir: Path, config: TrainConfig, corpus: PreparedCorpus) -> "UnfinishedTraining":
        """Return the folder beside `model_dir`: as it was left by an equal training, else a fresh one.

        Raises:
            InputError: it holds another training, and `config.overwrite` is false.
        """
        directory = model_dir.with_name(f"{model_dir.name}.unfinished")
        digest = _digest(config, corpus)
        settings = directory / SETTINGS_FILE
        if settings.is_file():
            before = json.loads(settings.read_text(encoding="utf-8"))
            if before["digest"] == digest:
                return cls(directory, digest, is_continued=True, resume_key=before["resume_key"])
            if not config.overwrite:
                raise InputError(
                    f"{directory}: holds an unfinished training with other settings or data; "
                    "set overwrite=true to start anew, or another output_dir"
                )
        shutil.rmtree(directory, ignore_errors=True)
        directory.mkdir(parents=True)
        return cls(directory, digest, is_continued=False, resume_key=None)

    def remember(self, resume_key: str | None) -> None:
        """Write down how to continue: the digest, and the MLflow run that the training belongs to."""
        content = {"digest": self.digest, "resume_key": resume_key}
        (self.directory / SETTINGS_FILE).write_text(json.dumps(content), encoding="utf-8")

    def remove(self) -> None:
        """Remove the folder: the model is saved."""
        shutil.rmtree(self.directory, ignore_errors=True)


def _digest(config: TrainConfig, corpus: PreparedCorpus) -> str:
    content = [corpus.key, asdict(config.model), asdict(config.training), asdict(config.evaluation), config.seed]
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
