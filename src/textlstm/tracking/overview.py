"""Where a team stands, as one page: `overview.html` in `tracking.dir`, and an artefact of the experiment."""

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from markupsafe import Markup

from textlstm.config import TrackingConfig
from textlstm.figure_text import drift_words, interval_text, percent_text, score_text
from textlstm.html_pages import fill_template
from textlstm.storage.files import atomic_file
from textlstm.tracking.registry import champion_of
from textlstm.tracking.store import Store, experiment_id, locate_store
from textlstm.tracking.tracked_runs import PAIRED_FOLDER, TrackedRun, load_runs
from textlstm.tracks import Scale, axis, interval_track

if TYPE_CHECKING:
    from mlflow.tracking import MlflowClient

# Ranks of runs: only runs on the same test rows are compared, and runs that chance cannot tell apart share a rank.

DECIDING_FIGURE = "macro_f1"


@dataclass(frozen=True, slots=True)
class Entry:
    """One run in the table."""

    rank: int
    """1 for the best run and all that chance cannot tell from it; the next group's rank counts all runs before it."""
    run: TrackedRun
    is_champion: bool


@dataclass(frozen=True, slots=True)
class Board:
    """The runs that were tested on the same rows, best first."""

    test_name: str
    test_digest: str
    num_rows: int
    entries: tuple[Entry, ...]


def make_boards(runs: Sequence[TrackedRun], *, champion_run_id: str) -> list[Board]:
    """Return one board a test set, the one with the newest run first.

    Runs without test figures are left out, and so are runs tested on rows that their model learned from, and the parts
    of other runs (seeds, sizes, trials). A run shares
    the rank of its group's best run while the best run's interval holds its value. Example: values .90 [.88, .92], .89,
    .87 give ranks 1, 1, 3.
    """
    # Runs come newest first, so the first digest is that of the newest tested run.
    digests = list(dict.fromkeys(run.test_digest for run in runs if _counts(run)))
    return [_board([run for run in runs if run.test_digest == digest], champion_run_id) for digest in digests]


def _board(runs: Sequence[TrackedRun], champion_run_id: str) -> Board:
    tested = [run for run in runs if _counts(run)]
    # Best first; of runs with equal values, the earlier one.
    ordered = sorted(tested, key=lambda run: (-_value(run), run.started))
    entries: list[Entry] = []
    rank, low = 1, _low(ordered[0])
    for index, run in enumerate(ordered):
        # Below the interval of the group's best run: a new group begins, and its rank counts all runs before it.
        if _value(run) < low:
            rank, low = index + 1, _low(run)
        entries.append(Entry(rank, run, run.run_id == champion_run_id))
    return Board(ordered[0].test_name, ordered[0].test_digest, ordered[0].num_test_rows, tuple(entries))


def _counts(run: TrackedRun) -> bool:
    """Return whether the run has test figures of rows that are new to its model."""
    is_new = (run.figure(SEEN) or 0.0) <= MOST_SEEN
    return run.figure(DECIDING_FIGURE) is not None and is_new and not run.parent


def _value(run: TrackedRun) -> float:
    value = run.figure(DECIDING_FIGURE)
    return -1.0 if value is None else value


def _low(run: TrackedRun) -> float:
    interval = run.intervals.get(DECIDING_FIGURE)
    return _value(run) if interval is None else interval[0]


SEEN, MOST_SEEN = "seen_in_training", 0.05
"""Figure and largest value of the share of test rows that a ranked model learned from: few texts repeat by nature."""
OVERVIEW_FILE = "overview.html"
_MAX_RUNS = 300


def keep_overview(config: TrackingConfig, client: "MlflowClient") -> Path:
    """Write the page of the experiment, log it beside the experiment's artefacts, and return its path.

    Raises:
        StorageError: The page cannot be written.
    """
    store = locate_store(config)
    experiment = experiment_id(client, store, name=config.experiment)
    runs = load_runs(client, experiment, max_runs=_MAX_RUNS)
    champion = champion_of(client, config.register) if config.register else None
    boards = make_boards(runs, champion_run_id=champion.run_id if champion else "")
    page = render_overview(
        boards,
        runs,
        experiment=config.experiment,
        champion=str(champion) if champion else "",
        now=time.time(),
        links={run.run_id: _links(run, store, experiment) for run in runs},
    )
    # The page is replaced as a whole, then copied to the experiment's artefacts.
    path = store.directory / OVERVIEW_FILE
    with atomic_file(path) as stream:
        stream.write(page.encode())
    _log_beside_experiment(client, experiment, path)
    return path


class Link(NamedTuple):
    """A page that belongs to a run."""

    name: str
    address: str


def _links(run: TrackedRun, store: Store, experiment: str) -> list[Link]:
    """Return the run's page where MLflow is a server, and its pages on this machine where they are here."""
    links = []
    if store.uri.startswith(("http://", "https://")):
        links.append(Link("run", f"{store.public_uri.rstrip('/')}/#/experiments/{experiment}/runs/{run.run_id}"))
    folder = Path(run.artifacts.removeprefix("file://")) / PAIRED_FOLDER if run.artifacts.startswith(_LOCAL) else None
    for name in _PAGES if folder is not None else ():
        if folder is not None and (folder / f"{name}.html").is_file():
            links.append(Link(name, (folder / f"{name}.html").absolute().as_uri()))
    return links


_LOCAL = ("/", "file://")
_PAGES = ("report", "explanations")


# Labelling jobs: the drift of one input over time.


