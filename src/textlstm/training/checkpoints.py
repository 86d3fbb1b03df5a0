"""Checkpoints of an unfinished training: plain tensors and JSON, written atomically, checked before they are opened.

A checkpoint is `state-N.safetensors` and then `state-N.json`, which holds the digest of the first, the progress and
its own digest; the renaming of the JSON file is the moment at which the checkpoint exists. The last two are kept.
"""

import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from textlstm.errors import ConfigError, IntegrityError, StorageError
from textlstm.storage.files import replace_file
from textlstm.storage.signed_json import DamagedJsonError, SignedJson

_FORMAT = 1
_KEPT = 2
_SIGNED = SignedJson(
    "sha256",
    lambda content: json.dumps(content, sort_keys=True).encode(),
    write=lambda content: json.dumps(content, indent=1).encode(),
)


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A checkpoint that was read back."""

    tensors: dict[str, Tensor]
    progress: dict[str, Any]
    events: list[str]
    """Damaged newer checkpoints that were passed over, one line each."""


class HostCopies(NamedTuple):
    """Contiguous copies of tensors on the CPU."""

    tensors: dict[str, Tensor]
    """From a GPU they lie in pinned memory, and have their numbers once `copied` has come."""
    copied: torch.cuda.Event | None
    """None where nothing is copied."""

    def ready(self) -> dict[str, Tensor]:
        """Wait for the copies, and return them."""
        if self.copied is not None:
            self.copied.synchronize()
        return self.tensors


def copies_on_host(tensors: dict[str, Tensor]) -> HostCopies:
    """Begin to copy `tensors` to the CPU, as they are now; later steps of a GPU come after the copies."""
    copies, copied = {}, None
    for name, tensor in tensors.items():
        if not tensor.is_cuda:
            copies[name] = tensor.detach().contiguous()
            continue
        copies[name] = torch.empty(tensor.shape, dtype=tensor.dtype, pin_memory=True)
        copies[name].copy_(tensor.detach(), non_blocking=True)
        # The event comes after the last copy, on the stream of all of them.
        copied = copied or torch.cuda.Event()  # type: ignore[no-untyped-call]
        copied.record(torch.cuda.current_stream(tensor.device))
    return HostCopies(copies, copied)


class CheckpointStore:
    """The checkpoints of one training in one folder."""

    def __init__(self, directory: Path, *, fingerprint: str) -> None:
        """Use `directory` for the training whose data, settings and first weights have this `fingerprint`."""
        self.directory = directory
        self.fingerprint = fingerprint

    def save(self, tensors: dict[str, Tensor], progress: dict[str, Any]) -> None:
        """Write a checkpoint; it is there as a whole or not at all, also after a kill or a power cut.

        Raises:
            StorageError: the disk is full, read-only, or fails.
        """
        from safetensors.torch import save

        try:
            self.directory.mkdir(parents=True, exist_ok=True)
            # A number that no file has, damaged or half-written ones included, so nothing is overwritten.
            numbers = [int(path.name[6:12]) for path in self.directory.glob("state-??????.*")]
            name = f"state-{max(numbers, default=0) + 1:06d}"
            data = save(tensors)
            # A kill after this file and before the next leaves tensors without a JSON file, which `load` never sees.
            replace_file(self.directory / f"{name}.safetensors", data)
            # The JSON file vouches for the tensors by their digest, and for itself by its own.
            content = {"format": _FORMAT, "fingerprint": self.fingerprint, "progress": progress}
            content["tensors_sha256"] = hashlib.sha256(data).hexdigest()
            replace_file(self.directory / f"{name}.json", _SIGNED.to_bytes(content))
            # Old checkpoints go only once the new one exists.
            self._remove_old()
        except OSError as error:
            raise StorageError(f"{self.directory}: the checkpoint cannot be written: {error.strerror}") from error

    def load(self) -> Checkpoint | None:
        """Return the newest sound checkpoint, or None when there is none at all.

        Raises:
            IntegrityError: there are checkpoints and each is damaged.
            ConfigError: the newest sound checkpoint belongs to other data or settings.
        """
        damaged: list[str] = []
        # Newest first: a damaged one is noted and the one before it is tried.
        for path in sorted(self.directory.glob("state-*.json"), reverse=True):
            try:
                content, data = _read(path)
            except (OSError, ValueError) as error:
                damaged.append(f"{path}: damaged checkpoint: {error}")
                continue
            # A sound checkpoint of another training is an error at once: older ones are not tried.
            if content["fingerprint"] != self.fingerprint:
                raise ConfigError(
                    f"{path}: a checkpoint of a training with other data or settings; "
                    "remove the folder or choose another to start anew"
                )
            from safetensors.torch import load

            return Checkpoint(tensors=load(data), progress=content["progress"], events=damaged)
        if damaged:
            raise IntegrityError(*damaged, f"{self.directory}: no sound checkpoint; remove the folder to start anew")
        return None

    def _remove_old(self) -> None:
        kept = {path.stem for path in sorted(self.directory.glob("state-*.json"))[-_KEPT:]}
        # This also removes tensors whose JSON file was never written.
        for path in sorted(self.directory.glob("state-*")):
            if path.name.split(".")[0] not in kept:
                path.unlink(missing_ok=True)


class CheckpointWriter:
    """Writes the checkpoints of a training: from a CPU at once, from a GPU in a thread while the training goes on."""

    def __init__(self, store: CheckpointStore) -> None:
        """Write to `store`."""
        self._store = store
        self._thread: threading.Thread | None = None
        self._error: Exception | None = None

    def save(self, tensors: dict[str, Tensor], progress: dict[str, Any]) -> None:
        """Write a checkpoint of `tensors` as they are now; the same bytes whoever writes them.

        Raises:
            StorageError: this checkpoint, or the one before, cannot be written.
        """
        # One at a time, so that the memory for copies is that of one, and the newest file is the newest checkpoint.
        self.wait()
        copies = copies_on_host(tensors)
        if copies.copied is None:
            self._store.save(copies.tensors, progress)
            return
        self._thread = threading.Thread(target=self._write, args=(copies, progress), name="checkpoint")
        self._thread.start()

    def wait(self) -> None:
        """Wait until the last checkpoint is written.

        Raises:
            StorageError: it cannot be written.
        """
        if self._thread is not None:
            self._thread.join()
            self._thread = None
        error, self._error = self._error, None
        if error is not None:
            raise error

    @contextmanager
    def until_written(self) -> Iterator[None]:
        """Do not leave the block before the last checkpoint is written, however it is left.

        Raises:
            StorageError: it cannot be written, and nothing else was wrong.
        """
        try:
            yield
        except BaseException:
            with suppress(StorageError):
                self.wait()
            raise
        self.wait()

    def _write(self, copies: HostCopies, progress: dict[str, Any]) -> None:
        try:
            self._store.save(copies.ready(), progress)
        except Exception as error:  # raised by `wait`, in the thread of the training
            self._error = error


def _read(path: Path) -> tuple[dict[str, Any], bytes]:
    """Return the JSON content and the tensors' bytes of a checkpoint, both checked; a ValueError says what is wrong."""
    try:
        content = _SIGNED.from_bytes(path.read_bytes())
    except DamagedJsonError as error:
        raise ValueError("the digest of its JSON file is off") from error
    if content["format"] != _FORMAT:
        raise ValueError(f"format {content['format']}, this version reads {_FORMAT}")
    data = path.with_suffix(".safetensors").read_bytes()
    if hashlib.sha256(data).hexdigest() != content["tensors_sha256"]:
        raise ValueError("the digest of its tensors is off")
    return content, data
