"""A server that runs for as long as its command does, with all of its processes."""

import contextlib
import os
import signal
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from textlstm.errors import StorageError

_GRACE_SECONDS = 5.0


class ServerProcess:
    """A running server and its process group."""

    def __init__(self, process: "subprocess.Popen[bytes]", log: Path) -> None:
        """Wrap a process that leads its own group."""
        self._process = process
        self.log = log

    def wait_until_healthy(self, url: str, *, seconds: float = 180.0) -> None:
        """Return once `url` answers.

        Raises:
            StorageError: The server ended or did not answer in time.
        """
        deadline = time.monotonic() + seconds
        # No proxy: the server runs on this machine.
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        while time.monotonic() < deadline:
            if self._process.poll() is not None:
                raise StorageError(f"the server ended with status {self._process.returncode}: {self._last_words()}")
            with contextlib.suppress(urllib.error.URLError, OSError):
                opener.open(url, timeout=2.0).close()
                return
            time.sleep(0.2)
        raise StorageError(f"the server did not answer within {seconds:.0f} s; its log is {self.log}")

    def wait(self) -> int:
        """Wait until the server ends by itself; return its exit status."""
        return self._process.wait()

    def stop(self) -> None:
        """End the whole process group: politely, and after 5 s by force."""
        # The whole group, since the server has processes of its own.
        for number in (signal.SIGTERM, signal.SIGKILL):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, number)
            deadline = time.monotonic() + _GRACE_SECONDS
            while self._group_lives() and time.monotonic() < deadline:
                time.sleep(0.05)
            if not self._group_lives():
                return

    def _group_lives(self) -> bool:
        self._process.poll()  # takes the leader out of the process table
        # Signal 0 is not delivered; it only asks whether a process of the group is left.
        try:
            os.killpg(self._process.pid, 0)
        except ProcessLookupError:
            return False
        except PermissionError:
            # A process is left that belongs to another user.
            return True
        return True

    def _last_words(self) -> str:
        lines = [line.strip() for line in self.log.read_text("utf-8", "replace").splitlines() if line.strip()]
        return lines[-1] if lines else f"see {self.log}"


@contextmanager
def running_server(
    command: Sequence[str], *, environment: Mapping[str, str], log: Path, folder: Path
) -> Iterator[ServerProcess]:
    """Run `command` in a process group of its own until the block ends, however it ends.

    Raises:
        StorageError: The log cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        stream = log.open("wb")
    except OSError as error:
        raise StorageError(f"{log}: {error.strerror}") from error
    with stream:
        process = subprocess.Popen(  # noqa: S603  (MLflow's server, no shell)
            command,
            env=dict(environment),
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=stream,
            stderr=subprocess.STDOUT,
            # A group of its own, so that `stop` reaches all of its processes.
            start_new_session=True,
        )
        server = ServerProcess(process, log)
        try:
            yield server
        finally:
            server.stop()
