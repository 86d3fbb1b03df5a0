"""Tokens and parts of speech of many texts at once, equal to spaCy's, which probe sentences confirm before use."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from textlstm.arrays.ragged import block_bounds
from textlstm.arrays.strings import TokenColumn
from textlstm.config import Precision
from textlstm.text.tagger.pos import POS_TAGS, PosTable
from textlstm.text.tagger.weights import TaggerWeights, UnknownArchitecture, read_weights
from textlstm.text.tagger.word_features import TagNetwork, WordForms
from textlstm.text.tokenized import TaggedTexts

if TYPE_CHECKING:
    from spacy.language import Language

# Ties: where the best two tags of a token score almost the same, rounding could decide, so spaCy's own code does.


class _Window:
    """A few neighboring tokens with the methods of a Doc that spaCy's models call."""

    def __init__(self, nlp: "Language", columns: Sequence[str], attributes: NDArray[np.uint64], center: int) -> None:
        self.vocab = nlp.vocab
        self.center = center
        self._places = {name: place for place, name in enumerate(columns)}
        self._attributes = attributes

    def __len__(self) -> int:
        return len(self._attributes)

    def to_array(self, columns: list[str] | str | int) -> NDArray[np.uint64]:
        """Return (tokens, columns); or (tokens,) words' hashes when one number is asked for, as for vectors."""
        if isinstance(columns, list):
            return self._attributes[:, [self._places[name] for name in columns]]
        return self._attributes[:, self._places["ORTH"]]


def break_ties(
    nlp: "Language",
    forms: WordForms,
    *,
    form_ids: NDArray[np.int32],
    rows: NDArray[np.int64],
    receptive_field: int,
) -> NDArray[np.int64]:
    """Return the (len(rows),) tags that spaCy gives the tokens in `rows`.

    A tag depends on `receptive_field` neighbors to each side only, so a window of them is enough. Rows around and
    between texts have form 0.
    """
    windows = [_window(nlp, forms, form_ids, row, receptive_field) for row in rows.tolist()]
    tagger: Any = nlp.get_pipe("tagger")
    # A tok2vec-listener only repeats the output of the pipeline's tok2vec, so that one runs in its place.
    tok2vec = tagger.model.get_ref("tok2vec")
    if tok2vec.name == "tok2vec-listener":
        tok2vec = nlp.get_pipe("tok2vec").model
    scores = tagger.model.layers[-1].predict(tok2vec.predict(windows))
    tags = [score[window.center].argmax() for score, window in zip(scores, windows, strict=True)]
    return np.array(tags, np.int64)


def _window(nlp: "Language", forms: WordForms, form_ids: NDArray[np.int32], row: int, receptive_field: int) -> _Window:
    # Widen to both sides up to the receptive field, but never into a gap.
    start, end = row, row + 1
    while start > row - receptive_field and form_ids[start - 1] != 0:
        start -= 1
    while end <= row + receptive_field and form_ids[end] != 0:
        end += 1
    return _Window(nlp, forms.columns, forms.attributes[form_ids[start:end]], row - start)


_BLOCK_CHARS = 400_000
"""Characters of the texts that are tagged together: about 80,000 tokens."""
_MAX_FORMS = 200_000
"""The cache of word forms starts anew beyond this many; about 150 MB."""


class TaggedBlock(NamedTuple):
    """Word forms and tags of a block of N texts; gap rows included."""

    form_ids: NDArray[np.int32]
    """(R,) int32; 0 between texts."""
    starts: NDArray[np.int64]
    """(N,) first row of each text."""
    ends: NDArray[np.int64]
    """(N,) row after the last one of each text."""
    tags: NDArray[np.int64]
    """(R,) index into `FastTagger.tag_names`."""
    pos: NDArray[np.uint8]
    """(R,) index into POS_TAGS."""


