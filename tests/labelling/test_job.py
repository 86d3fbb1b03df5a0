"""Labelling from input to output, in the calling process: what stands in the files, and what is refused."""

import gzip
import io
import json
import os
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard
from fake_model import FAKE_MODELS, FAKE_MULTI_LABEL_MODELS

from textlstm.corpus.rows.readers import read_records
from textlstm.corpus.rows.settings import ColumnNames, ReadSettings
from textlstm.corpus.rows.values import cell_text
from textlstm.corpus.sources.examples import ExampleReader
from textlstm.errors import ConfigError, InputError
from textlstm.labelling.trace import replay_row

ROWS = 'id,text\n01,four\n02,"a ""b""\nc"\n03,\n'
LABELLED = (
    "id,text,predicted_label,probability,decision\n"
    "01,four,odd,0.54,abstained\n"
    '02,"a ""b""\nc",odd,0.57,accepted\n'
    "03,,,0.0,empty\n"
)


def test_every_row_and_column_comes_back_with_three_more(tmp_path: Path, run) -> None:
    (tmp_path / "in.csv").write_text(ROWS)
    summary = run("in.csv", "out.csv")
    assert (tmp_path / "out.csv").read_text() == LABELLED
    assert (summary.num_rows, summary.num_rejects) == (3, 0)
    assert summary.labels == {"odd": 2, "": 1}
    assert summary.decisions == {"abstained": 1, "accepted": 1, "empty": 1}
    assert summary.mean_confidence == pytest.approx(0.555)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.csv", "model", "out.csv", "out.csv.manifest.json"]


def test_jsonl_keeps_numbers_nesting_and_late_keys(tmp_path: Path, run) -> None:
    (tmp_path / "in.jsonl").write_text('{"text": "ab", "n": 1.50}\n\n{"text": "abc", "late": {"a": [1E5]}}\n')
    run("in.jsonl", "out.jsonl")
    assert (tmp_path / "out.jsonl").read_text() == (
        '{"text": "ab", "n": 1.50, "predicted_label": "three", "probability": 0.52, "decision": "abstained"}\n'
        '{"text": "abc", "late": {"a": [1E5]}, "predicted_label": "even", "probability": 0.53, "decision": "abstained"}\n'
    )


def test_jsonl_to_csv_has_the_columns_of_all_rows(tmp_path: Path, run) -> None:
    (tmp_path / "in.jsonl").write_text(
        "".join(f'{{"text": "t{n}"}}\n' for n in range(200)) + '{"text": "x", "new": 7}\n'
    )
    run("in.jsonl", "out.csv")
    lines = (tmp_path / "out.csv").read_text().splitlines()
    assert lines[0] == "text,new,predicted_label,probability,decision"
    assert lines[-1] == "x,7,odd,0.51,abstained"


def test_text_lines_become_columns(tmp_path: Path, run) -> None:
    (tmp_path / "in.txt").write_text("four\nlater\n")
    run("in.txt", "out.tsv")
    assert (tmp_path / "out.tsv").read_text() == (
        "text\tpredicted_label\tprobability\tdecision\nfour\todd\t0.54\tabstained\nlater\tthree\t0.55\taccepted\n"
    )


def test_parquet_keeps_types_and_order(tmp_path: Path, run) -> None:
    table = pa.table({"n": pa.array(range(10), pa.int16()), "text": ["x" * n for n in range(10)]})
    pq.write_table(table, tmp_path / "in.parquet", row_group_size=4)
    run("in.parquet", "out.parquet")
    labelled = pq.read_table(tmp_path / "out.parquet")
    assert labelled.schema.names == ["n", "text", "predicted_label", "probability", "decision"]
    assert labelled.schema.field("n").type == pa.int16()
    assert labelled.column("n").to_pylist() == list(range(10))
    assert labelled.column("predicted_label").to_pylist()[1:4] == ["odd", "three", "even"]
    assert labelled.column("probability").to_pylist()[:2] == [0.0, 0.51]


