import re
from functools import lru_cache

import pytest
import spacy
from hypothesis import given, settings
from hypothesis import strategies as st

from textlstm.text.cut_patterns import (
    PatternFacts,
    infix_finditer,
    leaves_letters,
    pattern_facts,
    prefix_search,
    suffix_search,
)

TOKENIZER = spacy.blank("en").tokenizer
WORDS = st.text(
    alphabet=st.one_of(st.sampled_from("abcZ019.,'’\"()-%$€°Ckm😀:/_\n"), st.characters(exclude_categories=["Cs"])),
    max_size=20,
)


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        (r"^a|^\(", PatternFacts(is_anchored=True)),
        (r"^\$|^\(", PatternFacts(needs_non_letter=True, is_anchored=True)),
        (r"\)$|(?<=[0-9])km$", PatternFacts(needs_non_letter=True, tail_width=3)),
        (r"\)$|\.\.+$", PatternFacts(needs_non_letter=True, tail_width=2, run_characters=".")),
        (r"\)$|x+$", PatternFacts()),
        (r"(?<=[a-z])-(?=[a-z])|\d", PatternFacts(needs_non_letter=True)),
        (r"(?<=[a-z])(?=[A-Z])|\.", PatternFacts()),
        (r"\w-?|\.", PatternFacts()),
        (r"[^0-9]|\.", PatternFacts()),
        (r"(?i)ſ|\.", PatternFacts()),
    ],
)
def test_facts_of_patterns(pattern, expected):
    assert pattern_facts(re.compile(pattern)) == expected


@pytest.mark.parametrize("language", ["en", "de", "fr", "es", "it", "nl", "sv", "pl", "pt", "ru", "fi", "da", "tr"])
def test_facts_are_proven_for_the_patterns_of_spacy(language):
    tokenizer = spacy.blank(language).tokenizer
    assert pattern_facts(tokenizer.prefix_search.__self__)[:2] == (True, True)
    assert pattern_facts(tokenizer.suffix_search.__self__).tail_width == 6
    assert pattern_facts(tokenizer.infix_finditer.__self__).needs_non_letter


def test_functions_that_are_no_pattern_stay_as_they_are():
    def search(text):
        return None

    assert prefix_search(search) is search
    assert suffix_search(None) is None
    assert infix_finditer(search) is search


def test_words_of_letters_are_left_alone_only_where_that_is_proven():
    assert leaves_letters(None)
    assert leaves_letters(TOKENIZER.suffix_search)
    assert leaves_letters(TOKENIZER.infix_finditer)
    assert not leaves_letters(re.compile("(?<=a)b").search)
    assert not leaves_letters(lambda text: None)


def _span(match):
    return None if match is None else match.span()


@pytest.mark.parametrize("language", ["en", "de", "fr", "hu", "ru"])
@settings(max_examples=200, deadline=None)
@given(word=WORDS)
def test_faster_searches_find_what_the_patterns_of_spacy_find(language, word):
    tokenizer, find_prefix, find_suffix, find_infixes = _searches(language)
    assert _span(find_prefix(word)) == _span(tokenizer.prefix_search(word))
    assert _span(find_suffix(word)) == _span(tokenizer.suffix_search(word))
    assert [match.span() for match in find_infixes(word)] == [match.span() for match in tokenizer.infix_finditer(word)]


@lru_cache
def _searches(language):
    tokenizer = spacy.blank(language).tokenizer
    return (
        tokenizer,
        prefix_search(tokenizer.prefix_search),
        suffix_search(tokenizer.suffix_search),
        infix_finditer(tokenizer.infix_finditer),
    )


@pytest.mark.parametrize("word", ["wait.....", "10km", "5°C.", "it's", "a..", "x)", "12€", "U.S", "END.", "....", "a…"])
def test_suffixes_of_named_words_are_those_of_spacy(word):
    assert _span(suffix_search(TOKENIZER.suffix_search)(word)) == _span(TOKENIZER.suffix_search(word))
    assert suffix_search(TOKENIZER.suffix_search)("plain") is None
