"""Which words the network reads, chosen by cross-validation: stop words, content words alone, tags beside words.

Two judges see the same held-out rows of a bounded sample. A linear classifier tries every variant in seconds; what wins
there is taken only if a small network wins with it as well, since a network can make more of all words.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np

from textlstm.config import AUTO_SETTINGS, Quality, TextConfig, TrainConfig
from textlstm.corpus.prepared import PreparedCorpus
from textlstm.errors import ConfigError, InputError
from textlstm.fitting.auto import Resolved, setting_value, with_values
from textlstm.fitting.cross_fit import stratified_folds
from textlstm.fitting.text_trials import NUM_FOLDS, TextTrial, Variant, held_out_logits, network_logits
from textlstm.text.pipeline import TextPipeline
from textlstm.text.spacy_models import uses_torch
from textlstm.text.stop_words import packaged_stop_words
from textlstm.text.tagger.pos import POS_TAGS
from textlstm.text.tokenized import TokenizedTexts

TEXT_KEYS = ("text.stop_words", "text.keep_pos", "model.pos_embedding_size")
"""Settings that `choose_text` decides."""
CONTENT_POS = ("NOUN", "PROPN", "VERB", "ADJ", "ADV")
"""Parts of speech of content words."""
TAG_SIZE = 16
"""Dimensions of the vector of a tag."""

LEAST_ROWS = 500
"""With fewer rows, folds decide by chance."""
_MOST_ROWS = 2_000
_WORDS_A_MINUTE = 12_000
"""Words of the sample for each of `training.minutes`: at 5 minutes all variants take about 3 s (BBC News)."""
_MOST_WORDS = 120_000
_LEAST_WORDS_A_ROW = 20
_CHARACTERS_A_WORD = 6
_TAGGED_A_SECOND = 20_000
"""Words that two processors tag in a second, at least."""
_SHARE_OF_TAGGING = 0.25
"""Part of the minutes that tags of all rows may take."""

_STANDARD_ERRORS = 2.4
"""By which a variant must win. One of three wins by chance in 2.5 % of corpora, and by two in 7 %."""
_STANDARD_ERRORS_OF_NETWORK = 2.0


@dataclass(frozen=True, slots=True)
class TextChoice:
    """What was tried, and what is taken."""

    values: dict[str, Any]
    """Settings by key, beside those of all words; empty where all words are read as they are."""
    reason: str
    """One line for people."""
    trials: tuple[TextTrial, ...] = ()
    """By the linear classifier, all words first."""
    network_trials: tuple[TextTrial, ...] = ()
    """By the network: all words, then the best variant; empty where no variant won before."""


def resolve_text(
    config: TrainConfig,
    corpus: PreparedCorpus,
    *,
    in_one_process: bool = True,
    stop: Callable[[], int] | None = None,
) -> Resolved:
    """Return `config` with a plain value for each of `TEXT_KEYS` that is `auto`.

    Where a value differs from that with which `corpus` was prepared, it has to be prepared anew.

    Args:
        config: all settings of stage train.
        corpus: with training rows.
        in_one_process: whether a network may be trained here; else all words are kept.
        stop: asked while a network is trained.
    """
    free = [key for key in TEXT_KEYS if key in config.auto]
    if not free:
        return Resolved(config, {}, ())
    choice = choose_text(config, corpus, free, in_one_process=in_one_process, stop=stop)
    chosen = with_values(config, choice.values)
    # The values of all keys that were free, in the order in which they can be applied: filters need tags.
    keys = ["text.pos", *free]
    values = {key: setting_value(chosen, key) for key in AUTO_SETTINGS if key in keys}
    return Resolved(
        replace(chosen, auto=[key for key in config.auto if key not in free]),
        values,
        (choice.reason,) if choice.reason else (),
    )


def choose_text(
    config: TrainConfig,
    corpus: PreparedCorpus,
    keys: Sequence[str],
    *,
    in_one_process: bool = True,
    stop: Callable[[], int] | None = None,
) -> TextChoice:
    """Return which words the network should read; only training rows are looked at.

    Args:
        config: all settings of stage train.
        corpus: with training rows.
        keys: those of `TEXT_KEYS` that may change.
        in_one_process: whether a network may be trained here.
        stop: asked while a network is trained.
    """
    train = corpus.train
    if train is None or config.training.quality is Quality.fast or config.text.lemmas:
        return TextChoice({}, "")
    if len(train) < LEAST_ROWS:
        return TextChoice({}, f"all words kept: {len(train):,} training rows are too few to choose by")
    if not in_one_process:
        return TextChoice({}, "all words kept: other ways of reading are tried in one process only")

    # A bounded sample: rows in random order, long texts by their first words.
    num_words = min(_MOST_WORDS, int(_WORDS_A_MINUTE * config.training.minutes))
    num_rows = min(_MOST_ROWS, len(train), num_words // _LEAST_WORDS_A_ROW)
    if num_rows < LEAST_ROWS:
        return TextChoice({}, "all words kept: training.minutes leaves no time to try other ways of reading")
    rows = np.random.default_rng(config.seed).permutation(len(train))[:num_rows]
    table = train.select(rows).table
    texts = first_characters(table.column("text").to_pylist(), most=num_words * _CHARACTERS_A_WORD)
    targets = train.targets(corpus.labels, corpus.task)[rows]
    tokens, without_tags = _sample_tokens(texts, config, corpus, keys)

    # The linear classifier tries them all on the same folds.
    variants = _variants(tokens, config.text, keys)
    folds = stratified_folds(targets, num_folds=NUM_FOLDS, seed=config.seed)
    num_labels = len(corpus.labels)
    trials = [
        TextTrial.of(
            variant.name,
            held_out_logits(variant, targets, folds, num_labels=num_labels, task=corpus.task, seed=config.seed),
            targets,
            task=corpus.task,
        )
        for variant in variants
    ]
    base, *others = trials
    places = [place for place, trial in enumerate(others, 1) if trial.beats(base, standard_errors=_STANDARD_ERRORS)]
    if not places:
        return TextChoice({}, _line(None, trials, (), without_tags), tuple(trials))

    # A network must win with the best of them as well.
    best = max(places, key=lambda place: trials[place].accuracy)
    judged = tuple(
        TextTrial.of(
            variant.name,
            network_logits(variant, table, targets, corpus, config, stop=stop),
            targets,
            task=corpus.task,
        )
        for variant in (variants[0], variants[best])
    )
    # One that has learned less than the linear classifier is no judge. On R52 it labels 81 % with all words, 85 % with
    # content words; the linear classifier labels 86 % with all words.
    before, after = judged
    is_taken = after.beats(before, standard_errors=_STANDARD_ERRORS_OF_NETWORK) and after.accuracy >= base.accuracy
    taken = variants[best] if is_taken else None
    return TextChoice(taken.values if taken else {}, _line(taken, trials, judged, without_tags), tuple(trials), judged)


def first_characters(texts: Sequence[str], *, most: int) -> list[str]:
    """Return `texts`, the longest of them cut at one common length so that they have at most `most` characters.

    >>> first_characters(["abcdef", "ab", "abcd"], most=8)
    ['abc', 'ab', 'abc']
    """
    lengths = np.sort(np.array([len(text) for text in texts], dtype=np.int64))
    # If the k shortest stay whole, the others may have an equal part of what is left.
    left = most - (np.cumsum(lengths) - lengths)
    limits = left // np.arange(len(lengths), 0, -1)
    too_long = np.flatnonzero(lengths > limits)
    return list(texts) if not len(too_long) else [text[: max(0, int(limits[too_long[0]]))] for text in texts]


class _Sample(NamedTuple):
    tokens: TokenizedTexts
    without_tags: str
    """Why there are no tags; empty where there are, or where none are wanted."""


def _sample_tokens(texts: Sequence[str], config: TrainConfig, corpus: PreparedCorpus, keys: Sequence[str]) -> _Sample:
    """Return the tokens of the sample, with tags where these can be tried."""
    plain, tagged = config.text, replace(config.text, pos=True)
    wanted = "text.keep_pos" in keys or "model.pos_embedding_size" in keys
    reason, seconds = "", 0.0
    # All rows would have to be tagged; on long texts that takes longer than the network.
    if wanted and not plain.pos:
        splits = [split for split in (corpus.train, corpus.validation, corpus.test) if split is not None]
        seconds = sum(int(split.offsets()[-1]) for split in splits) / _TAGGED_A_SECOND
        if seconds > 60 * config.training.minutes * _SHARE_OF_TAGGING:
            reason = f"parts of speech not tried: to tag all rows would take about {seconds:,.0f} s"
    if wanted and not reason:
        try:
            pipeline = TextPipeline(tagged, without_torch=not uses_torch(tagged))
        except ConfigError as error:  # the spaCy model that is named has no tagger
            reason = f"parts of speech not tried: {error}"
        else:
            if not pipeline.tags:
                reason = f"parts of speech not tried: no spaCy model for '{plain.language}' is installed"
            return _Sample(pipeline.prepare(texts), reason)
    return _Sample(TextPipeline(plain, without_torch=not uses_torch(plain)).prepare(texts), reason)


def _variants(tokens: TokenizedTexts, text: TextConfig, keys: Sequence[str]) -> list[Variant]:
    """Return all words, then what can be tried beside them."""
    variants = [Variant("all words", {}, tokens)]
    if "text.stop_words" in keys:
        try:
            stop_words = packaged_stop_words(text.language)
        except InputError:  # there is no list for the language
            stop_words = frozenset()
        if stop_words:
            kept = tokens.tokens.each(lambda words: np.array([word.lower() not in stop_words for word in words], bool))
            values: dict[str, Any] = {"text.stop_words": "remove"}
            variants.append(Variant("without stop words", values, tokens.keep(kept)))
    if tokens.pos is not None and "text.keep_pos" in keys:
        is_content = np.isin(POS_TAGS, CONTENT_POS)
        values = {"text.pos": True, "text.keep_pos": list(CONTENT_POS)}
        variants.append(Variant("content words only", values, tokens.keep(is_content[tokens.pos])))
    if tokens.pos is not None and "model.pos_embedding_size" in keys:
        values = {"text.pos": True, "model.pos_embedding_size": TAG_SIZE}
        variants.append(Variant("tags beside words", values, tokens))
    return variants


def _line(taken: Variant | None, trials: Sequence[TextTrial], judged: Sequence[TextTrial], without_tags: str) -> str:
    """Return what was tried and what is taken, for people."""
    # What is read comes first, then what else was tried.
    first = next((trial for trial in trials if taken and trial.name == taken.name), trials[0])
    others = [f"{trial.name} {trial.accuracy:.1%}" for trial in trials if trial is not first]
    name = first.name if taken else "all words kept"
    parts = [f"{name}: {first.accuracy:.1%} of {len(first.right):,} held-out training rows"]
    if others:
        parts.append(", ".join(others))
    if judged:
        before, after = judged
        doubt = ", which has learned too little to judge by" if after.accuracy < trials[0].accuracy else ""
        parts.append(f"a small network{doubt}: {after.name} {after.accuracy:.1%}, all words {before.accuracy:.1%}")
    if without_tags:
        parts.append(without_tags)
    return "; ".join(parts)
