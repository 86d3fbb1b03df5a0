"""N-grams of many words at once are those that a dictionary finds one by one."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from textlstm.arrays.strings import pack_strings
from textlstm.models.linear.char_ngrams import CharacterNgrams
from textlstm.models.linear.ngram_trie import NgramTrie

ALPHABET = "ab 漢é\U0001f600\ud800"
WORDS = st.lists(st.text(ALPHABET, max_size=8), max_size=6)


def _one_by_one(ngrams: list[str], word: str) -> list[int]:
    """Return the columns of the n-grams in `word`, the shortest first."""
    places = {ngram: column for column, ngram in enumerate(ngrams)}
    cut = [word[i : i + width] for width in range(1, 9) for i in range(len(word) - width + 1)]
    return [places[ngram] for ngram in cut if ngram in places]


@settings(max_examples=200, deadline=None)
@given(table=st.sets(st.text(ALPHABET, min_size=1, max_size=6)), words=WORDS)
def test_any_word_has_the_columns_of_a_dictionary(table, words):
    # Any set of n-grams, also without their beginnings, and words with characters that no n-gram has.
    ngrams = sorted(table)
    found = NgramTrie(pack_strings(ngrams)).columns_of(words)
    expected = [_one_by_one(ngrams, word) for word in words]
    assert found.sizes.tolist() == [len(columns) for columns in expected]
    assert found.values.tolist() == [column for columns in expected for column in columns]


def test_a_table_of_more_characters_than_a_key_has_bits_for():
    ngrams = sorted({chr(0x4E00 + i) + chr(0x4E00 + (7 * i) % 20_000) for i in range(20_000)})
    found = NgramTrie(pack_strings(ngrams)).columns_of([*ngrams, "zz"])
    assert np.array_equal(found.values, np.arange(len(ngrams)))
    assert found.sizes[-1] == 0


def test_rows_of_one_text_and_of_many_are_equal_to_the_last_bit():
    texts = ["Abba ab ab", "", "cab abab", "xyz", "ÀB ab"]
    ngrams = CharacterNgrams.fit(texts[:3])
    together = ngrams.transform(texts)
    for row, text in enumerate(texts):
        alone = ngrams.transform([text])
        start, end = together.offsets[row : row + 2]
        assert np.array_equal(alone.features, together.features[start:end])
        assert np.array_equal(alone.values, together.values[start:end])