class FastTagger:
    """The engine with parts of speech that computes spaCy's own tagger in large batches."""

    def __init__(
        self,
        nlp: "Language",
        *,
        max_run: int,
        precision: Precision,
        device: str,
    ) -> None:
        """Take the weights out of `nlp`.

        Args:
            nlp: pipeline of tok2vec, tagger and attribute_ruler.
            max_run: longer runs without white space are cut.
            precision: fp32 gives spaCy's own tags.
            device: `cpu`, `cuda`, or `numpy` for the CPU without torch (always fp32).

        Raises:
            UnknownArchitecture: the pipeline is not one that can be computed here.
        """
        weights = read_weights(nlp)
        self._nlp = nlp
        # Before new words come: the vocabulary computes all attributes of a word when it first meets it.
        _drop_unused_attributes(nlp, weights.columns)
        self._breaks_ties = precision is Precision.fp32
        self._network = _build_network(weights, device=device, precision=precision)
        self._table = PosTable(nlp, weights.labels)
        self._forms = WordForms(
            nlp,
            weights,
            self._network,
            pos_table=self._table,
            max_run=max_run,
            max_forms=_MAX_FORMS,
        )
        self.tag_names = self._table.tag_names

    def tag_blocks(self, texts: Sequence[str]) -> Iterator[TaggedTexts]:
        """Yield the tokens and tags of all texts, without white space, in blocks of about 80,000 tokens."""
        for start, end in block_bounds(texts, max_chars=_BLOCK_CHARS):
            yield self._words_of(self.tag(texts[start:end]), end - start)

    def tag(self, texts: Sequence[str]) -> TaggedBlock:
        """Return the word forms, tags and parts of speech of all texts, white space included."""
        # Texts become word forms, forms become tags; ties go to spaCy's own layers.
        with self._nlp.memory_zone():
            form_ids = self._forms.form_ids(texts)
            guesses = self._network.guess(self._forms.vectors, form_ids)
            tags, field = guesses.tags, self._network.receptive_field
            rows = np.flatnonzero(guesses.ties & (form_ids != 0))
            if self._breaks_ties and len(rows):
                tags[rows] = break_ties(self._nlp, self._forms, form_ids=form_ids, rows=rows, receptive_field=field)
        # A text lies between two gaps, each `field` rows wide: (N + 1) gaps for N texts.
        gaps = np.flatnonzero(form_ids == 0).reshape(-1, field)
        # (R,) classes and tags of the tagger become final tags and parts of speech.
        classes = self._forms.word_class[form_ids]
        return TaggedBlock(
            form_ids=form_ids,
            starts=gaps[:-1, -1] + 1,
            ends=gaps[1:, 0],
            tags=self._table.tags[classes, tags],
            pos=self._table.pos[classes, tags],
        )

    def _words_of(self, block: TaggedBlock, num_texts: int) -> TaggedTexts:
        """Drop gaps and white space: (R,) rows become (M,) tokens."""
        is_word = self._forms.is_word[block.form_ids]
        # words_before[r] counts the words in front of row r; at the row after a text, it is where the text's tokens
        # end.
        words_before = np.concatenate([[0], np.cumsum(is_word)])
        offsets = np.zeros(num_texts + 1, np.int64)
        offsets[1:] = words_before[block.ends]
        return TaggedTexts(
            tokens=TokenColumn(self._forms.tokens, block.form_ids[is_word]), offsets=offsets, pos=block.pos[is_word]
        )


def _build_network(weights: TaggerWeights, *, device: str, precision: Precision) -> TagNetwork:
    if device == "numpy":
        from textlstm.text.tagger.network_numpy import NumpyTaggerNetwork

        return NumpyTaggerNetwork(weights)
    from textlstm.text.tagger.network_torch import TaggerNetwork

    return TaggerNetwork(weights, device=device, precision=precision)


