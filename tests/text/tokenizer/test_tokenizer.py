import itertools
import random
from types import SimpleNamespace

import numpy as np
import pytest
import spacy
from hypothesis import given, settings
from hypothesis import strategies as st

from textlstm.text.tokenized import join_tokenized
from textlstm.text.tokenizer import tokenizer
from textlstm.text.tokenizer.tokenizer import PlainTokens
from textlstm.text.tokenizer.word_tokenizer import cut_long_runs


@pytest.fixture(scope="module")
def english():
    engine = PlainTokens(spacy.blank("en"), max_run=200)
    return SimpleNamespace(engine=engine, tokenizer=spacy.blank("en").tokenizer)


def _spacy_tokens(tokenizer, text):
    return [token.text for token in tokenizer(cut_long_runs(text, max_run=200)) if not token.is_space]


def _tokens(engine, text):
    return [token for block in engine.tag_blocks([text]) for token in block.tokens]


SPECIAL_PIECES = [
    ":", "-", ")", "(", "D", "P", ".", "..", "'", "'s", "n't", "it", "It", "a.m.", "p.m", "U.S.", "Mr", "o.O", "x", "8", "3",
    "<", ">", "_", "^", "*", "/", "co.", "can", "not", "gonna", "don't", "I'm", "’s", "10", "km", "%", "$", "e.g.", ",",
    " ", " ", " ", "  ", "\n", "\t", "\xa0", "\u2003", "word", "http://a.com/b", "a@b.org", "😀", "東京", "é", "\u200b",
]  # fmt: skip


@settings(max_examples=300, deadline=None)
@given(st.lists(st.sampled_from(SPECIAL_PIECES), max_size=16))
def test_tokens_of_special_cases_are_those_of_spacy(english, pieces):
    text = "".join(pieces)
    assert _tokens(english.engine, text) == _spacy_tokens(english.tokenizer, text)


@settings(max_examples=100, deadline=None)
@given(st.text(max_size=60))
def test_tokens_of_any_text_are_those_of_spacy(english, text):
    assert _tokens(english.engine, text) == _spacy_tokens(english.tokenizer, text)


def test_a_special_case_across_a_space_hides_a_shorter_one_as_in_spacy(english):
    # Alone, ":)" is one token; after "( " spaCy finds "( :", which is no special case, and leaves the pieces.
    assert _tokens(english.engine, ":)P") == [":)", "P"]
    assert _tokens(english.engine, "( :)P") == _spacy_tokens(english.tokenizer, "( :)P") == ["(", ":", ")", "P"]


@pytest.mark.parametrize("language", ["de", "es", "hu", "ru"])
def test_tokens_of_other_languages_are_those_of_spacy(language):
    engine = PlainTokens(spacy.blank(language), max_run=200)
    tokenizer = spacy.blank(language).tokenizer
    generator = random.Random(5)
    words = [*tokenizer.rules, *SPECIAL_PIECES, "Straße", "L'été", "пример", "EE. UU.", "gül'ün", "10km/h"]
    for _ in range(150):
        text = "".join(generator.choice(words) + generator.choice(["", " ", " ", ", ", ") "]) for _ in range(12))
        assert _tokens(engine, text) == _spacy_tokens(tokenizer, text)


def test_removed_words_are_counted(prepare):
    engine = PlainTokens(spacy.blank("en"), max_run=200)
    prepared = prepare(engine, ["The cat isn't the dog.", "the The", "cat"], stop_words=["the", "n't"])
    assert [prepared.text_tokens(index) for index in range(3)] == [["cat", "is", "dog", "."], [], ["cat"]]
    assert prepared.num_removed.tolist() == [3, 2, 0]
    assert prepared.pos is None


def test_empty_inputs_give_empty_results(english, prepare):
    assert prepare(english.engine, []).offsets.tolist() == [0]
    assert prepare(english.engine, ["", " \n"]).offsets.tolist() == [0, 0, 0]


