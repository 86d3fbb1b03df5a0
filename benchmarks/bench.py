"""Everything side by side, and docs/benchmarks.md from it.

    python benchmarks/bench.py [--short] [--continue] [--output FILE]

The whole pass takes four corpora, two rounds, 120,000 rows to label and the growth up to a million rows; every training
is stopped after a limit, so that it should end within 90 minutes on 2 cores. `--short` takes one round of r8 and
ag_news_10k, 30,000 rows to label and no growth, and leaves out spaCy's ensemble, Flair and Ludwig: about a quarter of
an hour. The page says what it took. What each part printed is kept under .bench/parts; with `--continue` parts that
ended well are not measured again. Run it on a machine that does nothing else, after `make bench-peers`.
"""

import argparse
import json
import os
import platform
import shutil
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import psutil

from processes import run

ROOT = Path(__file__).resolve().parent.parent
HERE = Path(__file__).resolve().parent
WORK = ROOT / ".bench"
PAGE = ROOT / "docs" / "benchmarks.md"
FIGURE = ROOT / "docs" / "assets" / "labelling-growth.svg"
QUICK = ("textlstm", "LinearSVC", "fastText", "BOW", "Keras")
"""Systems of the short pass: those whose training is a matter of seconds to a minute or so."""
GROWTH = (10_000, 100_000, 1_000_000)


class Part(NamedTuple):
    """A section of the page: a program, its arguments for either pass, what is said above its output."""

    title: str
    program: str
    whole: tuple[str, ...]
    short: tuple[str, ...]
    about: str


class Measured(NamedTuple):
    """What a part printed."""

    printed: str
    seconds: float


PARTS = (
    Part(
        "Training, labelling, start-up, one row",
        "peers.py",
        ("--rounds", "2", "--seconds", "150", "--repeat-below", "60"),
        ("--rounds", "1", "--seconds", "90", "--corpora", "r8", "ag_news_10k", "--systems", *QUICK),
        "Whole processes in alternating order, start-up included; medians, and lowest to highest where there are "
        "several rounds (turns of more than a minute are not repeated). "
        "`× textlstm` is how many times textlstm's seconds a system takes: above 1 it is slower. "
        "Start-up labels a file of one row; one row is a single text with the model in memory, median and 95th "
        "percentile. What each peer was set to stands in its file under benchmarks/label_peers/.",
    ),
    Part(
        "Where the milliseconds of one row go",
        "row_profile.py",
        (),
        ("--corpora", "r8", "ag_news_10k"),
        "The models of the first tables, with torch, asked for one row after another; medians.",
    ),
    Part(
        "Labelling many rows",
        "label.py",
        ("--rows", "120000", "--rounds", "2"),
        ("--rows", "30000", "--rounds", "1"),
        "The same JSONL in, a labelled JSONL out; small models that were trained once on AG News.",
    ),
    Part(
        "Preparing text",
        "text.py",
        ("--corpus", "r8", "imdb", "--rounds", "2"),
        ("--corpus", "r8", "--quick"),
        "Beside the tokenizer alone, the limit without parts of speech, and spaCy's pipeline on all cores.",
    ),
    Part(
        "Where the seconds of a training go",
        "training_profile.py",
        ("--corpora", "ag_news_10k", "bbc"),
        ("--corpora", "ag_news_10k"),
        "`textlstm train` as in the first tables, by step: with its defaults, and with the network, words and epochs "
        "of the Keras peer. Words are tokens of an epoch after the cut at `model.max_tokens`; multiply-adds are those "
        "of the recurrent layer.",
    ),
    Part(
        "Training loop",
        "training.py",
        ("--rounds", "3"),
        ("--rounds", "1", "--rows", "3000"),
        "Beside bare loops in torch of the same network, which do nothing but train.",
    ),
    Part(
        "Training in several processes",
        "torchrun.py",
        ("--seeds", "2"),
        ("--seeds", "1", "--rows", "3000", "--epochs", "1"),
        "The same global batch in one process and in two of one thread each under torchrun.",
    ),
)


