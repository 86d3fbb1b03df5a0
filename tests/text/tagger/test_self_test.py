import numpy as np
import pytest

from textlstm.config import Precision, TextConfig
from textlstm.text.spacy_models import load_pipeline
from textlstm.text.tagger import network_torch
from textlstm.text.tagger.fast_tagger import self_tested_fast_tagger
from textlstm.text.tagger.weights import UnknownArchitecture

SETTINGS = {"max_run": 200, "device": "cpu"}


@pytest.mark.parametrize("precision", list(Precision))
def test_the_installed_model_is_proven(precision, prepare):
    tagging = self_tested_fast_tagger(load_pipeline(TextConfig()).nlp, precision=precision, **SETTINGS)
    assert prepare(tagging, ["Yes."], lowercase=True).tokens == ["yes", "."]


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
