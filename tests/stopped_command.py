"""A command in whose way one function is replaced by a call into C code that hears no signal for a minute.

`python stopped_command.py MODULE.NAME MARKER DEAF_SECONDS STAGE ...`: the file MARKER appears when the call has begun.
DEAF_SECONDS is what `textlstm.processes.signals` waits for its handler.
"""

import hashlib
import sys
from importlib import import_module
from pathlib import Path

from textlstm.cli import main
from textlstm.processes import signals

ITERATIONS = 200_000_000
"""Of a hash: about a minute in one call into C code."""


def replace(address: str, marker: Path) -> None:
    """Put the deaf call in place of a function."""

    def deaf(*_: object, **__: object) -> None:
        marker.touch()
        hashlib.pbkdf2_hmac("sha256", b"a", b"b", ITERATIONS)

    holder, _, name = address.rpartition(".")
    place = import_module(holder.partition(":")[0])
    for part in filter(None, holder.partition(":")[2].split(".")):
        place = getattr(place, part)
    getattr(place, name)  # it is there
    setattr(place, name, deaf)


if __name__ == "__main__":
    replace(sys.argv[1], Path(sys.argv[2]))
    signals._DEAF_SECONDS = float(sys.argv[3])
    sys.exit(main(sys.argv[4:]))
