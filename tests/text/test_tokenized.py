import numpy as np
import pytest

from textlstm.arrays.strings import TokenColumn
from textlstm.text.tokenized import TokenizedTexts, join_tokenized


def _prepared(texts, tags=None):
    lengths = [len(text) for text in texts]
    return TokenizedTexts(
        tokens=TokenColumn.of(token for text in texts for token in text),
        offsets=np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64),
        pos=None if tags is None else np.array(tags, np.uint8),
        num_removed=np.arange(len(texts), dtype=np.int32),
    )


def test_texts_are_found_by_offsets():
    prepared = _prepared([["a", "b"], [], ["c"]], tags=[1, 2, 3])
    assert len(prepared) == 3
    assert [prepared.text_tokens(index) for index in range(3)] == [["a", "b"], [], ["c"]]


def test_join_keeps_order_and_shifts_offsets():
    joined = join_tokenized([_prepared([["a"], ["b", "c"]], tags=[1, 2, 3]), _prepared([["d"]], tags=[4])])
    assert joined.tokens == ["a", "b", "c", "d"]
    assert joined.offsets.tolist() == [0, 1, 3, 4]
    assert joined.offsets.dtype == np.int64
    assert joined.pos.tolist() == [1, 2, 3, 4]
    assert joined.num_removed.tolist() == [0, 1, 0]


def test_join_of_nothing_is_empty():
    joined = join_tokenized([])
    assert (joined.tokens, joined.offsets.tolist(), joined.pos, len(joined)) == ([], [0], None, 0)


def test_join_refuses_parts_with_and_without_tags():
    with pytest.raises(ValueError, match=r"^parts with and without tags cannot be joined$"):
        join_tokenized([_prepared([["a"]], tags=[1]), _prepared([["b"]])])
