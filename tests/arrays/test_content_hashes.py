"""Hashes of many texts at once are those of single texts."""

import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from textlstm.arrays.hashing import content_hash, content_hashes

WORDS = st.sampled_from(["good", "caf\u00e9", "日本", "\u200b", "\u00ad", "\x7f", "\0"])
SPACES = st.sampled_from(
    [
        " ",
        " ",
        " ",
        "  ",
        "\t",
        "\n",
        "\r",
        "\x1c",
        "\x1f",
        "\x85",
        "\xa0",
        "\u1680",
        "\u2003",
        "\u2028",
        "\u2029",
        "\u202f",
        "\u205f",
        "\u3000",
    ]
)
TEXTS = st.one_of(st.text(), st.lists(st.one_of(WORDS, SPACES), max_size=8).map("".join), st.lists(WORDS).map(" ".join))


@given(st.lists(TEXTS, max_size=6), st.integers(0, 3))
def test_content_hashes_are_those_of_single_texts(texts: list[str], start: int) -> None:
    texts = [text.encode("utf-8", "replace").decode("utf-8") for text in texts]
    array = pa.array(texts, pa.string())[start:]  # a slice, too
    assert content_hashes(array).tolist() == [content_hash(text) for text in texts[start:]]


def test_white_space_of_every_kind_does_not_count() -> None:
    spaces = [chr(code) for code in range(0x3100) if chr(code).isspace()]
    texts = pa.array([f"{space}two{space}words{space}" for space in spaces])
    assert set(content_hashes(texts).tolist()) == {content_hash("two words")}
