import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from textlstm.arrays.strings import TokenColumn

TOKENS = st.lists(st.sampled_from(["a", "b", "", "c d"]))


@given(TOKENS)
def test_a_column_is_the_sequence_that_it_was_made_of(tokens):
    column = TokenColumn.of(tokens)
    assert column == tokens
    assert (list(column), len(column), column[1:3]) == (tokens, len(tokens), tokens[1:3])
    assert [column[place] for place in range(len(tokens))] == tokens
    assert column != [*tokens, "a"]
    assert column != ["x", *tokens[1:]] or not tokens


@given(TOKENS)
def test_compact_keeps_tokens_and_drops_unused_ones(tokens):
    column = TokenColumn(
        ["x", "a", "y", "b", "", "c d"], np.array([["x", "a", "y", "b", "", "c d"].index(t) for t in tokens], np.int32)
    )
    assert column.compact() == tokens
    assert set(column.compact().distinct) == set(tokens)


def test_each_is_computed_once_for_all_equal_tokens():
    asked = []

    def sizes(tokens):
        asked.append(list(tokens))
        return np.array([len(token) for token in tokens])

    assert TokenColumn(["b", "a", "cc"], np.array([1, 2, 1], np.int32)).each(sizes).tolist() == [1, 2, 1]
    assert asked == [["a", "cc"]]


def test_a_growing_table_does_not_change_a_column():
    distinct = ["a"]
    column = TokenColumn(distinct, np.array([0, 0], np.int32))
    distinct.append("b")
    assert column == ["a", "a"]
    assert column.compact().distinct == ["a"]
