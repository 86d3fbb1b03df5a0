"""`prepare_corpus` from files: what is stored, what is refused, what is reused."""

import gzip
import json
import os
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from textlstm.config import DataConfig, DataSource, FileFormat, RareLabel, Task, TextConfig
from textlstm.corpus.preparation.corpus_folder import CARD, CARD_PAGE, CORPUS, MANIFEST, REJECTS, load_corpus
from textlstm.corpus.preparation.prepare import Phase, Progress, prepare_corpus, prepare_labelled_files
from textlstm.corpus.prepared import PreparedCorpus
from textlstm.corpus.rows.inputs import kept_copy
from textlstm.errors import InputError, IntegrityError

Prepare = Callable[..., PreparedCorpus]


def texts_of(corpus: PreparedCorpus) -> list[set[str]]:
    return [set(split.texts()) if split else set() for split in (corpus.train, corpus.validation, corpus.test)]


def test_given_files_become_splits_in_their_order(write, rows, prepare: Prepare) -> None:
    train, validation, test = rows(6), rows(3, word="valid"), rows(4, word="test")
    corpus = prepare(
        write("train.jsonl", train),
        validation=write("validation.jsonl", validation),
        test=write("test.jsonl", test),
    )
    assert corpus.train is not None
    assert corpus.validation is not None
    assert corpus.test is not None
    assert corpus.train.texts() == [text for text, _ in train]
    assert corpus.validation.table.column("labels").to_pylist() == [["even"], ["odd"], ["even"]]
    assert corpus.test.table.column("file").to_pylist() == ["test.jsonl"] * 4
    assert corpus.test.table.column("row").to_pylist() == [1, 2, 3, 4]
    assert corpus.test.ids() == ["1", "2", "3", "4"]
    assert (corpus.labels, corpus.task, corpus.reused, corpus.warnings) == (
        ("even", "odd"),
        Task.single_label,
        False,
        (),
    )
    assert sorted(path.name for path in corpus.directory.iterdir()) == sorted(
        [CARD, CARD_PAGE, CORPUS, MANIFEST, REJECTS, "test.arrow", "train.arrow", "validation.arrow"]
    )
    assert corpus.text_fingerprint.language == "en"
    assert corpus.text_fingerprint.has_pos is False
    assert set(corpus.timings) == {"reading", "tokenizing", "writing", "loading"}


def test_a_store_may_have_a_name_that_is_no_text(write, rows, tmp_path: Path, one_spacy: None) -> None:
    """A byte of a name that is no UTF-8, which Arrow does not take as text; found by random command 659."""
    data = DataConfig(source=DataSource.files, train=[write("train.jsonl", rows(40))])
    store = tmp_path / "\udcff"
    corpus = prepare_corpus(data, TextConfig(pos=False), prepared_dir=store, num_workers=1)
    assert corpus.train is not None
    assert len(corpus.train.texts()) == 29
    assert corpus.directory.parent == store


def test_missing_splits_are_taken_from_train(write, rows, prepare: Prepare) -> None:
    corpus = prepare(write("train.jsonl", rows(100)))
    parts = texts_of(corpus)
    assert [len(part) for part in parts] == [72, 8, 20]
    assert set.union(*parts) == {text for text, _ in rows(100)}


def test_split_does_not_depend_on_the_order_of_rows_and_files(write, rows, prepare: Prepare) -> None:
    forwards = prepare(write("all.jsonl", rows(60)))
    backwards = prepare([write("b.jsonl", rows(60)[:20:-1]), write("a.jsonl", rows(60)[20::-1])])
    assert texts_of(forwards) == texts_of(backwards)


def test_equal_texts_end_on_the_same_side(write, rows, prepare: Prepare) -> None:
    corpus = prepare(write("all.jsonl", rows(40) * 3), validation_fraction=0.3, test_fraction=0.3)
    train, validation, test = texts_of(corpus)
    assert train.isdisjoint(validation)
    assert (train | validation).isdisjoint(test)
    assert (len(train), len(validation), len(test)) == (20, 8, 12)


