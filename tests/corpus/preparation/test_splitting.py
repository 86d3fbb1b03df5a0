import numpy as np
import pytest

from textlstm.arrays.hashing import content_hash
from textlstm.corpus.preparation.splitting import take_part


def hashes(texts: list[str]) -> np.ndarray:
    return np.array([content_hash(text) for text in texts], np.uint64)


def test_content_hash_is_the_start_of_sha256() -> None:
    # printf "a b" | sha256sum begins so
    assert content_hash("a b") == 0xC8687A08AA5D6ED2


def test_texts_that_differ_in_white_space_only_are_equal() -> None:
    assert content_hash(" a\n\tb ") == content_hash("a b")
    assert content_hash("ab") != content_hash("a b")


def test_each_class_gives_its_share() -> None:
    texts = [f"text {i}" for i in range(150)]
    strata = np.array([0] * 100 + [1] * 50)
    taken = take_part(hashes(texts), strata=strata, fraction=0.2, split_seed=13)
    assert [int(taken[strata == 0].sum()), int(taken[strata == 1].sum())] == [20, 10]


def test_remainders_go_to_the_classes_with_the_largest() -> None:
    # shares of 0.1: 1.4, 1.3, 0.9, 0.4 -> 1, 1, 0, 0 and two more for 0.9 and 0.4 (the larger class first)
    strata = np.repeat([0, 1, 2, 3], [14, 13, 9, 4])
    taken = take_part(hashes([f"text {i}" for i in range(40)]), strata=strata, fraction=0.1, split_seed=1)
    assert [int(taken[strata == stratum].sum()) for stratum in range(4)] == [2, 1, 1, 0]


def test_a_class_keeps_its_last_text() -> None:
    strata = np.array([0, 1, 1])
    taken = take_part(hashes(["a", "b", "c"]), strata=strata, fraction=0.9, split_seed=1)
    assert [bool(taken[0]), int(taken[1:].sum())] == [False, 1]


def test_equal_texts_stay_together() -> None:
    texts = [f"text {i % 30}" for i in range(300)]
    taken = take_part(hashes(texts), strata=np.zeros(300, np.int64), fraction=0.5, split_seed=1)
    sides = {text: {bool(side) for other, side in zip(texts, taken, strict=True) if other == text} for text in texts}
    assert all(len(side) == 1 for side in sides.values())
    assert int(taken.sum()) == 150


@pytest.mark.parametrize("order_seed", [0, 1, 2])
def test_order_of_rows_makes_no_difference(order_seed: int) -> None:
    texts = np.array([f"text {i % 80}" for i in range(100)])
    strata = np.array([i % 3 for i in range(100)])
    order = np.random.default_rng(order_seed).permutation(100)
    taken = take_part(hashes(list(texts)), strata=strata, fraction=0.3, split_seed=5)
    again = take_part(hashes(list(texts[order])), strata=strata[order], fraction=0.3, split_seed=5)
    assert sorted(texts[taken]) == sorted(texts[order][again])


def test_another_seed_takes_other_rows() -> None:
    texts = hashes([f"text {i}" for i in range(100)])
    parts = [take_part(texts, strata=np.zeros(100, np.int64), fraction=0.3, split_seed=seed) for seed in (1, 2)]
    assert not np.array_equal(*parts)
    assert [int(part.sum()) for part in parts] == [30, 30]
