"""What becomes of one token: lower-casing, numbers, addresses, stop words. Depends on the token alone."""

import re
from collections.abc import Callable
from dataclasses import dataclass

NUMBER_TOKEN = "<num>"  # noqa: S105
URL_TOKEN = "<url>"  # noqa: S105
EMAIL_TOKEN = "<email>"  # noqa: S105

_NUMBER = re.compile(r"[+\-−]?[.,]?\d+(?:[.,:/'’\-]\d+)*(?:%|st|nd|rd|th|s)?", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class TokenNormalizer:
    """From a token as spaCy cut it to the token that the model sees."""

    lowercase: bool
    normalize_numbers: bool
    normalize_urls: bool
    stop_words: frozenset[str]
    like_url: Callable[[str], bool]
    """spaCy's test of the language."""
    like_email: Callable[[str], bool]

    def is_removed(self, token: str) -> bool:
        """Say whether the token is a stop word, in any case of letters."""
        return bool(self.stop_words) and token.lower() in self.stop_words

    def normalize(self, token: str) -> str:
        """Return the model's token, such as `<num>` for `1,200` or `the` for `The`.

        Numbers are digits with separators, a sign, %, or an ordinal ending; number words stay words.
        """
        if self.normalize_urls and ("." in token or ":" in token):
            if self.like_email(token):
                return EMAIL_TOKEN
            if self.like_url(token):
                return URL_TOKEN
        if self.normalize_numbers and not token[:1].isalpha() and _NUMBER.fullmatch(token):
            return NUMBER_TOKEN
        return token.lower() if self.lowercase else token
