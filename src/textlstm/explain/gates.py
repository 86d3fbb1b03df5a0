"""What every gate of a recurrent layer did at every step, recomputed from the weights and the layer's own outputs.

With the outputs at hand the gates of all steps are matrix products over the whole batch; only the memory needs a loop
over steps, and that loop has no matrix product. Traces stand in the order in which a direction reads: step 0 of a
backward cell is the last token.

Legend: T steps, B texts, E inputs, H units.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import NamedTuple, cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from textlstm.models.network.encoders import (
    CellWeights,
    ConvolutionalRecurrentEncoder,
    Encoded,
    RecurrentEncoder,
    RecurrentLayer,
    cell_weights,
    padding_mask,
    reversal_index,
    reverse_padded,
)
from textlstm.models.network.precision import tf32_set_to

TOLERANCE = 1e-5
"""Recomputed hidden states may differ from the encoder's by this much."""
_DOUBTFUL_ERROR = TOLERANCE / 2
"""Beyond it a cell is recomputed in float64, so that what is left of the difference is the encoder's own rounding."""


class Direction(StrEnum):
    """The way in which a cell reads."""

    forwards = "forwards"
    backwards = "backwards"


class GateName(StrEnum):
    """The gates of a recurrent cell; their values lie in (0, 1)."""

    input = "input"
    forget = "forget"
    output = "output"
    reset = "reset"
    update = "update"


@dataclass(frozen=True, slots=True)
class CellTrace:
    """One direction of one layer over B texts, in the order it read them; values at padded steps mean nothing."""

    layer: int
    """Number of the layer from 0."""
    direction: Direction
    gates: Mapping[GateName, Tensor]
    """(T, B, H) each: LSTM input, forget, output; GRU reset, update; RNN none."""
    candidate: Tensor
    """(T, B, H) what the step offers, in (-1, 1): torch's g of an LSTM, n of a GRU; an RNN's state."""
    from_state: Tensor
    """(T, B, G * H) what the state before and the biases alone bring to the gates, in torch's order of gates."""
    input_bias: Tensor
    """(G * H,) the part of those biases that a GRU's reset gate does not touch; counted in an LSTM's `from_state`."""
    cell: Tensor | None
    """(T, B, H) an LSTM's cell states."""
    hidden: Tensor
    """(T, B, H) recomputed states."""
    error: Tensor
    """(B,) largest distance of the recomputed states from the layer's own outputs; 0 for a text without tokens."""

    @property
    def keep_gate(self) -> Tensor | None:
        """(T, B, H) share of the memory that passes a step: an LSTM's forget gate, a GRU's update gate; None: RNN."""
        return self.gates.get(GateName.forget, self.gates.get(GateName.update))

    @property
    def additions(self) -> Tensor | None:
        """(T, B, H) what a step adds to the memory: input gate times candidate; (1 - update) * candidate of a GRU."""
        if GateName.input in self.gates:
            return self.gates[GateName.input] * self.candidate
        if GateName.update in self.gates:
            return (1 - self.gates[GateName.update]) * self.candidate
        return None

    @property
    def own(self) -> Tensor | None:
        """(T, B, H) what the word itself brings into the memory: what enters less what would enter without the word.

        The rest is the network writing again what it already knew.
        """
        additions = self.additions
        if additions is None:
            return None
        if GateName.input in self.gates:
            # An LSTM: its state alone, without the word, would open the input gate and offer a candidate like this.
            opened, _, candidate, _ = self.from_state.chunk(4, dim=2)
            return additions - opened.sigmoid() * candidate.tanh()
        # A GRU: torch applies the reset gate after the recurrent product, so the input biases are added by hand.
        reset, update, offered = self.from_state.chunk(3, dim=2)
        reset_bias, update_bias, offered_bias = self.input_bias.chunk(3)
        candidate = torch.tanh(offered_bias + (reset + reset_bias).sigmoid() * offered)
        return additions - (1 - (update + update_bias).sigmoid()) * candidate


class EncoderTrace(NamedTuple):
    """All cells of an encoder over one batch."""

    cells: tuple[CellTrace, ...]
    """Layer by layer, forwards before backwards."""
    encoded: Encoded
    """The states of the last layer, as the encoder itself computes them."""


