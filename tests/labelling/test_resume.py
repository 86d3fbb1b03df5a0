"""What the same command goes on from, and what it refuses to mix."""

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from fake_model import FAKE_MODELS
from io_faults import faulty_store, raise_at

from textlstm.config import LabelConfig, LabellingConfig
from textlstm.errors import InputError, IntegrityError, Interrupted, StorageError
from textlstm.labelling import job
from textlstm.labelling.job import label_files
from textlstm.labelling.journal import Journal
from textlstm.storage.locks import OutputLock


@pytest.fixture
def unfinished(tmp_path: Path, run) -> Path:
    """A job of four shards that failed in its third."""
    (tmp_path / "in.csv").write_text("text\n" + "".join(f"row {n}\n" for n in range(12)))
    with pytest.raises(StorageError), faulty_store(raise_at(30, 28)):
        run("in.csv", "out.csv")
    assert len(list((tmp_path / "out.csv.work").glob("*/*.done"))) == 2
    return tmp_path


def test_finished_shards_are_not_done_again(unfinished: Path, run) -> None:
    summary = run("in.csv", "out.csv")
    assert (summary.num_rows, summary.num_continued) == (12, 6)
    assert summary.lines()[0].startswith(f"labelled 12 rows into {unfinished}/out.csv, 6 of them by this run in ")
    assert summary.rows_per_second == pytest.approx(6 / summary.seconds)
    assert summary.lines()[1] == "continued: 6 rows were done by an earlier run"
    run("in.csv", "calm.csv")
    assert (unfinished / "out.csv").read_bytes() == (unfinished / "calm.csv").read_bytes()


def test_an_interrupted_job_says_what_is_kept_and_how_to_go_on(tmp_path: Path, run) -> None:
    (tmp_path / "in.csv").write_text("text\n" + "".join(f"row {n}\n" for n in range(12)))
    finished = 0

    def count(original: Callable[..., object]) -> Callable[..., object]:
        def finish(*arguments: object, **settings: object) -> object:
            nonlocal finished
            original(*arguments, **settings)
            finished += 1
            if finished == 3:
                raise Interrupted(15, "interrupted")

        return finish

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Journal, "finish", count(Journal.finish))
        with pytest.raises(Interrupted) as stopped:
            run("in.csv", "out.csv")
    assert stopped.value.problems == ("interrupted: 9 of 12 rows are kept; the same command goes on",)
    assert stopped.value.exit_code == 143
    assert run("in.csv", "out.csv").num_continued == 9


def test_another_number_of_workers_goes_on(unfinished: Path, run) -> None:
    assert run("in.csv", "out.csv", num_workers=7, max_reject_fraction=0.4).num_continued == 6


@pytest.mark.parametrize(
    ("change", "named"),
    [("input", "input"), ("model", "model"), ("setting", "settings"), ("input and model", "input and model")],
)
def test_changes_are_refused_unless_overwritten(unfinished: Path, run, change: str, named: str) -> None:
    settings: dict[str, object] = {"empty_label": "none"} if change == "setting" else {}
    if "input" in change:
        with (unfinished / "in.csv").open("a") as stream:
            stream.write("one more\n")
    if "model" in change:
        (unfinished / "model" / "digest").write_text("fake-2")
    with pytest.raises(InputError) as refused:
        run("in.csv", "out.csv", **settings)
    assert refused.value.problems == (
        f"{unfinished}/out.csv: an unfinished job is in out.csv.work, and since then changed: {named}; "
        "finish it with what it began with, or start anew with overwrite=true",
    )
    assert run("in.csv", "out.csv", overwrite=True, **settings).num_continued == 0
    assert not (unfinished / "out.csv.work").exists()


def test_an_input_replaced_at_equal_size_and_time_is_seen(unfinished: Path, run) -> None:
    path = unfinished / "in.csv"
    status = path.stat()
    path.write_text(path.read_text().replace("row 1\n", "row X\n"))
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    with pytest.raises(InputError, match="since then changed: input;"):
        run("in.csv", "out.csv")


def test_an_input_that_changes_during_the_job_gives_no_output(
    tmp_path: Path, run, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "in.csv").write_text("text\na\n")

    def check_then_change(plan: object) -> None:
        (tmp_path / "in.csv").write_text("text\nb\n")
        commit_check(plan)

    commit_check = job._check_inputs
    monkeypatch.setattr(job, "_check_inputs", check_then_change)
    with pytest.raises(InputError) as refused:
        run("in.csv", "out.csv")
    assert refused.value.problems == (
        f"{tmp_path}/in.csv: changed while it was labelled; run the same command with overwrite=true",
    )
    assert not (tmp_path / "out.csv").exists()


def test_a_kill_between_rename_and_tidying_is_tidied(tmp_path: Path, run, monkeypatch: pytest.MonkeyPatch) -> None:
    from textlstm.storage.stores import LocalStore

    (tmp_path / "in.csv").write_text("text\na\n")
    with monkeypatch.context() as patch:
        patch.setattr(LocalStore, "remove_folder", lambda self, folder: None)
        run("in.csv", "out.csv")
    assert (tmp_path / "out.csv.work").exists()
    before = (tmp_path / "out.csv").read_bytes()
    assert run("in.csv", "out.csv").num_continued == 1
    assert (tmp_path / "out.csv").read_bytes() == before
    assert not (tmp_path / "out.csv.work").exists()
    with pytest.raises(InputError, match=r"out\.csv: exists; choose another output or set overwrite=true"):
        run("in.csv", "out.csv")


