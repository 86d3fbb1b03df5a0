"""Files and folders that are complete or absent; links are followed, devices and pipes are left alone."""

import os
import stat
from pathlib import Path

import pytest

from textlstm.errors import StorageError
from textlstm.storage.files import atomic_file, atomic_folder


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_file_appears_after_a_clean_end_only(tmp_path: Path) -> None:
    path = tmp_path / "out.txt"
    path.write_bytes(b"old")
    broken = (1 // number for number in (1, 0))
    with pytest.raises(ZeroDivisionError), atomic_file(path) as stream:
        stream.writelines(bytes(value) for value in broken)
    assert (path.read_bytes(), names(tmp_path)) == (b"old", ["out.txt"])
    with atomic_file(path) as stream:
        stream.write(b"new")
    assert (path.read_bytes(), names(tmp_path)) == (b"new", ["out.txt"])


@pytest.mark.parametrize("fails_at", [1, 2])
def test_file_and_folder_are_synced_or_nothing_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fails_at: int
) -> None:
    calls = []

    def fsync(descriptor: int) -> None:
        calls.append(stat.S_ISDIR(os.fstat(descriptor).st_mode))
        if len(calls) == fails_at:
            raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", fsync)
    with (
        pytest.raises(StorageError, match="cannot be written: No space left on device"),
        atomic_file(tmp_path / "out.txt") as stream,
    ):
        stream.write(b"new")
    assert calls == [False, True][:fails_at]


def test_a_link_to_a_file_is_followed(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    link = tmp_path / "out.txt"
    link.symlink_to(tmp_path / "real" / "out.txt")
    with atomic_file(link) as stream:
        stream.write(b"new")
    assert link.is_symlink()
    assert (tmp_path / "real" / "out.txt").read_bytes() == b"new"


def test_a_link_to_a_folder_is_followed_and_nothing_is_left(tmp_path: Path) -> None:
    disk, home = tmp_path / "disk", tmp_path / "home"
    (disk / "model").mkdir(parents=True)
    (disk / "model" / "old").write_bytes(b"old")
    home.mkdir()
    (home / "model").symlink_to(disk / "model")
    with atomic_folder(home / "model") as folder:
        (folder / "new").write_bytes(b"new")
    assert (names(home), names(disk), names(disk / "model")) == (["model"], ["model"], ["new"])
    assert (home / "model").is_symlink()


def test_a_folder_stays_as_it_was_when_its_successor_fails(tmp_path: Path) -> None:
    final = tmp_path / "model"
    final.mkdir()
    (final / "old").write_bytes(b"old")
    with pytest.raises(StorageError), atomic_folder(final) as folder:
        (folder / "new").write_bytes((folder / "absent").read_bytes())
    assert (names(tmp_path), names(final)) == (["model"], ["old"])
