"""explain_texts on a trained model: shapes, exactness, and how the parts of the decision fit together."""

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from textlstm.config import TextConfig
from textlstm.explain.attribution import Method, attribute
from textlstm.explain.explanation import MOST_POINTS, explain_texts, explained_labels, places_of
from textlstm.explain.faithfulness import FRACTIONS, measure_faithfulness
from textlstm.explain.reader import TextReader
from textlstm.inference.classifier import TextClassifier
from textlstm.inference.scoring import missing_words
from textlstm.model_folder import load_saved_model
from textlstm.models.calibration.confidence import ConfidenceScale
from textlstm.text.pipeline import TextPipeline

TEXTS = [
    "the coach said a goal the match",
    "bank",
    "",
    "a plot the actor said a scene and a bank said the profit",
    "unheard words only",
]


@pytest.fixture(scope="module")
def classifier(tiny_model: Path) -> TextClassifier:
    return TextClassifier.load(tiny_model)


@pytest.fixture(scope="module")
def explanations(classifier):
    return explain_texts(classifier, TEXTS)


def test_shapes(classifier, explanations):
    for text, explanation in zip(TEXTS, explanations, strict=True):
        length = len(text.split())
        assert explanation.tokens == tuple(text.split())
        assert explanation.steps == explanation.tokens
        assert [(cell.layer, cell.direction) for cell in explanation.cells] == [(0, "forwards"), (0, "backwards")]
        for cell in explanation.cells:
            assert cell.hidden.shape == cell.cell.shape == cell.keep_gate.shape == (length, 8)
            assert {name: gate.shape for name, gate in cell.gates.items()} == dict.fromkeys(
                ("input", "forget", "output"), (length, 8)
            )
            assert cell.survival.shape == (length,)
        assert {method: values.shape for method, values in explanation.attributions.items()} == dict.fromkeys(
            Method, (length,)
        )
        assert explanation.wins.units.sum() == (16 if length else 0)
        assert explanation.running.forwards.shape == explanation.running.backwards.shape == (length, 3)
        assert explanation.unit_effects.shape == (2, 8)


def test_recomputed_states_of_a_trained_model_are_exact(explanations):
    assert all(explanation.is_exact for explanation in explanations)
    assert max(cell.error for explanation in explanations for cell in explanation.cells) < 1e-5


def test_label_and_probability_are_the_classifiers(classifier, explanations):
    probabilities = classifier.predict_proba(TEXTS)
    assert [explanation.probability for explanation in explanations] == pytest.approx(probabilities.max(axis=1))
    assert [explanation.label for explanation in explanations] == [
        classifier.labels[best] for best in probabilities.argmax(axis=1)
    ]


@pytest.mark.parametrize("biases", [0.0, np.array([1.0, -1.0, 0.5])])
def test_branches_and_bias_add_up_to_the_combined_log_odds_of_two_labels(tiny_model, biases):
    """The parts, weighed against the other labels: exact when one other label has all the rest."""
    classifier = TextClassifier.load(tiny_model)
    classifier.combiner = classifier.combiner.with_class_biases(biases)
    explanations = explain_texts(classifier, TEXTS)
    for explanation, probabilities in zip(explanations, classifier.predict_proba(TEXTS), strict=True):
        branches = explanation.branches
        assert bool(branches.class_bias) == bool(np.ndim(biases))
        total = branches.recurrent + branches.expert + branches.class_bias
        best = probabilities.max()
        others = np.sort(probabilities)[:-1] / (1 - best)
        entropy = -sum(share * math.log(share) for share in others.tolist())  # log-sum-exp less the weighted mean
        assert total == pytest.approx(math.log(best / (1 - best)) + entropy, abs=1e-3)


@pytest.mark.parametrize("biases", [0.0, np.array([1.0, -1.0, 0.5])])
def test_words_and_bias_add_up_to_the_log_odds_of_the_whole_model(tiny_model: Path, biases) -> None:
    classifier = TextClassifier.load(tiny_model)
    classifier.combiner = classifier.combiner.with_class_biases(biases).with_confidence_scale(ConfidenceScale(0.8, 0.1))
    explanations = explain_texts(classifier, TEXTS)
    probabilities = classifier.predict_proba(TEXTS).astype(np.float64)
    nothing = classifier.predict_proba([""]).astype(np.float64)[0]
    for explanation, row in zip(explanations, probabilities, strict=True):
        best, combined = row.argmax(), explanation.combined
        log_odds = math.log(row[best] / (row.sum() - row[best]))
        assert combined.log_odds == pytest.approx(log_odds, abs=1e-4)
        assert combined.bias + combined.words.sum() + combined.other == pytest.approx(log_odds, abs=1e-4)
        assert combined.bias == pytest.approx(math.log(nothing[best] / (nothing.sum() - nothing[best])), abs=1e-4)
        assert explanation.attributions[Method.combined] is combined.words
    # The only word of a text has the whole change.
    assert explanations[1].combined.words.shape == (1,)


