import pytest
import torch
from torch import nn
from torch.nn import functional

from textlstm.training.adamw import FlatAdamW
from textlstm.training.lazy_adamw import LazyAdamW
from textlstm.training.sparse_adamw import SparseAdamW, pays

KINDS = (LazyAdamW, SparseAdamW)
"""For the CPU, and for GPUs; both must do what dense AdamW does."""
NO_SKIP = torch.tensor(0.0)
SKIP = torch.tensor(1.0)


def _enter(weights: LazyAdamW | SparseAdamW | FlatAdamW, token_ids: torch.Tensor) -> torch.Tensor:
    """Begin a step; return the numbers under which the table has the words of the batch."""
    if isinstance(weights, FlatAdamW):
        return token_ids
    words = weights.lookup(token_ids)
    weights.begin_step(words)
    return words.numbers


def _train(
    table: nn.Parameter, weights: LazyAdamW | SparseAdamW | FlatAdamW, *, num_steps: int, skipped: int = -1
) -> None:
    """Pull the words of random batches towards moving targets; most words are idle most of the time."""
    random = torch.Generator().manual_seed(5)
    for step in range(num_steps):
        # the words 40 and beyond occur in the first steps only, so that they idle for long
        token_ids = torch.randint(0, 60 if step < 20 else 40, (3, 4), generator=random)
        target = torch.randn(3, 4, table.shape[1], generator=random)
        numbers = _enter(weights, token_ids)
        weights.zero_gradients()
        functional.mse_loss(functional.embedding(numbers, table, padding_idx=0), target).backward()
        rate = 0.05 * (1 - step / num_steps)
        weights.step(rate, skip=SKIP if step == skipped else NO_SKIP)
        if isinstance(weights, SparseAdamW):
            weights.end_step()


def _both(kind: type, num_steps: int, *, average_decay: float = 0.98, skipped: int = -1) -> dict[str, torch.Tensor]:
    first = torch.randn(60, 5, generator=torch.Generator().manual_seed(1))
    lazy, dense = nn.Parameter(first.clone()), nn.Parameter(first.clone())
    rows = kind(lazy, average_decay=average_decay)
    flat = FlatAdamW([dense], weight_decay=0.0, average_decay=average_decay)
    _train(lazy, rows, num_steps=num_steps, skipped=skipped)
    _train(dense, flat, num_steps=num_steps, skipped=skipped)
    rows.show_weights()
    found = {"lazy": lazy.data.clone(), "dense": dense.data.clone(), "first": first}
    rows.show_average()
    flat.show_average()
    return found | {"lazy average": lazy.data.clone(), "dense average": dense.data.clone()}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("num_steps", [1, 2, 30, 600])
def test_word_rows_equal_dense_adamw(kind: type, num_steps: int) -> None:
    found = _both(kind, num_steps)
    assert (found["dense"] - found["first"]).abs().max() > 0.04
    torch.testing.assert_close(found["lazy"], found["dense"], rtol=0, atol=2e-4)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("num_steps", [1, 2, 30, 600])
def test_average_of_word_rows_equals_dense_average(kind: type, num_steps: int) -> None:
    found = _both(kind, num_steps)
    torch.testing.assert_close(found["lazy average"], found["dense average"], rtol=0, atol=2e-4)


@pytest.mark.parametrize("kind", KINDS)
def test_idle_words_go_on_moving(kind: type) -> None:
    """Negative control: without the motion of idle words the table would be another one."""
    first = torch.randn(60, 5, generator=torch.Generator().manual_seed(1))
    table = nn.Parameter(first.clone())
    rows = kind(table, average_decay=0.0)
    _train(table, rows, num_steps=20)
    rows.show_weights()
    before = table.data.clone()
    numbers = _enter(rows, torch.tensor([[2]]))
    functional.embedding(numbers, table).sum().backward()
    rows.step(0.05, skip=NO_SKIP)
    rows.show_weights()
    moved = (table.data - before).abs().max(dim=1).values
    seen = (before - first).abs().max(dim=1).values > 0
    assert seen.sum() > 50
    assert moved[seen].min() > 2e-3  # ten times the tolerance of the comparisons above
    assert moved[0] == 0  # padding never moves


