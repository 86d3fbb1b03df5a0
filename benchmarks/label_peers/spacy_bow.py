"""spaCy's textcat with the bag-of-words architecture (TextCatBOW.v3, 1-grams), ten passes."""

import random
from collections.abc import Callable, Sequence
from pathlib import Path

import spacy
from rows import main
from spacy.training import Example
from spacy.util import minibatch

CONFIG = {
    "model": {
        "@architectures": "spacy.TextCatBOW.v3",
        "exclusive_classes": True,
        "length": 262144,
        "ngram_size": 1,
        "no_output_layer": False,
    }
}


def train(texts: list[str], labels: list[str], model: Path) -> None:
    """Fit and store the pipeline."""
    names = sorted(set(labels))
    nlp = spacy.blank("en")
    nlp.add_pipe("textcat", config=CONFIG)
    examples = [
        Example.from_dict(nlp.make_doc(text), {"cats": {name: float(name == label) for name in names}})
        for text, label in zip(texts, labels, strict=True)
    ]
    optimizer = nlp.initialize(lambda: examples)
    draw = random.Random(1)
    for _ in range(10):
        draw.shuffle(examples)
        for batch in minibatch(examples, 128):
            nlp.update(batch, sgd=optimizer, drop=0.2)
    nlp.to_disk(model)


def label(model: Path) -> Callable[[Sequence[str]], list[tuple[str, float]]]:
    """Return the function that labels texts."""
    nlp = spacy.load(model)

    def predict(texts: Sequence[str]) -> list[tuple[str, float]]:
        return [max(doc.cats.items(), key=lambda item: item[1]) for doc in nlp.pipe(texts, batch_size=256)]

    return predict


if __name__ == "__main__":
    main(train, label)
