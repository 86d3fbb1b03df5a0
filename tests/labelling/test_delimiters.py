"""CSV of other habits: the delimiter that is set counts for inputs and output, and numbers may have a comma."""

from pathlib import Path

import pytest

from textlstm.config import DataConfig, LabellingConfig
from textlstm.errors import ConfigError, InputError


def test_the_delimiter_that_is_set_is_read_and_written(run, tmp_path: Path) -> None:
    (tmp_path / "in.csv").write_text('text;note\n"a;b";"x,y"\ncd;\n')
    run("in.csv", "out.csv", delimiter=";", decimal_comma=True)
    assert (tmp_path / "out.csv").read_text() == (
        'text;note;predicted_label;probability;decision\n"a;b";x,y;even;0,53;abstained\ncd;;three;0,52;abstained\n'
    )


def test_a_sniffed_delimiter_is_said_and_the_output_is_as_its_name_says(run, tmp_path: Path) -> None:
    (tmp_path / "in.csv").write_text("text;note\nabc;1\n")
    summary = run("in.csv", "out.csv")
    assert summary.notes == ("in.csv: read with semicolons between its cells",)
    assert (tmp_path / "out.csv").read_text().splitlines()[0] == "text,note,predicted_label,probability,decision"


@pytest.mark.parametrize("delimiter", ["^", "~", "tab", "|"])
def test_any_character_may_stand_between_cells(run, tmp_path: Path, delimiter: str) -> None:
    character = "\t" if delimiter == "tab" else delimiter
    (tmp_path / "in.csv").write_text(f'text{character}n\n"q ""{character}"""{character}1\n')
    run("in.csv", "out.csv", delimiter=delimiter, decision_name="")
    cell = f'"q ""{character}"""'
    assert (tmp_path / "out.csv").read_text() == (
        f"text{character}n{character}predicted_label{character}probability\n"
        f"{cell}{character}1{character}three{character}0.55\n"
    )


def test_a_delimiter_that_the_file_does_not_have_misses_the_column(run, tmp_path: Path) -> None:
    (tmp_path / "in.csv").write_text("text,note\nabc,1\n")
    with pytest.raises(
        InputError, match=r"no column 'text'; did you mean|no column 'text'; the columns are 'text,note'"
    ):
        run("in.csv", "out.csv", delimiter=";")


@pytest.mark.parametrize("value", ["ab", "a", '"', "\n", " ", "é"])
def test_other_delimiters_are_refused(value: str) -> None:
    for config in (LabellingConfig, DataConfig):
        with pytest.raises(ConfigError, match=r"delimiter must be one character such as ; or \|, tab, or empty"):
            config(delimiter=value)


def test_a_column_tells_the_input_of_each_row(run, tmp_path: Path) -> None:
    for name in ("a.csv", "b.csv"):
        (tmp_path / name).write_text("text\nabc\n")
    run(["a.csv", "b.csv"], "out.csv", source_column="source_file")
    rows = (tmp_path / "out.csv").read_text().splitlines()
    assert rows[0] == "text,predicted_label,probability,decision,source_file"
    assert [row.rpartition(",")[2] for row in rows[1:]] == [str(tmp_path / "a.csv"), str(tmp_path / "b.csv")]


def test_settings_that_came_later_change_no_job_that_does_not_use_them(run, tmp_path: Path) -> None:
    import json

    (tmp_path / "in.csv").write_text("text\nabc\n")
    run("in.csv", "plain.csv")
    run("in.csv", "other.csv", decimal_comma=True)
    plans = [json.loads((tmp_path / f"{name}.csv.manifest.json").read_text())["plan"] for name in ("plain", "other")]
    assert plans[0] != plans[1]
