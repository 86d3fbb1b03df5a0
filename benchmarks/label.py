"""Labelling side by side: whole processes in turn, start-up included, the same JSONL in and a labelled JSONL out.

    python benchmarks/label.py [--rows 120000] [--rounds 3] [NAME ...]

Rows are pieces of about 37 words of AG News, 20 Newsgroups and IMDB, found through TEXTLSTM_CORPORA; the first 7,600
are the AG News test set, from which accuracy is told. Every system is trained once on 9,772 AG News rows and kept under
.bench/label.
fastText and Keras have environments of their own (`make bench-peers`); where those are not there they are left out, and
the reason is printed. Times on a busy machine are noise: compare ratios within one call.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from label_rows import make_rows
from peer_environments import left_out, python_of
from processes import run

ROOT = Path(__file__).resolve().parent.parent
WORK = ROOT / ".bench" / "label"
SCRIPTS = Path(__file__).resolve().parent / "label_peers"
BASE = "TF-IDF + LinearSVC"
LIMIT_SECONDS = 3600.0
TRAIN = (
    *("data=files", "data.train={train}", "data.test={test}", "output_dir={model}", "prepared_dir={work}/prepared"),
    *("overwrite=true", "tracking.enabled=false"),
    *("evaluation.report=false", "evaluation.baseline=false"),
)
SMALL = ("training.epochs=2", "text.pos=false", "model.hidden_size=64")
LABEL = ("model_dir={model}", "input={rows}", "output={out}", "overwrite=true", "tracking.enabled=false")


@dataclass(frozen=True, slots=True)
class System:
    """One way to label: a command that trains into `{model}`, and one that labels `{rows}` into `{out}`."""

    name: str
    train: tuple[str, ...]
    label: tuple[str, ...]
    label_key: str = "predicted_label"
    environment: str = ""
    """Of the peer, under .peers; empty: the project's own."""


@dataclass(slots=True)
class Figures:
    """What was measured of one system."""

    train_seconds: float = 0.0
    seconds: list[float] = field(default_factory=list)
    cpu_seconds: list[float] = field(default_factory=list)
    """Processor time of all processes together, which a busy machine changes least."""
    megabytes: list[float] = field(default_factory=list)
    accuracy: float = 0.0
    labels: list[str] = field(default_factory=list)
    """Of the rows whose true label is known."""


def textlstm(name: str, train: tuple[str, ...], label: tuple[str, ...] = ()) -> System:
    """Return textlstm with settings of training and of labelling."""
    command = (sys.executable, "-m", "textlstm")
    return System(
        name,
        (*command, "train", *TRAIN, *train),
        (*command, "label", *LABEL, *label),
    )


def peer(name: str, script: str, *, environment: str = "") -> System:
    """Return a peer whose script has the verbs train and label."""
    python = python_of(environment) if environment else sys.executable
    path = str(SCRIPTS / script)
    return System(
        name,
        (python, path, "train", "{train}", "{model}"),
        (python, path, "label", "{model}", "{rows}", "{out}"),
        environment=environment,
    )


SYSTEMS = (
    textlstm("textlstm defaults", ()),
    textlstm("textlstm defaults, early exit off", (), ("labelling.early_exit=off",)),
    textlstm("textlstm small", SMALL),
    textlstm("textlstm small, early exit off", SMALL, ("labelling.early_exit=off",)),
    textlstm("textlstm small, bf16", SMALL, ("labelling.precision=bf16",)),
    textlstm("textlstm small, POS not read", (*SMALL, "text.pos=true")),
    textlstm("textlstm small, with POS", (*SMALL, "text.pos=true", "model.pos_embedding_size=8")),
    peer(BASE, "linear_svc.py"),
    peer("spaCy textcat BOW", "spacy_bow.py"),
    peer("fastText dim 100, 2-grams", "fasttext_100.py", environment="fasttext"),
    peer("Keras BiLSTM(64)", "keras_bilstm.py", environment="keras"),
)


