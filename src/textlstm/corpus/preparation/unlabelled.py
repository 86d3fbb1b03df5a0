"""Rows without labels, prepared as the labelled ones, and without any text that those have."""

import re
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from textlstm.arrays.hashing import Hashes, content_hash
from textlstm.config import DataConfig, TextConfig
from textlstm.corpus.preparation.corpus_folder import corpus_key
from textlstm.corpus.preparation.prepare import Preparation, ProgressCallback, ignore_progress, run_preparation
from textlstm.corpus.preparation.reading import Ingested
from textlstm.corpus.preparation.splitting import SPLITS, Assignment
from textlstm.corpus.prepared import PreparedCorpus, PreparedSplit, Split
from textlstm.corpus.sources.sources import unlabelled_file_source
from textlstm.errors import InputError
from textlstm.figure_text import counted

_NO_LETTERS = re.compile(r"[\W_]+")


@dataclass(frozen=True, slots=True)
class UnlabelledRows:
    """Rows to learn from that have no labels."""

    split: PreparedSplit
    line: str
    """How many there are, and how many were left out and why."""


def prepare_unlabelled(
    data: DataConfig,
    text: TextConfig,
    corpus: PreparedCorpus,
    *,
    prepared_dir: Path,
    num_workers: int,
    progress: ProgressCallback | None = None,
) -> UnlabelledRows:
    """Return the rows of `data.unlabelled` that have a text of their own.

    Texts of test, validation and training rows are left out, and all but the first of equal texts. Texts are compared
    by letters and digits alone: case, space and punctuation make no difference.

    Args:
        data: names the files; its text and id columns count.
        text: what becomes of the texts; that of `corpus`.
        corpus: the labelled rows.
        prepared_dir: the store; made where it is missing.
        num_workers: processes that tokenize and tag; 0 means one a core.
        progress: hears how far each phase is.

    Raises:
        InputError: files cannot be read, or no row is left.
        IntegrityError: the stored rows fail their checksums.
        StorageError: the store cannot be written.
    """
    # No column but text and id counts, which also sets the key apart from that of a labelled corpus of these files.
    plain = replace(data, label_column="", labels_column="", weight_column="", probabilities_column="")
    sources = (unlabelled_file_source(plain),)
    preparation = Preparation(
        data=plain,
        text=text,
        sources=sources,
        key=corpus_key(plain, text, sources=sources),
        saved=None,
        assign=_all_rows,
        num_workers=num_workers,
        progress=progress or ignore_progress,
    )
    prepared = run_preparation(preparation, prepared_dir, overwrite=False).train
    if prepared is None:
        raise InputError("data.unlabelled: no rows are left after the checks. Look at the rejects.")
    return _without_known_texts(prepared, corpus)


def letters_of(text: str) -> str:
    """Return the letters and digits of a text, in lower case; of a text without any, the text.

    Example: "It's fine!" gives "itsfine".
    """
    return _NO_LETTERS.sub("", text.casefold()) or text


def _all_rows(ingested: Ingested) -> Assignment:
    [source] = ingested.sources
    num_rows = len(source.hashes)
    return Assignment(
        splits={Split.train: np.full(num_rows, SPLITS.index(Split.train), np.int8)},
        labels=(),
        num_rows={Split.train: num_rows, Split.validation: 0, Split.test: 0},
        in_train={},
        duplicates={},
        warnings=(),
    )


def _without_known_texts(rows: PreparedSplit, corpus: PreparedCorpus) -> UnlabelledRows:
    hashes = _letter_hashes(rows)
    left = np.ones(len(rows), np.bool_)
    counts = []
    # Held-out texts first: these would spoil the figures of the model.
    held_out = [_letter_hashes(split) for split in (corpus.validation, corpus.test) if split is not None]
    trained = [_letter_hashes(corpus.train)] if corpus.train is not None else []
    for known, words in ((held_out, "with a text of validation or test"), (trained, "with a text of train")):
        found = left & np.isin(hashes, np.concatenate([np.zeros(0, np.uint64), *known]))
        left &= ~found
        counts.append((int(found.sum()), words))
    first = np.zeros(len(rows), np.bool_)
    places = np.flatnonzero(left)
    first[places[np.unique(hashes[places], return_index=True)[1]]] = True
    counts.append((int((left & ~first).sum()), "with a text that occurs earlier"))
    dropped = ", ".join(f"{count:,} {words}" for count, words in counts if count)
    if not first.any():
        raise InputError(f"data.unlabelled: no row is left: {dropped}, comparing letters and digits alone.")
    line = f"unlabelled: {counted(int(first.sum()), 'row')}"
    if not dropped:
        return UnlabelledRows(rows, line)
    line += f"; left out by letters and digits alone: {dropped}"
    return UnlabelledRows(replace(rows.select(np.flatnonzero(first)), digest=rows.digest), line)


def _letter_hashes(split: PreparedSplit) -> Hashes:
    hashes: npt.NDArray[np.uint64] = np.fromiter(
        (content_hash(letters_of(text)) for text in split.lazy_strings("text")), np.uint64, len(split)
    )
    return hashes
