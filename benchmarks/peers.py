"""textlstm and its peers side by side: training, labelling, start-up and one row, whole processes in alternating order.

    python benchmarks/peers.py [--corpora NAME ...] [--systems NAME ...] [--rounds N] [--limit-rows N] [--seconds N]
                               [--repeat-below N] [--output FILE]

Every system gets the same train rows and labels the same test rows into a file of the same form. In each round every
system runs once, in an order that turns from round to round; a system whose turn took longer than `--repeat-below` is
not repeated. A training that takes longer than `--seconds` is stopped, and not tried on corpora of more characters; the
table says so. Peers have an environment of their own (`make bench-peers`) and their settings in their file
under label_peers/. textlstm runs with its defaults, once without parts of speech, and once with the network, words and
epochs of the Keras peer; its training scores the test rows too.
"""

import argparse
import json
import os
import shutil
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

import numpy as np

from peer_environments import left_out, python_of
from peer_rows import CORPORA, Rows, Scored, median_and_spread, score, write_rows
from processes import Measured, run, size_of

ROOT = Path(__file__).resolve().parent.parent
WORK = ROOT / ".bench" / "peers"
SCRIPTS = Path(__file__).resolve().parent / "label_peers"
LATENCY = Path(__file__).resolve().parent / "peer_latency.py"
LABEL_SECONDS = 300.0


@dataclass(frozen=True, slots=True)
class System:
    """One way to classify texts."""

    name: str
    script: str
    """File of label_peers/."""
    environment: str = ""
    """Folder under .peers; empty: the project's own environment."""
    settings: tuple[str, ...] = ()
    """Of textlstm."""
    is_neural: bool = False

    @property
    def folder(self) -> str:
        """Where its model and output lie, among those of a corpus."""
        return self.name.replace(" ", "_").replace("=", "_")

    @property
    def is_ours(self) -> bool:
        """Whether the command is textlstm's."""
        return self.script == "textlstm_row.py"

    @property
    def python(self) -> str:
        """The interpreter that it runs in."""
        return python_of(self.environment) if self.environment else sys.executable


KERAS_NETWORK = (
    *("text=fast", "model.hidden_size=64", "model.embedding_size=100", "model.max_tokens=100"),
    *("training.epochs=4", "training.batch_size=64"),
)
"""What the file of the Keras peer sets, as settings of textlstm."""

SYSTEMS = (
    System("textlstm", "textlstm_row.py", is_neural=True),
    System("textlstm text=fast", "textlstm_row.py", settings=("text=fast",), is_neural=True),
    System("textlstm, Keras' network", "textlstm_row.py", settings=KERAS_NETWORK, is_neural=True),
    System("TF-IDF + LinearSVC", "linear_svc.py"),
    System("fastText", "fasttext_100.py", environment="fasttext"),
    System("spaCy textcat BOW", "spacy_bow.py"),
    System("spaCy textcat ensemble", "spacy_ensemble.py", is_neural=True),
    System("Keras BiLSTM", "keras_bilstm.py", environment="keras", is_neural=True),
    System("Flair BiLSTM", "flair_bilstm.py", environment="flair", is_neural=True),
    System("Ludwig BiLSTM", "ludwig_bilstm.py", environment="ludwig", is_neural=True),
)


@dataclass(slots=True)
class Figures:
    """What was measured of one system on one corpus, a value a round."""

    train: list[Measured] = field(default_factory=list)
    label: list[Measured] = field(default_factory=list)
    start: list[Measured] = field(default_factory=list)
    row_ms: list[float] = field(default_factory=list)
    row_p95_ms: list[float] = field(default_factory=list)
    model_megabytes: float = 0.0
    scored: Scored | None = None
    turn_seconds: float = 0.0
    """What its last turn took, all steps together."""
    problem: str = ""
    """Why there are no more figures."""
    timed_out: bool = False
    """Whether the problem is that training took too long."""


