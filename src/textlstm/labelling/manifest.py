"""`OUT.manifest.json`: where every label of an output comes from, as plain JSON with its own sha256."""

import os
import platform
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from textlstm.config import LabelConfig
from textlstm.errors import IntegrityError
from textlstm.labelling.journal import ShardRecord
from textlstm.labelling.model import ModelCard
from textlstm.labelling.plan import Plan
from textlstm.storage.signed_json import DamagedJsonError, SignedJson, readable_json_with_escapes

MANIFEST_FORMAT = 1
_SIGNED = SignedJson("manifest_sha256", readable_json_with_escapes)


@dataclass(frozen=True, slots=True)
class Manifest:
    """The lineage of one labelled file."""

    manifest_format: int
    output: dict[str, Any]
    """sha256, bytes, rows, rejects, format and compression of the output."""
    inputs: list[dict[str, Any]]
    """name, absolute path, format, encoding, sha256 and bytes of each input, in the order of the output."""
    shards: list[list[int]]
    """[input, first row, last row, byte offset, rows in the output, rejects] of each shard, in order."""
    model: dict[str, Any]
    """Folder, digest, spaCy model, and the provenance that training recorded (run id, data digests, commit)."""
    config: dict[str, Any]
    """All settings of the job."""
    text_column: str
    counts: dict[str, Any]
    """Rows by label and by decision."""
    libraries: dict[str, str]
    machine: dict[str, Any]
    plan: str
    """Key of everything that decides the output's bytes."""
    finished: str
    """Time, UTC, ISO 8601."""
    parts: list[dict[str, Any]] = field(default_factory=list)
    """Of each shard: size of its part in the output (bytes, or row groups of Parquet), counts, and `jobs`, runs of
    [job, rows] where not all rows were labelled by this job. Manifests of earlier versions have none."""
    earlier: list[dict[str, Any]] = field(default_factory=list)
    """Jobs before this one whose labels were kept, newest first: [0] is job 1 of `jobs`."""

    @classmethod
    def of_job(
        cls,
        plan: Plan,
        records: Sequence[ShardRecord],
        card: ModelCard,
        *,
        config: LabelConfig,
        model_dir: Path,
        sha256: str,
        num_bytes: int,
        sizes: Sequence[int],
        earlier: Sequence[dict[str, Any]] = (),
    ) -> "Manifest":
        """Return the manifest of a finished job.

        `sha256` and `num_bytes` are those of the output file, `sizes` those of its parts; `earlier` are the jobs that
        it goes back to.
        """
        # The last job stays in any case, others only where rows are left that they labelled.
        used = sorted({1, *(job for record in records for job, _ in record.jobs if job)}) if earlier else []
        numbers = {0: 0, **{job: number for number, job in enumerate(used, 1)}}
        labels: Counter[str] = Counter()
        decisions: Counter[str] = Counter()
        for record in records:
            labels.update(record.labels)
            decisions.update(record.decisions)
        return cls(
            manifest_format=MANIFEST_FORMAT,
            output={
                "sha256": sha256,
                "num_bytes": num_bytes,
                "num_rows": sum(record.num_rows for record in records),
                "num_rejects": sum(record.num_rejects for record in records),
                "format": plan.output.format,
                "compression": plan.output.compression,
                "columns": list(plan.output.columns),
                "schema": plan.output.schema,
            },
            inputs=[
                {
                    "name": file.name,
                    "path": str(Path(file.name).absolute()),
                    "format": file.format,
                    "encoding": file.encoding,
                    "sha256": file.sha256,
                    "num_bytes": file.num_bytes,
                }
                for file in plan.inputs
            ],
            shards=[
                [shard.file, shard.first_row, shard.last_row, shard.offset, record.num_rows, record.num_rejects]
                for shard, record in zip(plan.shards, records, strict=True)
            ],
            model={
                "directory": str(model_dir.absolute()),
                "address": config.model_dir,
                "digest": card.digest,
                "spacy_model": card.spacy_model,
                "provenance": dict(card.provenance or {}),
            },
            config=asdict(config),
            text_column=plan.settings["text_column"],
            counts={"labels": dict(sorted(labels.items())), "decisions": dict(sorted(decisions.items()))},
            libraries=dict(plan.libraries),
            machine={
                # platform.platform() would start a process to ask for the same
                "platform": f"{platform.system()}-{platform.release()}-{platform.machine()}",
                "python": platform.python_version(),
                "cores": os.cpu_count(),
            },
            plan=plan.key,
            finished=datetime.now(UTC).isoformat(timespec="seconds"),
            parts=[
                {
                    "size": size,
                    "labels": dict(record.labels),
                    "decisions": dict(record.decisions),
                    "confidence_sum": record.confidence_sum,
                    "num_seen": record.num_seen,
                    "jobs": [[numbers[job], rows] for job, rows in record.jobs],
                }
                for record, size in zip(records, sizes, strict=True)
            ],
            earlier=[earlier[job - 1] for job in used],
        )

    def to_json(self) -> bytes:
        """Return the manifest as JSON with its own sha256."""
        return _SIGNED.to_bytes(asdict(self))

    @classmethod
    def from_json(cls, raw: bytes, *, address: str) -> "Manifest":
        """Return the manifest that `to_json` wrote; `address` stands in errors.

        Raises:
            IntegrityError: The bytes were changed, or another version wrote them.
        """
        try:
            content = _SIGNED.from_bytes(raw)
        except DamagedJsonError as error:
            raise IntegrityError(f"{address}: damaged; label the input again to get a new manifest") from error
        # Manifests of earlier versions lack the last two.
        names = set(content) | {"parts", "earlier"}
        if names != {one.name for one in fields(cls)} or content["manifest_format"] != MANIFEST_FORMAT:
            raise IntegrityError(f"{address}: written by another version of textlstm; label the input again")
        return cls(**content)
