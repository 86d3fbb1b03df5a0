"""The page in a real browser: nothing runs, pictures are visible, and the keyboard opens what is folded."""

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from page_checks import faults, printed_pages
from textlstm.explain.attribution import Method
from textlstm.explain.explanation import explain_texts
from textlstm.explain.page import Origin, render_page
from textlstm.explain.summary import view_corpus
from textlstm.inference.classifier import TextClassifier

ATTACK = "<img src=x onerror=document.title='owned'>"


@pytest.fixture(scope="module")
def page(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A page with an attack in texts, title and details."""
    classifier = TextClassifier.load(tiny_model)
    explanations = explain_texts(classifier, [f"the coach {ATTACK} a goal", "bank share said profit", ""])
    path = tmp_path_factory.mktemp("page") / "page.html"
    path.write_bytes(
        render_page(
            explanations,
            labels=classifier.labels,
            title=f"Why {ATTACK}",
            details={ATTACK: ATTACK},
            corpus=view_corpus(explanations, Method.leave_one_out),
        )
    )
    return path


def test_pictures_are_visible_and_nothing_runs(browser: Any, page: Path) -> None:
    browser.get(page.as_uri())
    assert browser.title == f"Why {ATTACK}"
    assert browser.execute_script("return document.scripts.length") == 0
    sizes = browser.execute_script(
        "return [...document.querySelectorAll('details[open] svg')].map(svg => svg.getBoundingClientRect().width)"
    )
    assert len(sizes) == 2
    assert min(sizes) > 200
    assert browser.execute_script("return document.documentElement.scrollWidth <= window.innerWidth")
    assert [entry["message"] for entry in browser.get_log("browser")] == []


def test_the_page_has_no_fault_at_any_width(browser: Any, page: Path) -> None:
    assert faults(browser, page) == []
    assert faults(browser, page, scheme="dark") == []


def test_the_keyboard_opens_a_folded_part(browser: Any, page: Path) -> None:
    from selenium.webdriver.common.keys import Keys

    browser.get(page.as_uri())
    folded = browser.find_element("css selector", "details:not([open]) > summary")
    folded.send_keys(Keys.ENTER)
    assert browser.execute_script("return arguments[0].parentElement.open", folded) is True


def test_the_harness_sees_a_script_that_runs(browser: Any, page: Path, tmp_path: Path) -> None:
    """Negative control: the attack put in raw, without the policy, changes the title."""
    content = re.sub(r'<meta http-equiv="Content-Security-Policy"[^>]*>', "", page.read_text(encoding="utf-8"))
    raw = tmp_path / "raw.html"
    raw.write_text(content.replace("<main>", f"<main>{ATTACK}", 1), encoding="utf-8")
    browser.get(raw.as_uri())
    assert browser.execute_async_script("setTimeout(() => arguments[0](document.title), 500)") == "owned"


def test_twenty_texts_of_many_classes_are_printed_on_few_pages(browser: Any, tiny_model: Path, tmp_path: Path) -> None:
    """Folded parts are left out on paper; before, a page like this one took three times as many sheets."""
    classifier = TextClassifier.load(tiny_model)
    words = ["goal", "match", "bank", "share", "actor", "scene", "the", "coach"]
    texts = [" ".join(words[(n + k) % len(words)] for k in range(4 + n % 9)) for n in range(20)]
    explanations = explain_texts(classifier, texts)
    view = view_corpus(explanations, Method.combined)
    # As many classes as a corpus of intents has.
    classes = [replace(entry, label=f"{entry.label}_{n}") for n in range(26) for entry in view.classes]
    page = tmp_path / "page.html"
    page.write_bytes(
        render_page(
            explanations,
            labels=classifier.labels,
            title="Why",
            details={},
            corpus=replace(view, classes=tuple(classes)),
            origins=[Origin(str(n), (classifier.labels[n % 2],)) for n in range(20)],
        )
    )
    assert 2 <= printed_pages(browser, page) <= 4
    assert faults(browser, page) == []
