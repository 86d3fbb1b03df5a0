"""`textlstm review`: the rows of a labelled file that are most worth a look, as a file with a column to fill."""

import heapq
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from textlstm.config import Device, FileFormat, LabellingConfig, ReviewConfig
from textlstm.config.checks import from_plain
from textlstm.corpus.rows.readers import read_records
from textlstm.corpus.rows.records import Record
from textlstm.corpus.rows.settings import ColumnNames, ReadSettings, delimiter_of
from textlstm.corpus.rows.values import cell_text
from textlstm.corpus.sources.examples import is_blank_text, text_to_label
from textlstm.errors import ConfigError, InputError, IntegrityError
from textlstm.figure_text import counted, percent_text
from textlstm.inference.classifier import TextClassifier
from textlstm.labelling.corrections.new_file import new_file
from textlstm.labelling.corrections.selection import CANDIDATES_A_ROW, choose_spread
from textlstm.labelling.inputs import local_path
from textlstm.labelling.manifest import Manifest
from textlstm.labelling.model import describe_model
from textlstm.labelling.output import open_target
from textlstm.labelling.trace import checked_manifest, labelling_model

CORRECT_COLUMN = "correct_label"
"""Empty; whoever reviews a row writes its label here."""
SOURCE_COLUMN = "review_source"
"""Labelled file, row and model, which `merge` notes beside each row that it takes."""
REASON_COLUMN = "review_reason"
_DISAGREEING, _NEW_WORDS = 0.25, 0.25
"""What is added to the worth of a look where the branches disagree, and for a text of nothing but new words."""
_MANY_NEW = 0.2
"""Part of new words from which on they are a reason."""


@dataclass(frozen=True, slots=True)
class Reviewed:
    """What was written."""

    output: str
    num_rows: int
    num_looked_at: int
    """Rows of the labelled file."""

    def lines(self) -> list[str]:
        """Return lines for a person."""
        return [
            f"{counted(self.num_rows, 'row')} of {self.num_looked_at:,} to look at in {self.output}",
            f"fill the column {CORRECT_COLUMN} where the label is wrong, or repeat it where it is right; then "
            f"`textlstm merge {self.output} train=TRAINING_FILE output=NEW_FILE`",
        ]


class _Candidate(NamedTuple):
    """A row that may be chosen."""

    certainty: float
    row: int
    text: str
    fields: Mapping[str, object]


def review_rows(config: ReviewConfig) -> Reviewed:
    """Write the rows of `config.output` that are most worth a look, and return how many there are.

    Raises:
        ConfigError: No file is named.
        InputError: The file has no manifest or no rows with a text, holds several labels a row, or the review exists.
        IntegrityError: The file was changed, or the model is another one.
        StorageError: The review cannot be written.
    """
    if not config.output:
        raise ConfigError("output: not set; name a labelled file, such as textlstm review labelled.csv")
    target = open_target(config.output)
    read = [Path(target.store.address(name)) for name in (target.name, target.manifest)] if target.is_local else []
    name = config.review or f"{config.output}.review.csv"
    review = new_file(name, key="review=FILE", overwrite=config.overwrite, read=read)
    manifest = checked_manifest(target, config.output)
    settings = from_plain(LabellingConfig, manifest.config["labelling"])
    directory = Path(config.model_dir) if config.model_dir else labelling_model(manifest)
    card = describe_model(directory)
    if card.digest != manifest.model["digest"]:
        raise IntegrityError(f"{directory}: is not the model that labelled {config.output}; set model_dir to that one")
    if card.is_multi_label:
        raise InputError(f"{config.output}: its model gives several labels a row; only single labels can be reviewed")
    # One pass over the file keeps the least certain rows, with memory for those alone.
    wanted = 2 * CANDIDATES_A_ROW * config.num_rows
    candidates = heapq.nsmallest(wanted, _candidates(config.output, manifest, settings), key=lambda row: row[:2])
    if not candidates:
        raise InputError(f"{config.output}: has no row with a text")
    classifier = TextClassifier.load(directory, device=Device.cpu, without_torch=True)
    texts = [candidate.text for candidate in candidates]
    worth, reasons = _judged(candidates, texts, classifier, settings)
    chosen = choose_spread(texts, worth, num_rows=config.num_rows)
    # Rows of JSONL differ in their columns; a file with fixed ones has all of those of its rows.
    names = dict.fromkeys(name for place in chosen for name in candidates[place].fields)
    with review.writer((REASON_COLUMN, CORRECT_COLUMN, *names, SOURCE_COLUMN)) as writer:
        for place in chosen:
            row = candidates[place]
            source = f"{Path(config.output).name} row {row.row}, model {manifest.model['digest'][:12]}"
            given = {REASON_COLUMN: "; ".join(reasons[place]), CORRECT_COLUMN: ""}
            writer.write({**given, **row.fields, **given, SOURCE_COLUMN: source})
    return Reviewed(str(review.path), len(chosen), manifest.output["num_rows"])


def _candidates(output: str, manifest: Manifest, settings: LabellingConfig) -> Iterator[_Candidate]:
    """Yield the rows of a labelled file that have a text."""
    reading = ReadSettings(
        format=FileFormat(manifest.output["format"]),
        delimiter=delimiter_of(settings.delimiter),
        columns=ColumnNames(text=manifest.text_column, label=""),
        max_expansion=1_000_000,
        key_prefix="labelling",
    )
    for row in read_records(local_path(output), reading):
        if isinstance(row, Record) and not is_blank_text(text := text_to_label(row, manifest.text_column)):
            probability = float(cell_text(row.fields[settings.probability_name]).replace(",", "."))
            yield _Candidate(probability, row.number, text, row.fields)


def _judged(
    candidates: Sequence[_Candidate], texts: Sequence[str], classifier: TextClassifier, settings: LabellingConfig
) -> tuple[np.ndarray, list[list[str]]]:
    """Return how much a look at each of N rows is worth, (N,) float64, and the reasons of each."""
    scores = classifier.score(texts)
    # (N,) labels of the two branches; a model without an expert has one branch.
    recurrent = scores.recurrent_logits.argmax(axis=1)
    expert = recurrent if scores.expert_logits is None else scores.expert_logits.argmax(axis=1)
    certainty = np.array([candidate.certainty for candidate in candidates])
    worth = 1 - certainty + _DISAGREEING * (recurrent != expert) + _NEW_WORDS * scores.unknown_share
    reasons = []
    for place, row in enumerate(candidates):
        abstained = settings.decision_name and cell_text(row.fields[settings.decision_name]) == "abstained"
        found = [f"{'abstained' if abstained else 'probability'} {row.certainty:.2f}"]
        if recurrent[place] != expert[place]:
            network_label, expert_label = classifier.labels[recurrent[place]], classifier.labels[expert[place]]
            found.append(f"the network says {network_label}, the linear expert {expert_label}")
        if scores.unknown_share[place] >= _MANY_NEW:
            found.append(f"new words {percent_text(float(scores.unknown_share[place]), decimals=0)}")
        reasons.append(found)
    return worth.astype(np.float64), reasons