@tf32_set_to(False)
def trace_encoder(
    encoder: RecurrentEncoder | ConvolutionalRecurrentEncoder, vectors: Tensor, lengths: Tensor
) -> EncoderTrace:
    """Run `encoder` in evaluation mode over (B, T, E) `vectors` and return what its gates did.

    Args:
        encoder: the encoder of a network.
        vectors: float32 token vectors, right-padded.
        lengths: (B,) int64 tokens of each text.
    """
    inputs: list[Tensor] = []
    outputs: list[Encoded] = []

    def remember(_layer: nn.Module, arguments: tuple[Tensor, ...], encoded: Encoded) -> None:
        inputs.append(arguments[0])
        outputs.append(encoded)

    # The encoder runs as it is; hooks keep the inputs and outputs of each layer.
    hooks = [layer.register_forward_hook(remember) for layer in encoder.layers]
    try:
        with torch.no_grad():
            encoded: Encoded = encoder(vectors, lengths)
            cells = []
            for number, (layer, given, made) in enumerate(zip(encoder.layers, inputs, outputs, strict=True)):
                cells += _trace_layer(cast(RecurrentLayer, layer), given, made, number=number)
    finally:
        for hook in hooks:
            hook.remove()
    return EncoderTrace(tuple(cells), encoded)


def _trace_layer(layer: RecurrentLayer, inputs: Tensor, encoded: Encoded, *, number: int) -> list[CellTrace]:
    traced = [
        _trace_cell(layer.forwards, inputs, encoded.forward_states, encoded.lengths, (number, Direction.forwards))
    ]
    if layer.backwards is not None and encoded.backward_states is not None:
        # A backward cell reads each text from its own last token, not from the padding.
        turned = reverse_padded(inputs, reversal_index(encoded.lengths, inputs.shape[0]))
        traced.append(
            _trace_cell(
                layer.backwards, turned, encoded.backward_states, encoded.lengths, (number, Direction.backwards)
            )
        )
    return traced


def _trace_cell(
    cell: nn.RNNBase, inputs: Tensor, outputs: Tensor, lengths: Tensor, place: tuple[int, Direction]
) -> CellTrace:
    """Return the trace of one cell from its (T, B, E) `inputs` and (T, B, H) `outputs`.

    Where float32 leaves too little of the fifth decimal, float64 is used, which takes some times as long.
    """
    # float32 first: float64 takes some times as long.
    trace = _recompute(cell, inputs, outputs, lengths, place)
    if not (trace.error > _DOUBTFUL_ERROR).any():
        return trace
    # Then float64, and back to float32 so that traces have one type.
    exact = _recompute(cell, inputs.double(), outputs.double(), lengths, place)
    return replace(
        exact,
        gates={name: gate.float() for name, gate in exact.gates.items()},
        candidate=exact.candidate.float(),
        from_state=exact.from_state.float(),
        input_bias=exact.input_bias.float(),
        cell=None if exact.cell is None else exact.cell.float(),
        hidden=exact.hidden.float(),
        error=exact.error.float(),
    )


