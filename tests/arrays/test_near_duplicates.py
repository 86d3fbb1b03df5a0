import numpy as np
import pyarrow as pa
import pytest

from textlstm.arrays.hashing import hash_strings
from textlstm.arrays.near_duplicates import NearDuplicateFinder, Shingles, resemblance, shingle


def shingles_of(texts: list[str]) -> Shingles:
    tokens = [text.split() for text in texts]
    offsets = np.concatenate([[0], np.cumsum([len(text) for text in tokens])]).astype(np.int64)
    return shingle(hash_strings(pa.array([token for text in tokens for token in text], pa.string())), offsets)


def near(probes: list[str], others: list[str]) -> list[tuple[int, int, float]]:
    finder = NearDuplicateFinder()
    finder.add_probes(shingles_of(probes))
    found = finder.search(shingles_of(others))
    return [(pair.probe, pair.other, round(pair.resemblance, 3)) for pair in found]


WORDS = [f"w{i}" for i in range(42)]
TEXT = " ".join(WORDS)
LAST_CHANGED = " ".join([*WORDS[:-1], "other"])
MIDDLE_CHANGED = " ".join([*WORDS[:20], "other", *WORDS[21:]])
HALF = " ".join([*WORDS[:21], *(f"x{i}" for i in range(21))])


def test_shingles_of_short_texts() -> None:
    assert np.diff(shingles_of(["", "a", "a b", "a b c", "a b c d"]).offsets).tolist() == [0, 1, 1, 1, 2]


def test_shingles_do_not_cross_texts() -> None:
    together, alone = shingles_of(["a b c d", "e f g"]), shingles_of(["e f g"])
    assert together.hashes[together.offsets[1] :].tolist() == alone.hashes.tolist()


@pytest.mark.parametrize(
    ("other", "expected"),
    [
        (TEXT, 1.0),
        (LAST_CHANGED, 39 / 41),  # 40 shingles each, 39 shared
        (MIDDLE_CHANGED, 37 / 43),  # 37 shared
        (HALF, 19 / 61),  # 19 shared
    ],
)
def test_resemblance_is_shared_shingles_by_all_shingles(other: str, expected: float) -> None:
    texts = shingles_of([TEXT, other])
    assert resemblance(texts.sketch(0), texts.sketch(1)) == pytest.approx(expected)


def test_almost_equal_texts_are_found_and_others_not() -> None:
    assert near([TEXT, HALF, "short text"], ["unrelated words here", LAST_CHANGED]) == [(0, 1, 0.951)]


def test_a_short_text_is_near_only_to_itself() -> None:
    assert near(["turn on the light"], ["turn off the light", "turn on the light"]) == [(0, 1, 1.0)]


def test_texts_without_tokens_are_no_duplicates() -> None:
    assert near(["", ""], ["", "a"]) == []


def test_a_probe_is_reported_once() -> None:
    finder = NearDuplicateFinder()
    finder.add_probes(shingles_of([TEXT]))
    assert [len(finder.search(shingles_of([TEXT]))) for _ in range(3)] == [1, 0, 0]


def test_nearly_all_pairs_at_the_threshold_are_found() -> None:
    generator = np.random.default_rng(0)
    texts, changed = [], []
    for i in range(200):
        words = [f"t{i}w{j}" for j in range(100)]
        texts.append(" ".join(words))
        for place in generator.choice(np.arange(5, 95, 6), size=3, replace=False):
            words[place] = "x"  # 3 of 98 shingles each: 89 / 107 = 0.83
        changed.append(" ".join(words))
    assert len(near(texts, changed)) >= 190


def test_long_texts_are_compared_by_sketches() -> None:
    words = [f"w{i}" for i in range(3000)]
    texts = shingles_of([" ".join(words), " ".join([*words[:2700], *(f"x{i}" for i in range(300))])])
    assert resemblance(texts.sketch(0), texts.sketch(1)) == pytest.approx(2698 / 3298, abs=0.08)
