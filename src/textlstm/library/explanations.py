"""Why texts got their labels, as `TextClassifier.explain` gives it."""

import html
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from textlstm.explain.attribution import Method
from textlstm.explain.explanation import Explanation, explain_texts
from textlstm.explain.summary import view_corpus
from textlstm.inference.classifier import TextClassifier
from textlstm.stages.explain import page_of
from textlstm.storage.files import atomic_file


class WordWeight(NamedTuple):
    """A word of a text and its weight for the label."""

    word: str
    weight: float
    """By how many log-odds of the label the network's answer falls without the word; negative: it spoke against it."""


class Explanations:
    """Explanations of N texts, in order; in a notebook they show as one page."""

    def __init__(self, classifier: TextClassifier, texts: list[str], *, title: str) -> None:
        """Explain `texts` by `classifier`."""
        self._classifier, self._title = classifier, title
        self._explanations = explain_texts(classifier, texts)

    def __len__(self) -> int:
        """Return N."""
        return len(self._explanations)

    def __getitem__(self, row: int) -> Explanation:
        """Return the explanation of one text."""
        return self._explanations[row]

    def __iter__(self) -> Iterator[Explanation]:
        """Give the explanations in order."""
        return iter(self._explanations)

    def words(self, row: int, *, most: int = 10) -> list[WordWeight]:
        """Return the words of a text that weigh most for or against its label, heaviest first."""
        explanation = self._explanations[row]
        # Leave-one-out weights are in log-odds, so those of words for and against the label compare by their size.
        weights = explanation.attributions[Method.leave_one_out].tolist()
        found = [WordWeight(word, weight) for word, weight in zip(explanation.tokens, weights, strict=True)]
        return sorted(found, key=lambda entry: -abs(entry.weight))[:most]

    def page(self) -> str:
        """Return the page that `textlstm explain` writes: HTML that needs nothing else."""
        view = view_corpus(self._explanations, Method.leave_one_out)
        page = page_of(self._classifier, self._explanations, view, title=self._title, faithfulness=[])
        return page.decode("utf-8")

    def save(self, path: str | Path) -> Path:
        """Write the page; return its path.

        Raises:
            StorageError: it cannot be written.
        """
        with atomic_file(Path(path)) as stream:
            stream.write(self.page().encode("utf-8"))
        return Path(path)

    def __repr__(self) -> str:
        """Return a line a text: its label, and the words that weigh most."""
        lines = []
        for row, explanation in enumerate(self._explanations):
            words = ", ".join(f"{word} {weight:+.2f}" for word, weight in self.words(row, most=5))
            lines.append(f"{explanation.label} {explanation.probability:.2f}: {words or 'no words'}")
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        """Return the page in a frame of its own, for notebooks."""
        if not self._explanations:
            return "<p>No texts.</p>"
        # `srcdoc` takes the whole page as an attribute: its styles and scripts stay inside the frame.
        return f'<iframe srcdoc="{html.escape(self.page())}" style="width:100%;height:40em;border:0"></iframe>'