def main() -> int:
    """Run the parts one after another and write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--short", action="store_true")
    parser.add_argument("--continue", dest="continues", action="store_true", help="keep the parts that ended well")
    parser.add_argument("--output", type=Path, default=PAGE)
    arguments = parser.parse_args()
    kept = WORK / "parts" / ("short" if arguments.short else "whole")
    if not arguments.continues:
        shutil.rmtree(kept, ignore_errors=True)
    kept.mkdir(parents=True, exist_ok=True)
    options = [f"--{name}" for name, given in (("short", arguments.short), ("continue", arguments.continues)) if given]
    command = "make bench" + (f' ARGS="{" ".join(options)}"' if options else "")
    lines = ["# Speed beside peers", "", f"Made by `{command}` on {describe_machine()}.", ""]
    lines += ["Times on a busy machine are noise: compare ratios, not seconds.", "", "## Limits of the machine", ""]
    lines += [matrix_products(), ""]
    if arguments.short:
        lines += ["The short pass leaves out spaCy's ensemble, Flair and Ludwig, and the growth to a million rows.", ""]
    measured = [measure(part, kept, is_short=arguments.short) for part in PARTS]
    for part, one in zip(PARTS, measured, strict=True):
        lines += [f"## {part.title}", "", part.about, "", one.printed, ""]
    started = time.perf_counter()
    if not arguments.short:
        lines += ["## Growth", "", *growth(arguments.output)]
    minutes = (sum(one.seconds for one in measured) + time.perf_counter() - started) / 60
    lines += [f"The whole pass took {minutes:.0f} minutes.", ""]
    arguments.output.write_text("\n".join(lines), encoding="utf-8")
    print(f"{arguments.output}: written; the pass took {minutes:.0f} minutes")
    return 0


def describe_machine() -> str:
    """Return processor, cores, memory, system, Python and torch, and the date, in one line."""
    import torch

    names = [line for line in _cpu_lines() if line.startswith("model name")]
    processor = names[0].partition(":")[2].strip() if names else platform.processor() or platform.machine()
    gigabytes = psutil.virtual_memory().total / 2**30
    accelerator = torch.cuda.get_device_name() if torch.cuda.is_available() else "no GPU"
    return (
        f"{psutil.cpu_count()} cores ({processor}), {gigabytes:.0f} GiB of memory, {accelerator}, {platform.system()}, "
        f"Python {platform.python_version()}, torch {torch.__version__}, on {datetime.now(UTC).date()}, "
        f"load before {os.getloadavg()[0]:.1f}"
    )


def _cpu_lines() -> list[str]:
    path = Path("/proc/cpuinfo")
    return path.read_text(encoding="utf-8").splitlines() if path.exists() else []


def matrix_products() -> str:
    """Return what the processor does in products of 512 x 512 matrices, which no network can exceed."""
    import torch

    found = []
    for name, kind in (("fp32", torch.float32), ("bf16", torch.bfloat16)):
        left, right = (torch.randn(512, 512).to(kind) for _ in range(2))
        best, until = 0.0, time.perf_counter() + 3
        # Without bf16 units one product takes seconds: at least two are done.
        for turn in range(200):
            started = time.perf_counter()
            left @ right
            best = max(best, 2 * 512**3 / (time.perf_counter() - started) / 1e9)
            if turn and time.perf_counter() > until:
                break
        found.append(f"{best:,.1f} GFLOP/s in {name}")
    return f"Matrix products (512 x 512, the best within 3 s): {', '.join(found)}."


def measure(part: Part, kept: Path, *, is_short: bool) -> Measured:
    """Return what a part prints: Markdown as it is, plain text as a block; a failure as a line below it."""
    path = kept / f"{Path(part.program).stem}.json"
    if path.exists():
        return Measured(**json.loads(path.read_text(encoding="utf-8")))
    print(f"{part.title} ...", file=sys.stderr, flush=True)
    command = [sys.executable, str(HERE / part.program), *(part.short if is_short else part.whole)]
    started = time.perf_counter()
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    seconds = time.perf_counter() - started
    printed = done.stdout.strip()
    if printed and "|---" not in printed:
        printed = f"```text\n{printed}\n```"
    if done.returncode or not printed:
        return Measured(f"{printed}\n\n(`{part.program}` ended with exit code {done.returncode})".strip(), seconds)
    measured = Measured(printed, seconds)
    path.write_text(json.dumps(measured._asdict()), encoding="utf-8")
    return measured


def growth(output: Path) -> list[str]:
    """Label 10,000 to 1,000,000 rows by the small model of label.py; return a table, and draw the figure."""
    from label_rows import make_rows

    corpora = Path(os.environ.get("TEXTLSTM_CORPORA", ROOT.parent / "shared" / "data"))
    model = WORK / "label" / "textlstm"
    if not corpora.is_dir() or not model.is_dir():
        return ["skipped: no corpora under TEXTLSTM_CORPORA, or no model of label.py", ""]
    most = make_rows(corpora, WORK / "label", num_rows=120_000)["rows"]
    texts = Path(most).read_text(encoding="utf-8").splitlines()
    lines = ["| rows | seconds | rows/s | peak RSS MB |", "|---|---|---|---|"]
    seconds = []
    for num_rows in GROWTH:
        source, out = WORK / "growth.jsonl", WORK / "growth-out.jsonl"
        with source.open("w", encoding="utf-8") as file:
            file.writelines(f"{texts[index % len(texts)]}\n" for index in range(num_rows))
        command = [sys.executable, "-m", "textlstm", "label", f"model_dir={model}", f"input={source}"]
        command += [f"output={out}", "overwrite=true", "tracking.enabled=false"]
        done = run(command, limit_seconds=600, work=WORK)
        if done.exit_code:
            return [*lines, "", f"stopped at {num_rows:,} rows with exit code {done.exit_code}", ""]
        assert sum(1 for _ in out.open("rb")) == num_rows
        seconds.append(done.seconds)
        lines.append(f"| {num_rows:,} | {done.seconds:.1f} | {num_rows / done.seconds:,.0f} | {done.megabytes:,.0f} |")
        source.unlink()
        out.unlink()
    if output == PAGE:
        draw_growth(seconds)
        lines += ["", f"![Seconds over rows, both logarithmic](assets/{FIGURE.name})"]
    return [*lines, "", f"Raw figures: {json.dumps([round(value, 2) for value in seconds])} s.", ""]


def draw_growth(seconds: list[float]) -> None:
    """Draw seconds over rows beside a straight line of equal speed."""
    import matplotlib as mpl

    mpl.use("svg")
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(figsize=(6, 3.5))
    axes.loglog(GROWTH, seconds, marker="o", label="textlstm label")
    axes.loglog(GROWTH, [seconds[-1] * rows / GROWTH[-1] for rows in GROWTH], "--", label="equal speed")
    axes.set_xlabel("rows")
    axes.set_ylabel("seconds")
    axes.legend()
    figure.tight_layout()
    figure.savefig(FIGURE, metadata={"Date": None})
    plt.close(figure)


if __name__ == "__main__":
    sys.exit(main())
