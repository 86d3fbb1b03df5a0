"""Blocks of texts of about equal work: words count, not texts."""

from collections.abc import Iterable, Iterator


def blocks_by_words(texts: Iterable[str], *, max_words: int) -> Iterator[list[str]]:
    """Yield lists of texts with at most `max_words` words each, in order; a longer text is a block of its own.

    Words are estimated as one for every six characters plus one for the text, which costs nothing.
    """
    block: list[str] = []
    num_words = 0
    for text in texts:
        words = len(text) // 6 + 1
        if block and num_words + words > max_words:
            yield block
            block, num_words = [], 0
        block.append(text)
        num_words += words
    if block:
        yield block
