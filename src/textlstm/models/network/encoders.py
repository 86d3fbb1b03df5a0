"""Recurrent encoders over right-padded float sequences, without packing.

A bidirectional layer is two one-directional cells. `forwards` reads the rows in order; padding comes after the tokens,
so it cannot change their states. `backwards` reads each row reversed by its own length. The results equal those of
`pack_padded_sequence`, but the fast oneDNN and cuDNN kernels stay in use, and texts may have length 0.

Dimensions: B texts, T time steps, E features of an input, H units of a direction, P = H times the number of directions.
"""

from functools import partial
from typing import NamedTuple, assert_never

import torch
from torch import Tensor, nn
from torch.autograd.function import FunctionCtx
from torch.nn import functional

from textlstm.config import Encoder, ModelConfig
from textlstm.models.network.dropout import LockedDropout, dropout
from textlstm.models.network.one_piece import compacted
from textlstm.models.network.parallel import Layer, both_layers
from textlstm.models.network.precision import as_computed, without_autocast

# Masks and reversals of right-padded rows.


def padding_mask(lengths: Tensor, num_steps: int) -> Tensor:
    """Return (B, T) bool, True where a step holds a token: lengths [2, 0] and 3 steps give [[1, 1, 0], [0, 0, 0]]."""
    return torch.arange(num_steps, device=lengths.device) < lengths.unsqueeze(1)


def reversal_index(lengths: Tensor, num_steps: int) -> Tensor:
    """Return (T * B,) int64: which of the T * B vectors, steps first, stands where after each text is reversed.

    Padding stays behind the tokens, itself reversed, so the index is its own inverse. Lengths [3, 1] and 4 steps:
    text 0 has its vectors at 0, 2, 4 (and padding at 6), text 1 at 1 (padding at 3, 5, 7): [4, 1, 2, 7, 0, 5, 6, 3].
    """
    num_texts = lengths.shape[0]
    steps = torch.arange(1, num_steps + 1, device=lengths.device).unsqueeze(1)
    source = (lengths - steps) % num_steps  # (T, B) steps; for padding, which is negative, they come from the end
    return torch.add(torch.arange(num_texts, device=lengths.device), source, alpha=num_texts).reshape(-1)


class _Permute(torch.autograd.Function):
    """Reorders rows by an index that is its own inverse, so the gradient is the same cheap gather, not a scatter."""

    @staticmethod
    def forward(ctx: FunctionCtx, rows: Tensor, index: Tensor) -> Tensor:
        ctx.save_for_backward(index)
        return rows.index_select(0, index)

    @staticmethod
    def backward(ctx: FunctionCtx, gradient: Tensor) -> tuple[Tensor, None]:
        (index,) = ctx.saved_tensors  # type: ignore[attr-defined]
        return _Permute.apply(gradient, index), None  # type: ignore[no-untyped-call]


def reverse_padded(states: Tensor, index: Tensor) -> Tensor:
    """Reverse each text of (T, B, E) `states` by its own length; `index` is `reversal_index` of the lengths."""
    flat = states.reshape(-1, states.shape[-1])  # (T * B, E)
    if flat.requires_grad and torch.is_grad_enabled():
        permuted: Tensor = _Permute.apply(flat, index)  # type: ignore[no-untyped-call]
    else:
        permuted = flat.index_select(0, index)
    return permuted.view(states.shape)


