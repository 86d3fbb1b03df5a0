"""Words of ASCII letters are not searched, and only where spaCy's patterns find nothing in them."""

import itertools
import pkgutil
import random
import re
import string

import pytest
import spacy
import spacy.lang
from hypothesis import given, settings
from hypothesis import strategies as st
from spacy.tokenizer import Tokenizer

from textlstm.text.tokenizer.rules import has_default_patterns, searches_of

WORDS = st.text(string.ascii_letters, min_size=1, max_size=12)
LANGUAGES = sorted(module.name for module in pkgutil.iter_modules(spacy.lang.__path__) if module.ispkg)
SHORT_WORDS = [
    "".join(letters)
    for size, alphabet in ((1, string.ascii_letters), (2, string.ascii_letters), (3, "abgkmstxAEKMU"))
    for letters in itertools.product(alphabet, repeat=size)
]


def _blank(language):
    try:
        nlp = spacy.blank(language)
    except ImportError:
        pytest.skip("needs another package")
    if type(nlp.tokenizer) is not Tokenizer:
        pytest.skip("has a tokenizer of its own")
    return nlp


def _finds(nlp, word):
    tokenizer = nlp.tokenizer
    return bool(tokenizer.prefix_search(word) or tokenizer.suffix_search(word) or list(tokenizer.infix_finditer(word)))


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_patterns_of_a_language_find_nothing_in_words_that_are_not_searched(language):
    nlp = _blank(language)
    assert has_default_patterns(nlp)
    finds = [word for word in SHORT_WORDS if _finds(nlp, word)]
    assert searches_of(nlp).leaves_letters == (not finds)


@pytest.mark.parametrize("language", ["en", "de", "fr", "hu"])
@settings(max_examples=100, deadline=None)
@given(word=WORDS)
def test_longer_words_hold_nothing_to_find_either(language, word):
    nlp = BLANKS[language]
    assert not _finds(nlp, word)


BLANKS = {language: spacy.blank(language) for language in ("en", "de", "fr", "hu")}


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_suffix_of_a_long_word_is_the_one_that_a_search_of_the_whole_word_finds(language):
    nlp = _blank(language)
    whole, end = nlp.tokenizer.suffix_search, searches_of(nlp).suffix_search
    if whole is None:
        pytest.skip("cuts off no suffixes")
    draw = random.Random(1)
    pieces = [
        *(char for char in string.printable if not char.isspace()),
        "...",
        "km",
        "°C",
        "'s",
        "€",
        "—",
        "\U0001f600",
        "ж",
    ]
    pieces += [re.sub(r"\\(.)", r"\1", suffix) for suffix in nlp.Defaults.suffixes or () if len(suffix) < 8]
    for _ in range(300):
        head = "".join(draw.choices(pieces, k=draw.randrange(30, 60)))
        for word in (head, head + draw.choice(pieces) * draw.randrange(1, 50)):
            expected, found = whole(word), end(word)
            assert (expected and expected.span()) == (found and found.span()), word


def test_indonesian_prefixes_of_letters_are_still_found():
    searches = searches_of(spacy.blank("id"))
    assert searches.prefix_search("Rp").span() == (0, 2)


@pytest.mark.parametrize("name", ["prefix_search", "suffix_search"])
def test_a_pattern_of_ones_own_is_searched_everywhere(name):
    nlp = spacy.blank("en")
    setattr(nlp.tokenizer, name, re.compile("cannot").search)
    searches = searches_of(nlp)
    assert not searches.leaves_letters
    assert getattr(searches, name)("cannot").span() == (0, 6)


def test_infixes_of_ones_own_are_searched_everywhere():
    nlp = spacy.blank("en")
    nlp.tokenizer.infix_finditer = re.compile("(?<=can)(?=not)").finditer
    searches = searches_of(nlp)
    assert not searches.leaves_letters
    assert [match.span() for match in searches.infix_finditer("cannot")] == [(3, 3)]


def test_a_tokenizer_without_prefixes_has_no_search_of_them():
    nlp = spacy.blank("en")
    nlp.tokenizer.prefix_search = None
    assert searches_of(nlp).prefix_search is None


def test_a_language_of_ones_own_is_searched_everywhere():
    class Own(spacy.lang.en.English):
        lang = "en"

    assert not searches_of(Own()).leaves_letters


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_part_of_the_patterns_for_ascii_finds_what_the_whole_finds(language):
    nlp = _blank(language)
    searches, tokenizer, random_word = searches_of(nlp), nlp.tokenizer, random.Random(5)
    pieces = ["a", "B", "7", ".", "..", ",", "'s", "$", "US$", "%", "km", "-", "--", "/", "(", ")", "[", "_", "~", "*", "+", "^", "&", ":", "<", "#", '"', "`"]  # fmt: skip
    num_found = 0
    for _ in range(200):
        word = "".join(random_word.choices(pieces, k=random_word.randint(1, 12)))
        for mine, whole in (
            (searches.prefix_search, tokenizer.prefix_search),
            (searches.suffix_search, tokenizer.suffix_search),
        ):
            found, expected = (search(word) if search else None for search in (mine, whole))
            assert (found and found.span()) == (expected and expected.span()), word
            num_found += found is not None
        spans = [
            [match.span() for match in find(word)] if find else []
            for find in (searches.infix_finditer, tokenizer.infix_finditer)
        ]
        assert spans[0] == spans[1], word
    assert num_found > 100 or searches.suffix_search is None
