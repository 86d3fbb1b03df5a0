"""A bidirectional LSTM of 64 units as a Keras user writes it: text vectorization, embedding, dense."""

from collections.abc import Callable, Sequence
from pathlib import Path

import keras  # type: ignore[import-not-found]
import numpy as np
import tensorflow as tf  # type: ignore[import-untyped]
from rows import main

VOCABULARY, LENGTH, EPOCHS = 20_000, 100, 4


def train(texts: list[str], labels: list[str], model: Path) -> None:
    """Fit and store the model and its labels."""
    texts = one_line(texts)
    names = sorted(set(labels))
    vectorize = keras.layers.TextVectorization(max_tokens=VOCABULARY, output_sequence_length=LENGTH)
    vectorize.adapt(texts)
    network = keras.Sequential(
        [
            keras.Input(shape=(1,), dtype="string"),
            vectorize,
            keras.layers.Embedding(VOCABULARY, 100, mask_zero=True),
            keras.layers.Bidirectional(keras.layers.LSTM(64)),
            keras.layers.Dense(len(names), activation="softmax"),
        ]
    )
    network.compile(loss="sparse_categorical_crossentropy", optimizer="adam")
    targets = np.array([names.index(label) for label in labels])
    network.fit(tf.constant(texts)[:, None], targets, batch_size=64, epochs=EPOCHS, verbose=0)
    model.mkdir(parents=True, exist_ok=True)
    network.save(model / "model.keras")
    (model / "labels.txt").write_text("\n".join(names), encoding="utf-8")


def label(model: Path) -> Callable[[Sequence[str]], list[tuple[str, float]]]:
    """Return the function that labels texts."""
    network = keras.models.load_model(model / "model.keras")
    names = (model / "labels.txt").read_text(encoding="utf-8").splitlines()

    def predict(texts: Sequence[str]) -> list[tuple[str, float]]:
        probabilities = network.predict(tf.constant(one_line(texts))[:, None], batch_size=256, verbose=0)
        return [(names[row.argmax()], float(row.max())) for row in probabilities]

    return predict


def one_line(texts: Sequence[str]) -> list[str]:
    """Return the texts with plain spaces: words with a line separator (U+0085 in imdb) break the stored vocabulary."""
    return [" ".join(text.split()) for text in texts]


if __name__ == "__main__":
    main(train, label)
