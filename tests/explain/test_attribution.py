"""Attribution: exact where theory says so, and right about a model whose key word is known."""

import numpy as np
import pytest
import torch

from textlstm.config import Encoder, ModelConfig, Pooling, Task, TextConfig
from textlstm.explain.attribution import (
    Method,
    against_rest,
    attribute,
    cell_decomposition,
    decompose,
    integrated_gradients,
    leave_one_out,
    log_odds,
    read_out,
    spread,
    top_cells,
)
from textlstm.explain.gates import half_lives, left_at_the_end, surviving_share, trace_encoder
from textlstm.explain.reader import TextReader
from textlstm.inference.classifier import TextClassifier
from textlstm.models.calibration.combination import BranchCombiner
from textlstm.models.network.network import NetworkSizes, TextNetwork
from textlstm.saved_model import SavedModel
from textlstm.text.pipeline import TextPipeline
from textlstm.vocabulary import Vocabulary

TEXTS = ["the bank said", "goal", "", "a plot a scene a match of the coach", "profit share profit"]
WORDS = sorted({word for text in TEXTS for word in text.split()})


def classifier_of(model: ModelConfig, task: Task = Task.single_label) -> TextClassifier:
    """Return a classifier of three labels with random weights and no expert."""
    torch.manual_seed(0)
    text = TextConfig(pos=False)
    vocabulary = Vocabulary.build(dict.fromkeys(WORDS, 1), max_size=100, min_count=1)
    network = TextNetwork(model, NetworkSizes(vocabulary_size=len(vocabulary), num_labels=3))
    with torch.no_grad():
        network.embedder.words.weight.mul_(10)
    gate = BranchCombiner(task, 1.0, 0.0, 0.0, 1.0, 0.0, 1.0, 0.0, 0.0)
    weights = {f"network.0.{name}": value for name, value in network.to_arrays().items()}
    weights |= {f"gate.{name}": value for name, value in gate.to_arrays().items()}
    return TextClassifier(
        SavedModel(
            labels=("a", "b", "c"),
            task=task,
            text=text,
            model=model,
            text_fingerprint=TextPipeline(text).saved,
            vocabulary=vocabulary,
            weights=weights,
        )
    )


def reader_of(model: ModelConfig, texts: list[str] = TEXTS, task: Task = Task.single_label) -> TextReader:
    classifier = classifier_of(model, task)
    return TextReader(classifier, classifier.pipeline.prepare(texts))


def _small(**settings: object) -> ModelConfig:
    return ModelConfig(hidden_size=6, embedding_size=5, conv_size=6, **settings)


LABELS = np.array([0, 1, 2, 0, 1])


def test_log_odds_of_equal_logits():
    logits = torch.zeros(2, 3)
    assert log_odds(logits, torch.tensor([0, 2]), Task.single_label).tolist() == pytest.approx([-np.log(2)] * 2)
    assert log_odds(logits + 4, torch.tensor([0, 2]), Task.multi_label).tolist() == [4.0, 4.0]


def test_against_rest_weighs_the_others_by_their_probability():
    values = np.array([3.0, 1.0, 5.0])
    assert against_rest(values, 0, np.array([0.6, 0.3, 0.1]), Task.single_label) == pytest.approx(3 - 2.0)
    assert against_rest(values, 0, np.array([1.0, 0.0, 0.0]), Task.single_label) == pytest.approx(3 - 3.0)
    assert against_rest(values, 2, np.array([0.6, 0.3, 0.1]), Task.multi_label) == 5.0


@pytest.mark.parametrize("family", list(Encoder))
@pytest.mark.parametrize("pooling", [Pooling.max_mean, Pooling.attention])
def test_every_method_gives_every_token_a_number(family, pooling):
    reader = reader_of(_small(encoder=family, pooling=pooling))
    found = attribute(reader, LABELS)
    expected = set(Method) - {Method.combined} - ({Method.cell_decomposition} if family is Encoder.rnn else set())
    assert set(found) == expected
    for values in found.values():
        assert [len(part) for part in values] == [3, 1, 0, 9, 3]
        assert all(np.isfinite(part).all() for part in values)


def test_leave_one_out_is_the_difference_of_two_predictions():
    reader = reader_of(_small(), ["the bank said"])
    without = reader_of(_small(), ["the bank said", "bank said", "the said", "the bank"])
    logits = torch.from_numpy(
        without.classifier.score(["the bank said", "bank said", "the said", "the bank"]).recurrent_logits
    )
    scores = log_odds(logits, torch.ones(4, dtype=torch.int64), Task.single_label).numpy()
    assert leave_one_out(reader, np.array([1]))[0] == pytest.approx(scores[0] - scores[1:], abs=1e-5)


