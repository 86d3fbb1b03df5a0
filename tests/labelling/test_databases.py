"""Databases as inputs and outputs of labelling jobs: the rows of a file, a table that is complete or absent."""

import os
import random
import signal
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from itertools import count
from pathlib import Path

import pytest
import sqlalchemy as sa

from textlstm.config import LabelConfig, LabellingConfig
from textlstm.errors import InputError, StorageError
from textlstm.labelling.job import label_files
from textlstm.labelling.manifest import Manifest
from textlstm.labelling.trace import trace_row
from textlstm.storage import database_store
from textlstm.storage.database_store import DatabaseStore

from fake_model import FAKE_MODELS  # isort: skip

TEXTS = ["goal", "100 % of :all", "two\nlines", "", None, *(f"row {number}" for number in range(9))]


def fill(path: Path, texts: list[str | None]) -> None:
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("CREATE TABLE tickets (id INTEGER, text TEXT, amount REAL)")
        database.executemany(
            "INSERT INTO tickets VALUES (?, ?, ?)", [(number, text, number / 4) for number, text in enumerate(texts)]
        )


def select(path: Path, statement: str) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(path)) as database:
        return database.execute(statement).fetchall()


def tables(path: Path) -> list[object]:
    return [name for (name,) in select(path, "SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name")]


@pytest.fixture
def label(tmp_path: Path) -> Callable[..., object]:
    (tmp_path / "model").mkdir()

    def run(source: str, output: str, *, overwrite: bool = False, **settings: object) -> object:
        config = LabelConfig(
            model_dir=str(tmp_path / "model"),
            input=[source],
            output=output,
            labelling=LabellingConfig(**{"shard_rows": 3, "max_reject_fraction": 0.5, **settings}),  # type: ignore[arg-type]
            overwrite=overwrite,
        )
        return label_files(config, models=FAKE_MODELS)

    return run


def test_a_table_becomes_a_table(tmp_path: Path, label) -> None:
    path = tmp_path / "x.db"
    fill(path, TEXTS)
    query = "SELECT id, text, amount FROM tickets WHERE text NOT LIKE '%:none' OR text IS NULL ORDER BY id"
    summary = label(f"sqlite:///{path}?sql={query}", f"sqlite:///{path}?table=labelled", all_probabilities=True)
    assert (summary.num_rows, summary.num_rejects) == (len(TEXTS), 0)
    label(f"sqlite:///{path}?table=tickets", str(tmp_path / "out.csv"))
    rows = select(path, "SELECT id, text, amount, predicted_label FROM labelled")
    assert [row[:3] for row in rows] == [(number, text, number / 4) for number, text in enumerate(TEXTS)]
    lines = (tmp_path / "out.csv").read_bytes().decode().replace("two\nlines", "two lines").splitlines()
    assert [row[3] for row in rows] == [line.split(",")[3] for line in lines[1:]]
    columns = select(path, "SELECT name, type FROM pragma_table_info('labelled')")
    assert columns[:5] == [
        ("id", "BIGINT"),
        ("text", "TEXT"),
        ("amount", "DOUBLE"),
        ("predicted_label", "TEXT"),
        ("probability", "DOUBLE"),
    ]
    # What is left beside the table is its manifest.
    assert tables(path) == ["labelled", "textlstm_files", "tickets"]
    [(name, content)] = select(path, "SELECT * FROM textlstm_files")
    assert (name, Manifest.from_json(content, address="").output["num_rows"]) == ("labelled.manifest.json", len(TEXTS))


def test_packed_files_go_into_a_table_and_rejects_beside_it(tmp_path: Path, label) -> None:
    import gzip

    (tmp_path / "in.jsonl.gz").write_bytes(gzip.compress(b'{"text": "one", "tags": ["a"]}\n{"text": 7}\n'))
    output = f"sqlite:///{tmp_path}/new.db?table=out"
    assert label(str(tmp_path / "in.jsonl.gz"), output).num_rejects == 1
    assert select(tmp_path / "new.db", "SELECT text, tags FROM out") == [("one", '["a"]')]
    names = select(tmp_path / "new.db", "SELECT name FROM textlstm_files ORDER BY name")
    assert names == [("out.manifest.json",), ("out.rejects.jsonl",)]


