"""Tokens whose best two tags score almost the same: spaCy's own code decides, as rounding might."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from textlstm.text.word_forms import WordForms

if TYPE_CHECKING:
    from spacy.language import Language


class _Window:
    """A few neighbouring tokens that answer spaCy's models as a Doc does."""

    def __init__(self, nlp: "Language", columns: Sequence[str], attributes: NDArray[np.uint64], centre: int) -> None:
        self.vocab = nlp.vocab
        self.centre = centre
        self._places = {name: place for place, name in enumerate(columns)}
        self._attributes = attributes

    def __len__(self) -> int:
        return len(self._attributes)

    def to_array(self, columns: list[str] | str | int) -> NDArray[np.uint64]:
        """Return (tokens, columns); or (tokens,) words' hashes when one number is asked for, as for vectors."""
        if isinstance(columns, list):
            return self._attributes[:, [self._places[name] for name in columns]]
        return self._attributes[:, self._places["ORTH"]]


def settle_near_ties(
    nlp: "Language",
    forms: WordForms,
    *,
    form_ids: NDArray[np.int32],
    rows: NDArray[np.int64],
    receptive_field: int,
) -> NDArray[np.int64]:
    """Return the (len(rows),) tags that spaCy gives the tokens in `rows`.

    A tag depends on `receptive_field` neighbours to each side only, so a window of them is enough. Rows around and
    between texts have form 0.
    """
    windows = [_window(nlp, forms, form_ids, row, receptive_field) for row in rows.tolist()]
    tagger: Any = nlp.get_pipe("tagger")
    tok2vec = tagger.model.get_ref("tok2vec")
    if tok2vec.name == "tok2vec-listener":
        tok2vec = nlp.get_pipe("tok2vec").model
    scores = tagger.model.layers[-1].predict(tok2vec.predict(windows))
    tags = [score[window.centre].argmax() for score, window in zip(scores, windows, strict=True)]
    return np.array(tags, np.int64)


def _window(nlp: "Language", forms: WordForms, form_ids: NDArray[np.int32], row: int, receptive_field: int) -> _Window:
    start, end = row, row + 1
    while start > row - receptive_field and form_ids[start - 1] != 0:
        start -= 1
    while end <= row + receptive_field and form_ids[end] != 0:
        end += 1
    return _Window(nlp, forms.columns, forms.attributes[form_ids[start:end]], row - start)
