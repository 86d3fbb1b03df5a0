"""The folder of an unfinished training: its checkpoints, and a digest of all that must be equal to continue there.

It lies beside the model folder as `NAME.unfinished` and is removed once the model is saved.
"""

import hashlib
import json
import shutil
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from textlstm.config import TrainConfig
from textlstm.corpus.prepared import PreparedCorpus
from textlstm.errors import InputError
from textlstm.model_folder import library_versions
from textlstm.storage.files import atomic_file

SETTINGS_FILE = "settings.json"
WAIT_SECONDS = 1800
"""Time that the other processes of `torchrun` wait for the first one to choose settings."""


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
    values: dict[str, Any]
    """Values that that training chose for its `auto` settings, by key."""

    @classmethod
    def open(cls, model_dir: Path, config: TrainConfig, corpus: PreparedCorpus) -> "UnfinishedTraining":
        """Return the folder beside `model_dir`: that of an equal training, unchanged, or a fresh one.

        Raises:
            InputError: it holds another training, or one that other library versions began, and `config.overwrite` is
                false.
        """
        directory = model_dir.with_name(f"{model_dir.name}.unfinished")
        digest = _digest(config, corpus)
        settings = directory / SETTINGS_FILE
        if settings.is_file():
            before = json.loads(settings.read_text(encoding="utf-8"))
            # An equal training was cut off here: its checkpoints and chosen values count. Other versions of the
            # libraries would go on, and end with weights that neither of them gives.
            changed = _changed_versions(before.get("versions", {}))
            if before["digest"] == digest and not changed:
                return cls(
                    directory,
                    digest,
                    is_continued=True,
                    resume_key=before["resume_key"],
                    values=before.get("values", {}),
                )
            if not config.overwrite and before["digest"] == digest:
                raise InputError(
                    f"{directory}: holds an unfinished training by other versions: {changed}; install those, set "
                    "overwrite=true to start anew, or another output_dir"
                )
            if not config.overwrite:
                raise InputError(
                    f"{directory}: holds an unfinished training with other settings or data; "
                    "set overwrite=true to start anew, or another output_dir"
                )
        # A folder without the settings file, which `remember` writes, holds nothing that could be continued.
        shutil.rmtree(directory, ignore_errors=True)
        directory.mkdir(parents=True)
        return cls(directory, digest, is_continued=False, resume_key=None, values={})

    def remember(self, resume_key: str | None, values: dict[str, Any]) -> None:
        """Write down how to continue: the digest, the MLflow run, and the values chosen for `auto` settings."""
        content = {
            "digest": self.digest,
            "resume_key": resume_key,
            "values": values,
            "versions": library_versions(),
        }
        with atomic_file(self.directory / SETTINGS_FILE) as stream:  # other processes may read it
            stream.write(json.dumps(content).encode())

    def remove(self) -> None:
        """Remove the folder: the model is saved."""
        shutil.rmtree(self.directory, ignore_errors=True)


def is_unfinished(model_dir: Path) -> bool:
    """Say whether a training into `model_dir` was cut off, before or after its model was saved."""
    return (model_dir.with_name(f"{model_dir.name}.unfinished") / SETTINGS_FILE).is_file()


def values_of_first_process(config: TrainConfig, corpus: PreparedCorpus) -> dict[str, Any]:
    """Return the values that the first process of `torchrun` has chosen for `auto` settings; waits for them.

    Raises:
        InputError: it chooses none in `WAIT_SECONDS`.
    """
    model_dir = Path(config.output_dir)
    path, digest = model_dir.with_name(f"{model_dir.name}.unfinished") / SETTINGS_FILE, _digest(config, corpus)
    for _ in range(10 * WAIT_SECONDS):
        if path.is_file():
            content = json.loads(path.read_text(encoding="utf-8"))
            # The digest tells the file of this training from one that an earlier training left.
            if content["digest"] == digest:
                return dict(content["values"])
        time.sleep(0.1)
    raise InputError(f"{path}: the first process has chosen no settings in {WAIT_SECONDS} s; see its messages")


def _changed_versions(before: dict[str, str]) -> str:
    """Return what was installed when the training began and is no more, such as "torch 2.12.0 (now 2.13.0)"."""
    now = library_versions()
    changed = [f"{name} {old} (now {now[name]})" for name, old in before.items() if now.get(name, old) != old]
    return ", ".join(changed)


def _digest(config: TrainConfig, corpus: PreparedCorpus) -> str:
    content = [corpus.key, asdict(config.model), asdict(config.training), asdict(config.evaluation), config.seed]
    content.append(config.auto)
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
