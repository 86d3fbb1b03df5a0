"""F4: every write operation in turn fails; exit code 4, one line, the old output intact, the rerun works."""

import errno
from pathlib import Path

import pytest
from io_faults import faulty_store, raise_at

from textlstm.errors import StorageError, TextLSTMError

NUMBERS = {"full": errno.ENOSPC, "broken": errno.EIO, "forbidden": errno.EACCES}


def prepare(directory: Path) -> None:
    (directory / "in.jsonl").write_text("".join(f'{{"text": "row {n}"}}\n' for n in range(3)) + '{"text": 1}\n')


def test_each_operation_in_turn_fails(tmp_path: Path, run) -> None:
    fail_each_operation(tmp_path, run, list(NUMBERS.values()))


@pytest.mark.long
@pytest.mark.parametrize("cause", NUMBERS)
def test_each_operation_in_turn_fails_for_each_cause(tmp_path: Path, run, cause: str) -> None:
    fail_each_operation(tmp_path, run, [NUMBERS[cause]])


def fail_each_operation(tmp_path: Path, run, numbers: list[int]) -> None:
    prepare(tmp_path)
    run("in.jsonl", "calm.jsonl")
    expected = (tmp_path / "calm.jsonl").read_bytes()
    failures = 0
    for at in range(1, 1000):
        output = tmp_path / f"out{at}.jsonl"
        output.write_text("old")
        try:
            with faulty_store(raise_at(at, numbers[at % len(numbers)])):
                run("in.jsonl", output.name, overwrite=True)
        except TextLSTMError as error:
            assert_one_line_and_old_output(error, output)
            failures += 1
            run("in.jsonl", output.name, overwrite=True)
            assert output.read_bytes() == expected
            assert not Path(f"{output}.work").exists()
        else:
            break
    assert failures == at - 1
    assert failures > 40


def assert_one_line_and_old_output(error: TextLSTMError, output: Path) -> None:
    assert isinstance(error, StorageError)
    assert error.exit_code == 4
    assert len(error.problems) == 1
    assert "\n" not in error.problems[0]
    assert ": cannot be written: " in error.problems[0]
    assert output.read_text() == "old" or error.problems[0].startswith(f"{output}: ")


def test_a_read_only_folder_is_one_line(tmp_path: Path, run, monkeypatch: pytest.MonkeyPatch) -> None:
    prepare(tmp_path)
    real_mkdir = Path.mkdir

    def refuse(self: Path, *args: object, **kwargs: object) -> None:
        if self.name.endswith(".work"):
            raise PermissionError(errno.EACCES, "Permission denied", str(self))
        real_mkdir(self, *args, **kwargs)  # type: ignore[arg-type]

    monkeypatch.setattr(Path, "mkdir", refuse)
    with pytest.raises(StorageError) as refused:
        run("in.jsonl", "out.jsonl")
    assert refused.value.problems == (
        f"{tmp_path}/out.jsonl.work/lock: cannot be written: Permission denied; free space or choose another output, "
        "then run the same command",
    )


def test_the_harness_sees_an_error_that_is_swallowed(tmp_path: Path, run) -> None:
    """Negative control: a job whose failure went unnoticed would leave another output and no error."""
    prepare(tmp_path)
    output = tmp_path / "out.jsonl"
    output.write_text("new bytes although the job failed")
    with pytest.raises(AssertionError):
        assert_one_line_and_old_output(StorageError("elsewhere: cannot be written: disk full"), output)
