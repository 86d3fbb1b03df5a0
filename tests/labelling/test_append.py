"""`labelling.append=true`: what was labelled keeps its labels, and the output is that of labelling everything anew."""

import gzip
import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import count
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from fake_model import FAKE_MODELS, FAKE_MULTI_LABEL_MODELS, FakeClassifier
from io_faults import faulty_store, kill_at, raise_at
from test_kills import check_absent_or_complete, run_in_child

from textlstm.config import LabelConfig, LabellingConfig
from textlstm.corpus.rows.lines import RowStart
from textlstm.errors import ConfigError, InputError, IntegrityError, StorageError
from textlstm.labelling import planning
from textlstm.labelling.earlier import output as earlier_output
from textlstm.labelling.engines import start as start_module
from textlstm.labelling.folder import label_each
from textlstm.labelling.job import label_files
from textlstm.labelling.manifest import Manifest
from textlstm.labelling.trace import replay_row, trace_row
from textlstm.storage.stores import LocalStore

FORMATS = ("csv", "csv.gz", "jsonl", "parquet")
DAY_1 = [f"row {n}" if n % 7 else f'row "{n}",\nquoted' for n in range(20)]
DAY_2 = [*DAY_1, "a new row", "and one more", ""]


def write(path: Path, texts: Sequence[str]) -> None:
    ids = [f"{len(text):03}" for text in texts]
    if path.suffix == ".parquet":
        pq.write_table(pa.table({"id": ids, "text": list(texts)}), path)
    elif path.suffix == ".jsonl":
        path.write_text(
            "".join(json.dumps({"id": row, "text": text}) + "\n" for row, text in zip(ids, texts, strict=True))
        )
    else:
        quoted = ['"' + text.replace('"', '""') + '"' for text in texts]
        content = "id,text\n" + "".join(f"{row},{text}\n" for row, text in zip(ids, quoted, strict=True))
        path.write_bytes(gzip.compress(content.encode()) if path.suffix == ".gz" else content.encode())


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The texts that the model has been asked about."""
    texts: list[str] = []
    predict = FakeClassifier.predict_proba

    def note(self: FakeClassifier, given: Sequence[str]) -> np.ndarray:
        texts.extend(given)
        return predict(self, given)

    monkeypatch.setattr(FakeClassifier, "predict_proba", note)
    return texts


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize(
    ("texts", "new"),
    [
        (DAY_2, ["a new row", "and one more", ""]),
        (["first of all", *DAY_1], ["first of all"]),
        ([*DAY_1[:3], "changed", *DAY_1[4:11], *DAY_1[12:]], ["changed"]),
        (DAY_1[::-1], []),
        (DAY_1, []),
    ],
    ids=["grown", "at the front", "changed and removed", "another order", "nothing new"],
)
def test_only_new_texts_are_labelled_and_the_bytes_are_those_of_labelling_all(
    tmp_path: Path, run, asked: list[str], format: str, texts: list[str], new: list[str]
) -> None:
    write(tmp_path / f"in.{format}", DAY_1)
    run(f"in.{format}", f"out.{format}", append=True)  # there is no output yet: everything is labelled
    assert sorted(asked) == sorted(DAY_1)
    asked.clear()
    write(tmp_path / f"in.{format}", texts)
    summary = run(f"in.{format}", f"out.{format}", append=True)
    assert asked == new
    assert (summary.num_rows, summary.num_kept, summary.num_here) == (len(texts), len(texts) - len(new), len(new))
    anew = run(f"in.{format}", f"anew.{format}")
    assert (tmp_path / f"out.{format}").read_bytes() == (tmp_path / f"anew.{format}").read_bytes()
    assert (summary.labels, summary.decisions) == (anew.labels, anew.decisions)
    assert summary.mean_confidence == pytest.approx(anew.mean_confidence)
    assert not (tmp_path / f"out.{format}.work").exists()


def test_parts_of_a_grown_file_are_taken_as_they_are(tmp_path: Path, run, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path / "in.csv", DAY_1)
    run("in.csv", "out.csv")
    looked_up: list[str] = []
    find = earlier_output.EarlierOutput.known_rows

    def note(*arguments: object) -> object:
        for text, row in find(*arguments):  # type: ignore[arg-type]
            looked_up.append(text)
            yield text, row

    monkeypatch.setattr(earlier_output.EarlierOutput, "known_rows", note)
    write(tmp_path / "in.csv", DAY_2)
    run("in.csv", "out.csv", append=True)
    # Shards have three rows here; only the last one of the old file is read again.
    assert looked_up == DAY_1[18:]


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("shard_rows", [3, 4])
def test_the_plan_of_a_grown_file_is_that_of_reading_all_of_it(
    tmp_path: Path, run, monkeypatch: pytest.MonkeyPatch, format: str, shard_rows: int
) -> None:
    begins: list[int] = []
    index = planning.index_rows

    def note(path: Path, *arguments: object, start: RowStart | None = None, **settings: object) -> object:
        begins.append(1 if start is None else start.number)
        return index(path, *arguments, start=start, **settings)  # type: ignore[arg-type]

    monkeypatch.setattr(planning, "index_rows", note)
    write(tmp_path / f"in.{format}", DAY_1)
    run(f"in.{format}", f"out.{format}")
    write(tmp_path / f"in.{format}", DAY_2)
    run(f"in.{format}", f"anew.{format}", shard_rows=shard_rows)
    begins.clear()
    run(f"in.{format}", f"out.{format}", append=True, shard_rows=shard_rows)
    # Row 19 begins the last shard of three rows; shards of four begin at rows of which the manifest does not tell.
    can_seek = format in ("csv", "jsonl")
    assert begins == ([19] if can_seek and shard_rows == 3 else [13, 1] if can_seek else [1])
    plans = [
        [shard[:4] for shard in Manifest.from_json((tmp_path / name).read_bytes(), address="").shards]
        for name in (f"out.{format}.manifest.json", f"anew.{format}.manifest.json")
    ]
    assert plans[0] == plans[1]


def test_few_rows_that_are_left_need_no_worker(tmp_path: Path, run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(start_module, "INLINE_BYTES", 0)
    monkeypatch.setattr(start_module, "INLINE_ROWS", 5)
    prepared: list[bool] = []
    models = replace(
        FAKE_MODELS,
        load=lambda directory, settings, many_texts: prepared.append(many_texts) or FakeClassifier(),
    )
    write(tmp_path / "in.csv", DAY_1)
    run("in.csv", "out.csv", num_workers=2, models=models)
    assert prepared == []  # two worker processes loaded the model
    write(tmp_path / "in.csv", DAY_2)
    assert run("in.csv", "out.csv", append=True, num_workers=2, models=models).num_workers == 1
    # Prepared for many texts as in workers, since the last bits of a probability depend on that.
    assert prepared == [True]
    assert run("in.csv", "out.csv", append=True, num_workers=2, models=models).num_here == 0
    assert prepared == [True]  # with nothing to label, no model is loaded
    write(tmp_path / "in.csv", [*DAY_2, *(f"even newer {n}" for n in range(9))])
    assert run("in.csv", "out.csv", append=True, num_workers=2, models=models).num_workers == 2
    assert prepared == [True]


@pytest.mark.parametrize(
    "settings",
    [
        {"top_k": 2, "all_probabilities": True, "explanation": True},
        {"decimal_comma": True, "delimiter": ";"},
        {"source_column": "source", "empty_label": "none", "abstain_label": "unsure"},
        {"excel_safe": True},
    ],
    ids=lambda settings: next(iter(settings)),
)
def test_every_added_column_is_kept(tmp_path: Path, run, settings: dict[str, object]) -> None:
    texts = [*DAY_1, "=1+2", "'=1+2", ""]
    # A first row more, so that no part stays as it is.
    for name, rows in (("in.csv", texts), ("again.csv", ["new", *texts])):
        mark = settings.get("delimiter", ",")
        quoted = "".join(f'{len(text)}{mark}"{text.replace(chr(34), chr(34) * 2)}"\n' for text in rows)
        (tmp_path / name).write_text(f"id{mark}text\n{quoted}")
    run("in.csv", "out.csv", **settings)
    (tmp_path / "again.csv").replace(tmp_path / "in.csv")
    assert run("in.csv", "out.csv", append=True, **settings).num_kept >= len(texts) - 2
    run("in.csv", "anew.csv", **settings)
    assert (tmp_path / "out.csv").read_bytes() == (tmp_path / "anew.csv").read_bytes()


@pytest.mark.parametrize("format", ["csv", "jsonl", "parquet"])
def test_lists_of_labels_are_kept(tmp_path: Path, run, format: str) -> None:
    texts = ["a b", "c", "none of them: x", ""]
    write(tmp_path / f"in.{format}", texts)
    run(f"in.{format}", f"out.{format}", models=FAKE_MULTI_LABEL_MODELS)
    write(tmp_path / f"in.{format}", ["abc", *texts])
    summary = run(f"in.{format}", f"out.{format}", append=True, models=FAKE_MULTI_LABEL_MODELS)
    anew = run(f"in.{format}", f"anew.{format}", models=FAKE_MULTI_LABEL_MODELS)
    assert summary.num_kept == 4
    assert summary.labels == anew.labels
    assert (tmp_path / f"out.{format}").read_bytes() == (tmp_path / f"anew.{format}").read_bytes()


def test_more_inputs_and_rejected_rows(tmp_path: Path, run, asked: list[str]) -> None:
    bad = '{"text": 7}\n'
    (tmp_path / "a.jsonl").write_text(bad + '{"text": "one"}\n{"text": "two"}\n{"text": "three"}\n')
    run("a.jsonl", "out.jsonl")
    (tmp_path / "b.jsonl").write_text('{"text": "two"}\n{"text": "four"}\n' + bad)
    asked.clear()
    summary = run(["b.jsonl", "a.jsonl"], "out.jsonl", append=True)
    assert (asked, summary.num_rejects, summary.num_here) == (["four"], 2, 3)
    run(["b.jsonl", "a.jsonl"], "anew.jsonl")
    for ending in ("", ".rejects.jsonl"):
        assert (tmp_path / f"out.jsonl{ending}").read_bytes() == (tmp_path / f"anew.jsonl{ending}").read_bytes()


def test_a_trace_follows_the_chain(tmp_path: Path, run) -> None:
    days = (["one", "two"], ["one", "two", "three"], ["zero", "one", "two", "three"])
    for texts in days:
        write(tmp_path / "in.csv", texts)
        run("in.csv", "out.csv", append=True)
    manifest = Manifest.from_json((tmp_path / "out.csv.manifest.json").read_bytes(), address="")
    assert [[source["num_bytes"] for source in job["inputs"]] for job in manifest.earlier] == [[40], [28]]
    jobs = [trace_row(str(tmp_path / "out.csv"), row).job for row in (1, 2, 3, 4)]
    assert jobs == [0, 2, 2, 1]
    first, second = (trace_row(str(tmp_path / "out.csv"), row).lines() for row in (1, 2))
    assert first[-1].endswith(manifest.machine["platform"])
    assert second[-2].endswith(f", and kept since, last on {manifest.finished}")
    assert second[-1] == f"  its manifest then: sha256 {manifest.earlier[1]['manifest_sha256']}"
    assert replay_row(str(tmp_path / "out.csv"), 2, models=FAKE_MODELS).differences == ()
    # Jobs of which no row is left are forgotten, but for the last one.
    write(tmp_path / "in.csv", ["zero"])
    run("in.csv", "out.csv", append=True)
    manifest = Manifest.from_json((tmp_path / "out.csv.manifest.json").read_bytes(), address="")
    assert (len(manifest.earlier), manifest.parts[0]["jobs"]) == (1, [[1, 1]])


def test_outputs_of_earlier_versions_are_kept_by_their_rows(tmp_path: Path, run, asked: list[str]) -> None:
    write(tmp_path / "in.csv", DAY_1)
    run("in.csv", "out.csv")
    path = tmp_path / "out.csv.manifest.json"
    path.write_bytes(replace(Manifest.from_json(path.read_bytes(), address=""), parts=[]).to_json())
    write(tmp_path / "in.csv", DAY_2)
    asked.clear()
    assert run("in.csv", "out.csv", append=True).num_kept == 20
    assert asked == DAY_2[20:]


def test_what_cannot_be_kept_is_refused(tmp_path: Path, run, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path / "in.csv", DAY_1)
    run("in.csv", "out.csv")
    before = (tmp_path / "out.csv").read_bytes()

    def refusal(**settings: object) -> str:
        with pytest.raises((InputError, IntegrityError, ConfigError)) as refused:
            run("in.csv", settings.pop("output", "out.csv"), append=True, **settings)
        assert (tmp_path / "out.csv").exists()
        assert not (tmp_path / "out.csv.work").exists()
        return refused.value.problems[0]

    assert refusal(top_k=1) == (
        f"{tmp_path}/out.csv: was labelled with labelling.top_k=0; set that again to keep its labels, or label "
        "everything anew with overwrite=true"
    )
    assert refusal(output="-") == "labelling.append=true needs a file as output, whose labels can be kept; name one"
    with monkeypatch.context() as patch:
        patch.setattr(FakeClassifier, "labels", ("odd", "even", "three"))
        (tmp_path / "model" / "digest").write_text("fake-2")
        assert refusal() == (
            f"{tmp_path}/out.csv: was labelled by another model, {tmp_path}/model of "
            f"{json.loads((tmp_path / 'out.csv.manifest.json').read_text())['finished'][:10]}; of 20 rows looked at, "
            "0 (0.0%) get another label now. Label everything anew with overwrite=true, or keep to the earlier model "
            "with model_dir"
        )
        predict = FakeClassifier.predict_proba
        patch.setattr(FakeClassifier, "predict_proba", lambda self, texts: np.roll(predict(self, texts), 1, axis=1))
        assert "of 20 rows looked at, 20 (100.0%) get another label now." in refusal()
    (tmp_path / "model" / "digest").write_text("fake-1")
    (tmp_path / "out.csv").write_bytes(before.replace(b"even", b"oven", 1))
    assert refusal() == (
        f"{tmp_path}/out.csv: was changed after it was labelled, so that its labels cannot be kept; bring it back, or "
        "label everything anew with overwrite=true"
    )
    (tmp_path / "out.csv").write_bytes(before)
    assert run("in.csv", "out.csv", append=True).num_kept == 20  # negative control
    run("in.csv", "bare.csv", decision_name="")
    assert "bare.csv: has no column of decisions" in refusal(output="bare.csv", decision_name="")
    write(tmp_path / "other.csv", DAY_1)
    assert "other.csv: has no " in refusal(output="other.csv")


def test_each_output_of_a_folder_keeps_its_labels(tmp_path: Path, asked: list[str]) -> None:
    for folder in ("model", "in"):
        (tmp_path / folder).mkdir()
    for name in ("a.csv", "b.csv"):
        write(tmp_path / "in" / name, DAY_1)
    config = LabelConfig(
        model_dir=str(tmp_path / "model"),
        input=[str(tmp_path / "in")],
        output=f"{tmp_path / 'out'}/",
        labelling=LabellingConfig(append=True),
    )
    assert len(list(label_each(config, models=FAKE_MODELS))) == 2
    write(tmp_path / "in" / "b.csv", DAY_2)
    asked.clear()
    [summary] = label_each(config, models=FAKE_MODELS)
    assert (asked, summary.num_kept) == (DAY_2[20:], 20)


# Kills: the output is the earlier one or the complete new one, and the same command comes to the bytes of a calm job.


class Appended:
    """An append that is killed again and again."""

    def __init__(self, directory: Path, run: Callable[..., object], format: str, *, num_rows: int = 20) -> None:
        self._run = run
        self._name = f"in.{format}"
        self._wild, self._calm = directory / f"wild.{format}", directory / f"calm.{format}"
        texts = [f"row {n}\nof it" for n in range(num_rows)]
        write(directory / self._name, texts)
        run(self._name, self._wild.name)
        self.before = self._wild.read_bytes()
        # In front, in the middle and at the end: parts stay, rows are looked up, rows are labelled.
        write(directory / self._name, [*texts[: num_rows // 2], "new", *texts[num_rows // 2 :], "newer"])
        run(self._name, self._calm.name)
        self.num_kills = 0

    def attempt(self, at: int, **where: str) -> bool:
        """Run once, killed at operation `at`; say whether it came to its end."""

        def append(name: str, output: str) -> None:
            self._run(name, output, append=True)

        finished = run_in_child(append, self._name, self._wild.name, kill_at(at, **where))
        self.num_kills += not finished
        if self._wild.read_bytes() != self.before:
            check_absent_or_complete(self._wild, self._calm.read_bytes())
        return finished

    def check_finished(self) -> None:
        assert self._wild.read_bytes() == self._calm.read_bytes()
        assert not Path(f"{self._wild}.work").exists()
        trace_row(str(self._wild), 1)  # output and manifest belong together


@pytest.mark.parametrize("format", ["csv", *(pytest.param(name, marks=pytest.mark.long) for name in FORMATS[1:])])
def test_an_append_killed_at_every_operation(tmp_path: Path, run, format: str) -> None:
    job = Appended(tmp_path, run, format, num_rows=8)
    for at in count(1):
        if job.attempt(at):
            break
    job.check_finished()
    assert job.num_kills > 12


@pytest.mark.parametrize("ending", [".manifest.json", "wild.csv"])
def test_an_append_killed_before_each_rename_of_its_last_step(tmp_path: Path, run, ending: str) -> None:
    job = Appended(tmp_path, run, "csv")
    assert not job.attempt(1, operation="replace", ending=f"wild.csv{'' if ending == 'wild.csv' else ending}")
    assert job.attempt(10**9)
    job.check_finished()


def test_the_check_sees_a_store_without_a_copy(tmp_path: Path, run, monkeypatch: pytest.MonkeyPatch) -> None:
    """Negative control: without the copy, a kill between manifest and output leaves nothing to go on from."""
    monkeypatch.setattr(LocalStore, "copy", lambda *_, **__: None)
    monkeypatch.setattr(earlier_output, "local_path", lambda _: tmp_path / "wild.csv")
    original = LocalStore.open
    monkeypatch.setattr(
        LocalStore,
        "open",
        lambda self, name: original(
            self, name.replace("wild.csv.work/earlier/manifest.json", "wild.csv.manifest.json")
        ),
    )
    exists = LocalStore.exists
    monkeypatch.setattr(
        LocalStore,
        "exists",
        lambda self, name: exists(self, name.replace("wild.csv.work/earlier/manifest.json", "wild.csv.manifest.json")),
    )
    job = Appended(tmp_path, run, "csv")
    assert not job.attempt(1, operation="replace", ending="wild.csv")
    with pytest.raises(AssertionError, match="the job ended with 7"):
        job.attempt(10**9)


@pytest.mark.long
@pytest.mark.parametrize("format", FORMATS)
def test_a_hundred_kills_of_an_append(tmp_path: Path, run, format: str) -> None:
    import random

    job = Appended(tmp_path, run, format, num_rows=1800)
    draw = random.Random(9)
    while not job.attempt(draw.randint(1, 90) if job.num_kills < 100 else 10**9):
        pass
    job.check_finished()
    assert job.num_kills == 100


def test_an_unfinished_append_begins_anew_with_an_input_that_grew_further(
    tmp_path: Path, run, asked: list[str]
) -> None:
    write(tmp_path / "in.csv", DAY_1)
    run("in.csv", "out.csv")
    write(tmp_path / "in.csv", DAY_2)
    with pytest.raises(StorageError), faulty_store(raise_at(24, 28)):
        run("in.csv", "out.csv", append=True)
    assert (tmp_path / "out.csv.work").exists()
    write(tmp_path / "in.csv", [*DAY_2, "the day after"])
    asked.clear()
    assert run("in.csv", "out.csv", append=True).num_kept == 20
    assert asked == [*DAY_2[20:], "the day after"]
    run("in.csv", "anew.csv")
    assert (tmp_path / "out.csv").read_bytes() == (tmp_path / "anew.csv").read_bytes()


def test_an_interrupted_job_that_keeps_nothing_goes_on_with_append(tmp_path: Path, run) -> None:
    write(tmp_path / "in.csv", DAY_1)
    with pytest.raises(StorageError), faulty_store(raise_at(40, 28)):
        run("in.csv", "out.csv")
    assert run("in.csv", "out.csv", append=True).num_continued > 0


def test_the_real_command_keeps_labels(tmp_path: Path, tiny_model: Path) -> None:
    texts = [f"the goal of the match {n}" for n in range(30)]
    write(tmp_path / "in.csv", texts)
    config = LabelConfig(
        model_dir=str(tiny_model),
        input=[str(tmp_path / "in.csv")],
        output=str(tmp_path / "out.csv"),
        labelling=LabellingConfig(append=True, shard_rows=5),
    )
    label_files(config)
    write(tmp_path / "in.csv", ["a new row", *texts, "bank profit"])
    assert label_files(config).num_kept == 30
    label_files(replace(config, output=str(tmp_path / "anew.csv")))
    assert (tmp_path / "out.csv").read_bytes() == (tmp_path / "anew.csv").read_bytes()