def test_no_test_rows_are_taken_where_their_part_is_zero(write, rows, prepare: Prepare) -> None:
    corpus = prepare(write("all.jsonl", rows(40)), test_fraction=0)
    assert corpus.test is None
    assert corpus.train is not None
    assert corpus.validation is not None
    assert (len(corpus.train), len(corpus.validation)) == (36, 4)


def test_another_split_seed_gives_another_split(write, rows, prepare: Prepare) -> None:
    path = write("all.jsonl", rows(60))
    assert texts_of(prepare(path, split_seed=1)) != texts_of(prepare(path, split_seed=2))


def test_tokens_are_stored_flat(write, prepare: Prepare) -> None:
    train = [("One two", "a"), ("", "a"), ("Three", "b"), ("four five SIX", "b"), ("One", "a")]
    corpus = prepare(
        write("train.jsonl", train),
        test=write("test.jsonl", [("one", "a"), ("x", "b")]),
        validation=write("v.jsonl", [("y", "a")]),
        max_reject_fraction=0.5,
    )
    assert corpus.train is not None
    assert corpus.train.flat_tokens().to_pylist() == ["one", "two", "three", "four", "five", "six", "one"]
    assert corpus.train.offsets().tolist() == [0, 2, 3, 6, 7]
    assert corpus.train.token_counts() == {"one": 2, "two": 1, "three": 1, "four": 1, "five": 1, "six": 1}
    assert corpus.train.tokenized().pos is None
    reject = json.loads((corpus.directory / REJECTS).read_text())
    assert (reject["file"], reject["row"]) == ("train.jsonl", 2)
    assert "1 row rejected; rejects.jsonl beside the data card says why" in corpus.warnings


def test_multi_label_rows_keep_all_labels(tmp_path: Path, prepare: Prepare) -> None:
    path = tmp_path / "train.jsonl"
    labels = [["a"], ["b", "a"], ["c"], ["a", "c"], [], ["b"]] * 5
    path.write_text("".join(json.dumps({"text": f"text {i}", "labels": row}) + "\n" for i, row in enumerate(labels)))
    corpus = prepare(str(path), labels_column="labels")
    assert corpus.task is Task.multi_label
    assert corpus.labels == ("a", "b", "c")
    assert corpus.train is not None
    assert corpus.test is not None
    assert len(corpus.test) == 6
    found = corpus.train.table.column("labels").to_pylist()
    assert all(row == labels[number - 1] for row, number in zip(found, rows_of(corpus), strict=True))
    targets = corpus.train.targets(corpus.labels, corpus.task)
    assert targets.tolist() == [[float(label in row) for label in "abc"] for row in found]


def rows_of(corpus: PreparedCorpus) -> list[int]:
    assert corpus.train is not None
    rows: list[int] = corpus.train.table.column("row").to_pylist()
    return rows


# What is reused


def test_second_call_finds_the_corpus_in_well_under_a_second(write, rows, prepare: Prepare) -> None:
    path = write("all.jsonl", rows(2000))
    first = prepare(path)
    start = time.perf_counter()
    second = prepare(path)
    seconds = time.perf_counter() - start
    assert (second.reused, second.key, second.card) == (True, first.key, first.card)
    assert seconds < 1


def test_a_moved_file_of_equal_content_is_reused(write, rows, prepare: Prepare, tmp_path: Path) -> None:
    first = prepare(write("all.jsonl", rows(30)))
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "all.jsonl").rename(tmp_path / "elsewhere" / "all.jsonl")
    assert prepare(str(tmp_path / "elsewhere" / "all.jsonl")).directory == first.directory


def test_a_change_of_equal_size_and_time_is_seen(write, rows, prepare: Prepare, tmp_path: Path) -> None:
    path = write("all.jsonl", rows(30))
    times = Path(path).stat()
    first = prepare(path)
    changed = Path(path).read_bytes().replace(b"hello", b"hallo")
    Path(path).write_bytes(changed)
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    second = prepare(path)
    assert (second.reused, second.key != first.key) == (False, True)
    assert second.train is not None
    assert "hallo" in second.train.token_counts()