class Encoded(NamedTuple):
    """States of B texts; the time steps come first in memory, the layout that recurrent kernels need."""

    forward_states: Tensor
    """(T, B, H) outputs of the forward cell; values at padded steps are arbitrary."""
    backward_states: Tensor | None
    """(T, B, H) outputs of the backward cell in its reading order, last token first; None for one direction."""
    lengths: Tensor
    """(B,) int64 time steps of each text (fewer than tokens after a pooling convolution)."""

    @property
    def states(self) -> Tensor:
        """(B, T, P) outputs of both directions side by side, in the order of the tokens."""
        return self.by_step().transpose(0, 1)

    @property
    def last(self) -> Tensor:
        """(B, P) state of each direction after its last step; zeros for a text without tokens."""
        rows = torch.arange(len(self.lengths), device=self.lengths.device)
        # (B,) last steps; a text without tokens reads step 0, which the product below makes zero.
        ends = (self.lengths - 1).clamp(min=0)
        found = [states[ends, rows] for states in self.directions]
        return torch.cat(found, dim=1) * (self.lengths > 0).unsqueeze(1)

    @property
    def directions(self) -> tuple[Tensor, ...]:
        """One or two tensors (T, B, H), each in reading order; padding comes after the tokens in both."""
        return (self.forward_states,) if self.backward_states is None else (self.forward_states, self.backward_states)

    def by_step(self) -> Tensor:
        """Return (T, B, P): `states` with the steps first."""
        if self.backward_states is None:
            return self.forward_states
        # Back to the order of the tokens, then both directions side by side: two (T, B, H) become (T, B, 2H).
        index = reversal_index(self.lengths, self.forward_states.shape[0])
        return torch.cat([self.forward_states, reverse_padded(self.backward_states, index)], dim=2)


class CellWeights(NamedTuple):
    """The weights of a one-layer cell, G gates (LSTM 4, GRU 3, RNN 1) stacked in torch's order."""

    input: Tensor
    """(G * H, E) `weight_ih_l0`."""
    recurrent: Tensor
    """(G * H, H) `weight_hh_l0`."""
    input_bias: Tensor
    """(G * H,) `bias_ih_l0`."""
    recurrent_bias: Tensor
    """(G * H,) `bias_hh_l0`."""


def cell_weights(cell: nn.RNNBase) -> CellWeights:
    """Return the weights of a one-layer, one-directional cell."""
    return CellWeights(*cell.all_weights[0])


class RecurrentLayer(nn.Module):
    """One layer of one or two directions.

    `forwards` and `backwards` (None for one direction) are plain `nn.LSTM`, `nn.GRU` or `nn.RNN` modules of a single
    layer and direction (steps first). Their weights are `weight_ih_l0`, `weight_hh_l0`, `bias_ih_l0` and `bias_hh_l0`
    in torch's order of gates (LSTM: input, forget, cell, output, or i, f, g, o; GRU: reset, update, new).
    """

    def __init__(self, family: Encoder, input_size: int, hidden_size: int, *, bidirectional: bool) -> None:
        """Build cells of a `family` with `hidden_size` units a direction."""
        super().__init__()
        self.forwards = _build_cell(family, input_size, hidden_size)
        self.backwards = _build_cell(family, input_size, hidden_size) if bidirectional else None
        self.output_size = hidden_size * (2 if bidirectional else 1)

    def forward(self, inputs: Tensor, lengths: Tensor, *, recurrent_dropout: float = 0.0) -> Encoded:
        """Return the states of right-padded (T, B, E) `inputs`."""
        # The cast comes before the reversal, so that its copy is as small as the format allows.
        inputs = as_computed(inputs).contiguous()
        forward_cell = partial(_run_cell, self.forwards)
        forward_weights = _weights_in_use(self.forwards, recurrent_dropout)
        if self.backwards is None:
            return Encoded(forward_cell(inputs, *forward_weights), None, lengths)

        # The backward cell reads each text from its last token on. Both cells may run at once.
        reverse = reverse_padded(inputs, reversal_index(lengths, inputs.shape[0]))
        backward_cell = partial(_run_cell, self.backwards)
        backward_weights = _weights_in_use(self.backwards, recurrent_dropout)
        states = both_layers(
            Layer(forward_cell, (inputs, *forward_weights)), Layer(backward_cell, (reverse, *backward_weights))
        )
        return Encoded(*states, lengths)


