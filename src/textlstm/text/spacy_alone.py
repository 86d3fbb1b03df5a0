"""spaCy without torch: thinc, spaCy's network library, imports torch wherever it is installed, which takes seconds."""

import sys


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