@pytest.mark.parametrize(
    "change",
    [
        {"split_seed": 14},
        {"deduplicate": True},
        {"limit": 20},
        {"text": TextConfig(pos=False, lowercase=False)},
        {"text": TextConfig(pos=False, stop_words="remove")},
    ],
)
def test_other_settings_are_another_corpus(write, rows, prepare: Prepare, change: dict[str, object]) -> None:
    path = write("all.jsonl", rows(30))
    assert prepare(path).key != prepare(path, **change).key


def test_a_changed_stop_word_file_is_another_corpus(write, rows, prepare: Prepare, tmp_path: Path) -> None:
    path, words = write("all.jsonl", rows(30)), tmp_path / "words.txt"
    words.write_text("hello\n")
    text = TextConfig(pos=False, stop_words=str(words))
    first = prepare(path, text=text)
    words.write_text("hallo\n")
    second = prepare(path, text=text)
    assert [corpus.train is not None and "hello" in corpus.train.token_counts() for corpus in (first, second)] == [
        False,
        True,
    ]


def test_overwrite_prepares_again_to_the_same_bytes(write, rows, prepare: Prepare) -> None:
    path = write("all.jsonl", rows(30))
    first = prepare(path)
    before = {file.name: file.read_bytes() for file in first.directory.iterdir()}
    again = prepare(path, overwrite=True)
    assert (again.reused, again.directory) == (False, first.directory)
    assert {file.name: file.read_bytes() for file in again.directory.iterdir()} == before


