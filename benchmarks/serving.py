"""Requests a second of `textlstm serve`, beside the server of an earlier commit; answers are compared with the library.

    python benchmarks/serving.py --model DIR --texts rows.jsonl [--before CHECKOUT] [--clients 64] [--rounds 3]

CHECKOUT is a folder of an earlier commit with its .venv. Both servers run all the time and are asked in turns, one row
a request, each client waiting for its answer before it asks again. The wait of batches is the default.
"""

import argparse
import asyncio
import json
import os
import signal
import statistics
import subprocess
import sys
import time
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import numpy as np

from textlstm import Prediction, TextClassifier
from textlstm.config import ServeConfig

MOST_DIFFERENCE = 1e-6
"""Between a served probability and the library's."""


class Measured(NamedTuple):
    """One round with one server."""

    requests_per_second: float
    milliseconds: list[float]
    """Of every request."""
    num_wrong: int


class Client(asyncio.Protocol):
    """One connection that asks for one row after another."""

    def __init__(self, bodies: list[bytes], *, first: int, end: float, done: "asyncio.Future[None]") -> None:
        self._bodies, self._next, self._end, self.done = bodies, first, end, done
        self._head = self._content = b""
        self.answers: list[tuple[int, float, bytes]] = []
        """Number of the text, seconds, body of the answer."""

    def itself(self) -> "Client":
        """Return this client, as the event loop asks for it."""
        return self

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Ask for the first row."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._ask()

    def _ask(self) -> None:
        if time.perf_counter() > self._end:
            self._transport.close()
            self.done.set_result(None)
            return
        self._content, self._start = b"", time.perf_counter()
        self._transport.write(self._bodies[self._next % len(self._bodies)])

    def data_received(self, data: bytes) -> None:
        """Note the answer once it is whole, and ask for the next row."""
        self._content += data
        head, found, body = self._content.partition(b"\r\n\r\n")
        if not found:
            return
        length = int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0])
        if len(body) < length:
            return
        self.answers.append((self._next % len(self._bodies), time.perf_counter() - self._start, body))
        self._next += 1
        self._ask()

    def connection_lost(self, exc: Exception | None) -> None:
        """Fail unless the round is over."""
        if not self.done.done():
            self.done.set_exception(ConnectionError(f"the server closed a connection: {exc}"))


def main() -> int:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", required=True)
    parser.add_argument("--texts", required=True, type=Path, help="JSONL file with a column text")
    parser.add_argument("--before", type=Path, help="checkout of an earlier commit")
    parser.add_argument("--clients", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=5.0, help="of a round")
    given = parser.parse_args()
    texts = [json.loads(line)["text"] for line in given.texts.read_text().splitlines()[:2000]]
    classifier = TextClassifier.load(given.model)
    expected = list(zip(classifier.predict(texts), classifier.predict_proba(texts), strict=True))
    commands = {"now": Path(sys.executable).with_name("textlstm")}
    if given.before:
        commands["before"] = given.before / ".venv" / "bin" / "textlstm"
    rounds: dict[str, list[Measured]] = {}
    with ExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory()))
        ports: dict[str, int] = {}
        for name, command in commands.items():
            start = time.perf_counter()
            server = Server(command, given.model, folder / name, port=5900 + 100 * len(ports))
            ports[name] = stack.enter_context(server).port
            print(f"{name}: ready after {time.perf_counter() - start:.1f} s", flush=True)
        for _ in range(given.rounds):
            for name, port in ports.items():
                for clients in (1, given.clients):
                    answers = asyncio.run(ask(port, texts, clients=clients, seconds=given.seconds))
                    rounds.setdefault(f"{name}, {clients} clients", []).append(
                        measured(answers, expected, given.seconds)
                    )
    print("| | requests/s | p50 ms | p95 ms | wrong answers |\n|---|---|---|---|---|")
    middle = {}
    for name, found in rounds.items():
        rate = statistics.median(one.requests_per_second for one in found)
        milliseconds = np.concatenate([one.milliseconds for one in found])
        p50, p95 = np.percentile(milliseconds, (50, 95))
        middle[name] = (rate, p50)
        wrong = sum(one.num_wrong for one in found)
        print(f"| {name} | {rate:.0f} | {p50:.1f} | {p95:.1f} | {wrong} |")
    many, alone, wait = f"now, {given.clients} clients", "now, 1 clients", ServeConfig().batch_wait_ms
    print(f"4 times (single-client p50 + batch wait): {4 * (middle[alone][1] + wait):.1f} ms")
    print(f"4 times single-client p50 times batch wait: {4 * middle[alone][1] * wait:.1f} ms")
    if given.before:
        ratio = middle[many][0] / middle[f"before, {given.clients} clients"][0]
        print(f"requests/s of {given.clients} clients, now over before: {ratio:.1f}")
    return int(any(one.num_wrong for found in rounds.values() for one in found))


async def ask(port: int, texts: list[str], *, clients: int, seconds: float) -> list[tuple[int, float, bytes]]:
    """Return the answers that `clients` connections got in `seconds`."""
    bodies = []
    for text in texts:
        body = json.dumps({"dataframe_split": {"columns": ["text"], "data": [[text]]}}).encode()
        head = "POST /invocations HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
        bodies.append(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
    loop = asyncio.get_running_loop()
    end = time.perf_counter() + seconds
    protocols = []
    for number in range(clients):
        first = number * len(bodies) // clients
        protocol = Client(bodies, first=first, end=end, done=loop.create_future())
        protocols.append(protocol)
        # partial, since a lambda would see the last protocol only
        await loop.create_connection(partial(Client.itself, protocol), "127.0.0.1", port)
    await asyncio.gather(*(protocol.done for protocol in protocols))
    return [answer for protocol in protocols for answer in protocol.answers]


def measured(
    answers: list[tuple[int, float, bytes]], expected: list[tuple[Prediction, np.ndarray]], seconds: float
) -> Measured:
    """Return the figures of a round, and how many answers differ from the library's."""
    wrong = 0
    for place, _, body in answers:
        prediction, probabilities = expected[place]
        [row] = json.loads(body).get("predictions", [{}])
        near_tie = float(np.diff(np.sort(probabilities)[-2:])[0]) < MOST_DIFFERENCE
        right = row.get("label") == prediction.label or near_tie
        wrong += not (right and abs(row["probability"] - prediction.probability) <= MOST_DIFFERENCE)
    return Measured(len(answers) / seconds, [1000 * took for _, took, _ in answers], wrong)


class Server:
    """A server of one checkout, from its start until the block ends."""

    def __init__(self, command: Path, model: str, folder: Path, *, port: int) -> None:
        self._arguments = [str(command), "serve", f"model_dir={model}", f"port={port}", f"tracking.dir={folder}"]

    def __enter__(self) -> "Server":
        # The paths of this checkout must not reach the other one.
        environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
        self._process = subprocess.Popen(
            self._arguments, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=environment
        )
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line.startswith("scoring"):
            raise RuntimeError(f"the server did not start: {' '.join(self._arguments)}")
        self.port = int(line.rsplit(":", 1)[1].split("/")[0])
        return self

    def __exit__(self, *_: object) -> None:
        self._process.send_signal(signal.SIGTERM)
        self._process.wait(timeout=60)


if __name__ == "__main__":
    sys.exit(main())
