"""Settings as parameters."""

from textlstm.config import Encoder
from textlstm.tracking.names import flatten


def test_nested_settings_become_dotted_names() -> None:
    settings = {"model": {"encoder": Encoder.gru, "embeddings": ["a", "b"]}, "seed": 3, "limit": None, "pos": True}
    assert flatten(settings).values == {
        "model.encoder": "gru",
        "model.embeddings": '["a", "b"]',
        "seed": "3",
        "limit": "null",
        "pos": "true",
    }


def test_long_value_is_kept_whole_beside_its_digest() -> None:
    long = "wörter " * 1000
    parameters = flatten({"text": {"stop_words": long}})
    shown = parameters.values["text.stop_words"]
    assert shown.startswith("wörter wörter")
    assert "(7000 characters, sha256 " in shown
    assert len(shown) <= 500
    assert parameters.long_values == {"text.stop_words": long}


def test_empty_group_is_a_value() -> None:
    assert flatten({"data": {}}).values == {"data": "{}"}
