"""`prepare_corpus`: read, check, split, tokenise, tag, filter, store; or find it all in the store."""

from collections.abc import Sequence
from pathlib import Path

from textlstm.config import DataConfig, TextConfig
from textlstm.corpus.prepared import PreparedCorpus
from textlstm.corpus.preparing.assign import assign_known, assign_rows, refuse_leaks
from textlstm.corpus.preparing.fingerprint import corpus_key
from textlstm.corpus.preparing.preparation import Preparation, run_preparation
from textlstm.corpus.preparing.progress import ProgressCallback, ignore_progress
from textlstm.corpus.sources.labelled_rows import labelled_file_sources, open_sources
from textlstm.text.saved import SavedText


def prepare_corpus(
    data: DataConfig,
    text: TextConfig,
    *,
    prepared_dir: Path,
    num_workers: int,
    overwrite: bool = False,
    progress: ProgressCallback | None = None,
) -> PreparedCorpus:
    """Return the prepared corpus of `data`, from the store where it is there.

    Args:
        data: Which rows.
        text: What becomes of their texts.
        prepared_dir: The store; made where it is missing.
        num_workers: Processes that tokenise and tag; 0 means one a core.
        overwrite: Prepare again even where the corpus is in the store.
        progress: Hears how far each phase is.

    Raises:
        InputError: Everything that is wrong with the rows, together; the store is left as it was.
        ConfigError: Text settings that cannot be met here.
        IntegrityError: The stored corpus fails its checksums.
        StorageError: The store cannot be written.
    """
    sources = open_sources(data)
    preparation = Preparation(
        data=data,
        text=text,
        sources=sources,
        key=corpus_key(data, text, sources=sources),
        saved=None,
        assign=lambda ingested: assign_rows(ingested, data),
        num_workers=num_workers,
        progress=progress or ignore_progress,
    )
    corpus = run_preparation(preparation, prepared_dir, overwrite=overwrite)
    if data.strict:  # the stored corpus may come from a run without it
        refuse_leaks(corpus.card["duplicates"])
    return corpus


def prepare_labelled_files(
    data: DataConfig,
    text: TextConfig,
    *,
    labels: Sequence[str],
    saved: SavedText,
    prepared_dir: Path,
    num_workers: int,
    overwrite: bool = False,
    progress: ProgressCallback | None = None,
) -> PreparedCorpus:
    """Return the files `data.test` as the test split of a corpus with the labels and text settings of a model.

    A label that the model does not know is allowed; it counts as always wrong, and a warning says so.

    Args:
        data: Its `test` files and columns; everything about other splits is ignored.
        text: The text settings of the model.
        labels: The labels of the model.
        saved: What the model recorded about text preparation.
        prepared_dir: The store; made where it is missing.
        num_workers: Processes that tokenise and tag; 0 means one a core.
        overwrite: Prepare again even where the corpus is in the store.
        progress: Hears how far each phase is.

    Raises:
        InputError: No file is given, or the rows cannot be used, or their labels are not those of the model.
        IntegrityError: The model's spaCy is not this one, or the stored corpus fails its checksums.
        StorageError: The store cannot be written.
    """
    sources = labelled_file_sources(data)
    preparation = Preparation(
        data=data,
        text=text,
        sources=sources,
        key=corpus_key(data, text, sources=sources, saved=saved, labels=labels),
        saved=saved,
        assign=lambda ingested: assign_known(ingested, labels, data),
        num_workers=num_workers,
        progress=progress or ignore_progress,
    )
    return run_preparation(preparation, prepared_dir, overwrite=overwrite)
