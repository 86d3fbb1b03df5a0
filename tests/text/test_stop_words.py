import pytest

from textlstm.errors import InputError
from textlstm.text.stop_words import NEGATIONS, load_stop_words, packaged_stop_words


def test_packaged_english_list_is_that_of_spacy_without_negations():
    from spacy.lang.en.stop_words import STOP_WORDS

    assert packaged_stop_words("en") == STOP_WORDS - NEGATIONS["en"]
    assert len(packaged_stop_words("en")) == 311


@pytest.mark.parametrize("word", ["not", "n't", "n’t", "no", "nor", "never", "without", "cannot", "nothing"])
def test_negations_stay_in_the_text(word):
    assert word not in packaged_stop_words("en")


def test_german_list_keeps_negations():
    words = packaged_stop_words("de")
    assert {"und", "der", "nach"} <= words
    assert not words & {"nicht", "kein", "nie", "ohne"}


def test_keep_removes_nothing():
    assert load_stop_words("keep", language="en") == frozenset()


def test_remove_takes_the_packaged_list():
    assert load_stop_words("remove", language="en") == packaged_stop_words("en")


def test_file_gives_the_list(tmp_path):
    path = tmp_path / "words.txt"
    path.write_text("\ufeff# mine\nThe\n\n  Of  \n", encoding="utf-8")
    assert load_stop_words(str(path), language="en") == {"the", "of"}


def test_missing_file_is_an_input_error(tmp_path):
    path = tmp_path / "none.txt"
    with pytest.raises(InputError) as caught:
        load_stop_words(str(path), language="en")
    assert caught.value.problems == (
        f"{path}: No such file or directory; text.stop_words must be keep, remove or a file with one word a line",
    )


def test_file_without_words_is_an_input_error(tmp_path):
    path = tmp_path / "empty.txt"
    path.write_text("# nothing\n", encoding="utf-8")
    with pytest.raises(InputError) as caught:
        load_stop_words(str(path), language="en")
    assert caught.value.problems == (f"{path}: no words; text.stop_words needs a file with one word a line",)


def test_file_in_another_encoding_is_an_input_error(tmp_path):
    path = tmp_path / "latin.txt"
    path.write_bytes("für\n".encode("latin-1"))
    with pytest.raises(InputError) as caught:
        load_stop_words(str(path), language="de")
    assert caught.value.problems == (f"{path}: byte 1: not UTF-8; text.stop_words needs a UTF-8 file",)


def test_language_without_a_list_is_an_input_error():
    with pytest.raises(InputError) as caught:
        packaged_stop_words("xx")
    assert caught.value.problems == (
        "text.stop_words=remove: there is no stop-word list for 'xx'; give a file with one word a line",
    )
