"""Which words speak for a decision, by three methods that share nothing: what they agree on can be believed.

Every method gives one number a word, in log-odds of the explained label (see `scores`); above 0 the word speaks for it.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from enum import StrEnum
from importlib.util import find_spec
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from textlstm.config import Pooling, Task
from textlstm.explain.gates import CellTrace, Direction, EncoderTrace, GateName, trace_encoder
from textlstm.explain.reader import TextReader, make_variants
from textlstm.models.network.batch import Batch
from textlstm.models.network.encoders import ConvolutionalRecurrentEncoder, Encoded, padding_mask
from textlstm.models.network.network import TextNetwork
from textlstm.models.network.precision import tf32_set_to

# The cell decomposition of Murdoch and Szlam (2017): the score as an exact sum over the words in the memory.


def decompose(trace: CellTrace, state_gradients: Tensor) -> Tensor | None:
    """Return (T, B) parts of the score that each step's input has through this cell, in reading order; None: RNN.

    Their sum over the steps of a text is the sum of `state_gradients` times the cell's states.

    Args:
        trace: the cell, of the last layer.
        state_gradients: (T, B, H) gradient of the score with respect to the cell's outputs, 0 at padding.
    """
    keep_gate, additions = trace.keep_gate, trace.additions
    if keep_gate is None or additions is None:
        return None
    output_gate = trace.gates.get(GateName.output)
    # Row s of `left` is the memory of the steps 0 to s alone, so two rows next to each other differ by one step's part.
    left = torch.zeros_like(additions)  # what each step so far has left, summed over the steps up to it
    parts = additions.new_zeros(additions.shape[:2])
    for step in range(len(additions)):
        left[:step] *= keep_gate[step]
        left[step] = (left[step - 1] if step else 0.0) + additions[step]
        # (step + 1, B, H) become (step + 1, B): how much each beginning of the text speaks through this step's state.
        seen = left[: step + 1]
        levels = seen if output_gate is None else seen.tanh()
        weights = state_gradients[step] if output_gate is None else state_gradients[step] * output_gate[step]
        weighted = torch.einsum("tbh,bh->tb", levels, weights)
        # The difference of two beginnings is the part of the step between them; over all steps they sum to the whole.
        parts[: step + 1] += weighted
        parts[1 : step + 1] -= weighted[:-1]
    return parts


# The number that attribution explains: by how much the log-odds of a label speak for it.


def log_odds(logits: Tensor, labels: Tensor, task: Task) -> Tensor:
    """Return (B,) float32: the log-odds of each text's label against all others.

    One label a text: the label's logit less the log-sum-exp of the others, so 0 means a probability of one half.
    Several labels a text: the label's own logit. With a single label in the model, its logit too.

    Args:
        logits: (B, L) of the recurrent branch.
        labels: (B,) int64 label ids.
        task: one or several labels a text.
    """
    # (B, L) become (B,).
    own = logits.gather(1, labels.unsqueeze(1)).squeeze(1)
    if task is Task.multi_label or logits.shape[1] == 1:
        return own
    others = logits.scatter(1, labels.unsqueeze(1), -torch.inf)
    return own - others.logsumexp(dim=1)


def against_rest(values: np.ndarray, label: int, probabilities: np.ndarray, task: Task) -> np.ndarray:
    """Return the part of `values` (..., L) that speaks for `label`: its own less the weighted mean of the others'.

    The weights are the other labels' `probabilities` (L,), so that parts of logits become parts of log-odds, to first
    order.
    """
    own = values[..., label]
    if task is Task.multi_label or values.shape[-1] == 1:
        return np.asarray(own)
    weights = np.asarray(probabilities, dtype=np.float64).copy()
    weights[label] = 0.0
    # Where the label has all the probability, the other labels count alike.
    weights = weights / weights.sum() if weights.sum() > 0 else np.full_like(weights, 1 / (len(weights) - 1))
    weights[label] = 0.0
    return np.asarray(own - values @ weights)


_NUM_STEPS = 32
"""Points on the way from no input to the text."""
_GRADIENT_CELLS = 1_024


class Method(StrEnum):
    """A way to give words their share of a decision."""

    combined = "combined"
    """What the word puts into the log-odds of the whole model; with the bias of no words these add up to them."""
    leave_one_out = "leave_one_out"
    """The fall of the log-odds when the word is taken out."""
    cell_decomposition = "cell_decomposition"
    """Murdoch and Szlam (2017); not for plain RNNs."""
    integrated_gradients = "integrated_gradients"
    """Sundararajan et al. (2017), from zero vectors, by Captum (extra `explain`)."""


@tf32_set_to(False)
def attribute(reader: TextReader, labels: np.ndarray) -> Mapping[Method, list[np.ndarray]]:
    """Return for each method that applies here one (T,) float32 array a text, in the order of its tokens.

    Args:
        reader: the texts.
        labels: (N,) int64 label that is explained for each text.
    """
    methods: dict[Method, Callable[[TextReader, np.ndarray], list[np.ndarray] | None]] = {
        Method.leave_one_out: leave_one_out,
        Method.cell_decomposition: cell_decomposition,
        Method.integrated_gradients: integrated_gradients,
    }
    found = {method: compute(reader, labels) for method, compute in methods.items()}
    return {method: values for method, values in found.items() if values is not None}


def leave_one_out(reader: TextReader, labels: np.ndarray) -> list[np.ndarray]:
    """Return how much the log-odds of each text's label fall when one word is taken out of the text."""
    # A text of T tokens has T + 1 variants: itself, then without each token in turn.
    variants = make_variants(reader, _whole_and_without_each)
    counts = reader.split.lengths + 1
    task = reader.classifier.saved_model.task
    wanted = torch.from_numpy(np.repeat(labels, counts))
    scores = log_odds(torch.from_numpy(reader.logits(variants)), wanted, task).numpy()
    # (sum of T + 1,) scores are cut at the texts; the fall from the whole is the token's value.
    return [part[0] - part[1:] for part in np.split(scores, np.cumsum(counts)[:-1])]


