"""The page: small, without scripts, and harmless whatever texts and labels say."""

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from textlstm.explain.attribution import Method
from textlstm.explain.explanation import Explanation, explain_texts
from textlstm.explain.faithfulness import judge
from textlstm.explain.page import render_page
from textlstm.explain.pictures import levels_of
from textlstm.explain.summary import view_corpus
from textlstm.inference.classifier import TextClassifier

ATTACK = "<img src=x onerror=document.title='owned'>"
TEXTS = [
    f"the coach {ATTACK} said a goal <script>document.title='owned'</script> match",
    "a plot the actor said a scene",
    "",
    "bank profit share \"><svg onload=document.title='owned'> said",
]


@pytest.fixture(scope="module")
def classifier(tiny_model: Path) -> TextClassifier:
    return TextClassifier.load(tiny_model)


@pytest.fixture(scope="module")
def explanations(classifier) -> list[Explanation]:
    return [replace(entry, label=entry.label) for entry in explain_texts(classifier, TEXTS)]


def page_of(classifier: TextClassifier, explanations: list[Explanation]) -> str:
    found = judge(classifier, explanations)
    return render_page(
        explanations,
        labels=classifier.labels,
        title=f"Why {ATTACK}",
        details={ATTACK: ATTACK},
        corpus=view_corpus(explanations, found[0].method if found else Method.leave_one_out),
        faithfulness=found,
    ).decode()


def test_no_markup_of_a_text_reaches_the_page(classifier, explanations):
    page = page_of(classifier, explanations)
    assert "<img" not in page
    assert "<script" not in page
    assert "<svg onload" not in page
    assert page.count("&lt;img") >= 4
    assert "default-src 'none'; style-src 'sha256-" in page
    assert re.findall(r'\bstyle="', page) == []


def test_every_picture_says_in_words_what_it_shows(classifier, explanations):
    pictures = re.findall(r"<svg ([^>]*)>", page_of(classifier, explanations))
    assert len(pictures) >= 8  # deletion curves, half-lives, two a text with words
    assert all('role="img"' in picture and re.search(r'aria-label="[^"]{20,}"', picture) for picture in pictures)


def test_inexact_gates_are_announced(classifier, explanations):
    assert "The gates are exact" in page_of(classifier, explanations)
    cells = tuple(replace(cell, error=0.01) for cell in explanations[1].cells)
    page = page_of(classifier, [explanations[0], replace(explanations[1], cells=cells)])
    assert "The gates are exact" not in page
    assert "differ from the encoder's own by up to 1.0e-02, more than 1e-05, in text 2." in page


def test_fifty_long_texts_stay_below_two_megabytes(classifier):
    random = np.random.default_rng(0)
    words = ["goal", "match", "bank", "share", "actor", "scene", "the", "a", "said"]
    texts = [" ".join(random.choice(words, size=400)) for _ in range(50)]
    explanations = explain_texts(classifier, texts)
    page = render_page(
        explanations,
        labels=classifier.labels,
        title="long",
        details={},
        corpus=view_corpus(explanations, Method.leave_one_out),
    )
    assert len(page) < 2_000_000


def test_levels_are_relative_to_the_strongest_word():
    assert levels_of(np.array([3.0, -1.5, 0.1])).tolist() == [6, -3, 0]
    assert levels_of(np.zeros(2)).tolist() == [0, 0]
