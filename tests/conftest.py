"""Fixtures that several rooms share."""

import os
import shutil
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

BROWSER_FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--window-size=1366,900",
]
ROOT = Path(__file__).resolve().parent.parent


def corpora_dir() -> Path:
    """Folder of the real corpora; may not exist."""
    return Path(os.environ.get("TEXTLSTM_CORPORA", ROOT.parent / "shared" / "data"))


@pytest.fixture(scope="session")
def corpora() -> Path:
    """Real corpora, or a skip that says why."""
    folder = corpora_dir()
    if not folder.is_dir():
        pytest.skip(f"no corpora at {folder}; set TEXTLSTM_CORPORA")
    return folder


@pytest.fixture(autouse=True)
def only_loopback(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test reaches beyond this machine."""
    connect = socket.socket.connect

    def guarded(self: socket.socket, address: object) -> None:
        if self.family in (socket.AF_INET, socket.AF_INET6):
            host = str(address[0]) if isinstance(address, tuple) else str(address)
            if not (host.startswith("127.") or host in ("::1", "localhost", "0.0.0.0")):
                raise OSError(f"a test tried to reach {host}")
        connect(self, address)

    monkeypatch.setattr(socket.socket, "connect", guarded)


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A saved model of three labels that reads words without POS, trained for a moment on rows written here."""
    import numpy as np
    import torch

    from textlstm.config import ModelConfig, Task, TextConfig, TrainingConfig
    from textlstm.model_folder import save_saved_model
    from textlstm.models.calibration.combination import BranchCombiner
    from textlstm.models.linear.expert import LinearExpert
    from textlstm.models.network.inputs import encode_texts
    from textlstm.models.network.network import NetworkSizes, TextNetwork, predict_logits
    from textlstm.saved_model import SavedModel
    from textlstm.text.pipeline import TextPipeline
    from textlstm.training.job import TrainingJob
    from textlstm.training.loop import fit
    from textlstm.vocabulary import Vocabulary

    words = {
        "sport": ["goal", "match", "coach"],
        "money": ["bank", "share", "profit"],
        "film": ["actor", "scene", "plot"],
    }
    labels = tuple(sorted(words))
    random = np.random.default_rng(0)
    texts, targets = [], []
    for row in range(120):
        label = labels[row % 3]
        texts.append(" ".join(random.choice([*words[label], "the", "a", "said"], size=3 + row % 7)))
        targets.append(row % 3)
    y = np.array(targets)
    text, model = TextConfig(pos=False), ModelConfig(hidden_size=8, embedding_size=8)
    pipeline = TextPipeline(text)
    prepared = pipeline.prepare(texts)
    counts = {token: prepared.tokens.count(token) for token in set(prepared.tokens)}
    vocabulary = Vocabulary.build(counts, max_size=100, min_count=1)
    split = encode_texts(prepared, vocabulary=vocabulary, model=model, targets=y)
    torch.manual_seed(0)
    network = TextNetwork(model, NetworkSizes(vocabulary_size=len(vocabulary), num_labels=3))
    config = TrainingConfig(epochs=4, deterministic=True)
    fit(TrainingJob(network, split, split, config=config, task=Task.single_label, seed=0))
    expert = LinearExpert.fit(texts, y, num_labels=3, task=Task.single_label, config=model, seed=0)
    gate = BranchCombiner.fit(predict_logits(network, split), expert.logits(texts), y, task=Task.single_label)
    weights = {f"network.0.{name}": value for name, value in network.to_arrays().items()}
    weights |= {f"expert.{name}": value for name, value in expert.to_arrays().items()}
    weights |= {f"gate.{name}": value for name, value in gate.to_arrays().items()}
    saved_model = SavedModel(
        labels=labels,
        task=Task.single_label,
        text=text,
        model=model,
        text_fingerprint=pipeline.saved,
        vocabulary=vocabulary,
        weights=weights,
        label_shares=(1 / 3, 1 / 3, 1 / 3),
        provenance={"run_id": "", "seed": 0},
    )
    return save_saved_model(saved_model, tmp_path_factory.mktemp("tiny") / "model")


@pytest.fixture(scope="session")
def early_exit_model(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny model, with an early exit that about half of all texts take, and networks that have a say in the rest."""
    from dataclasses import replace

    import numpy as np

    from textlstm.inference.classifier import TextClassifier
    from textlstm.model_folder import load_saved_model, save_saved_model
    from textlstm.models.calibration.early_exit import EarlyExit, ExpertLeads

    saved_model = load_saved_model(tiny_model)
    weights = {**saved_model.weights, "gate.recurrent_scale": np.array(0.5), "gate.expert_scale": np.array(1.5)}
    saved_model = replace(saved_model, weights=weights)
    classifier = TextClassifier(saved_model, num_threads=1)
    expert = classifier.score(["goal match coach", "bank the", "goal bank actor", "said", "plot", ""]).expert_logits
    assert expert is not None
    margin = float(np.median(ExpertLeads.of(classifier.combiner, expert).margins))
    early_exit = EarlyExit(0.001, margin, 0.8, 0.3, 0.003, 0.95, 1_000, 0.5, abstain_below=0.6)
    saved_model = replace(saved_model, early_exits=(early_exit,))
    return save_saved_model(saved_model, tmp_path_factory.mktemp("early-exit") / "model")


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """Headless Chromium, or a skip that says what is missing."""
    webdriver = pytest.importorskip("selenium.webdriver", reason="selenium is not installed")
    binary = shutil.which("chromium") or shutil.which("google-chrome")
    driver_path = shutil.which("chromedriver")
    if not binary or not driver_path:
        pytest.skip("no chromium and chromedriver on PATH (Debian: apt-get install chromium chromium-driver)")
    options = webdriver.ChromeOptions()
    options.binary_location = binary
    for flag in (*BROWSER_FLAGS, f"--user-data-dir={tmp_path_factory.mktemp('profile')}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(driver_path))
    yield driver
    driver.quit()
