"""`textlstm prepare`: read, check, split, tokenize, tag, filter and store a corpus."""

from pathlib import Path

from textlstm.config import PrepareConfig
from textlstm.corpus.preparation.prepare import Phase, Progress, prepare_corpus
from textlstm.corpus.prepared import PreparedCorpus, PreparedSplit
from textlstm.processes.devices import refuse_missing_gpu
from textlstm.stages.screen import Stopwatch, note, progress, say, table
from textlstm.text.tagger.pos import POS_NAMES

_FREQUENT_POS = 4
"""Parts of speech in the summary; the data card has all."""


def prepare(config: PrepareConfig) -> None:
    """Prepare the corpus that `config` names, or find it in the store, and say what it holds."""
    refuse_missing_gpu(text__tagger_device=config.text.tagger_device)
    corpus = prepared(config, overwrite=config.overwrite)
    describe(corpus)


def prepared(config: PrepareConfig, *, overwrite: bool = False) -> PreparedCorpus:
    """Return the prepared corpus, with a progress bar while it is made and its warnings on stderr."""
    watch = Stopwatch()
    with progress("preparing") as advance:
        phase_watch, phase = watch, Phase.waiting

        def show(state: Progress) -> None:
            nonlocal phase_watch, phase
            # Each phase has its own speed, so the watch starts anew with it.
            if state.phase is not phase:
                phase_watch, phase = Stopwatch(), state.phase
            seconds = max(phase_watch.seconds, 1e-9)
            words = f" {state.words_done / seconds:,.0f} words/s" if state.words_done else ""
            advance(state.rows_done, state.rows_total, f"{state.phase}: {state.rows_done / seconds:,.0f} rows/s{words}")

        corpus = prepare_corpus(
            config.data,
            config.text,
            prepared_dir=Path(config.prepared_dir),
            num_workers=config.num_workers,
            engine=config.engine,
            overwrite=overwrite,
            progress=show,
        )
    note(*(f"warning: {warning}" for warning in corpus.warnings))
    how = "reused the prepared corpus" if corpus.reused else "prepared the corpus"
    note(f"{how} {corpus.directory} in {watch.seconds:.1f} s{_phases(corpus)}")
    return corpus


def describe(corpus: PreparedCorpus) -> None:
    """Print rows, tokens and classes of each split, and where the data card is."""
    splits = {"train": corpus.train, "validation": corpus.validation, "test": corpus.test}
    rows = [(name, *_counts(split)) for name, split in splits.items() if split is not None]
    table(f"{len(corpus.labels)} labels, {corpus.task}", ("split", "rows", "tokens", "tokens a text"), rows)
    pos = next(iter(corpus.card["splits"].values())).get("tokens_of_pos")  # cards of earlier versions have none
    if pos:
        total = sum(pos.values())
        frequent = [f"{POS_NAMES.get(tag, 'without a tag')} {count / total:.0%}" for tag, count in pos.items()]
        say(f"words       {', '.join(frequent[:_FREQUENT_POS])}")
    say(f"data card   {corpus.directory / 'card.html'}")


def _counts(split: PreparedSplit) -> tuple[str, str, str]:
    # Offsets (rows + 1,) end with the number of tokens.
    tokens = int(split.offsets()[-1])
    return f"{len(split):,}", f"{tokens:,}", f"{tokens / max(1, len(split)):.1f}"


def _phases(corpus: PreparedCorpus) -> str:
    parts = [f"{phase} {seconds:.1f} s" for phase, seconds in corpus.timings.items() if seconds >= 0.05]
    return f" ({', '.join(parts)})" if parts and not corpus.reused else ""
