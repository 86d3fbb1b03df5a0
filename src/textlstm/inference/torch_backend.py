"""The recurrent networks of a saved model, computed by torch.

On a CPU, many texts and single ones are computed by numpy instead (fp32), or by a copy of the networks that is cast to
bf16 once.
"""

import copy
import os

import numpy as np
import torch
from torch import Tensor, nn

from textlstm.config import Device, Precision
from textlstm.errors import ConfigError
from textlstm.inference.numpy_backend import NumpyNetworks
from textlstm.inference.numpy_lstm import supports
from textlstm.models.network.batch import Batch
from textlstm.models.network.inputs import EncodedSplit
from textlstm.models.network.network import NetworkSizes, TextNetwork, predict_logits
from textlstm.models.network.precision import check_precision
from textlstm.processes.devices import choose_device
from textlstm.saved_model import SavedModel


class CastNetwork(nn.Module):
    """A copy of a network with embedder, encoder and pooling in bfloat16 and the head in float32.

    Casting once is faster than autocast, which casts and reorders the weights at every call. Logits agree with the
    network's to about two decimals.
    """

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


class TorchNetworks:
    """One network, or several whose probabilities are averaged, in evaluation mode on one device."""

    def __init__(
        self, saved_model: SavedModel, *, device: Device, num_threads: int | None, precision: Precision
    ) -> None:
        """Build the networks of `saved_model`; `num_threads` sets torch's threads for this process.

        Raises:
            ConfigError: there is no GPU, and one is asked for, or no bf16 kernels, and bf16 is asked for.
        """
        if num_threads is not None:
            torch.set_num_threads(num_threads)
        self.device = choose_device(device, key="device")
        check_precision("labelling.precision", precision, self.device)
        self.networks = _build_networks(saved_model, self.device)
        self._precision = precision
        self._saved_model, self._num_threads = saved_model, num_threads
        self._cast: list[CastNetwork] | None = None
        self._numpy: NumpyNetworks | None = None
        self._for_one: NumpyNetworks | None = None
        """The same networks for a single text, where they can be computed by numpy."""
        is_plain = self.device.type == "cpu" and precision is Precision.fp32
        if is_plain and supports(saved_model.model):
            self._for_one = NumpyNetworks(saved_model, num_threads=None)
        self._process = os.getpid()

    def prepare_for_many(self) -> None:
        """Make `logits` faster on a CPU, in bf16 or where numpy can compute the networks.

        It pays from some thousand texts on. In fp32 logits change by less than 1e-5.
        """
        self._for_one = None
        if self.device.type != "cpu":
            return
        if self._precision is Precision.bf16:
            self._cast = [CastNetwork(network) for network in self.networks]
        elif supports(self._saved_model.model):
            self._numpy = NumpyNetworks(self._saved_model, num_threads=self._num_threads)
            self._numpy.prepare_for_many()

    def logits(self, split: EncodedSplit) -> list[np.ndarray]:
        """Return the (N, L) float32 logits of each network."""
        networks = self._for_one if split.num_rows == 1 and self._for_one is not None else self._numpy
        if networks is not None:
            return networks.logits(split)
        if self._cast is not None:
            return [predict_logits(network, split, device=self.device) for network in self._cast]
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


def _build_networks(saved_model: SavedModel, device: torch.device) -> list[TextNetwork]:
    sizes = NetworkSizes(vocabulary_size=len(saved_model.vocabulary), num_labels=len(saved_model.labels))
    return [
        TextNetwork.from_arrays(saved_model.model, sizes, saved_model.arrays(f"network.{index}.")).to(device)
        for index in range(saved_model.num_networks)
    ]
