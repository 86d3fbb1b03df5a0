"""The engine for small inputs: this process does all shards, so that one row costs one start and no more."""

from collections.abc import Callable, Iterator, Sequence

from textlstm.config import LabellingConfig
from textlstm.labelling.classifier import RowClassifier
from textlstm.labelling.journal import Journal, ShardRecord
from textlstm.labelling.shards import ShardTask, label_shard


class InlineEngine:
    """Labels in the calling process."""

    num_workers = 1

    def __init__(self, classifier: RowClassifier, *, settings: LabellingConfig) -> None:
        """Label by `classifier`."""
        self._classifier = classifier
        self._settings = settings

    def run(
        self, tasks: Sequence[ShardTask], *, journal: Journal, on_rows: Callable[[int], None]
    ) -> Iterator[ShardRecord]:
        """Yield the record of each task in order; `on_rows` is called with the rows done of the current one."""
        for task in tasks:
            yield label_shard(task, self._classifier, settings=self._settings, journal=journal, on_rows=on_rows)
            on_rows(0)
