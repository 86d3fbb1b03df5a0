"""spaCy's textcat with its default ensemble (TextCatEnsemble.v2: tok2vec of 96 dimensions beside a bag of words)."""

import random
from collections.abc import Callable, Sequence
from pathlib import Path

import spacy
from rows import main
from spacy.training import Example
from spacy.util import minibatch

EPOCHS, BATCH_ROWS, DROPOUT = 5, 64, 0.2


def train(texts: list[str], labels: list[str], model: Path) -> None:
    """Fit and store the pipeline."""
    names = sorted(set(labels))
    nlp = spacy.blank("en")
    nlp.add_pipe("textcat")
    examples = [
        Example.from_dict(nlp.make_doc(text), {"cats": {name: float(name == label) for name in names}})
        for text, label in zip(texts, labels, strict=True)
    ]
    optimizer = nlp.initialize(lambda: examples)
    draw = random.Random(1)
    for _ in range(EPOCHS):
        draw.shuffle(examples)
        for batch in minibatch(examples, BATCH_ROWS):
            nlp.update(batch, sgd=optimizer, drop=DROPOUT)
    nlp.to_disk(model)


def label(model: Path) -> Callable[[Sequence[str]], list[tuple[str, float]]]:
    """Return the function that labels texts."""
    nlp = spacy.load(model)

    def predict(texts: Sequence[str]) -> list[tuple[str, float]]:
        return [max(doc.cats.items(), key=lambda item: item[1]) for doc in nlp.pipe(texts, batch_size=256)]

    return predict


if __name__ == "__main__":
    main(train, label)
