"""Folders of trainings that are not finished: what must be equal to continue there, and whose folder it is.

`NAME.unfinished` beside the model folder `NAME` holds the checkpoints of one training, `NAME.seeds` the trainings of
several seeds. Both are removed once the model is saved; a folder of that name that somebody else made stays as it is.
"""

import hashlib
import json
import shutil
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, cast

from textlstm.config import TrainConfig
from textlstm.corpus.prepared import PreparedCorpus
from textlstm.errors import InputError
from textlstm.model_folder import library_versions
from textlstm.storage.files import atomic_file, is_temporary_of, output_folder, storage_errors

SETTINGS_FILE = "settings.json"
WAIT_SECONDS = 1800
"""Time that the other processes of `torchrun` wait for the first one to choose settings."""


@dataclass(frozen=True, slots=True)
class UnfinishedWork:
    """The folder of work that may be cut off; a settings file in it says that it is ours."""

    directory: Path
    digest: str
    """Of the corpus and all settings that change what is trained."""
    is_continued: bool
    """Whether equal work was interrupted here."""
    resume_key: str | None
    """MLflow run of that work; None without one."""
    values: dict[str, Any]
    """Values that were chosen for its `auto` settings, by key."""

    @classmethod
    def open(cls, directory: Path, digest: str, *, name: str, overwrite: bool) -> "UnfinishedWork":
        """Return the folder of equal work, unchanged, or a fresh one.

        Args:
            directory: the folder; where it is a link, the one behind it.
            digest: of all that must be equal to continue.
            name: what lies there, for messages, such as "an unfinished training".
            overwrite: whether other work of ours may be removed.

        Raises:
            InputError: it holds other work, or work that other library versions began, and `overwrite` is false; or
                files of somebody else, whatever `overwrite` says.
            StorageError: it cannot be made.
        """
        directory = output_folder(directory)
        before = _what_was_remembered(directory)
        if before is not None:
            # Equal work was cut off here: its checkpoints and chosen values count. Other versions of the
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
            if not overwrite and before["digest"] == digest:
                raise InputError(
                    f"{directory}: holds {name} by other versions: {changed}; install those, set "
                    "overwrite=true to start anew, or another output_dir"
                )
            if not overwrite:
                raise InputError(
                    f"{directory}: holds {name} with other settings or data; "
                    "set overwrite=true to start anew, or another output_dir"
                )
            _remove(directory)
        with storage_errors(directory):
            directory.mkdir(parents=True, exist_ok=True)
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
        _remove(self.directory)


def unfinished_training(model_dir: Path, config: TrainConfig, corpus: PreparedCorpus) -> UnfinishedWork:
    """Return the folder of the training into `model_dir`; raises as `UnfinishedWork.open`."""
    digest = _digest(config, corpus)
    return UnfinishedWork.open(
        _training_dir(model_dir), digest, name="an unfinished training", overwrite=config.overwrite
    )


def unfinished_seeds(model_dir: Path, config: TrainConfig, corpus: PreparedCorpus) -> UnfinishedWork:
    """Return the folder of the trainings whose middle one goes to `model_dir`; raises as `UnfinishedWork.open`."""
    digest = _digest(config, corpus)
    return UnfinishedWork.open(_seeds_dir(model_dir), digest, name="unfinished trainings", overwrite=config.overwrite)


def is_unfinished(model_dir: Path, *, seeds: int = 1) -> bool:
    """Say whether a training into `model_dir`, or one with several seeds, was cut off, maybe after its model was saved.

    Raises:
        InputError: somebody else's files lie where the folder of such a training would.
    """
    folder = _training_dir(model_dir) if seeds == 1 else _seeds_dir(model_dir)
    return _what_was_remembered(output_folder(folder)) is not None


def _training_dir(model_dir: Path) -> Path:
    return model_dir.with_name(f"{model_dir.name}.unfinished")


def _seeds_dir(model_dir: Path) -> Path:
    return model_dir.with_name(f"{model_dir.name}.seeds")


def _what_was_remembered(directory: Path) -> dict[str, Any] | None:
    """Return what `UnfinishedWork.remember` wrote; None where the folder is empty or absent.

    Raises:
        InputError: there is something else.
        StorageError: the folder cannot be read.
    """
    with storage_errors(directory):
        if not directory.exists():
            return None
        names = {path.name for path in directory.iterdir()} if directory.is_dir() else {directory.name}
        if SETTINGS_FILE in names:
            try:
                content = json.loads((directory / SETTINGS_FILE).read_text(encoding="utf-8"))
            except ValueError:
                content = None
            if isinstance(content, dict) and {"digest", "resume_key"} <= content.keys():
                return cast(dict[str, Any], content)
    # A kill while the settings file is written for the first time leaves nothing but that.
    if all(is_temporary_of(name, SETTINGS_FILE) for name in names):
        return None
    raise InputError(
        f"{directory}: is where an unfinished training would lie, and holds something else; "
        "move that away, or set another output_dir"
    )


def _remove(directory: Path) -> None:
    """Remove the folder, its settings file last: what a kill leaves in between is still known as ours."""
    for path in directory.iterdir():
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)
        elif path.name != SETTINGS_FILE:
            path.unlink(missing_ok=True)
    shutil.rmtree(directory, ignore_errors=True)


def values_of_first_process(config: TrainConfig, corpus: PreparedCorpus) -> dict[str, Any]:
    """Return the values that the first process of `torchrun` has chosen for `auto` settings; waits for them.

    Raises:
        InputError: it chooses none in `WAIT_SECONDS`.
    """
    model_dir = Path(config.output_dir)
    path, digest = output_folder(_training_dir(model_dir)) / SETTINGS_FILE, _digest(config, corpus)
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
    if config.teacher or config.data.unlabelled:
        content.append([config.teacher, config.data.unlabelled])
    if config.seeds > 1:
        content.append(config.seeds)
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
