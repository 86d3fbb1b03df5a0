"""Several processes that train one network: each computes its share of every batch, and the gradients are summed.

All keep the same weights and take the same decisions, for they decide on sums over all processes. `textlstm train`
under `torchrun` joins its processes; on one machine without a GPU, `fit` starts helpers of its own.
"""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta

import torch
from torch import Tensor, distributed

_PATIENCE = timedelta(hours=3)
"""How long a process waits for the others; NCCL's own ten minutes may be over while the first one reads a corpus."""


@dataclass(frozen=True, slots=True)
class Processes:
    """The processes of a training, seen from one of them."""

    rank: int = 0
    """Number of this process; 0 reports and writes checkpoints."""
    size: int = 1
    """How many there are."""

    @property
    def is_first(self) -> bool:
        """Whether this process reports and writes."""
        return self.rank == 0

    @property
    def share(self) -> slice:
        """The rows of a batch that this process computes: every `size`-th from `rank` on."""
        return slice(self.rank, None, self.size)

    def sum(self, tensors: Sequence[Tensor]) -> None:
        """Replace each float32 tensor by its sum over the processes."""
        if self.size == 1:
            return
        # One flat tensor, so that one call sums them all.
        flat = torch.cat([tensor.reshape(-1) for tensor in tensors])
        distributed.all_reduce(flat)
        for tensor, total in zip(tensors, torch.split(flat, [tensor.numel() for tensor in tensors]), strict=True):
            tensor.copy_(total.view(tensor.shape))

    def from_first(self, content: bytes, *, device: torch.device) -> bytes:
        """Return the bytes that the first process gives."""
        if self.size == 1:
            return content
        # Two messages: the others must know the length before they can make room for the bytes.
        length = torch.tensor([len(content)], device=device)
        distributed.broadcast(length, src=0)
        data = torch.empty(int(length), dtype=torch.uint8, device=device)
        if self.is_first:
            data.copy_(torch.frombuffer(bytearray(content), dtype=torch.uint8))
        distributed.broadcast(data, src=0)
        return data.cpu().numpy().tobytes()


def under_torchrun() -> bool:
    """Whether this process was started as one of several by `torchrun`, or has joined a process group already."""
    return distributed.is_initialized() or int(os.environ.get("WORLD_SIZE", "1")) > 1


def follows_another() -> bool:
    """Whether `torchrun` started this process beside a first one, which reports, saves and evaluates."""
    return under_torchrun() and int(os.environ.get("RANK", "0")) > 0


@contextmanager
def joined(device: torch.device) -> Iterator[Processes]:
    """Join the processes that `torchrun` started (gloo on CPUs, nccl on GPUs) for the block."""
    mine = not distributed.is_initialized()
    if mine:
        # Whoever has read the corpus first waits here. Nobody waits for the linear models: the first process fits them
        # in a process of their own, and asks for them after the last training.
        if device.type == "cuda":
            torch.cuda.set_device(device)
            distributed.init_process_group("nccl", timeout=_PATIENCE, device_id=device)
        else:
            distributed.init_process_group("gloo", timeout=_PATIENCE)
    try:
        yield Processes(distributed.get_rank(), distributed.get_world_size())
    finally:
        if mine:
            distributed.destroy_process_group()
