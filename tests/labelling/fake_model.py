"""A model that is fast, deterministic and known in full: the label of a text is told by its number of letters."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from textlstm.config import LabellingConfig
from textlstm.labelling.model import ModelCard, ModelSource

LABELS = ("even", "odd", "three")


@dataclass(frozen=True)
class FakePrediction:
    labels: tuple[str, ...]
    probability: float
    decision: str


class FakeClassifier:
    """Label by len(text) % 3; the probability is 0.5 plus a hundredth for each of the first 40 characters."""

    labels = LABELS
    is_multi_label = False
    num_without_network = 0

    def predict_proba(self, texts: Sequence[str]) -> np.ndarray:
        probabilities = np.full((len(texts), 3), 0.0, dtype=np.float32)
        for row, text in enumerate(texts):
            best = 0.5 + min(len(text), 40) / 100
            probabilities[row] = (1 - best) / 2
            probabilities[row, len(text) % 3] = best
        return probabilities

    def decide(self, texts: Sequence[str], probabilities: np.ndarray) -> list[FakePrediction]:
        predictions = []
        for text, row in zip(texts, probabilities, strict=True):
            if not text.strip():
                predictions.append(FakePrediction((), 0.0, "empty"))
            else:
                best = int(row.argmax())
                decision = "accepted" if row[best] >= 0.55 else "abstained"
                predictions.append(FakePrediction((LABELS[best],), float(row[best]), decision))
        return predictions

    def count_seen(self, texts: Sequence[str]) -> int | None:
        return None


def describe(directory: Path) -> ModelCard:
    return ModelCard(
        digest=(directory / "digest").read_text() if (directory / "digest").exists() else "fake-1",
        labels=LABELS,
        text_column="text",
        label_shares=(0.25, 0.25, 0.5),
        spacy_model="",
        provenance={"run_id": "run-7"},
    )


def load(directory: Path, settings: LabellingConfig, many_texts: bool) -> FakeClassifier:
    return FakeClassifier()


class FakeMultiLabelClassifier(FakeClassifier):
    """The labels of a text are the letters a to c that it holds, each with a comma before it."""

    labels = (",a", ",b", ",c")
    is_multi_label = True

    def decide(self, texts: Sequence[str], probabilities: np.ndarray) -> list[FakePrediction]:
        predictions = []
        for text in texts:
            labels = tuple(label for label in self.labels if label[1] in text)
            predictions.append(FakePrediction(labels, 0.75, "accepted" if text.strip() else "empty"))
        return predictions


FAKE_MULTI_LABEL_MODELS = ModelSource(
    describe=lambda directory: replace(describe(directory), labels=(",a", ",b", ",c"), is_multi_label=True),
    load=lambda directory, settings, many_texts: FakeMultiLabelClassifier(),
    worker_command=("no worker is needed for a few rows",),
)
FAKE_MODELS = ModelSource(describe=describe, load=load, worker_command=(sys.executable, __file__))


if __name__ == "__main__":
    from textlstm.labelling.engines.worker_main import serve

    sys.exit(serve(load))
