"""A line that names what a score depends on, so that equal signatures mean comparable scores (after sacreBLEU)."""

import hashlib
from importlib.metadata import PackageNotFoundError, version

from textlstm.config import EvaluationConfig
from textlstm.evaluation.rows import ScoredRows


def rows_digest(rows: ScoredRows) -> str:
    """Return the sha256 of texts and targets in order: the same digest means the same evaluated rows."""
    digest = hashlib.sha256()
    for text in rows.texts:
        encoded = text.encode("utf-8", "surrogatepass")
        digest.update(len(encoded).to_bytes(8, "little"))
        digest.update(encoded)
    digest.update("\0".join(rows.labels).encode("utf-8", "surrogatepass"))
    digest.update(rows.targets.astype("<i8").tobytes())
    return digest.hexdigest()


def signature(rows: ScoredRows, config: EvaluationConfig) -> str:
    """Return the line, such as `rows:2189|labels:8|task:single_label|data:3f2a...|boot:1000|...`."""
    parts = {
        "rows": rows.num_rows,
        "labels": len(rows.labels),
        "task": rows.task.value,
        "data": rows_digest(rows)[:12],
        "topk": config.top_k,
        "boot": config.bootstrap_samples,
        "conf": config.confidence,
        "seed": config.seed,
        "textlstm": _version("textlstm"),
        "numpy": _version("numpy"),
    }
    return "|".join(f"{name}:{value}" for name, value in parts.items())


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "source"
