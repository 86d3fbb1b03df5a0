"""spaCy without torch: thinc, spaCy's network library, imports torch wherever it is installed, which takes seconds."""

import importlib.util
import json
import sys
from pathlib import Path


def import_spacy_alone() -> None:
    """Import spaCy as if torch were not installed; torch itself can be imported afterwards.

    For the rest of the process, spaCy pipelines whose networks are torch's cannot run. Nothing happens where spaCy or
    torch is there already.
    """
    if "spacy" in sys.modules or "torch" in sys.modules:
        return
    sys.modules["torch"] = None  # type: ignore[assignment]  # what Python takes for "not installed"
    try:
        import spacy  # noqa: F401
    finally:
        del sys.modules["torch"]


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
