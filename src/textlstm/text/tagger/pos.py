"""The parts of speech in a fixed order: stored corpora and saved models hold indices into `POS_TAGS`."""

from collections.abc import Sequence

from textlstm.errors import ConfigError

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