def main() -> int:
    """Measure, print the tables, write them where asked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--corpora", nargs="*", default=list(CORPORA), choices=CORPORA)
    parser.add_argument("--systems", nargs="*", default=[], help="parts of names; none: all")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--limit-rows", type=int, default=0, help="rows of each split, for a trial; 0: as documented")
    parser.add_argument("--seconds", type=float, default=300.0, help="longest training")
    parser.add_argument("--repeat-below", type=float, default=float("inf"), help="longest turn that is repeated")
    parser.add_argument("--output", type=Path)
    arguments = parser.parse_args()
    corpora = Path(os.environ.get("TEXTLSTM_CORPORA", ROOT.parent / "shared" / "data"))
    chosen = [one for one in SYSTEMS if not arguments.systems or any(part in one.name for part in arguments.systems)]
    pages = []
    found = []
    for name in arguments.corpora:
        rows = write_rows(name, corpora, WORK / name, limit=arguments.limit_rows)
        if rows is None:
            pages.append(f"### {name}\n\nskipped: no {name} under TEXTLSTM_CORPORA")
            print(pages[-1] + "\n", flush=True)
        else:
            found.append(rows)
    stopped: dict[str, str] = {}
    for rows in sorted(found, key=lambda one: one.train.stat().st_size):
        figures = measure_corpus(
            rows,
            chosen,
            rounds=arguments.rounds,
            seconds=arguments.seconds,
            repeat_below=arguments.repeat_below,
            stopped=stopped,
        )
        stopped |= {name: rows.name for name, one in figures.items() if one.timed_out}
        pages.append(table(rows, figures, seconds=arguments.seconds))
        print(pages[-1] + "\n", flush=True)
    if arguments.output:
        arguments.output.write_text("\n\n".join(pages) + "\n", encoding="utf-8")
    return 0


def measure_corpus(
    rows: Rows,
    systems: list[System],
    *,
    rounds: int,
    seconds: float,
    repeat_below: float = float("inf"),
    stopped: Mapping[str, str] = MappingProxyType({}),
) -> dict[str, Figures]:
    """Return the figures of every system, measured in turns.

    Args:
        rows: The corpus.
        systems: In the order of the first round.
        rounds: How often a system runs at most.
        seconds: Longest training.
        repeat_below: Seconds; a system whose turn took longer is not repeated.
        stopped: For systems whose training took too long on a smaller corpus, its name; they are not tried.
    """
    figures = {system.name: Figures(problem=why_not(system, stopped, seconds)) for system in systems}
    for number in range(rounds):
        turn = number % len(systems)
        for system in [*systems[turn:], *systems[:turn]]:
            its_figures = figures[system.name]
            if not its_figures.problem and (number == 0 or its_figures.turn_seconds < repeat_below):
                started = time.perf_counter()
                measure(system, rows, its_figures, seconds=seconds)
                its_figures.turn_seconds = time.perf_counter() - started
                what = its_figures.problem or f"{its_figures.turn_seconds:.0f} s"
                print(f"{rows.name}, round {number + 1}: {system.name} {what}", file=sys.stderr)
    return figures


def why_not(system: System, stopped: Mapping[str, str], seconds: float) -> str:
    """Return why a system is not run on a corpus, or ""."""
    if system.name in stopped:
        return f"not tried: training stopped after {seconds:.0f} s on {stopped[system.name]}, which is smaller"
    return left_out(system.environment) if system.environment else ""


def measure(system: System, rows: Rows, figures: Figures, *, seconds: float) -> None:
    """Train, label, start and ask for single rows once; a failure ends this system's part on this corpus."""
    work = WORK / rows.name / system.folder
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    model, out = work / "model", work / "out.jsonl"
    one = rows.test.with_name("one.jsonl")
    steps = [
        (figures.train, train_command(system, rows, model), seconds),
        (figures.label, label_command(system, model, rows.test, out), LABEL_SECONDS),
        (figures.start, label_command(system, model, one, work / "one-out.jsonl"), LABEL_SECONDS),
    ]
    for found, command, limit in steps:
        done = run(command, limit_seconds=limit, work=work)
        if done.timed_out or done.exit_code:
            verb = "training" if found is figures.train else "labelling"
            said = (done.output.strip().splitlines() or [""])[-1][:200]
            figures.problem = f"{verb} stopped after {limit:.0f} s" if done.timed_out else f"{verb} failed: {said}"
            figures.timed_out = done.timed_out and found is figures.train
            return
        found.append(done)
    figures.scored = score(rows.test, out)
    figures.model_megabytes = size_of(model)
    command = [system.python, str(LATENCY), str(SCRIPTS / system.script), str(model), str(rows.test)]
    done = run(command, limit_seconds=LABEL_SECONDS, work=work)
    if done.exit_code == 0:
        times = json.loads(next(line for line in reversed(done.output.splitlines()) if line.startswith("{")))
        figures.row_ms.append(times["median_ms"])
        figures.row_p95_ms.append(times["p95_ms"])


