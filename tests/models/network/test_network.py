"""The whole network: every model key has an effect, rows are independent, results repeat."""

from dataclasses import replace

import pytest
import torch

from textlstm.config import Encoder, ModelConfig, Pooling
from textlstm.models.network.batch import Batch
from textlstm.models.network.network import NetworkSizes, TextNetwork
from textlstm.models.network.precision import has_bf16_kernels

SIZES = NetworkSizes(vocabulary_size=30, num_labels=3)
SMALL = ModelConfig(hidden_size=8, embedding_size=6, locked_dropout=0.0, head_dropout=0.0, word_dropout=0.0)
FULL = replace(SMALL, pos_embedding_size=4, char_cnn_size=5, subword_buckets=20, num_layers=2, dense_size=7)


def _batch() -> Batch:
    generator = torch.Generator().manual_seed(3)
    lengths = torch.tensor([4, 0, 9, 1])
    mask = torch.arange(9) < lengths.unsqueeze(1)
    token_ids = torch.randint(1, 33, (4, 9), generator=generator) * mask
    pos_ids = torch.randint(0, 19, (4, 9), generator=generator) * mask
    char_ids = torch.randint(1, 256, (4, 9, 24), generator=generator) * mask.unsqueeze(-1)
    return Batch(token_ids, pos_ids, lengths, char_ids)


def _logits(config: ModelConfig, *, train: bool = False, embeddings: torch.Tensor | None = None) -> torch.Tensor:
    torch.manual_seed(0)
    network = TextNetwork(config, SIZES, embeddings=embeddings).train(train)
    torch.manual_seed(1)
    return network(_batch())


SHAPING = {
    "encoder": [Encoder.rnn, Encoder.gru, Encoder.cnn_lstm],
    "bidirectional": [False],
    "hidden_size": [9],
    "num_layers": [2],
    "pooling": [Pooling.last, Pooling.mean, Pooling.max, Pooling.attention],
    "embedding_size": [7],
    "subword_buckets": [20],
    "pos_embedding_size": [3],
    "char_cnn_size": [5],
    "dense_size": [5],
}
DROPOUTS = ["word_dropout", "embedding_dropout", "locked_dropout", "recurrent_dropout", "head_dropout"]
BENEATH = [("cnn_lstm", "conv_size", 9), ("cnn_lstm", "conv_width", 4), ("cnn_lstm", "conv_pool", 3)]
ELSEWHERE = {
    "embeddings": "load_embeddings: tests/embeddings",
    "freeze_epochs": "the training loop",
    "vocabulary_size": "Vocabulary.build",
    "min_count": "Vocabulary.build",
    "max_tokens": "encode_split",
    "linear_expert": "fitting",
    "expert_char_ngrams": "tests/models/linear/test_expert.py",
    "expert_char_across": "tests/models/linear/test_expert.py",
    "expert_vectors": "tests/models/linear/test_expert.py",
    "expert_naive_bayes": "tests/models/linear/test_expert.py",
    "expert_c": "tests/models/linear/test_expert.py",
}


def test_every_model_key_has_a_test_of_its_effect():
    beneath = {key for _, key, _ in BENEATH} | {"char_embedding_size"}
    assert set(SHAPING) | set(DROPOUTS) | beneath | set(ELSEWHERE) == set(ModelConfig.__dataclass_fields__)


@pytest.mark.parametrize(("key", "value"), [(key, value) for key, values in SHAPING.items() for value in values])
def test_key_changes_the_logits(key, value):
    assert torch.equal(_logits(SMALL), _logits(SMALL))
    assert not torch.allclose(_logits(replace(SMALL, **{key: value})), _logits(SMALL), atol=1e-4)


@pytest.mark.parametrize(("encoder", "key", "value"), BENEATH)
def test_convolution_key_changes_the_logits(encoder, key, value):
    config = replace(SMALL, encoder=Encoder(encoder))
    assert not torch.allclose(_logits(replace(config, **{key: value})), _logits(config), atol=1e-4)


def test_char_embedding_size_changes_the_logits():
    config = replace(SMALL, char_cnn_size=5)
    assert not torch.allclose(_logits(replace(config, char_embedding_size=9)), _logits(config), atol=1e-4)


@pytest.mark.parametrize("key", DROPOUTS)
def test_dropout_key_changes_training_and_nothing_else(key):
    config = replace(SMALL, **{key: 0.5})
    assert torch.equal(_logits(config), _logits(SMALL))
    assert not torch.allclose(_logits(config, train=True), _logits(SMALL, train=True), atol=1e-4)


def test_embeddings_replace_random_vectors():
    vectors = torch.randn(30, 11)
    torch.manual_seed(0)
    network = TextNetwork(SMALL, SIZES, embeddings=vectors)
    assert torch.equal(network.embedder.words.weight[1:], vectors[1:])
    assert network.embedder.words.weight[0].tolist() == [0.0] * 11
    rebuilt = TextNetwork(SMALL, replace(SIZES, word_size=11))
    rebuilt.load_state_dict(network.state_dict())
    assert torch.equal(rebuilt.eval()(_batch()), network.eval()(_batch()))


