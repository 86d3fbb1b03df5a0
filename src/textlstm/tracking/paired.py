"""Which test rows a model had right, without their texts: what a later model is compared with."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, Self

from textlstm.errors import InputError

PAIRED_FILE = "paired.parquet"
PAIRED_FOLDER = "evaluation"
_DIGEST_KEY = b"textlstm.digest"
_COLUMNS = ("id", "correct", "label_id", "predicted_id")


class Contrast(NamedTuple):
    """Two models on the same rows."""

    num_rows: int
    won: tuple[str, ...]
    """Ids of the rows that only the first model has right."""
    lost: tuple[str, ...]
    """Ids of the rows that only the second model has right."""
    by_class: dict[int, tuple[int, int]]
    """Rows won and lost of each label id that has any."""


@dataclass(frozen=True, slots=True)
class PairedRows:
    """N test rows with the answers of a model."""

    ids: Sequence[str]
    correct: Sequence[bool]
    label_ids: Sequence[int]
    """Index into the model's labels; -1 for a label it does not know, or several labels."""
    predicted_ids: Sequence[int]
    """Index into the model's labels; -1 for several labels."""
    digest: str
    """sha256 of the rows: models are compared only where it is equal."""

    def write(self, path: Path) -> None:
        """Write the rows as Parquet with columns id, correct, label_id, predicted_id."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        table = pa.table(
            {
                "id": pa.array([str(identifier) for identifier in self.ids], pa.string()),
                "correct": pa.array([bool(value) for value in self.correct], pa.bool_()),
                "label_id": pa.array([int(value) for value in self.label_ids], pa.int32()),
                "predicted_id": pa.array([int(value) for value in self.predicted_ids], pa.int32()),
            }
        )
        # The digest stands in the schema of the file, so the file alone can be compared.
        pq.write_table(table.replace_schema_metadata({_DIGEST_KEY: self.digest.encode()}), path)

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read what `write` wrote.

        Raises:
            InputError: The file is no such table.
        """
        import pyarrow as pa
        import pyarrow.parquet as pq

        try:
            table = pq.read_table(path)
            ids, correct, label_ids, predicted_ids = (table.column(name).to_pylist() for name in _COLUMNS)
        except (pa.ArrowInvalid, KeyError) as error:
            raise InputError(f"{path}: expected Parquet with columns {', '.join(_COLUMNS)}: {error}") from error
        digest = (table.schema.metadata or {}).get(_DIGEST_KEY, b"").decode()
        return cls(ids, correct, label_ids, predicted_ids, digest)

    def against(self, other: "PairedRows") -> Contrast:
        """Return the rows that only one of the two models has right.

        Raises:
            InputError: The models were tested on different rows.
        """
        # Pairs need the same rows in the same order.
        if not self.digest or self.digest != other.digest or list(self.ids) != list(other.ids):
            raise InputError(
                "the two models were tested on different rows, so that no paired test is possible; "
                "train or evaluate both on the same test data"
            )
        rows = list(zip(self.ids, self.correct, other.correct, self.label_ids, strict=True))
        # Only rows on which the two models differ count in a paired test.
        won = [(identifier, label_id) for identifier, mine, theirs, label_id in rows if mine and not theirs]
        lost = [(identifier, label_id) for identifier, mine, theirs, label_id in rows if theirs and not mine]
        num_won, num_lost = (Counter(label_id for _, label_id in part) for part in (won, lost))
        by_class = {label_id: (num_won[label_id], num_lost[label_id]) for label_id in sorted({*num_won, *num_lost})}
        ids_won, ids_lost = (tuple(identifier for identifier, _ in part) for part in (won, lost))
        return Contrast(len(rows), ids_won, ids_lost, by_class)
