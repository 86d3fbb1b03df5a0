from hypothesis import given
from hypothesis import strategies as st

from textlstm.arrays.ragged import block_bounds, blocks_by_words


def test_blocks_hold_about_so_many_words():
    texts = ["word " * 10] * 7  # 50 characters, so 9 words each
    assert [len(block) for block in blocks_by_words(texts, max_words=20)] == [2, 2, 2, 1]


def test_a_long_text_is_a_block_of_its_own():
    assert list(blocks_by_words(["a", "b" * 600, "c"], max_words=50)) == [["a"], ["b" * 600], ["c"]]


def test_no_texts_give_no_block():
    assert list(blocks_by_words([], max_words=10)) == []
    assert list(block_bounds([], max_chars=10)) == []


def test_bounds_end_with_the_text_that_fills_the_block():
    assert [tuple(bounds) for bounds in block_bounds(["aa", "aa", "aaaaaa", "a"], max_chars=4)] == [
        (0, 2),
        (2, 3),
        (3, 4),
    ]


@given(st.lists(st.text(max_size=40), max_size=30), st.integers(min_value=1, max_value=30))
def test_blocks_hold_every_text_once_in_order(texts, size):
    assert [text for block in blocks_by_words(texts, max_words=size) for text in block] == texts
    assert [text for start, end in block_bounds(texts, max_chars=size) for text in texts[start:end]] == texts
