"""What a teacher says of the rows of a corpus, and a file of it: probabilities matched to rows by text or by id."""

from array import array
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from textlstm.arrays.hashing import Hashes, content_hash
from textlstm.config import DataConfig, Task
from textlstm.corpus.prepared import PreparedCorpus, PreparedSplit
from textlstm.corpus.rows.inputs import expand_inputs
from textlstm.corpus.rows.probabilities import ProbabilitiesError, label_columns, read_probabilities
from textlstm.corpus.rows.readers import read_all
from textlstm.corpus.rows.records import NamedRows, Record, Reject
from textlstm.corpus.rows.settings import ColumnNames, ReadSettings, delimiter_of
from textlstm.corpus.sources.examples import scalar_text
from textlstm.errors import InputError
from textlstm.evaluation.scored_rows import correct_rows, decide
from textlstm.figure_text import counted, score_text

PROBABILITIES_COLUMN = "probabilities"
"""Column of a teacher's file: an object of a probability a label."""
PROBABILITY_COLUMNS = "probability[*]"
"""Or one column a label, as labelling.all_probabilities=true writes them."""
_NUM_EXAMPLES = 3


@dataclass(frozen=True, slots=True)
class Answers:
    """What a teacher says of the training rows of a corpus, and of unlabelled rows."""

    train: npt.NDArray[np.float32] | None
    """(N, L) probabilities of the training rows; None where nobody has answered yet."""
    unlabelled: PreparedSplit | None = None
    """K rows that have no labels; None without any."""
    unlabelled_probabilities: npt.NDArray[np.float32] | None = None
    """(K, L); None without unlabelled rows."""
    lines: tuple[str, ...] = ()
    """What a user should know, a line each."""


def read_answers(
    name: str, corpus: PreparedCorpus, unlabelled: PreparedSplit | None, data: DataConfig, *, task: Task
) -> Answers:
    """Return what the files `name` say of all training rows and all `unlabelled` rows.

    A row of a file belongs to the rows of the same id, where data.id_column is set, else of the same text. Its
    probabilities are an object in the column `probabilities`, columns `probability[LABEL]`, or else the label column
    alone, which is then sure. Of several rows for one text or id the first counts.

    Raises:
        InputError: files cannot be read; answers are no probabilities or of labels that the corpus does not have; or a
            row has none. One line says all of it.
    """
    assert corpus.train is not None
    found = _read(name, data, labels=corpus.labels, task=task)
    splits = {"training": corpus.train} | ({} if unlabelled is None else {"unlabelled": unlabelled})
    taken, missing = {}, []
    for kind, split in splits.items():
        places = found.places(split.hashes("id" if data.id_column else "text"))
        taken[kind] = found.chances[np.maximum(places, 0)]
        absent = np.flatnonzero(places < 0)
        if len(absent):
            missing.append(f"{len(absent):,} of {len(split):,} {kind} rows ({_where(split, absent)})")
    if missing:
        matched = f"data.id_column={data.id_column}" if data.id_column else f"data.text_column={data.text_column}"
        raise InputError(
            f"teacher={name}: has no answer for {' and '.join(missing)}; rows are matched by {matched}. "
            "Let the teacher answer for these rows, or leave them out."
        )
    return Answers(
        taken["training"],
        unlabelled,
        taken.get("unlabelled"),
        (f"teacher: {_agreement(taken['training'], corpus)}",),
    )


def _agreement(chances: npt.NDArray[np.float32], corpus: PreparedCorpus) -> str:
    """Say how often a teacher's most probable label is that of a training row."""
    assert corpus.train is not None
    what = "all labels" if corpus.task is Task.multi_label else "the label"
    right = right_text(chances, corpus.train.targets(corpus.labels, corpus.task), corpus.task)
    return f"has {what} of {right} of the training rows"


def right_text(chances: npt.NDArray[np.float32], targets: np.ndarray, task: Task) -> str:
    """Return the part of the rows that (N, L) probabilities get right in every label, as text."""
    wanted = targets >= 0.5 if task is Task.multi_label else targets
    return score_text(float(correct_rows(wanted, decide(chances, task)).mean()))


