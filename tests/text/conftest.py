"""Loaded spaCy pipelines, one a session; tests must not change them."""

import numpy as np
import pytest

from textlstm.config import Precision, TextConfig
from textlstm.text.normalization import TokenNormalizer
from textlstm.text.spacy_models import load_pipeline
from textlstm.text.tagger.fast_tagger import FastTagger
from textlstm.text.tagger.pos import POS_TAGS


def _plain_normalizer():
    return TokenNormalizer(
        lowercase=False,
        normalize_numbers=False,
        normalize_urls=False,
        stop_words=frozenset(),
        like_url=lambda _: False,
        like_email=lambda _: False,
    )


def _fast_tagging(nlp, **changes):
    settings = {
        "normalizer": _plain_normalizer(),
        "kept_pos": np.ones(len(POS_TAGS), np.bool_),
        "max_run": 200,
        "precision": Precision.fp32,
        "device": "cpu",
    }
    return FastTagger(nlp, **(settings | changes))


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
