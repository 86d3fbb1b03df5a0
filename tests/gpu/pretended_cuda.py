"""A CUDA device that is pretended on a machine without one: real numbers in CPU memory, tensors that say `cuda:0`.

A process may be given another of several cards, as `choose_device` gives them out; its tensors say `cuda:1` then.

torch's own fake tensors cannot do it: on a build without CUDA the first autograd node of a fake CUDA tensor ends the
process. Here a tensor subclass has a meta body with CUDA's dispatch keys, so that autograd, autocast and Python take
the paths of a GPU, and its numbers lie in a CPU storage that belongs to the meta storage. Each operation is checked, counted and
then done on the CPU:

* a CPU tensor (but for numbers without dimensions) beside a CUDA tensor raises `MixedDevices`, as CUDA would raise;
* whatever lets the host wait for the device (`item`, `nonzero`, copies from and to the host) is noted with the line of
  the project that asked for it;
* operations that launch a kernel are counted, views and allocations are not;
* what one stream reads while another may still write it, and memory that is given out too early, is noted as a race
  (`pretended_streams.py`);
* recurrent layers go through a stand-in for cuDNN that notes whether their weights lie as cuDNN wants them, and rounds
  float32 to TF32 wherever torch's settings would let cuDNN and cuBLAS do so.

What this cannot show: kernels, memory, speed, NCCL. Autocast is a copy of ATen's lists (`autocast_mode.h`).
"""

import contextlib
from collections.abc import Callable, Iterator
from typing import Any
from unittest import mock

import torch
from pretended_graphs import PretendedGraph, captured, refuse_in_capture
from pretended_layers import Functions
from pretended_tensors import Device, Dispatching, Ledger, MixedDevices, PretendedTensor, as_tf32, real, storages

__all__ = [
    "Device",
    "Ledger",
    "MixedDevices",
    "PretendedTensor",
    "as_tf32",
    "in_this_thread",
    "pretended_cuda",
    "real",
]


@contextlib.contextmanager
def in_this_thread() -> Iterator[None]:
    """Let a further thread of a `pretended_cuda` block see the GPU, too: modes of torch belong to a thread."""
    with Functions(), Dispatching():
        yield


@contextlib.contextmanager
def pretended_cuda(index: int = 0, *, count: int = 1) -> Iterator[Ledger]:
    """Let torch see `count` GPUs inside the block; give the ledger of what the one with this index was asked to do."""
    Device.ledger = ledger = Ledger()
    Device.cuda = torch.device("cuda", index)
    answers = {
        "is_available": True,
        "is_initialized": True,
        "is_bf16_supported": True,
        "device_count": count,
        "current_device": index,
        "get_device_name": "pretended",
        "get_device_capability": (9, 0),
        "get_rng_state_all": [],
    }
    silent = ("_lazy_init", "set_device", "empty_cache")
    answers |= dict.fromkeys([*silent, "set_rng_state_all", "graph_pool_handle"])

    def noted(name: str, answer: Any) -> Callable[..., Any]:
        def function(*_: Any, **__: Any) -> Any:
            ledger.calls[name] += 1
            return answer

        return function

    def seed(_: int) -> None:
        refuse_in_capture("random numbers are seeded")

    def capture(graph: PretendedGraph, *, pool: object = None) -> Any:
        ledger.captures += 1
        graph.on_replay = lambda: ledger.launch("graph")
        return captured(graph, older=storages())

    overwrite = torch.__future__.get_overwrite_module_params_on_conversion()
    torch.__future__.set_overwrite_module_params_on_conversion(True)  # `parameter.data = ...` would lose the subclass
    try:
        with contextlib.ExitStack() as stack:
            for name, answer in answers.items():
                stack.enter_context(mock.patch.object(torch.cuda, name, noted(name, answer)))
            others: dict[str, Any] = {
                **ledger.work.functions(),
                "manual_seed": seed,
                "manual_seed_all": seed,
                "graph": capture,
                "CUDAGraph": PretendedGraph,
            }
            for name, function in others.items():
                stack.enter_context(mock.patch.object(torch.cuda, name, function))
            stack.enter_context(in_this_thread())
            yield ledger
    finally:
        torch.__future__.set_overwrite_module_params_on_conversion(overwrite)
        Device.to_meta.clear()