@pytest.mark.parametrize("encoder", list(Encoder))
def test_a_network_is_rebuilt_from_its_state_without_random_numbers(encoder):
    config = replace(FULL, encoder=encoder, pooling=Pooling.attention)
    network = TextNetwork(config, SIZES, embeddings=torch.randn(30, 11)).eval()
    before = torch.get_rng_state()
    rebuilt = TextNetwork.from_arrays(config, SIZES, network.to_arrays())
    assert torch.equal(torch.get_rng_state(), before)
    assert not rebuilt.training
    assert torch.equal(rebuilt(_batch()), network(_batch()))


def test_embeddings_of_another_vocabulary_are_refused():
    with pytest.raises(ValueError, match=r"^embeddings have 29 rows, the vocabulary 30$"):
        TextNetwork(SMALL, SIZES, embeddings=torch.zeros(29, 6))


@pytest.mark.parametrize("encoder", list(Encoder))
@pytest.mark.parametrize("pooling", list(Pooling))
def test_row_does_not_depend_on_batch_mates(encoder, pooling):
    torch.manual_seed(0)
    network = TextNetwork(replace(FULL, encoder=encoder, pooling=pooling), SIZES).eval()
    batch = _batch()
    together = network(batch)
    for i, length in enumerate(batch.lengths.tolist()):
        alone = network(
            Batch(
                batch.token_ids[i : i + 1, :length],
                batch.pos_ids[i : i + 1, :length],
                batch.lengths[i : i + 1],
                batch.char_ids[i : i + 1, :length],
            )
        )
        assert torch.allclose(alone[0], together[i], atol=1e-6, rtol=0)


def test_every_parameter_has_a_gradient_and_padding_keeps_zero():
    torch.manual_seed(0)
    network = TextNetwork(replace(FULL, pooling=Pooling.attention, recurrent_dropout=0.2, word_dropout=0.3), SIZES)
    network(_batch()).logsumexp(dim=1).sum().backward()
    without = [name for name, parameter in network.named_parameters() if not parameter.grad.abs().sum() > 0]
    assert without == []
    assert network.embedder.words.weight.grad[0].abs().sum() == 0


def test_same_seed_gives_bit_equal_training_steps():
    def steps() -> torch.Tensor:
        torch.manual_seed(5)
        network = TextNetwork(replace(FULL, word_dropout=0.2, locked_dropout=0.3, head_dropout=0.3), SIZES)
        optimizer = torch.optim.AdamW(network.parameters(), lr=1e-2)
        for _ in range(3):
            optimizer.zero_grad()
            network(_batch()).logsumexp(dim=1).sum().backward()
            optimizer.step()
        return network.eval()(_batch())

    assert torch.equal(steps(), steps())


@pytest.mark.skipif(not has_bf16_kernels("cpu"), reason="this processor has no bf16 kernels for LSTMs")
def test_bf16_autocast_returns_float32_logits_close_to_fp32():
    torch.manual_seed(0)
    network = TextNetwork(FULL, SIZES).eval()
    with torch.autocast("cpu", torch.bfloat16):
        logits = network(_batch())
    assert logits.dtype is torch.float32
    assert (logits - network(_batch())).abs().max() < 0.02


def test_word_embeddings_can_be_frozen_and_unfrozen():
    network = TextNetwork(SMALL, SIZES)
    network.set_word_embeddings_trainable(False)
    network(_batch()).sum().backward()
    assert network.embedder.words.weight.grad is None
    assert network.head.output.weight.grad is not None
    network.set_word_embeddings_trainable(True)
    network(_batch()).sum().backward()
    assert network.embedder.words.weight.grad.abs().sum() > 0


@pytest.mark.parametrize(
    ("config", "missing"),
    [
        (replace(SMALL, pos_embedding_size=3), "pos_ids"),
        (replace(SMALL, char_cnn_size=3), "char_ids"),
        (replace(SMALL, subword_buckets=3), "char_ids"),
    ],
)
def test_a_batch_without_what_the_network_reads_is_refused(config, missing):
    with pytest.raises(ValueError, match=rf"^the network reads Batch\.{missing}, but the batch has none$"):
        TextNetwork(config, SIZES)(_batch()._replace(pos_ids=None, char_ids=None))


def test_ids_beyond_the_vocabulary_are_the_unknown_word():
    torch.manual_seed(0)
    network = TextNetwork(SMALL, SIZES).eval()
    known = _batch()
    beyond = known._replace(token_ids=known.token_ids.where(known.token_ids != 1, torch.tensor(31)))
    assert torch.equal(network(beyond), network(known))
