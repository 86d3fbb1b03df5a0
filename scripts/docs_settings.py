"""Hook of mkdocs.yml: a page a stage with every setting, made from the schema while the site is built."""

import sys
from dataclasses import fields, is_dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, get_args, get_origin, get_type_hints

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "src"))

from textlstm.cli.main import STAGES, Stage
from textlstm.cli.settings import conf_dir, group_choices
from textlstm.cli.settings_help import describe_settings

EXIT_CODES = "0 done · 2 bad input or setting · 3 a checksum or version that does not fit · 4 disk · 130, 143 stopped"


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Put the pages into the navigation, where it says `reference/`."""
    pages = [{"How settings are given": "reference/index.md"}]
    pages += [{f"textlstm {name}": f"reference/{name}.md"} for name in STAGES]
    for entry in config.nav or []:
        if isinstance(entry, dict) and entry.get("Settings") == "reference/":
            entry["Settings"] = pages
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the generated pages to those of the folder."""
    files.append(File.generated(config, "reference/index.md", content=index_page()))
    for name, stage in STAGES.items():
        files.append(File.generated(config, f"reference/{name}.md", content=stage_page(name, stage)))
    return files


def index_page() -> str:
    """Return the page that tells how settings are given, with a table of stages."""
    lines = [
        "# Settings",
        "",
        "`textlstm STAGE [KEY=VALUE ...]`. A setting has a type, a default and a range; a misspelt or impossible one",
        "ends the command with exit code 2 before any work, and all mistakes are told together.",
        "`--config FILE.yaml` takes settings from a file; what is typed wins over it. A list is `[a,b]`.",
        "`GROUP=NAME` takes a named set of values.",
        "",
        "| stage | what it does | settings |",
        "|---|---|---|",
    ]
    for name, stage in STAGES.items():
        count = len(describe_settings(stage.config_class))
        lines.append(f"| [`textlstm {name}`]({name}.md) | {stage.summary} | {count} |")
    return "\n".join([*lines, "", f"Exit codes: {EXIT_CODES}.", ""])


def stage_page(name: str, stage: Stage) -> str:
    """Return the page of one stage: its call, its named choices, its settings by group."""
    places = "".join(f"{key.upper()} " for key in stage.positional)
    lines = [f"# textlstm {name}", "", stage.summary, "", f"    textlstm {name} {places}[KEY=VALUE ...]", ""]
    choices = group_choices(stage.config_class)
    if choices:
        lines += ["## Named choices", "", "| setting | takes |", "|---|---|"]
        for group, names in choices.items():
            lines += [f"| `{group}={choice}` | {cell(choice_meaning(group, choice))} |" for choice in names]
        lines.append("")
    types = allowed_values(stage.config_class)
    groups: dict[str, list[str]] = {}
    for key, default, meaning in describe_settings(stage.config_class):
        row = f"| `{key}` | {cell(types[key])} | {code(default)} | {cell(meaning)} |"
        groups.setdefault(key.rpartition(".")[0], []).append(row)
    for group, rows in groups.items():
        lines += [
            f"## {group or 'The stage itself'}",
            "",
            "| setting | type | default | meaning |",
            "|---|---|---|---|",
        ]
        lines += [*rows, ""]
    return "\n".join(lines)


def choice_meaning(group: str, choice: str) -> str:
    """Return the comment in the first line of a choice's file."""
    first = (conf_dir() / group / f"{choice}.yaml").read_text(encoding="utf-8").splitlines()[0]
    return first.removeprefix("# ")


def allowed_values(config_class: type, prefix: str = "") -> dict[str, str]:
    """Return by full key what a setting may be: a type, or the list of its values."""
    hints = get_type_hints(config_class)
    found: dict[str, str] = {}
    for field in fields(config_class):
        hint = hints[field.name]
        if is_dataclass(hint):
            found |= allowed_values(hint, f"{prefix}{field.name}.")  # type: ignore[arg-type]
        else:
            found[f"{prefix}{field.name}"] = type_name(hint)
    return found


def type_name(hint: Any) -> str:
    """Return a type in a reader's words."""
    if isinstance(hint, type) and issubclass(hint, StrEnum):
        return ", ".join(f"`{member.value}`" for member in hint)
    if get_origin(hint) is list:
        return f"list of {type_name(get_args(hint)[0])}"
    return {str: "text", int: "whole number", float: "number", bool: "`true`, `false`"}[hint]


def cell(text: str) -> str:
    """Return text that stands in one cell of a table."""
    return text.replace("|", "\\|").replace("<", "&lt;").replace("\n", " ")


def code(text: str) -> str:
    """Return a value as code; an empty one as a word."""
    return f"`{text}`" if text else "(empty)"
