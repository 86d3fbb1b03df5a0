"""`textlstm STAGE --help`: settings with their meaning, unit and default, read from the schema itself.

Of a stage with many settings, `--help` shows those that matter to most people, and `--help=all` every one.
"""

import ast
import shutil
import textwrap
from collections import Counter
from collections.abc import Sequence
from dataclasses import fields, is_dataclass
from functools import cache
from pathlib import Path
from typing import Any, get_type_hints

from textlstm import config as schema
from textlstm.cli.settings import group_choices
from textlstm.config import AUTO, AUTO_SETTINGS

_WIDEST = 100
_FEW = 20
"""A stage with more settings than this has a short page."""
_DATA = ("data.train", "data.test", "data.text_column", "data.label_column", "data.labels_column")
_TRAINING = ("training.minutes", "training.quality", "seeds", "evaluation.max_error")
MAIN_SETTINGS = {
    "run": (*_DATA, "output_dir", *_TRAINING),
    "prepare": (*_DATA, "data.validation_fraction", "data.test_fraction", "text.language", "text.pos", "prepared_dir"),
    "train": (*_DATA, "output_dir", *_TRAINING),
    "evaluate": (
        *("model_dir", "data.test", "data.text_column", "data.label_column", "data.labels_column", "output_dir"),
        *("evaluation.confidence", "evaluation.explained_texts", "tracking.log_text", "overwrite"),
    ),
    "label": (
        *("model_dir", "input", "output", "labelling.text_column", "labelling.top_k", "labelling.all_probabilities"),
        *("labelling.output_format", "labelling.num_workers", "labelling.device", "overwrite"),
    ),
    "sweep": (
        *("data.train", "data.text_column", "data.label_column", "data.labels_column", "output_dir"),
        *("sweep.space", "sweep.num_trials", "sweep.sampler", "sweep.objectives", "sweep.jobs"),
    ),
    "curve": (*_DATA, "output_dir", "curve.points", "curve.fewest", "training.minutes", "training.quality"),
}
"""The settings of the short page of each stage that has many."""


@cache
def field_docs() -> dict[tuple[str, str], str]:
    """Return the literal string under each field of `config/`, by (class, field)."""
    docs: dict[tuple[str, str], str] = {}
    files = sorted(Path(schema.__file__).parent.glob("*.py"))
    # The string after a field is no attribute at run time, so it is read from the source.
    for node in (node for file in files for node in ast.parse(file.read_text(encoding="utf-8")).body):
        if not isinstance(node, ast.ClassDef):
            continue
        for statement, following in zip(node.body, node.body[1:], strict=False):
            if isinstance(statement, ast.AnnAssign) and isinstance(following, ast.Expr):
                name = ast.unparse(statement.target)
                docs[node.name, name] = str(ast.literal_eval(following.value))
    return docs


def setting_doc(config_class: type, name: str) -> str:
    """Return the documentation of one field, also where a parent class holds it."""
    docs = field_docs()
    return next((docs[c.__name__, name] for c in config_class.__mro__ if (c.__name__, name) in docs), "")


def describe_settings(
    config_class: type, prefix: str = "", *, auto: Sequence[str] = AUTO_SETTINGS
) -> list[tuple[str, str, str]]:
    """Return (key, default, meaning) of every setting, groups last; `auto` are those without a plain default."""
    rows = []
    hints = get_type_hints(config_class)
    defaults = config_class()
    auto = getattr(defaults, "auto", auto)  # of the stage: `prepare` chooses less than `train`
    nested = []
    for field in fields(config_class):
        hint = hints[field.name]
        if is_dataclass(hint):
            nested.append((field.name, hint))
            continue
        key = f"{prefix}{field.name}"
        default = AUTO if key in auto else _shown(getattr(defaults, field.name))
        rows.append((key, default, setting_doc(config_class, field.name)))
    for name, hint in nested:
        rows += describe_settings(hint, f"{prefix}{name}.", auto=auto)  # type: ignore[arg-type]
    return rows


def stage_help(name: str, summary: str, usage: str, config_class: type, *, everything: bool = True) -> str:
    """Return the help page of one stage, as wide as the terminal and at most 100 columns.

    Without `everything`, a stage of many settings has its `MAIN_SETTINGS` alone.
    """
    width = min(shutil.get_terminal_size((_WIDEST, 24)).columns, _WIDEST)
    settings = describe_settings(config_class)
    shown = settings
    if not everything and len(settings) > _FEW:
        by_key = {row[0]: row for row in settings}
        shown = [by_key[key] for key in MAIN_SETTINGS[name]]
    lines = [*textwrap.wrap(f"usage: {usage}", width), "", *textwrap.wrap(summary, width), ""]
    choices = group_choices(config_class)
    if choices:
        lines.append("Named choices (KEY=NAME takes a whole set of values):")
        for key, names in choices.items():
            lines += _wrapped(f"{key}={' | '.join(names)}", width, first="  ")
        lines.append("")
    lines.append("Settings (KEY=VALUE; the default stands behind the key):")
    for key, default, meaning in shown:
        lines += _wrapped(f"{key}={default}", width, first="  ", then="    ")
        lines += _wrapped(meaning, width, first="      ")
    if len(shown) < len(settings):
        groups = Counter(key.partition(".")[0] if "." in key else "the stage" for key, _, _ in settings)
        rest = ", ".join(f"{group} {count}" for group, count in groups.items())
        more = f"These are {len(shown)} of {len(settings)} settings ({rest}); `textlstm {name} --help=all` lists all."
        lines += ["", *textwrap.wrap(more, width)]
    config_file = "--config FILE.yaml takes settings from a file; what is typed wins over it."
    lines += ["", *textwrap.wrap(config_file, width), ""]
    return "\n".join(lines)


def _wrapped(text: str, width: int, *, first: str, then: str | None = None) -> list[str]:
    # Keys, paths and lists are no words: they are cut at spaces alone, and at commas where they have none.
    indent, text = first if then is None else then, " ".join(text.split())
    if len(text) > width - len(first) and " " not in text:
        text = text.replace(",", ", ")
    return textwrap.wrap(
        text, width, initial_indent=first, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False
    )


def _shown(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return f"[{','.join(map(str, value))}]"
    return str(value)
