"""From texts to tokens and parts of speech, as the settings say."""

import gc
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

from textlstm.arrays.ragged import SplitWords
from textlstm.arrays.strings import TokenColumn
from textlstm.config import Tagger, TextConfig
from textlstm.errors import ConfigError
from textlstm.text.fingerprint import CODE_VERSION, TextDescription, TextFingerprint, check_saved
from textlstm.text.normalization import TokenFilter, TokenNormalizer
from textlstm.text.spacy_models import SpacyPipeline, import_spacy_alone, load_pipeline
from textlstm.text.stop_words import load_stop_words
from textlstm.text.tagger.pos import POS_TAGS
from textlstm.text.tokenized import TaggedTexts, TokenizedTexts, join_tokenized

if TYPE_CHECKING:
    from textlstm.text.tokenizer.tokenizer import PlainTokens

MAX_LEXEMES = 600_000
"""Words that spaCy has seen before the pipeline is loaded anew.

`Language.memory_zone` frees the words themselves, but the two hash tables of the vocabulary keep a place for every
word that ever passed and double when they are full; at this number they have 2^20 places of 16 bytes each.
"""


class Engine(Protocol):
    """One way to cut and tag texts; all give spaCy's tokens and tags. Filters come after them, once for all."""

    def tag_blocks(self, texts: Sequence[str]) -> Iterator[TaggedTexts]:
        """Yield the tokens of all texts in order, some texts at a time; tokens of white space are left out."""


class TextPipeline:
    """Prepares texts the same way for training, evaluation and labelling."""

    def __init__(
        self,
        config: TextConfig,
        *,
        saved: TextFingerprint | None = None,
        device: str = "cpu",
        without_torch: bool = False,
    ) -> None:
        """Load what `config` needs.

        Args:
            config: the settings; those of the model folder where `saved` is given.
            saved: what a model folder recorded; its stop words are used in place of the file or list.
            device: where the fast tagger runs, `cpu` or `cuda`; tags do not depend on it.
            without_torch: leave torch unloaded; numpy then computes the fast tagger.

        Raises:
            ConfigError: a setting that cannot be met here (unknown language, missing model, unknown tag).
            InputError: the stop-word file cannot be read.
            IntegrityError: `saved` was made with another spaCy model, tokenizer or preparation.
        """
        # Before anything imports spaCy: once it is imported, it holds torch already.
        if without_torch:
            import_spacy_alone()
        loaded = load_pipeline(config, saved=saved)
        stop_words = (
            frozenset(saved.stop_words)
            if saved is not None
            else load_stop_words(config.stop_words, language=config.language)
        )
        # A model folder made with another spaCy model or tokenizer must be refused before any text is prepared.
        self.saved = _text_fingerprint(config, loaded, stop_words)
        if saved is not None:
            check_saved(saved, self.saved, reads_spacy_model=config.pos or config.lemmas)
        self._needs_torch = "transformer" in loaded.nlp.pipe_names
        self._config, self._saved_before = config, saved
        self._device = "numpy" if without_torch else device
        self._vocab = loaded.nlp.vocab
        # Before the engine, which removes the tests for addresses from the vocabulary: the filter reads them there.
        self._filter = TokenFilter(_token_normalizer(config, loaded, stop_words), _kept_pos(config))
        self._engine, warning = _choose_engine(config, loaded, self._device)
        self.warnings: tuple[str, ...] = (*loaded.warnings, *([warning] if warning else []))

    @property
    def description(self) -> TextDescription:
        """What to store beside the results, and what the user should know."""
        return TextDescription(self.saved, self.warnings)

    @property
    def needs_torch(self) -> bool:
        """Whether spaCy's own networks are torch's."""
        return self._needs_torch

    @property
    def tags(self) -> bool:
        """Whether a network reads the texts for tags or lemmas, which takes much longer than cutting them."""
        return self.saved.has_pos or self._config.lemmas

    def split(self, texts: Sequence[str]) -> SplitWords | None:
        """Return the words of `texts`, for the linear expert and for `prepare`; None where the engine needs none."""
        if len(self._vocab) > MAX_LEXEMES:
            self._start_anew()
        plain = self._plain_tokens()
        return None if plain is None else plain.split(texts)

    def prepare(self, texts: Sequence[str], words: SplitWords | None = None) -> TokenizedTexts:
        """Tokenize, tag, filter and normalize; tokens of white space are dropped.

        Lone surrogates, which no UTF-8 text can hold, count as U+FFFD.

        Args:
            texts: N texts.
            words: those of `texts`, if the latest call of `split` has found them.
        """
        if words is None and len(self._vocab) > MAX_LEXEMES:
            self._start_anew()
        try:
            return self._prepare(texts, words)
        except UnicodeEncodeError:
            # Rare, so it is not tested beforehand: spaCy has refused a lone surrogate.
            prepared = self._prepare([_without_surrogates(text) for text in texts])
            return replace(prepared, words=None)  # they are of other texts

    def _plain_tokens(self) -> "PlainTokens | None":
        """Return the engine if it cuts each distinct word once."""
        from textlstm.text.tokenizer.tokenizer import PlainTokens

        return self._engine if isinstance(self._engine, PlainTokens) else None

    def _prepare(self, texts: Sequence[str], words: SplitWords | None = None) -> TokenizedTexts:
        plain = None if words is None else self._plain_tokens()
        blocks = self._engine.tag_blocks(texts) if plain is None else plain.tag_blocks(texts, words)
        parts = [self._filter.apply(block) for block in blocks]
        return join_tokenized(parts) if parts else self._filter.apply(_no_texts(has_pos=self.saved.has_pos))

    def _start_anew(self) -> None:
        """Load the pipeline again: what spaCy's vocabulary has grown by is only given back with it."""
        # Give up the old vocabulary before the new one is loaded, so that memory never holds both.
        del self._engine, self._vocab
        gc.unfreeze()  # a worker has frozen what it loaded: the collector would not look at it
        gc.collect()
        loaded = load_pipeline(self._config, saved=self._saved_before)
        self._vocab = loaded.nlp.vocab
        self._engine, _ = _choose_engine(self._config, loaded, self._device)


