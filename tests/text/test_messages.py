import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from textlstm.arrays.strings import TokenColumn
from textlstm.config import Device, Precision, Tagger, TextConfig
from textlstm.processes.child import Frame, FrameReader, Kind, pack
from textlstm.text.fingerprint import TextDescription, TextFingerprint
from textlstm.text.messages import (
    decode_block,
    decode_ready,
    decode_result,
    decode_settings,
    encode_block,
    encode_ready,
    encode_result,
    encode_settings,
)
from textlstm.text.tokenized import TokenizedTexts


def test_settings_survive():
    config = TextConfig(
        tagger=Tagger.fast, tagger_precision=Precision.bf16, drop_pos=["PUNCT"], max_run=77, tagger_device=Device.auto
    )
    saved = TextFingerprint("3.8.18", "m", "1", "en", True, ("a", "b"), "fp32", "ab", 1)
    assert decode_settings(encode_settings(config, saved)) == (config, saved)
    assert decode_settings(encode_settings(TextConfig(), None)) == (TextConfig(), None)


def test_descriptions_survive():
    saved = TextFingerprint("3.8.18", "", "", "is", False, ("og",), "none", "ab", 1)
    description = TextDescription(saved, ("POS is off",))
    assert decode_ready(encode_ready(description)) == description


@given(st.integers(0, 2**40), st.lists(st.text(st.characters(codec=None)), max_size=5))
def test_any_block_survives(number, texts):
    assert decode_block(encode_block(number, texts)) == (number, texts)


@given(st.lists(st.lists(st.text(st.characters(codec=None)), max_size=4), max_size=5), st.booleans())
def test_any_result_survives(texts, has_pos):
    tokens = [token for text in texts for token in text]
    prepared = TokenizedTexts(
        tokens=TokenColumn.of(tokens),
        offsets=np.cumsum([0, *map(len, texts)]).astype(np.int64),
        pos=np.arange(len(tokens), dtype=np.uint8) if has_pos else None,
        num_removed=np.arange(len(texts), dtype=np.int32),
    )
    number, found = decode_result(encode_result(7, prepared))
    assert number == 7
    assert found.tokens == tokens
    assert found.offsets.tolist() == prepared.offsets.tolist()
    assert found.num_removed.tolist() == prepared.num_removed.tolist()
    assert (found.pos is None) == (prepared.pos is None)
    assert not has_pos or found.pos.tolist() == prepared.pos.tolist()


@pytest.mark.parametrize("step", [1, 3, 1000])
def test_frames_are_cut_from_any_stream(step):
    stream = (
        pack(Kind.alive) + pack(Kind.block, b"abc") + pack(Kind.result, b"x" * 300) + pack(Kind.error, b"half")[:-1]
    )
    reader = FrameReader()
    frames = [frame for at in range(0, len(stream), step) for frame in reader.feed(stream[at : at + step])]
    assert frames == [Frame(Kind.alive, b""), Frame(Kind.block, b"abc"), Frame(Kind.result, b"x" * 300)]
