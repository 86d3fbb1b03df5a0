"""The shipped experiments on their corpora: where the files are, trainings that are done once, what they had right.

Corpora are found through TEXTLSTM_CORPORA (bbc comes from an installed package).
"""

import gzip
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow.parquet as pq

ROOT = Path(__file__).resolve().parent.parent
BENCH = ROOT / ".bench"
TRAININGS = BENCH / "results"
"""Trainings of the experiments as they are shipped, CORPUS/seed-N; several programs read them."""
FOLDERS = {"clinc150": "clinc150_oos"}
"""Folder of a corpus where it is not named as the corpus."""
RESAMPLES = 10_000


class Difference(NamedTuple):
    """A mean of row differences and its 95 % interval."""

    mean: float
    low: float
    high: float

    @property
    def is_beyond_chance(self) -> bool:
        """Whether 0 lies outside of the interval."""
        return self.low > 0 or self.high < 0

    def in_points(self) -> str:
        """Return it in percentage points, bold where it is beyond chance."""
        mean, low, high = (100 * value for value in self)
        mark = "**" if self.is_beyond_chance else ""
        return f"{mark}{mean:+.2f} [{low:+.2f}, {high:+.2f}]{mark}"


def found_corpora(names: Sequence[str]) -> Iterator[tuple[str, list[str]]]:
    """Yield each corpus whose files are here with its data settings; say which are skipped."""
    for name in names:
        settings = data_settings(name)
        if settings is None:
            print(f"{name}: skipped, its files are not under TEXTLSTM_CORPORA", file=sys.stderr)
        else:
            yield name, settings


def corpora_dir() -> Path:
    """Return the folder of the corpora."""
    return Path(os.environ.get("TEXTLSTM_CORPORA", ROOT.parent / "shared" / "data"))


def data_settings(corpus: str) -> list[str] | None:
    """Return the data settings of a corpus, or None where its files are absent."""
    if corpus == "bbc":
        return []
    folder = corpora_dir() / FOLDERS.get(corpus, corpus)
    if not folder.is_dir():
        return None
    files = {name: folder / f"{name}.jsonl.gz" for name in ("train", "validation", "test")}
    if corpus == "clinc150":
        files = {name: without_out_of_scope(path) for name, path in files.items()}
    given = [f"data.{name}={path}" for name, path in files.items() if path.exists()]
    return ["data=files", "data.drop_leaked=true", *given]


def without_out_of_scope(path: Path) -> Path:
    """Return a copy of a CLINC150 file without the out-of-scope rows."""
    target = TRAININGS / "clinc150" / path.name.removesuffix(".gz")
    target.parent.mkdir(parents=True, exist_ok=True)
    with gzip.open(path, "rt", encoding="utf-8") as source:
        rows = [line for line in source if json.loads(line)["label"] != "oos"]
    target.write_text("".join(rows), encoding="utf-8")
    return target


def experiment_settings(corpus: str, data: Sequence[str], *, seed: int, prepared_dir: Path) -> list[str]:
    """Return the settings of stage train for one seed of the experiment of a corpus."""
    return [f"experiment={corpus}", *data, f"seed={seed}", f"prepared_dir={prepared_dir}", "tracking=off"]


def is_trained(model: Path) -> bool:
    """Return whether `train_once` is done with `model`."""
    return (model.with_name(f"{model.name}-evaluation") / "seconds.json").exists()


def train_once(model: Path, settings: Sequence[str]) -> Path:
    """Run `textlstm train` into `model` unless that was done; return the evaluation folder beside it."""
    evaluation = model.with_name(f"{model.name}-evaluation")
    if not is_trained(model):
        command = [sys.executable, "-m", "textlstm", "train", *settings, f"output_dir={model}", "overwrite=true"]
        started = time.perf_counter()
        subprocess.run([*command, "evaluation.report=false"], check=True, stdout=subprocess.DEVNULL)
        (evaluation / "seconds.json").write_text(json.dumps(time.perf_counter() - started))
    return evaluation


def correct_rows(evaluation: Path, *, column: str = "predicted_label") -> np.ndarray:
    """Return (N,) whether `column` names the label of each test row.

    Raises:
        SystemExit: the rows say another accuracy than metrics.json.
    """
    rows = pq.read_table(evaluation / "predictions.parquet")
    correct: np.ndarray = np.equal(rows.column(column).to_pylist(), rows.column("label").to_pylist())
    accuracy = json.loads((evaluation / "metrics.json").read_text(encoding="utf-8"))["accuracy"]
    if column == "predicted_label" and abs(correct.mean() - accuracy) > 1e-9:
        raise SystemExit(f"{evaluation}: predictions and metrics disagree")
    return correct


def paired_difference(rows: np.ndarray) -> Difference:
    """Return the mean of (N,) row differences with the 95 % percentile bootstrap interval over rows."""
    random = np.random.default_rng(0)
    count = len(rows)
    means = [float(rows[random.integers(0, count, count)].mean()) for _ in range(RESAMPLES)]
    low, high = np.percentile(means, [2.5, 97.5])
    return Difference(float(rows.mean()), float(low), float(high))


def spread(values: list[float]) -> str:
    """Return mean ± standard deviation of fractions, in %."""
    deviation = statistics.stdev(values) if len(values) > 1 else 0.0
    return f"{100 * statistics.mean(values):.2f} ±{100 * deviation:.2f}"


def publish(page: str, output: str, *, section: str = "") -> None:
    """Print a page and write it to `output` where one is named.

    With `section`, what lies between the marks of that section in the file is replaced; the rest stays as it is.

    Raises:
        SystemExit: the file does not have the marks.
    """
    print(page)
    if not output:
        return
    path = Path(output)
    if section and path.exists():
        begin, end = f"<!-- {section} -->\n", f"<!-- end of {section} -->\n"
        before, mark, rest = path.read_text(encoding="utf-8").partition(begin)
        _, closing, after = rest.partition(end)
        if not (mark and closing):
            raise SystemExit(f"{path}: no lines {begin.strip()} and {end.strip()} to write between")
        page = f"{before}{begin}\n{page.strip()}\n\n{end}{after}"
    path.write_text(page, encoding="utf-8")
