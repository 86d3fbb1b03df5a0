"""The key of a prepared corpus depends on the code that made it."""

from pathlib import Path

import pytest

from textlstm.corpus.preparation.corpus_folder import code_digest


@pytest.mark.parametrize(
    "file", ["corpus/rows/readers.py", "corpus/preparation/splitting.py", "text/tokenizer/word_tokenizer.py"]
)
def test_a_change_of_any_room_that_prepares_rows_changes_the_digest(file: str, monkeypatch: pytest.MonkeyPatch) -> None:
    before, read_bytes = code_digest(), Path.read_bytes

    def with_a_change(path: Path) -> bytes:
        return read_bytes(path) + (b"#" if path.as_posix().endswith(f"textlstm/{file}") else b"")

    assert code_digest() == before
    monkeypatch.setattr(Path, "read_bytes", with_a_change)
    assert code_digest() != before
