import numpy as np
import pytest

from textlstm.arrays.strings import TokenColumn
from textlstm.text.normalization import TokenFilter, TokenNormalizer
from textlstm.text.tagger.pos import POS_INDEX, POS_TAGS
from textlstm.text.tokenized import TaggedTexts


def _normalizer(**changes):
    settings = {
        "lowercase": True,
        "normalize_numbers": True,
        "normalize_urls": True,
        "stop_words": frozenset({"the"}),
        "like_url": lambda token: token.endswith(".com"),
        "like_email": lambda token: "@" in token,
    }
    return TokenNormalizer(**(settings | changes))


@pytest.mark.parametrize(
    ("token", "expected"),
    [
        ("Hello", "hello"),
        ("1,200", "<num>"),
        ("-3.5", "<num>"),
        (".5", "<num>"),
        ("21st", "<num>"),
        ("50%", "<num>"),
        ("1980s", "<num>"),
        ("10:30", "<num>"),
        ("12/05/2004", "<num>"),
        ("ten", "ten"),
        ("b2b", "b2b"),
        ("4x4", "4x4"),
        ("Example.com", "Example.com"),
        ("...", "..."),
        ("ÄRGER", "ärger"),
    ],
)
def test_tokens_become(token, expected):
    assert _normalizer(like_url=lambda _: False).normalize(token) == expected.lower()


def test_urls_and_addresses_are_replaced():
    assert _normalizer().normalize("Example.com") == "<url>"
    assert _normalizer().normalize("a@b.org") == "<email>"


def test_switches_leave_tokens_as_they_are():
    normalizer = _normalizer(lowercase=False, normalize_numbers=False, normalize_urls=False)
    assert [normalizer.normalize(token) for token in ("Hello", "1,200", "Example.com", "a@b.org")] == [
        "Hello",
        "1,200",
        "Example.com",
        "a@b.org",
    ]


def test_stop_words_are_found_in_any_case():
    assert _normalizer().is_removed("The")
    assert not _normalizer().is_removed("then")
    assert not _normalizer(stop_words=frozenset()).is_removed("the")


def _filter(*, stop_words=(), dropped_pos=()):
    return TokenFilter(
        _normalizer(stop_words=frozenset(stop_words)), np.array([tag not in dropped_pos for tag in POS_TAGS])
    )


def _tagged(distinct, numbers, **others):
    offsets = np.array([0, 2, 2, len(numbers)], np.int64)
    return TaggedTexts(TokenColumn(distinct, np.array(numbers, np.int32)), offsets, **({"pos": None} | others))


def test_a_filter_removes_counts_and_normalizes():
    pos = np.array([POS_INDEX[tag] for tag in ("DET", "NOUN", "NOUN", "PUNCT", "DET")], np.uint8)
    tagged = _tagged(["The", "Dog", "dog", "!", "the"], [0, 1, 2, 3, 4], pos=pos)
    kept = _filter(stop_words=["the"], dropped_pos=["PUNCT"]).apply(tagged)
    assert [kept.text_tokens(index) for index in range(3)] == [["dog"], [], ["dog"]]
    assert [POS_TAGS[tag] for tag in kept.pos] == ["NOUN", "NOUN"]
    assert kept.num_removed.tolist() == [1, 0, 2]
    everything = _filter().apply(tagged)
    assert everything.tokens == ["the", "dog", "dog", "!", "the"]
    assert everything.num_removed.tolist() == [0, 0, 0]


def test_the_stop_list_holds_words_and_the_model_reads_lemmas():
    tagged = _tagged(["was", "were", "be"], [0, 1, 2], lemmas=["be", "be", "be"])
    kept = _filter(stop_words=["was"]).apply(tagged)
    assert (kept.tokens, kept.num_removed.tolist()) == (["be", "be"], [1, 0, 0])


def test_a_filter_looks_at_new_tokens_only_until_an_engine_starts_anew():
    distinct, token_filter = ["A", "b"], _filter(stop_words=["a"])
    assert token_filter.apply(_tagged(distinct, [0, 1])).tokens == ["b"]
    distinct += ["C", "a"]
    assert token_filter.apply(_tagged(distinct, [2, 3, 0])).tokens == ["c"]
    assert token_filter.apply(_tagged(["a", "D"], [1, 0])).tokens == ["d"]
