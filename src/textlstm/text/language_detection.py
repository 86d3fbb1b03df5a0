"""Which language a text is in, as far as stop words and scripts tell; removing stop words is in `stop_words.py`.

A word speaks for each language whose spaCy stop list holds it, with weight 1 / (number of such languages).
"""

import ast
import importlib.util
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from pathlib import Path

CANDIDATES = tuple("cs da de el en es fi fr hr hu id it nb nl pl pt ro ru sv tr uk".split())  # noqa: SIM905
UNCLEAR = "unclear"
"""Too few stop words to tell."""
MIN_SCORE = 2.0
"""Summed weight below which a text is unclear."""
CLEAR_RATIO = 2.0
"""Another language must score this many times the expected one's score."""

MAX_CHARS = 2000
"""A text is judged by its beginning."""

_WORD = re.compile(r"[^\W\d_]+")
_SCRIPTS = {
    "ja": re.compile(r"[\u3040-\u30ff]"),
    "ko": re.compile(r"[\uac00-\ud7af]"),
    "zh": re.compile(r"[\u4e00-\u9fff]"),
    "th": re.compile(r"[\u0e00-\u0e7f]"),
    "ar": re.compile(r"[\u0600-\u06ff]"),
    "he": re.compile(r"[\u0590-\u05ff]"),
    "hi": re.compile(r"[\u0900-\u097f]"),
}
"""Scripts that stand for one language here (Arabic also for Persian and Urdu, Devanagari for its neighbors)."""

_SPACELESS = re.compile(
    r"[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af]"
)
"""Letters of scripts without spaces between words (Thai, Lao, Burmese, Khmer, kana, Chinese), and of Korean, whose
words between spaces have too many endings to be units."""
_LEAST_SHARE = 0.3
_JUDGED_TEXTS = 500


def detect_language(text: str, *, expected: str) -> str:
    """Return `expected`, the code of a language that the text is clearly in instead, or UNCLEAR."""
    text = text[:MAX_CHARS]
    # A script of its own decides at once, unless the expected language is written in it too.
    script = _script(text)
    if script:
        return expected if {expected, script} in ({"ja", "zh"}, {"ar", "fa"}, {"ar", "ur"}) else script
    # Else stop words decide: each distinct word counts once.
    words = {word.lower() for word in _WORD.findall(text)}
    scores: dict[str, float] = {expected: 0.0}
    weights = _weights(expected)
    for word in sorted(words & weights.keys()):
        for language, weight in weights[word].items():
            scores[language] = scores.get(language, 0.0) + weight
    if not any(scores.values()):
        return UNCLEAR
    # Another language needs a clear lead; for the expected one, any stop word is enough.
    best, score = min(scores.items(), key=lambda item: (-item[1], item[0]))
    if score >= MIN_SCORE and score >= CLEAR_RATIO * scores[expected]:
        return best
    return expected if scores[expected] > 0 else UNCLEAR


def count_languages(texts: Iterable[str], *, expected: str) -> dict[str, int]:
    """Return how many texts are in each language, the most frequent first."""
    return dict(Counter(detect_language(text, expected=expected) for text in texts).most_common())


def is_spaceless(texts: Sequence[str]) -> bool:
    """Return whether a good part of the letters belongs to scripts in which words are no unit between spaces."""
    # At most _JUDGED_TEXTS, evenly spread over all of them.
    number = min(len(texts), _JUDGED_TEXTS)
    judged = "".join(texts[k * len(texts) // number] for k in range(number))
    letters = sum(character.isalpha() for character in judged)
    return len(_SPACELESS.findall(judged)) > _LEAST_SHARE * max(letters, 1)


def _script(text: str) -> str:
    """Return the language of the first listed script that makes up a third of the letters, or ""."""
    if text.isascii():
        return ""
    letters = sum(map(len, _WORD.findall(text)))
    for language, pattern in _SCRIPTS.items():
        if len(pattern.findall(text)) * 3 > max(letters, 1):
            return language
    return ""


@cache
def _weights(expected: str) -> Mapping[str, Mapping[str, float]]:
    """Return for each stop word the languages it speaks for, with its weight."""
    languages: dict[str, list[str]] = {}
    for language in sorted({*CANDIDATES, expected}):
        for word in _stop_list(language):
            languages.setdefault(word.lower(), []).append(language)
    return {word: dict.fromkeys(codes, 1.0 / len(codes)) for word, codes in languages.items()}


def _stop_list(language: str) -> frozenset[str]:
    """Return spaCy's list, read from its source file: importing some languages takes seconds."""
    spec = importlib.util.find_spec("spacy")
    if spec is None or spec.origin is None or not language.isalpha():
        return frozenset()
    path = Path(spec.origin).parent / "lang" / language / "stop_words.py"
    if not path.is_file():
        return frozenset()
    # The words stand in the string literals of the file.
    nodes = ast.walk(ast.parse(path.read_text(encoding="utf-8")))
    strings = [node.value for node in nodes if isinstance(node, ast.Constant) and isinstance(node.value, str)]
    return frozenset(word for string in strings for word in string.split())
