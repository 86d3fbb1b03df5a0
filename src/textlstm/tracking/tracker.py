"""What a stage may say about its run; the kind here listens to nothing."""

from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

from textlstm.tracking.paired import PairedRows


class Tracker:
    """A run that is not tracked: every call is accepted and costs nothing. `open_run` gives the kind that is needed."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """End the run."""

    @property
    def run_id(self) -> str | None:
        """MLflow's id of the run; None when it is not tracked or MLflow has not answered."""
        return None

    @property
    def resume_key(self) -> str | None:
        """What `open_run(resume_run_id=...)` takes to continue this run; known even when MLflow does not answer."""
        return None

    def log_params(self, settings: Mapping[str, object]) -> None:
        """Log nested settings as flat parameters, and whole as artefact `config.json`."""

    def log_metrics(self, metrics: Mapping[str, float], *, step: int | None = None) -> None:
        """Log figures; with `step`, a point of each curve. Names may hold `/` as separator and any character."""

    def log_artifact(self, path: Path, *, folder: str = "", holds_text: bool = False) -> None:
        """Log a file, or what is in a folder, into the artefact folder `folder`.

        One that holds texts of rows is logged only where `tracking.log_text` allows it.
        """

    def log_dataset(self, name: str, *, context: str, digest: str, num_rows: int, source: str) -> None:
        """Log a dataset that the run read; `context` is train, validation or test, `digest` a sha256."""

    def log_paired_rows(self, rows: PairedRows) -> None:
        """Log which test rows were right, for later paired tests (`promote`, `compare`)."""

    def set_tags(self, tags: Mapping[str, str]) -> None:
        """Set tags of the run."""

    def log_model(self, bundle_dir: Path, *, tags: Mapping[str, str] | None = None) -> None:
        """Log a saved-model folder and register it; `summary` names the version after the run has ended."""

    def summary(self) -> tuple[str, ...]:
        """Return lines for the screen; call it after the run has ended."""
        return ()
