"""The program of a `GpuProcess`: logits of encoded texts, for any number of processes that ask.

    python -m textlstm.inference.gpu_main DESCRIPTOR MODEL_DIR PRECISION

DESCRIPTOR is a socket that listens. The end of standard input, which nobody writes to, ends the process.
"""

import signal
import socket
import sys
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path

from textlstm.config import Device, Precision
from textlstm.errors import TextLSTMError
from textlstm.inference.classifier import RecurrentBranch, open_networks
from textlstm.inference.gpu_process import split_of
from textlstm.model_folder import load_saved_model
from textlstm.processes.call import Message, answered, end_with_parent, read_message, write_message
from textlstm.processes.devices import choose_device

Compute = Callable[[Message], Message]


def main() -> None:
    """Answer until the parent ends."""
    descriptor, model_dir, precision = sys.argv[1:]
    # Ctrl-C reaches every process of the terminal; the parent alone decides what follows.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=end_with_parent, args=(sys.stdin.fileno(),), daemon=True).start()
    # What is wrong with the model is the answer to every question.
    compute: Compute
    try:
        compute = partial(_logits, _networks(Path(model_dir), Precision(precision)), threading.Lock())
    except TextLSTMError as error:
        compute = partial(_refuse, error)
    with socket.socket(fileno=int(descriptor)) as listener:
        while True:
            connection, _ = listener.accept()
            threading.Thread(target=_serve, args=(connection, compute), daemon=True).start()


def _networks(model_dir: Path, precision: Precision) -> RecurrentBranch:
    import torch

    torch.cuda.set_device(choose_device(Device.cuda, key="labelling.device"))
    networks = open_networks(load_saved_model(model_dir), device=Device.cuda, num_threads=1, precision=precision)
    networks.prepare_for_many()
    return networks


def _logits(networks: RecurrentBranch, lock: threading.Lock, message: Message) -> Message:
    """Return the (N, L) logits of each network, by its number."""
    # One question after the other: each fills a GPU with its batches, and memory is that of one.
    with lock:
        return Message({}, {str(number): part for number, part in enumerate(networks.logits(split_of(message)))})


def _refuse(error: TextLSTMError, _message: Message) -> Message:
    raise error


def _serve(connection: socket.socket, compute: Compute) -> None:
    """Answer one process until it closes its end."""
    with connection, connection.makefile("rwb") as stream:
        while True:
            try:
                message = read_message(stream)
            except (EOFError, ConnectionError):
                return
            write_message(stream, answered(compute, message))
            stream.flush()


if __name__ == "__main__":
    main()
