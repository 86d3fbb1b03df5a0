"""spaCy without what a worker never asks of it, sooner loaded.

thinc, its network library, imports torch wherever that is installed, which takes seconds; and spaCy imports its own
command line, with what that needs to download models.
"""

import importlib.util
import json
import sys
from pathlib import Path
from types import ModuleType

_COMMAND_LINE = ("spacy.cli", "spacy.cli.info")


def import_spacy_alone() -> None:
    """Import spaCy as if torch were not installed, without its command line; both can be imported afterwards.

    For the rest of the process, spaCy pipelines whose networks are torch's cannot run, and `spacy.info` is not there.
    Nothing happens where spaCy or torch is there already.
    """
    if "spacy" in sys.modules or "torch" in sys.modules:
        return
    sys.modules["torch"] = None  # type: ignore[assignment]  # what Python takes for "not installed"
    for name in _COMMAND_LINE:
        sys.modules[name] = _Stub(name)
    try:
        import spacy
    finally:
        for name in ("torch", *_COMMAND_LINE):
            del sys.modules[name]
    for name in ("cli", "info"):
        vars(spacy).pop(name, None)


class _Stub(ModuleType):
    """A package that has whatever is imported from it, as None."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.__path__ = []

    def __getattr__(self, name: str) -> None:
        if name.startswith("__"):
            raise AttributeError(name)


def needs_torch(model: str) -> bool:
    """Say whether the spaCy model of that package name has a transformer; told without loading spaCy."""
    spec = importlib.util.find_spec(model) if model else None
    if spec is None or spec.origin is None:
        return False
    description = Path(spec.origin).with_name("meta.json")
    if not description.is_file():
        return True  # not packaged as spaCy's models are: who knows
    components = json.loads(description.read_text(encoding="utf-8")).get("components", [])
    return any("transformer" in name for name in components)