def test_two_commands_on_one_output_do_not_mix(tmp_path: Path, run, monkeypatch: pytest.MonkeyPatch) -> None:
    from textlstm.storage import locks

    (tmp_path / "in.csv").write_text("text\na\n")
    monkeypatch.setattr(locks, "PATIENCE_SECONDS", 0.2)
    other = OutputLock(tmp_path / "out.csv.work", output="out.csv")
    with pytest.raises(InputError) as refused:
        run("in.csv", "out.csv")
    assert refused.value.problems == (
        f"{tmp_path}/out.csv: another textlstm is labelling into it; wait for it, or choose another output",
    )
    other.release()
    assert run("in.csv", "out.csv").num_rows == 1


def test_every_bit_of_plan_records_and_parts_is_checked(unfinished: Path, run) -> None:
    """F5 in small: one flipped bit in each byte of every file of the work folder."""
    work = unfinished / "out.csv.work"
    files = [path for path in work.rglob("*") if path.is_file() and path.name not in ("lock",)]
    assert sorted(path.suffix for path in files) == [".done", ".done", ".json", ".part", ".part"]
    for path in files:
        sound = path.read_bytes()
        for place in range(0, len(sound), max(1, len(sound) // 12)):
            path.write_bytes(sound[:place] + bytes([sound[place] ^ 4]) + sound[place + 1 :])
            with pytest.raises(IntegrityError) as refused:
                run("in.csv", "out.csv")
            assert refused.value.exit_code == 3
            assert str(path) in refused.value.problems[0]
            assert not (unfinished / "out.csv").exists()
        path.write_bytes(sound)
    assert run("in.csv", "out.csv").num_rows == 12


def test_a_sound_work_folder_is_not_refused(unfinished: Path, run) -> None:
    """Negative control of the test above: nothing flipped, nothing refused."""
    assert run("in.csv", "out.csv").num_continued == 6


@pytest.mark.long
def test_five_hundred_flips_and_fifty_truncations_are_refused(unfinished: Path, run) -> None:
    import random

    draw = random.Random(3)
    files = [path for path in (unfinished / "out.csv.work").rglob("*") if path.is_file() and path.name != "lock"]
    for path in files:
        sound = path.read_bytes()
        for change in range(550):
            if change < 500:
                place = draw.randrange(len(sound))
                broken = sound[:place] + bytes([sound[place] ^ (1 << draw.randrange(8))]) + sound[place + 1 :]
            else:
                broken = sound[: draw.randrange(len(sound))]
            path.write_bytes(broken)
            with pytest.raises(IntegrityError):
                run("in.csv", "out.csv")
        path.write_bytes(sound)
    assert run("in.csv", "out.csv").num_rows == 12


def test_the_manifest_names_everything_behind_the_labels(tmp_path: Path, run) -> None:
    (tmp_path / "in.csv").write_text("text\na\n")
    run("in.csv", "out.csv")
    manifest = json.loads((tmp_path / "out.csv.manifest.json").read_text())
    assert manifest["model"]["digest"] == "fake-1"
    assert manifest["model"]["provenance"] == {"run_id": "run-7"}
    assert manifest["inputs"][0]["sha256"] == "ef271522dd0a16c1b66bcbadc17474307a88dea874019dc4146b4789a09a8c2d"
    assert manifest["output"]["num_rows"] == 1
    assert manifest["config"]["labelling"]["shard_rows"] == 3
    assert set(manifest["libraries"]) >= {"torch", "spacy", "numpy"}
    assert manifest["shards"] == [[0, 1, 1, 5, 1, 0]]


def test_text_goes_nowhere_but_into_the_output(tmp_path: Path, run) -> None:
    """No text in rejects and manifest; negative control: the output has it."""
    (tmp_path / "in.jsonl").write_text('{"text": "canary one"}\n{"text": ["canary two"]}\n{"text": "canary \xff"\n')
    run("in.jsonl", "out.jsonl", max_reject_fraction=0.9)
    assert b"canary" in (tmp_path / "out.jsonl").read_bytes()
    assert b"canary" not in (tmp_path / "out.jsonl.rejects.jsonl").read_bytes()
    assert b"canary" not in (tmp_path / "out.jsonl.manifest.json").read_bytes()


def test_the_same_job_through_the_library_twice(tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    (tmp_path / "in.csv").write_text("text\na\n")
    config = LabelConfig(
        model_dir="models:/textlstm@champion",
        input=[str(tmp_path / "in.csv")],
        output=str(tmp_path / "out.csv"),
        labelling=LabellingConfig(),
    )
    summary = label_files(config, model_dir=tmp_path / "model", models=FAKE_MODELS)
    assert summary.num_rows == 1
    assert json.loads(Path(summary.manifest).read_text())["model"]["address"] == "models:/textlstm@champion"
