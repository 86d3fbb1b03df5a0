"""`textlstm STAGE --help`: every setting with its meaning, unit and default, read from the schema itself."""

import ast
import textwrap
from dataclasses import fields, is_dataclass
from functools import cache
from pathlib import Path
from typing import Any, get_type_hints

from textlstm import config as schema
from textlstm.cli.settings import group_choices
from textlstm.config import AUTO, AUTO_SETTINGS

WIDTH = 100


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


def describe_settings(config_class: type, prefix: str = "") -> list[tuple[str, str, str]]:
    """Return (key, default, meaning) of every setting, groups last."""
    rows = []
    hints = get_type_hints(config_class)
    defaults = config_class()
    nested = []
    for field in fields(config_class):
        hint = hints[field.name]
        if is_dataclass(hint):
            nested.append((field.name, hint))
            continue
        key = f"{prefix}{field.name}"
        default = AUTO if key in AUTO_SETTINGS else _shown(getattr(defaults, field.name))
        rows.append((key, default, setting_doc(config_class, field.name)))
    for name, hint in nested:
        rows += describe_settings(hint, f"{prefix}{name}.")  # type: ignore[arg-type]
    return rows


def stage_help(summary: str, usage: str, config_class: type) -> str:
    """Return the help page of one stage."""
    lines = [f"usage: {usage}", "", summary, ""]
    choices = group_choices(config_class)
    if choices:
        lines.append("Named choices (KEY=NAME takes a whole set of values):")
        for key, names in choices.items():
            lines += textwrap.wrap(f"{key}={'|'.join(names)}", WIDTH, initial_indent="  ", subsequent_indent="      ")
        lines.append("")
    lines.append("Settings (KEY=VALUE; the default stands behind the key):")
    for key, default, meaning in describe_settings(config_class):
        lines.append(f"  {key}={default}")
        lines += textwrap.wrap(meaning, WIDTH, initial_indent="      ", subsequent_indent="      ")
    lines += ["", "--config FILE.yaml takes settings from a file; what is typed wins over it.", ""]
    return "\n".join(lines)


def _shown(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return f"[{','.join(map(str, value))}]"
    return str(value)
