"""TF-IDF of word 1-2 grams and LinearSVC, as scikit-learn ships them; stored as plain arrays and words."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from rows import main
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.svm import LinearSVC


def train(texts: list[str], labels: list[str], model: Path) -> None:
    """Fit and store vectorizer and classifier."""
    vectorizer = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True)
    classifier = LinearSVC().fit(vectorizer.fit_transform(texts), labels)
    model.mkdir(parents=True, exist_ok=True)
    words = {word: int(column) for word, column in vectorizer.vocabulary_.items()}
    (model / "words.json").write_text(json.dumps({"words": words, "labels": list(classifier.classes_)}))
    np.savez(model / "arrays.npz", idf=vectorizer.idf_, coef=classifier.coef_, intercept=classifier.intercept_)


def label(model: Path) -> Callable[[Sequence[str]], list[tuple[str, float]]]:
    """Return the function that labels texts; the margin stands for a probability."""
    content = json.loads((model / "words.json").read_text())
    arrays = np.load(model / "arrays.npz", allow_pickle=False)
    vectorizer = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True, vocabulary=content["words"])
    vectorizer.idf_ = arrays["idf"]
    classifier = LinearSVC()
    classifier.coef_, classifier.intercept_ = arrays["coef"], arrays["intercept"]
    classifier.classes_ = np.array(content["labels"])

    def predict(texts: Sequence[str]) -> list[tuple[str, float]]:
        margins = classifier.decision_function(vectorizer.transform(texts))
        if margins.ndim == 1:  # two classes have one margin
            margins = np.stack([-margins, margins], axis=1)
        return [(str(classifier.classes_[row.argmax()]), float(row.max())) for row in margins]

    return predict


if __name__ == "__main__":
    main(train, label)