def _whole_and_without_each(length: int) -> list[np.ndarray]:
    everything = np.arange(length)
    return [everything, *(np.delete(everything, place) for place in range(length))]


def cell_decomposition(reader: TextReader, labels: np.ndarray) -> list[np.ndarray] | None:
    """Return each word's part of the score through the memory of the last layer; None for a plain RNN."""
    found: dict[int, np.ndarray] = {}
    task = reader.classifier.saved_model.task
    for rows, batch in reader.batches():
        # Trace the gates of this batch, and see how the layers behind the encoder read its states.
        trace = trace_encoder(reader.network.encoder, token_vectors(reader, batch), batch.lengths)
        gradients = read_out(reader.network, trace.encoded, pick_labels(labels, rows, batch.lengths), task)
        total = None
        # Only the last layer is decomposed: its directions add up, each turned into the order of the text first.
        for cell, gradient in zip(top_cells(trace), gradients.states, strict=True):
            parts = decompose(cell, gradient)
            if parts is None:
                return None
            steps = in_token_order(parts, trace.encoded.lengths, cell.direction)
            total = steps if total is None else [one + other for one, other in zip(total, steps, strict=True)]
        # Batches are sorted by length, so results are kept by the number of the text.
        for row, length, values in zip(rows.tolist(), batch.lengths.tolist(), total or [], strict=True):
            found[row] = spread(values, length, step_tokens(reader.network))
    return [found[row] for row in range(len(labels))]


@contextmanager
def _without_cudnn() -> Iterator[None]:
    """Let torch compute recurrent cells itself: cuDNN has no gradient of a cell in evaluation mode."""
    # torch's own `cudnn.flags` refuses to work where TF32 is set for recurrent layers alone.
    before = torch.backends.cudnn.enabled
    torch.backends.cudnn.enabled = False
    try:
        yield
    finally:
        torch.backends.cudnn.enabled = before


def integrated_gradients(reader: TextReader, labels: np.ndarray) -> list[np.ndarray] | None:
    """Return the integrated gradients of the token vectors, summed over dimensions; None without Captum."""
    if find_spec("captum") is None:
        return None
    from captum.attr import IntegratedGradients

    network, task = reader.network, reader.classifier.saved_model.task

    def score(vectors: Tensor, lengths: Tensor, wanted: Tensor) -> Tensor:
        return log_odds(network.classify(network.encode(vectors, lengths)), wanted, task)

    found: dict[int, np.ndarray] = {}
    with _without_cudnn():
        for rows, batch in reader.batches(batch_cells=_GRADIENT_CELLS):
            vectors, wanted = token_vectors(reader, batch), pick_labels(labels, rows, batch.lengths)
            parts = IntegratedGradients(score).attribute(
                vectors,
                baselines=torch.zeros_like(vectors),
                additional_forward_args=(batch.lengths, wanted),
                n_steps=_NUM_STEPS,
            )
            # (B, T, E) become (B, T): the dimensions of a token's vector belong together.
            values = parts.sum(dim=2).float().cpu().numpy()
            for place, (row, length) in enumerate(zip(rows.tolist(), batch.lengths.tolist(), strict=True)):
                found[row] = values[place, :length]
    return [found[row] for row in range(len(labels))]


class ReadOut(NamedTuple):
    """How the layers after the encoder read B texts."""

    states: tuple[Tensor, ...]
    """(T, B, H) a direction, in reading order: gradient of the log-odds with respect to the states."""
    pooled: Tensor
    """(B, P) pooled states."""
    pooled_gradient: Tensor
    """(B, P) gradient of the log-odds with respect to them."""