@dataclass(frozen=True, slots=True)
class _Found:
    """The answers of a file."""

    keys: Hashes
    """(M,) hashes of texts or ids."""
    chances: npt.NDArray[np.float32]
    """(M, L)."""

    def places(self, keys: Hashes) -> npt.NDArray[np.int64]:
        """Return the (N,) first answer for each key, -1 where there is none."""
        order = np.argsort(self.keys, kind="stable")
        places = np.minimum(np.searchsorted(self.keys[order], keys), len(order) - 1)
        return np.where(self.keys[order[places]] == keys, order[places], -1).astype(np.int64)


def _read(name: str, data: DataConfig, *, labels: Sequence[str], task: Task) -> _Found:
    place = {label: number for number, label in enumerate(labels)}
    keys, rows, wrong, unknown = array("Q"), list[npt.NDArray[np.float32]](), Counter[str](), Counter[str]()
    refused = NamedRows(_NUM_EXAMPLES)

    def refuse(record: Record | Reject, reason: str) -> None:
        wrong[reason] += 1
        refused.add(record.file, record.number)

    for record in read_all(expand_inputs([name]), _settings(data)):
        if isinstance(record, Reject):
            refuse(record, "that cannot be read")
            continue
        key = scalar_text(record.fields.get(data.id_column or data.text_column))
        if key is None:
            refuse(record, "without " + ("an id" if data.id_column else "a text"))
            continue
        try:
            chances = _chances(record.fields, data, several=task is Task.multi_label)
        except ProbabilitiesError as error:
            refuse(record, f"with {error}")
            continue
        strange = [label for label in chances if label not in place]
        unknown.update(strange)
        if strange:
            refuse(record, "with a label that no training row has")
            continue
        row = np.zeros(len(labels), np.float32)
        for label, chance in chances.items():
            row[place[label]] = chance
        keys.append(content_hash(key))
        rows.append(row)
    if wrong:
        reasons = ", ".join(f"{counted(count, 'row')} {reason}" for reason, count in wrong.items())
        named = f" ({', '.join(f'{label!r}' for label, _ in unknown.most_common(10))})" if unknown else ""
        raise InputError(
            f"teacher={name}: {reasons}{named}, such as {refused.first}. "
            f"The labels are {', '.join(f'{label!r}' for label in labels[:20])}{', ...' if len(labels) > 20 else ''}."
        )
    if not rows:
        raise InputError(f"teacher={name}: has no rows.")
    return _Found(np.frombuffer(keys, dtype=np.uint64), np.stack(rows))


def _settings(data: DataConfig) -> ReadSettings:
    """Return how a teacher's file is read: as the training files, with any columns beside those that match rows."""
    columns = ColumnNames(text=data.id_column or data.text_column, label="")
    return ReadSettings(
        encoding=data.encoding,
        delimiter=delimiter_of(data.delimiter),
        columns=columns,
        max_chars=data.max_chars,
        max_reject_fraction=1.0,
        max_expansion=data.max_expansion,
    )


def _chances(fields: Mapping[str, object], data: DataConfig, *, several: bool) -> dict[str, float]:
    """Return the probability of each label that a row of a teacher's file names.

    Raises:
        ProbabilitiesError: it has none, or none that can be used.
    """
    column = PROBABILITIES_COLUMN
    if column not in fields and label_columns(tuple(fields), PROBABILITY_COLUMNS):
        column = PROBABILITY_COLUMNS
    chances = read_probabilities(fields, column, several=several)
    if chances is not None:
        return chances
    # A teacher that only names labels is taken to be sure of them.
    value = fields.get(data.labels_column or data.label_column)
    value = value.as_py() if hasattr(value, "as_py") else value
    given = value if isinstance(value, list) and several else [value]
    names = [scalar_text(label) for label in given]
    if any(not label for label in names):
        raise ProbabilitiesError("neither probabilities nor a label")
    return {label: 1.0 for label in names if label}


def _where(split: PreparedSplit, rows: npt.NDArray[np.int64]) -> str:
    """Return the places of the first of these rows, as `train.jsonl:17, ...`."""
    table = split.table.take(rows[:_NUM_EXAMPLES])
    files, numbers = table.column("file").to_pylist(), table.column("row").to_pylist()
    named = ", ".join(f"{file}:{number}" for file, number in zip(files, numbers, strict=True))
    return f"{named}, ..." if len(rows) > _NUM_EXAMPLES else named