def test_a_table_is_replaced_only_on_request(tmp_path: Path, label) -> None:
    path = tmp_path / "x.db"
    fill(path, ["one", "two"])
    source, output = f"sqlite:///{path}?table=tickets", f"sqlite:///{path}?table=labelled"
    label(source, output)
    with pytest.raises(InputError, match="exists; choose another output or set overwrite=true"):
        label(source, output)
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("INSERT INTO tickets VALUES (9, 'three', 1)")
    # The rows are fetched once a process; another address of the same rows is another input.
    label(f"sqlite:///{path}?sql=SELECT * FROM tickets", output, overwrite=True)
    assert len(select(path, "SELECT * FROM labelled")) == 3


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("?sql=SELECT id FROM tickets", "no column 'text'; the columns are 'id'. Set labelling.text_column."),
        ("?sql=SELECT absent FROM tickets", "no such column: absent"),
        ("?sql=SELECT text, text FROM tickets", "two columns have the name 'text'; rename one by AS"),
        ("?sql=SELECT * FROM tickets WHERE 1 = 0", "has no rows"),
        ("?sql=DELETE FROM tickets", "gives no rows; write a SELECT"),
        ("?table=labelled", "no such table: labelled"),
        ("?sql=", "sql= names nothing; write a query"),
    ],
)
def test_queries_that_give_no_rows_to_label(tmp_path: Path, label, source: str, message: str) -> None:
    path = tmp_path / "x.db"
    fill(path, ["one"])
    with pytest.raises(InputError) as refused:
        label(f"sqlite:///{path}{source}", str(tmp_path / "out.csv"))
    assert refused.value.problems == (f"sqlite:///{path}{source}: {message}",)
    assert tables(path) == ["tickets"]
    assert select(path, "SELECT count(*) FROM tickets") == [(1,)]


def test_addresses_that_are_refused(tmp_path: Path, label) -> None:
    (tmp_path / "in.csv").write_text("text\none\n")

    def refusal(source: str, output: str = "", **settings: object) -> str:
        with pytest.raises(InputError) as refused:
            label(source or str(tmp_path / "in.csv"), output or str(tmp_path / "out.csv"), **settings)
        return refused.value.problems[0]

    gone = f"sqlite:///{tmp_path}/gone.db?table=t"
    assert refusal(gone) == f"{gone}: no such file as {tmp_path}/gone.db"
    assert not (tmp_path / "gone.db").exists()
    assert refusal("postgresql://me:secret99@host/db?table=t") == (
        "postgresql://me:***@host/db: has a password, which would be written down with the address; leave it out and put "
        "it where the driver looks for it, such as PGPASSWORD or ~/.pgpass"
    )
    assert refusal("nosuch://host/db?table=t").startswith("nosuch://host/db: no driver for it is installed (")
    database = f"sqlite:///{tmp_path}/x.db"
    assert refusal("", database) == (
        f"{database}: names no table of a database; add one, as in {database}?table=labelled"
    )
    assert "is a query; name the table" in refusal("", f"{database}?sql=SELECT 1")
    output = f"{database}?table=t"
    assert refusal("", output, append=True) == (
        f"{output}: labelling.append=true needs a file as output, whose labels can be kept"
    )
    label(str(tmp_path / "in.csv"), output)
    with pytest.raises(InputError, match="is a table, which others may change; labels are traced in files"):
        trace_row(output, 1)


def test_rows_of_a_database_are_training_rows(tmp_path: Path) -> None:
    from textlstm.config import DataConfig, DataSource
    from textlstm.corpus.sources.examples import Example
    from textlstm.corpus.sources.sources import open_sources

    with closing(sqlite3.connect(tmp_path / "x.db")) as database, database:
        database.execute("CREATE TABLE labelled (text TEXT, label TEXT, part TEXT)")
        rows = [(f"text {number}", "ab"[number % 2], "train" if number < 8 else "test") for number in range(10)]
        database.executemany("INSERT INTO labelled VALUES (?, ?, ?)", rows)
    address = f"sqlite:///{tmp_path}/x.db?sql=SELECT text, label FROM labelled WHERE part ="
    data = DataConfig(source=DataSource.files, train=[f"{address} 'train'"], test=[f"{address} 'test'"])
    train, test = open_sources(data)
    found = [row for row in train.examples() if isinstance(row, Example)]
    assert [(row.text, row.labels) for row in found] == [(text, (label,)) for text, label, _ in rows[:8]]
    assert len(list(test.examples())) == 2
    assert train.names == ("query.jsonl",)