class JobLine(NamedTuple):
    """One labelling job as the page shows it."""

    run: TrackedRun
    track: Markup
    drift: str
    abstained: str
    """Share of the rows whose decision is abstained."""
    words: str = ""
    """Whether the drift is strong; empty where it is not known."""
    moved: str = ""
    """The label whose share is most unlike that of the job before; empty where none moved by five points."""


def _job_lines(runs: Sequence[TrackedRun]) -> tuple[list[tuple[str, list[JobLine]]], Markup]:
    """Return the finished jobs of each input, newest first, the input with the newest job first, and their axis."""
    jobs = [run for run in runs if run.labelled and run.status == "FINISHED"]
    drifts = [run.metrics["labelling/drift"] for run in jobs if "labelling/drift" in run.metrics]
    # From zero, so that the distance from no drift can be compared down the page; the index has no upper end.
    scale = Scale.around([0.0, *drifts], most_ticks=7, most=max([1.0, *map(math.ceil, drifts)]))
    by_input: dict[str, list[JobLine]] = {}
    for run in jobs:
        drift = run.metrics.get("labelling/drift")
        track = Markup("") if drift is None else interval_track(drift, None, scale, kind="", title=f"drift {drift:.3f}")
        abstained = run.metrics.get("labelling/decision/abstained", 0.0)
        line = JobLine(run, track, "–" if drift is None else f"{drift:.3f}", percent_text(abstained), _words_of(drift))
        by_input.setdefault(run.labelled, []).append(line)
    shown = []
    for name, lines in by_input.items():
        # Newest first: the job before stands behind.
        earlier = [line.run for line in lines[1:]]
        moved = [_moved(line.run, before) for line, before in zip(lines, earlier, strict=False)]
        told = [line._replace(moved=words) for line, words in zip(lines, [*moved, ""], strict=True)]
        shown.append((name, told[:_MAX_JOBS]))
    return shown, axis(scale)


def _words_of(drift: float | None) -> str:
    return "" if drift is None else drift_words(drift)


def _moved(run: TrackedRun, before: TrackedRun) -> str:
    """Return the words for the label whose share differs most between two jobs; empty where it is next to nothing."""
    now, then = _label_shares(run), _label_shares(before)
    # A label that a job gave to no row is not among its figures.
    moves = {label: now.get(label, 0.0) - then.get(label, 0.0) for label in sorted(now.keys() | then.keys())}
    label = max(moves, key=lambda name: abs(moves[name]), default="")
    if not label or abs(moves[label]) < _LEAST_MOVE:
        return ""
    shares = percent_text(now.get(label, 0.0)), percent_text(then.get(label, 0.0))
    return f"{label} {shares[0]} of the rows, {shares[1]} in the job before"


def _label_shares(run: TrackedRun) -> dict[str, float]:
    shares = run.metrics.items()
    return {name.removeprefix(_SHARE): value for name, value in shares if name.startswith(_SHARE)}


_SHARE = "labelling/share/"
_LEAST_MOVE = 0.05


_MAX_JOBS = 30
"""Jobs of one input on the page."""


class RunLine(NamedTuple):
    """One run of a board as the page shows it."""

    entry: Entry
    track: Markup
    value: str
    interval: str
    links: Sequence[Link]


def render_overview(
    boards: Sequence[Board],
    runs: Sequence[TrackedRun],
    *,
    experiment: str,
    champion: str,
    now: float,
    links: Mapping[str, Sequence[Link]] | None = None,
) -> str:
    """Return the page as HTML; everything from outside is escaped, nothing is loaded and no script runs.

    All boards have one scale, so that lines can be compared down the whole page.

    Args:
        boards: what `make_boards` returned.
        runs: all runs, for the list of those that are not finished.
        experiment: name of the experiment.
        champion: name of the champion; empty without one.
        now: seconds since the epoch.
        links: pages of runs by run id.
    """
    shown = [entry.run for board in boards for entry in board.entries]
    ends = [end for run in shown for end in (_value(run), *run.intervals.get(DECIDING_FIGURE, ()))]
    scale = Scale.around(ends, most_ticks=7)
    jobs, job_axis = _job_lines(runs)
    values: dict[str, object] = {
        "jobs": jobs,
        "job_axis": job_axis,
        "boards": [(board, [_line(entry, scale, links or {}) for entry in board.entries]) for board in boards],
        "axis": axis(scale),
        "others": [run for run in runs if run.status != "FINISHED"],
        "experiment": experiment,
        "champion": champion,
        "now": now,
        "duration": _duration,
        "moment": lambda seconds: time.strftime("%Y-%m-%d %H:%M", time.gmtime(seconds)),
    }
    return fill_template("textlstm.tracking", "overview.html.jinja", style="overview.css", values=values)


def _line(entry: Entry, scale: Scale, links: Mapping[str, Sequence[Link]]) -> RunLine:
    run, value = entry.run, _value(entry.run)
    ends = run.intervals.get(DECIDING_FIGURE)
    return RunLine(
        entry,
        interval_track(
            value, ends, scale, kind="own" if entry.rank == 1 else "", title=f"macro-F1 {score_text(value)}"
        ),
        score_text(value),
        interval_text(*ends) if ends else "",
        links.get(run.run_id, ()),
    )


def _duration(seconds: float | None) -> str:
    if seconds is None:
        return "–"
    if seconds < 60:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"


def _log_beside_experiment(client: "MlflowClient", experiment: str, path: Path) -> None:
    from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

    # MLflow's client logs artefacts of runs only; those of an experiment go to its artefact store directly.
    location = client.get_experiment(experiment).artifact_location
    get_artifact_repository(location).log_artifact(str(path))
