"""`output=FOLDER/`: an output for each input; what is finished is kept, what is unfinished goes on."""

from dataclasses import replace
from pathlib import Path

import pytest
from fake_model import FAKE_MODELS

from textlstm.config import LabelConfig, LabellingConfig
from textlstm.errors import InputError, Interrupted
from textlstm.labelling.folder import label_each


@pytest.fixture
def config(tmp_path: Path) -> LabelConfig:
    (tmp_path / "model").mkdir()
    (tmp_path / "in").mkdir()
    for name, rows in (("a.csv", 5), ("b.csv", 7)):
        (tmp_path / "in" / name).write_text("text\n" + "".join(f"{'x' * row}y\n" for row in range(rows)))
    return LabelConfig(
        model_dir=str(tmp_path / "model"),
        input=[str(tmp_path / "in")],
        output=f"{tmp_path / 'out'}/",
        labelling=LabellingConfig(shard_rows=2),
    )


def test_each_input_gets_an_output_of_its_name(config: LabelConfig, tmp_path: Path) -> None:
    summaries = list(label_each(config, models=FAKE_MODELS))
    assert [summary.num_rows for summary in summaries] == [5, 7]
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        *("a.csv", "a.csv.manifest.json", "b.csv", "b.csv.manifest.json"),
    ]
    assert (tmp_path / "out" / "a.csv").read_text().splitlines()[:2] == [
        "text,predicted_label,probability,decision",
        "y,odd,0.51,abstained",
    ]


def test_the_same_command_keeps_what_is_finished_and_goes_on_with_the_rest(
    config: LabelConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    jobs = label_each(config, models=FAKE_MODELS)
    next(jobs)
    first = (tmp_path / "out" / "a.csv").stat().st_mtime_ns

    def interrupt(*_: object) -> None:
        raise Interrupted(2)

    with monkeypatch.context() as patch:
        patch.setattr("textlstm.labelling.job.RejectWatch.add", interrupt)
        with pytest.raises(Interrupted):
            next(jobs)
    [summary] = label_each(replace(config, labelling=LabellingConfig(shard_rows=2, num_workers=3)), models=FAKE_MODELS)
    assert (summary.num_rows, summary.num_continued) == (7, 2)
    assert (tmp_path / "out" / "a.csv").stat().st_mtime_ns == first
    assert list(label_each(config, models=FAKE_MODELS)) == []
    # With overwrite=true all of them are labelled anew.
    assert len(list(label_each(replace(config, overwrite=True), models=FAKE_MODELS))) == 2


def test_an_output_of_another_input_or_setting_is_not_replaced(config: LabelConfig, tmp_path: Path) -> None:
    list(label_each(config, models=FAKE_MODELS))
    (tmp_path / "in" / "b.csv").write_text("text\nother\n")
    with pytest.raises(InputError, match=r"b\.csv: exists; choose another output or set overwrite=true"):
        list(label_each(config, models=FAKE_MODELS))


def test_two_inputs_of_one_name_are_refused(config: LabelConfig, tmp_path: Path) -> None:
    (tmp_path / "more").mkdir()
    (tmp_path / "more" / "a.csv").write_text("text\nx\n")
    with pytest.raises(InputError, match="have one name, so that one output would replace the other"):
        list(label_each(replace(config, input=[*config.input, str(tmp_path / "more")]), models=FAKE_MODELS))
    assert not (tmp_path / "out").exists()


def test_a_json_array_becomes_a_file_of_jsonl_and_standard_input_has_no_name(
    config: LabelConfig, tmp_path: Path
) -> None:
    (tmp_path / "in" / "c.json").write_text('[{"text": "xy"}, {"text": "y"}]')
    [summary] = label_each(replace(config, input=[str(tmp_path / "in" / "c.json")]), models=FAKE_MODELS)
    assert summary.output == f"{tmp_path}/out/c.jsonl"
    assert len((tmp_path / "out" / "c.jsonl").read_text().splitlines()) == 2
    with pytest.raises(InputError, match=r"standard input has no name for an output in .*; name a file as output"):
        list(label_each(replace(config, input=["-"]), models=FAKE_MODELS))
