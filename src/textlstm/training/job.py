"""What a training is given: the same in every process that takes part."""

import hashlib
from dataclasses import asdict, dataclass

import numpy as np

from textlstm.config import Task, TrainingConfig
from textlstm.models.network import TextNetwork
from textlstm.training.encoding import EncodedSplit

_MAY_CHANGE = ("checkpoint_seconds", "num_models", "refit")
"""Settings with which a training may be continued although they differ."""


@dataclass(frozen=True, slots=True)
class TrainingJob:
    """A network, rows, and settings; see `loop.fit` for what each is."""

    network: TextNetwork
    train: EncodedSplit
    validation: EncodedSplit
    config: TrainingConfig
    task: Task
    seed: int
    freeze_epochs: int
    run_key: str
    num_epochs: int

    @property
    def num_labels(self) -> int:
        """Logits a text."""
        return self.network.head.output.out_features

    @property
    def last_epoch(self) -> int:
        """Number of the epoch after which the training is over, 1 for the first."""
        return self.num_epochs or self.config.epochs

    @property
    def lane_tokens(self) -> float:
        """Tokens of an average batch if the network trains faster in two lanes, else 0."""
        mean_length = len(self.train.token_ids) / max(1, self.train.num_rows)
        return self.config.batch_size * mean_length if self.network.fits_lanes else 0

    def fingerprint(self) -> str:
        """Return a digest of all that must be equal for a training to be continued: settings, rows, first weights."""
        settings = {key: str(value) for key, value in asdict(self.config).items() if key not in _MAY_CHANGE}
        plain = (settings, self.task.value, self.seed, self.freeze_epochs, self.run_key, self.num_epochs)
        digest = hashlib.sha256(repr(plain).encode())
        for split in (self.train, self.validation):
            for array in (split.token_ids, split.offsets, split.pos_ids, split.targets, split.spellings):
                if array is not None:
                    digest.update(np.ascontiguousarray(array).data)
        for name, tensor in self.network.state_dict().items():
            digest.update(f"{name} {tuple(tensor.shape)}".encode())
            digest.update(tensor.cpu().contiguous().numpy().data)
        return digest.hexdigest()
