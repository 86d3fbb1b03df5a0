"""Many texts in runs of bounded size."""

from collections.abc import Iterator, Sequence

_BLOCK_TEXTS = 1_000
_BLOCK_CHARACTERS = 2_000_000


def text_blocks(texts: Sequence[str]) -> Iterator[slice]:
    """Yield where runs of texts lie, in order, that are small enough to be worked on at once; at least one run."""
    start = characters = 0
    for i, text in enumerate(texts):
        if i > start and (i - start == _BLOCK_TEXTS or characters + len(text) > _BLOCK_CHARACTERS):
            yield slice(start, i)
            start, characters = i, 0
        characters += len(text)
    yield slice(start, len(texts))