class RecurrentEncoder(nn.Module):
    """Stacked recurrent layers over any float sequence.

    `layers[i].forwards` and `layers[i].backwards` are the cells (see `RecurrentLayer`).
    """

    def __init__(
        self,
        family: Encoder,
        input_size: int,
        *,
        hidden_size: int,
        num_layers: int = 1,
        bidirectional: bool = True,
        layer_dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
    ) -> None:
        """Stack `num_layers` layers; `layer_dropout` is the locked dropout between them."""
        super().__init__()
        width = hidden_size * (2 if bidirectional else 1)
        self.layers = nn.ModuleList(
            RecurrentLayer(family, input_size if i == 0 else width, hidden_size, bidirectional=bidirectional)
            for i in range(num_layers)
        )
        self.dropout = LockedDropout(layer_dropout)
        self.recurrent_dropout = recurrent_dropout
        self.bidirectional = bidirectional
        self.output_size = width

    def forward(self, vectors: Tensor, lengths: Tensor) -> Encoded:
        """Encode (B, T, E) float `vectors` of right-padded rows with (B,) `lengths`.

        Vectors with the steps first in memory, as the embedder returns them, are not copied.
        """
        if vectors.shape[1] == 0:  # no text has a token, and torch refuses to run over no steps
            vectors = functional.pad(vectors, (0, 0, 0, 1))
        inputs = vectors.transpose(0, 1)  # (T, B, E)
        encoded: Encoded = self.layers[0](inputs, lengths, recurrent_dropout=self.recurrent_dropout)
        for layer in self.layers[1:]:
            inputs = self.dropout(encoded.states).transpose(0, 1)  # (B, T, P) to (T, B, P)
            encoded = layer(inputs, lengths, recurrent_dropout=self.recurrent_dropout)
        return encoded


