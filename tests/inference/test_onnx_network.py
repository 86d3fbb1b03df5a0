"""The ONNX graph gives torch's logits for every kind of network, for texts of any length, and leaves no weight out."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from textlstm.arrays.strings import TokenColumn
from textlstm.config import Device, Encoder, ExportPrecision, ModelConfig, Pooling, Precision
from textlstm.models.network.inputs import EncodedSplit, encode_texts
from textlstm.models.network.network import NetworkSizes, TextNetwork, predict_logits
from textlstm.text.tokenized import TokenizedTexts
from textlstm.vocabulary import Vocabulary

pytest.importorskip("onnxruntime", reason="onnxruntime is not installed (extra 'onnx')")
pytest.importorskip("onnx", reason="onnx is not installed (extra 'onnx')")

from textlstm.inference.onnx_backend import OnnxNetworks
from textlstm.inference.onnx_network import build_model

WORDS = ["goal", "match", "coach", "bank", "share", "profit", "actor", "scene", "plot", "ünïcode"]
VOCABULARY = Vocabulary.build(dict.fromkeys(WORDS, 1), max_size=100, min_count=1)
SIZES = NetworkSizes(vocabulary_size=len(VOCABULARY), num_labels=3)
SMALL = ModelConfig(hidden_size=5, embedding_size=6, linear_expert=False)
LENGTHS = (3, 0, 1, 40, 2, 0, 7, 17)


def split_of(config: ModelConfig, lengths: tuple[int, ...] = LENGTHS) -> EncodedSplit:
    random = np.random.default_rng(1)
    known = [*WORDS, "unseen", "und", "x", "anotherwordthatislongerthanaspelling"]
    tokens = random.choice(known, size=sum(lengths)).tolist()
    texts = TokenizedTexts(
        tokens=TokenColumn.of(tokens),
        offsets=np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64),
        pos=random.integers(0, 19, size=len(tokens)).astype(np.uint8),
        num_removed=np.zeros(len(lengths), np.int32),
    )
    targets = np.zeros(len(lengths), dtype=np.int64)
    return encode_texts(texts, vocabulary=VOCABULARY, model=config, targets=targets)


def network_of(config: ModelConfig, seed: int = 0) -> TextNetwork:
    torch.manual_seed(seed)
    network = TextNetwork(config, SIZES).eval()
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            if "bias" in name or "embedding" in name or "words" in name:
                parameter.add_(torch.randn_like(parameter))  # biases start at 0, where their order would not show
        network.embedder.words.weight[0].zero_()
        if network.embedder.chars is not None:
            network.embedder.chars.embedding.weight[0].zero_()
    return network


def open_onnx(
    config: ModelConfig, *networks: TextNetwork, precision: ExportPrecision = ExportPrecision.fp32
) -> OnnxNetworks:
    arrays = [network.to_arrays() for network in networks]
    model = build_model(config, arrays, precision=precision)
    return OnnxNetworks(model.SerializeToString(), device=Device.auto, num_threads=1, precision=Precision.fp32)


def assert_equal_logits(config: ModelConfig, lengths: tuple[int, ...] = LENGTHS) -> None:
    network, split = network_of(config), split_of(config, lengths)
    expected = predict_logits(network, split)
    (found,) = open_onnx(config, network).logits(split)
    assert np.ptp(expected, axis=0).max() > 0.05 or len(set(lengths)) == 1
    np.testing.assert_allclose(found, expected, atol=2e-6)


@pytest.mark.parametrize("pooling", list(Pooling))
@pytest.mark.parametrize("encoder", list(Encoder))
@pytest.mark.parametrize("bidirectional", [True, False])
def test_every_encoder_and_pooling_gives_the_logits_of_torch(
    encoder: Encoder, pooling: Pooling, bidirectional: bool
) -> None:
    assert_equal_logits(replace(SMALL, encoder=encoder, pooling=pooling, bidirectional=bidirectional))


@pytest.mark.parametrize(
    "change",
    [
        {"num_layers": 3},
        {"num_layers": 2, "encoder": Encoder.gru, "bidirectional": False},
        {"num_layers": 2, "encoder": Encoder.cnn_lstm, "conv_width": 4, "conv_pool": 3},
        {"encoder": Encoder.cnn_lstm, "conv_width": 1, "conv_pool": 1},
        {"dense_size": 7},
        {"pos_embedding_size": 4},
        {"char_cnn_size": 5},
        {"subword_buckets": 11},
        {"pos_embedding_size": 3, "char_cnn_size": 5, "subword_buckets": 7, "dense_size": 4, "max_tokens": 12},
    ],
    ids=str,
)
def test_every_part_of_a_network_gives_the_logits_of_torch(change: dict[str, object]) -> None:
    assert_equal_logits(replace(SMALL, **change))  # type: ignore[arg-type]


@pytest.mark.parametrize("encoder", list(Encoder))
def test_texts_without_any_token(encoder: Encoder) -> None:
    config = replace(SMALL, encoder=encoder, pooling=Pooling.last, char_cnn_size=3)
    assert_equal_logits(config, lengths=(0, 0))


def test_no_text_at_all() -> None:
    assert [part.shape[0] for part in open_onnx(SMALL, network_of(SMALL)).logits(split_of(SMALL, ()))] == [0]


def test_several_networks_share_one_graph() -> None:
    networks = [network_of(SMALL, seed) for seed in (1, 2)]
    split = split_of(SMALL)
    found = open_onnx(SMALL, *networks).logits(split)
    assert len(found) == 2
    for network, logits in zip(networks, found, strict=True):
        np.testing.assert_allclose(logits, predict_logits(network, split), atol=2e-6)
    assert np.abs(found[0] - found[1]).max() > 0.1


def test_a_weight_that_the_graph_does_not_know_is_refused() -> None:
    arrays = network_of(SMALL).to_arrays() | {"encoder.peephole": np.zeros(3, dtype=np.float32)}
    with pytest.raises(ValueError, match=r"^the ONNX graph leaves out encoder\.peephole$"):
        build_model(SMALL, [arrays], precision=ExportPrecision.fp32)
