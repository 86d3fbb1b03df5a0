"""Trains in each process of `torchrun` on a pretended GPU of its own; gloo stands in for NCCL, over the real numbers.

torchrun --nproc_per_node 2 two_gpus_harness.py FOLDER CASE [large]      writes FOLDER/RANK.json

With `large` the word table is updated at the words of a batch alone, as large tables are.
"""

import json
import os
import sys
from pathlib import Path
from typing import Any

import gpu_cases
from pretended_cuda import PretendedTensor, real
from torch import Tensor, distributed

from textlstm.training import optimizer

VOCABULARY_SIZE = 1_500


def main() -> None:
    folder, name, *large = Path(sys.argv[1]), *sys.argv[2:]
    if large:
        optimizer.pays = lambda _table, *, batch_tokens: True
    rank = int(os.environ["RANK"])
    join, all_reduce, broadcast = distributed.init_process_group, distributed.all_reduce, distributed.broadcast
    sizes: list[int] = []

    def join_by_gloo(backend: str, *, timeout: Any, device_id: Any) -> None:
        assert (backend, str(device_id)) == ("nccl", f"cuda:{rank}")
        join("gloo", timeout=timeout)

    def summed(tensor: Tensor, *, async_op: bool = False) -> Any:
        assert isinstance(tensor, PretendedTensor), "NCCL sums what is on the GPU"
        sizes.append(tensor.numel())
        return all_reduce(real(tensor), async_op=async_op)

    def sent(tensor: Tensor, src: int) -> None:
        broadcast(real(tensor), src=src)

    distributed.init_process_group = join_by_gloo
    distributed.all_reduce, distributed.broadcast = summed, sent
    gpu_cases.VOCABULARY_SIZE = VOCABULARY_SIZE
    trained = gpu_cases.train(gpu_cases.CASES[name], on_gpu=True, card=rank)
    content = {
        "losses": [[report.train_loss, report.validation_loss] for report in trained.result.history],
        "logits": trained.logits.tolist(),
        "waits": dict(trained.ledger.waits),
        "largest_sum": max(sizes),
    }
    (folder / f"{rank}.json").write_text(json.dumps(content))


if __name__ == "__main__":
    main()
