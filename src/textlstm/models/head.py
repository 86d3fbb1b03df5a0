"""The layers after pooling."""

import torch
from torch import Tensor, nn

from textlstm.models.dropout import Dropout


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
        features = self.dropout(pooled)
        if self.dense is not None:
            features = self.dropout(torch.relu(self.dense(features)))
        logits: Tensor = self.output(features)
        return logits.float()