@pytest.mark.parametrize("kind", KINDS)
def test_skipped_step_changes_no_word(kind: type) -> None:
    once = _both(kind, 10, skipped=9)
    torch.testing.assert_close(once["lazy"], once["dense"], rtol=0, atol=2e-5)
    table = nn.Parameter(once["first"].clone())
    rows = kind(table, average_decay=0.0)
    numbers = _enter(rows, torch.tensor([[5]]))
    (functional.embedding(numbers, table).sum() * float("nan")).backward()
    rows.step(0.1, skip=SKIP)
    rows.show_weights()
    torch.testing.assert_close(table.data, once["first"], rtol=0, atol=0)


@pytest.mark.parametrize("kind", KINDS)
def test_skipped_step_counts_in_no_average(kind: type) -> None:
    found = _both(kind, 6, average_decay=0.5, skipped=3)
    torch.testing.assert_close(found["lazy average"], found["dense average"], rtol=0, atol=2e-4)
    # Negative control: the average of a training without that skip is another one.
    assert (_both(kind, 6, average_decay=0.5)["dense average"] - found["dense average"]).abs().max() > 1e-2


@pytest.mark.parametrize("kind", KINDS)
def test_words_beyond_the_table_are_the_unknown_word(kind: type) -> None:
    table = nn.Parameter(torch.arange(12.0).view(6, 2))
    rows = kind(table, average_decay=0.0)
    numbers = _enter(rows, torch.tensor([[5, 1, 0, 77]]))
    assert numbers.tolist() == [[2, 1, 0, 1]]
    assert table.data[:3].tolist() == [[0, 1], [2, 3], [10, 11]]
    # The places of a GPU's table that are left over hold zeros, under numbers that no token has.
    assert table.data[3:].tolist() == ([] if kind is LazyAdamW else [[0, 0]] * 3)


@pytest.mark.parametrize("num_steps", [3, 300])
def test_tables_of_a_gpu_and_of_a_cpu_continue_each_other(num_steps: int) -> None:
    first = torch.randn(60, 5, generator=torch.Generator().manual_seed(1))
    tables = {kind: nn.Parameter(first.clone()) for kind in KINDS}
    made = {kind: kind(table, average_decay=0.98) for kind, table in tables.items()}
    for kind, table in tables.items():
        _train(table, made[kind], num_steps=num_steps)
    saved = made[SparseAdamW].tensors()
    for kind, again in (("LazyAdamW", LazyAdamW), ("SparseAdamW", SparseAdamW), ("FlatAdamW", None)):
        table = nn.Parameter(torch.zeros(60, 5))
        read = again(table, average_decay=0.98) if again else FlatAdamW([table], weight_decay=0.0, average_decay=0.98)
        read.load(saved)
        _train(table, read, num_steps=4)
        read.show_average()
        tables[kind] = table
    continued = made[LazyAdamW]
    _train(tables[LazyAdamW], continued, num_steps=4)
    continued.show_average()
    for kind in ("LazyAdamW", "SparseAdamW", "FlatAdamW"):
        torch.testing.assert_close(tables[kind].data, tables[LazyAdamW].data, rtol=0, atol=2e-4)
    # What is saved is a copy: the training itself goes on as if nothing had been saved.
    _train(tables[SparseAdamW], made[SparseAdamW], num_steps=4)
    made[SparseAdamW].show_average()
    torch.testing.assert_close(tables[SparseAdamW].data, tables[LazyAdamW].data, rtol=0, atol=2e-4)


@pytest.mark.parametrize(
    ("words", "size", "batch_tokens", "expected"),
    [(400_000, 300, 16_384, True), (50_000, 256, 16_384, False), (400_000, 300, 200_000, False)],
)
def test_large_tables_are_updated_by_their_words(words: int, size: int, batch_tokens: int, expected: bool) -> None:
    assert pays(torch.empty(words, size, device="meta"), batch_tokens=batch_tokens) == expected