# Kills: at any operation of the database the table is absent, and the same command comes to the rows of a calm job.


@contextmanager
def at_operation(number: int, act: Callable[[], None]) -> Iterator[None]:
    """Do `act` before the statement or commit of that number, counted from 1."""
    seen = count(1)

    def notice(*_: object, **__: object) -> None:
        if next(seen) == number:
            act()

    for event in ("before_cursor_execute", "commit"):
        sa.event.listen(sa.Engine, event, notice)
    try:
        yield
    finally:
        for event in ("before_cursor_execute", "commit"):
            sa.event.remove(sa.Engine, event, notice)


class Killed:
    """A job from table to table that is killed again and again."""

    def __init__(self, directory: Path, label: Callable[..., object], *, num_rows: int) -> None:
        self._path, self._label = directory / "x.db", label
        fill(self._path, [f"row {number}" for number in range(num_rows)])
        self._source = f"sqlite:///{self._path}?table=tickets"
        label(self._source, f"sqlite:///{self._path}?table=calm")
        self.num_kills = 0

    def attempt(self, at: int) -> bool:
        """Run once, killed at operation `at` of the database; say whether it came to its end."""
        child = os.fork()
        if child == 0:
            try:
                with at_operation(at, lambda: os.kill(os.getpid(), signal.SIGKILL)):
                    self._label(self._source, f"sqlite:///{self._path}?table=wild")
            except BaseException:
                os._exit(7)
            os._exit(0)
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        assert code in (0, -signal.SIGKILL), f"the job ended with {code}"
        self.num_kills += code != 0
        if "wild" in tables(self._path):
            assert select(self._path, "SELECT * FROM wild") == select(self._path, "SELECT * FROM calm")
        return code == 0

    def check_finished(self) -> None:
        assert select(self._path, "SELECT * FROM wild") == select(self._path, "SELECT * FROM calm")
        names = select(self._path, "SELECT name FROM textlstm_files ORDER BY name")
        assert names == [("calm.manifest.json",), ("wild.manifest.json",)]


def test_a_table_killed_at_some_operations(tmp_path: Path, label) -> None:
    job = Killed(tmp_path, label, num_rows=5)
    for at in count(3, 9):
        if job.attempt(at):
            break
    job.check_finished()
    assert job.num_kills >= 4


def test_the_check_sees_a_table_that_is_filled_in_pieces(
    tmp_path: Path, label, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Negative control: with a commit after each row, a kill leaves a table that is not complete."""
    job = Killed(tmp_path, label, num_rows=5)
    monkeypatch.setattr(database_store, "_INSERT_ROWS", 1)
    write = DatabaseStore._write_table

    def in_pieces(self: DatabaseStore, connection: sa.Connection, stream: object) -> None:
        sa.event.listen(connection, "after_cursor_execute", lambda *_: connection.exec_driver_sql("COMMIT"))
        write(self, connection, stream)  # type: ignore[arg-type]

    monkeypatch.setattr(DatabaseStore, "_write_table", in_pieces)
    with pytest.raises(AssertionError):
        any(job.attempt(at) for at in count(1))


@pytest.mark.long
def test_a_hundred_kills_of_a_table(tmp_path: Path, label) -> None:
    job = Killed(tmp_path, label, num_rows=900)
    draw = random.Random(9)
    while not job.attempt(draw.randint(1, 400) if job.num_kills < 100 else 10**9):
        pass
    job.check_finished()
    assert job.num_kills == 100


def test_a_database_that_fails_is_told_and_the_job_goes_on(tmp_path: Path, label) -> None:
    path = tmp_path / "x.db"
    fill(path, [f"row {number}" for number in range(8)])
    source, output = f"sqlite:///{path}?table=tickets", f"sqlite:///{path}?table=labelled"

    def fail() -> None:
        raise sa.exc.OperationalError("", None, Exception("database or disk is full"))

    with pytest.raises(StorageError) as failed, at_operation(70, fail):
        label(source, output)
    assert failed.value.problems == (
        f"{output}: cannot be written: database or disk is full. Run the same command again.",
    )
    assert label(source, output).num_continued > 0
    assert len(select(path, "SELECT * FROM labelled")) == 8