@pytest.mark.parametrize("suffix", [".gz", ".zst"])
def test_packed_input_and_output_hold_the_same_rows(tmp_path: Path, run, suffix: str) -> None:
    content = "".join(f'{{"text": "{"x" * n}"}}\n' for n in range(1, 9)).encode()
    packed = gzip.compress(content) if suffix == ".gz" else zstandard.compress(content)
    (tmp_path / "plain.jsonl").write_bytes(content)
    (tmp_path / f"in.jsonl{suffix}").write_bytes(packed)
    run("plain.jsonl", "plain_out.jsonl")
    run(f"in.jsonl{suffix}", f"out.jsonl{suffix}")
    raw = (tmp_path / f"out.jsonl{suffix}").read_bytes()
    found = (
        gzip.decompress(raw)
        if suffix == ".gz"
        else zstandard.ZstdDecompressor().stream_reader(io.BytesIO(raw), read_across_frames=True).read()
    )
    assert found == (tmp_path / "plain_out.jsonl").read_bytes()


def test_utf16_is_read_and_written_as_utf8(tmp_path: Path, run) -> None:
    (tmp_path / "in.csv").write_bytes("text\nfünf\n".encode("utf-16"))
    run("in.csv", "out.csv", encoding="utf-16")
    assert (tmp_path / "out.csv").read_text(encoding="utf-8") == (
        "text,predicted_label,probability,decision\nfünf,odd,0.54,abstained\n"
    )


def test_several_files_come_one_after_another(tmp_path: Path, run) -> None:
    (tmp_path / "b.csv").write_text("text,id\nbb,2\n")
    (tmp_path / "a.csv").write_text("id,text\n1,a\n")
    run(["b.csv", "a.csv"], "out.csv")
    assert (tmp_path / "out.csv").read_text() == (
        "text,id,predicted_label,probability,decision\nbb,2,three,0.52,abstained\na,1,odd,0.51,abstained\n"
    )


def test_unusable_rows_are_rejected_with_file_row_and_offset_and_without_text(tmp_path: Path, run) -> None:
    (tmp_path / "in.jsonl").write_bytes(b'{"text": "ok"}\n{"text": 5}\n{"text": "secret \xff"}\n{"text": "last"}\n')
    summary = run("in.jsonl", "out.jsonl")
    assert (summary.num_rows, summary.num_rejects) == (2, 2)
    lines = (tmp_path / "out.jsonl.rejects.jsonl").read_text().splitlines()
    file = str(tmp_path / "in.jsonl")
    assert [json.loads(line) for line in lines] == [
        {"file": file, "row": 2, "byte_offset": 15, "reason": "column 'text': the text is a number, not a string"},
        {"file": file, "row": 3, "byte_offset": 27, "reason": "is not valid utf-8: byte 0xFF at byte offset 44"},
    ]
    assert [json.loads(line)["text"] for line in (tmp_path / "out.jsonl").read_text().splitlines()] == ["ok", "last"]


def test_late_rows_with_a_key_of_an_added_column_are_rejected(tmp_path: Path, run) -> None:
    (tmp_path / "in.jsonl").write_text('{"text": "a"}\n' * 200 + '{"text": "b", "decision": 1}\n')
    summary = run("in.jsonl", "out.jsonl")
    assert (summary.num_rows, summary.num_rejects) == (200, 1)
    [line] = (tmp_path / "out.jsonl.rejects.jsonl").read_text().splitlines()
    reason = "column 'decision': labelling adds one of that name; set another in labelling.*_name"
    assert json.loads(line) == {"file": str(tmp_path / "in.jsonl"), "row": 201, "byte_offset": 2800, "reason": reason}


def test_too_many_rejects_refuse_the_job_and_leave_nothing(tmp_path: Path, run) -> None:
    (tmp_path / "in.jsonl").write_text('{"text": "a"}\n{"text": []}\n{"text": 3}\n')
    with pytest.raises(InputError) as refused:
        run("in.jsonl", "out.jsonl", max_reject_fraction=0.5)
    file = tmp_path / "in.jsonl"
    assert refused.value.problems == (
        f"{file}: 2 of 3 rows cannot be used; labelling.max_reject_fraction=0.5 allows 1. "
        "Mend the rows or raise labelling.max_reject_fraction.",
        f"{file}:2: column 'text': the text is a list, not a string",
        f"{file}:3: column 'text': the text is a number, not a string",
    )
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.jsonl", "model"]


