"""A spaCy component: `nlp.add_pipe("textlstm", config={"model": DIR})` sets `doc.cats`.

spaCy finds the factory by its entry point; nothing has to be imported.
"""

from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from spacy.language import Language
from spacy.tokens import Doc

from textlstm.errors import ConfigError, TextLSTMError

if TYPE_CHECKING:
    from textlstm.library.classifier import TextClassifier

BATCH_SIZE = 256
"""Texts that `nlp.pipe` hands on together unless it is told otherwise."""


class TextClassifierPipe:
    """Gives each document the probabilities of the labels, as `doc.cats`."""

    def __init__(self, name: str, *, model: str, device: str) -> None:
        """Keep where the model is; it is loaded with the first document, unless `from_disk` brings another."""
        self.name, self._model, self._device = name, model, device
        self._classifier: TextClassifier | None = None

    @property
    def labels(self) -> tuple[str, ...]:
        """The labels, which are the keys of `doc.cats`; none while there is no model.

        spaCy asks for them before `from_disk`, when the folder of the time of training may be gone.
        """
        try:
            return self._loaded().labels
        except TextLSTMError:
            return ()

    def __call__(self, doc: Doc) -> Doc:
        """Return `doc` with its probabilities set."""
        return self._set([doc])[0]

    def pipe(self, stream: Iterable[Doc], *, batch_size: int = BATCH_SIZE) -> Iterator[Doc]:
        """Give the documents in order, a batch of them classified at once."""
        documents = iter(stream)
        while batch := list(islice(documents, batch_size)):
            yield from self._set(batch)

    def to_disk(self, path: str | Path, *, exclude: Iterable[str] = ()) -> None:  # noqa: ARG002 - spaCy gives it
        """Write the model folder, from which `from_disk` and every stage of the command read."""
        self._loaded().save(path, overwrite=True)

    def from_disk(self, path: str | Path, *, exclude: Iterable[str] = ()) -> "TextClassifierPipe":  # noqa: ARG002
        """Load the model folder that `to_disk` wrote.

        Raises:
            IntegrityError: a file was changed.
        """
        from textlstm.library.classifier import TextClassifier

        self._classifier = TextClassifier.load(path, device=self._device)
        return self

    def _loaded(self) -> "TextClassifier":
        """Return the classifier.

        Raises:
            ConfigError: no model was named.
            IntegrityError: there is no model, or a file was changed.
        """
        from textlstm.library.classifier import TextClassifier

        if self._classifier is None:
            if not self._model:
                example = 'nlp.add_pipe("textlstm", config={"model": DIR})'
                raise ConfigError(f"{self.name}: no model; give one, as in {example}")
            self._classifier = TextClassifier.load(self._model, device=self._device)
        return self._classifier

    def _set(self, documents: list[Doc]) -> list[Doc]:
        # The classifier reads the texts: its own tokens are cut, lower-cased and filtered as in its training.
        classifier = self._loaded()
        for doc, row in zip(documents, classifier.predict_proba([doc.text for doc in documents]), strict=True):
            doc.cats |= dict(zip(classifier.labels, row.tolist(), strict=True))
        return documents


@Language.factory("textlstm", default_config={"model": "", "device": "auto"}, assigns=["doc.cats"])  # type: ignore[untyped-decorator]
def make_component(nlp: Language, name: str, model: str, device: str) -> TextClassifierPipe:  # noqa: ARG001
    """Return the component; `model` is a folder or a registry address, empty where `from_disk` will load it."""
    return TextClassifierPipe(name, model=model, device=device)
