"""Preparation in several processes."""

from collections.abc import Iterable, Iterator, Sequence

from textlstm.config import TextConfig
from textlstm.text.pipeline import TextPipeline
from textlstm.text.prepared import PreparedTexts
from textlstm.text.saved import SavedText


def prepare_in_processes(
    config: TextConfig, blocks: Iterable[Sequence[str]], *, num_workers: int, saved: SavedText | None = None
) -> Iterator[PreparedTexts]:
    """Yield the prepared texts of each block, in order."""
    pipeline = TextPipeline(config, saved=saved)
    for block in blocks:
        yield pipeline.prepare(block)
