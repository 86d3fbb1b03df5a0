"""What the data card says, as JSON and as a page."""

import re
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from page_checks import faults
from textlstm.config import TextConfig
from textlstm.corpus.preparation.corpus_folder import CARD_PAGE
from textlstm.corpus.preparation.data_card import Lengths
from textlstm.corpus.preparation.data_card_page import render_page
from textlstm.corpus.prepared import PreparedCorpus

Prepare = Callable[..., PreparedCorpus]
TEXT = "one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen"


def test_lengths_have_exact_quantiles() -> None:
    import numpy as np

    lengths = Lengths()
    lengths.add(np.arange(1, 51))
    lengths.add(np.arange(51, 101))
    assert lengths.summary() == {"mean": 50.5, "min": 1, "median": 50, "p95": 95, "p99": 99, "max": 100}
    assert Lengths().summary() == {}


def test_card_of_a_tiny_corpus(write, prepare: Prepare) -> None:
    train = [("The cat and the dog", "a"), ("A cat", "b"), ("the and a", "a"), ("dog dog dog", "b")]
    corpus = prepare(
        write("train.jsonl", train),
        validation=write("v.jsonl", [("cat bird bird", "a")]),
        test=write("t.jsonl", [("The cat  and the dog", "b"), ("fish", "b")]),
        text=TextConfig(pos=False, stop_words="remove"),
    )
    card = corpus.card
    assert card["splits"]["train"] == {
        "rows": 4,
        "tokens": 6,
        "tokens_removed": 7,
        "rows_without_tokens": 1,
        "rows_of_label": {"a": 2, "b": 2},
        "rows_of_number_of_labels": {"1": 4},
        "chars": {"mean": 11.0, "min": 5, "median": 9, "p95": 19, "p99": 19, "max": 19},
        "tokens_before_filters": {"mean": 3.25, "min": 2, "median": 3, "p95": 5, "p99": 5, "max": 5},
        "tokens_after_filters": {"mean": 1.5, "min": 0, "median": 1, "p95": 3, "p99": 3, "max": 3},
        "languages_of_sample": {"en": 3, "unclear": 1},
        "tokens_of_pos": {},
        "length_histogram": [[0, 0, 1], [1, 1, 1], [2, 2, 1], [3, 3, 1]],
        "files": {"train.jsonl": 4},
    }
    assert card["duplicates"] == {
        "train_repeats": 0,
        "train_conflicts": 0,
        "validation_in_train": 0,
        "test_in_train": 1,
    }
    comparison = card["compared_with_train"]
    assert comparison["validation"]["unknown_token_share"] == 0.66667
    assert comparison["validation"]["unknown_type_share"] == 0.5
    assert (comparison["test"]["rows_compared"], comparison["test"]["near_duplicates_of_train"]) == (2, 0)
    assert card["warnings"] == [
        "test: 1 row with a text that is also in train; data.drop_leaked=true drops it there",
        "train: 1 row without tokens after the filters, read as one unknown",
    ]
    assert corpus.warnings == tuple(card["warnings"])


def test_parts_of_speech_are_counted(write, prepare: Prepare) -> None:
    train = [(f"{who} ate the {what}.", who) for who in ("She", "He") for what in ("apple", "bread")]
    others = {"validation": write("v.jsonl", [("A bird.", "He")]), "test": write("t.jsonl", [("Two!", "She")])}
    corpus = prepare(write("train.jsonl", train), **others, text=TextConfig(pos=True))
    splits = corpus.card["splits"]
    assert splits["train"]["tokens_of_pos"] == {"DET": 4, "NOUN": 4, "PRON": 4, "PUNCT": 4, "VERB": 4}
    assert splits["test"]["tokens_of_pos"] == {"NUM": 1, "PUNCT": 1}
    page = (corpus.directory / CARD_PAGE).read_text(encoding="utf-8")
    assert all(name in page for name in ("Parts of speech", "determiners", "punctuation marks", "20.0%", "50.0%"))
    # Without tags there is no such table.
    plain = prepare(write("train.jsonl", train), **others, text=TextConfig(pos=False))
    assert "Parts of speech" not in (plain.directory / CARD_PAGE).read_text(encoding="utf-8")


def test_near_duplicates_of_train_are_named(write, rows, prepare: Prepare) -> None:
    train = [*rows(20), (TEXT, "even")]
    changed = TEXT.replace("sixteen", "Seventeen")
    corpus = prepare(write("train.jsonl", train), test=write("test.jsonl", [("other", "odd"), (changed, "even")]))
    found = corpus.card["compared_with_train"]["test"]
    assert found["near_duplicate_rows"] == [
        {"row": "test.jsonl:2", "train_row": "train.jsonl:21", "resemblance": 0.867}  # 13 of 15 word triples
    ]
    assert corpus.warnings == (
        "test: 1 row of 2 compared almost equal to a training row; results there say little about new texts",
    )


def test_an_equal_text_is_no_near_duplicate(write, rows, prepare: Prepare) -> None:
    corpus = prepare(write("train.jsonl", [*rows(20), (TEXT, "even")]), test=write("t.jsonl", [(TEXT, "even")]))
    assert corpus.card["compared_with_train"]["test"]["near_duplicates_of_train"] == 0


