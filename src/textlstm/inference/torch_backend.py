"""Faster twins of a trained network for labelling many texts on a CPU.

In bf16 the embedder and the encoder are cast once, which is faster than autocast (that casts and reorders the weights
at every call). In fp32 the word table is multiplied by the input weights once, so that a token costs one look-up and
the recurrent product only.
"""

import copy
import os
from typing import cast

import numpy as np
import torch
from torch import Tensor, nn

from textlstm.config import Device, Pooling, Precision
from textlstm.errors import ConfigError
from textlstm.model_folder import SavedModel
from textlstm.models.network.batch import Batch
from textlstm.models.network.embedder import UNKNOWN_ID
from textlstm.models.network.encoders import ConvolutionalRecurrentEncoder, RecurrentLayer, cell_weights
from textlstm.models.network.inputs import EncodedSplit
from textlstm.models.network.network import NetworkSizes, TextNetwork
from textlstm.models.network.precision import check_precision
from textlstm.models.network.predict import predict_logits

MAX_TABLE_BYTES = 256 * 2**20
"""A folded table may not be larger; beyond it the network itself is used."""


def prepare_inference(network: TextNetwork, *, precision: Precision) -> nn.Module:
    """Return a module that maps a Batch to (B, L) float32 logits as `network` does in eval mode, but faster.

    fp32: logits equal to 1e-5. One layer of a bidirectional or plain LSTM over words alone, with mean or max pooling,
    is folded; every other network is returned as it is. bf16: logits to about two decimals.
    Call it for many texts only: folding costs as much as some thousand texts.
    """
    network = network.eval()
    if precision is Precision.bf16:
        return CastNetwork(network)
    return FoldedNetwork(network) if can_fold(network) else network


def can_fold(network: TextNetwork) -> bool:
    """Return whether `FoldedNetwork` can stand in for `network`."""
    embedder, layers = network.embedder, network.encoder.layers
    if embedder.pos is not None or embedder.chars is not None or embedder.subwords is not None:
        return False
    if isinstance(network.encoder, ConvolutionalRecurrentEncoder) or len(layers) != 1:
        return False
    cell = cast(RecurrentLayer, layers[0]).forwards
    if not isinstance(cell, nn.LSTM) or network.pool.pooling not in (Pooling.mean, Pooling.max, Pooling.max_mean):
        return False
    num_directions = 2 if cast(RecurrentLayer, layers[0]).backwards is not None else 1
    return embedder.words.num_embeddings * num_directions * 4 * cell.hidden_size * 4 <= MAX_TABLE_BYTES


class CastNetwork(nn.Module):
    """A copy of a network whose embedder and encoder compute in bfloat16, and whose head in float32."""

    def __init__(self, network: TextNetwork) -> None:
        """Copy and cast `network`."""
        super().__init__()
        self.network = copy.deepcopy(network).eval()
        self.network.embedder.bfloat16()
        self.network.encoder.bfloat16()
        self.network.pool.bfloat16()

    def forward(self, batch: Batch) -> Tensor:
        """Return (B, L) float32 logits."""
        network = self.network
        pooled = network.pool(network.encode(network.embed(batch), batch.lengths))
        logits: Tensor = network.head(pooled.float())
        return logits


