"""Flair: a bidirectional LSTM of 128 units over words learned on the rows (its pretrained vectors are downloads)."""

import logging
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import flair  # type: ignore[import-not-found]
from flair.data import Corpus, Sentence  # type: ignore[import-not-found]
from flair.datasets import FlairDatapointDataset  # type: ignore[import-not-found]
from flair.embeddings import DocumentRNNEmbeddings, OneHotEmbeddings  # type: ignore[import-not-found]
from flair.models import TextClassifier  # type: ignore[import-not-found]
from flair.tokenization import SpaceTokenizer  # type: ignore[import-not-found]
from flair.trainers import ModelTrainer  # type: ignore[import-not-found]
from rows import main

EPOCHS, BATCH_ROWS, RATE, MAX_WORDS = 5, 32, 0.1, 400
TOKENIZER = SpaceTokenizer()


def sentence(text: str) -> Sentence:
    """Return a text of at least one word as flair's object; words are split at white space and lower-cased."""
    return Sentence(" ".join(text.lower().split()[:MAX_WORDS]) or ".", use_tokenizer=TOKENIZER)


def train(texts: list[str], labels: list[str], model: Path) -> None:
    """Fit and store the classifier, a tenth of the rows for validation, as its trainer does."""
    logging.getLogger("flair").setLevel(logging.ERROR)
    flair.set_seed(1)
    rows = [sentence(text) for text in texts]
    for row, label_name in zip(rows, labels, strict=True):
        row.add_label("topic", label_name)
    corpus = Corpus(train=FlairDatapointDataset(rows), sample_missing_splits="only_dev")
    words = OneHotEmbeddings.from_corpus(corpus, field="text", min_freq=3, embedding_length=100)
    documents = DocumentRNNEmbeddings([words], hidden_size=128, bidirectional=True, rnn_type="LSTM")
    names = corpus.make_label_dictionary("topic", add_unk=False)
    classifier = TextClassifier(documents, label_type="topic", label_dictionary=names)
    with tempfile.TemporaryDirectory() as folder:
        ModelTrainer(classifier, corpus).train(
            folder, learning_rate=RATE, mini_batch_size=BATCH_ROWS, max_epochs=EPOCHS, embeddings_storage_mode="none"
        )
    model.mkdir(parents=True, exist_ok=True)
    classifier.save(str(model / "model.pt"))


def label(model: Path) -> Callable[[Sequence[str]], list[tuple[str, float]]]:
    """Return the function that labels texts."""
    classifier = TextClassifier.load(str(model / "model.pt"))

    def predict(texts: Sequence[str]) -> list[tuple[str, float]]:
        rows = [sentence(text) for text in texts]
        classifier.predict(rows, mini_batch_size=64)
        return [(row.get_label("topic").value, float(row.get_label("topic").score)) for row in rows]

    return predict


if __name__ == "__main__":
    main(train, label)
