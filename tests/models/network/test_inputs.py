import numpy as np
import pytest

from textlstm.models.network.inputs import encode_split


def test_long_texts_keep_their_head_and_tail() -> None:
    token_ids = np.array([2, 3, 4, 5, 6, 7, 10, 11])
    pos = np.array([1, 2, 3, 4, 5, 6, 7, 8])
    split = encode_split(token_ids, np.array([0, 6, 6, 8]), pos, np.array([0, 1, 0]), max_tokens=4)
    assert split.token_ids.tolist() == [2, 3, 4, 7, 10, 11]
    assert split.pos_ids is not None
    assert split.pos_ids.tolist() == [1, 2, 3, 6, 7, 8]
    assert split.offsets.tolist() == [0, 4, 4, 6]
    assert (split.num_rows, split.lengths.tolist()) == (3, [4, 0, 2])
    assert (split.token_ids.dtype, split.pos_ids.dtype, split.targets.dtype) == (np.int32, np.uint8, np.int64)


def test_one_token_is_the_first() -> None:
    split = encode_split(np.array([5, 6, 7]), np.array([0, 3]), None, np.array([0]), max_tokens=1)
    assert split.token_ids.tolist() == [5]


def test_targets_of_several_labels_are_floats() -> None:
    split = encode_split(np.array([5]), np.array([0, 1]), None, np.array([[1, 0]]), max_tokens=9)
    assert (split.targets.dtype, split.targets.tolist()) == (np.float32, [[1.0, 0.0]])


def test_arrays_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match=r"^targets has 2 rows, offsets has 1$"):
        encode_split(np.array([5]), np.array([0, 1]), None, np.array([0, 1]), max_tokens=9)
    with pytest.raises(ValueError, match=r"^offsets end at 2, but there are 1 token ids$"):
        encode_split(np.array([5]), np.array([0, 2]), None, np.array([0]), max_tokens=9)
