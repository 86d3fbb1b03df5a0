"""Runs read back from MLflow for overview, compare and promote, and which test rows each of them had right."""

import json
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, NamedTuple, Self

from textlstm.errors import InputError
from textlstm.tracking.registry import is_registry_address, resolve_run_id

if TYPE_CHECKING:
    from mlflow.entities import Run
    from mlflow.tracking import MlflowClient

# Which test rows a model had right, without their texts: what a later model is compared with.

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


TEST_PREFIX = "test/"
INPUT_TAG = "textlstm.input"
"""Tag of labelling jobs: what was labelled, as it was typed. The overview shows jobs of one input together."""
METRICS_FILE = "metrics.json"
_PAGE = 200


@dataclass(frozen=True, slots=True)
class TrackedRun:
    """One run."""

    run_id: str
    name: str
    stage: str
    status: str
    started: float
    """Seconds since the epoch."""
    seconds: float
    """Duration; of a run that goes on, so far."""
    metrics: Mapping[str, float]
    intervals: Mapping[str, tuple[float, float]]
    """Intervals of test figures by their name without `test/`."""
    params: Mapping[str, str]
    test_digest: str
    """sha256 of the test rows; empty where there were none."""
    test_name: str
    num_test_rows: int
    labels: tuple[str, ...]
    """Class names by label id; empty where the run has no evaluation."""
    parent: str = ""
    """Run that this one is a trial, a seed or a size of; empty for a run of its own."""
    artifacts: str = ""
    """Address of the run's artefacts."""
    labelled: str = ""
    """What a labelling job labelled, as it was typed; empty for other runs."""

    def figure(self, name: str) -> float | None:
        """Return a test figure such as `macro_f1`."""
        return self.metrics.get(TEST_PREFIX + name)


def load_runs(client: "MlflowClient", experiment: str, *, max_runs: int) -> list[TrackedRun]:
    """Return the newest runs of an experiment, newest first: up to `max_runs` labelling jobs, and as many others."""
    runs: list[TrackedRun] = []
    num_jobs = num_others = 0
    token: str | None = None
    # MLflow answers in pages; an empty token marks the last one.
    while num_others < max_runs:
        page = client.search_runs(
            [experiment], max_results=_PAGE, order_by=["attributes.start_time DESC"], page_token=token
        )
        for run in page:
            # Daily labelling must not push the trainings out.
            is_job = run.data.tags.get("textlstm.stage") == "label"
            num_jobs += is_job
            num_others += not is_job
            if (num_jobs if is_job else num_others) <= max_runs:
                runs.append(_to_tracked(client, run))
        token = page.token
        if not token:
            break
    return runs


def find_run(client: "MlflowClient", experiment: str, *, text: str) -> TrackedRun:
    """Return the run that `text` means: an id, its first 6 characters or more, a name, or a registry address.

    Raises:
        InputError: None, or more than one.
    """
    if is_registry_address(text):
        return _to_tracked(client, client.get_run(resolve_run_id(client, text)))
    found = [
        run
        for run in _all_runs(client, experiment)
        if text in (run.info.run_id, run.info.run_name) or (len(text) >= 6 and run.info.run_id.startswith(text))
    ]
    if not found:
        raise InputError(f"{text}: no such run in the experiment; give an id, its beginning, or a run's name")
    if len(found) > 1:
        choices = ", ".join(run.info.run_id[:8] for run in found[:10])
        raise InputError(f"{text}: {len(found)} runs are called that: {choices}; give the id")
    return _to_tracked(client, found[0])


def load_paired_rows(client: "MlflowClient", run_id: str) -> PairedRows:
    """Return which test rows the run's model had right.

    Raises:
        InputError: The run did not log that.
    """
    with TemporaryDirectory() as directory:
        path = _fetch(client, run_id, f"{PAIRED_FOLDER}/{PAIRED_FILE}", into=directory)
        if path is None:
            raise InputError(f"run {run_id[:8]} logged no {PAIRED_FILE}: it was not tested, so it cannot be compared")
        return PairedRows.read(path)


def _all_runs(client: "MlflowClient", experiment: str) -> "list[Run]":
    runs: list[Run] = []
    token: str | None = None
    while True:
        page = client.search_runs([experiment], max_results=1000, page_token=token)
        runs += page
        token = page.token
        if not token:
            return runs


def _to_tracked(client: "MlflowClient", run: "Run") -> TrackedRun:
    # The dataset with the context "test" is the test set; its profile holds the full digest and the number of rows.
    tests = [
        entry.dataset
        for entry in (run.inputs.dataset_inputs if run.inputs else [])
        if any(tag.key == "mlflow.data.context" and tag.value == "test" for tag in entry.tags)
    ]
    profile = json.loads(tests[0].profile or "{}") if tests else {}
    has_tests = any(name.startswith(TEST_PREFIX) for name in run.data.metrics)
    evaluation = _evaluation(client, run.info.run_id) if has_tests else {}
    ends = evaluation.get("intervals", {})
    return TrackedRun(
        run_id=run.info.run_id,
        name=run.info.run_name,
        stage=run.data.tags.get("textlstm.stage", ""),
        status=run.info.status,
        # MLflow counts in milliseconds.
        started=run.info.start_time / 1000,
        seconds=((run.info.end_time or time.time() * 1000) - run.info.start_time) / 1000,
        metrics=dict(run.data.metrics),
        # A figure without an interval has null for its ends.
        intervals={name: (float(low), float(high)) for name, (low, high) in ends.items() if low is not None},
        params=dict(run.data.params),
        test_digest=str(profile.get("sha256", "")),
        test_name=tests[0].name if tests else "",
        num_test_rows=int(profile.get("num_rows", 0)),
        labels=tuple(evaluation.get("per_class", {})),
        parent=run.data.tags.get("mlflow.parentRunId", ""),
        artifacts=run.info.artifact_uri or "",
        labelled=run.data.tags.get(INPUT_TAG, "") if run.data.tags.get("textlstm.stage") == "label" else "",
    )


def _evaluation(client: "MlflowClient", run_id: str) -> dict[str, Any]:
    """Return the run's `metrics.json`; empty where it has none."""
    with TemporaryDirectory() as directory:
        path = _fetch(client, run_id, f"{PAIRED_FOLDER}/{METRICS_FILE}", into=directory)
        content: Any = json.loads(path.read_text(encoding="utf-8")) if path else {}
    return content if isinstance(content, dict) else {}


def _fetch(client: "MlflowClient", run_id: str, artifact: str, *, into: str) -> Path | None:
    from mlflow.exceptions import MlflowException

    try:
        return Path(client.download_artifacts(run_id, artifact, into))
    except (MlflowException, OSError):
        return None