def train_command(system: System, rows: Rows, model: Path) -> list[str]:
    """Return the command that trains from a JSONL file into `model`, preparation included."""
    if not system.is_ours:
        return [system.python, str(SCRIPTS / system.script), "train", str(rows.train), str(model)]
    return [
        *(system.python, "-m", "textlstm", "train", "data=files", f"data.train={rows.train}", f"data.test={rows.test}"),
        *(f"output_dir={model}", f"prepared_dir={model.parent / 'prepared'}", "tracking.enabled=false"),
        *("evaluation.report=false", "evaluation.baseline=false", *system.settings),
    ]


def label_command(system: System, model: Path, source: Path, out: Path) -> list[str]:
    """Return the command that labels a JSONL file."""
    if not system.is_ours:
        return [system.python, str(SCRIPTS / system.script), "label", str(model), str(source), str(out)]
    return [
        *(system.python, "-m", "textlstm", "label", f"model_dir={model}", f"input={source}", f"output={out}"),
        *("overwrite=true", "tracking.enabled=false"),
    ]


def table(rows: Rows, figures: dict[str, Figures], *, seconds: float) -> str:
    """Return the Markdown table of one corpus, with what the others take as a multiple of textlstm's time."""
    lines = [
        f"### {rows.name}",
        "",
        f"{rows.num_train:,} rows for training, {rows.num_test:,} for testing; trainings stop after {seconds:.0f} s.",
        "",
        "| system | accuracy [95 %] | macro-F1 [95 %] | training s | × textlstm | CPU s | RSS MB | model MB "
        "| labelling s | × textlstm | start-up s | one row ms (95th) |",
        "|---|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    base = figures.get("textlstm")
    for name, one in figures.items():
        if one.problem:
            lines.append(f"| {name} | {one.problem.replace('|', '/')} |" + " |" * 10)
            continue
        assert one.scored is not None
        lines.append(
            f"| {name} | {interval(one.scored.accuracy, one.scored.accuracy_interval)} "
            f"| {interval(one.scored.macro_f1, one.scored.macro_f1_interval)} "
            f"| {median_and_spread([run.seconds for run in one.train])} | {ratio(base, one, 'train')} "
            f"| {np.median([run.cpu_seconds for run in one.train]):,.0f} "
            f"| {max(run.megabytes for run in one.train):,.0f} | {one.model_megabytes:,.1f} "
            f"| {median_and_spread([run.seconds for run in one.label])} | {ratio(base, one, 'label')} "
            f"| {np.median([run.seconds for run in one.start]):.1f} "
            f"| {f'{np.median(one.row_ms):.2f} ({np.median(one.row_p95_ms):.2f})' if one.row_ms else '-'} |"
        )
    return "\n".join([*lines, "", *verdicts(figures)])


def verdicts(figures: dict[str, Figures]) -> list[str]:
    """Return a sentence a task that says which peers are ahead of textlstm's default, in medians."""
    base = figures.get("textlstm")
    if base is None or base.scored is None:
        return []
    peers = {name: one for name, one in figures.items() if one.scored and not name.startswith("textlstm")}
    ours = {
        "accuracy": -base.scored.accuracy,
        "training": np.median([run.seconds for run in base.train]),
        "labelling": np.median([run.seconds for run in base.label]),
        "one row": np.median(base.row_ms) if base.row_ms else np.inf,
    }
    lines = []
    for task, our_value in ours.items():
        ahead = [name for name, one in peers.items() if value_of(one, task) < our_value]
        lines.append(
            f"- {task}: {'ahead of textlstm: ' + ', '.join(ahead) if ahead else 'no peer is ahead of textlstm'}."
        )
    return lines


def value_of(one: Figures, task: str) -> float:
    """Return the figure of a task, lower is better."""
    assert one.scored is not None
    match task:
        case "accuracy":
            return -one.scored.accuracy
        case "training":
            return float(np.median([run.seconds for run in one.train]))
        case "labelling":
            return float(np.median([run.seconds for run in one.label]))
        case _:
            return float(np.median(one.row_ms)) if one.row_ms else float("inf")


def interval(value: float, ends: tuple[float, float]) -> str:
    """Return a share with its interval in percent."""
    return f"{value:.1%} [{ends[0]:.1%}, {ends[1]:.1%}]".replace("%", "")


def ratio(base: Figures | None, one: Figures, task: str) -> str:
    """Return how many times textlstm's seconds a system takes, the median over rounds."""
    ours = getattr(base, task) if base is not None else []
    theirs = getattr(one, task)
    pairs = [their.seconds / our.seconds for our, their in zip(ours, theirs, strict=False)]
    return f"{np.median(pairs):.2f}" if pairs else "-"


if __name__ == "__main__":
    sys.exit(main())
