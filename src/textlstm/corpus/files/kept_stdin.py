"""Standard input in a file, for those who read it twice."""

import atexit
import os
import shutil
import sys
import tempfile
from functools import cache
from pathlib import Path

from textlstm.corpus.files.storage import storage_errors


@cache
def kept_stdin() -> Path:
    """Copy standard input to a file named `stdin`, once a process; the file goes when the process ends.

    Raises:
        StorageError: There is no room for it.
    """
    with storage_errors(Path(tempfile.gettempdir())):
        directory = Path(tempfile.mkdtemp(prefix="textlstm-"))
        atexit.register(shutil.rmtree, directory, ignore_errors=True)
        path = directory / "stdin"
        with os.fdopen(os.dup(sys.stdin.fileno()), "rb") as source, path.open("wb") as copy:
            shutil.copyfileobj(source, copy)
    return path
