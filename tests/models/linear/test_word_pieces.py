"""Words tokenized together have the pieces that each of them has alone."""

import json
from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers

from textlstm.models.linear.word_pieces import JoinedWords, PieceCounter, cuts_words_alike

MARK = "\u2581"
MERGES = [(MARK, "a"), ("a", "b"), (MARK + "a", "b"), ("b", "a"), (MARK, MARK), (MARK + "ab", "a"), ("b", "b")]


def _tokenizer(*, piece: str = "", pre_tokenizer: pre_tokenizers.PreTokenizer | None = None) -> Tokenizer:
    """Return a small tokenizer of Llama's kind, with one more piece."""
    pieces = ["<unk>", "<s>", MARK, "a", "b", "c", *("".join(pair) for pair in MERGES)]
    pieces += [f"<0x{byte:02X}>" for byte in range(256)] + ([piece] if piece else [])
    vocabulary = {name: number for number, name in enumerate(dict.fromkeys(pieces))}
    model = models.BPE(vocab=vocabulary, merges=MERGES, unk_token="<unk>", byte_fallback=True, fuse_unk=True)
    tokenizer = Tokenizer(model)
    tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend(MARK), normalizers.Replace(" ", MARK)])
    if pre_tokenizer is not None:
        tokenizer.pre_tokenizer = pre_tokenizer
    tokenizer.add_special_tokens(["<s>"])
    return tokenizer


@cache
def _joined() -> tuple[Tokenizer, JoinedWords]:
    tokenizer = _tokenizer()
    return tokenizer, JoinedWords(tokenizer, json.loads(tokenizer.to_str())["model"]["vocab"])


WORDS = st.lists(st.sampled_from(["a", "b", "c", "é", MARK, "<s>", " ", "\n"]), max_size=6).map("".join)


@settings(max_examples=200, deadline=None)
@given(words=st.lists(st.one_of(WORDS, st.text("abc", min_size=1, max_size=6)), max_size=150))
def test_any_words_have_the_pieces_that_they_have_alone(words):
    tokenizer, joined = _joined()
    found = joined.pieces_of(words)
    alone = [tokenizer.encode(word, add_special_tokens=False).ids for word in words]
    assert found.sizes.tolist() == [len(ids) for ids in alone]
    assert found.values.tolist() == [piece for ids in alone for piece in ids]


@pytest.mark.parametrize(
    ("settings_", "alike"),
    [({}, True), ({"piece": f"a{MARK}"}, False), ({"pre_tokenizer": pre_tokenizers.Whitespace()}, False)],
)
def test_only_tokenizers_whose_pieces_end_with_the_word_are_given_joined_words(settings_, alike):
    assert cuts_words_alike(json.loads(_tokenizer(**settings_).to_str())) is alike


def test_wordllamas_tokenizer_takes_joined_words():
    pytest.importorskip("wordllama")
    from textlstm.embeddings.sources import read_wordllama_table

    tokenizer_json = read_wordllama_table().tokenizer_json
    assert cuts_words_alike(json.loads(tokenizer_json))
    # Many words go together, few by themselves: both give the same sums.
    words = [f"word{number}," for number in range(300)] + ["<s>", "</s>x", "naïve", "漢字", MARK]
    counter = PieceCounter(tokenizer_json)
    scores = np.arange(counter.num_pieces, dtype=np.float32)[:, None]
    sums, sizes = counter.sums(words, scores)
    for start in range(0, len(words), 100):
        its_sums, its_sizes = counter.sums(words[start : start + 100], scores)
        assert np.array_equal(its_sums, sums[start : start + 100])
        assert np.array_equal(its_sizes, sizes[start : start + 100])
