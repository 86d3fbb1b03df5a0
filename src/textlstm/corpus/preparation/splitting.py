"""Which split each ingested row goes to, which rows are dropped, and what that says about the data."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from textlstm.arrays.hashing import Hashes, mix
from textlstm.config import DataConfig
from textlstm.corpus.preparation.label_checks import check_known, check_labels, check_probable
from textlstm.corpus.preparation.reading import Ingested, IngestedSource
from textlstm.corpus.prepared import Split
from textlstm.errors import InputError
from textlstm.figure_text import counted

# Which rows go to validation and test: stratified, duplicate-safe, independent of the order of rows and files.


def take_part(
    hashes: Hashes, *, strata: npt.NDArray[np.int32], fraction: float, split_seed: int
) -> npt.NDArray[np.bool_]:
    """Return which of N rows belong to a part of about `fraction` of the different texts.

    Rows with equal `hashes` (N,) uint64 count as one text and stay together. Each stratum (`strata` (N,) int32, ranks
    that do not depend on the order of rows; a text with several keeps the smallest) gives its share, rounded by largest
    remainders, in the order of hash and seed, but never its last text. So 10 texts of stratum 0 and 5 of stratum 1 at
    0.2 give 2 and 1.

    Returns:
        (N,) bool; all false where no stratum has two texts.
    """
    # (N,) rows in the order of their hashes: equal texts stand side by side, and the order of rows is forgotten.
    order = order_of(hashes)
    ordered = hashes[order]
    is_first = np.ones(len(ordered), np.bool_)
    is_first[1:] = ordered[1:] != ordered[:-1]
    texts = ordered[is_first]
    del ordered
    # (T,) different texts, each with the smallest stratum of its rows.
    starts = np.flatnonzero(is_first)
    smallest = np.minimum.reduceat(strata[order], starts) if len(starts) else strata
    taken = _take_texts(texts, smallest, fraction=fraction, split_seed=split_seed)
    # Back to (N,) rows: the answer for each text is repeated for its rows, then put in the order they came in.
    rows = np.zeros(len(hashes), np.bool_)
    rows[order] = np.repeat(taken, np.diff(starts, append=len(hashes)))
    return rows


def order_of(hashes: Hashes) -> npt.NDArray[np.uint32]:
    """Return the (N,) order that sorts the hashes, equal ones as they come; 4 bytes a row."""
    return np.argsort(hashes, kind="stable").astype(np.uint32)


def _take_texts(
    texts: Hashes, strata: npt.NDArray[np.int32], *, fraction: float, split_seed: int
) -> npt.NDArray[np.bool_]:
    """Return which of some different texts belong to the part."""
    sizes = np.bincount(strata)
    quotas = _quotas(sizes, fraction)
    taken: npt.NDArray[np.bool_] = np.zeros(len(texts), dtype=np.bool_)
    # mix(0) is 0: without the 1, seed 0 would leave the hashes as they are.
    seed = mix(np.array([split_seed + 1], np.uint64))
    # (T,) texts by stratum: stratum s has by_stratum[ends[s] - sizes[s] : ends[s]].
    by_stratum = np.argsort(strata, kind="stable").astype(np.uint32)
    ends = np.cumsum(sizes)
    # From each stratum, the first `quotas[stratum]` texts in the order of hash and seed.
    for stratum in np.flatnonzero(quotas):
        places = by_stratum[ends[stratum] - sizes[stratum] : ends[stratum]]
        order = np.argsort(mix(texts[places] ^ seed), kind="stable")
        taken[places[order[: quotas[stratum]]]] = True
    return taken


def _quotas(sizes: npt.NDArray[np.int64], fraction: float) -> npt.NDArray[np.int64]:
    """Return how many texts each stratum gives: shares rounded down, the rest by largest remainder."""
    most = np.maximum(sizes - 1, 0)  # also 0 for strata without texts
    shares = sizes * fraction
    quotas: npt.NDArray[np.int64] = np.minimum(np.floor(shares).astype(np.int64), most)
    # At least one text is wanted, however small the fraction is.
    wanted = max(1, round(float(sizes.sum()) * fraction))
    # lexsort sorts by its last key first: largest remainder, then larger stratum, then smaller rank.
    by_remainder = np.lexsort((np.arange(len(sizes)), -sizes, quotas - shares))
    for stratum in by_remainder:
        if quotas.sum() >= wanted:
            break
        quotas[stratum] = min(quotas[stratum] + 1, most[stratum])
    return quotas


DROPPED = -1
SPLITS = tuple(Split)
"""A row's split is stored as an index into this; DROPPED is none."""

