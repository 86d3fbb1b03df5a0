"""The recurrent networks of a saved model, computed by torch; `onnx/session.py` computes those of an exported one."""

import numpy as np
import torch
from torch import nn

from textlstm.bundle import Bundle
from textlstm.config import Device, Precision
from textlstm.models.network import NetworkSizes, TextNetwork
from textlstm.models.precision import check_precision
from textlstm.training.encoding import EncodedSplit
from textlstm.training.prediction import predict_logits


class TorchNetworks:
    """One network, or several whose probabilities are averaged, in evaluation mode on one device."""

    def __init__(self, bundle: Bundle, *, device: Device, num_threads: int | None, precision: Precision) -> None:
        """Build the networks of `bundle`; `num_threads` sets torch's threads for this process.

        Raises:
            ConfigError: bf16 is asked for and the device has no kernels for it.
        """
        if num_threads is not None:
            torch.set_num_threads(num_threads)
        self.device = choose_device(device)
        check_precision("labelling.precision", precision, self.device)
        self.networks = _build_networks(bundle, self.device)
        self._precision = precision
        self._faster: list[nn.Module] | None = None

    def prepare_for_many(self) -> None:
        """Put faster twins in the place of the networks, which pays from some thousand texts on; on a CPU only."""
        if self.device.type == "cpu":
            from textlstm.models.inference import prepare_inference

            self._faster = [prepare_inference(network, precision=self._precision) for network in self.networks]

    def logits(self, split: EncodedSplit) -> list[np.ndarray]:
        """Return the (N, L) float32 logits of each network."""
        if self._faster is not None:  # a bf16 twin casts by itself
            return [predict_logits(twin, split, device=self.device) for twin in self._faster]
        precision = self._precision
        return [predict_logits(network, split, device=self.device, precision=precision) for network in self.networks]


def choose_device(device: Device) -> torch.device:
    """Return the torch device; `auto` takes the GPU where there is one."""
    if device is Device.auto:
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    return torch.device(str(device))


def _build_networks(bundle: Bundle, device: torch.device) -> list[TextNetwork]:
    sizes = NetworkSizes(vocabulary_size=len(bundle.vocabulary), num_labels=len(bundle.labels))
    return [
        TextNetwork.from_arrays(bundle.model, sizes, bundle.arrays(f"network.{index}.")).to(device)
        for index in range(bundle.num_networks)
    ]
