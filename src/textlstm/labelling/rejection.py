"""Stops a job as soon as too many of its rows cannot be used."""

import json

from textlstm.config import LabellingConfig
from textlstm.corpus.files.records import Reject
from textlstm.corpus.files.rejects import RejectCount
from textlstm.errors import InputError
from textlstm.labelling.journal import Journal, ShardRecord
from textlstm.labelling.plan import Plan
from textlstm.labelling.rows import settings_of_reading


class RejectWatch:
    """Adds up rejected rows against what `labelling.max_reject_fraction` allows of all rows."""

    def __init__(self, plan: Plan, settings: LabellingConfig, journal: Journal) -> None:
        """Watch the shards of `plan`."""
        self._plan = plan
        self._settings = settings
        self._journal = journal
        self._records: list[ShardRecord] = []
        self._num_rejects = 0

    def add(self, record: ShardRecord) -> None:
        """Count the rejects of a finished shard.

        Raises:
            InputError: There are too many; the first are listed.
        """
        self._records.append(record)
        self._num_rejects += record.num_rejects
        if self._num_rejects > self._settings.max_reject_fraction * self._plan.num_rows:
            raise InputError(*self._problems())

    def _problems(self) -> list[str]:
        count = RejectCount()
        count.num_rows = self._plan.num_rows
        for record in sorted(self._records, key=lambda record: record.number):
            for line in self._journal.read_rejects(record).splitlines():
                entry = json.loads(line)
                count.add(Reject(entry["file"], entry["row"], entry["byte_offset"], entry["reason"]))
        names = [file.name for file in self._plan.inputs]
        name = names[0] if len(names) == 1 else f"{names[0]} and {len(names) - 1} more"
        reading = settings_of_reading(self._settings, text_column=self._plan.settings["text_column"])
        return count.problems(reading, name=name)
