"""Ids that occur twice, found on hashes and named from the stored rows."""

from array import array
from pathlib import Path

import numpy as np
import pyarrow as pa

MAX_NAMED = 10


def duplicate_id_problems(rows_path: Path, id_hashes: "array[int]") -> list[str]:
    """Return a line for each of the first rows whose id occurs earlier.

    Args:
        rows_path: Arrow stream of the rows with columns id, file and row.
        id_hashes: A 64-bit hash of each row's id, in the order of the rows.
    """
    _, first_index, id_of_row = np.unique(np.array(id_hashes, dtype=np.uint64), return_index=True, return_inverse=True)
    first_of_row = first_index[id_of_row]
    repeats = np.flatnonzero(first_of_row != np.arange(len(first_of_row)))
    if not len(repeats):
        return []
    named = [(int(first_of_row[index]), int(index)) for index in repeats[:MAX_NAMED]]
    rows = _rows_at(rows_path, {index for pair in named for index in pair})
    problems = []
    for first, again in named:
        (_, first_file, first_row), (row_id, file, row) = rows[first], rows[again]
        problems.append(
            f"{file}:{row}: the id {row_id[:80]!r} occurs already at {first_file}:{first_row}. "
            "Make ids unique, or leave data.id_column empty."
        )
    if len(repeats) > len(named):
        problems.append(f"and {len(repeats) - len(named):,} more rows with an id that occurs earlier.")
    return problems


def _rows_at(path: Path, wanted: set[int]) -> dict[int, tuple[str, str, int]]:
    found, start = {}, 0
    with pa.OSFile(str(path)) as stream, pa.ipc.open_stream(stream) as reader:
        for batch in reader:
            for index in wanted:
                if start <= index < start + batch.num_rows:
                    row = batch.slice(index - start, 1).to_pylist()[0]
                    found[index] = (row["id"], row["file"], row["row"])
            start += batch.num_rows
    return found
