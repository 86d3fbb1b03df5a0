"""The scoring server: equal to the classifier, calm under load, strict about what it is sent."""

import json
import os
import signal
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from textlstm.config import ServeConfig
from textlstm.errors import ConfigError
from textlstm.inference.classifier import TextClassifier
from textlstm.tracking.server import check_serving_host

NUM_CLIENTS = 64
WORDS = ["goal", "match", "coach", "bank", "share", "profit", "actor", "scene", "plot", "the", "a", "said"]
_SERVE = "import sys; from textlstm.cli.main import main; sys.exit(main(sys.argv[1:]))"


@pytest.mark.parametrize("host", ["0.0.0.0", "192.168.1.5", "example.org", "::"])
def test_public_address_is_refused(host: str) -> None:
    with pytest.raises(ConfigError) as caught:
        check_serving_host(host)
    assert str(caught.value) == (
        f"host: {host} can be reached by others and the scoring server knows no passwords; "
        "keep 127.0.0.1 and put a proxy with authentication in front"
    )


def test_default_address_is_loopback() -> None:
    check_serving_host(ServeConfig().host)


@pytest.fixture(scope="module")
def address(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A scoring server for the tiny model."""
    folder = tmp_path_factory.mktemp("serving")
    process = subprocess.Popen(
        [sys.executable, "-c", _SERVE, "serve", f"model_dir={tiny_model}", f"tracking.dir={folder}", "port=5301"],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    line = process.stdout.readline()
    assert line.startswith("scoring "), line
    yield line.split()[1]
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=30) == 143


def _post(address: str, body: bytes, content_type: str = "application/json") -> tuple[int, bytes]:
    request = urllib.request.Request(address, body, {"Content-Type": content_type})
    try:
        with urllib.request.urlopen(request, timeout=120) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()


def _ask(address: str, text: str) -> tuple[str, float]:
    status, body = _post(address, json.dumps({"dataframe_split": {"columns": ["text"], "data": [[text]]}}).encode())
    assert status == 200, body
    [answer] = json.loads(body)["predictions"]
    return answer["label"], answer["probability"]


@pytest.mark.long
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
    b'{"dataframe_split": {"columns": ["text"], "data": [[null]]}}',
    b'{"dataframe_split": {"columns": ["text"], "data": [["a", "b"]]}}',
    b'{"dataframe_split": {"columns": ["text"], "data": [[3]]}}',
    b'{"dataframe_split": {"columns": ["text"], "data": [[{"a": 1}]]}}',
    b'{"dataframe_records": "x"}',
    b"\xff\xfe",
]


@pytest.mark.long
def test_malformed_requests_are_answered_4xx_and_the_server_lives_on(address: str) -> None:
    statuses = {body: _post(address, body)[0] for body in MALFORMED}
    statuses[b"plain"] = _post(address, b"goal", "text/plain")[0]
    assert {body: status for body, status in statuses.items() if not 400 <= status < 500} == {}
    assert _ask(address, "goal match coach")[0] == "sport"


@pytest.mark.long
def test_edge_texts_are_answered(address: str) -> None:
    assert _ask(address, "") == ("", 0.0)
    for text in ("\u202egoal", "<script>", "goal " * 5000, "\U0001f600" * 1000):
        assert _ask(address, text)[1] > 0


@pytest.mark.long
def test_plain_mlflow_serves_the_registered_model(tiny_model: Path, tmp_path: Path) -> None:
    """`mlflow models serve --env-manager local` on the stored model, without our command."""
    from textlstm.tracking.model_logging import save_pyfunc
    from textlstm.tracking.server import running_server, serving_environment

    save_pyfunc(tiny_model, tmp_path / "model")
    environment = serving_environment()
    command = ["mlflow", "models", "serve", "-m", str(tmp_path / "model"), "--env-manager", "local", "-p", "5371"]
    environment["PATH"] = os.pathsep.join((str(Path(sys.executable).parent), os.environ["PATH"]))
    with running_server(command, environment=environment, log=tmp_path / "log", folder=tmp_path) as server:
        server.wait_until_healthy("http://127.0.0.1:5371/health")
        [expected] = TextClassifier.load(tiny_model).predict(["goal match coach"])
        label, probability = _ask("http://127.0.0.1:5371/invocations", "goal match coach")
    assert (label, probability) == (expected.label, pytest.approx(expected.probability, abs=1e-6))
