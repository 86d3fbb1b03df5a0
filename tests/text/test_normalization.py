import pytest

from textlstm.text.normalization import TokenNormalizer


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
