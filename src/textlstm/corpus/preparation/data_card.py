"""The data card: what is in a prepared corpus and what is odd about it, as plain JSON values."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from textlstm.config import Task
from textlstm.corpus.preparation.splitting import Assignment
from textlstm.corpus.prepared import Split
from textlstm.figure_text import counted
from textlstm.text.fingerprint import TextFingerprint
from textlstm.text.language_detection import UNCLEAR, count_languages
from textlstm.text.tagger.pos import POS_TAGS

# Counts over the rows of a split, taken batch by batch in bounded memory.

QUANTILES = {"median": 0.5, "p95": 0.95, "p99": 0.99}
_MOST_BINS = 24
_MAX_FILES = 20
_EXAMPLES_OF_LABEL, _EXAMPLE_CHARS, _MOST_EXAMPLES = 2, 160, 1000
"""Examples of a label on the page, their length, and how many labels have some."""
LANGUAGE_SAMPLE = 1000
"""About as many rows, evenly spread, are asked for their language."""


class Lengths:
    """Exact distribution of a length: how many rows have each value."""

    def __init__(self) -> None:
        self._rows_of_length = np.zeros(1, np.int64)

    def add(self, lengths: npt.NDArray[np.int64]) -> None:
        """Take in the lengths of some rows, (N,) int64."""
        # (longest + 1,): a longer text than before makes the array longer; earlier counts are added to its head.
        counts = np.bincount(lengths, minlength=len(self._rows_of_length))
        counts[: len(self._rows_of_length)] += self._rows_of_length
        self._rows_of_length = counts

    def summary(self) -> dict[str, float]:
        """Return mean, minimum, quantiles and maximum; 95 % of the rows do not exceed p95."""
        total = int(self._rows_of_length.sum())
        if not total:
            return {}
        present = np.flatnonzero(self._rows_of_length)
        # reached[k] rows have at most length k; a quantile is the first length at which enough rows are reached.
        reached = np.cumsum(self._rows_of_length)
        mean = float((np.arange(len(self._rows_of_length)) * self._rows_of_length).sum() / total)
        quantiles = {name: int(np.searchsorted(reached, part * total)) for name, part in QUANTILES.items()}
        return {"mean": round(mean, 2), "min": int(present[0]), **quantiles, "max": int(present[-1])}

    def histogram(self) -> list[list[int]]:
        """Return [first length, last length, rows] of up to 24 bins of equal width; the last holds all beyond p99."""
        summary = self.summary()
        if not summary:
            return []
        low, high = int(summary["min"]), int(summary["p99"])
        width = -(-(high - low + 1) // _MOST_BINS)
        starts = range(low, high + 1, width)
        bins = [[start, start + width - 1, int(self._rows_of_length[start : start + width].sum())] for start in starts]
        beyond = int(self._rows_of_length[bins[-1][1] + 1 :].sum())
        return [*bins, [bins[-1][1] + 1, int(summary["max"]), beyond]] if beyond else bins


class SplitStatistics:
    """What the data card says about the rows of one split."""

    def __init__(self, language: str, *, num_rows: int) -> None:
        """Start counting `num_rows` rows to come, whose texts should be in `language`."""
        self.num_rows = 0
        self.num_tokens = 0
        self.num_removed = 0
        self.num_without_tokens = 0
        self.label_counts: Counter[str] = Counter()
        self.labels_per_row: Counter[int] = Counter()
        self.languages: Counter[str] = Counter()
        self.pos_counts = np.zeros(len(POS_TAGS), np.int64)
        """Kept tokens of each part of speech; all 0 where texts are not tagged."""
        self._language = language
        self._sample_step = -(-num_rows // LANGUAGE_SAMPLE) or 1
        self.files: Counter[str] = Counter()
        self.examples: dict[str, list[str]] = {}
        """The first texts of each label, cut; for the page alone."""
        self.chars, self.tokens_before, self.tokens_after = Lengths(), Lengths(), Lengths()

    def add(self, batch: pa.RecordBatch) -> None:
        """Take in some rows with the columns of `PREPARED_SCHEMA`."""
        # The sample is every step-th row of the split, wherever the batches are cut.
        sampled = np.arange(-self.num_rows % self._sample_step, batch.num_rows, self._sample_step)
        sample = batch.column("text").take(pa.array(sampled))
        self.languages.update(count_languages(sample.to_pylist(), expected=self._language))
        # (B,) tokens that the filters kept, and (B,) tokens that they removed.
        kept = pc.list_value_length(batch.column("tokens")).to_numpy().astype(np.int64)
        removed = batch.column("num_removed").to_numpy().astype(np.int64)
        self.num_rows += batch.num_rows
        self.num_tokens += int(kept.sum())
        self.num_removed += int(removed.sum())
        tags = pc.list_flatten(batch.column("pos")).to_numpy(zero_copy_only=False)
        self.pos_counts += np.bincount(tags, minlength=len(POS_TAGS)).astype(np.int64)
        self.num_without_tokens += int((kept == 0).sum())
        self.chars.add(pc.utf8_length(batch.column("text")).to_numpy().astype(np.int64))
        self.tokens_before.add(kept + removed)
        self.tokens_after.add(kept)
        self.files.update(_counted(batch.column("file")))
        self._take_examples(batch)
        self.label_counts.update(_counted(pc.list_flatten(batch.column("labels"))))
        self.labels_per_row.update(_counted(pc.list_value_length(batch.column("labels"))))

    def _take_examples(self, batch: pa.RecordBatch) -> None:
        """Keep the first texts of labels that have too few yet."""
        labels = batch.column("labels")
        # (K,) labels of all rows, one after another, with the row of each; equal labels come together when sorted.
        flat = pc.list_flatten(labels).dictionary_encode()
        rows = pc.list_parent_indices(labels).to_numpy()
        places = flat.indices.to_numpy()
        for number, label in enumerate(flat.dictionary.to_pylist()):
            kept = self.examples.get(label, [])
            if len(kept) >= _EXAMPLES_OF_LABEL or (not kept and len(self.examples) >= _MOST_EXAMPLES):
                continue
            wanted = rows[np.flatnonzero(places == number)[: _EXAMPLES_OF_LABEL - len(kept)]]
            texts = batch.column("text").take(pa.array(wanted))
            self.examples[label] = kept + [_shortened(text) for text in texts.to_pylist()]


def _shortened(text: str) -> str:
    # White space is collapsed in the part that may be shown, so that a long text costs no more than a short one.
    shown = " ".join(text[: 4 * _EXAMPLE_CHARS].split())
    return shown if len(shown) <= _EXAMPLE_CHARS and len(text) <= 4 * _EXAMPLE_CHARS else f"{shown[:_EXAMPLE_CHARS]}…"


def _counted(values: pa.Array) -> dict[Any, int]:
    counted = pc.value_counts(values)
    return dict(zip(counted.field("values").to_pylist(), counted.field("counts").to_pylist(), strict=True))


# The card itself.

OTHER_LANGUAGE_SHARE = 0.2
"""From this part of the sampled texts on, another language is worth a warning."""
NEAR_DUPLICATE_SHARE = 0.01
"""From this part of the compared rows on, near-duplicates are worth a warning."""


def build_card(
    statistics: Mapping[Split, SplitStatistics],
    *,
    comparison: Mapping[str, Any],
    assignment: Assignment,
    num_rejects: int,
    task: Task,
    saved: TextFingerprint,
    warnings: Sequence[str],
) -> dict[str, Any]:
    """Return the card; its `warnings` are the given ones and those that the figures of the card give rise to."""
    all_warnings = [*warnings, *_language_warnings(statistics, saved.language), *_near_duplicate_warnings(comparison)]
    all_warnings += _empty_warnings(statistics)
    if num_rejects:
        all_warnings.append(f"{counted(num_rejects, 'row')} rejected; rejects.jsonl beside the data card says why")
    return {
        "task": task.value,
        "labels": list(assignment.labels),
        "splits": {split.value: _split_card(found) for split, found in statistics.items()},
        "compared_with_train": dict(comparison),
        "duplicates": assignment.duplicates,
        "num_rejects": num_rejects,
        "spacy_model": f"{saved.spacy_model} {saved.spacy_model_version}".strip(),
        "language": saved.language,
        "has_pos": saved.has_pos,
        "num_stop_words": len(saved.stop_words),
        "warnings": all_warnings,
    }


def _split_card(found: SplitStatistics) -> dict[str, Any]:
    return {
        "rows": found.num_rows,
        "tokens": found.num_tokens,
        "tokens_removed": found.num_removed,
        "rows_without_tokens": found.num_without_tokens,
        "rows_of_label": dict(sorted(found.label_counts.items())),
        "rows_of_number_of_labels": {str(number): rows for number, rows in sorted(found.labels_per_row.items())},
        "chars": found.chars.summary(),
        "tokens_before_filters": found.tokens_before.summary(),
        "tokens_after_filters": found.tokens_after.summary(),
        "languages_of_sample": dict(found.languages.most_common()),
        "tokens_of_pos": {
            POS_TAGS[place]: int(found.pos_counts[place])
            for place in np.argsort(-found.pos_counts, kind="stable")
            if found.pos_counts[place]
        },
        "length_histogram": found.tokens_after.histogram(),
        "files": dict(found.files.most_common(_MAX_FILES)),
    }


def _language_warnings(statistics: Mapping[Split, SplitStatistics], language: str) -> list[str]:
    warnings = []
    for split, found in statistics.items():
        sampled = found.languages.total()
        for other, texts in found.languages.items():
            if other not in (language, UNCLEAR) and texts >= OTHER_LANGUAGE_SHARE * sampled:
                warnings.append(
                    f"{split}: {texts} of {sampled} sampled texts look like '{other}', but text.language={language}; "
                    f"set text.language={other} if they are"
                )
    return warnings


def _near_duplicate_warnings(comparison: Mapping[str, Any]) -> list[str]:
    return [
        f"{split}: {counted(found['near_duplicates_of_train'], 'row')} of {found['rows_compared']:,} compared almost "
        "equal to a training row; results there say little about new texts"
        for split, found in comparison.items()
        if found["near_duplicates_of_train"] > NEAR_DUPLICATE_SHARE * found["rows_compared"]
    ]


def _empty_warnings(statistics: Mapping[Split, SplitStatistics]) -> list[str]:
    return [
        f"{split}: {counted(found.num_without_tokens, 'row')} without tokens after the filters, read as one unknown"
        for split, found in statistics.items()
        if found.num_without_tokens
    ]
