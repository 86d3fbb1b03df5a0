from dataclasses import asdict, replace

import pytest

from textlstm.config import ModelConfig, TextConfig
from textlstm.errors import IntegrityError
from textlstm.text.fingerprint import TextFingerprint, check_saved, inference_text

SAVED = TextFingerprint(
    spacy_version="3.8.18",
    spacy_model="en_core_web_sm",
    spacy_model_version="3.8.0",
    language="en",
    has_pos=True,
    stop_words=("a", "the"),
    tagger="fp32",
    tokenizer_digest="ab",
    code_version=1,
)


def test_saved_text_survives_json():
    values = asdict(SAVED)
    values["stop_words"] = list(values["stop_words"])
    assert TextFingerprint.from_mapping(values) == SAVED


def test_same_preparation_passes():
    check_saved(SAVED, SAVED)


def test_another_version_of_the_spacy_model_is_refused_naming_both():
    with pytest.raises(IntegrityError) as caught:
        check_saved(SAVED, replace(SAVED, spacy_model_version="3.7.1", tokenizer_digest="cd"))
    assert caught.value.problems == (
        "the model was made with spaCy model en_core_web_sm 3.8.0, but here is spaCy model en_core_web_sm 3.7.1; "
        "install spaCy model en_core_web_sm 3.8.0 or train again",
    )
    assert caught.value.exit_code == 3


def test_a_missing_spacy_model_is_refused():
    with pytest.raises(IntegrityError) as caught:
        check_saved(SAVED, replace(SAVED, spacy_model="", spacy_model_version="", has_pos=False))
    assert caught.value.problems == (
        "the model was made with spaCy model en_core_web_sm 3.8.0, but here is no spaCy model for 'en'; "
        "install spaCy model en_core_web_sm 3.8.0 or train again",
    )


def test_another_tokenizer_is_refused():
    with pytest.raises(IntegrityError) as caught:
        check_saved(SAVED, replace(SAVED, tokenizer_digest="cd", spacy_version="3.9.0"))
    assert caught.value.problems == (
        "the model was made with the tokenizer of spaCy 3.8.18, but here is another one, of spaCy 3.9.0; "
        "install spaCy 3.8.18 or train again",
    )


def test_another_spacy_version_with_the_same_tokenizer_passes():
    check_saved(SAVED, replace(SAVED, spacy_version="3.8.19"))


def test_another_preparation_version_is_refused():
    with pytest.raises(IntegrityError) as caught:
        check_saved(SAVED, replace(SAVED, code_version=2))
    assert caught.value.problems == (
        "the model was made with text preparation version 1, but here is version 2; "
        "install the textlstm that made it or train again",
    )


def test_record_with_a_missing_or_unknown_field_is_refused():
    values = asdict(SAVED)
    del values["tagger"]
    values["extra"] = 1
    with pytest.raises(IntegrityError) as caught:
        TextFingerprint.from_mapping(values)
    assert caught.value.problems == ("the text record has missing or unknown fields: extra, tagger",)


@pytest.mark.parametrize(
    ("field", "value"),
    [("has_pos", 1), ("stop_words", [1]), ("stop_words", "a"), ("language", 3), ("code_version", "1")],
)
def test_record_with_a_field_of_the_wrong_type_is_refused(field, value):
    with pytest.raises(IntegrityError) as caught:
        TextFingerprint.from_mapping(asdict(SAVED) | {field: value})
    assert caught.value.problems == ("the text record has a field of the wrong type",)


def test_where_no_tags_are_read_an_equal_tokenizer_is_enough():
    check_saved(SAVED, replace(SAVED, spacy_model="", spacy_model_version="", has_pos=False), reads_spacy_model=False)
    check_saved(SAVED, replace(SAVED, spacy_model_version="3.7.1"), reads_spacy_model=False)


def test_where_no_tags_are_read_another_tokenizer_is_refused():
    with pytest.raises(IntegrityError) as caught:
        check_saved(
            SAVED,
            replace(SAVED, spacy_model="", spacy_model_version="", tokenizer_digest="cd"),
            reads_spacy_model=False,
        )
    assert caught.value.problems == (
        "the model was made with spaCy model en_core_web_sm 3.8.0, but here is no spaCy model for 'en'; "
        "install spaCy model en_core_web_sm 3.8.0 or train again",
    )


@pytest.mark.parametrize(
    ("text", "model", "pos"),
    [
        (TextConfig(), ModelConfig(), False),
        (TextConfig(stop_words="remove"), ModelConfig(char_cnn_size=8), False),
        (TextConfig(pos=False), ModelConfig(), False),
        (TextConfig(), ModelConfig(pos_embedding_size=4), True),
        (TextConfig(keep_pos=["NOUN"]), ModelConfig(), True),
        (TextConfig(drop_pos=["PUNCT"]), ModelConfig(), True),
        (TextConfig(lemmas=True), ModelConfig(), True),
    ],
)
def test_a_saved_model_has_its_texts_tagged_only_if_it_reads_tags(text, model, pos):
    assert inference_text(text, model) == replace(text, pos=pos)
