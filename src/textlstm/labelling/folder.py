"""`output=FOLDER/`: one job and one output for each input, under the input's name."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from textlstm.config import LabelConfig
from textlstm.corpus.rows.settings import STDIN
from textlstm.corpus.rows.tables import file_name_of
from textlstm.errors import InputError
from textlstm.labelling.inputs import local_path
from textlstm.labelling.job import Advance, label_files
from textlstm.labelling.manifest import Manifest
from textlstm.labelling.model import SAVED_MODELS, ModelSource
from textlstm.labelling.output import expand_names, open_target
from textlstm.labelling.planning import sha256_of_input
from textlstm.labelling.summary import LabelSummary
from textlstm.storage.databases import is_database
from textlstm.storage.files import storage_errors
from textlstm.storage.stores import is_remote


def label_each(
    config: LabelConfig,
    *,
    model_dir: Path | None = None,
    models: ModelSource = SAVED_MODELS,
    advance: Advance | None = None,
) -> Iterator[LabelSummary]:
    """Label each input into the folder `config.output`, and yield the summary of each job.

    Outputs that an earlier run of the same command finished are kept; an unfinished one is continued.

    Raises:
        InputError: Two inputs have one name; or as `label_files`.
        StorageError: The folder cannot be made; or as `label_files`.
    """
    digest = models.describe(Path(config.model_dir) if model_dir is None else model_dir).digest
    jobs = jobs_of_folder(config, digest)
    if not is_remote(config.output):
        with storage_errors(Path(config.output)):
            Path(config.output).expanduser().mkdir(parents=True, exist_ok=True)
    for job in jobs:
        yield label_files(job, model_dir=model_dir, models=models, advance=advance)


def jobs_of_folder(config: LabelConfig, digest: str) -> list[LabelConfig]:
    """Return the jobs into the folder `config.output` that are not done by the model of `digest`, one an input.

    Raises:
        InputError: Two inputs have one name, or standard input, which has none.
    """
    names = expand_names(config.input)
    if str(STDIN) in names:
        raise InputError(f"-: standard input has no name for an output in {config.output}; name a file as output")
    outputs = {name: f"{config.output}{_output_name(name)}" for name in names}
    # Two inputs of one name would be one output: refused before anything is written.
    doubled = [name for name in names if list(outputs.values()).count(outputs[name]) > 1]
    if doubled:
        raise InputError(
            f"{config.output}: {' and '.join(doubled)} have one name, so that one output would replace the other; "
            "label them into different folders"
        )
    jobs = [replace(config, input=[name], output=outputs[name]) for name in names]
    return [job for job in jobs if config.overwrite or not _is_done(job, digest)]


def _output_name(name: str) -> str:
    """Return the name of an input without its folder; a JSON array is written as JSONL, and is named so.

    >>> _output_name("in/a.csv"), _output_name("in/a.json.gz")
    ('a.csv', 'a.jsonl.gz')
    """
    if is_database(name):
        return file_name_of(name)
    return re.sub(r"\.json(?=$|\.gz$|\.zst$)", ".jsonl", name.rstrip("/").rpartition("/")[2], flags=re.IGNORECASE)


def _is_done(job: LabelConfig, digest: str) -> bool:
    """Return whether the output of `job` is there, labelled by the model of `digest` with the same settings."""
    target = open_target(job.output)
    # A work folder is left where the last step of a job was interrupted: the job itself finishes it.
    if target.store.exists(target.plan) or not all(map(target.store.exists, (target.name, target.manifest))):
        return False
    with target.store.open(target.manifest) as stream:
        manifest = Manifest.from_json(stream.read(), address=target.store.address(target.manifest))
    [source] = manifest.inputs
    return (
        manifest.model["digest"] == digest
        and _of_effect(manifest.config["labelling"]) == _of_effect(asdict(job.labelling))
        and source["sha256"] == sha256_of_input(local_path(job.input[0]))
    )


def _of_effect(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings of labelling that may change an output."""
    free = ("num_workers", "max_reject_fraction", "append")
    return {key: value for key, value in settings.items() if key not in free}
