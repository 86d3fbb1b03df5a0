"""Rows and a classifier that the tests of the library's doors share."""

import random
from typing import Any, NamedTuple

import pytest

from textlstm import TextClassifier

WORDS = {
    "sport": ["goal", "match", "coach", "league", "striker", "final"],
    "money": ["bank", "share", "profit", "market", "loan", "tax"],
    "film": ["actor", "scene", "plot", "cinema", "director", "script"],
}
FILLER = ["the", "a", "said", "was", "and", "not", "in", "of"]
SMALL: dict[str, Any] = {
    "auto": [],
    "text": "fast",
    "hidden_size": 8,
    "embedding_size": 8,
    "epochs": 2,
    "num_threads": 1,
}


class Rows(NamedTuple):
    texts: list[str]
    labels: list[str]


def make_rows(num_rows: int, *, seed: int) -> Rows:
    dice = random.Random(seed)
    labels = [list(WORDS)[row % 3] for row in range(num_rows)]
    texts = [
        f"{' '.join(dice.choices(WORDS[label] * 2 + FILLER, k=4 + dice.randrange(9)))}, row {seed}-{row}."
        for row, label in enumerate(labels)
    ]
    return Rows(texts, labels)


@pytest.fixture(scope="session")
def rows() -> Rows:
    return make_rows(150, seed=1)


@pytest.fixture(scope="session")
def other_rows() -> Rows:
    return make_rows(60, seed=2)


@pytest.fixture(scope="session")
def settings() -> dict[str, Any]:
    """Settings of a training that is over soon."""
    return SMALL


@pytest.fixture(scope="session")
def classifier(rows: Rows, settings: dict[str, Any]) -> TextClassifier:
    return TextClassifier.fit(rows.texts, rows.labels, training="deterministic", **settings)
