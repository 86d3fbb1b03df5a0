import pytest
import spacy
from spacy.tokens import Doc

from textlstm.text.tagger.pos import POS_TAGS, PosTable
from textlstm.text.tagger.weights import UnknownArchitecture


def _ruler(*rules):
    nlp = spacy.blank("en")
    ruler = nlp.add_pipe("attribute_ruler")
    for pattern, attrs in rules:
        ruler.add([pattern], attrs)
    return nlp


def test_table_agrees_with_the_attribute_ruler_on_every_named_form_and_tag(reference_nlp):
    labels = reference_nlp.get_pipe("tagger").labels
    table = PosTable(reference_nlp, labels)
    ruler = reference_nlp.get_pipe("attribute_ruler")
    words = ["Not", "n't", "'s", "HAS", "Be", "well", "dog", "\n", "  ", "It", "do", "of", "42", "."]
    for tag_index, tag in enumerate(labels):
        doc = ruler(Doc(reference_nlp.vocab, words=words, tags=[tag] * len(words)))
        for token in doc:
            word_class = table.word_class(token.text, is_space=token.is_space)
            assert POS_TAGS[table.pos[word_class, tag_index]] == token.pos_, (token.text, tag)
            assert table.tag_names[table.tags[word_class, tag_index]] == token.tag_, (token.text, tag)


def test_rules_without_part_of_speech_are_ignored():
    nlp = _ruler(([{"LOWER": "gon"}, {"LOWER": "na"}], {"LEMMA": "go"}), ([{"TAG": "NN"}], {"POS": "NOUN"}))
    table = PosTable(nlp, ("NN", "VB"))
    assert table.pos[table.word_class("gon", is_space=False)].tolist() == [8, 0]


def test_rules_that_need_a_parser_never_apply():
    nlp = _ruler(([{"TAG": "NN"}], {"POS": "NOUN"}), ([{"DEP": "expl"}, {"LOWER": "is"}], {"POS": "VERB"}))
    assert PosTable(nlp, ("NN",)).pos.tolist() == [[8], [8]]


def test_later_rules_win_for_the_forms_they_name():
    nlp = _ruler(([{"TAG": "NN"}], {"POS": "NOUN"}), ([{"TAG": "NN", "LOWER": {"IN": ["odd"]}}], {"POS": "X"}))
    table = PosTable(nlp, ("NN",))
    assert [POS_TAGS[table.pos[table.word_class(word, is_space=False), 0]] for word in ("ODD", "even")] == ["X", "NOUN"]


@pytest.mark.parametrize(
    "pattern",
    [
        [{"TAG": "NN"}, {"TAG": "NN"}],
        [{"SHAPE": "Xx"}],
        [{"LOWER": {"REGEX": "^a"}}],
        [{"LOWER": {"IN": ["a"], "REGEX": "b"}}],
        [{"DEP": ""}, {"TAG": "NN"}],
    ],
)
def test_rules_beyond_tag_and_form_are_not_recognized(pattern):
    with pytest.raises(UnknownArchitecture):
        PosTable(_ruler((pattern, {"POS": "NOUN"})), ("NN",))
