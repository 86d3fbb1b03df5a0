"""The journal on disk."""

import json
from pathlib import Path

import pytest

from textlstm.errors import StorageError
from textlstm.storage.locks import try_lock
from textlstm.tracking.outbox import EventKind, JournalPaths, JournalWriter, read_events
from textlstm.tracking.secrets import Redactor


def _writer(directory: Path) -> JournalWriter:
    return JournalWriter(JournalPaths(directory, "key"), redactor=Redactor())


def test_events_come_back_with_their_ends(tmp_path: Path) -> None:
    with _writer(tmp_path) as journal:
        journal.append(EventKind.tags, {"values": {"a": "\u2028"}, "time": 1})
        journal.append(EventKind.close, {"status": "FINISHED", "time": 2})
    events = list(read_events(tmp_path / "key.jsonl"))
    assert [event.kind for event in events] == [EventKind.tags, EventKind.close]
    assert events[0].data == {"values": {"a": "\u2028"}, "time": 1}
    assert events[1].end == (tmp_path / "key.jsonl").stat().st_size
    assert list(read_events(tmp_path / "key.jsonl", start=events[0].end)) == events[1:]


@pytest.mark.parametrize("cut", range(1, 30, 7))
def test_line_that_a_crash_left_unfinished_is_dropped(tmp_path: Path, cut: int) -> None:
    with _writer(tmp_path) as journal:
        journal.append(EventKind.tags, {"values": {"a": "1"}})
        journal.append(EventKind.tags, {"values": {"b": "2"}})
    path = tmp_path / "key.jsonl"
    path.write_bytes(path.read_bytes()[:-cut])
    assert [event.data["values"] for event in read_events(path)] == [{"a": "1"}]
    with _writer(tmp_path) as journal:
        journal.append(EventKind.close, {"status": "KILLED"})
    assert [json.loads(line)["kind"] for line in path.read_text().splitlines()] == ["tags", "close"]


def test_copy_is_what_the_file_was(tmp_path: Path) -> None:
    source = tmp_path / "metrics.json"
    source.write_text("before")
    with _writer(tmp_path / "journal") as journal:
        kept = journal.keep_copy(source)
    source.write_text("after")
    assert (tmp_path / "journal" / kept).read_text() == "before"


def test_folder_that_cannot_be_made_is_a_storage_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError) as caught:
        _writer(tmp_path / "file" / "journal")
    assert str(caught.value) == (
        f"{tmp_path}/file/journal/key.jsonl: Not a directory. "
        "The journal of the run needs room and permission under tracking.dir."
    )


def test_one_sender_at_a_time(tmp_path: Path) -> None:
    paths = JournalPaths(tmp_path, "key")
    with try_lock(paths.lock) as first, try_lock(paths.lock) as second:
        assert (first, second) == (True, False)
    with try_lock(paths.lock) as third:
        assert third
