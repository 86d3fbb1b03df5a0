"""fastText, 100 dimensions, word 2-grams."""

import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import fasttext  # type: ignore[import-not-found]
from rows import main

PREFIX = "__label__"


def train(texts: list[str], labels: list[str], model: Path) -> None:
    """Fit and store the model."""
    with tempfile.NamedTemporaryFile("w", suffix=".txt", encoding="utf-8") as file:
        for text, label in zip(texts, labels, strict=True):
            file.write(f"{PREFIX}{label.replace(' ', '_')} {' '.join(text.lower().split())}\n")
        file.flush()
        fasttext.train_supervised(file.name, dim=100, wordNgrams=2, epoch=25, lr=0.5, thread=2, verbose=0).save_model(
            str(model)
        )


def label(model: Path) -> Callable[[Sequence[str]], list[tuple[str, float]]]:
    """Return the function that labels texts."""
    classifier = fasttext.load_model(str(model))

    def predict(texts: Sequence[str]) -> list[tuple[str, float]]:
        names, probabilities = classifier.predict([" ".join(text.lower().split()) for text in texts])
        return [(name[0].removeprefix(PREFIX), float(row[0])) for name, row in zip(names, probabilities, strict=True)]

    return predict


if __name__ == "__main__":
    main(train, label)
