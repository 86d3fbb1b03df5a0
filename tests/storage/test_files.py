"""Files and folders that are complete or absent; links are followed, devices and pipes are left alone."""

import errno
import os
import stat
from pathlib import Path

import pytest

from textlstm.errors import StorageError
from textlstm.storage.files import atomic_file, atomic_folder, storage_errors


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


def test_a_file_of_somebody_else_is_not_overwritten(tmp_path: Path) -> None:
    """Every name that a temporary file might have is taken; the file is written, and the others stay."""
    path, taken = tmp_path / "out.csv", ["out.csv.tmp", f".out.csv.{os.getpid()}.0.tmp", ".out.csv.tmp"]
    for name in taken:
        (tmp_path / name).write_text("mine")
    with atomic_file(path) as stream:
        stream.write(b"new")
    assert path.read_bytes() == b"new"
    assert names(tmp_path) == sorted([*taken, "out.csv"])
    assert all((tmp_path / name).read_text() == "mine" for name in taken)


def test_what_a_kill_left_is_removed_by_a_later_write(tmp_path: Path) -> None:
    path, of_today, of_old = tmp_path / "out", tmp_path / ".out.17.0.tmp", tmp_path / ".out.18.3.tmp"
    others = [tmp_path / name for name in (".out.tmp", ".out.txt.18.3.tmp", "out.18.3.tmp", ".about.18.3.tmp")]
    for file in (of_today, of_old, *others):
        file.write_text("")
    for file in (of_old, *others):
        os.utime(file, (0, 0))
    with atomic_file(path) as stream:
        stream.write(b"new")
    assert not of_old.exists()
    assert of_today.exists()  # another process may be writing it
    assert all(file.exists() for file in others)


def test_a_name_of_the_longest_kind_is_written(tmp_path: Path) -> None:
    path = tmp_path / ("x" * 255)
    for content in (b"one", b"two"):
        with atomic_file(path) as stream:
            stream.write(content)
    assert (path.read_bytes(), len(names(tmp_path))) == (b"two", 1)


@pytest.mark.parametrize(
    ("place", "advice"),
    [
        ("folder", "Is a directory. A folder has this name: choose another one."),
        ("file/out", "Not a directory. A part of its path is a file: choose another folder."),
        ("missing/out", "No such file or directory. Its folder is not there: make it, or choose another one."),
        ("y" * 256, "File name too long. Choose a shorter name."),
    ],
)
def test_the_advice_fits_what_went_wrong(tmp_path: Path, place: str, advice: str) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError) as error, atomic_file(tmp_path / place) as stream:
        stream.write(b"new")
    assert str(error.value) == f"{tmp_path / place}: cannot be written: {advice}"
    assert names(tmp_path) == ["file", "folder"]


@pytest.mark.parametrize(
    ("number", "advice"),
    [
        (errno.EROFS, "Read-only file system. Choose a folder that can be written."),
        (errno.EACCES, "Permission denied. Choose a folder that can be written."),
        (errno.ENOSPC, "No space left on device. Free space, or choose a folder that can be written."),
        (errno.EIO, "Input/output error. Free space, or choose a folder that can be written."),
    ],
)
def test_a_disk_that_cannot_be_written_has_its_advice(number: int, advice: str) -> None:
    with pytest.raises(StorageError, match=r"^out: cannot be written: ") as error, storage_errors("out"):
        raise OSError(number, os.strerror(number))
    assert str(error.value) == f"out: cannot be written: {advice}"
