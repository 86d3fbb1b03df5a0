"""The scoring server: equal to the classifier, calm under load, strict about what it is sent."""

import contextlib
import http.client
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

import textlstm
from textlstm.config import ServeConfig
from textlstm.errors import ConfigError
from textlstm.inference.classifier import TextClassifier
from textlstm.model_folder import model_digest
from textlstm.serving.server import check_serving_host

NUM_CLIENTS = 64
WORDS = ["goal", "match", "coach", "bank", "share", "profit", "actor", "scene", "plot", "the", "a", "said"]
_SERVE = "import sys; from textlstm.cli.main import main; sys.exit(main(sys.argv[1:]))"


@pytest.mark.parametrize("host", ["0.0.0.0", "192.168.1.5", "example.org", "::"])
def test_public_address_is_refused(host: str) -> None:
    with pytest.raises(ConfigError) as caught:
        check_serving_host(host, allow_public=False)
    assert str(caught.value) == (
        f"host: {host} can be reached by others and the scoring server knows no passwords; "
        "keep 127.0.0.1 and put a proxy with authentication in front, or set allow_public=true"
    )
    check_serving_host(host, allow_public=True)


def test_default_address_is_loopback() -> None:
    check_serving_host(ServeConfig().host, allow_public=False)


def _start(model: Path, folder: Path, *settings: str) -> "subprocess.Popen[str]":
    command = [sys.executable, "-c", _SERVE, "serve", f"model_dir={model}", f"tracking.dir={folder}", "port=5301"]
    return subprocess.Popen([*command, *settings], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def _address(process: "subprocess.Popen[str]") -> str:
    assert process.stdout is not None
    line = process.stdout.readline()
    assert line.startswith("scoring "), line
    return line.split()[1].removesuffix("/invocations")


def _stop(process: "subprocess.Popen[str]", number: int = signal.SIGTERM) -> int:
    process.send_signal(number)
    _, errors = process.communicate(timeout=30)
    assert "Traceback" not in errors, errors
    return process.returncode


@pytest.fixture(scope="module")
def server(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a scoring server for the tiny model, with small limits."""
    limits = ["max_rows=50", "max_body_bytes=20000"]
    process = _start(tiny_model, tmp_path_factory.mktemp("serving"), *limits)
    yield _address(process)
    assert _stop(process) == 143


@pytest.fixture(scope="module")
def address(server: str) -> str:
    return f"{server}/invocations"


def _post(address: str, body: bytes, content_type: str = "application/json") -> tuple[int, bytes]:
    request = urllib.request.Request(address, body, {"Content-Type": content_type})
    try:
        with urllib.request.urlopen(request, timeout=120) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()


def _get(address: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(address, timeout=30) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def _ask(address: str, text: str) -> tuple[str, float]:
    status, body = _post(address, json.dumps({"dataframe_split": {"columns": ["text"], "data": [[text]]}}).encode())
    assert status == 200, body
    [answer] = json.loads(body)["predictions"]
    return answer["label"], answer["probability"]


def test_64_clients_get_the_classifier_s_answers(address: str, tiny_model: Path) -> None:
    random = np.random.default_rng(0)
    texts = [" ".join(random.choice(WORDS, size=6)) for _ in range(NUM_CLIENTS * 5)]
    answers: dict[int, tuple[str, float]] = {}

    def client(number: int) -> None:
        for index in range(number, len(texts), NUM_CLIENTS):
            answers[index] = _ask(address, texts[index])

    threads = [threading.Thread(target=client, args=(number,)) for number in range(NUM_CLIENTS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    expected = TextClassifier.load(tiny_model).predict(texts)
    assert len(answers) == len(texts)
    assert [answers[index][0] for index in range(len(texts))] == [prediction.label for prediction in expected]
    probabilities = [answers[index][1] for index in range(len(texts))]
    assert probabilities == pytest.approx([prediction.probability for prediction in expected], abs=1e-6)


MALFORMED = [
    b"",
    b"{",
    b"[]",
    b"3",
    b'{"foo": 1}',
    b'{"inputs": 3}',
    b'{"inputs": [["a"], 2]}',
    b'{"dataframe_split": {"columns": ["txt"], "data": [["x"]]}}',
    b'{"dataframe_split": {"columns": ["text"], "data": [["a", "b"]]}}',
    b'{"dataframe_split": {"columns": ["text"], "data": [[3]]}}',
    b'{"dataframe_split": {"columns": ["text"], "data": [[{"a": 1}]]}}',
    b'{"dataframe_records": "x"}',
    b"\xff\xfe",
]


def test_malformed_requests_are_answered_4xx_and_the_server_lives_on(address: str) -> None:
    statuses = {body: _post(address, body)[0] for body in MALFORMED}
    statuses[b"plain"] = _post(address, b"goal", "text/plain")[0]
    assert {body: status for body, status in statuses.items() if not 400 <= status < 500} == {}
    assert _ask(address, "goal match coach")[0] == "sport"


def test_edge_texts_are_answered(address: str) -> None:
    assert _ask(address, "") == ("", 0.0)
    for text in ("\u202egoal", "<script>", "goal " * 3000, "\U0001f600" * 1000, "\ud800"):
        assert _ask(address, text)[1] > 0


def test_health_readiness_and_the_model_are_told(server: str, tiny_model: Path) -> None:
    assert [_get(f"{server}/{name}") for name in ("health", "ready", "ping")] == [(200, "\n")] * 3
    status, body = _get(f"{server}/version")
    expected = {"model": str(tiny_model), "digest": model_digest(tiny_model), "textlstm": textlstm.__version__}
    assert (status, json.loads(body)) == (200, expected)
    assert _get(f"{server}/other")[0] == 404
    assert _get(f"{server}/invocations")[0] == 405


def test_metrics_count_requests_rows_and_batches(server: str) -> None:
    def samples() -> dict[str, float]:
        _, text = _get(f"{server}/metrics")
        pairs = (line.rsplit(" ", 1) for line in text.splitlines() if not line.startswith("#"))
        return {name: float(value) for name, value in pairs}

    before = samples()
    assert _post(f"{server}/invocations", b'{"inputs": ["goal", "bank", ""]}')[0] == 200
    assert _post(f"{server}/invocations", b"{")[0] == 400
    grown = {name: value - before.get(name, 0.0) for name, value in samples().items()}
    assert grown['textlstm_requests_total{status="200"}'] == 1
    assert grown['textlstm_requests_total{status="400"}'] == 1
    assert grown["textlstm_rows_total"] == 3
    assert grown["textlstm_request_seconds_count"] == 2
    assert (grown["textlstm_batch_rows_count"], grown["textlstm_batch_rows_sum"]) == (1, 3)
    assert (samples()["textlstm_ready"], samples()["textlstm_waiting_rows"]) == (1, 0)


def test_requests_beyond_the_limits_are_answered_413(server: str) -> None:
    rows = json.dumps({"inputs": ["a"] * 51}).encode()
    status, body = _post(f"{server}/invocations", rows)
    message = "51 rows in a request; 50 are allowed (max_rows)"
    assert (status, json.loads(body)) == (413, {"error_code": "BAD_REQUEST", "message": message})
    assert _post(f"{server}/invocations", json.dumps({"inputs": ["a"] * 50}).encode())[0] == 200
    status, body = _post(f"{server}/invocations", json.dumps({"inputs": ["a" * 20_000]}).encode())
    assert (status, json.loads(body)["message"]) == (413, "the body is larger than 20,000 bytes (max_body_bytes)")
    # A body that comes in chunks does not say how large it is.
    connection = http.client.HTTPConnection(server.removeprefix("http://"), timeout=30)
    chunks = iter([b'{"inputs": ["', *[b"a" * 1000] * 40, b'"]}'])
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):
        connection.request("POST", "/invocations", chunks, {"Content-Type": "application/json"}, encode_chunked=True)
        assert connection.getresponse().status == 413


@pytest.mark.long
def test_a_stop_answers_the_requests_at_hand_first(tiny_model: Path, tmp_path: Path) -> None:
    process = _start(tiny_model, tmp_path, "batch_wait_ms=1500")
    address = _address(process)
    answers: list[tuple[int, bytes]] = []
    client = threading.Thread(target=lambda: answers.append(_post(f"{address}/invocations", b'{"inputs": ["goal"]}')))
    client.start()
    time.sleep(0.5)
    assert _stop(process, signal.SIGINT) == 130
    client.join()
    assert [status for status, _ in answers] == [200]


@pytest.mark.long
def test_several_processes_answer_and_one_that_dies_is_replaced(tiny_model: Path, tmp_path: Path) -> None:
    process = _start(tiny_model, tmp_path, "num_workers=2")
    address = _address(process)

    def processes() -> set[str]:
        return {pid for _ in range(40) for pid in re.findall(r'pid="(\d+)"', _get(f"{address}/metrics")[1])}

    first = processes()
    assert len(first) == 2
    os.kill(int(min(first)), signal.SIGKILL)
    deadline = time.monotonic() + 60
    while len(processes() - {min(first)}) < 2 and time.monotonic() < deadline:
        time.sleep(0.5)
    assert len(processes() - {min(first)}) == 2
    assert _ask(f"{address}/invocations", "goal match coach")[0] == "sport"
    assert _stop(process) == 143


@pytest.mark.parametrize("settings", [[], ["num_workers=2"]])
def test_a_damaged_model_is_refused(tiny_model: Path, tmp_path: Path, settings: list[str]) -> None:
    model = Path(shutil.copytree(tiny_model, tmp_path / "model"))
    weights = bytearray((model / "weights.safetensors").read_bytes())
    weights[-1] ^= 1
    (model / "weights.safetensors").write_bytes(weights)
    process = _start(model, tmp_path, *settings)
    output, errors = process.communicate(timeout=60)
    assert (process.returncode, output) == (4 if settings else 3, "")
    assert f"{model}/weights.safetensors: its sha256 is not the manifest's" in errors


def test_a_server_loads_no_library_of_training(tiny_model: Path) -> None:
    code = (
        "import sys, textlstm.stages.serve\n"
        "from pathlib import Path\n"
        "from textlstm.serving.app import _loaded\n"
        f"_loaded(Path({str(tiny_model)!r}))\n"
        "heavy = ('torch', 'mlflow', 'pandas', 'matplotlib', 'sklearn', 'scipy', 'datasets')\n"
        "print([name for name in heavy if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


@pytest.mark.long
def test_plain_mlflow_serves_the_registered_model(tiny_model: Path, tmp_path: Path) -> None:
    """`mlflow models serve --env-manager local` on the stored model, without our command."""
    from textlstm.processes.child import child_environment
    from textlstm.tracking.model_logging import save_pyfunc
    from textlstm.tracking.server import running_server

    save_pyfunc(tiny_model, tmp_path / "model")
    environment = {**child_environment(one_thread=False), "MLFLOW_DISABLE_TELEMETRY": "true"}
    command = ["mlflow", "models", "serve", "-m", str(tmp_path / "model"), "--env-manager", "local", "-p", "5371"]
    environment["PATH"] = os.pathsep.join((str(Path(sys.executable).parent), os.environ["PATH"]))
    with running_server(command, environment=environment, log=tmp_path / "log", folder=tmp_path) as server:
        server.wait_until_healthy("http://127.0.0.1:5371/health")
        [expected] = TextClassifier.load(tiny_model).predict(["goal match coach"])
        label, probability = _ask("http://127.0.0.1:5371/invocations", "goal match coach")
    assert (label, probability) == (expected.label, pytest.approx(expected.probability, abs=1e-6))
