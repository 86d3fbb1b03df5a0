"""The pretended device itself: what it would let pass unseen, the other tests could not see either."""

import importlib
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

sys.path.insert(0, str(Path(__file__).parent))
device = importlib.import_module("pretended_cuda")

pytestmark = pytest.mark.skipif(torch.cuda.is_available(), reason="there is a real GPU")


def test_numbers_are_real_and_gradients_flow() -> None:
    with device.pretended_cuda():
        layer = nn.Linear(3, 2).to("cuda")
        rows = torch.arange(12.0).view(4, 3).to("cuda")
        layer(rows).square().sum().backward()
        assert (layer.weight.device.type, layer.weight.grad.is_cuda) == ("cuda", True)
        plain = nn.Linear(3, 2)
        plain.load_state_dict({name: tensor.cpu() for name, tensor in layer.state_dict().items()})
        plain(rows.cpu()).square().sum().backward()
        torch.testing.assert_close(layer.weight.grad.cpu(), plain.weight.grad)


def test_mixed_devices_are_refused() -> None:
    with device.pretended_cuda():
        rows = torch.ones(3, device="cuda")
        with pytest.raises(device.MixedDevices, match=r"aten.add.Tensor with a CPU tensor \(3,\)"):
            rows + torch.ones(3)
        assert float((rows + torch.tensor(2.0)).sum()) == 9.0  # a number may be on the host
        with pytest.raises(device.MixedDevices):
            nn.LSTM(2, 2).to("cuda")(torch.ones(1, 1, 2))
        with pytest.raises(TypeError, match="can't convert cuda:0 device type tensor to numpy"):
            rows.numpy()


@pytest.mark.parametrize(
    ("wait", "expected"),
    [
        (lambda rows: rows.sum().item(), "_local_scalar_dense"),
        (lambda rows: rows.nonzero(), "nonzero"),
        (lambda rows: rows[rows > 0], "mask as index"),
        (lambda rows: rows.cpu(), "copy to the host"),
        (lambda rows: rows.tolist(), "tolist"),
        (lambda rows: torch.ones(2).to(rows.device), "copy from pageable memory"),
        (lambda rows: torch.tensor([1.0], device="cuda"), "copy from pageable memory"),
        (lambda rows: rows.masked_select(rows > 0), "masked_select"),
    ],
)
def test_waits_of_the_host_are_noted(wait: object, expected: str) -> None:
    with device.pretended_cuda() as ledger:
        rows = torch.ones(4, device="cuda")
        assert not ledger.waits
        wait(rows)
        assert [line.partition(" at ")[0] for line in ledger.waits] == [expected]


def test_launches_are_counted_and_views_are_not() -> None:
    with device.pretended_cuda() as ledger:
        rows = torch.zeros(4, 3, device="cuda")
        rows.t()[1:].unsqueeze(0).view(1, 2, 4)
        (rows + 1).mul_(2)
    assert ledger.launches == {"zeros": 1, "add": 1, "mul_": 1}


def test_weights_that_lie_apart_are_told() -> None:
    cell = nn.LSTM(2, 2)
    with device.pretended_cuda() as ledger:
        cell.to("cuda")(torch.ones(1, 1, 2, device="cuda"))
        assert ["SEVERAL" in call for call in ledger.recurrent] == [True]


def test_tf32_rounds_to_ten_bits() -> None:
    assert device.as_tf32(torch.tensor([1 + 2**-11 + 2**-12, 1 + 2**-12])).tolist() == [1 + 2**-10, 1.0]
    np.testing.assert_array_equal(device.as_tf32(torch.arange(5)), np.arange(5))


def test_a_captured_block_is_done_at_its_replay_alone() -> None:
    with device.pretended_cuda() as ledger:
        total, factor = torch.zeros(2, device="cuda"), torch.zeros((), device="cuda")
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            made = total + 1
            made.mul_(factor)
            total += made
        assert total.tolist() == [0, 0]
        for number in (2.0, 3.0):
            factor.fill_(number)
            graph.replay()
        assert total.tolist() == [2 + 3 * 3, 2 + 3 * 3]
        assert (ledger.captures, ledger.launches["graph"], ledger.launches["add"]) == (1, 2, 0)


