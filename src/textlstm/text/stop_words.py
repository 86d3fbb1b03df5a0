"""Stop-word lists: packaged, spaCy's, or a file. `normalization.py` removes the words from the tokens.

spaCy's English list holds not, n't, no, nor, never, neither, without and their like, and a classifier that never sees
them cannot tell "good" from "not good": the packaged list is spaCy's without negations.
"""

from importlib import resources
from pathlib import Path

from textlstm.errors import InputError

NEGATIONS: dict[str, frozenset[str]] = {
    "en": frozenset(
        "cannot neither never no nobody none noone nor not nothing nowhere without n't n‘t n’t".split()  # noqa: SIM905
    ),
    "de": frozenset(
        "kaum kein keine keinem keinen keiner keines nein nicht nichts nie niemals niemand niemandem niemanden "  # noqa: SIM905
        "nirgends nirgendwo ohne weder".split()
    ),
    "fr": frozenset("aucun aucune jamais ne ni non nul nulle pas personne plus rien sans".split()),  # noqa: SIM905
    "es": frozenset("jamás nada nadie ni ninguna ningunas ninguno ningunos ningún no nunca sin tampoco".split()),  # noqa: SIM905
}
"""Words that stay in the text although spaCy's list of the language may hold them."""


def load_stop_words(choice: str, *, language: str) -> frozenset[str]:
    """Return the words to remove, lower-case.

    Args:
        choice: `keep` (none are removed), `remove` (the packaged list), or the path of a UTF-8 file with one word a
            line; lines that start with # are comments.
        language: spaCy language code.

    Raises:
        InputError: the file cannot be read, or the language has no list.
    """
    match choice:
        case "keep":
            return frozenset()
        case "remove":
            return packaged_stop_words(language)
        case _:
            return _read_stop_words(Path(choice))


def packaged_stop_words(language: str) -> frozenset[str]:
    """Return the list of a language: English is packaged, others are spaCy's without negations.

    Raises:
        InputError: spaCy has no list for the language.
    """
    if language == "en":
        text = resources.files("textlstm.text").joinpath("stop_words_en.txt").read_text(encoding="utf-8")
        return _words(text)
    import spacy

    try:
        words = spacy.util.get_lang_class(language).Defaults.stop_words
    except ImportError:
        words = set()
    if not words:
        raise InputError(
            f"text.stop_words=remove: there is no stop-word list for '{language}'; give a file with one word a line"
        )
    return frozenset(word.lower() for word in words) - NEGATIONS.get(language, frozenset())


def _read_stop_words(path: Path) -> frozenset[str]:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: byte {error.start}: not UTF-8; text.stop_words needs a UTF-8 file") from error
    except OSError as error:
        reason = error.strerror or str(error)
        raise InputError(
            f"{path}: {reason}; text.stop_words must be keep, remove or a file with one word a line"
        ) from error
    words = _words(text)
    if not words:
        raise InputError(f"{path}: no words; text.stop_words needs a file with one word a line")
    return words


def _words(text: str) -> frozenset[str]:
    lines = (line.strip() for line in text.splitlines())
    return frozenset(line.lower() for line in lines if line and not line.startswith("#"))
