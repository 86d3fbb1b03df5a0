import pytest
import spacy

from textlstm.text.tokenizer.word_tokenizer import WordTokenizer, find_pieces, merge_around, supports_single_words


@pytest.fixture(scope="module")
def words():
    nlp = spacy.blank("en")
    tokenizer = WordTokenizer(nlp, ("ORTH", "NORM", "SPACY"))

    def tokenize(*texts):
        return {
            found.word: ([(nlp.vocab.strings[row[0]], row[2]) for row in found.rows], found.is_joined)
            for found in tokenizer.tokenize(texts)
        }

    return tokenize


def test_words_are_cut_with_their_space(words):
    assert words("don't ", "end.", "plain ", "plain") == {
        "don't ": ([("do", 0), ("n't", 1)], False),
        "end.": ([("end", 0), (".", 0)], False),
        "plain ": ([("plain", 1)], False),
        "plain": ([("plain", 0)], False),
    }


def test_joined_tokens_are_reported(words):
    assert words(":)P", "(D-Okla.) ") == {
        ":)P": ([(":)", 0), ("P", 0)], True),
        "(D-Okla.) ": ([("(", 0), ("D", 0), ("-", 0), ("Okla.", 0), (")", 1)], True),
    }


def test_white_space_and_whole_texts_are_cut_too(words):
    assert words("\n ", "a  b ") == {
        "\n ": ([("\n ", 0)], False),
        "a  b ": ([("a", 1), (" ", 0), ("b", 1)], False),
    }


def test_the_separator_of_batches_is_a_word_like_any_other(words):
    assert words("zqxseparatorzqx", "a", "zqxseparatorzqx!")["zqxseparatorzqx!"] == (
        [("zqxseparatorzqx", 0), ("!", 0)],
        False,
    )


def test_pieces_are_words_with_their_space_and_other_white_space():
    assert find_pieces("a  b\n") == ["a ", " ", "b", "\n"]
    assert find_pieces("") == []


def test_joined_words_are_merged_with_their_neighbors():
    pieces = [f"w{number} " for number in range(40)]
    merged = merge_around(pieces, {"w20 "})
    assert merged == [*pieces[:8], "".join(pieces[8:33]), *pieces[33:]]


def test_near_joined_words_share_one_piece():
    pieces = [f"w{number} " for number in range(80)]
    merged = merge_around(pieces, {"w2 ", "w20 ", "w70 "})
    assert merged == ["".join(pieces[:33]), *pieces[33:58], "".join(pieces[58:80])]
    assert merge_around(pieces, set()) == pieces


def test_only_the_tokenizer_of_spacy_itself_is_supported():
    nlp = spacy.blank("en")
    assert supports_single_words(nlp)
    nlp.tokenizer = lambda text: spacy.tokens.Doc(nlp.vocab, words=text.split())
    assert not supports_single_words(nlp)
