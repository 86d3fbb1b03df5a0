"""Where a label came from, and whether it comes out again."""

from pathlib import Path

import pytest
from fake_model import FAKE_MODELS

from textlstm.config import LabelConfig
from textlstm.errors import InputError, IntegrityError
from textlstm.labelling.job import label_files
from textlstm.labelling.trace import replay_row, trace_row


@pytest.fixture
def labelled(tmp_path: Path, run) -> Path:
    """Two inputs of five rows, the second row of each rejected, in shards of three."""
    for name in ("a", "b"):
        rows = [f'{{"text": "{name} {n}"}}' if n != 1 else '{"text": 7}' for n in range(5)]
        (tmp_path / f"{name}.jsonl").write_text("\n".join(rows) + "\n")
    run(["a.jsonl", "b.jsonl"], "out.jsonl", top_k=1)
    return tmp_path / "out.jsonl"


@pytest.mark.parametrize(
    ("row", "file", "input_row", "shard"),
    [(1, "a", 1, 0), (2, "a", 3, 0), (4, "a", 5, 1), (5, "b", 1, 2), (8, "b", 5, 3)],
)
def test_rows_are_traced_past_rejected_ones(labelled: Path, row: int, file: str, input_row: int, shard: int) -> None:
    trace = trace_row(str(labelled), row)
    assert (trace.input, trace.input_row, trace.shard) == (str(labelled.parent / f"{file}.jsonl"), input_row, shard)


def test_a_trace_names_model_run_and_versions(labelled: Path) -> None:
    lines = trace_row(str(labelled), 2).lines()
    assert lines[:7] == [
        f"{labelled}:2 comes from {labelled.parent}/a.jsonl:3 (shard 0)",
        "  predicted_label: even",
        "  probability: 0.53",
        "  decision: abstained",
        "  predicted_label_1: even",
        "  probability_1: 0.53",
        f"model: {labelled.parent}/model, sha256 fake-1",
    ]
    assert lines[7] == "  run_id: run-7"


@pytest.mark.parametrize("row", range(1, 9))
def test_replay_confirms_every_row(labelled: Path, row: int) -> None:
    assert replay_row(str(labelled), row, models=FAKE_MODELS).differences == ()


@pytest.mark.parametrize(
    ("name", "settings"), [("in.csv.gz", {}), ("in.parquet", {}), ("in.csv", {"encoding": "utf-16"})]
)
def test_replay_reads_packed_binary_and_wide_inputs(tmp_path: Path, run, name: str, settings: dict[str, str]) -> None:
    import gzip

    import pyarrow as pa
    import pyarrow.parquet as pq

    path = tmp_path / name
    if name.endswith(".gz"):
        path.write_bytes(gzip.compress(b"text\nfour\nfive!\n"))
    elif name.endswith(".parquet"):
        pq.write_table(pa.table({"text": ["four", "five!"]}), path)
    else:
        path.write_bytes("text\nfour\nfive!\n".encode("utf-16"))
    run(name, "out.jsonl", **settings)
    replay = replay_row(str(tmp_path / "out.jsonl"), 2, models=FAKE_MODELS)
    assert replay.lines() == [
        f"{tmp_path}/out.jsonl:2: the same again: predicted_label three, probability 0.55, decision accepted"
    ]


def test_replay_sees_a_label_that_is_not_the_models(labelled: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Negative control: a model that answers otherwise is seen."""
    from fake_model import FakeClassifier

    monkeypatch.setattr(FakeClassifier, "labels", ("odd", "even", "three"))
    replay = replay_row(str(labelled), 2, models=FAKE_MODELS)
    assert replay.differences == (f"{labelled}:2: predicted_label_1 was 'even', now it is 'odd'",)


@pytest.mark.parametrize(
    ("row", "message"),
    [(0, "{out}: has no row 0; its rows are 1 to 8"), (9, "{out}: has no row 9; its rows are 1 to 8")],
)
def test_rows_that_are_not_there_are_refused(labelled: Path, row: int, message: str) -> None:
    with pytest.raises(InputError) as refused:
        trace_row(str(labelled), row)
    assert refused.value.problems == (message.format(out=labelled),)


def test_changed_outputs_inputs_and_models_are_refused(labelled: Path) -> None:
    sound = labelled.read_bytes()
    labelled.write_bytes(sound.replace(b"even", b"oven", 1))
    with pytest.raises(IntegrityError, match="was changed after it was labelled"):
        trace_row(str(labelled), 1)
    labelled.write_bytes(sound)
    (labelled.parent / "model" / "digest").write_text("fake-2")
    with pytest.raises(IntegrityError, match="is not the model that labelled"):
        replay_row(str(labelled), 1, models=FAKE_MODELS)
    (labelled.parent / "model" / "digest").write_text("fake-1")
    (labelled.parent / "a.jsonl").write_text('{"text": "other"}\n')
    with pytest.raises(InputError, match="changed since it was labelled"):
        replay_row(str(labelled), 1, models=FAKE_MODELS)
    assert replay_row(str(labelled), 5, models=FAKE_MODELS).differences == ()


def test_every_byte_of_the_manifest_is_checked(labelled: Path) -> None:
    path = Path(f"{labelled}.manifest.json")
    sound = path.read_bytes()
    for place in range(0, len(sound), len(sound) // 60):
        path.write_bytes(sound[:place] + bytes([sound[place] ^ 2]) + sound[place + 1 :])
        with pytest.raises(IntegrityError):
            trace_row(str(labelled), 1)
    path.write_bytes(sound)
    assert trace_row(str(labelled), 1).row == 1


def test_a_file_without_manifest_is_refused(tmp_path: Path) -> None:
    (tmp_path / "in.csv").write_text("text\na\n")
    with pytest.raises(InputError) as refused:
        trace_row(str(tmp_path / "in.csv"), 1)
    assert refused.value.problems == (
        f"{tmp_path}/in.csv: has no {tmp_path}/in.csv.manifest.json; only files that `textlstm label` wrote can be traced",
    )


def test_rows_of_a_moved_project_folder_are_replayed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    old = tmp_path / "old"
    (old / "model").mkdir(parents=True)
    (old / "in.csv").write_text("text\nab\n")
    monkeypatch.chdir(old)
    label_files(LabelConfig(model_dir="model", input=["in.csv"], output="out.csv"), models=FAKE_MODELS)
    monkeypatch.chdir(tmp_path)
    monkeypatch.chdir(old.rename(tmp_path / "new"))
    assert replay_row("out.csv", 1, models=FAKE_MODELS).differences == ()
    # Negative control: other rows under the same name are not taken for those that were labelled.
    Path("in.csv").write_text("text\nxy\n")
    with pytest.raises(InputError, match="changed since it was labelled"):
        replay_row("out.csv", 1, models=FAKE_MODELS)
