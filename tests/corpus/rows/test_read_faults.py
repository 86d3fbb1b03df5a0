"""Rows made to be slow: each is read, or refused, in at most a second."""

import gc
import time
from pathlib import Path

import pytest

from textlstm.corpus.rows.readers import read_records
from textlstm.corpus.rows.records import Record
from textlstm.corpus.rows.settings import ReadSettings
from textlstm.corpus.sources.examples import ExampleReader
from textlstm.errors import InputError

SIZE = 1_000_000
CASES = {
    "doubled quotes.csv": b'text,label\n"' + b'""' * (SIZE // 2) + b'",x\n',
    "doubled quotes, never closed.csv": b'text,label\n"' + b'""' * (SIZE // 2) + b",x\n",
    "quotes on many lines.csv": b'text,label\n"' + b'""\n' * (SIZE // 3) + b'",x\n',
    "quotes on many lines, never closed.csv": b'text,label\n"' + b'""\n' * (SIZE // 3) + b",x\n",
    "quotes and commas.csv": b"text,label\n" + b'"",' * (SIZE // 3) + b"x\n",
    "quotes inside of cells.csv": b"text,label\n" + b'a"' * (SIZE // 2) + b",x\n",
    "characters after quotes.csv": b"text,label\n" + b'"a"b,' * (SIZE // 5) + b"x\n",
    "commas.csv": b"text,label\n" + b"," * SIZE + b"x\n",
    "carriage returns.csv": b"text,label\n" + b"\r" * SIZE + b",x\n",
    "open brackets.jsonl": b'{"text": ' + b"[" * SIZE + b"\n",
    "lists.jsonl": b'{"text": [' + b"[]," * (SIZE // 3) + b"1]}\n",
    "brackets in a string that never ends.jsonl": b'{"text": "' + b'[\\"' * (SIZE // 3) + b"\n",
    "keys.jsonl": b'{"text": "a",' + b",".join(b'"%d":1' % key for key in range(SIZE // 10)) + b"}\n",
    "the same key twice.jsonl": b"{" + b",".join(b'"%d":1' % key for key in range(SIZE // 10)) + b',"9":1}\n',
    "escapes.jsonl": b'{"text": "' + b"\\ud83d\\ude00" * (SIZE // 12) + b'"}\n',
    "digits.jsonl": b'{"text": ' + b"9" * SIZE + b"}\n",
    "spaces.jsonl": b" " * SIZE + b'\n{"text": "a"}\n',
    "zero-width spaces.txt": "\u200b".encode() * (SIZE // 3) + b"\n",
}


@pytest.mark.parametrize("name", list(CASES))
def test_slow_rows_cost_at_most_a_second(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(CASES[name])
    interpret = ExampleReader(ReadSettings())
    gc.freeze()  # what other tests have left is not the row's
    start = time.process_time()
    num_rows = 0
    try:
        for row in read_records(path, ReadSettings()):
            num_rows += 1
            if isinstance(row, Record):
                interpret(row)
    except InputError:
        assert num_rows == 0
    else:
        assert num_rows == 1
    finally:
        seconds = time.process_time() - start
        gc.unfreeze()
    assert seconds < 1
