"""The page is data alone: nothing in texts, labels, columns or names becomes markup, and nothing is fetched."""

import base64
import hashlib
import re
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from textlstm.config import EvaluationConfig, Task
from textlstm.evaluation.evaluate import evaluate_rows
from textlstm.evaluation.figures import draw_figures
from textlstm.evaluation.output import write_evaluation
from textlstm.evaluation.scored_rows import ScoredRows

MakeRows = Callable[..., ScoredRows]

ATTACKS = (
    "<script>document.title='owned'</script>",
    "<img src=x onerror=document.title='owned'>",
    "<svg onload=document.title='owned'>",
    "\"><script>document.title='owned'</script>",
    "'><img src=x onerror=\"document.title='owned'\">",
    "</style><script>document.title='owned'</script>",
    "</title><script>document.title='owned'</script>",
    "--><script>document.title='owned'</script>",
    "<iframe src=\"javascript:parent.document.title='owned'\"></iframe>",
    "<a href=\"javascript:document.title='owned'\">x</a>",
    "<body onload=document.title='owned'>",
    "<details open ontoggle=document.title='owned'>",
    "<input autofocus onfocus=document.title='owned'>",
    "<meta http-equiv=refresh content='0;url=data:text/html,owned'>",
    "<base href='https://example.invalid/'>",
    "<object data=\"data:text/html,<script>parent.document.title='owned'</script>\"></object>",
    "<link rel=stylesheet href='https://example.invalid/a.css'>",
    "{{ 7 * 7 }}{% raw %}<script>document.title='owned'</script>",
    "&lt;script&gt;document.title='owned'&lt;/script&gt;",
    "javascript:document.title='owned'//<!--<script>",
)


