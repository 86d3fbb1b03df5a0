import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from textlstm.errors import IntegrityError
from textlstm.vocabulary import Vocabulary


def test_build_orders_by_count_then_token():
    vocabulary = Vocabulary.build({"b": 2, "a": 2, "c": 5, "rare": 1}, max_size=10, min_count=2)
    assert vocabulary.tokens == ("<pad>", "<unk>", "c", "a", "b")


def test_build_is_independent_of_insertion_order():
    counts = {"x": 1, "y": 3, "z": 1}
    reordered = dict(reversed(counts.items()))
    assert (
        Vocabulary.build(counts, max_size=9, min_count=1).tokens
        == Vocabulary.build(reordered, max_size=9, min_count=1).tokens
    )


def test_build_counts_special_tokens_in_max_size():
    assert Vocabulary.build({"a": 3, "b": 2, "c": 1}, max_size=4, min_count=1).tokens == ("<pad>", "<unk>", "a", "b")
    assert Vocabulary.build({"a": 3}, max_size=1, min_count=1).tokens == ("<pad>", "<unk>")


def test_build_leaves_out_words_that_look_like_special_tokens():
    assert Vocabulary.build({"<pad>": 9, "<unk>": 9, "a": 1}, max_size=9, min_count=1).tokens == ("<pad>", "<unk>", "a")


def test_encode_gives_ids_and_unknown():
    vocabulary = Vocabulary.build({"a": 2, "b": 1}, max_size=9, min_count=1)
    ids = vocabulary.encode(["b", "a", "nowhere", "b"])
    assert ids.dtype == np.int32
    assert ids.tolist() == [3, 2, 1, 3]
    assert vocabulary.encode([]).shape == (0,)


def test_vocabulary_knows_its_tokens():
    vocabulary = Vocabulary.build({"a": 2}, max_size=9, min_count=1)
    assert len(vocabulary) == 3
    assert "a" in vocabulary
    assert "b" not in vocabulary


def test_vocabulary_refuses_tokens_without_special_ones():
    with pytest.raises(IntegrityError) as caught:
        Vocabulary(["a", "b"])
    assert caught.value.problems == ("a vocabulary starts with <pad> and <unk>, got ('a', 'b')",)


def test_vocabulary_refuses_a_token_twice():
    with pytest.raises(IntegrityError) as caught:
        Vocabulary(["<pad>", "<unk>", "a", "a"])
    assert caught.value.problems == ("a token occurs twice in the vocabulary",)


def test_from_lines_refuses_a_broken_escape():
    with pytest.raises(IntegrityError) as caught:
        Vocabulary.from_lines(["<pad>", "<unk>", "a\\x"])
    assert caught.value.problems == ("vocabulary: broken escape '\\\\x'",)


def test_lines_hold_a_token_with_line_breaks():
    vocabulary = Vocabulary(["<pad>", "<unk>", "a\nb\\n", "\u2028\\u2028"])
    assert vocabulary.to_lines() == ["<pad>", "<unk>", "a\\nb\\\\n", "\\u2028\\\\u2028"]


@given(st.sets(st.text(alphabet=st.one_of(st.characters(), st.sampled_from("\\nru\n\r\u2028\x85"))), max_size=30))
def test_lines_round_trip_any_tokens(tokens):
    vocabulary = Vocabulary(["<pad>", "<unk>", *sorted(tokens - {"<pad>", "<unk>"})])
    text = "".join(line + "\n" for line in vocabulary.to_lines())
    assert Vocabulary.from_lines(text.splitlines()).tokens == vocabulary.tokens
