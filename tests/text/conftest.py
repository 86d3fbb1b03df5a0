"""Loaded spaCy pipelines, one a session; tests must not change them."""

import numpy as np
import pytest

from textlstm.config import Precision, TextConfig
from textlstm.text.normalization import TokenFilter, TokenNormalizer
from textlstm.text.spacy_models import load_pipeline
from textlstm.text.tagger.fast_tagger import FastTagger
from textlstm.text.tagger.pos import POS_TAGS
from textlstm.text.tokenized import join_tokenized


def _token_filter(*, lowercase=False, stop_words=(), dropped_pos=()):
    normalizer = TokenNormalizer(
        lowercase=lowercase,
        normalize_numbers=False,
        normalize_urls=False,
        stop_words=frozenset(stop_words),
        like_url=lambda _: False,
        like_email=lambda _: False,
    )
    return TokenFilter(normalizer, np.array([tag not in dropped_pos for tag in POS_TAGS]))


def _fast_tagging(nlp, **changes):
    settings = {"max_run": 200, "precision": Precision.fp32, "device": "cpu"}
    return FastTagger(nlp, **(settings | changes))


@pytest.fixture(scope="session")
def prepare():
    """A function that has an engine cut and tag texts and a filter (by default one that keeps all) go over them."""
    keeps_all = _token_filter()

    def run(engine, texts, **filter_settings):
        token_filter = _token_filter(**filter_settings) if filter_settings else keeps_all
        return join_tokenized([token_filter.apply(block) for block in engine.tag_blocks(texts)])

    return run


@pytest.fixture(autouse=True, scope="module")
def one_torch_thread():
    """One thread, as workers have: waiting threads would count as processor time."""
    import torch

    num_threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(num_threads)


@pytest.fixture(scope="session")
def reference_nlp():
    """spaCy's own pipeline of tok2vec, tagger and attribute_ruler."""
    return load_pipeline(TextConfig()).nlp


@pytest.fixture(scope="session")
def make_tagging():
    """A function that gives the fast tagger of a pipeline (a fresh one of the installed model by default)."""

    def make(nlp=None, **changes):
        return _fast_tagging(nlp or load_pipeline(TextConfig()).nlp, **changes)

    return make


@pytest.fixture(scope="session")
def tagging(make_tagging):
    """The fast tagger over another copy of the pipeline of `reference_nlp`."""
    return make_tagging()
