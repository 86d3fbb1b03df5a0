"""The recurrent text classifier: embedder -> encoder -> pooling -> head; and its logits of a whole split.

token ids (B, T) -> vectors (B, T, E) -> states (T, B, H) a direction -> pooled (B, P) -> logits (B, L)
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Self

import numpy as np
import torch
from torch import Tensor, nn

from textlstm.config import ModelConfig, Precision
from textlstm.models.network.batch import Batch, DeviceSplit
from textlstm.models.network.batch_plan import plan_sorted
from textlstm.models.network.dropout import Dropout
from textlstm.models.network.embedder import Embedder
from textlstm.models.network.encoders import Encoded, RecurrentEncoder, build_encoder
from textlstm.models.network.inputs import EncodedSplit
from textlstm.models.network.pooling import Pool
from textlstm.models.network.precision import NumberFormat, computing_in, without_autocast
from textlstm.processes.distributed import Processes


class Head(nn.Module):
    """Dropout, an optional dense ReLU layer with dropout, and the output layer."""

    def __init__(self, input_size: int, num_labels: int, *, dense_size: int, dropout: float) -> None:
        """Build `dense` (an identity when `dense_size` is 0) and `output`."""
        super().__init__()
        self.dropout = Dropout(dropout)
        self.dense = nn.Linear(input_size, dense_size) if dense_size else None
        self.output = nn.Linear(dense_size or input_size, num_labels)
        nn.init.zeros_(self.output.bias)

    def forward(self, pooled: Tensor) -> Tensor:
        """Return (B, L) float32 logits of (B, P) pooled states."""
        # On a GPU these small products are computed in float32: autocast would launch more casts than products.
        with without_autocast(pooled):
            features = self.dropout(pooled.float() if pooled.is_cuda else pooled)
            if self.dense is not None:
                features = self.dropout(torch.relu(self.dense(features)))
            logits: Tensor = self.output(features)
        return logits.float()


@dataclass(frozen=True, slots=True)
class NetworkSizes:
    """Sizes that come from the data, not from a `ModelConfig`."""

    vocabulary_size: int
    """Rows of the word table, `<pad>` and `<unk>` included."""
    num_labels: int
    """Logits for each text."""
    num_pos: int = 19
    """Length of POS_TAGS; counts only with model.pos_embedding_size."""
    num_chars: int = 256
    """Byte values of spellings; counts only with model.char_cnn_size."""
    word_size: int = 0
    """Dimensions of pretrained word vectors; 0 means model.embedding_size. Needed to rebuild a saved network."""


class TextNetwork(nn.Module):
    """Logits of a batch of texts.

    The parts are `embedder`, `encoder` (with `encoder.layers`), `pool` and `head`; `forward` is
    `classify(encode(embed(batch), batch.lengths))`, so attribution can start after any of these steps.
    """

    def __init__(self, config: ModelConfig, sizes: NetworkSizes, *, embeddings: Tensor | None = None) -> None:
        """Build the network with fresh weights from torch's random state.

        Args:
            config: the settings.
            sizes: vocabulary, labels and tags.
            embeddings: (V, E) float32 word vectors in place of random ones.

        Raises:
            ValueError: `embeddings` has another number of rows than the vocabulary.
        """
        super().__init__()
        if embeddings is not None and embeddings.shape[0] != sizes.vocabulary_size:
            raise ValueError(f"embeddings have {embeddings.shape[0]} rows, the vocabulary {sizes.vocabulary_size}")
        self.embedder = Embedder(
            config,
            vocabulary_size=sizes.vocabulary_size,
            num_pos=sizes.num_pos,
            num_chars=sizes.num_chars,
            word_size=sizes.word_size or config.embedding_size,
            embeddings=embeddings,
        )
        self.encoder = build_encoder(config, self.embedder.output_size)
        self.pool = Pool(config.pooling, self.encoder.output_size)
        self.head = Head(
            self.pool.output_size, sizes.num_labels, dense_size=config.dense_size, dropout=config.head_dropout
        )

    def to_arrays(self) -> dict[str, np.ndarray]:
        """Return a copy of the weights as plain float32 arrays."""
        return {name: value.detach().cpu().numpy().copy() for name, value in self.state_dict().items()}

    @classmethod
    def from_arrays(cls, config: ModelConfig, sizes: NetworkSizes, arrays: Mapping[str, np.ndarray]) -> Self:
        """Return a network in evaluation mode whose weights share memory with `arrays`, as `to_arrays` returned them.

        No random weights are drawn; the dimensions of pretrained word vectors are taken from the arrays.
        """
        state = {name: torch.from_numpy(array) for name, array in arrays.items()}
        sizes = replace(sizes, word_size=state["embedder.words.weight"].shape[1])
        # On "meta" weights take no memory; `assign=True` then puts the given arrays in their place, without a copy.
        with torch.device("meta"):
            network = cls(config, sizes)
        network.load_state_dict(state, assign=True)
        return network.eval()

    def forward(self, batch: Batch) -> Tensor:
        """Return (B, L) float32 logits: of a softmax for one label a text, of L sigmoids for several."""
        return self.classify(self.encode(self.embed(batch), batch.lengths))

    def embed(self, batch: Batch) -> Tensor:
        """Return (B, T, E) token vectors."""
        vectors: Tensor = self.embedder(batch)
        return vectors

    def encode(self, vectors: Tensor, lengths: Tensor) -> Encoded:
        """Return the states of (B, T, E) token vectors."""
        encoded: Encoded = self.encoder(vectors, lengths)
        return encoded

    def classify(self, encoded: Encoded) -> Tensor:
        """Return (B, L) float32 logits of encoded texts."""
        logits: Tensor = self.head(self.pool(encoded))
        return logits

    def word_embedding_parameters(self) -> list[nn.Parameter]:
        """Return the parameters that `training.embedding_learning_rate` and `model.freeze_epochs` apply to."""
        return list(self.embedder.words.parameters())

    def set_word_embeddings_trainable(self, trainable: bool) -> None:
        """Freeze or unfreeze the word vectors; their gradient, which an optimizer may hold too, stays as it is."""
        for parameter in self.word_embedding_parameters():
            parameter.requires_grad_(trainable)

    @property
    def can_run_in_parallel(self) -> bool:
        """Whether training is faster with one thread for each direction (`two_threads`) than with all threads in one.

        It is with two directions, except with convolutions, which use all threads.
        """
        two_directions = isinstance(self.encoder, RecurrentEncoder) and self.encoder.bidirectional
        return two_directions and self.embedder.chars is None

    @property
    def device(self) -> torch.device:
        """The device of the weights."""
        return self.embedder.words.weight.device


# Logits of a whole split, from batches of similar length, in the order of the rows.

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