def test_names_of_added_columns_are_settings(tmp_path: Path, run) -> None:
    (tmp_path / "in.csv").write_text("text\nfour\n")
    run("in.csv", "out.csv", label_name="topic", probability_name="p", decision_name="")
    assert (tmp_path / "out.csv").read_text() == "text,topic,p\nfour,odd,0.54\n"


def test_top_k_and_all_probabilities(tmp_path: Path, run) -> None:
    (tmp_path / "in.csv").write_text("text\nfour\n \n")
    run("in.csv", "out.csv", top_k=2, all_probabilities=True, decision_name="")
    assert (tmp_path / "out.csv").read_text() == (
        "text,predicted_label,probability,predicted_label_1,probability_1,predicted_label_2,probability_2,"
        "probability[even],probability[odd],probability[three]\n"
        "four,odd,0.54,odd,0.54,even,0.23,0.23,0.54,0.23\n"
        " ,,0.0,,0.0,,0.0,0.0,0.0,0.0\n"
    )


def test_explanation_names_the_words_whose_loss_costs_most(tmp_path: Path, run) -> None:
    (tmp_path / "in.csv").write_text('text\naa bbbb aa\n""\n')
    run("in.csv", "out.csv", explanation=True)
    assert (tmp_path / "out.csv").read_text().splitlines()[1:] == [
        "aa bbbb aa,odd,0.6,accepted,bbbb 0.38; aa 0.06",
        ",,0.0,empty,",
    ]


def test_labels_of_empty_and_abstained_rows_are_settings(tmp_path: Path, run) -> None:
    (tmp_path / "in.csv").write_text('text\nfour\n""\nfifteen letters\n')
    run("in.csv", "out.csv", empty_label="nothing", abstain_label="unsure")
    assert [line.split(",")[1] for line in (tmp_path / "out.csv").read_text().splitlines()] == [
        "predicted_label",
        "unsure",
        "nothing",
        "even",
    ]


def test_excel_safe_disarms_formulas(tmp_path: Path, run) -> None:
    (tmp_path / "in.csv").write_text("text\n=1+1\n")
    run("in.csv", "plain.csv")
    run("in.csv", "safe.csv", excel_safe=True)
    assert (tmp_path / "plain.csv").read_text().splitlines()[1] == "=1+1,odd,0.54,abstained"
    assert (tmp_path / "safe.csv").read_text().splitlines()[1] == "'=1+1,odd,0.54,abstained"


def test_long_texts_are_rejected(tmp_path: Path, run) -> None:
    (tmp_path / "in.csv").write_text(f"text\nshort\n{'x' * 11}\n")
    summary = run("in.csv", "out.csv", max_chars=10)
    assert (summary.num_rows, summary.num_rejects) == (1, 1)


