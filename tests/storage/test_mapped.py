"""Files as memory."""

import pickle
from pathlib import Path

import numpy as np
import psutil

from textlstm.storage.mapped import MappedFile


def test_an_array_in_a_file_stays_whole_when_its_memory_is_given_back(tmp_path: Path) -> None:
    numbers = np.arange(4_000_000, dtype=np.int32)
    path = tmp_path / "numbers"
    path.write_bytes(numbers.tobytes())
    file = MappedFile(path)
    mapped = np.frombuffer(file.bytes, np.int32)
    path.unlink()
    process = psutil.Process()
    before = process.memory_info().rss
    assert int(mapped.sum(dtype=np.int64)) == int(numbers.sum(dtype=np.int64))
    read = process.memory_info().rss
    file.release()
    released = process.memory_info().rss
    # 16 MB came with the sum, and went.
    assert read - before > 12_000_000
    assert released - before < 4_000_000
    assert (mapped == numbers).all()
    assert mapped.flags.writeable


def test_a_pickled_file_is_mapped_anew(tmp_path: Path) -> None:
    path = tmp_path / "bytes"
    path.write_bytes(b"abc")
    found = pickle.loads(pickle.dumps(MappedFile(path)))
    assert found.bytes[:] == b"abc"
