"""The plan of a labelling job: which rows belong to which shard, and everything that decides the output's bytes.

Two jobs with the same `Plan.key` write the same bytes, whoever works on the shards and however often they are killed.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

from textlstm.config import FileFormat
from textlstm.corpus.rows.settings import Compression
from textlstm.corpus.rows.streams import FileState
from textlstm.errors import IntegrityError
from textlstm.storage.signed_json import DamagedJsonError, SignedJson, compact_json, sha256_of_json

# How the rows of an output stand in its file, as plain data that plans and requests to workers hold.


class RowFormat(NamedTuple):
    """Format and columns of an output."""

    format: FileFormat
    compression: Compression
    columns: tuple[str, ...]
    """Columns that come from the input, in order; the added ones follow. Rows of JSONL have their own."""
    schema: str = ""
    """Arrow schema of a Parquet input for a Parquet output (IPC message, base64); empty: all are strings."""

    @classmethod
    def from_plain(cls, values: Sequence[Any]) -> "RowFormat":
        """Return the format from the JSON list of its values."""
        format, compression, columns, schema = values
        return cls(FileFormat(format), Compression(compression), tuple(columns), schema)


PLAN_FORMAT = 1
"""Raised whenever the meaning of a stored plan changes."""


class InputFile(NamedTuple):
    """One file to label."""

    name: str
    """As the user gave it; stands in rejects and in the manifest."""
    path: str
    """Absolute path or URL of the bytes that shards read: the file, or its unpacked copy in the work folder."""
    format: FileFormat
    encoding: str
    """Of those bytes."""
    sha256: str
    """Of the file as the user gave it, packed or not."""
    num_bytes: int
    """Size of the file as the user gave it."""
    state: FileState | None
    """What `path` was when it was planned; a worker that finds another state refuses it."""
    prefix_sha256: str = ""
    """Of as many first bytes as an earlier output was made from; empty where there were none, or not so many."""

    @classmethod
    def from_plain(cls, values: Sequence[Any]) -> "InputFile":
        """Return the file from the JSON list of its values."""
        name, path, format, encoding, sha256, num_bytes, state, *prefix = values  # plans of earlier versions have none
        file_state = None if state is None else FileState(*state)
        return cls(name, path, FileFormat(format), encoding, sha256, num_bytes, file_state, *prefix)


class Shard(NamedTuple):
    """Rows that one worker labels at once: a range of one file."""

    number: int
    file: int
    """Index of the input file."""
    first_row: int
    """Number of the first row in its file, 1 for the first data row."""
    last_row: int
    offset: int
    """Byte of the unpacked file at which the first row starts; -1 where the format has none (Parquet)."""

    @property
    def num_rows(self) -> int:
        """Rows of the range, those among them that will be rejected."""
        return self.last_row - self.first_row + 1


@dataclass(frozen=True, slots=True)
class Plan:
    """All shards of a job, in the order of the output."""

    inputs: tuple[InputFile, ...]
    shards: tuple[Shard, ...]
    output: RowFormat
    model: str
    """sha256 that stands for the model's files."""
    settings: Mapping[str, Any]
    """Settings that change the output's bytes."""
    libraries: Mapping[str, str]
    """Versions of the libraries that compute labels."""
    earlier: str = ""
    """sha256 of the manifest of the output whose labels are kept; empty: every row is labelled."""

    @property
    def num_rows(self) -> int:
        """Rows of all inputs, rejects among them."""
        return sum(shard.num_rows for shard in self.shards)

    @property
    def key(self) -> str:
        """sha256 (hex) of everything that decides the output's bytes."""
        parts = {name: sha256_of_json(part, compact_json) for name, part in self.parts().items()}
        return sha256_of_json(parts, compact_json)

    def parts(self) -> dict[str, Any]:
        """Return what decides the output, by the name under which a change of it is reported."""
        # The entry is absent where nothing is kept, so that jobs of earlier versions go on.
        earlier = {"earlier output": self.earlier} if self.earlier else {}
        return {
            # Path, size and state are left out: the same bytes under the same name give the same output.
            "input": [[file.name, file.format, file.encoding, file.sha256] for file in self.inputs],
            "shards": [list(shard) for shard in self.shards],
            "output format": self.output,
            "model": self.model,
            "settings": dict(self.settings),
            "library versions": dict(self.libraries),
            "plan format": PLAN_FORMAT,
            **earlier,
        }

    def changes_since(self, earlier: "Plan") -> list[str]:
        """Return the names of what differs from an `earlier` plan of the same output, most telling first."""
        mine, theirs = self.parts(), earlier.parts()
        both = {**mine, **theirs}
        names = [name for name in both if compact_json(mine.get(name)) != compact_json(theirs.get(name))]
        # Shards follow from inputs and settings, so they are named only where nothing else differs.
        return [name for name in names if name != "shards"] or names

    def to_json(self) -> bytes:
        """Return the plan with its own sha256, as `from_json` reads it."""
        return signed("plan", asdict(self))

    @classmethod
    def from_json(cls, raw: bytes, *, address: str) -> "Plan":
        """Return the plan that `to_json` wrote; `address` stands in errors.

        Raises:
            IntegrityError: The bytes were changed.
        """
        body = checked_body(raw, "plan", address=address)
        return cls(
            inputs=tuple(map(InputFile.from_plain, body["inputs"])),
            shards=tuple(Shard(*shard) for shard in body["shards"]),
            output=RowFormat.from_plain(body["output"]),
            model=body["model"],
            settings=body["settings"],
            libraries=body["libraries"],
            earlier=body.get("earlier", ""),
        )


def signed(name: str, body: object) -> bytes:
    """Return `body` as JSON under `name`, with its own sha256 beside it."""
    return SignedJson("sha256", compact_json, body=name).to_bytes(body)


def checked_body(raw: bytes, name: str, *, address: str) -> Any:
    """Return what `signed` wrote.

    Raises:
        IntegrityError: Any byte was changed.
    """
    try:
        return SignedJson("sha256", compact_json, body=name).from_bytes(raw)
    except DamagedJsonError as error:
        raise IntegrityError(f"{address}: damaged; run again with overwrite=true to start anew") from error
