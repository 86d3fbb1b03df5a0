"""What version 0.1.0 wrote (commit 6c7ac82) is read as before: a model, a prepared corpus, a half-done labelling job."""

import hashlib
import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from textlstm.corpus.preparation.corpus_folder import load_corpus
from textlstm.corpus.prepared import Split
from textlstm.errors import IntegrityError
from textlstm.inference.classifier import TextClassifier
from textlstm.labelling.journal import Journal
from textlstm.labelling.plan import Plan
from textlstm.storage.stores import LocalStore

GOLDEN = Path(__file__).parent
EXPECTED = json.loads((GOLDEN / "predictions.json").read_text(encoding="utf-8"))
CORPUS_KEY = "591b18515c90bb2c813e10cbedf4dbbf30591edafff200c192363da710469afb"


def test_a_model_gives_the_same_probabilities() -> None:
    classifier = TextClassifier.load(GOLDEN / "model")
    found = classifier.predict_proba(EXPECTED["texts"])
    expected = np.array([[float.fromhex(value) for value in row] for row in EXPECTED["probabilities"]])
    assert [prediction.label for prediction in classifier.predict(EXPECTED["texts"])] == EXPECTED["labels"]
    # Equal to the last bit on the machine that wrote them; another processor adds in another order.
    np.testing.assert_allclose(found, expected, rtol=0, atol=2e-6)


def test_a_prepared_corpus_is_read() -> None:
    corpus = load_corpus(GOLDEN / "corpus", key=CORPUS_KEY, timings={}, reused=True)
    assert corpus.labels == ("account", "billing", "delivery", "praise")
    assert {split: len(getattr(corpus, split.value)) for split in Split} == {
        Split.train: 43,
        Split.validation: 5,
        Split.test: 12,
    }
    train = corpus.train
    assert len(train.flat_tokens()) == int(train.offsets()[-1]) == 729


def test_a_changed_corpus_is_refused(tmp_path: Path) -> None:
    folder = shutil.copytree(GOLDEN / "corpus", tmp_path / "corpus")
    content = (folder / "train.arrow").read_bytes()
    (folder / "train.arrow").write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    with pytest.raises(IntegrityError):
        load_corpus(folder, key=CORPUS_KEY, timings={}, reused=True)


def test_a_half_done_job_is_read() -> None:
    store = LocalStore(str(GOLDEN / "job"))
    plan = Plan.from_json((GOLDEN / "job" / "out.csv.work" / "plan.json").read_bytes(), address="plan.json")
    assert (plan.num_rows, len(plan.shards)) == (400, 10)
    journal = Journal(store, f"out.csv.work/{plan.key[:16]}", scratch="unused")
    records = journal.done(plan.shards)
    assert {number: record.row_total for number, record in records.items()} == {0: 40, 1: 40, 2: 40}
    parts = [journal.read_part(records[number]) for number in range(3)]
    expected = (GOLDEN / "job" / "expected.csv").read_bytes()
    assert expected.startswith(b"".join(parts)) or expected.partition(b"\n")[2].startswith(b"".join(parts))
    assert [hashlib.sha256(part).hexdigest() for part in parts] == [records[number].sha256 for number in range(3)]