class ConvolutionalRecurrentEncoder(nn.Module):
    """A convolution and max pooling over the sequence, then an LSTM over the shorter sequence (C-LSTM, Zhou 2015).

    `convolution` is the `nn.Conv1d`, `layers` the LSTM layers of `RecurrentEncoder`.
    """

    def __init__(
        self, recurrent: RecurrentEncoder, input_size: int, *, num_filters: int, width: int, pool: int
    ) -> None:
        """Put `num_filters` filters of `width` tokens and pooling of `pool` steps before `recurrent`."""
        super().__init__()
        self.convolution = nn.Conv1d(input_size, num_filters, width)
        self.pool = pool
        self.recurrent = recurrent
        self.output_size = recurrent.output_size

    @property
    def layers(self) -> nn.ModuleList:
        """The recurrent layers."""
        return self.recurrent.layers

    def forward(self, vectors: Tensor, lengths: Tensor) -> Encoded:
        """Encode (B, T, E) float `vectors`; the result has ceil(T / pool) steps: 5 tokens and pool 2 give 3."""
        if vectors.shape[1] == 0:
            vectors = functional.pad(vectors, (0, 0, 0, 1))

        # Convolution over time: (B, T, E) to (B, filters, T). Padding is zero before and after it.
        mask = padding_mask(lengths, vectors.shape[1]).unsqueeze(1)  # (B, 1, T)
        before = (self.convolution.kernel_size[0] - 1) // 2
        padded = functional.pad(vectors.transpose(1, 2) * mask, (before, self.convolution.kernel_size[0] - 1 - before))
        filtered = functional.relu(self.convolution(padded)) * mask

        # Maximum of `pool` steps: (B, filters, T) to (B, filters, ceil(T / pool)); filters are >= 0 after ReLU.
        pooled = functional.max_pool1d(filtered, self.pool, ceil_mode=True)
        encoded: Encoded = self.recurrent(pooled.transpose(1, 2), (lengths + self.pool - 1) // self.pool)
        return encoded


def build_encoder(config: ModelConfig, input_size: int) -> RecurrentEncoder | ConvolutionalRecurrentEncoder:
    """Return the encoder that `config` names, for inputs of `input_size` dimensions."""
    convolutional = config.encoder is Encoder.cnn_lstm
    recurrent = RecurrentEncoder(
        Encoder.lstm if convolutional else config.encoder,
        config.conv_size if convolutional else input_size,
        hidden_size=config.hidden_size,
        num_layers=config.num_layers,
        bidirectional=config.bidirectional,
        layer_dropout=config.locked_dropout,
        recurrent_dropout=config.recurrent_dropout,
    )
    if not convolutional:
        return recurrent
    return ConvolutionalRecurrentEncoder(
        recurrent, input_size, num_filters=config.conv_size, width=config.conv_width, pool=config.conv_pool
    )


def _build_cell(family: Encoder, input_size: int, hidden_size: int) -> nn.RNNBase:
    """Return a one-layer cell with orthogonal recurrent weights, Glorot input weights and an LSTM forget bias of 1."""
    cell: nn.RNNBase
    match family:
        case Encoder.lstm | Encoder.cnn_lstm:
            cell = nn.LSTM(input_size, hidden_size)
        case Encoder.gru:
            cell = nn.GRU(input_size, hidden_size)
        case Encoder.rnn:
            cell = nn.RNN(input_size, hidden_size)
        case _:
            assert_never(family)
    with torch.no_grad():
        weights = cell_weights(cell)
        # (G * H, ...) weights hold one matrix a gate, and each is initialized by itself.
        for block in weights.input.chunk(weights.input.shape[0] // hidden_size):
            nn.init.xavier_uniform_(block)
        for block in weights.recurrent.chunk(weights.recurrent.shape[0] // hidden_size):
            nn.init.orthogonal_(block)
        weights.input_bias.zero_()
        weights.recurrent_bias.zero_()
        # The second block is the forget gate; cells add both biases, so only one of them holds the 1.
        if isinstance(cell, nn.LSTM):  # Jozefowicz et al. 2015
            weights.input_bias[hidden_size : 2 * hidden_size] = 1.0
    return cell


def _weights_in_use(cell: nn.RNNBase, recurrent_dropout: float) -> CellWeights:
    """Return the weights of a cell, in training with dropout of the recurrent weights.

    This is weight-drop (Merity et al. 2018): one mask of `weight_hh` for all texts and steps of the batch, so that the
    fused kernels stay in use.
    """
    kept = cell_weights(cell)
    if not cell.training or recurrent_dropout == 0:
        return kept
    return kept._replace(recurrent=dropout(kept.recurrent, recurrent_dropout))


def _run_cell(cell: nn.RNNBase, inputs: Tensor, *weights: Tensor) -> Tensor:
    """Return the (T, B, H) outputs of a cell, with these `weights`, for (T, B, E) inputs."""
    if inputs.is_cuda:
        # The weights are cast here, all at once: autocast would cast and compact each of them at each call.
        weights = tuple(compacted(weights, inputs.dtype))
    elif all(given is own for given, own in zip(weights, cell_weights(cell), strict=True)):
        # A CPU without dropout of weights: the module itself runs under autocast.
        outputs: Tensor = cell(inputs)[0]
        return outputs
    with without_autocast(inputs):
        return _run_kernel(cell, inputs, *weights)


def _run_kernel(cell: nn.RNNBase, inputs: Tensor, *weights: Tensor) -> Tensor:
    """Run the fused kernel of the family of `cell` from states of zeros."""
    start = inputs.new_zeros(1, inputs.shape[1], cell.hidden_size)
    options = (True, 1, 0.0, cell.training, False, False)  # biases, layers, dropout, train, bidirectional, batch first
    if isinstance(cell, nn.LSTM):
        return torch.lstm(inputs, (start, start), weights, *options)[0]
    if isinstance(cell, nn.GRU):
        return torch.gru(inputs, start, weights, *options)[0]
    return torch.rnn_tanh(inputs, start, weights, *options)[0]
