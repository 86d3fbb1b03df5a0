import importlib
import sys
from pathlib import Path

import pytest
import torch

from textlstm.models.network.batch import Batch
from textlstm.training.gradients import worst_change

sys.path.insert(0, str(Path(__file__).parent))
toy = importlib.import_module("toy")
LENGTHS, TARGETS = torch.tensor([5, 0, 3, 1]), torch.tensor([0, 1, 2, 0])


@pytest.fixture(scope="module")
def batch() -> Batch:
    torch.manual_seed(5)
    token_ids = torch.randint(2, toy.VOCABULARY_SIZE, (4, 5), dtype=torch.int32)
    token_ids[torch.arange(5) >= LENGTHS[:, None]] = 0
    return Batch(token_ids, None, LENGTHS)


@pytest.fixture(scope="module")
def network() -> torch.nn.Module:
    """A network without dropout: every pass over the same vectors gives the same."""
    return toy.network(locked_dropout=0.0, head_dropout=0.0, word_dropout=0.0)


def _losses(network: torch.nn.Module, vectors: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    logits = network.classify(network.encode(vectors, LENGTHS[: len(vectors)]))
    return torch.nn.functional.cross_entropy(logits, targets, reduction="none")


def _change(network: torch.nn.Module, batch: Batch, targets: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    vectors = network.embed(batch)
    return vectors.detach(), worst_change(_losses(network, vectors, targets), vectors, batch.lengths)


def test_worst_change_has_the_length_of_one_vector_and_spares_padding(network: torch.nn.Module, batch: Batch) -> None:
    vectors, change = _change(network, batch, TARGETS)
    for row, length in enumerate(LENGTHS.tolist()):
        typical = vectors[row, :length].square().sum(dim=1).mean().sqrt() if length else torch.tensor(0.0)
        assert change[row].norm() == pytest.approx(float(typical), rel=1e-5)
        assert torch.equal(change[row, length:], torch.zeros_like(change[row, length:]))


def test_worst_change_raises_the_loss_more_than_others_of_its_length(network: torch.nn.Module, batch: Batch) -> None:
    vectors, change = _change(network, batch, TARGETS)
    rows = LENGTHS > 0
    step = 0.01
    with torch.no_grad():
        before = _losses(network, vectors, TARGETS)
        rise = (_losses(network, vectors + step * change, TARGETS) - before)[rows]
        fall = (_losses(network, vectors - step * change, TARGETS) - before)[rows]
        for seed in range(20):
            torch.manual_seed(seed)
            other = torch.randn_like(change) * (change != 0)
            other = other / other.flatten(1).norm(dim=1).clamp(min=1e-9)[:, None, None]
            other = other * change.flatten(1).norm(dim=1)[:, None, None]
            assert (_losses(network, vectors + step * other, TARGETS) - before)[rows].lt(rise).all()
    assert rise.gt(0).all()
    assert fall.lt(0).all()


def test_worst_change_of_a_text_does_not_depend_on_the_others(network: torch.nn.Module, batch: Batch) -> None:
    _, together = _change(network, batch, TARGETS)
    alone = Batch(batch.token_ids[:1], None, batch.lengths[:1])
    _, change = _change(network, alone, TARGETS[:1])
    assert torch.allclose(change, together[:1], atol=1e-6)


def test_worst_change_does_not_depend_on_what_padding_holds(network: torch.nn.Module, batch: Batch) -> None:
    """The vectors of parts of speech, say, are not zero there."""
    vectors, change = _change(network, batch, TARGETS)
    padding = (torch.arange(vectors.shape[1]) >= LENGTHS[:, None]).unsqueeze(-1)
    filled = (vectors + padding).requires_grad_()
    again = worst_change(_losses(network, filled, TARGETS), filled, batch.lengths)
    assert torch.allclose(again, change, atol=1e-6)