def main() -> int:
    """Make the rows, train what is missing, label in turn, print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", help="parts of the names of systems; none: all")
    parser.add_argument("--rows", type=int, default=120_000)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    corpora = Path(os.environ.get("TEXTLSTM_CORPORA", ROOT.parent / "shared" / "data"))
    if not corpora.is_dir():
        print(f"skipped: no corpora at {corpora}; set TEXTLSTM_CORPORA", file=sys.stderr)
        return 0
    WORK.mkdir(parents=True, exist_ok=True)
    places = make_rows(corpora, WORK, num_rows=arguments.rows)
    figures: dict[str, Figures] = {}
    chosen = [one for one in SYSTEMS if not arguments.names or any(part in one.name for part in arguments.names)]
    for system in chosen:
        if system.environment and left_out(system.environment):
            print(f"{system.name}: left out: {left_out(system.environment)}", file=sys.stderr)
            continue
        figures[system.name] = Figures(train_seconds=train(system, places))
    for _ in range(arguments.rounds):
        for system in chosen:
            if system.name in figures:
                measure(system, places, figures[system.name])
    print(table(figures, num_rows=arguments.rows))
    return 0


def train(system: System, places: dict[str, str]) -> float:
    """Train `system` unless that was done before; return the seconds it took."""
    model = model_path(system)
    done = Path(f"{model}.seconds")
    if not done.exists():
        started = time.perf_counter()
        subprocess.run([part.format(model=model, **places) for part in system.train], check=True, stdout=sys.stderr)
        done.write_text(str(time.perf_counter() - started))
    return float(done.read_text())


def model_path(system: System) -> Path:
    """Return where the model is; systems that are trained alike share it."""
    same = next(other for other in SYSTEMS if other.train == system.train)
    return WORK / same.name.replace(" ", "_").replace(",", "")


def measure(system: System, places: dict[str, str], figures: Figures) -> None:
    """Label once, and add time, memory and accuracy to `figures`."""
    out = WORK / "out.jsonl"
    for left in WORK.glob("out.jsonl*"):
        if left.is_file():
            left.unlink()
    command = [part.format(model=model_path(system), out=out, **places) for part in system.label]
    done = run(command, limit_seconds=LIMIT_SECONDS, work=WORK)
    if done.exit_code:
        raise SystemExit(f"{system.name}: labelling failed: {' '.join(command)}\n{done.output}")
    figures.seconds.append(done.seconds)
    figures.cpu_seconds.append(done.cpu_seconds)
    figures.megabytes.append(done.megabytes)
    gold = json.loads(Path(places["gold"]).read_text())
    with out.open(encoding="utf-8") as lines:
        figures.labels = [json.loads(line)[system.label_key] for line, _ in zip(lines, gold, strict=False)]
    figures.accuracy = sum(map(str.__eq__, figures.labels, gold)) / len(figures.labels)


def table(figures: dict[str, Figures], *, num_rows: int) -> str:
    """Return the measurements as a Markdown table."""
    rounds = len(next(iter(figures.values())).seconds) if figures else 0
    load = psutil.getloadavg()[0]
    lines = [
        f"{num_rows:,} rows, {psutil.cpu_count()} cores, load {load:.1f}; median of {rounds} rounds in turn",
        "",
        "Equal, unequal: labels of AG News test that are those of textlstm's default settings, and those that are not.",
        "",
        f"| | accuracy (AG News test) | equal | unequal | train s | rows/s | of {BASE} | CPU s | RSS MB |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    default = figures.get(SYSTEMS[0].name)
    for name, one in figures.items():
        speed = num_rows / statistics.median(one.seconds)
        ratio = ratio_of_speed(one, figures.get(BASE))
        equal = sum(map(str.__eq__, one.labels, default.labels)) if default else 0
        unequal = len(one.labels) - equal
        compared = f"{equal:,} | {unequal:,}" if default else "- | -"
        lines.append(
            f"| {name} | {one.accuracy:.4f} | {compared} | {one.train_seconds:.0f} | {speed:,.0f} | {ratio} | "
            f"{statistics.median(one.cpu_seconds):.1f} | {max(one.megabytes):,.0f} |"
        )
    return "\n".join(lines)


def ratio_of_speed(one: Figures, base: Figures | None) -> str:
    """Return how many times as fast as `base` it is, the median over rounds."""
    if base is None:
        return "-"
    ratios = [theirs / mine for theirs, mine in zip(base.seconds, one.seconds, strict=True)]
    return f"{statistics.median(ratios):.2f}"


if __name__ == "__main__":
    sys.exit(main())