def test_the_words_of_an_expert_that_decides_alone_are_its_ngrams(tiny_model: Path) -> None:
    """Colors of the recurrent branch alone stood beside decisions that it had no part in."""
    classifier = TextClassifier.load(tiny_model)
    classifier.combiner = classifier.combiner.without_network()
    [explanation] = explain_texts(classifier, ["the coach said a goal the match"])
    words = dict(zip(explanation.tokens, explanation.combined.words.tolist(), strict=True))
    assert explanation.branches.expert_share == 1.0
    assert min(words["coach"], words["goal"], words["match"]) > max(words["said"], words["a"]) > -0.5


def test_ngrams_are_named(explanations):
    names = {ngram.ngram for ngram in explanations[0].branches.ngrams}
    assert len(names) == 8
    assert "goal" in names
    assert all(name in TEXTS[0] for name in names)


def test_the_last_running_probability_is_the_recurrent_branchs(classifier, explanations):
    from textlstm.models.calibration.temperature import to_probabilities

    scores = classifier.score(TEXTS)
    alone = to_probabilities(classifier.combiner.recurrent_alone(scores.recurrent_logits), classifier.saved_model.task)
    for explanation, expected in zip(explanations, alone, strict=True):
        if explanation.tokens:
            assert explanation.running.forwards[-1] == pytest.approx(expected, abs=1e-5)
            assert explanation.running.backwards[-1] == pytest.approx(expected, abs=1e-5)


def test_places_of_long_texts_are_few_and_end_at_the_end():
    assert places_of(3).tolist() == [1, 2, 3]
    assert places_of(0).tolist() == []
    places = places_of(400)
    assert (len(places), places[0], places[-1]) == (MOST_POINTS, 1, 400)


def test_missing_words_keep_their_order_and_number():
    assert missing_words(["good"], ["not", "good", "not"]) == ("not", "not")
    assert missing_words(["a", "b"], ["a", "b"]) == ()


def test_no_text_is_no_explanation(classifier):
    assert explain_texts(classifier, []) == []


def test_faithful_order_beats_its_reverse(classifier):
    """Taking out what speaks for the label must hurt more than taking out what speaks against it."""
    random = np.random.default_rng(0)
    words = {"film": ["actor", "scene"], "sport": ["goal", "match"], "money": ["bank", "share"]}
    texts = [
        " ".join(random.permutation([*words[label], "the", "a", "said", "said"])) for label in words for _ in range(12)
    ]
    prepared = classifier.pipeline.prepare(texts)
    reader = TextReader(classifier, prepared)
    labels = explained_labels(classifier.score_prepared(prepared, texts))
    right = attribute(reader, labels)
    wrong = {method: [-values for values in parts] for method, parts in right.items()}
    for found in measure_faithfulness(reader, labels, right):
        assert found.num_texts == 36
        assert len(found.curve) == len(FRACTIONS)
        assert found.is_believable, found
    for found in measure_faithfulness(reader, labels, wrong):
        assert not found.is_believable, found
        assert found.high < 0


def test_tags_are_shown_for_a_model_that_does_not_read_them(tiny_model: Path, explanations) -> None:
    text = TextConfig()
    saved_model = replace(load_saved_model(tiny_model), text=text, text_fingerprint=TextPipeline(text).saved)
    classifier = TextClassifier(saved_model)
    [found] = explain_texts(classifier, TEXTS[:1])
    assert not classifier.pipeline.saved.has_pos
    assert found.pos == ("DET", "NOUN", "VERB", "DET", "NOUN", "DET", "NOUN")
    assert (found.tokens, found.prediction) == (explanations[0].tokens, explanations[0].prediction)
    assert explanations[0].pos == ()  # the setting text.pos=false leaves tags out here too
