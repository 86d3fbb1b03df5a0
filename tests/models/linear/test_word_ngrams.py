import re

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from textlstm.arrays.ragged import SplitWords
from textlstm.arrays.strings import TokenColumn
from textlstm.models.linear.word_ngrams import WordParts

PATTERN = re.compile(r"(?u)\w+|[^\w\s]")
KNOWN = {"a": 0, "b": 1, "σ": 2, "ς": 3, ".": 4, "i": 5}
TEXTS = st.lists(st.text(alphabet="aAbΣσ.İ \n\x1c\u0345", max_size=10), max_size=5)


def _number(parts: list[str]) -> np.ndarray:
    return np.array([KNOWN.get(part, -1) for part in parts], dtype=np.int64)


def _expected(texts: list[str]) -> tuple[list[int], list[int]]:
    found = [[KNOWN.get(part, -1) for part in PATTERN.findall(text.lower())] for text in texts]
    return [number for row in found for number in row], [i for i, row in enumerate(found) for _ in row]


@given(TEXTS, TEXTS)
def test_parts_of_words_are_the_parts_of_the_texts(texts, more):
    finder = WordParts(_number, all_tokens=True)
    for some in (texts, more, texts):
        ids, rows = finder.find(SplitWords.of(some))
        assert (ids.tolist(), rows.tolist()) == _expected(some)


def test_a_word_is_cut_once_while_its_numbering_goes_on():
    asked: list[str] = []

    def number(parts: list[str]) -> np.ndarray:
        asked.extend(parts)
        return _number(parts)

    finder = WordParts(number, all_tokens=True)
    distinct = ["a", "b."]
    first = SplitWords(TokenColumn(distinct, np.array([0, 1, 1, 0], np.int32)), np.array([2, 2]), goes_on=True)
    assert finder.find(first).ids.tolist() == [0, 1, 4, 1, 4, 0]
    assert finder.find(SplitWords.of(["b a"])).ids.tolist() == [1, 0]  # another numbering, of that text alone
    distinct.append("b")
    more = SplitWords(TokenColumn(distinct, np.array([2, 1], np.int32)), np.array([2]), goes_on=True)
    assert finder.find(more).ids.tolist() == [1, 1, 4]
    assert asked == ["a", "b", ".", "b", "a", "b"]


def test_a_numbering_may_hold_pieces_of_several_lines():
    """A tokenizer numbers such pieces beside the words; no text has them as a word."""
    finder = WordParts(_number, all_tokens=True)
    distinct = ["a", "b\n\na .", "b"]
    texts = SplitWords(TokenColumn(distinct, np.array([2, 0], np.int32)), np.array([2]), goes_on=True)
    assert finder.find(texts).ids.tolist() == [1, 0]