@pytest.mark.parametrize(
    ("inputs", "output", "settings", "problems"),
    [
        ("no.csv", "out.csv", {}, ["{dir}/no.csv: no such file."]),
        ("*.parquet", "out.csv", {}, ["{dir}/*.parquet: matches no file."]),
        ("in.csv", "out.xyz", {"output_format": "text"}, None),
        (
            "clash.csv",
            "out.csv",
            {},
            [
                "{dir}/clash.csv: the input has a column 'probability' already, which labelling adds. "
                "Rename it, or set another name in labelling.*_name."
            ],
        ),
        (
            ["in.csv", "other.csv"],
            "out.csv",
            {},
            ["{dir}/other.csv: has no column 'id', which other inputs have; label it on its own"],
        ),
        (
            ["nocol.csv", "clash.csv"],
            "out.csv",
            {},
            [
                "{dir}/nocol.csv: no column 'text'; the columns are 'a', 'b'. Set labelling.text_column.",
                "{dir}/clash.csv: the input has a column 'probability' already, which labelling adds. "
                "Rename it, or set another name in labelling.*_name.",
            ],
        ),
        (
            "in.csv",
            "in.csv",
            {},
            ["{dir}/in.csv: is the input {dir}/in.csv itself; labels are never written over their input"],
        ),
        (
            "in.csv",
            "link.csv",
            {},
            ["{dir}/link.csv: is the input {dir}/in.csv itself; labels are never written over their input"],
        ),
        ("in.csv", "there.csv", {}, ["{dir}/there.csv: exists; choose another output or set overwrite=true"]),
        ("in.csv", "", {}, None),
    ],
)
def test_refusals_name_every_problem_and_write_nothing(
    tmp_path: Path, run, inputs: str | list[str], output: str, settings: dict[str, object], problems: list[str] | None
) -> None:
    (tmp_path / "in.csv").write_text("id,text\n1,a\n")
    (tmp_path / "other.csv").write_text("text\na\n")
    (tmp_path / "nocol.csv").write_text("a,b\n1,2\n")
    (tmp_path / "clash.csv").write_text("text,probability\n1,2\n")
    (tmp_path / "there.csv").write_text("old")
    os.link(tmp_path / "in.csv", tmp_path / "link.csv")
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir() if path.is_file()}
    with pytest.raises((InputError, ConfigError)) as refused:
        run(inputs, output, **settings)
    if problems is not None:
        assert list(refused.value.problems) == [problem.format(dir=tmp_path) for problem in problems]
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir() if path.is_file()} == before
    assert not list(tmp_path.glob("*.work"))


def test_overwrite_replaces_output_and_stale_rejects(tmp_path: Path, run) -> None:
    (tmp_path / "in.csv").write_text("text\na\n")
    (tmp_path / "out.csv").write_text("old")
    (tmp_path / "out.csv.rejects.jsonl").write_text("old")
    run("in.csv", "out.csv", overwrite=True)
    assert (tmp_path / "out.csv").read_text() == "text,predicted_label,probability,decision\na,odd,0.51,abstained\n"
    assert not (tmp_path / "out.csv.rejects.jsonl").exists()


def test_bytes_do_not_depend_on_shard_size(tmp_path: Path, run) -> None:
    (tmp_path / "in.csv").write_text("text\n" + "".join(f"row {n}\n" for n in range(50)))
    for rows in (1, 7, 50, 1000):
        run("in.csv", f"out{rows}.csv", shard_rows=rows)
    outputs = {(tmp_path / f"out{rows}.csv").read_bytes() for rows in (1, 7, 50, 1000)}
    assert len(outputs) == 1


def test_fsspec_addresses_are_read_and_written(tmp_path: Path, run) -> None:
    import fsspec

    files = fsspec.filesystem("memory")
    with files.open("memory://bucket/in.csv", "wb") as stream:
        stream.write(b"text\nfour\nfive!\n")
    run("memory://bucket/in.csv", "memory://bucket/out/labelled.csv")
    assert files.cat("memory://bucket/out/labelled.csv") == (
        b"text,predicted_label,probability,decision\nfour,odd,0.54,abstained\nfive!,three,0.55,accepted\n"
    )
    assert sorted(path.rpartition("/")[2] for path in files.ls("memory://bucket/out", detail=False)) == [
        "labelled.csv",
        "labelled.csv.manifest.json",
    ]
    with pytest.raises(InputError, match=r"memory://bucket/no\.csv: no such file\."):
        run("memory://bucket/no.csv", "out.csv")
    with files.open("memory://bucket/excel.csv", "wb") as stream:
        stream.write(b"id;text\n1;four\n")
    assert run("memory://bucket/excel.csv", "out.csv").notes == ("excel.csv: read with semicolons between its cells",)


def test_a_folder_of_class_folders_is_one_row_a_file(tmp_path: Path, run) -> None:
    for name, text in (("b/2.txt", "four"), ("a/1.txt", "five!")):
        path = tmp_path / "texts" / name
        path.parent.mkdir(parents=True)
        path.write_text(text)
    run("texts", "out.csv")
    assert (tmp_path / "out.csv").read_text() == (
        "text,label,path,predicted_label,probability,decision\n"
        "five!,a,a/1.txt,three,0.55,accepted\nfour,b,b/2.txt,odd,0.54,abstained\n"
    )