def test_texts_in_another_language_are_warned_of(write, prepare: Prepare) -> None:
    german = [(f"Das ist nicht der Satz, den wir mit ihnen über die Nummer {i} haben.", "ab"[i % 2]) for i in range(30)]
    corpus = prepare(write("train.jsonl", german), test=write("t.jsonl", [("Hello", "a")]))
    assert corpus.warnings[0] == (
        "train: 27 of 27 sampled texts look like 'de', but text.language=en; set text.language=de if they are"
    )
    right = prepare(
        write("train.jsonl", german),
        test=write("t.jsonl", [("Hallo", "a")]),
        text=TextConfig(language="de", pos=False),
    )
    assert right.warnings == ()


# The page

XSS = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "</td></table><svg onload=alert(1)>",
    "javascript:alert(1)",
    "{{ 7*7 }}",
    "{% raw %}",
    "<!--",
    "]]>",
    "&lt;b&gt;",
    "<a href='//example.org'>x</a>",
]


class Elements(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.seen: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append((tag, dict(attrs)))


def elements(page: str) -> list[tuple[str, dict[str, str | None]]]:
    parser = Elements()
    parser.feed(page)
    return parser.seen


def test_labels_and_file_names_are_escaped(tmp_path: Path, write, prepare: Prepare) -> None:
    plain = prepare(write("plain.jsonl", [(f"text {i}", "ab"[i % 2]) for i in range(40)]))
    labels = [label.replace("/", "_")[:60] for label in XSS]
    corpus = prepare(write("<b>x&.jsonl", [(f"text {i}", labels[i % len(labels)]) for i in range(100)]))
    page = (corpus.directory / CARD_PAGE).read_text(encoding="utf-8")
    allowed = {"wbr"} | {tag for tag, _ in elements((plain.directory / CARD_PAGE).read_text(encoding="utf-8"))}
    assert {tag for tag, _ in elements(page)} <= allowed
    assert not any(name.startswith("on") or name in ("href", "src") for _, attrs in elements(page) for name in attrs)
    assert "49" not in re.findall(r"<td>(.*?)</td>", page)
    assert "&lt;script&gt;alert(1)" in page


def test_the_page_needs_nothing_from_elsewhere(write, rows, prepare: Prepare) -> None:
    page = render_page(prepare(write("train.jsonl", rows(40))).card)
    policy = [attrs["content"] for tag, attrs in elements(page) if tag == "meta" and "http-equiv" in attrs]
    assert re.fullmatch(
        r"default-src 'none'; style-src 'sha256-[\w+/]{43}='; base-uri 'none'; form-action 'none'", policy[0]
    )
    assert len(policy) == 1
    assert not any(name == "style" for _, attrs in elements(page) for name in attrs)
    assert not {tag for tag, _ in elements(page)} & {"script", "link", "img", "iframe", "form", "object"}


def test_the_page_says_what_the_card_says(write, rows, prepare: Prepare) -> None:
    page = render_page(prepare(write("train.jsonl", [*rows(40), rows(1)[0]])).card)
    assert "1 row with a text that occurs earlier; data.deduplicate=true drops such rows" in page
    assert '<p class="big">30 rows</p>' in page
    assert "<h1>train.jsonl</h1>" in page


def test_texts_stand_on_the_page_alone(write, rows, prepare: Prepare) -> None:
    """card.json goes to MLflow, where texts must not."""
    changed = TEXT.replace("sixteen", "Seventeen")
    corpus = prepare(write("train.jsonl", [*rows(20), (TEXT, "even")]), test=write("test.jsonl", [(changed, "even")]))
    page = (corpus.directory / CARD_PAGE).read_text(encoding="utf-8")
    stored = (corpus.directory / "card.json").read_text(encoding="utf-8")
    # Examples of each class, and both texts of a pair that is almost equal.
    assert page.count("one two three four") == 2
    assert "Seventeen" in page
    assert "one two three" not in stored
    assert "<b>1 of 1 row</b> (100.0%) is almost equal to a training row" in page


def test_lengths_have_a_histogram() -> None:
    import numpy as np

    lengths = Lengths()
    lengths.add(np.array([3, 3, 4, 9, 500]))
    assert sum(rows for _, _, rows in lengths.histogram()) == 5
    assert len(lengths.histogram()) <= 25
    lengths = Lengths()
    lengths.add(np.concatenate([np.full(990, 5), np.full(10, 80)]))
    assert lengths.histogram() == [[5, 5, 990], [6, 80, 10]]
    assert Lengths().histogram() == []


def test_the_page_has_no_fault_at_any_width(browser: Any, write, tmp_path: Path, prepare: Prepare) -> None:
    names = [f"balance_not_updated_after_bank_transfer_{n}" for n in range(12)]
    lines = [(f"{TEXT} number {n * n}", names[n % 12]) for n in range(240)]
    corpus = prepare(write("a_rather_long_name_of_training_rows.jsonl", lines), test=write("t.jsonl", lines[:30]))
    page = corpus.directory / CARD_PAGE
    assert faults(browser, page) == []
    assert faults(browser, page, scheme="dark") == []


@pytest.mark.parametrize("number", [1, 250])
def test_many_labels_are_cut_on_the_page_only(write, prepare: Prepare, number: int) -> None:
    rows = [(f"text {i}", f"label {i % (number + 1)}") for i in range(4 * (number + 1))]
    corpus = prepare(write("train.jsonl", rows), test=write("t.jsonl", rows[:2]))
    page = render_page(corpus.card)
    assert len(corpus.card["labels"]) == number + 1
    assert page.count('<td class="name">label ') == min(number + 1, 200)
    assert ("more; card.json has all" in page) == (number > 200)
