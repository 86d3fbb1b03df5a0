import numpy as np
import pytest

from textlstm.config import Precision, TextConfig
from textlstm.text.normalization import TokenNormalizer
from textlstm.text.spacy_models import load_pipeline
from textlstm.text.tagger import network_torch
from textlstm.text.tagger.pos import POS_TAGS
from textlstm.text.tagger.self_test import self_tested_fast_tagger
from textlstm.text.tagger.weights import UnknownArchitecture

SETTINGS = {
    "normalizer": TokenNormalizer(
        lowercase=True,
        normalize_numbers=False,
        normalize_urls=False,
        stop_words=frozenset(),
        like_url=lambda _: False,
        like_email=lambda _: False,
    ),
    "kept_pos": np.ones(len(POS_TAGS), np.bool_),
    "max_run": 200,
    "device": "cpu",
}


@pytest.mark.parametrize("precision", list(Precision))
def test_the_installed_model_is_proven(precision):
    tagging = self_tested_fast_tagger(load_pipeline(TextConfig()).nlp, precision=precision, **SETTINGS)
    assert tagging.prepare(["Yes."]).tokens == ["yes", "."]


def test_a_single_other_tag_fails_the_proof(monkeypatch):
    guess = network_torch.TaggerNetwork.guess

    def wrong_guess(self, form_vectors, form_ids):
        guesses = guess(self, form_vectors, form_ids)
        row = np.flatnonzero(form_ids)[7]
        guesses.tags[row] = (guesses.tags[row] + 1) % 50
        guesses.ties[:] = False
        return guesses

    monkeypatch.setattr(network_torch.TaggerNetwork, "guess", wrong_guess)
    with pytest.raises(UnknownArchitecture) as caught:
        self_tested_fast_tagger(load_pipeline(TextConfig()).nlp, precision=Precision.fp32, **SETTINGS)
    assert str(caught.value) == "1 of 358 tags of the probe sentences differ from spaCy's"
