import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from textlstm.arrays.ragged import SplitWords, join_split

TEXTS = st.lists(st.text(alphabet="ab \n\u3000", max_size=12), max_size=6)


def _words(split: SplitWords) -> list[list[str]]:
    ends = np.cumsum(split.counts)
    return [split.words[start:end] for start, end in zip(ends - split.counts, ends, strict=True)]


@given(TEXTS)
def test_words_are_those_of_split(texts):
    split = SplitWords.of(texts)
    assert _words(split) == [text.split() for text in texts]
    assert len(split) == len(texts)


@given(TEXTS, st.integers(0, 6), st.integers(0, 6))
def test_a_selection_has_the_words_of_its_texts(texts, start, end):
    start, end = sorted((min(start, len(texts)), min(end, len(texts))))
    assert _words(SplitWords.of(texts).select(start, end)) == [text.split() for text in texts[start:end]]


def test_parts_are_joined():
    whole = SplitWords.of(["a b", "", "b c"])
    assert _words(join_split([whole.select(0, 1), whole.select(1, 3)])) == _words(whole)
    assert len(join_split([])) == 0


def test_words_of_some_texts_in_another_order():
    texts = ["a b", "", "c a c", "d"]
    assert _words(SplitWords.of(texts).pick(np.array([2, 1, 0, 2]))) == [texts[row].split() for row in (2, 1, 0, 2)]