class FoldedNetwork(nn.Module):
    """One LSTM layer with the embedding folded into it, run step by step over the texts that still have tokens.

    D directions (1 or 2) run side by side. Gates are ordered input, forget, output, cell, so that the three sigmoids
    are one call.
    """

    def __init__(self, network: TextNetwork) -> None:
        """Fold `network`, which `can_fold`."""
        super().__init__()
        layer = cast(RecurrentLayer, network.encoder.layers[0])
        words = network.embedder.words.weight.detach()
        cells = [layer.forwards] if layer.backwards is None else [layer.forwards, layer.backwards]
        tables, recurrent = [], []
        for cell in cells:
            weights = cell_weights(cell)
            table = words @ weights.input.detach().T + (weights.input_bias + weights.recurrent_bias).detach()
            tables.append(_cell_gate_last(table))
            recurrent.append(_cell_gate_last(weights.recurrent.detach().T))
        self.vocabulary_size = len(words)
        self.hidden_size = cells[0].hidden_size
        self.table = nn.Buffer(torch.cat(tables))  # (D * V, 4H)
        self.recurrent = nn.Buffer(torch.stack(recurrent))  # (D, H, 4H)
        self.pooling = network.pool.pooling
        self.head = network.head

    def forward(self, batch: Batch) -> Tensor:
        """Return (B, L) float32 logits."""
        lengths, order = batch.lengths.sort(descending=True)
        token_ids = batch.token_ids.long()[order]
        token_ids = token_ids.masked_fill(token_ids >= self.vocabulary_size, UNKNOWN_ID)
        pooled = self._pooled(self._table_rows(token_ids, lengths), lengths)
        logits: Tensor = self.head(pooled)
        return torch.empty_like(logits).index_copy_(0, order, logits)

    def _table_rows(self, token_ids: Tensor, lengths: Tensor) -> Tensor:
        """Return (T, D, B) row numbers of the table: each direction's tokens in the order it reads them."""
        steps = torch.arange(token_ids.shape[1], device=token_ids.device)
        column = lengths.unsqueeze(1)
        backwards = token_ids.gather(1, torch.where(steps < column, column - 1 - steps, steps))
        both = torch.stack([token_ids, backwards + self.vocabulary_size])[: len(self.recurrent)]
        return both.permute(2, 0, 1).contiguous()

    def _pooled(self, rows: Tensor, lengths: Tensor) -> Tensor:
        """Return (B, P) pooled states; `lengths` fall, so at step t only the first texts are still running."""
        D, B, H = rows.shape[1], rows.shape[2], self.hidden_size
        running = (lengths > torch.arange(len(rows), device=lengths.device).unsqueeze(1)).sum(dim=1).tolist()
        states = self.table.new_zeros(D, B, H)
        cells, total = torch.zeros_like(states), torch.zeros_like(states)
        highest = torch.full_like(states, -2.0)  # states lie in (-1, 1)
        for step, num_texts in enumerate(running):
            if num_texts == 0:
                break
            gates = self.table.index_select(0, rows[step, :, :num_texts].reshape(-1)).view(D, num_texts, 4 * H)
            gates.baddbmm_(states[:, :num_texts], self.recurrent)
            gates[..., : 3 * H].sigmoid_()
            gates[..., 3 * H :].tanh_()
            input_gate, forget_gate, output_gate, candidate = gates.chunk(4, dim=2)
            current = cells[:, :num_texts].mul_(forget_gate).addcmul_(input_gate, candidate)
            states = torch.tanh(current).mul_(output_gate)
            total[:, :num_texts].add_(states)
            torch.maximum(highest[:, :num_texts], states, out=highest[:, :num_texts])
        highest = highest * (lengths > 0).unsqueeze(1)
        mean = total / lengths.clamp(min=1).unsqueeze(1)
        parts = {Pooling.max: [highest], Pooling.mean: [mean], Pooling.max_mean: [highest, mean]}[self.pooling]
        return torch.cat([part[direction] for part in parts for direction in range(D)], dim=1)


def _cell_gate_last(gates: Tensor) -> Tensor:
    """Reorder the last axis from torch's input, forget, cell, output to input, forget, output, cell."""
    input_gate, forget_gate, candidate, output_gate = gates.chunk(4, dim=1)
    return torch.cat([input_gate, forget_gate, output_gate, candidate], dim=1)


# The recurrent networks of a saved model, computed by torch; `inference/onnx_backend.py` computes those of an
# exported one.


class TorchNetworks:
    """One network, or several whose probabilities are averaged, in evaluation mode on one device."""

    def __init__(
        self, saved_model: SavedModel, *, device: Device, num_threads: int | None, precision: Precision
    ) -> None:
        """Build the networks of `saved_model`; `num_threads` sets torch's threads for this process.

        Raises:
            ConfigError: bf16 is asked for and the device has no kernels for it.
        """
        if num_threads is not None:
            torch.set_num_threads(num_threads)
        self.device = choose_device(device)
        check_precision("labelling.precision", precision, self.device)
        self.networks = _build_networks(saved_model, self.device)
        self._precision = precision
        self._faster: list[nn.Module] | None = None
        self._process = os.getpid()

    def prepare_for_many(self) -> None:
        """Put faster twins in the place of the networks, which pays from some thousand texts on; on a CPU only."""
        if self.device.type == "cpu":
            self._faster = [prepare_inference(network, precision=self._precision) for network in self.networks]

    def logits(self, split: EncodedSplit) -> list[np.ndarray]:
        """Return the (N, L) float32 logits of each network."""
        if self._faster is not None:  # a bf16 twin casts by itself
            return [predict_logits(twin, split, device=self.device) for twin in self._faster]
        precision = self._precision
        return [predict_logits(network, split, device=self.device, precision=precision) for network in self.networks]

    def after_fork(self) -> None:
        """Compute on one thread in a forked process: the threads of its parent are gone, and OpenMP waits for them.

        Raises:
            ConfigError: the networks are on a GPU.
        """
        if os.getpid() == self._process:
            return
        if self.device.type != "cpu":
            raise ConfigError("the model is on a GPU, which a forked process cannot use; load it after the fork")
        torch.set_num_threads(1)
        self._process = os.getpid()


def choose_device(device: Device) -> torch.device:
    """Return the torch device; `auto` takes the GPU where there is one."""
    if device is Device.auto:
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    return torch.device(str(device))


def _build_networks(saved_model: SavedModel, device: torch.device) -> list[TextNetwork]:
    sizes = NetworkSizes(vocabulary_size=len(saved_model.vocabulary), num_labels=len(saved_model.labels))
    return [
        TextNetwork.from_arrays(saved_model.model, sizes, saved_model.arrays(f"network.{index}.")).to(device)
        for index in range(saved_model.num_networks)
    ]