def _drop_unused_attributes(nlp: "Language", columns: Sequence[str]) -> None:
    """Remove attributes of words that nothing reads, such as LIKE_URL; they are half the cost of a new word."""
    from spacy.attrs import IDS, IS_SPACE, LOWER, NORM

    needed = {IS_SPACE, LOWER, NORM, *(IDS[name] for name in columns)}
    nlp.vocab.lex_attr_getters = {key: getter for key, getter in nlp.vocab.lex_attr_getters.items() if key in needed}


# A test of the fast tagger before it is used: spaCy must give the same tags for the probe sentences.


# Sentences of many kinds: questions, prices, addresses, slang, other scripts.

PROBE_TEXTS: tuple[str, ...] = (
    "The quick brown fox doesn't jump over the lazy dog's kennel any more.",
    "Shares of Acme Corp. fell 3.5% to $12.40 on Tuesday, its lowest close since Jan. 2009, analysts said.",
    "Who's going to pay for all of this?  I can't, you won't, and they never have!",
    '"We do not expect to win," she told reporters, "but we will have played our best football by then."',
    "Send the file to jane.doe@example.org or see https://www.example.org/a/b?c=d#e for details.",
    "U.S. officials met Mr. O'Neill's delegation in St. Petersburg at 5 p.m. on the 21st.",
    "lol that movie was soooo bad :( but the ending... wow!!! <3 #worstever @someone",
    "\n\nSubject: Re: free upgrade\n\n\tCall 0800-555-0199 now -- 50% off (today only)\u2026  \n",
    "I left the left bag on the left; the refuse that they refuse to collect can rust in the can.",
    "He said that that that that man used was wrong, though not as wrong as hers had been.",
    "Please transfer £20 from my savings account to my cheque account, then freeze my card.",
    "Running, swimming and cycling keep her fit; ran, swum and cycled, he has had enough of having to.",
    "The 2nd-largest bank's CEO (and ex-CFO) resigned [again] on 12/05/2004, citing 'family reasons'.",
    "Which of these do you like best: tea, coffee/cocoa, or something else entirely?",
    "gonna wanna gotta lemme dunno ain't y'all could've should've it'd we'll I'm they're",
    "Zürich, São Paulo and 東京 are cities; naïve café façade; Ελλάδα; Привет мир; 😀 👍🏽",
    "To be, or not to be: that is the question whether 'tis nobler in the mind to suffer.",
    "Yes.",
    "   ",
    "",
)


def self_tested_fast_tagger(
    nlp: "Language",
    *,
    max_run: int,
    precision: Precision,
    device: str,
) -> FastTagger:
    """Return the fast tagger after it has given spaCy's own tags for the probe sentences.

    In bf16 one tag in a hundred may differ; in fp32 none may.

    Raises:
        UnknownArchitecture: another architecture, or another tag.
    """
    # spaCy's own tags come first, while its vocabulary still computes all attributes: FastTagger drops some.
    with nlp.memory_zone():
        expected = [[(token.text, token.tag_, token.pos_) for token in doc] for doc in nlp.pipe(PROBE_TEXTS)]
    tagging = FastTagger(nlp, max_run=max_run, precision=precision, device=device)
    block = tagging.tag(PROBE_TEXTS)
    num_tokens = num_other = 0
    # Another cut is refused at once, since it is no matter of rounding; other tags are counted.
    for start, end, tokens in zip(block.starts.tolist(), block.ends.tolist(), expected, strict=True):
        if end - start != len(tokens):
            raise UnknownArchitecture("it cuts a probe sentence into other tokens")
        tags, pos = block.tags[start:end].tolist(), block.pos[start:end].tolist()
        found = [(tagging.tag_names[tag], POS_TAGS[index]) for tag, index in zip(tags, pos, strict=True)]
        num_other += sum(pair != token[1:] for pair, token in zip(found, tokens, strict=True))
        num_tokens += len(tokens)
    allowed = 0 if precision is Precision.fp32 else num_tokens // 100
    if num_other > allowed:
        raise UnknownArchitecture(f"{num_other} of {num_tokens} tags of the probe sentences differ from spaCy's")
    return tagging
