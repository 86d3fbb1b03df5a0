import numpy as np
import torch

from textlstm.models.network.batch import DeviceSplit
from textlstm.models.network.batch_plan import plan_epoch, plan_sorted
from textlstm.models.network.inputs import encode_split


def _lengths(num_rows: int) -> np.ndarray:
    return np.random.default_rng(1).integers(0, 60, num_rows)


def _plan(lengths: np.ndarray, *, seed: int = 1, epoch: int = 0):
    return plan_epoch(lengths, batch_size=16, seed=seed, epoch=epoch, weights=None)


def test_every_row_is_in_one_batch_within_the_budget() -> None:
    lengths = _lengths(3000)
    plan = _plan(lengths)
    assert sorted(plan.rows.tolist()) == list(range(3000))
    sizes = np.diff(plan.starts)
    budget = round(16 * np.maximum(lengths, 1).mean())
    spare = np.where(sizes < 32, 0, 8)  # of rows, to have full groups
    assert (((sizes - spare) * plan.widths <= budget) | (sizes == 1)).all()
    assert abs((sizes * plan.widths).mean() / budget - 1) < 0.1
    assert sizes.max() <= 64
    for k in range(plan.num_batches):
        assert plan.widths[k] == max(1, lengths[plan.rows[plan.starts[k] : plan.starts[k + 1]]].max())


def test_large_batches_have_full_groups_of_rows() -> None:
    lengths = _lengths(3000)
    budget = round(16 * np.maximum(lengths, 1).mean())
    for plan, ends in (_plan(lengths), 4), (plan_sorted(lengths, batch_cells=budget, most_rows=256), 1):
        sizes = np.diff(plan.starts)
        assert (sizes >= 32).sum() > 10
        assert ((sizes >= 32) & (sizes % 16 > 0)).sum() <= ends  # what is left at the end of a pool is a batch, too
        assert len(set(sizes[sizes < 32].tolist())) > 10  # smaller ones are as they come


def test_full_groups_have_no_more_than_the_most_rows() -> None:
    plan = plan_epoch(np.array([90] * 100 + [1] * 400), batch_size=10, seed=1, epoch=0, weights=None)
    assert np.diff(plan.starts).max() == 40


def test_batches_of_a_number_of_tokens_have_few_shapes() -> None:
    lengths = np.random.default_rng(1).integers(0, 400, 20_000)
    plan = plan_epoch(lengths, batch_size=16, seed=1, epoch=0, weights=None, batch_tokens=8_192)
    sizes = np.diff(plan.starts)
    assert sorted(plan.rows.tolist()) == list(range(20_000))
    for k in range(plan.num_batches):
        assert plan.widths[k] >= lengths[plan.rows[plan.starts[k] : plan.starts[k + 1]]].max()
    assert set(plan.widths.tolist()) <= {*range(8, 65, 8), *range(80, 257, 16), *range(288, 417, 32)}
    # All but the last batch of each pool have a multiple of 8 rows, and a width has one number of rows.
    num_pools = -(-20_000 // (50 * round(8_192 / lengths.mean())))
    assert (sizes % 8 > 0).sum() <= num_pools
    assert (
        len(set(zip(sizes.tolist(), plan.widths.tolist(), strict=True))) <= len(set(plan.widths.tolist())) + num_pools
    )
    assert abs((sizes * plan.widths).mean() / 8_192 - 1) < 0.1
    assert 1 - lengths.sum() / plan.num_cells < 0.1


def test_sorted_plan_keeps_to_its_cells() -> None:
    lengths = _lengths(3000)
    plan = plan_sorted(lengths, batch_cells=500, most_rows=100)
    sizes = np.diff(plan.starts)
    assert (sizes * plan.widths <= 500).all()
    assert sizes.max() == 96
    assert sorted(plan.rows.tolist()) == list(range(3000))


def test_buckets_leave_little_padding() -> None:
    lengths = _lengths(3000)
    unsorted = np.maximum.reduceat(lengths, np.arange(0, 3000, 16)).sum() * 16
    assert 1 - lengths.sum() / _plan(lengths).num_cells < 0.1 < 1 - lengths.sum() / unsorted


def test_plan_depends_on_seed_and_epoch_alone() -> None:
    lengths = _lengths(500)
    assert _plan(lengths).rows.tolist() == _plan(lengths).rows.tolist()
    assert _plan(lengths).rows.tolist() != _plan(lengths, epoch=1).rows.tolist()
    assert _plan(lengths).rows.tolist() != _plan(lengths, seed=2).rows.tolist()


def test_fewer_rows_than_a_batch_and_a_last_batch_of_one() -> None:
    assert _plan(np.array([3])).rows.tolist() == [0]
    assert _plan(np.array([0, 0, 0])).widths.tolist() == [1]
    plan = plan_epoch(np.full(17, 5), batch_size=16, seed=1, epoch=0, weights=None)
    assert sorted(np.diff(plan.starts).tolist()) == [1, 16]


def test_weights_decide_how_often_rows_are_drawn() -> None:
    weights = np.array([0.9] + [0.1 / 99] * 99)
    plan = plan_epoch(np.full(100, 5), batch_size=16, seed=1, epoch=0, weights=weights)
    assert len(plan.rows) == 100
    assert 75 < (plan.rows == 0).sum() <= 100


def test_sorted_plan_goes_from_long_to_short() -> None:
    plan = plan_sorted(np.array([2, 5, 1, 3]), batch_cells=6, most_rows=256)
    assert (plan.rows.tolist(), plan.starts.tolist(), plan.widths.tolist()) == ([1, 3, 0, 2], [0, 1, 3, 4], [5, 3, 1])


def test_batch_is_right_padded_with_zeros() -> None:
    spellings = np.arange(24, dtype=np.uint8).reshape(8, 3)
    pos = np.array([1, 2, 3], np.uint8)
    split = encode_split(
        np.array([5, 6, 7]), np.array([0, 2, 2, 3]), pos, np.array([0, 1, 1]), max_tokens=9, spellings=spellings
    )
    batch = DeviceSplit(split, torch.device("cpu")).batch(torch.tensor([2, 0, 1]), width=2)
    assert batch.token_ids.tolist() == [[7, 0], [5, 6], [0, 0]]
    assert batch.lengths.tolist() == [1, 2, 0]
    assert batch.pos_ids is not None
    assert batch.pos_ids.tolist() == [[3, 0], [1, 2], [0, 0]]
    assert batch.char_ids is not None
    assert batch.char_ids[0].tolist() == [[21, 22, 23], [0, 1, 2]]


def test_split_without_any_token_has_batches() -> None:
    split = encode_split(np.zeros(0, np.int32), np.array([0, 0]), None, np.array([0]), max_tokens=9)
    assert DeviceSplit(split, torch.device("cpu")).batch(torch.tensor([0]), width=1).token_ids.tolist() == [[0]]
