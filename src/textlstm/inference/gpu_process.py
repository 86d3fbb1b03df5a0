"""Networks that one process a GPU computes, for the processes that read and prepare texts.

Each process that uses a GPU has a context of some hundred MB there, and the kernels of several processes run one after
the other. So a single process holds the networks; it is asked for the logits of encoded texts, and is sent 4 bytes a
token. Each question is computed by itself: the answer does not depend on who else asks.
"""

import os
import socket
import subprocess
import sys
from contextlib import suppress
from io import BufferedIOBase
from pathlib import Path

import numpy as np

from textlstm.config import Precision
from textlstm.errors import StorageError, TextLSTMError
from textlstm.models.network.inputs import EncodedSplit
from textlstm.processes.call import Message, raise_reported, read_message, write_message
from textlstm.processes.child import child_environment

COMMAND = (sys.executable, "-m", "textlstm.inference.gpu_main")
GPU_ADDRESS = "TEXTLSTM_GPU"
"""In the environment of a process that prepares texts: where the process of its GPU listens."""
_PARTS = ("token_ids", "offsets", "pos_ids", "spellings")
"""What networks read of an `EncodedSplit`."""


class GpuProcess:
    """A process that holds the networks of a model on a GPU, and ends with the one that started it."""

    def __init__(self, model_dir: Path, *, gpu: int, precision: Precision, folder: Path) -> None:
        """Start the process for the GPU of this number; it listens in `folder`, and loads the model meanwhile.

        Raises:
            StorageError: no socket can be made there; a path of more than about 100 bytes is too long for one.
        """
        self.address = str(folder / f"gpu-{gpu}")
        with socket.socket(socket.AF_UNIX) as listener:
            # From here on others may connect; the process takes them up once it has loaded the model.
            try:
                listener.bind(self.address)
            except OSError as error:
                raise StorageError(
                    f"{self.address}: no socket can be made: {error.strerror or error}; set TMPDIR to a shorter path"
                ) from error
            listener.listen(socket.SOMAXCONN)
            self._process = subprocess.Popen(  # noqa: S603 - this package, a folder and numbers
                [*COMMAND, str(listener.fileno()), str(model_dir), precision.value],
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                # The name under which `choose_device` finds the GPU of a process.
                env=child_environment() | {"LOCAL_RANK": str(gpu)},
                pass_fds=[listener.fileno()],
            )

    @property
    def pid(self) -> int:
        """Id of the process."""
        return self._process.pid

    def close(self) -> None:
        """End the process."""
        self._process.kill()
        self._process.wait()
        if self._process.stdin is not None:
            with suppress(BrokenPipeError):
                self._process.stdin.close()


class GpuNetworks:
    """The networks of a model, computed by a `GpuProcess`; torch is not loaded."""

    def __init__(self, address: str) -> None:
        """Ask the process that listens at `address`, from the first texts on."""
        self._address = address
        self._stream: BufferedIOBase | None = None
        self._process = os.getpid()

    def prepare_for_many(self) -> None:
        """Do nothing: the other process is prepared for many texts."""

    def after_fork(self) -> None:
        """Ask over a connection of its own in a forked process."""
        if os.getpid() != self._process:
            self._stream, self._process = None, os.getpid()

    def logits(self, split: EncodedSplit) -> list[np.ndarray]:
        """Return the (N, L) float32 logits of each network.

        Raises:
            TextLSTMError: the other process has ended, or met an error.
        """
        parts = {name: part for name in _PARTS if (part := getattr(split, name)) is not None}
        try:
            stream = self._stream = self._stream or _connected(self._address)
            write_message(stream, Message({}, parts))
            stream.flush()
            found = read_message(stream)
        except (OSError, EOFError) as error:
            raise TextLSTMError(
                "the process that computes on the GPU has ended (out of memory?); finished shards are kept, run the "
                "same command to go on, or with labelling.device=cpu"
            ) from error
        raise_reported(found)
        return list(found.arrays.values())


def split_of(message: Message) -> EncodedSplit:
    """Return the texts that a message of `GpuNetworks.logits` holds; labels are unknown, and zeros stand for them."""
    parts = {name: message.arrays.get(name) for name in _PARTS}
    targets = np.zeros(len(message.arrays["offsets"]) - 1, dtype=np.int64)
    return EncodedSplit(targets=targets, **parts)  # type: ignore[arg-type]  # None only where None may be


def _connected(address: str) -> BufferedIOBase:
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(address)
        # The stream keeps the connection open when this name of it is closed.
        return connection.makefile("rwb")