def test_an_output_in_a_folder_that_is_labelled_is_refused(tmp_path: Path, run) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.csv").write_text("text\na\n")
    with pytest.raises(InputError) as refused:
        run("in", "in/out.csv")
    assert refused.value.problems == (
        f"{tmp_path}/in/out.csv: lies in the input folder {tmp_path}/in; choose an output elsewhere",
    )


def test_pipes_are_read_once(tmp_path: Path, run) -> None:
    import threading

    os.mkfifo(tmp_path / "in.csv")
    writer = threading.Thread(target=(tmp_path / "in.csv").write_text, args=("text\nfour\n",))
    writer.start()
    run("in.csv", "out.csv")
    writer.join()
    assert (tmp_path / "out.csv").read_text() == "text,predicted_label,probability,decision\nfour,odd,0.54,abstained\n"


def test_file_names_that_are_not_utf8_are_carried(tmp_path: Path, run) -> None:
    name = os.fsdecode(b"in\xff.jsonl")
    (tmp_path / name).write_text('{"text": "four"}\n{"text": 4}\n')
    run(name, "out.jsonl")
    [line] = (tmp_path / "out.jsonl.rejects.jsonl").read_text().splitlines()
    assert json.loads(line)["file"] == str(tmp_path / name)
    assert json.loads((tmp_path / "out.jsonl.manifest.json").read_bytes())["inputs"][0]["name"] == str(tmp_path / name)


def _labelled_texts(path: Path) -> list[tuple[object, object]]:
    if path.suffix == ".parquet":
        table = pq.read_table(path).to_pydict()
        return list(zip(table["text"], table["decision"], strict=True))
    return [(row.get("text"), row["decision"]) for row in map(json.loads, path.read_text().splitlines())]


def test_a_null_text_is_an_empty_text_in_every_format(tmp_path: Path, run) -> None:
    (tmp_path / "in.jsonl").write_text('{"text": "four"}\n{"text": null}\n{"n": 1}\n{"text": "seven"}\n')
    pq.write_table(pa.table({"text": ["four", None, "seven"]}), tmp_path / "in.parquet")
    (tmp_path / "in.csv").write_text('text\nfour\n""\nseven\n')
    for name, rows in (("in.jsonl", 4), ("in.parquet", 3), ("in.csv", 3)):
        summary = run(name, f"{name}.out.jsonl", max_reject_fraction=0.0)
        assert (summary.num_rows, summary.num_rejects) == (rows, 0)
        assert summary.decisions["empty"] == rows - 2
    run("in.parquet", "out.parquet")
    assert _labelled_texts(tmp_path / "out.parquet")[1] == (None, "empty")
    assert _labelled_texts(tmp_path / "in.jsonl.out.jsonl")[1:3] == [(None, "empty"), (None, "empty")]
    assert json.loads((tmp_path / "in.jsonl.out.jsonl").read_text().splitlines()[2])["n"] == 1


def test_a_text_of_another_type_is_still_rejected(tmp_path: Path, run) -> None:
    (tmp_path / "in.jsonl").write_text('{"text": "four"}\n{"text": 7}\n')
    summary = run("in.jsonl", "out.jsonl")
    assert (summary.num_rows, summary.num_rejects) == (1, 1)


def test_parquet_output_keeps_the_metadata_of_pandas_and_datasets(tmp_path: Path, run) -> None:
    note = {b"huggingface": b'{"info": {"features": {"text": {"dtype": "string", "_type": "Value"}}}}'}
    frame = pd.DataFrame({"text": ["four", "seven"], "day": pd.Categorical(["a", "b"])}, index=["x", "y"])
    table = pa.Table.from_pandas(frame)
    pq.write_table(table.replace_schema_metadata({**table.schema.metadata, **note}), tmp_path / "in.parquet")
    run("in.parquet", "out.parquet")
    schema = pq.read_schema(tmp_path / "out.parquet")
    assert schema.metadata[b"huggingface"] == note[b"huggingface"]
    labelled = pd.read_parquet(tmp_path / "out.parquet")
    assert list(labelled.index) == ["x", "y"]
    assert list(labelled["predicted_label"]) == ["odd", "three"]


