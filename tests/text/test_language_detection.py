import pytest

from textlstm.text.language_detection import UNCLEAR, count_languages, detect_language


@pytest.mark.parametrize(
    ("text", "expected", "guess"),
    [
        ("The government said on Monday that it would not be in a hurry to do so.", "en", "en"),
        ("The government said on Monday that it would not be in a hurry to do so.", "de", "en"),
        ("Die Regierung hat am Montag gesagt, dass sie es nicht eilig habe und noch warten werde.", "en", "de"),
        ("Le gouvernement a dit lundi qu'il ne serait pas pressé de le faire avec les autres.", "en", "fr"),
        ("Champion Products approves stock split", "en", UNCLEAR),
        ("", "en", UNCLEAR),
        ("昨日、政府は急いでいないと述べた。", "en", "ja"),
        ("政府星期一表示不急于这样做", "en", "zh"),
        ("政府星期一表示不急于这样做", "ja", "ja"),
        ("정부는 월요일에 서두르지 않겠다고 말했다", "en", "ko"),
        ("الحكومة قالت يوم الاثنين إنها لن تتعجل", "fa", "fa"),
    ],
)
def test_a_clearly_different_language_is_named(text: str, expected: str, guess: str) -> None:
    assert detect_language(text, expected=expected) == guess


def test_a_repeated_word_counts_once() -> None:
    assert detect_language("vs " * 50 + "shr cts net", expected="en") == UNCLEAR


def test_texts_are_counted_by_language() -> None:
    texts = ["This is what they have done with it.", "Das ist es nicht, was wir mit ihm und ihr haben.", "xyz"]
    assert count_languages([texts[0], *texts], expected="en") == {"en": 2, "de": 1, UNCLEAR: 1}


def test_an_unknown_language_code_is_harmless() -> None:
    assert detect_language("This is what they have done with it.", expected="../x") == "en"