def test_blocks_and_a_full_cache_do_not_change_tokens(monkeypatch, prepare):
    texts = [f"word{number} is :-) here. The {number}th" for number in range(200)]
    expected = prepare(PlainTokens(spacy.blank("en"), max_run=200), texts)
    monkeypatch.setattr(tokenizer, "_BLOCK_CHARS", 100)
    monkeypatch.setattr(tokenizer, "_MAX_WORDS", 20)
    engine = PlainTokens(spacy.blank("en"), max_run=200)
    small = join_tokenized([prepare(engine, texts[start : start + 20]) for start in range(0, len(texts), 20)])
    assert small.tokens == expected.tokens
    assert small.offsets.tolist() == expected.offsets.tolist()


def test_long_runs_are_cut(english):
    assert [len(token) for token in _tokens(english.engine, "a" * 450)] == [200, 200, 50]


@settings(max_examples=100, deadline=None)
@given(st.lists(st.sampled_from([*SPECIAL_PIECES, "a" * 199, ":)" * 120, "it's," * 60, "( "]), max_size=12))
def test_tokens_around_long_runs_are_those_of_spacy(english, prepare, pieces):
    text = "".join(pieces)
    prepared = prepare(english.engine, ["before", text, "and after :)"])
    assert prepared.text_tokens(1) == _spacy_tokens(english.tokenizer, text)
    assert prepared.words.words[:] == ["before", *text.split(), "and", "after", ":)"]
    assert prepared.words.counts.tolist() == [1, len(text.split()), 3]


def test_long_words_fill_the_cache_sooner(monkeypatch, prepare):
    monkeypatch.setattr(tokenizer, "_MAX_WORD_CHARS", 1_000)
    engine = PlainTokens(spacy.blank("en"), max_run=200)
    first = prepare(engine, ["a b"])
    assert prepare(engine, ["c" * 1_000]).words.words.distinct is first.words.words.distinct
    assert prepare(engine, ["c"]).words.words.distinct == ["c"]


def test_an_error_leaves_no_word_without_tokens(english, monkeypatch):
    engine = PlainTokens(spacy.blank("en"), max_run=200)
    assert _tokens(engine, "known words.") == ["known", "words", "."]
    monkeypatch.setattr(engine._rules, "cut", lambda word: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        _tokens(engine, "known new")
    monkeypatch.undo()
    assert _tokens(engine, "known new words.") == ["known", "new", "words", "."]


def test_runs_that_are_cut_alike_all_get_their_tokens(english):
    texts = ["a" * 250, f"{'a' * 200} {'a' * 50}", f"{'a' * 250} :-) {'a' * 250}"]
    assert [_tokens(english.engine, text) for text in texts] == [
        _spacy_tokens(english.tokenizer, text) for text in texts
    ]


def test_words_that_were_split_before_have_the_tokens_of_whole_texts():
    texts = ["One two, (three)", "only here: uncut", "", "two :)P three", "x  y http://a.bc/d"]
    expected = [_tokens(PlainTokens(spacy.blank("en"), max_run=200), text) for text in texts]
    engine = PlainTokens(spacy.blank("en"), max_run=200)
    words = engine.split(texts)
    assert list(words.words) == [word for text in texts for word in text.split()]
    # Tokens of some of the texts, then of all, in another order.
    for rows in ([3, 0], [0, 4], [2], [4, 3, 2, 1, 0]):
        [block] = engine.tag_blocks([texts[row] for row in rows], words.pick(np.array(rows)))
        found = [block.tokens[start:end] for start, end in itertools.pairwise(block.offsets.tolist())]
        assert found == [expected[row] for row in rows]


def test_words_of_before_the_cache_began_anew_are_split_again(monkeypatch):
    monkeypatch.setattr(tokenizer, "_MAX_WORDS", 3)
    engine = PlainTokens(spacy.blank("en"), max_run=200)
    words = engine.split(["a b c d"])
    engine.split(["e f"])
    [block] = engine.tag_blocks(["a b c d"], words)
    assert block.tokens == ["a", "b", "c", "d"]
