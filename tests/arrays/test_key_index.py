"""The hash table of integer keys."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from textlstm.arrays.hashing import KeyIndex


@given(st.sets(st.integers(0, 2**62)), st.lists(st.integers(0, 2**62)))
def test_every_key_is_found_at_its_place_and_no_other(keys, others):
    table = np.array(list(keys), dtype=np.int64)
    wanted = np.array([*keys, *others], dtype=np.int64)
    places = {key: place for place, key in enumerate(table.tolist())}
    assert KeyIndex(np.sort(table)).places(wanted[:255]).tolist() == [
        int(np.searchsorted(np.sort(table), key)) if key in places else -1 for key in wanted[:255].tolist()
    ]
    assert KeyIndex(table).places(wanted).tolist() == [places.get(key, -1) for key in wanted.tolist()]


@pytest.mark.parametrize("step", [1, 2**20, 7919])
def test_regular_keys_are_found(step):
    keys = np.arange(50_000, dtype=np.int64) * step
    index = KeyIndex(keys)
    assert np.array_equal(index.places(keys), np.arange(50_000))
    assert (index.places(keys + 50_000 * step) == -1).all()
