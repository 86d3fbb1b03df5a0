"""Spellings, character features and hashed n-grams of unknown words."""

import numpy as np
import torch

from textlstm.config import ModelConfig
from textlstm.models.network.batch import Batch
from textlstm.models.network.embedder import CharacterCNN, SubwordBuckets
from textlstm.models.network.inputs import SpelledTokens, spell
from textlstm.models.network.network import NetworkSizes, TextNetwork


def test_spelling_is_bytes_between_marks():
    assert spell(["ab"])[0].tolist() == [254, 97, 98, 255] + [0] * 20
    assert spell(["ü"])[0].tolist() == [254, 0xC3, 0xBC, 255] + [0] * 20
    assert spell(["a\0b"])[0].tolist() == [254, 97, 98, 255] + [0] * 20
    assert spell([]).shape == (0, 24)


def test_long_words_keep_head_and_tail():
    row = spell(["abcdefghijklmnopqrstuvwxyz"])[0]
    assert bytes(row.tolist()) == b"\xfeabcdefghijklmnstuvwxyz\xff"


def test_unknown_words_keep_their_spelling_under_new_ids():
    vocabulary = ["<pad>", "<unk>", "cat"]
    spelled = SpelledTokens(np.array([2, 1, 1, 1, 0]), ["cat", "dog", "cow", "dog", "x"], vocabulary)
    assert spelled.token_ids.tolist() == [2, 3, 4, 3, 0]
    assert np.array_equal(spelled.table[2:], spell(["cat", "dog", "cow"]))
    assert not spelled.table[:2].any()


def test_equal_spellings_have_equal_features_wherever_they_stand():
    torch.manual_seed(0)
    ids = torch.from_numpy(spell(["cat", "dog", "cat"])).view(3, 1, 24)
    for part in (CharacterCNN(256, embedding_size=4, num_filters=5), SubwordBuckets(100, 5)):
        arguments = (ids,) if isinstance(part, CharacterCNN) else (ids, torch.ones(3, 1, 1, dtype=torch.bool))
        features = part(*arguments)[:, 0]
        assert torch.equal(features[0], features[2])
        assert not torch.equal(features[0], features[1])


def test_similar_words_share_ngrams():
    buckets = SubwordBuckets(10**6, 2)
    words = torch.from_numpy(spell(["running", "runner", "sofa"])).long()
    running, runner, sofa = ({int(i) for i in row if i > 0} for row in buckets.bucket_ids(words))
    # <ru run unn, <run runn, <runn: begin mark and 3-, 4-, 5-grams that both have
    assert len(running & runner) == 6
    assert len(running & sofa) == 0
    assert len(sofa) == 4 + 3 + 2


def test_unknown_words_with_known_pieces_differ_only_with_subwords():
    vocabulary = ["<pad>", "<unk>", "run"]
    spelled = SpelledTokens(np.array([1, 1]), ["runner", "sofa"], vocabulary)
    batch = Batch(
        torch.from_numpy(spelled.token_ids).view(2, 1),
        None,
        torch.tensor([1, 1]),
        torch.from_numpy(spelled.table[spelled.token_ids]).view(2, 1, 24),
    )
    for buckets, differ in ((0, False), (50, True)):
        torch.manual_seed(0)
        config = ModelConfig(subword_buckets=buckets, hidden_size=8, embedding_size=8)
        logits = TextNetwork(config, NetworkSizes(vocabulary_size=3, num_labels=2)).eval()(batch)
        assert torch.allclose(logits[0], logits[1], atol=1e-5) is not differ