@pytest.mark.parametrize("task", list(Task))
@pytest.mark.parametrize("num_layers", [1, 2])
def test_integrated_gradients_sum_to_the_change_of_the_score(task, num_layers):
    reader = reader_of(_small(num_layers=num_layers, pooling=Pooling.mean), task=task)
    parts = integrated_gradients(reader, LABELS)
    network = reader.network
    for rows, batch in reader.batches():
        wanted = torch.from_numpy(LABELS[rows])
        with torch.no_grad():
            vectors = network.embed(batch)
            full, empty = (
                log_odds(network.classify(network.encode(v, batch.lengths)), wanted, task)
                for v in (vectors, torch.zeros_like(vectors))
            )
        assert [parts[row].sum() for row in rows] == pytest.approx((full - empty).tolist(), abs=0.02)


@pytest.mark.parametrize("family", [Encoder.lstm, Encoder.gru, Encoder.cnn_lstm])
@pytest.mark.parametrize("pooling", [Pooling.last, Pooling.mean, Pooling.max, Pooling.max_mean])
def test_cell_decomposition_adds_up_to_the_linear_reading_of_the_states(family, pooling):
    """Over a text the parts sum to the gradient times the pooled states: all that a linear head reads."""
    reader = reader_of(_small(encoder=family, pooling=pooling))
    parts = cell_decomposition(reader, LABELS)
    for rows, batch in reader.batches():
        with torch.no_grad():
            trace = trace_encoder(reader.network.encoder, reader.network.embed(batch), batch.lengths)
        reading = read_out(reader.network, trace.encoded, torch.from_numpy(LABELS[rows]), Task.single_label)
        expected = (reading.pooled * reading.pooled_gradient).sum(dim=1)
        assert [float(parts[row].sum()) for row in rows] == pytest.approx(expected.tolist(), abs=1e-4)


def test_cell_decomposition_of_a_one_way_last_state_is_murdoch_and_szlams_gamma():
    reader = reader_of(_small(pooling=Pooling.last, bidirectional=False), ["a plot a scene"])
    [(_, batch)] = list(reader.batches())
    trace = trace_encoder(reader.network.encoder, reader.network.embed(batch).detach(), batch.lengths)
    [cell] = top_cells(trace)
    reading = read_out(reader.network, trace.encoded, torch.tensor([0]), Task.single_label)
    output, weight = cell.gates["output"][-1, 0], reading.pooled_gradient[0]
    sums = left_at_the_end(cell.additions, cell.keep_gate, batch.lengths)[:, 0].cumsum(0).tanh()
    before = torch.cat([torch.zeros_like(sums[:1]), sums[:-1]])
    expected = ((sums - before) * output * weight).sum(dim=1)
    parts = decompose(cell, reading.states[0])
    assert parts[:, 0].tolist() == pytest.approx(expected.tolist(), abs=1e-5)


@pytest.mark.parametrize("family", [Encoder.lstm, Encoder.gru])
def test_what_is_left_of_all_words_is_the_last_memory(family):
    reader = reader_of(_small(encoder=family))
    [(_, batch)] = list(reader.batches())
    trace = trace_encoder(reader.network.encoder, reader.network.embed(batch).detach(), batch.lengths)
    for cell in trace.cells:
        left = left_at_the_end(cell.additions, cell.keep_gate, batch.lengths)
        memory = cell.hidden if cell.cell is None else cell.cell
        for text, length in enumerate(batch.lengths.tolist()):
            if length:
                assert torch.allclose(left[:, text].sum(dim=0), memory[length - 1, text], atol=1e-5)
                assert surviving_share(cell, batch.lengths)[:, text].sum().item() == pytest.approx(1, abs=1e-5)


def test_half_lives_of_known_gates():
    kept = [np.full((4, 3), [0.25, 0.933033, 1.0]), np.full((4, 3), [1.0, 0.933033, 1.0])]
    assert half_lives(kept).tolist() == pytest.approx([1.0, 10.0, np.inf], rel=1e-4)


def test_spread_shares_a_step_evenly():
    assert spread(np.array([3.0, 2.0]), 3, 2).tolist() == [1.5, 1.5, 2.0]
