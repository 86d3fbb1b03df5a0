"""What stop-word removal, parts of speech and lower-casing are worth: every combination, on the same test rows.

    python benchmarks/ablation.py [CORPUS ...] [--seeds N] [--output FILE] [--setting KEY=VALUE]

Every combination and seed is a whole `textlstm train experiment=CORPUS`; finished ones are kept under .bench/ablation,
so that an interrupted call continues. Corpora are found through TEXTLSTM_CORPORA.
"""

import argparse
import itertools
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

from textlstm.evaluation.resampling import Resamples

ROOT = Path(__file__).resolve().parent.parent
WORK = ROOT / ".bench" / "ablation"
FACTORS = {
    "stop words": {"kept": ["text.stop_words=keep"], "removed": ["text.stop_words=remove"]},
    "POS": {
        "off": ["text.pos=false", "model.pos_embedding_size=0"],
        "embedded": ["text.pos=true", "model.pos_embedding_size=16"],
    },
    "case": {"lower": ["text.lowercase=true"], "kept": ["text.lowercase=false"]},
}
"""Settings of each factor; the first choice of each is the reference."""


def main() -> int:
    """Train what is missing, print the table, write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("corpora", nargs="*", default=["trec6", "mr"])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--output", default="")
    parser.add_argument("--setting", action="append", default=[], help="another setting of every training")
    arguments = parser.parse_args()
    lines = header(arguments.seeds)
    for corpus in arguments.corpora:
        folder = Path(os.environ.get("TEXTLSTM_CORPORA", ROOT.parent / "shared" / "data")) / corpus
        if not folder.is_dir():
            print(f"{corpus}: skipped, its files are not under TEXTLSTM_CORPORA", file=sys.stderr)
            continue
        lines += rows_of(corpus, folder, num_seeds=arguments.seeds, settings=arguments.setting)
    page = "\n".join(lines) + "\n"
    print(page)
    if arguments.output:
        Path(arguments.output).write_text(page, encoding="utf-8")
    return 0


def header(num_seeds: int) -> list[str]:
    """Return the top of the page."""
    return [
        f"Test accuracy in %, mean of {num_seeds} seeds; the difference to the first line of a corpus with a 95 %",
        "paired bootstrap interval over test rows. Bold: beyond chance.",
        "",
        f"| corpus | {' | '.join(FACTORS)} | accuracy | difference |",
        f"|---|{'---|' * len(FACTORS)}---|---|",
    ]


def rows_of(corpus: str, folder: Path, *, num_seeds: int, settings: list[str]) -> list[str]:
    """Return one line a combination."""
    lines: list[str] = []
    reference: np.ndarray | None = None
    for names in itertools.product(*FACTORS.values()):
        chosen = [setting for factor, name in zip(FACTORS.values(), names, strict=True) for setting in factor[name]]
        folders = [
            train(corpus, folder, names=names, settings=[*settings, *chosen], seed=seed)
            for seed in range(1, num_seeds + 1)
        ]
        correct = np.mean([hits(evaluation) for evaluation in folders], axis=0)
        reference = correct if reference is None else reference
        cells = (corpus, *names, f"{100 * correct.mean():.2f}", difference(correct - reference))
        lines.append(f"| {' | '.join(cells)} |")
    return lines


def train(corpus: str, folder: Path, *, names: tuple[str, ...], settings: list[str], seed: int) -> Path:
    """Train one combination unless it is there; return its evaluation folder."""
    model = WORK / corpus / "-".join(names) / f"seed-{seed}"
    evaluation = model.with_name(f"{model.name}-evaluation")
    if not (evaluation / "metrics.json").exists():
        files = {name: folder / f"{name}.jsonl.gz" for name in ("train", "validation", "test")}
        data = [f"data.{name}={file}" for name, file in files.items() if file.exists()]
        command = [sys.executable, "-m", "textlstm", "train", f"experiment={corpus}", "data=files", *data]
        command += ["data.drop_leaked=true", f"seed={seed}", f"output_dir={model}", f"prepared_dir={WORK / 'prepared'}"]
        command += ["tracking=off", "overwrite=true", "evaluation.report=false", *settings]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return evaluation


def hits(evaluation: Path) -> np.ndarray:
    """Return (N,) 1.0 where the test row is right, checked against the accuracy in metrics.json."""
    correct = np.asarray(pq.read_table(evaluation / "predictions.parquet").column("correct").to_pylist(), dtype=float)
    accuracy = json.loads((evaluation / "metrics.json").read_text(encoding="utf-8"))["accuracy"]
    if abs(correct.mean() - accuracy) > 1e-9:
        raise SystemExit(f"{evaluation}: predictions and metrics disagree")
    return correct


def difference(rows: np.ndarray) -> str:
    """Return the mean of (N,) row differences in points with its interval, bold where 0 lies outside."""
    if not rows.any():
        return ""
    resamples = Resamples(len(rows), 2000, seed=0)
    means = np.concatenate([weights @ rows / len(rows) for weights in resamples.blocks()])
    low, high = resamples.interval(means, float(rows.mean()), lowest=-1.0)
    text = f"{100 * rows.mean():+.2f} [{100 * low:+.2f}, {100 * high:+.2f}]"
    return f"**{text}**" if low > 0 or high < 0 else text


if __name__ == "__main__":
    sys.exit(main())
