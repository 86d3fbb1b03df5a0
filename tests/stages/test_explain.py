"""`textlstm explain`: what it writes, and what it refuses."""

from pathlib import Path

import pytest

from textlstm.cli.main import main


def test_it_writes_a_page_and_says_so(tiny_model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = tmp_path / "rows.csv"
    rows.write_text("text\nthe coach said a goal\nthe bank said profit\n", encoding="utf-8")
    page = tmp_path / "why" / "page.html"
    assert main(["explain", f"model_dir={tiny_model}", f"input={rows}", f"output={page}", "tracking=off"]) == 0
    assert "The gates are exact" in page.read_text(encoding="utf-8")
    assert f"{page}: 2 texts explained" in capsys.readouterr().out


def test_cards_say_which_row_it_is_and_whether_the_label_is_right(tiny_model: Path, tmp_path: Path) -> None:
    rows = tmp_path / "rows.csv"
    rows.write_text("text,label\nthe coach said a goal,sport\nthe bank said profit,film\n", encoding="utf-8")
    page = tmp_path / "page.html"
    assert main(["explain", f"model_dir={tiny_model}", f"input={rows}", f"output={page}", "tracking=off"]) == 0
    shown = page.read_text(encoding="utf-8")
    assert 'row <bdi>1</bdi> · is <b><bdi>sport</bdi></b> · <span class="right">✓ right</span>' in shown
    assert 'row <bdi>2</bdi> · is <b><bdi>film</bdi></b> · <span class="wrong">✗ wrong</span>' in shown


def test_one_text_may_be_typed(tiny_model: Path, tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    typed = "explain.text=goal, said the coach"
    assert main(["explain", f"model_dir={tiny_model}", typed, f"output={page}", "tracking=off"]) == 0
    assert "<bdi>coach</bdi>" in page.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ([], 'no text to explain; set explain.text="..." or input=FILE'),
        (
            ["input=ROWS", "explain.text_column=txt"],
            "rows.csv: no column 'txt'; did you mean 'text'? The columns are 'text'. Set explain.text_column.",
        ),
        (
            ["input=ROWS", "output=ROWS", "overwrite=false"],
            "rows.csv: exists; set overwrite=true to replace it, or another output",
        ),
    ],
)
def test_faults_are_named(
    tiny_model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], settings: list[str], message: str
) -> None:
    rows = tmp_path / "rows.csv"
    rows.write_text("text\nthe coach said a goal\n", encoding="utf-8")
    given = [setting.replace("ROWS", str(rows)) for setting in settings]
    if not any(setting.startswith("output=") for setting in given):
        given.append(f"output={tmp_path / 'page.html'}")
    assert main(["explain", f"model_dir={tiny_model}", "tracking=off", *given]) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "page.html").exists()
