"""The last step of a job: check the sums, then make rejects, manifest and output visible, the output last."""

from collections.abc import Sequence
from pathlib import Path

from textlstm.config import LabelConfig
from textlstm.errors import InputError, IntegrityError
from textlstm.labelling.classifier import ModelCard
from textlstm.labelling.columns import AddedColumns
from textlstm.labelling.digest_stream import DigestStream
from textlstm.labelling.journal import Journal, ShardRecord
from textlstm.labelling.manifest import Manifest
from textlstm.labelling.plan import Plan
from textlstm.labelling.planning import sha256_of_input
from textlstm.labelling.sinks import join_parts
from textlstm.labelling.target import Target


def commit_output(
    plan: Plan,
    records: Sequence[ShardRecord],
    journal: Journal,
    card: ModelCard,
    *,
    config: LabelConfig,
    model_dir: Path,
    target: Target,
) -> None:
    """Write the finished files of a job whose shards are all done, and remove its work folder.

    A kill at any moment leaves the output as it was or complete; the same command then finishes the job.

    Raises:
        InputError: An input changed while the job ran.
        IntegrityError: A part does not match its record, or rows are missing.
        StorageError: A file cannot be written.
    """
    _check_inputs(plan)
    added = AddedColumns(config.labelling, card.labels)
    store = target.store
    num_rejects = sum(record.num_rejects for record in records)
    if sum(record.num_rows for record in records) + num_rejects != plan.num_rows:
        raise IntegrityError(f"{target.work}: rows out and rejects are not the {plan.num_rows:,} rows in")
    with store.create(target.name, scratch=target.scratch) as raw:
        stream = DigestStream(raw)
        join_parts(stream, records, journal, output=plan.output, added=added, settings=config.labelling)
        stream.flush()
        if num_rejects:
            with store.create(target.rejects, scratch=target.scratch) as rejects:
                for record in records:
                    rejects.write(journal.read_rejects(record))
        else:
            store.remove(target.rejects)
        manifest = Manifest.of_job(
            plan, records, card, config=config, model_dir=model_dir, sha256=stream.sha256, num_bytes=stream.num_bytes
        )
        with store.create(target.manifest, scratch=target.scratch) as file:
            file.write(manifest.to_json())
    store.remove_folder(target.work)


def _check_inputs(plan: Plan) -> None:
    """Refuse to finish when an input is no longer what was planned."""
    changed = []
    for file in plan.inputs:
        path = Path(file.name)
        if (path.is_file() or path.is_dir()) and sha256_of_input(path) != file.sha256:
            changed.append(f"{file.name}: changed while it was labelled; run the same command with overwrite=true")
        elif file.state is not None and not path.exists():
            changed.append(f"{file.name}: vanished while it was labelled; bring it back and run the same command")
    if changed:
        raise InputError(*changed)