def _choose_engine(config: TextConfig, loaded: SpacyPipeline, device: str) -> tuple[Engine, str]:
    """Return the fastest engine that gives spaCy's results, and why no faster one is used (or "")."""
    from textlstm.text.tagger.spacy_tagger import SpacyTagging
    from textlstm.text.tokenizer.word_tokenizer import supports_single_words

    # Without tags and lemmas, each distinct word is cut once.
    by_words = supports_single_words(loaded.nlp)
    if by_words and not loaded.has_pos and not loaded.has_lemmas:
        from textlstm.text.tokenizer.tokenizer import PlainTokens

        return PlainTokens(loaded.nlp, max_run=config.max_run), ""
    # spaCy's tagger computed in large batches, if it is of a known kind and passes its test.
    reason = ""
    if loaded.has_pos and config.tagger is not Tagger.spacy:
        from textlstm.text.tagger.fast_tagger import self_tested_fast_tagger
        from textlstm.text.tagger.weights import UnknownArchitecture

        try:
            if loaded.has_lemmas or not by_words:
                raise UnknownArchitecture("it lemmatizes" if loaded.has_lemmas else "its tokenizer is not spaCy's own")
            engine = self_tested_fast_tagger(
                loaded.nlp, max_run=config.max_run, precision=config.tagger_precision, device=device
            )
        except UnknownArchitecture as finding:
            reason = f"the fast tagger cannot run {loaded.model} {loaded.model_version}: {finding}"
            if config.tagger is Tagger.fast:
                raise ConfigError(f"text.tagger=fast: {reason}; set text.tagger=auto or spacy") from finding
            reason += "; spaCy's own tagger is used, which is several times slower"
        else:
            return engine, ""
    # Everything else, such as lemmas or another tokenizer: spaCy's own components.
    engine_of_spacy = SpacyTagging(
        loaded.nlp, max_run=config.max_run, has_pos=loaded.has_pos, has_lemmas=loaded.has_lemmas
    )
    return engine_of_spacy, reason


def _no_texts(*, has_pos: bool) -> TaggedTexts:
    return TaggedTexts(TokenColumn.of([]), np.zeros(1, np.int64), np.zeros(0, np.uint8) if has_pos else None)


def _without_surrogates(text: str) -> str:
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _text_fingerprint(config: TextConfig, loaded: SpacyPipeline, stop_words: frozenset[str]) -> TextFingerprint:
    import spacy

    return TextFingerprint(
        spacy_version=spacy.__version__,
        spacy_model=loaded.model,
        spacy_model_version=loaded.model_version,
        language=config.language,
        has_pos=loaded.has_pos,
        stop_words=tuple(sorted(stop_words)),
        tagger=config.tagger_precision.value if loaded.has_pos else "none",
        tokenizer_digest=loaded.tokenizer_digest,
        code_version=CODE_VERSION,
    )


def _token_normalizer(config: TextConfig, loaded: SpacyPipeline, stop_words: frozenset[str]) -> TokenNormalizer:
    from spacy.attrs import LIKE_EMAIL, LIKE_URL

    getters = loaded.nlp.vocab.lex_attr_getters
    return TokenNormalizer(
        lowercase=config.lowercase,
        normalize_numbers=config.normalize_numbers,
        normalize_urls=config.normalize_urls,
        stop_words=stop_words,
        like_url=getters[LIKE_URL],
        like_email=getters[LIKE_EMAIL],
    )


def _kept_pos(config: TextConfig) -> NDArray[np.bool_]:
    """Return for each index of POS_TAGS whether its tokens stay."""
    kept = [(not config.keep_pos or tag in config.keep_pos) and tag not in config.drop_pos for tag in POS_TAGS]
    return np.array(kept, np.bool_)