def _recompute(
    cell: nn.RNNBase, inputs: Tensor, outputs: Tensor, lengths: Tensor, place: tuple[int, Direction]
) -> CellTrace:
    """Return the trace of one cell, computed in the precision of `inputs` and `outputs`."""
    weights = CellWeights(*(weight.detach().to(inputs.dtype) for weight in cell_weights(cell)))
    # (T, B, H) states before each step: the outputs moved by one step, zeros at the start.
    before = torch.cat([torch.zeros_like(outputs[:1]), outputs[:-1]])
    is_lstm = isinstance(cell, nn.LSTM)
    biases = weights.recurrent_bias + weights.input_bias if is_lstm else weights.recurrent_bias
    # (T, B, G * H) for all steps at once, since the states before are known.
    from_state = functional.linear(before, weights.recurrent, biases)
    from_input = functional.linear(inputs, weights.input, None if is_lstm else weights.input_bias)
    gates: dict[GateName, Tensor]
    memory = None
    if isinstance(cell, nn.LSTM):
        # torch orders the gates of an LSTM as input, forget, candidate, output; `from_input` is not needed again.
        input_gate, forget_gate, candidate, output_gate = from_input.add_(from_state).chunk(4, dim=2)
        for gate in (input_gate, forget_gate, output_gate):
            gate.sigmoid_()
        candidate.tanh_()
        gates = {GateName.input: input_gate, GateName.forget: forget_gate, GateName.output: output_gate}
        memory = _accumulate(forget_gate, input_gate * candidate)
        hidden = output_gate * memory.tanh()
    elif isinstance(cell, nn.GRU):
        # torch orders them as reset, update, new, and the reset gate acts on the recurrent product with its bias.
        reset, update, offered = from_input.chunk(3, dim=2)
        reset_state, update_state, offered_state = from_state.chunk(3, dim=2)
        reset, update = (reset + reset_state).sigmoid(), (update + update_state).sigmoid()
        candidate = torch.tanh(offered + reset * offered_state)
        gates = {GateName.reset: reset, GateName.update: update}
        hidden = _accumulate(update, (1 - update) * candidate)
    else:
        gates = {}
        candidate = hidden = torch.tanh(from_input + from_state)
    # The distance counts at real steps only: (T, B, H) become (B,).
    inside = padding_mask(lengths, len(outputs)).t().unsqueeze(2)  # (T, B, 1)
    error = ((hidden - outputs).abs() * inside).amax(dim=(0, 2))
    return CellTrace(place[0], place[1], gates, candidate, from_state, weights.input_bias, memory, hidden, error)


def _accumulate(keep_gate: Tensor, additions: Tensor) -> Tensor:
    """Return (T, B, H) memory: each step's is the share `keep_gate` of the one before plus its `additions`.

    The sum runs in float64: over hundreds of steps a memory can grow beyond 50, where float32 has no fifth decimal.
    """
    memory = torch.empty_like(additions)
    held = torch.zeros_like(additions[0], dtype=torch.float64)
    for step in range(len(additions)):
        held.mul_(keep_gate[step]).add_(additions[step])
        memory[step] = held
    return memory


# How long a word stays in the memory of a cell: what its own step let in, times all later forget gates.

_LEAST = 1e-30
"""Shares below it count as this, so that their logarithm exists."""


def surviving_share(trace: CellTrace, lengths: Tensor) -> Tensor | None:
    """Return (T, B): each word's part of all that words brought in and is left at the end; None for a plain RNN.

    What counts is the Euclidean length, over units, of what is left of the step's `own` input; shares of a text sum
    to 1. A word that is remembered fills a few units, and one that just came touches all of them a little: their sum of
    absolute values would be the larger. A network often writes an old word into its memory anew at every step: that is
    no merit of the step's own word.
    """
    left = left_at_the_end(trace.own, trace.keep_gate, lengths)
    if left is None:
        return None
    strength = left.square().sum(dim=2).sqrt()
    return strength / strength.sum(dim=0).clamp(min=_LEAST)


def left_at_the_end(inputs: Tensor | None, keep_gate: Tensor | None, lengths: Tensor) -> Tensor | None:
    """Return (T, B, H) float32: what is left of each step's `inputs` when the text is read; None for a plain RNN.

    Steps of padding are 0. With `CellTrace.additions` as `inputs`, the sum over the steps is the last memory.
    """
    if inputs is None or keep_gate is None:
        return None
    inside = padding_mask(lengths, len(keep_gate)).t().unsqueeze(2)
    logs = keep_gate.clamp(min=_LEAST).log().double() * inside  # the product of 400 gates needs more than float32
    # Logarithms of the product of all gates after each step: the sum from the end, less the step's own.
    later = logs.flip(0).cumsum(0).flip(0) - logs
    return (inputs.double() * later.exp() * inside).float()


def half_lives(keep_gates: Sequence[np.ndarray]) -> np.ndarray:
    """Return (H,) float64 half-lives in steps of the units whose (S, H) `keep_gates` are given text by text.

    It is the number of steps after which half of a unit's memory is gone at its geometric mean gate: a gate of 0.5
    gives 1 step, of 0.933 gives 10; a gate that never closes gives infinity.
    """
    # The mean logarithm over all steps of all texts gives the geometric mean of a unit's gates.
    mean = np.log(np.maximum(np.concatenate(keep_gates), _LEAST), dtype=np.float64).mean(axis=0)
    with np.errstate(divide="ignore"):
        return np.asarray(np.where(mean < 0, np.log(0.5) / mean, np.inf))
