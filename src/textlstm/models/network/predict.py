"""Logits of a whole split, from batches of similar length, in the order of the rows."""

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor, nn

from textlstm.config import Precision
from textlstm.models.network.batch import DeviceSplit
from textlstm.models.network.batch_plan import plan_sorted
from textlstm.models.network.inputs import EncodedSplit
from textlstm.models.network.precision import NumberFormat, computing_in
from textlstm.processes.distributed import Processes

_MOST_ROWS = 256


def predict_logits(
    network: nn.Module,
    split: EncodedSplit,
    *,
    device: torch.device | str = "cpu",
    precision: Precision = Precision.fp32,
    batch_tokens: int = 16_384,
) -> np.ndarray:
    """Return (N, L) float32 logits of the rows of `split`, in their order.

    Batches hold rows of similar length, at most 256 rows and `batch_tokens` cells. With fp32 the logits of a row do
    not depend on the other rows of its batch beyond 1e-6. The network is left in the mode (training or not) it had.
    """
    device = torch.device(device)
    number_format = NumberFormat(precision.value)
    return predict_on_device(
        network, DeviceSplit(split, device), number_format=number_format, batch_tokens=batch_tokens
    )


def predict_on_device(
    network: nn.Module,
    split: DeviceSplit,
    *,
    number_format: NumberFormat,
    batch_tokens: int = 16_384,
    processes: Processes | None = None,
    between_batches: Callable[[], None] | None = None,
) -> np.ndarray:
    """Return what `predict_logits` returns, for a split that is on the device of `network` already.

    Several processes share the batches, and each gets the whole result. `between_batches` may raise to end early.
    """
    processes = processes or Processes()
    device = split.token_ids.device
    plan = plan_sorted(split.lengths, batch_cells=batch_tokens, most_rows=_MOST_ROWS)
    rows = torch.from_numpy(plan.rows).to(device)
    logits: Tensor | None = None
    was_training = network.training
    network.eval()
    try:
        with torch.inference_mode(), computing_in(number_format, device):
            for k in range(plan.num_batches):
                if between_batches:
                    between_batches()
                mine = rows[plan.starts[k] : plan.starts[k + 1]]
                if logits is not None and k % processes.size != processes.rank:
                    continue
                batch_logits = network(split.batch(mine, width=int(plan.widths[k]))).float()
                if logits is None:  # every process computes the first batch, which has the number of labels
                    logits = batch_logits.new_zeros(len(rows), batch_logits.shape[1])
                if k % processes.size == processes.rank:
                    logits[mine] = batch_logits
            if logits is not None:
                # Each process has filled the rows of its batches; zeros elsewhere make the sum the whole (N, L).
                processes.sum([logits])
    finally:
        network.train(was_training)
    if logits is None:
        return np.zeros((0, split.targets.shape[1] if split.targets.ndim == 2 else 0), np.float32)
    return logits.cpu().numpy()
