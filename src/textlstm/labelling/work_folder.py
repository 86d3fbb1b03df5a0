"""The work folder of a job, held by one process at a time; which outputs a job may replace."""

import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from textlstm.config import LabelConfig
from textlstm.errors import InputError, StorageError
from textlstm.labelling.manifest import Manifest
from textlstm.labelling.output import Target
from textlstm.labelling.plan import Plan
from textlstm.storage.databases import is_database
from textlstm.storage.files import storage_errors
from textlstm.storage.locks import OutputLock

_NAMES = re.compile(r"lock|plan\.json|inputs|unfinished|earlier|[0-9a-f]{16}")
"""What a work folder holds: parts lie in a folder that is named by the key of their plan."""


def refuse_existing(target: Target, config: LabelConfig) -> None:
    """Refuse to replace a finished output, unless a work folder says that a kill may have come before the tidying up.

    Raises:
        InputError: The output exists.
    """
    if config.labelling.append and is_database(config.output):
        raise InputError(f"{config.output}: labelling.append=true needs a file as output, whose labels can be kept")
    if config.overwrite or config.labelling.append:
        return
    if not target.store.exists(target.name) or target.store.exists(target.plan):
        return
    raise _exists(config)


def refuse_other_work(target: Target, *, output: str) -> None:
    """Refuse to put a job's work folder where somebody else's files lie, which would go with it at the end.

    Raises:
        InputError: They do.
        StorageError: The folder cannot be read.
    """
    if not target.is_local:
        return
    folder = Path(target.store.address(target.work))
    with storage_errors(folder):
        names = [path.name for path in folder.iterdir()] if folder.is_dir() else []
    if any(not _NAMES.fullmatch(name) for name in names) or (folder.exists() and not folder.is_dir()):
        raise InputError(
            f"{folder}: is where the work folder of {output} would lie, and holds something else; "
            "move that away, or choose another output"
        )


def refuse_other_output(target: Target, plan: Plan, config: LabelConfig) -> None:
    """Refuse to replace an output that is not the one that `plan` gives, or goes back to.

    Raises:
        InputError: The output is another one.
    """
    if config.overwrite or plan.earlier or not target.store.exists(target.name):
        return
    # Every job writes a manifest before its output, so a file without one is not ours.
    if not target.store.exists(target.manifest):
        raise _exists(config)
    with target.store.open(target.manifest) as stream:
        manifest = Manifest.from_json(stream.read(), address=target.store.address(target.manifest))
    if manifest.plan != plan.key:
        raise _exists(config)


def _exists(config: LabelConfig) -> InputError:
    return InputError(f"{config.output}: exists; choose another output or set overwrite=true")


@contextmanager
def work_folder(target: Target, *, output: str) -> Iterator[tuple[int, ...]]:
    """Hold the work folder for one job; give the descriptors that its workers must keep open.

    What is finished stays for the next run of the same command. Nothing stays of a job that ends before it was planned,
    or by an error of the input, which asks for another command.

    Raises:
        InputError: Another command holds it.
    """
    # flock works on local disks; a remote output is not locked.
    lock = OutputLock(Path(target.store.address(target.work)), output=output) if target.is_local else None
    existed = target.store.exists(target.plan)
    try:
        yield () if lock is None else (lock.descriptor,)
    except BaseException as error:
        is_of_use = target.store.exists(target.plan) and not isinstance(error, InputError)
        if not existed and not is_of_use:
            with suppress(StorageError):
                target.store.remove_folder(target.work)
        raise
    finally:
        if lock is not None:
            lock.release()
