import pytest

from textlstm.errors import ConfigError
from textlstm.text.tagger.pos import POS_INDEX, POS_TAGS, check_pos_tags


def test_pos_tags_keep_their_order_for_stored_models():
    assert POS_TAGS == (
        "", "ADJ", "ADP", "ADV", "AUX", "CCONJ", "DET", "INTJ", "NOUN", "NUM", "PART", "PRON", "PROPN", "PUNCT",
        "SCONJ", "SYM", "VERB", "X", "SPACE",
    )  # fmt: skip
    assert POS_INDEX["NOUN"] == 8


def test_known_tags_pass():
    check_pos_tags("text.keep_pos", ["NOUN", "VERB"])


def test_unknown_tags_are_all_named():
    with pytest.raises(ConfigError) as caught:
        check_pos_tags("text.keep_pos", ["NOUN", "noun", "NN"])
    allowed = "ADJ, ADP, ADV, AUX, CCONJ, DET, INTJ, NOUN, NUM, PART, PRON, PROPN, PUNCT, SCONJ, SYM, VERB, X, SPACE"
    assert caught.value.problems == (
        f"text.keep_pos: unknown tag 'noun'; the tags are {allowed}",
        f"text.keep_pos: unknown tag 'NN'; the tags are {allowed}",
    )