IN_TRAIN = "with a text that is also in train; data.drop_leaked=true drops it there"


@dataclass(frozen=True, slots=True)
class Assignment:
    """The split of every row, and what was found on the way."""

    splits: dict[Split, npt.NDArray[np.int8]]
    """For each source: (N,) int8 index into SPLITS, or DROPPED."""
    labels: tuple[str, ...]
    """Labels of the training rows, sorted."""
    num_rows: dict[Split, int]
    in_train: dict[Split, npt.NDArray[np.bool_]]
    """For validation and test given as files: (N,) which rows have a text that is also in train."""
    duplicates: dict[str, int]
    """Counts by kind, for the data card."""
    warnings: tuple[str, ...]


def assign_rows(ingested: Ingested, data: DataConfig) -> Assignment:
    """Drop, split and check, all on hashes.

    Raises:
        InputError: too few rows or classes, rare labels, or test texts in train where data.strict=true.
    """
    by_split = {source.split: source for source in ingested.sources}
    splits = {
        source.split: np.full(len(source.hashes), SPLITS.index(source.split), np.int8) for source in ingested.sources
    }
    train, assigned = by_split[Split.train], splits[Split.train]
    duplicates: dict[str, int] = _duplicates(train)
    warnings: list[str] = []
    # Rows that settings drop leave train before anything is split.
    if data.deduplicate:
        duplicates["dropped_duplicates"] = _drop(assigned, _occurs_earlier(train.hashes))
    if data.drop_leaked:
        given = [source.hashes for split, source in by_split.items() if split is not Split.train]
        leaked = np.isin(train.hashes, np.concatenate([np.zeros(0, np.uint64), *given]))
        duplicates["dropped_leaked"] = _drop(assigned, leaked)
    # What is left must be enough to learn from; then missing splits are taken from train.
    label_ids = _LabelIds(ingested.label_sets)
    check_probable({source.split: source.num_rows_of for source in ingested.sources}, label_ids.names)
    warnings += _check_classes(train, assigned, label_ids, data)
    # Test comes first, so that it does not depend on the fraction of validation.
    for split, fraction in ((Split.test, data.test_fraction), (Split.validation, data.validation_fraction)):
        if split not in by_split and fraction > 0:
            _carve(train, assigned, label_ids, split=split, fraction=fraction, split_seed=data.split_seed)
    # The limit comes after the splits, which are then the same for every limit.
    if data.train_limit:
        _limit_train(train, assigned, label_ids, limit=data.train_limit, split_seed=data.split_seed)
    # The labels of a model are those of the rows that are left in train.
    labels = label_ids.names_of(train.label_set_ids[assigned == SPLITS.index(Split.train)])
    # Given splits are compared with train: texts that are in both, labels that train does not have.
    in_train: dict[Split, npt.NDArray[np.bool_]] = {}
    for split, fate in ((Split.validation, "are left out of training"), (Split.test, "count as always wrong")):
        if split in by_split:
            in_train[split] = np.isin(by_split[split].hashes, train.hashes[assigned == SPLITS.index(Split.train)])
            duplicates[f"{split}_in_train"] = int(in_train[split].sum())
            found = label_ids.named_counts(by_split[split].label_set_ids)
            warnings += check_known(found, labels, data, name=split.value, fate=fate)
    if data.strict:
        refuse_leaks(duplicates)
    warnings += duplicate_warnings(duplicates)
    return Assignment(
        splits=splits,
        labels=labels,
        num_rows={split: sum(int((part == i).sum()) for part in splits.values()) for i, split in enumerate(SPLITS)},
        in_train=in_train,
        duplicates=duplicates,
        warnings=tuple(warnings),
    )


