"""The classifier that label, evaluate, serving and library users share."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from textlstm.config import Device, LabellingConfig, Precision, TextConfig
from textlstm.errors import ConfigError, IntegrityError
from textlstm.inference.classifier import TextClassifier
from textlstm.inference.numpy_backend import NumpyNetworks, can_compute
from textlstm.inference.prediction import Decision
from textlstm.labelling.model import load_model
from textlstm.model_folder import load_saved_model, save_saved_model
from textlstm.models.network.network import NetworkSizes, TextNetwork
from textlstm.saved_model import SavedModel, Thresholds
from textlstm.text.pipeline import TextPipeline

TEXTS = ["the coach said goal", "bank profit", "", "a scene with an unseen protagonist", "plot " * 500]


def test_predicts_the_labels_it_was_taught(tiny_model: Path) -> None:
    predictions = TextClassifier.load(tiny_model).predict(["goal match coach", "bank share profit", "actor scene plot"])
    assert [prediction.label for prediction in predictions] == ["sport", "money", "film"]
    assert all(prediction.decision is Decision.accepted for prediction in predictions)


def test_saved_and_loaded_predictions_are_equal(tiny_model: Path, tmp_path: Path) -> None:
    before = TextClassifier(load_saved_model(tiny_model)).score(TEXTS)
    save_saved_model(load_saved_model(tiny_model), tmp_path / "again")
    after = TextClassifier.load(tmp_path / "again").score(TEXTS)
    np.testing.assert_array_equal(before.probabilities, after.probabilities)


def test_probabilities_sum_to_one(tiny_model: Path) -> None:
    probabilities = TextClassifier.load(tiny_model).predict_proba(TEXTS)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1.0, atol=1e-6)
    assert probabilities.shape == (5, 3)


def test_a_row_does_not_depend_on_its_batch_mates(tiny_model: Path) -> None:
    classifier = TextClassifier.load(tiny_model)
    together = classifier.predict_proba(TEXTS)
    alone = np.concatenate([classifier.predict_proba([text]) for text in TEXTS])
    np.testing.assert_allclose(together, alone, atol=1e-6)


def test_rows_without_text_are_empty(tiny_model: Path) -> None:
    predictions = TextClassifier.load(tiny_model).predict(["", " \n\t", "\u200b\u00a0", "."])
    assert [prediction.decision for prediction in predictions] == [Decision.empty] * 3 + [Decision.accepted]
    assert [prediction.label for prediction in predictions[:3]] == ["", "", ""]


def test_no_texts_give_no_predictions(tiny_model: Path) -> None:
    assert TextClassifier.load(tiny_model).predict([]) == []


def test_unsure_rows_are_abstained_from(tiny_model: Path) -> None:
    saved_model = replace(load_saved_model(tiny_model), thresholds=Thresholds(abstain_below=0.9999))
    sure, unsure = TextClassifier(saved_model).predict(["goal match coach goal match coach", "goal bank actor"])
    assert unsure.decision is Decision.abstained
    assert sure.probability > unsure.probability


def test_another_spacy_model_version_is_refused(tiny_model: Path) -> None:
    saved_model = _with_text(load_saved_model(tiny_model), TextConfig(drop_pos=["PUNCT"]))
    saved = replace(saved_model.text_fingerprint, spacy_model="en_core_web_sm", spacy_model_version="1.0.0")
    with pytest.raises(IntegrityError, match=r"the model was made with spaCy model en_core_web_sm 1\.0\.0"):
        TextClassifier(replace(saved_model, text_fingerprint=saved))


def test_another_spacy_model_counts_for_its_tokenizer_alone_where_no_tags_are_read(tiny_model: Path) -> None:
    saved_model = _with_text(load_saved_model(tiny_model), TextConfig())
    saved = replace(saved_model.text_fingerprint, spacy_model="en_core_web_sm", spacy_model_version="1.0.0")
    TextClassifier(replace(saved_model, text_fingerprint=saved)).predict(TEXTS)
    other_rules = replace(saved, tokenizer_digest="ab")
    with pytest.raises(IntegrityError, match=r"the model was made with spaCy model en_core_web_sm 1\.0\.0"):
        TextClassifier(replace(saved_model, text_fingerprint=other_rules))


def test_a_model_that_reads_no_tags_predicts_the_same_without_a_tagger(tiny_model: Path) -> None:
    classifier = TextClassifier(_with_text(load_saved_model(tiny_model), TextConfig()))
    assert not classifier.pipeline.saved.has_pos
    assert classifier.tagging_pipeline.saved.has_pos
    tagged = classifier.tagging_pipeline.prepare(TEXTS)
    assert tagged.pos is not None
    expected = classifier.score_prepared(tagged, TEXTS)
    found = classifier.score(TEXTS)
    np.testing.assert_array_equal(found.probabilities, expected.probabilities)
    np.testing.assert_array_equal(found.recurrent_logits, expected.recurrent_logits)
    np.testing.assert_array_equal(found.num_tokens, expected.num_tokens)


def test_labelling_tags_only_for_a_model_that_reads_tags(tiny_model: Path, tmp_path: Path) -> None:
    saved_model = load_saved_model(tiny_model)
    for name, text, has_pos in (
        ("default", TextConfig(), False),
        ("filter", TextConfig(keep_pos=["NOUN", "VERB"]), True),
    ):
        model = load_model(save_saved_model(_with_text(saved_model, text), tmp_path / name), LabellingConfig(), False)
        assert isinstance(model, TextClassifier)
        assert model.saved_model.text == text  # the saved settings stay as they are
        assert model.pipeline.saved.has_pos is has_pos


def test_a_network_that_reads_tags_still_has_them(tiny_model: Path) -> None:
    saved_model = _with_text(load_saved_model(tiny_model), TextConfig())
    model = replace(saved_model.model, pos_embedding_size=4)
    network = TextNetwork(model, NetworkSizes(vocabulary_size=len(saved_model.vocabulary), num_labels=3))
    kept = {name: value for name, value in saved_model.weights.items() if not name.startswith("network.")}
    weights = kept | {f"network.0.{name}": value for name, value in network.to_arrays().items()}
    classifier = TextClassifier(replace(saved_model, model=model, weights=weights))
    assert classifier.pipeline.saved.has_pos
    assert classifier.tagging_pipeline is classifier.pipeline
    # Control: the tags count, so the same tokens with other tags get other logits.
    tagged = classifier.pipeline.prepare(TEXTS)
    assert tagged.pos is not None
    untagged = replace(tagged, pos=np.zeros_like(tagged.pos))
    logits = classifier.score_prepared(tagged, TEXTS).recurrent_logits
    assert np.abs(logits - classifier.score_prepared(untagged, TEXTS).recurrent_logits).max() > 0


def test_numpy_says_what_torch_says(tiny_model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = TextClassifier.load(tiny_model).predict_proba([*TEXTS, *TEXTS])
    monkeypatch.setattr("textlstm.inference.numpy_backend.may_have_gpu", lambda: False)
    classifier = TextClassifier.load(tiny_model, without_torch=True)
    assert isinstance(classifier.recurrent, NumpyNetworks)
    np.testing.assert_allclose(classifier.predict_proba([*TEXTS, *TEXTS]), expected, atol=1e-6)
    monkeypatch.setattr("textlstm.inference.numpy_backend.MAX_TABLE_BYTES", 1)  # every row on its own
    np.testing.assert_allclose(classifier.predict_proba([*TEXTS, *TEXTS]), expected, atol=1e-6)
    assert classifier.predict_proba([]).shape == (0, 3)
    with pytest.raises(ConfigError, match="this classifier was loaded without torch"):
        _ = classifier.networks


def test_numpy_is_left_where_torch_would_use_a_gpu(tiny_model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    saved_model = load_saved_model(tiny_model)
    monkeypatch.setattr("textlstm.inference.numpy_backend.may_have_gpu", lambda: True)
    assert not can_compute(saved_model, device=Device.auto, precision=Precision.fp32)
    assert can_compute(saved_model, device=Device.cpu, precision=Precision.fp32)
    assert not can_compute(saved_model, device=Device.cpu, precision=Precision.bf16)


def test_labelling_loads_no_torch(tiny_model: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from textlstm.config import Device, LabellingConfig;"
        "from textlstm.labelling.model import load_model;"
        f"model = load_model(Path({str(tiny_model)!r}), LabellingConfig(device=Device.cpu), True);"
        "model.predict_proba(['goal']); print('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


def _with_text(saved_model: SavedModel, text: TextConfig) -> SavedModel:
    """Return `saved_model` as if its texts had been prepared with `text`."""
    return replace(saved_model, text=text, text_fingerprint=TextPipeline(text).saved)
