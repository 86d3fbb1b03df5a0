"""Languages whose spaCy tokenizer needs a package: where it is absent, another one cuts the words and says so."""

import importlib.util

import pytest

from textlstm.config import TextConfig
from textlstm.errors import ConfigError
from textlstm.text.language_detection import is_spaceless
from textlstm.text.pipeline import TextPipeline


def _needs_package(language: str) -> bool:
    return (
        importlib.util.find_spec({"ja": "sudachipy", "th": "pythainlp", "ko": "natto", "vi": "pyvi"}[language]) is None
    )


@pytest.mark.parametrize(
    ("language", "text", "tokens", "warning"),
    [
        (
            "ja",
            "猫が 好き",
            ["猫", "が", "好", "き"],
            "characters are the tokens; pip install 'spacy[ja]' for better ones",
        ),
        ("th", "แมว", ["แ", "ม", "ว"], "characters are the tokens; pip install 'spacy[th]' for better ones"),
        (
            "ko",
            "고양이가 좋다.",
            ["고양이가", "좋다", "."],
            "words are cut at spaces and punctuation; pip install 'spacy[ko]' for better ones",
        ),
        (
            "vi",
            "con mèo",
            ["con", "mèo"],
            "words are cut at spaces and punctuation; install what spaCy names for it for better ones",
        ),
    ],
)
def test_another_tokenizer_stands_in(language: str, text: str, tokens: list[str], warning: str) -> None:
    if not _needs_package(language):
        pytest.skip("spaCy's own tokenizer is installed")
    pipeline = TextPipeline(TextConfig(language=language, pos=False))
    assert pipeline.warnings == (f"text.language={language}: {warning}",)
    assert pipeline.prepare([text]).text_tokens(0) == tokens


@pytest.mark.parametrize("language", ["zh", "ar", "he", "hi", "ru", "de", "es"])
def test_languages_of_spacy_work_as_they_are(language: str) -> None:
    pipeline = TextPipeline(TextConfig(language=language, pos=False))
    assert pipeline.warnings == ()
    assert len(pipeline.prepare(["а б", "新闻"])) == 2


def test_an_unknown_language_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"text\.language: spaCy cannot tokenize 'qq'"):
        TextPipeline(TextConfig(language="qq", pos=False))


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        (["球队赢得了决赛", "银行"], True),
        (["ทีมชนะรอบชิงชนะเลิศ"], True),
        (["은행이 금리를 올렸다"], True),
        (["The team won."], False),
        (["клуб выиграл финал", "البنك"], False),
        (["a lot of English and one 字"], False),
        (["", "123"], False),
    ],
)
def test_scripts_without_words_between_spaces_are_seen(texts: list[str], expected: bool) -> None:
    assert is_spaceless(texts) is expected


def test_texts_of_all_rows_are_judged_and_not_the_first_ones_alone() -> None:
    english, chinese = ["The team won the final."] * 500, ["球队赢得了决赛，今天晚上很多人很高兴"] * 499
    assert is_spaceless(english + chinese)
    assert not is_spaceless(english)
    assert not is_spaceless([])