def assign_known(ingested: Ingested, labels: Sequence[str], data: DataConfig) -> Assignment:
    """Take every row as a test row of a model with `labels`.

    Raises:
        InputError: there are no rows, or their labels are none of the model's, or only look as if they were not.
    """
    [source] = ingested.sources
    if not len(source.hashes):
        raise InputError("test: no rows are left after the checks. Look at the rejects.")
    found = _LabelIds(ingested.label_sets).named_counts(source.label_set_ids)
    return Assignment(
        splits={Split.test: np.full(len(source.hashes), SPLITS.index(Split.test), np.int8)},
        labels=tuple(labels),
        num_rows={Split.train: 0, Split.validation: 0, Split.test: len(source.hashes)},
        in_train={},
        duplicates={"test_repeats": int(_occurs_earlier(source.hashes).sum())},
        warnings=tuple(check_known(found, labels, data, name=Split.test.value, owner="the model")),
    )


def refuse_leaks(duplicates: Mapping[str, int]) -> None:
    """Refuse test texts that are also in train, as data.strict=true asks.

    Raises:
        InputError: test texts are also in train.
    """
    leaked = duplicates.get("test_in_train", 0)
    if leaked:
        raise InputError(
            f"test: {counted(leaked, 'row')} with a text that is also in train, and data.strict=true. "
            "Set data.drop_leaked=true to drop such rows from train."
        )


def duplicate_warnings(duplicates: Mapping[str, int]) -> list[str]:
    """Return a line for each count that a reader of results must know."""
    lines = {
        "train_repeats": ("train", "row", "with a text that occurs earlier; data.deduplicate=true drops such rows"),
        "train_conflicts": ("train", "text", "with different labels in different rows"),
        "validation_in_train": ("validation", "row", IN_TRAIN),
        "test_in_train": ("test", "row", IN_TRAIN),
    }
    kept = {name: count for name, count in duplicates.items() if count}
    # Repeats that are dropped need no warning.
    if "dropped_duplicates" in kept:
        kept.pop("train_repeats", None)
    return [
        f"{split}: {counted(kept[name], noun)} {what}" for name, (split, noun, what) in lines.items() if name in kept
    ]