def test_a_damaged_corpus_is_refused_until_overwritten(write, rows, prepare: Prepare) -> None:
    path = write("all.jsonl", rows(30))
    directory = prepare(path).directory
    for victim in sorted(directory.iterdir()):
        content = victim.read_bytes()
        for damaged in (flipped(content), content[: len(content) // 2] + b"-", None):
            victim.unlink()
            if damaged is not None:
                victim.write_bytes(damaged)
            with pytest.raises(IntegrityError) as error:
                prepare(path)
            assert str(directory) in str(error.value)
            assert str(error.value).endswith(
                f"Delete the folder {directory} or set overwrite=true to prepare it again."
            )
            victim.write_bytes(content)
    assert prepare(path).reused
    (directory / CORPUS).write_text("{}")
    assert prepare(path, overwrite=True).reused is False


def test_every_flipped_bit_of_the_manifest_is_seen(write, rows, prepare: Prepare) -> None:
    corpus = prepare(write("all.jsonl", rows(30)))
    manifest = corpus.directory / MANIFEST
    content = manifest.read_bytes()
    for place in range(0, len(content), 7):
        manifest.write_bytes(flipped(content, place))
        with pytest.raises(IntegrityError):
            load_corpus(corpus.directory, key=corpus.key, timings={}, reused=True)
    manifest.write_bytes(content)
    assert load_corpus(corpus.directory, key=corpus.key, timings={}, reused=True).labels == ("even", "odd")


def flipped(content: bytes, place: int | None = None) -> bytes:
    place = len(content) // 2 if place is None else place
    return content[:place] + bytes([content[place] ^ 1] if content else b"x") + content[place + 1 :]


# What is refused, dropped or warned of


def test_all_that_is_wrong_is_reported_and_nothing_is_written(write, rows, prepare: Prepare, tmp_path: Path) -> None:
    train = write("train.jsonl", [*rows(10), ("x", "Even "), ("y", "Even ")])
    with pytest.raises(InputError) as error:
        prepare(train)
    assert error.value.problems == (
        "train: labels look alike: 'Even ' (2 rows) and 'even' (5 rows) differ in case, space or Unicode form. "
        "Make them one.",
    )
    assert [path for path in (tmp_path / "prepared").glob("*") if path.name[0] != "."] == []
    assert list((tmp_path / "prepared" / ".work").glob("*")) == []


@pytest.mark.parametrize(
    ("choice", "labels", "warning"),
    [
        (RareLabel.drop, ("even", "odd"), "train: class 'rare' with one row only dropped (data.rare_label=drop)."),
        (RareLabel.keep, ("even", "odd", "rare"), "train: class 'rare' with one row only kept (data.rare_label=keep)."),
    ],
)
def test_a_rare_label_is_dropped_or_kept(write, rows, prepare, choice, labels, warning) -> None:
    corpus = prepare(write("train.jsonl", [*rows(20), ("unique", "rare")]), rare_label=choice)
    assert (corpus.labels, corpus.warnings) == (labels, (warning,))


def test_a_rare_label_is_an_error_by_default(write, rows, prepare: Prepare) -> None:
    with pytest.raises(InputError) as error:
        prepare(write("train.jsonl", [*rows(20), ("unique", "rare")]))
    assert str(error.value) == (
        "train: class 'rare' has one row only; a class needs two. "
        "Add rows or set data.rare_label=drop or data.rare_label=keep."
    )


def test_repeats_and_conflicts_are_counted(write, rows, prepare: Prepare) -> None:
    train = [*rows(20), rows(20)[0], (rows(20)[1][0], "even")]
    corpus = prepare(write("train.jsonl", train))
    assert corpus.warnings == (
        "train: 2 rows with a text that occurs earlier; data.deduplicate=true drops such rows",
        "train: 1 text with different labels in different rows",
    )
    without = prepare(write("train.jsonl", train), deduplicate=True)
    assert without.card["duplicates"] == {"train_repeats": 2, "train_conflicts": 1, "dropped_duplicates": 2}
    assert sum(len(part) for part in texts_of(without)) == 20


def test_leaked_rows_are_warned_of_dropped_or_refused(write, rows, prepare: Prepare) -> None:
    train, test = write("train.jsonl", rows(20)), write("test.jsonl", [*rows(3), *rows(4, word="new")])
    warned = prepare(train, test=test)
    assert warned.warnings[0] == (
        "test: 3 rows with a text that is also in train; data.drop_leaked=true drops it there"
    )
    dropped = prepare(train, test=test, drop_leaked=True)
    assert dropped.card["duplicates"]["dropped_leaked"] == 3
    assert not texts_of(dropped)[0] & texts_of(dropped)[2]
    message = (
        "test: 3 rows with a text that is also in train, and data.strict=true. "
        "Set data.drop_leaked=true to drop such rows from train."
    )
    for settings in ({"strict": True}, {"strict": True, "max_chars": 999}):  # once in the store, once not
        with pytest.raises(InputError) as error:
            prepare(train, test=test, **settings)
        assert str(error.value) == message
    assert prepare(train, test=test, strict=True, drop_leaked=True).card["duplicates"]["test_in_train"] == 0


def test_a_label_that_only_test_has_counts_as_wrong(write, rows, prepare: Prepare) -> None:
    corpus = prepare(write("train.jsonl", rows(20)), test=write("test.jsonl", [("new", "third"), ("newer", "odd")]))
    assert corpus.labels == ("even", "odd")
    assert corpus.warnings == ("test: 1 row with labels that train does not have count as always wrong: 'third'",)
    assert corpus.test is not None
    assert corpus.test.targets(corpus.labels, corpus.task).tolist() == [-1, 1]


def test_test_labels_that_are_all_unknown_are_refused(write, rows, prepare: Prepare) -> None:
    with pytest.raises(InputError) as error:
        prepare(write("train.jsonl", rows(20)), test=write("test.jsonl", [("new", "third")]))
    assert str(error.value) == (
        "test: none of the labels in data.label_column=label is known: 'third'; train has 'even', 'odd'. "
        "Name the column that holds those, or correct the labels."
    )


def test_a_test_label_that_only_looks_known_is_refused(write, rows, prepare: Prepare) -> None:
    with pytest.raises(InputError) as error:
        prepare(write("train.jsonl", rows(20)), test=write("test.jsonl", [("new", "Even"), ("newer", "odd")]))
    assert str(error.value) == (
        "test: labels look alike: 'Even' (1 row) and 'even' (0 rows) differ in upper and lower case. Make them one."
    )


def test_too_few_texts_to_split_are_refused(write, prepare: Prepare) -> None:
    with pytest.raises(InputError) as error:
        prepare(write("train.jsonl", [("a", "x"), ("a", "x"), ("b", "y"), ("b", "y")]))
    assert str(error.value) == (
        "train: too few different texts a class to take a part for test. Give data.test a file."
    )


def test_problems_of_all_files_come_together(write, prepare: Prepare, tmp_path: Path) -> None:
    with pytest.raises(InputError) as error:
        prepare(str(tmp_path / "none.jsonl"), test=str(tmp_path / "nothing.jsonl"))
    assert error.value.problems == (
        f"{tmp_path}/none.jsonl: no such file.",
        f"{tmp_path}/nothing.jsonl: no such file.",
    )


def test_duplicate_ids_are_refused(tmp_path: Path, prepare: Prepare) -> None:
    path = tmp_path / "train.csv"
    path.write_text("key,text,label\n" + "".join(f"{min(i, 7)},text {i},{'ab'[i % 2]}\n" for i in range(10)))
    with pytest.raises(InputError) as error:
        prepare(str(path), id_column="key")
    assert len(error.value.problems) == 2
    assert error.value.problems[0].startswith(f"{path}:9: column 'key': the id is that of {path}:8 too.")


def test_a_file_that_changes_while_it_is_read_is_refused(write, rows, tmp_path: Path) -> None:
    path = write("train.jsonl", rows(5000))
    data = DataConfig(source=DataSource.files, train=[path])

    def change(progress: Progress) -> None:
        if progress.phase is Phase.reading and progress.rows_done:
            Path(path).write_text('{"text": "x", "label": "even"}\n')

    with pytest.raises(InputError) as error:
        prepare_corpus(data, TextConfig(pos=False), prepared_dir=tmp_path / "prepared", num_workers=1, progress=change)
    assert "train.jsonl: changed while it was read. Run again when nothing writes to it." in str(error.value)
    assert [path for path in (tmp_path / "prepared").glob("*") if path.name[0] != "."] == []


def test_limit_reads_so_many_rows_of_each_split(write, rows, prepare: Prepare) -> None:
    corpus = prepare(write("train.jsonl", rows(50)), test=write("test.jsonl", rows(50, word="t")), limit=10)
    assert [len(part) for part in texts_of(corpus)] == [9, 1, 10]


def test_train_limit_leaves_the_rows_that_figures_are_of(write, rows, prepare: Prepare) -> None:
    name, test = write("train.jsonl", rows(100)), write("test.jsonl", rows(30, word="t"))
    whole, many, few = (texts_of(prepare(name, test=test, train_limit=limit)) for limit in (0, 40, 10))
    assert [len(part) for part in whole] == [90, 10, 30]
    assert [len(part) for part in many] == [40, 10, 30]
    assert [len(part) for part in few] == [10, 10, 30]
    assert whole[1:] == many[1:] == few[1:]
    assert few[0] < many[0] < whole[0]
    labels = {row.as_py()[0] for row in prepare(name, test=test, train_limit=10).train.table.column("labels")}
    assert labels == {"even", "odd"}


def test_packed_files_and_globs_are_read(tmp_path: Path, rows, prepare: Prepare) -> None:
    for part in range(2):
        lines = [json.dumps({"text": text, "label": label}) for text, label in rows(40)[part::2]]
        with gzip.open(tmp_path / f"part-{part}.jsonl.gz", "wt") as file:
            file.write("\n".join(lines))
    # each file holds one class only: the corpus has both
    corpus = prepare(str(tmp_path / "part-*.jsonl.gz"))
    assert set.union(*texts_of(corpus)) == {text for text, _ in rows(40)}


@pytest.fixture
def piped(monkeypatch, rows):
    """Standard input that is a pipe with 40 rows."""
    reading, writing = os.pipe()
    os.write(writing, "".join(json.dumps({"text": text, "label": label}) + "\n" for text, label in rows(40)).encode())
    os.close(writing)
    kept_copy.cache_clear()
    with os.fdopen(reading) as stdin:
        monkeypatch.setattr(sys, "stdin", stdin)
        yield
    kept_copy.cache_clear()


def test_standard_input_is_prepared(piped, prepare: Prepare, rows) -> None:
    corpus = prepare("-", format=FileFormat.jsonl)
    assert set.union(*texts_of(corpus)) == {text for text, _ in rows(40)}
    assert set(corpus.train.table.column("file").to_pylist()) == {"stdin"}


def test_a_pipe_is_prepared(tmp_path: Path, prepare: Prepare, rows) -> None:
    """Its rows were read for the digest, and were gone then: the command waited for ever (found by the fuzz)."""
    pipe = tmp_path / "pipe.jsonl"
    os.mkfifo(pipe)
    content = "".join(json.dumps({"text": text, "label": label}) + "\n" for text, label in rows(40))
    writer = threading.Thread(target=pipe.write_text, args=(content,))
    writer.start()
    corpus = prepare(str(pipe))
    writer.join()
    assert set.union(*texts_of(corpus)) == {text for text, _ in rows(40)}
    assert set(corpus.train.table.column("file").to_pylist()) == {"pipe.jsonl"}
    kept_copy.cache_clear()


def test_a_pipe_of_unknown_format_is_refused_before_it_is_opened(tmp_path: Path, prepare: Prepare) -> None:
    os.mkfifo(tmp_path / "pipe")  # nobody writes: reading it would never end
    with pytest.raises(InputError) as error:
        prepare(str(tmp_path / "pipe"))
    assert "pipe: the name tells no format" in error.value.problems[0]


def test_standard_input_needs_a_format(piped, prepare: Prepare) -> None:
    with pytest.raises(InputError) as error:
        prepare("-")
    assert error.value.problems == ("-: standard input has no name to tell its format. Set data.format.",)


def test_standard_input_is_one_split_only(piped, prepare: Prepare) -> None:
    with pytest.raises(InputError) as error:
        prepare("-", test="-", format=FileFormat.jsonl)
    assert error.value.problems == (
        "-: standard input is given twice. Give files for all of data.train, .validation, .test but one.",
    )


def test_progress_counts_rows_and_words(write, rows, tmp_path: Path) -> None:
    seen: list[Progress] = []
    data = DataConfig(source=DataSource.files, train=[write("train.jsonl", rows(30))])
    corpus = prepare_corpus(
        data, TextConfig(pos=False), prepared_dir=tmp_path / "prepared", num_workers=1, progress=seen.append
    )
    last = {progress.phase: progress for progress in seen}
    assert list(last) == [Phase.reading, Phase.tokenizing, Phase.writing]
    assert last[Phase.reading] == Progress(Phase.reading, 30, None, 0)
    assert last[Phase.tokenizing] == Progress(Phase.tokenizing, 30, 30, 180)
    assert last[Phase.writing] == Progress(Phase.writing, 30, 30, 0)
    assert corpus.card["splits"]["train"]["tokens"] + corpus.card["splits"]["test"]["tokens"] < 180


# One labelled file for a model


def test_labelled_files_are_prepared_as_a_model_says(write, rows, prepare: Prepare, tmp_path: Path) -> None:
    trained = prepare(write("train.jsonl", rows(20)))
    new = write("new.jsonl", [("new row", "odd"), ("other row", "third"), ("more", "even")])
    data = DataConfig(source=DataSource.files, test=[new])
    corpus = prepare_labelled_files(
        data,
        TextConfig(pos=False),
        labels=trained.labels,
        saved=trained.text_fingerprint,
        prepared_dir=tmp_path / "prepared",
        num_workers=1,
    )
    assert (corpus.train, corpus.validation, corpus.labels) == (None, None, ("even", "odd"))
    assert corpus.test is not None
    assert corpus.test.texts() == ["new row", "other row", "more"]
    assert corpus.test.targets(corpus.labels, corpus.task).tolist() == [1, -1, 0]
    assert corpus.warnings == ("test: 1 row with labels that the model does not have count as always wrong: 'third'",)


def test_labelled_files_need_a_file(prepare: Prepare, write, rows, tmp_path: Path) -> None:
    trained = prepare(write("train.jsonl", rows(20)))
    with pytest.raises(InputError) as error:
        prepare_labelled_files(
            DataConfig(),
            TextConfig(pos=False),
            labels=trained.labels,
            saved=trained.text_fingerprint,
            prepared_dir=tmp_path / "prepared",
            num_workers=1,
        )
    assert str(error.value) == "data.test is empty; name the labelled files to evaluate, as in data.test=FILE."
