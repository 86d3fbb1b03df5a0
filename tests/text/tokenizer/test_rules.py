import random

import pytest
import spacy
from hypothesis import given, settings
from hypothesis import strategies as st

from textlstm.text.tokenizer.rules import WordRules


@pytest.fixture(scope="module")
def english():
    nlp = spacy.blank("en")
    return nlp.tokenizer, WordRules(nlp)


def test_words_are_cut_as_spacy_cuts_them(english):
    _, rules = english
    assert list(rules.cut("(end's)")) == ["(", "end", "'s", ")"]
    assert list(rules.cut("plain")) == ["plain"]
    assert list(rules.cut("can't")) == ["ca", "n't"]
    assert list(rules.cut("well-known.com/a-b?x=1")) == ["well-known.com/a-b?x=1"]


def test_words_that_the_last_step_joins_are_left_to_spacy(english):
    _, rules = english
    assert rules.cut(":)P") is None
    assert rules.cut("word):") is None
    assert list(rules.cut("word:")) == ["word", ":"]


PIECES = ["(", ")", ":", "-", ".", "'s", "n't", "U.S.", "Okla.", "a", "B", "7", "km", "http://", "…", "é", "%", "/", ",", "_"]  # fmt: skip


@settings(max_examples=300, deadline=None)
@given(st.one_of(st.lists(st.sampled_from(PIECES), min_size=1, max_size=8).map("".join), st.text(min_size=1)))
def test_tokens_are_those_of_spacy(english, text):
    tokenizer, rules = english
    for word in text.split():
        tokens = rules.cut(word)
        assert tokens is None or list(tokens) == [token.text for token in tokenizer(word)]


@pytest.mark.parametrize("language", ["de", "es", "fr", "hu", "ru"])
def test_tokens_of_other_languages_are_those_of_spacy(language):
    nlp = spacy.blank(language)
    rules, random_word = WordRules(nlp), random.Random(3)
    cases = [case for case in nlp.tokenizer.rules if len(case.split()) == 1 and case == case.strip()]
    num_cut = 0
    for _ in range(400):
        word = "".join(
            random_word.choice([random_word.choice(cases), *PIECES]) for _ in range(random_word.randint(1, 5))
        )
        tokens = rules.cut(word)
        num_cut += tokens is not None
        assert tokens is None or list(tokens) == [token.text for token in nlp.tokenizer(word)], word
    assert num_cut > 200
