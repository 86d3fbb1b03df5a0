"""The parts of speech in a fixed order, and the table from the tagger's tag to the final tag and part of speech.

Stored corpora and saved models hold indices into `POS_TAGS`. The table is what spaCy's attribute_ruler fills.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from textlstm.errors import ConfigError
from textlstm.text.tagger.weights import UnknownArchitecture

if TYPE_CHECKING:
    from spacy.language import Language

POS_TAGS: tuple[str, ...] = (
    "",
    "ADJ",
    "ADP",
    "ADV",
    "AUX",
    "CCONJ",
    "DET",
    "INTJ",
    "NOUN",
    "NUM",
    "PART",
    "PRON",
    "PROPN",
    "PUNCT",
    "SCONJ",
    "SYM",
    "VERB",
    "X",
    "SPACE",
)
"""Index 0 means "no tag"; then the 17 universal tags, and spaCy's SPACE for white-space tokens."""

POS_INDEX: dict[str, int] = {tag: index for index, tag in enumerate(POS_TAGS)}

POS_NAMES: dict[str, str] = {
    "ADJ": "adjectives",
    "ADP": "prepositions",
    "ADV": "adverbs",
    "AUX": "auxiliary verbs",
    "CCONJ": "coordinating conjunctions",
    "DET": "determiners",
    "INTJ": "interjections",
    "NOUN": "nouns",
    "NUM": "numerals",
    "PART": "particles",
    "PRON": "pronouns",
    "PROPN": "proper nouns",
    "PUNCT": "punctuation marks",
    "SCONJ": "subordinating conjunctions",
    "SYM": "symbols",
    "VERB": "verbs",
    "X": "other words",
    "SPACE": "white space",
}
"""What people call each tag, in the plural."""


def check_pos_tags(key: str, tags: Sequence[str]) -> None:
    """Refuse tags that are not universal parts of speech.

    Args:
        key: the setting, such as `text.keep_pos`, for the message.
        tags: the user's tags.

    Raises:
        ConfigError: a tag is unknown; every unknown tag is named.
    """
    unknown = [tag for tag in tags if not tag or tag not in POS_INDEX]
    if unknown:
        allowed = ", ".join(POS_TAGS[1:])
        raise ConfigError(*(f"{key}: unknown tag {tag!r}; the tags are {allowed}" for tag in unknown))


# From the tagger's tag to the final tag and part of speech: a table that spaCy's attribute_ruler fills.

_OTHER_CLASS = 0
_SPACE_CLASS = 1
_OTHER_WORD = "xqzzyword"
_DECISIVE = {"POS", "TAG"}
_KNOWN_KEYS = {"TAG", "LOWER", "DEP", "IS_SPACE"}


class PosTable:
    """Final tags and parts of speech by (class of word, tag of the tagger)."""

    def __init__(self, nlp: "Language", labels: tuple[str, ...]) -> None:
        """Run the pipeline's attribute_ruler on every class with every tag.

        Raises:
            UnknownArchitecture: a rule looks at more than one token or at another attribute.
        """
        ruler = nlp.get_pipe("attribute_ruler") if "attribute_ruler" in nlp.pipe_names else None
        named = _named_forms(ruler.patterns if ruler is not None else [])
        # Row 0: a word that no rule names; row 1: white space; then the named forms.
        words = [_OTHER_WORD, "\n", *sorted(named)]
        self._class_of = {word: index for index, word in enumerate(words) if index > _SPACE_CLASS}
        self.tag_names: tuple[str, ...]
        """Names of the final tags; `tags` holds indices into it."""
        self.tags: NDArray[np.int64]
        """(classes, num_tags) final tag."""
        self.pos: NDArray[np.uint8]
        """(classes, num_tags) index into POS_TAGS."""
        self._fill(nlp, ruler, words, labels)

    def word_class(self, token: str, *, is_space: bool) -> int:
        """Return the class of a token, a row of the tables."""
        return _SPACE_CLASS if is_space else self._class_of.get(token.lower(), _OTHER_CLASS)

    def _fill(self, nlp: "Language", ruler: Any, words: list[str], labels: tuple[str, ...]) -> None:
        from spacy.tokens import Doc

        # One Doc holds every word under every tag, class by class.
        tokens = [word for word in words for _ in labels]
        doc = Doc(nlp.vocab, words=tokens, tags=list(labels) * len(words))
        if ruler is not None:
            ruler(doc)
        final = [token.tag_ for token in doc]
        self.tag_names = tuple(dict.fromkeys([*labels, *final]))
        # The final tags of (classes * tags) tokens become tables (classes, tags).
        index = {name: place for place, name in enumerate(self.tag_names)}
        shape = (len(words), len(labels))
        self.tags = np.array([index[tag] for tag in final], np.int64).reshape(shape)
        self.pos = np.array([POS_INDEX[token.pos_] for token in doc], np.uint8).reshape(shape)


def _named_forms(rules: list[dict[str, Any]]) -> set[str]:
    """Return the lower-case forms that decide about tag or part of speech.

    Raises:
        UnknownArchitecture: a rule that sets either looks at several tokens or at other attributes.
    """
    forms: set[str] = set()
    for rule in rules:
        # Rules that set neither tag nor part of speech, such as morphology, do not matter here.
        if not _DECISIVE & set(rule["attrs"]):
            continue
        for pattern in rule["patterns"]:
            if any(_needs_parser(token) for token in pattern):
                continue  # The dependency label is empty here, so that the rule never applies.
            if len(pattern) != 1 or not set(pattern[0]) <= _KNOWN_KEYS:
                raise UnknownArchitecture(f"its attribute_ruler has the rule {pattern}")
            forms |= _forms_of(pattern[0].get("LOWER"))
    return forms


def _needs_parser(token: dict[str, Any]) -> bool:
    """Say whether the condition on DEP fails for an empty dependency label."""
    match token.get("DEP"):
        case str(label):
            return label != ""
        case {"IN": [*labels]}:
            return "" not in labels
        case {"NOT_IN": [*labels]}:
            return "" in labels
        case _:
            return False


def _forms_of(condition: object) -> set[str]:
    match condition:
        case None:
            return set()
        case str(form):
            return {form}
        case {"IN": [*forms], **rest} if not rest:
            return {str(form) for form in forms}
        # The complement of some forms tells apart the same forms.
        case {"NOT_IN": [*forms], **rest} if not rest:
            return {str(form) for form in forms}
        case _:
            raise UnknownArchitecture(f"its attribute_ruler has the condition LOWER {condition}")
