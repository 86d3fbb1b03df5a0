import numpy as np
import pyarrow as pa

from textlstm.arrays.hashing import hash_strings

MODULUS = 2**64


def plain_hash(text: str) -> int:
    """The definition, one byte at a time."""
    value = sum((byte + 1) * pow(0x9E3779B97F4A7C15, i, MODULUS) for i, byte in enumerate(text.encode())) % MODULUS
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        value = (value ^ (value >> shift)) * factor % MODULUS
    return value ^ (value >> 31)


TEXTS = ["", "a", "b", "ab", "ba", "grün", "😀", "a" * 1000, "", "the", "\0", "\0\0"]


def test_hashes_are_those_of_the_definition() -> None:
    assert hash_strings(pa.array(TEXTS)).tolist() == [plain_hash(text) for text in TEXTS]


def test_a_slice_hashes_like_its_strings() -> None:
    assert hash_strings(pa.array(TEXTS).slice(3, 4)).tolist() == hash_strings(pa.array(TEXTS)).tolist()[3:7]


def test_many_different_strings_have_different_hashes() -> None:
    assert len(np.unique(hash_strings(pa.array([f"w{i}" for i in range(50_000)])))) == 50_000


def test_no_strings_have_no_hashes() -> None:
    assert hash_strings(pa.array([], pa.string())).tolist() == []
