"""From texts to tokens and parts of speech, as the settings say."""

from collections.abc import Sequence

import numpy as np

from textlstm.config import TextConfig
from textlstm.text.normalize import TokenNormalizer
from textlstm.text.pos import POS_INDEX
from textlstm.text.prepared import PreparedTexts
from textlstm.text.runs import cut_long_runs
from textlstm.text.saved import CODE_VERSION, SavedText, check_saved
from textlstm.text.spacy_models import SpacyPipeline, load_pipeline
from textlstm.text.stop_words import load_stop_words


class TextPipeline:
    """Prepares texts the same way for training, evaluation and labelling."""

    def __init__(self, config: TextConfig, *, saved: SavedText | None = None) -> None:
        """Load what `config` needs.

        Args:
            config: The settings; those of the model folder where `saved` is given.
            saved: What a model folder recorded; its stop words are used in place of the file or list.

        Raises:
            ConfigError: A setting that cannot be met here (unknown language, missing model, unknown tag).
            InputError: The stop-word file cannot be read.
            IntegrityError: `saved` was made with another spaCy model, tokeniser or preparation.
        """
        self._config = config
        self._spacy = load_pipeline(config)
        self.warnings = self._spacy.warnings
        stop_words = (
            frozenset(saved.stop_words)
            if saved is not None
            else load_stop_words(config.stop_words, language=config.language)
        )
        self.saved = _saved_text(config, self._spacy, stop_words)
        if saved is not None:
            check_saved(saved, self.saved)
        self._normalizer = _token_normalizer(config, self._spacy, stop_words)
        self._kept_pos = _kept_pos(config)

    def prepare(self, texts: Sequence[str]) -> PreparedTexts:
        """Tokenise, tag, filter and normalise; white-space tokens are dropped."""
        tokens: list[str] = []
        pos: list[int] = []
        lengths, removed = [], []
        cut = [cut_long_runs(text, max_run=self._config.max_run) for text in texts]
        for doc in self._spacy.nlp.pipe(cut, batch_size=64):
            start, num_removed = len(tokens), 0
            for token in doc:
                if token.is_space:
                    continue
                tag = POS_INDEX[token.pos_]
                if self._normalizer.is_removed(token.text) or (self._spacy.has_pos and not self._kept_pos[tag]):
                    num_removed += 1
                    continue
                tokens.append(self._normalizer.normalize(token.lemma_ if self._spacy.has_lemmas else token.text))
                pos.append(tag)
            lengths.append(len(tokens) - start)
            removed.append(num_removed)
        return PreparedTexts(
            tokens=tokens,
            offsets=np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64),
            pos=np.array(pos, np.uint8) if self._spacy.has_pos else None,
            num_removed=np.array(removed, np.int32),
        )


def _saved_text(config: TextConfig, spacy_pipeline: SpacyPipeline, stop_words: frozenset[str]) -> SavedText:
    import spacy

    return SavedText(
        spacy_version=spacy.__version__,
        spacy_model=spacy_pipeline.model,
        spacy_model_version=spacy_pipeline.model_version,
        language=config.language,
        has_pos=spacy_pipeline.has_pos,
        stop_words=tuple(sorted(stop_words)),
        tagger=config.tagger_precision.value if spacy_pipeline.has_pos else "none",
        tokenizer_digest=spacy_pipeline.tokenizer_digest,
        code_version=CODE_VERSION,
    )


def _token_normalizer(config: TextConfig, spacy_pipeline: SpacyPipeline, stop_words: frozenset[str]) -> TokenNormalizer:
    from spacy.attrs import LIKE_EMAIL, LIKE_URL

    getters = spacy_pipeline.nlp.vocab.lex_attr_getters
    return TokenNormalizer(
        lowercase=config.lowercase,
        normalize_numbers=config.normalize_numbers,
        normalize_urls=config.normalize_urls,
        stop_words=stop_words,
        like_url=getters[LIKE_URL],
        like_email=getters[LIKE_EMAIL],
    )


def _kept_pos(config: TextConfig) -> list[bool]:
    """Return for each index of POS_TAGS whether its tokens stay."""
    return [(not config.keep_pos or tag in config.keep_pos) and tag not in config.drop_pos for tag in POS_INDEX]