def test_maps_and_times_of_parquet_are_json_in_other_formats(tmp_path: Path, run) -> None:
    kinds = {"text": pa.string(), "m": pa.map_(pa.string(), pa.int64()), "at": pa.time64("ns"), "n": pa.float64()}
    values = {"text": ["four"], "m": [[("k", 1)]], "at": [1_123_456_789], "n": [float("nan")]}
    arrays = [pa.array(values[name], kind) for name, kind in kinds.items()]
    pq.write_table(pa.Table.from_arrays(arrays, names=list(kinds)), tmp_path / "in.parquet")
    run("in.parquet", "out.csv")
    assert (tmp_path / "out.csv").read_text().splitlines()[
        1
    ] == 'four,"{""k"": 1}",00:00:01.123456789,,odd,0.54,abstained'
    run("in.parquet", "out.jsonl")
    row = json.loads((tmp_path / "out.jsonl").read_text())
    assert (row["m"], row["at"], row["n"]) == ({"k": 1}, "00:00:01.123456789", None)


SEVERAL = [("ab", [",a", ",b"]), ("c", [",c"]), ("x", []), (" ", [])]


@pytest.mark.parametrize("name", ["out.csv", "out.tsv", "out.jsonl", "out.parquet"])
def test_labels_of_a_multi_label_model_are_read_back_as_they_were(tmp_path: Path, run, name: str) -> None:
    (tmp_path / "in.csv").write_text("".join(f"{text}\n" for text in ("text", *(text for text, _ in SEVERAL))))
    run("in.csv", name, models=FAKE_MULTI_LABEL_MODELS, num_workers=1)
    settings = ReadSettings(columns=ColumnNames(labels="predicted_label"), need_labels=True)
    read = ExampleReader(settings)
    rows = [row for row in read_records(tmp_path / name, settings) if row.fields["text"].strip()]
    assert [(example.text, list(example.labels)) for example in map(read, rows)] == SEVERAL[:3]
    assert replay_row(str(tmp_path / name), 1, models=FAKE_MULTI_LABEL_MODELS).differences == ()
    last = list(read_records(tmp_path / name, settings))[-1].fields
    assert (cell_text(last["predicted_label"]), last["decision"]) == ("[]", "empty")


def test_a_csv_cell_of_several_labels_is_a_json_list(tmp_path: Path, run) -> None:
    (tmp_path / "in.csv").write_text("text\nab\nx\n")
    summary = run("in.csv", "out.csv", models=FAKE_MULTI_LABEL_MODELS, num_workers=1, decision_name="")
    assert (tmp_path / "out.csv").read_text() == (
        'text,predicted_label,probability\nab,"["",a"", "",b""]",0.75\nx,[],0.75\n'
    )
    assert summary.labels == {"": 1, ",a": 1, ",b": 1}  # labels, not combinations of labels
    assert replay_row(str(tmp_path / "out.csv"), 1, models=FAKE_MULTI_LABEL_MODELS).differences == ()


def test_files_of_other_tools_are_labelled_in_shards_and_said(tmp_path: Path, run) -> None:
    rows = [{"n": n, "text": "x" * (n + 1)} for n in range(7)]
    (tmp_path / "in.json").write_text(json.dumps(rows, indent=2))
    summary = run("in.json", "out.jsonl", shard_rows=2)
    found = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    assert [{"n": row["n"], "text": row["text"]} for row in found] == rows
    assert summary.notes == ("in.json: is one JSON array; each of its elements is a row",)
    assert summary.notes[0] in summary.lines()
    assert replay_row(str(tmp_path / "out.jsonl"), 6, models=FAKE_MODELS).differences == ()
    (tmp_path / "in.csv").write_text("sep=;\r\nn;text\r\n" + "".join(f"{n};{'x' * n},\r\n" for n in range(1, 8)))
    summary = run("in.csv", "out.csv", shard_rows=2)
    lines = (tmp_path / "out.csv").read_text().splitlines()
    assert (lines[0], lines[7]) == ("n,text,predicted_label,probability,decision", '7,"xxxxxxx,",three,0.58,accepted')
    assert summary.notes == ("in.csv: read with semicolons between its cells",)
