"""A process that has imported every stage and runs each command in a fork of itself: a run starts in milliseconds.

`CommandServer` is the client; the file itself, run as a script, is the server. A command sees what a fresh process
would: its own folder, standard streams in files, an exit through Python's normal end. The processes that a command
starts as `python -m textlstm...` are forks of it as well, with the streams, descriptors and environment that it gives
them, unless it is asked for with `fresh_children`.
"""

import atexit
import gc
import json
import os
import runpy
import signal
import socket
import subprocess
import sys
import threading
import time
import traceback
import warnings
from collections.abc import Callable
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple, Self


class Outcome(NamedTuple):
    """How a command ended."""

    code: int
    """Exit code; below 0 the signal that killed it."""
    seconds: float
    cpu_seconds: float
    """Of the command and the processes that it waited for."""
    out: str
    err: str
    is_late: bool
    """Whether it was killed because it took too long."""


class CommandServer:
    """Starts the server and sends it commands."""

    def __init__(self, *, planted: str = "") -> None:
        """Start it.

        Args:
            planted: a stage that raises ZeroDivisionError in place of its work: the negative control.
        """
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "PLANTED_FAULT": planted, "HF_HUB_OFFLINE": "1"}
        environment |= {"MLFLOW_DISABLE_TELEMETRY": "true", "DO_NOT_TRACK": "true"}
        self._process = subprocess.Popen(
            [sys.executable, __file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment, text=True
        )

    def run(
        self, arguments: list[str], *, folder: Path, stdin: bytes, seconds: float, fresh_children: bool = False
    ) -> Outcome:
        """Run `textlstm` with `arguments` in `folder`; its streams are kept beside the folder."""
        streams = folder.with_name(f"{folder.name}-streams")
        streams.mkdir(exist_ok=True)
        (streams / "in").write_bytes(stdin)
        request = {"arguments": arguments, "folder": str(folder), "streams": str(streams), "seconds": seconds}
        request["fresh_children"] = fresh_children
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        answer = json.loads(self._process.stdout.readline())
        out, err = ((streams / name).read_text(errors="replace") for name in ("out", "err"))
        return Outcome(answer["code"], answer["seconds"], answer["cpu_seconds"], out, err, answer["is_late"])

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process.stdin
        self._process.stdin.close()
        self._process.wait(10)


def _serve() -> None:
    """Answer requests until the client is gone; in a forked child, become the command."""
    _allow_only_loopback()
    from textlstm.cli.main import STAGES, Command, main

    for name in (*(f"stages.{stage}" for stage in STAGES), "inference.classifier", "text.pipeline"):
        import_module(f"textlstm.{name}")
    import_module("mlflow")  # two seconds, and no thread that a fork would lose
    assert threading.active_count() == 1

    if planted := os.environ.pop("PLANTED_FAULT", ""):
        stage = Command.stage

        def faulty(self: Command):
            return (lambda _: 1 // 0) if self.stage_name == planted else stage(self)

        Command.stage = faulty  # type: ignore[method-assign]
    for line in sys.stdin:
        request = json.loads(line)
        began = time.monotonic()
        child = os.fork()
        if child == 0:
            _become(request)
            if not request["fresh_children"]:
                subprocess.Popen = _ForkedPopen  # type: ignore[misc]
            _end(main, request["arguments"], modules=Path(request["streams"]) / "modules")
        code, is_late, cpu_seconds = _wait(child, seconds=request["seconds"])
        _import_what_was_loaded(Path(request["streams"]) / "modules")
        answer = {"code": code, "is_late": is_late, "seconds": time.monotonic() - began, "cpu_seconds": cpu_seconds}
        print(json.dumps(answer), flush=True)  # noqa: T201


def _end(main: Callable[[list[str]], int], arguments: list[str], *, modules: Path) -> None:
    """Run the command and end this process as Python would, but for the slow tearing down of modules."""
    code = 1
    try:
        code = main(arguments)
    except SystemExit as stop:
        code = stop.code if isinstance(stop.code, int) else 1
    except BaseException:
        traceback.print_exc()
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    modules.write_text("\n".join(sorted(sys.modules)))
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    os._exit(code)


def _import_what_was_loaded(modules: Path) -> None:
    """Import here what a command has imported, so that the next ones find it."""
    if modules.exists():
        for name in modules.read_text().splitlines():
            if name not in sys.modules and not name.startswith(("mlflow", "antlr4")):
                with suppress(Exception):
                    import_module(name)
        gc.collect()
        gc.freeze()


class _ForkedPopen(subprocess.Popen):  # type: ignore[type-arg]
    """Forks where a module of this package is to be run; all else, such as pipes and waiting, is as ever."""

    def _execute_child(self, args: Any, *rest: Any) -> None:
        if not (isinstance(args, list) and args[:2] == [sys.executable, "-m"] and args[2].startswith("textlstm")):
            super()._execute_child(args, *rest)  # type: ignore[misc]
            return
        # The order of the arguments is that of Python 3.11 and later.
        _, _, _, pass_fds, folder, environment, _, _, _, *pipes = rest[:15]
        is_session = rest[20]
        self.pid = os.fork()
        if self.pid == 0:
            _become_child(args[2:], pass_fds, folder, environment, pipes, is_session=is_session)
        self._child_created = True
        self._close_pipe_fds(*pipes)  # type: ignore[attr-defined]


def _become_child(
    command: list[str], pass_fds: Any, folder: Any, environment: Any, pipes: list[int], *, is_session: bool
) -> None:
    """Be the process that `python -m command` would have been."""
    from textlstm.processes.signals import _State

    code = 1
    try:
        if is_session:
            os.setsid()
        for number, descriptor in ((0, pipes[0]), (1, pipes[3]), (2, pipes[5])):
            if descriptor != -1:
                os.dup2(descriptor, number)
        kept = [0, 1, 2, *sorted(pass_fds)]
        for before, after in zip(kept, [*kept[1:], os.sysconf("SC_OPEN_MAX")], strict=True):
            os.closerange(before + 1, min(after, 4096))
        if folder is not None:
            os.chdir(folder)
        if environment is not None:
            os.environ.clear()
            os.environ.update(environment)
        # What the command has registered for its own end is no business of its children.
        atexit._clear()
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)
        _State.watcher = None
        _open_streams()
        sys.argv = list(command)
        warnings.simplefilter("ignore")
        runpy.run_module(command[0], run_name="__main__", alter_sys=True)
        code = 0
    except SystemExit as stop:
        code = stop.code if isinstance(stop.code, int) else int(stop.code is not None)
    except BaseException:
        traceback.print_exc()
    for stream in (sys.stdout, sys.stderr):
        with suppress(Exception):
            stream.flush()
    atexit._run_exitfuncs()
    os._exit(code)


def _become(request: dict[str, str]) -> None:
    """Take the place of a fresh process: a session, a folder and streams of its own."""
    os.setsid()
    os.chdir(request["folder"])
    streams = Path(request["streams"])
    scratch = streams / "tmp"
    scratch.mkdir(exist_ok=True)
    os.environ["TMPDIR"] = str(scratch)
    for number, name, flags in ((0, "in", os.O_RDONLY), (1, "out", os.O_WRONLY), (2, "err", os.O_WRONLY)):
        descriptor = os.open(streams / name, flags | (os.O_CREAT | os.O_TRUNC if number else 0), 0o644)
        os.dup2(descriptor, number)
        os.close(descriptor)
    _open_streams()


def _open_streams() -> None:
    sys.stdin = os.fdopen(0, "r", closefd=False)
    sys.stdout = sys.__stdout__ = os.fdopen(1, "w", closefd=False)  # type: ignore[misc]
    sys.stderr = sys.__stderr__ = os.fdopen(2, "w", buffering=1, errors="backslashreplace", closefd=False)  # type: ignore[misc]


def _wait(child: int, *, seconds: float) -> tuple[int, bool, float]:
    deadline = time.monotonic() + seconds
    is_late = False
    while True:
        found, status, usage = os.wait4(child, 0 if is_late else os.WNOHANG)
        if found:
            return os.waitstatus_to_exitcode(status), is_late, usage.ru_utime + usage.ru_stime
        if time.monotonic() > deadline:
            os.killpg(child, signal.SIGKILL)
            is_late = True
        time.sleep(0.005)


def _allow_only_loopback() -> None:
    connect = socket.socket.connect

    def guarded(self: socket.socket, address: object) -> None:
        if self.family in (socket.AF_INET, socket.AF_INET6) and not str(address[0]).startswith("127."):  # type: ignore[index]
            raise OSError(f"no network here: {address}")
        connect(self, address)  # type: ignore[arg-type]

    socket.socket.connect = guarded  # type: ignore[method-assign,assignment]


if __name__ == "__main__":
    _serve()
