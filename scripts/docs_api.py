"""Hook of mkdocs.yml: the page of the public API, made from docstrings while the site is built."""

import inspect
import re
import sys
from importlib import import_module
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "src"))

DOORS = {
    "textlstm": (),
    "textlstm.sklearn": ("LSTMTextClassifier",),
    "textlstm.spacy": ("make_component", "TextClassifierPipe"),
    "textlstm.datasets": ("Labeller",),
}
"""Public modules with their public names; those of the package itself are its `__all__`."""
INHERITED = ("predict", "predict_proba")
"""Methods that a public class has from one that is not."""
SHOWN_SPECIAL = ("__init__", "__call__", "__len__", "__getitem__")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the page to those of the folder."""
    files.append(File.generated(config, "reference/api.md", content=api_page()))
    return files


def api_page() -> str:
    """Return the page: every public name with its signature and docstring."""
    lines = [
        "# Public API",
        "",
        "What is on this page is public; everything else may change without notice. Names are imported when they are",
        "first used, so that `import textlstm` takes a millisecond.",
        "",
    ]
    for module, listed in DOORS.items():
        found = import_module(module)
        lines += [f"## {module}", "", *markdown(inspect.getdoc(found) or ""), ""]
        for name in listed or [name for name in found.__all__ if not name.startswith("_")]:
            lines += describe(name, getattr(found, name))
    return "\n".join(lines)


def describe(name: str, found: object) -> list[str]:
    """Return the section of one class or function."""
    lines = [f"### {name}", ""]
    if not inspect.isclass(found):
        return [*lines, *signature(name, found), *markdown(inspect.getdoc(found) or ""), ""]
    lines += [*markdown(inspect.cleandoc(found.__doc__ or "")), ""]
    for member, value in public_members(found):
        title = f"#### {name}{'' if member == '__init__' else f'.{member}'}"
        shown = signature(name if member == "__init__" else member, value) if callable(value) else []
        text = inspect.getdoc(value.fget if isinstance(value, property) else value) or ""
        lines += [title, "", *shown, *markdown(text), ""]
    return lines


def public_members(found: type) -> list[tuple[str, object]]:
    """Return methods and properties, in the order of the class; of an error, whose text is all there is, none."""
    members: dict[str, object] = {}
    for owner in found.__mro__:
        names = vars(owner) if owner is found else INHERITED
        for name in (name for name in names if name in vars(owner) and not issubclass(found, Exception)):
            value = inspect.getattr_static(found, name)
            public = name in SHOWN_SPECIAL or not name.startswith("_")
            value = value.__func__ if isinstance(value, classmethod) else value
            documented = (inspect.getdoc(value) or "Initialize self").startswith("Initialize self") is False
            if public and documented and (inspect.isfunction(value) or isinstance(value, property)):
                members.setdefault(name, value)
    return list(members.items())


def signature(name: str, found: object) -> list[str]:
    """Return the call with its arguments as a code block."""
    called = inspect.signature(found)  # type: ignore[arg-type]
    called = called.replace(parameters=[one for one in called.parameters.values() if one.name not in ("self", "cls")])
    shown = re.sub(r"\b(?:textlstm[.a-z_]*|collections[.]abc|pathlib|typing|numpy)[.](?=[A-Za-z])", "", str(called))
    return ["```py", f"{name}{shown}", "```", ""]


def markdown(text: str) -> list[str]:
    """Return a Google-style docstring as Markdown: its sections become lists and code blocks."""
    lines: list[str] = []
    section = ""
    for line in text.splitlines():
        if re.fullmatch(r"(Args|Raises|Returns|Attributes|Example):", line):
            section = line[:-1]
            lines += [f"**{section}**", ""]
        elif not line.startswith("    ") or section == "Example" or not section:
            lines.append(line)
        elif entry := re.fullmatch(r"    (\**\w+): (.*)", line):
            lines.append(f"- `{entry[1]}`: {entry[2]}")
        else:
            lines[-1] += f" {line.strip()}"
    return lines