def read_out(network: TextNetwork, encoded: Encoded, labels: Tensor, task: Task) -> ReadOut:
    """Return the gradients of each text's log-odds of its label (B,) behind the encoder."""
    with torch.enable_grad():
        # The states are leaves here: gradients stop at the encoder, which is not run again.
        states = [part.detach().clone().requires_grad_() for part in encoded.directions]
        pooled = network.pool(Encoded(states[0], states[1] if len(states) > 1 else None, encoded.lengths))
        total = log_odds(network.head(pooled), labels, task).sum()
        *of_states, of_pooled = torch.autograd.grad(total, [*states, pooled])
    return ReadOut(tuple(of_states), pooled.detach(), of_pooled)


def top_cells(trace: EncoderTrace) -> tuple[CellTrace, ...]:
    """Return the one or two cells of the last layer."""
    return trace.cells[-len(trace.encoded.directions) :]


def in_token_order(values: Tensor, lengths: Tensor, direction: Direction) -> list[np.ndarray]:
    """Return (S, ...) arrays, one a text, of (T, B, ...) values in reading order, padding cut off."""
    arrays = [values[:length, text].cpu().numpy() for text, length in enumerate(lengths.tolist())]
    return arrays if direction is Direction.forwards else [array[::-1] for array in arrays]


def step_tokens(network: TextNetwork) -> int:
    """Return how many tokens one step of the encoder stands for: more than one after a pooling convolution."""
    return network.encoder.pool if isinstance(network.encoder, ConvolutionalRecurrentEncoder) else 1


def spread(values: np.ndarray, num_tokens: int, per_step: int) -> np.ndarray:
    """Return (T,) parts of tokens from (S,) parts of steps, each step's shared evenly by its tokens.

    Values [3, 2], 3 tokens and 2 a step give [1.5, 1.5, 2].
    """
    if per_step == 1:
        return values.astype(np.float32)
    # (S,) become (T,); the last step may stand for fewer tokens than the others.
    steps = np.arange(num_tokens) // per_step
    return np.asarray((values / np.bincount(steps, minlength=len(values)).clip(min=1))[steps], dtype=np.float32)


def token_vectors(reader: TextReader, batch: Batch) -> Tensor:
    """Return the (B, T, E) vectors of the tokens of a batch, without gradient."""
    with torch.no_grad():
        return reader.network.embed(batch).detach()


def pick_labels(labels: np.ndarray, rows: np.ndarray, like: Tensor) -> Tensor:
    """Return the (B,) int64 labels of the texts `rows`, on the device of `like`."""
    return torch.from_numpy(labels[rows].astype(np.int64)).to(like.device)


# With max pooling: which word won which unit, and what that did for the decision.


class MaxPoolWins(NamedTuple):
    """The maxima of one text of S steps, all units of the last layer and both directions together."""

    units: np.ndarray
    """(S,) int64: of how many units each step has the maximum (the first step, where several tie)."""
    effects: np.ndarray
    """(S,) float32: what those maxima put into the log-odds."""


def count_max_pool_wins(network: TextNetwork, trace: EncoderTrace, reading: ReadOut) -> list[MaxPoolWins] | None:
    """Return the wins of each text of the batch; None where the network has no max pooling."""
    if network.pool.pooling not in (Pooling.max, Pooling.max_mean):
        return None
    lengths = trace.encoded.lengths
    num_steps = trace.encoded.forward_states.shape[0]
    inside = padding_mask(lengths, num_steps).t().unsqueeze(2)
    # Each direction owns a run of H pooled features; `begin` moves along them.
    begin = 0
    units = np.zeros((len(lengths), num_steps), dtype=np.int64)
    effects = np.zeros((len(lengths), num_steps), dtype=np.float32)
    places = (Direction.forwards, Direction.backwards)
    for states, direction in zip(trace.encoded.directions, places, strict=False):
        largest = states.masked_fill(~inside, -2.0).argmax(dim=0)  # (B, H), states lie in (-1, 1)
        # A backward cell counts steps from the end of the text.
        if direction is Direction.backwards:
            largest = (lengths.unsqueeze(1) - 1 - largest).clamp(min=0)
        features = slice(begin, begin + states.shape[2])  # the maxima come first among the pooled features
        parts = (reading.pooled[:, features] * reading.pooled_gradient[:, features]).cpu().numpy()
        texts = np.arange(len(lengths))[:, None]
        # Several units may have their maximum at the same step; plain indexing would count only one of them.
        np.add.at(units, (texts, largest.cpu().numpy()), 1)
        np.add.at(effects, (texts, largest.cpu().numpy()), parts)
        begin += states.shape[2]
    return [MaxPoolWins(units[text, :length], effects[text, :length]) for text, length in enumerate(lengths.tolist())]


def unit_effects(trace: EncoderTrace, reading: ReadOut) -> np.ndarray:
    """Return (B, D, H) float32: gradient times value of the pooled features, summed over those of the same unit."""
    num_directions, size = len(trace.encoded.directions), trace.encoded.forward_states.shape[2]
    # (B, P) become (B, kinds of pooling, D, H); the sum over the kinds leaves (B, D, H).
    parts = (reading.pooled * reading.pooled_gradient).view(len(reading.pooled), -1, num_directions, size)
    return np.asarray(parts.sum(dim=1).cpu().numpy())
