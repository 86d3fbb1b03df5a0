"""How many labels of an earlier output another model would change: the answer to a model that was replaced."""

from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from textlstm.config import LabelConfig
from textlstm.corpus.rows.values import cell_text
from textlstm.errors import InputError
from textlstm.figure_text import counted
from textlstm.labelling.columns import AddedColumns
from textlstm.labelling.earlier.output import EarlierOutput
from textlstm.labelling.model import ModelCard, ModelSource

SAMPLE_ROWS = 1000
"""Rows that are labelled by the new model, in pieces from all over the output."""
_PIECES = 20


def refuse_other_model(
    earlier: EarlierOutput, config: LabelConfig, card: ModelCard, *, models: ModelSource, model_dir: Path
) -> None:
    """Refuse to keep labels of another model, and tell how many of them this one would change.

    Raises:
        InputError: The earlier output was labelled by another model.
    """
    manifest = earlier.manifest
    if manifest.model["digest"] == card.digest:
        return
    added = AddedColumns(config.labelling, card.labels, is_multi_label=card.is_multi_label)
    # Texts and their labels as the output has them, N of each.
    rows = list(_sample(earlier))
    texts = [text for text, _ in rows]
    classifier = models.load(model_dir, config.labelling, False)
    # (N, L) probabilities.
    probabilities = classifier.predict_proba(texts)
    values = added.values(classifier.decide(texts, probabilities), probabilities, explanations=[""] * len(texts))
    name = config.labelling.label_name
    num_changed = sum(cell_text(new[name]) != label for new, (_, label) in zip(values, rows, strict=True))
    raise InputError(
        f"{config.output}: was labelled by another model, {manifest.model['directory']} of {manifest.finished[:10]}; "
        f"of {counted(len(rows), 'row')} looked at, {num_changed:,} ({num_changed / max(len(rows), 1):.1%}) get "
        "another label now. Label everything anew with overwrite=true, or keep to the earlier model with model_dir"
    )


def _sample(earlier: EarlierOutput) -> Iterator[tuple[str, str]]:
    """Yield text and label of rows from evenly spaced shards."""
    name = earlier.settings.label_name
    ranges = earlier.shard_ranges()
    step = max(1, len(ranges) // _PIECES)
    chosen = ranges[::step]
    for rows in chosen:
        for text, fields in islice(earlier.rows(rows), -(-SAMPLE_ROWS // len(chosen))):
            yield text, cell_text(fields[name])