def test_what_python_decides_in_a_capture_stays_as_it_was() -> None:
    with device.pretended_cuda():
        total, number = torch.zeros(1, device="cuda"), 1.0
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            total += number
        number = 5.0
        graph.replay()
        assert total.tolist() == [1.0]


@pytest.mark.parametrize(
    "forbidden",
    [
        lambda rows: rows.sum().item(),
        lambda rows: torch.ones(2).to(rows.device),
        lambda rows: torch.cuda.manual_seed_all(1),
    ],
)
def test_a_capture_refuses_what_cuda_refuses(forbidden: object) -> None:
    with device.pretended_cuda():
        rows = torch.ones(4, device="cuda")
        graph = torch.cuda.graph(torch.cuda.CUDAGraph())
        with pytest.raises(RuntimeError, match="not permitted when stream is capturing"), graph:
            forbidden(rows)
        assert rows.sum().item() == 4.0


def _reads_unwaited(side: object) -> None:
    rows = torch.ones(3, device="cuda")
    with torch.cuda.stream(side):
        rows + 1


def _changes_unwaited(side: object) -> None:
    rows = torch.ones(3, device="cuda")
    rows + 1
    side.wait_stream(torch.cuda.current_stream())
    rows + 1
    with torch.cuda.stream(side):
        rows.mul_(2)


def _gives_memory_back_too_early(side: object) -> None:
    rows = torch.ones(3, device="cuda")
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        rows + 1
    del rows
    torch.ones(3, device="cuda")


@pytest.mark.parametrize(
    ("careless", "expected"),
    [
        (_reads_unwaited, "add at no line (the backward pass, or a test) on stream 2 reads what the first stream may"),
        (_changes_unwaited, "on stream 2 changes what another stream may still use"),
        (_gives_memory_back_too_early, "on the first stream is given memory that another stream may still use"),
    ],
)
def test_races_between_streams_are_noted(careless: object, expected: str) -> None:
    with device.pretended_cuda() as ledger:
        careless(torch.cuda.Stream())
    (race,) = ledger.work.races
    assert expected in race


def test_streams_that_wait_for_each_other_have_no_race() -> None:
    with device.pretended_cuda() as ledger:
        rows, main, side = torch.ones(3, device="cuda"), torch.cuda.current_stream(), torch.cuda.Stream()
        for _ in range(3):
            side.wait_stream(main)
            with torch.cuda.stream(side):
                more = rows + 1
            main.wait_stream(side)
            rows = more * 2
        assert rows.tolist() == [22, 22, 22]
        assert not ledger.work.races


def test_copy_to_pinned_memory_has_numbers_once_the_host_has_waited() -> None:
    with device.pretended_cuda() as ledger:
        rows, copy = torch.ones(3, device="cuda"), torch.empty(3, pin_memory=True)
        copy.copy_(rows, non_blocking=True)
        event = torch.cuda.Event()
        event.record()
        rows.mul_(2)
        assert copy.isnan().all()
        event.synchronize()
        assert copy.tolist() == [1, 1, 1]
        assert not ledger.waits


def test_memory_goes_with_the_last_tensor() -> None:
    with device.pretended_cuda():
        rows = torch.ones(3, device="cuda")
        view = rows[1:]
        del rows
        known = list(device.Device.to_meta.values())
        assert [one.expired() for one in known] == [False]
        assert view.tolist() == [1, 1]
        del view
        assert [one.expired() for one in known] == [True]


def test_a_process_may_have_the_second_card() -> None:
    with device.pretended_cuda(1, count=2):
        assert torch.ones(3, device="cuda").device == torch.ones(3, device="cuda:1").device == torch.device("cuda", 1)
        with pytest.raises(RuntimeError, match="cuda:0 in a process that has cuda:1"):
            torch.ones(3).to("cuda:0")