class _LabelIds:
    """Labels as ranks in sorted order, which no order of rows can change."""

    def __init__(self, label_sets: Sequence[tuple[str, ...]]) -> None:
        self.names = sorted({label for label_set in label_sets for label in label_set})
        rank = {label: index for index, label in enumerate(self.names)}
        lengths = [len(label_set) for label_set in label_sets]
        # Ragged: label set i has the ranks ranks_flat[starts[i] : starts[i + 1]].
        self.ranks_flat = np.array([rank[label] for label_set in label_sets for label in label_set], np.int64)
        self.starts = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)

    def counts(self, label_set_ids: npt.NDArray[np.int32]) -> npt.NDArray[np.int64]:
        """Return (L,) how many of the rows have each label."""
        # (S,) rows of each label set, repeated for each of its labels, summed to (L,) rows of each label.
        rows_of_set = np.bincount(label_set_ids, minlength=len(self.starts) - 1)
        weights = np.repeat(rows_of_set, np.diff(self.starts))
        return np.bincount(self.ranks_flat, weights=weights, minlength=len(self.names)).astype(np.int64)

    def named_counts(self, label_set_ids: npt.NDArray[np.int32]) -> dict[str, int]:
        """Return how many of the rows have each label that occurs."""
        counts = self.counts(label_set_ids)
        return {self.names[rank]: int(counts[rank]) for rank in np.flatnonzero(counts)}

    def sets_with(self, labels: Collection[str]) -> npt.NDArray[np.int64]:
        """Return the numbers of the label sets that hold one of `labels`."""
        ranks = [rank for rank, name in enumerate(self.names) if name in labels]
        # From places in `ranks_flat` to the numbers of the sets that hold them.
        return np.searchsorted(self.starts, np.flatnonzero(np.isin(self.ranks_flat, ranks)), side="right") - 1

    def names_of(self, label_set_ids: npt.NDArray[np.int32]) -> tuple[str, ...]:
        """Return the labels that occur, sorted."""
        return tuple(self.named_counts(label_set_ids))

    def rarest_of_sets(self, counts: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """Return for each label set its rarest label (smallest rank among equals); L for a set without labels."""
        rarest = np.full(len(self.starts) - 1, len(self.names), np.int64)
        for index in range(len(rarest)):
            ranks = self.ranks_flat[self.starts[index] : self.starts[index + 1]]
            if len(ranks):
                rarest[index] = ranks[np.lexsort((ranks, counts[ranks]))[0]]
        return rarest


def _drop(assigned: npt.NDArray[np.int8], rows: npt.NDArray[np.bool_]) -> int:
    dropped = int((rows & (assigned != DROPPED)).sum())
    assigned[rows] = DROPPED
    return dropped


def _occurs_earlier(hashes: Hashes) -> npt.NDArray[np.bool_]:
    """Return for each row whether an earlier one has the same hash."""
    order = order_of(hashes)
    # The order is stable: of rows with equal hashes the earliest comes first and is no repeat.
    repeats = np.zeros(len(hashes), np.bool_)
    repeats[order[1:][_same_as_before(hashes[order])]] = True
    return repeats


def _same_as_before(ordered: Hashes) -> npt.NDArray[np.bool_]:
    same: npt.NDArray[np.bool_] = ordered[1:] == ordered[:-1]
    return same


def _duplicates(train: IngestedSource) -> dict[str, int]:
    order = order_of(train.hashes)
    same = _same_as_before(train.hashes[order])
    sets = train.label_set_ids[order]
    # Texts as runs of equal hashes: a text is in conflict if the label set changes inside its run.
    run_of_row = np.cumsum(~same, dtype=np.int32)
    conflicts = np.unique(run_of_row[same & (sets[1:] != sets[:-1])])
    return {"train_repeats": int(same.sum()), "train_conflicts": len(conflicts)}


def _check_classes(
    train: IngestedSource, assigned: npt.NDArray[np.int8], label_ids: _LabelIds, data: DataConfig
) -> list[str]:
    """Refuse labels that nothing can be learned from; apply data.rare_label; return warnings."""
    kept = train.label_set_ids[assigned != DROPPED]
    if not len(kept):
        raise InputError("train: no rows are left after the checks. Look at the rejects and at data.drop_leaked.")
    report = check_labels(label_ids.named_counts(kept), data)
    if report.problems:
        raise InputError(*report.problems)
    # A row goes with any label that is dropped, even if it has other labels too.
    if report.drop:
        _drop(assigned, np.isin(train.label_set_ids, label_ids.sets_with(report.drop)))
    return list(report.warnings)


def _carve(
    train: IngestedSource,
    assigned: npt.NDArray[np.int8],
    label_ids: _LabelIds,
    *,
    split: Split,
    fraction: float,
    split_seed: int,
) -> None:
    """Move a stratified part of the rows that are still in train to `split`."""
    rows = np.flatnonzero(assigned == SPLITS.index(Split.train)).astype(np.uint32)
    set_ids = train.label_set_ids[rows]
    # (n,) stratum of each row: its rarest label among the rows still in train.
    strata = label_ids.rarest_of_sets(label_ids.counts(set_ids)).astype(np.int32)[set_ids]
    taken = take_part(train.hashes[rows], strata=strata, fraction=fraction, split_seed=split_seed)
    if not taken.any():
        raise InputError(
            f"train: too few different texts a class to take a part for {split}. Give data.{split} a file."
        )
    assigned[rows[taken]] = SPLITS.index(split)


def _limit_train(
    train: IngestedSource, assigned: npt.NDArray[np.int8], label_ids: _LabelIds, *, limit: int, split_seed: int
) -> None:
    """Keep a stratified choice of at most `limit` training rows; the other splits stay."""
    rows = np.flatnonzero(assigned == SPLITS.index(Split.train)).astype(np.uint32)
    if len(rows) <= limit:
        return
    set_ids = train.label_set_ids[rows]
    strata = label_ids.rarest_of_sets(label_ids.counts(set_ids)).astype(np.int32)[set_ids]
    taken = take_part(train.hashes[rows], strata=strata, fraction=limit / len(rows), split_seed=split_seed)
    taken[np.flatnonzero(taken)[limit:]] = False  # a text that occurs often brings more rows than texts
    assigned[rows[~taken]] = DROPPED