@pytest.fixture(scope="session")
def attacked(rows_of: MakeRows, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A report with every attack as text, label, id, column name, column value, title and detail."""
    labels = tuple(attack[:256] for attack in ATTACKS)
    num_rows = 40 * len(ATTACKS)
    rows = rows_of(
        num_rows,
        labels,
        ids=[f"{index} {ATTACKS[index % len(ATTACKS)]}" for index in range(num_rows)],
        texts=[ATTACKS[index % len(ATTACKS)] for index in range(num_rows)],
        columns={attack: [ATTACKS[index % 20] for index in range(num_rows)] for attack in ATTACKS},
    )
    config = EvaluationConfig(bootstrap_samples=20, num_examples=40)
    folder = tmp_path_factory.mktemp("attacked")
    evaluation = evaluate_rows(rows, config)
    details = dict(zip(ATTACKS, ATTACKS, strict=True))
    pictures = list(draw_figures(evaluation))
    write_evaluation(evaluation, folder, title=" ".join(ATTACKS), details=details, pictures=pictures)
    return folder / "report.html"


class Elements(HTMLParser):
    """Collects the elements of a page and the text outside of its style sheet."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attributes)))

    def handle_data(self, data: str) -> None:
        self.text.append(data)


ALLOWED = {
    "html",
    "head",
    "meta",
    "title",
    "style",
    "body",
    "header",
    "h1",
    "h2",
    "h3",
    "dl",
    "dt",
    "dd",
    "nav",
    "a",
    "main",
    "section",
    "div",
    "p",
    "b",
    "bdi",
    "ul",
    "li",
    "span",
    "table",
    "thead",
    "tbody",
    "tr",
    "th",
    "td",
    "code",
    # The table of wrong rows and its filter.
    "form",
    "label",
    "input",
    "select",
    "option",
    "button",
    "output",
    "script",
    "wbr",
    # Pictures.
    "svg",
    "g",
    "line",
    "circle",
    "rect",
    "polyline",
    "text",
    "tspan",
}


def test_twenty_attacks_are_text(attacked: Path) -> None:
    assert len(set(ATTACKS)) == 20
    page = Elements(attacked.read_text(encoding="utf-8"))
    assert {tag for tag, _ in page.found} - ALLOWED == set()
    handlers = [name for _, attributes in page.found for name in attributes if name.startswith("on")]
    assert handlers == []
    # The only script is the page's own.
    assert [attributes for tag, attributes in page.found if tag == "script"] == [{}]
    text = " ".join("".join(page.text).split())
    assert [attack for attack in ATTACKS if " ".join(attack.split()) not in text] == []


def test_the_harness_sees_an_attack_that_is_not_escaped(attacked: Path) -> None:
    """Negative control: the same page with one attack put in raw."""
    page = Elements(attacked.read_text(encoding="utf-8").replace("<main>", f"<main>{ATTACKS[1]}", 1))
    assert [attributes for _, attributes in page.found if "onerror" in attributes] != []


def test_nothing_is_fetched_and_no_other_script_is_allowed(attacked: Path) -> None:
    content = attacked.read_text(encoding="utf-8")
    page = Elements(content)
    assert [attributes for _, attributes in page.found if "src" in attributes] == []
    assert all(attributes["href"].startswith("#") for tag, attributes in page.found if tag == "a")
    policy = next(attributes["content"] for _, attributes in page.found if "http-equiv" in attributes)
    assert policy.startswith("default-src 'none'; style-src 'sha256-")
    script = re.search(r"<script>(.*?)</script>", content, re.DOTALL).group(1)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert policy.endswith(f"script-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'")


def test_the_policy_names_the_style_sheet_in_the_page(attacked: Path) -> None:
    page = attacked.read_text(encoding="utf-8")
    style = re.search(r"<style>(.*?)</style>", page, re.DOTALL).group(1)
    assert f"'sha256-{base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()}'" in page
    assert [attributes for _, attributes in Elements(page).found if "style" in attributes] == []


def test_figures_hold_no_markup_from_labels(attacked: Path) -> None:
    for path in (attacked.parent / "figures").glob("*.svg"):
        svg = Elements(path.read_text(encoding="utf-8"))
        assert {tag for tag, _ in svg.found} & {"script", "img", "iframe", "foreignobject", "image", "a"} <= {"image"}
        assert [name for _, attributes in svg.found for name in attributes if name.startswith("on")] == []


def test_every_picture_has_a_text_alternative(attacked: Path) -> None:
    found = [attributes for tag, attributes in Elements(attacked.read_text(encoding="utf-8")).found if tag == "svg"]
    assert len(found) > 20
    assert all(attributes.get("aria-hidden") or attributes["aria-label"] for attributes in found)
    large = [attributes for attributes in found if attributes.get("class") in ("plot", "matrix")]
    assert len(large) == 3
    assert all(len(attributes["aria-label"]) > 20 for attributes in large)


def test_the_page_says_who_wins_and_what_was_promised(
    rows_of: MakeRows, quick: EvaluationConfig, tmp_path: Path
) -> None:
    quick.max_error = 0.2
    evaluation = evaluate_rows(rows_of(300), quick, threshold=0.5)
    write_evaluation(
        evaluation,
        tmp_path,
        title="acquisitions & earnings",
        details={"Model": "outputs/model"},
        pictures=list(draw_figures(evaluation)),
    )
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    text = " ".join("".join(Elements(page).text).split())
    assert evaluation.comparisons[0].sentence in text
    assert "acquisitions & earnings" in text
    assert "The guarantee was at most 20.00%: it is kept on these rows." in text
    assert evaluation.signature in text
    assert "text number" in text


def test_private_texts_leave_ids_and_labels(rows_of: MakeRows, quick: EvaluationConfig, tmp_path: Path) -> None:
    evaluation = evaluate_rows(rows_of(300), quick)
    write_evaluation(evaluation, tmp_path, title="test", include_text=False, pictures=list(draw_figures(evaluation)))
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "text number" not in page
    assert evaluation.rows.ids[evaluation.hardest[0]] in page
    assert "Texts are left out (tracking.log_text=false)." in page


@pytest.mark.parametrize("num_rows", [1, 30])
def test_small_and_multi_label_evaluations_are_shown(
    rows_of: MakeRows, quick: EvaluationConfig, tmp_path: Path, num_rows: int
) -> None:
    for task in Task:
        folder = tmp_path / task.value
        evaluation = evaluate_rows(rows_of(num_rows, task=task), quick, threshold=0.99)
        write_evaluation(evaluation, folder, title="small", pictures=list(draw_figures(evaluation)))
        assert "Is it better than the baseline?" in (folder / "report.html").read_text(encoding="utf-8")


def test_long_texts_are_cut(rows_of: MakeRows, quick: EvaluationConfig, tmp_path: Path) -> None:
    rows = rows_of(50, texts=["word " * 1000] * 50, targets=np.arange(50) % 4)
    evaluation = evaluate_rows(rows, quick)
    write_evaluation(evaluation, tmp_path, title="long", pictures=list(draw_figures(evaluation)))
    assert "… (5,000 characters)" in (tmp_path / "report.html").read_text(encoding="utf-8")
