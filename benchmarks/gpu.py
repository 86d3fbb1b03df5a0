"""Ten minutes on a GPU: is the GPU path right there, and how far is it from a bare cuDNN loop of the same sizes?

    python benchmarks/gpu.py [--device cuda] [--quick] [--output docs/gpu.md]

It wants nothing but torch, numpy and this project: rows are drawn at random. A section a question: the card and its
limits; recurrent cells by size and format; a step of the product by batch size; what was decided without a card, and
the other way; waits of the host; equality with the CPU; memory that runs out; prediction; a training of the size of
IMDB; and what it should reach. `--quick --device cpu` runs every section in a minute, to test the program.
"""

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from functools import partial
from typing import Any, NamedTuple
from unittest import mock

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence
from torch.profiler import ProfilerActivity, profile

from textlstm.config import Device, ModelConfig, Task, TrainingConfig, TrainingPrecision
from textlstm.models.network.inputs import EncodedSplit
from textlstm.models.network.network import NetworkSizes, TextNetwork, predict_logits
from textlstm.models.network.parallel import Layer, both_layers, one_stream
from textlstm.models.network.precision import computing_in, tf32_set_to
from textlstm.processes.distributed import Processes
from textlstm.training.batches import Epoch
from textlstm.training.checkpoints import CheckpointWriter, copies_on_host
from textlstm.training.job import FitResult, TrainingJob
from textlstm.training.loop import fit
from textlstm.training.trainer import Trainer

EMBEDDING_SIZE, NUM_LABELS = 256, 4
CELLS = [(128, 16, 44), (128, 64, 44), (128, 512, 44), (128, 128, 230), (192, 128, 44), (256, 128, 44), (256, 512, 44)]
"""Units, rows, time steps."""
_LAUNCHES = ("cudaLaunchKernel", "cuLaunchKernel", "cudaGraphLaunch", "cudaMemcpyAsync", "cudaMemsetAsync")
"""Beginnings of the names under which the profiler lists what the host hands to the card."""
NO_DROPOUT = {"locked_dropout": 0.0, "word_dropout": 0.0, "head_dropout": 0.0}


class StepSizes(NamedTuple):
    """Sizes of a training whose steps are measured."""

    mean: int
    """Tokens of an average row."""
    units: int
    batch_size: int
    """Rows; counts only without `batch_tokens`."""
    batch_tokens: int = 0

    @property
    def batch(self) -> str:
        """The size of a batch, for the page."""
        return f"{self.batch_tokens:,} tokens" if self.batch_tokens else f"{self.batch_size} rows"


EAGER, DEFAULT = StepSizes(44, 128, 64), StepSizes(44, 128, 32, 16_384)
"""Batches that are launched kernel by kernel, and those that a GPU has by default, as graphs."""
STEPS = [
    StepSizes(44, 128, 32),
    EAGER,
    StepSizes(44, 128, 512),
    DEFAULT,
    StepSizes(44, 128, 32, 32_768),
    StepSizes(44, 256, 32, 16_384),
    StepSizes(230, 128, 64),
    StepSizes(230, 128, 32, 16_384),
]


class Measured(NamedTuple):
    """Steps of the product."""

    tokens_per_second: float
    bare_ratio: float
    """Time of the bare loop over the same batches, over that of the product."""
    step_seconds: float
    host_share: float
    """Part of the time in which the host was at work: 1 means that the card waits for launches."""
    launches: float
    """A step; NaN on a CPU."""
    busy_share: float
    """Part of the time in which the card computes; NaN on a CPU."""
    megabytes: float
    num_graphs: int


FOUND: dict[str, float] = {}
"""Figures that `bars` compares."""


class Machine(NamedTuple):
    """Where it is measured, and how long."""

    device: torch.device
    quick: bool
    words: int = 0
    """Words of the table; 0 means some."""

    @property
    def vocabulary_size(self) -> int:
        """Words of the table."""
        return self.words or (500 if self.quick else 50_000)

    def wait(self) -> None:
        """Let the device finish."""
        if self.device.type == "cuda":
            torch.cuda.synchronize()

    def seconds(self, function: Callable[[], object], *, repeat: int = 5) -> float:
        """Return the median over rounds of the mean seconds of a call."""
        rounds, repeat = (1, 1) if self.quick else (5, repeat)
        for _ in range(1 if self.quick else 3):
            function()
        found = []
        for _ in range(rounds):
            self.wait()
            began = time.perf_counter()
            for _ in range(repeat):
                function()
            self.wait()
            found.append((time.perf_counter() - began) / repeat)
        return float(np.median(found))


def main() -> int:
    """Run all sections and print the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cuda", choices=["cuda", "cpu"])
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--output", default="")
    arguments = parser.parse_args()
    machine = Machine(torch.device(arguments.device), arguments.quick)
    lines: list[str] = []
    for section in (card, cells, steps, alternatives, waits, equality, memory, prediction, training, bars):
        for line in section(machine):
            print(line, flush=True)
            lines.append(line)
    if arguments.output:
        from experiments import publish

        publish("\n".join(lines), arguments.output, section="gpu")
    return 0


def card(machine: Machine) -> Iterator[str]:
    """The card, its time of a launch, its copy speed and its matrix peak."""
    name = torch.cuda.get_device_name() if machine.device.type == "cuda" else "CPU"
    cudnn = torch.backends.cudnn.version()  # type: ignore[no-untyped-call]
    yield f"**Card.** {name}, torch {torch.__version__}, cuDNN {cudnn}"
    small = torch.zeros(8, device=machine.device)
    launch = machine.seconds(lambda: [small.add_(1) for _ in range(200)]) / 200
    large = torch.empty(1 << (20 if machine.quick else 28), dtype=torch.uint8, device=machine.device)
    copied = 2 * large.numel() / machine.seconds(large.clone)
    yield f"A launch takes {launch * 1e6:.1f} us; copies run at {copied / 1e12:.2f} TB/s (read and written)."
    size = 256 if machine.quick else 8192
    for number_format in (torch.float32, torch.bfloat16):
        matrix = torch.ones(size, size, device=machine.device, dtype=number_format)
        speed = 2 * size**3 / machine.seconds(partial(torch.mm, matrix, matrix))
        yield f"Matrix products of {str(number_format)[6:]}: {speed / 1e12:.1f} TFLOP/s."


def cells(machine: Machine) -> Iterator[str]:
    """Forward and backward of two directions: as two calls (as here), on two streams, in one call, packed."""
    kinds = ("two calls", "two streams", "one call", "packed")
    yield from ("", "Million tokens a second, forward and backward of both directions:", "")
    yield f"| units | rows | steps | format | {' | '.join(kinds)} |"
    yield f"|{'---|' * (4 + len(kinds))}"
    for units, rows, steps in CELLS[:1] if machine.quick else CELLS:
        for dtype in (torch.float32, torch.bfloat16):
            times = [machine.seconds(_cells(machine, Cells(units, rows, steps, dtype), kind=kind)) for kind in kinds]
            speeds = " | ".join(f"{rows * steps / seconds / 1e6:.2f}" for seconds in times)
            yield f"| {units} | {rows} | {steps} | {str(dtype)[6:]} | {speeds} |"


class Cells(NamedTuple):
    """Sizes of a recurrent layer and its inputs."""

    units: int
    rows: int
    steps: int
    dtype: torch.dtype


def _backward(loss: Tensor) -> None:
    loss.backward()  # type: ignore[no-untyped-call]


def _cells(machine: Machine, sizes: Cells, *, kind: str) -> Callable[[], object]:
    """Return a function that runs both directions forward and backward in one of the ways."""
    units, rows, steps, dtype = sizes
    inputs = torch.randn(steps, rows, EMBEDDING_SIZE, device=machine.device, dtype=dtype, requires_grad=True)
    if kind in ("one call", "packed"):
        layer = nn.LSTM(EMBEDDING_SIZE, units, bidirectional=True).to(machine.device, dtype)
        lengths = torch.linspace(steps, max(1, steps // 2), rows).long()
        if kind == "packed":
            return lambda: _backward(layer(pack_padded_sequence(inputs, lengths))[0].data.sum())
        return lambda: _backward(layer(inputs)[0].sum())
    first, second = (nn.LSTM(EMBEDDING_SIZE, units).to(machine.device, dtype) for _ in range(2))
    if kind == "two calls" or machine.device.type == "cpu":
        return lambda: _backward(first(inputs)[0].sum() + second(inputs)[0].sum())

    def on_two_streams() -> None:
        # As in the network itself; the gradient of weights, which goes to parameters, is computed as well.
        halves = [Layer(partial(_outputs, cell), (inputs, *cell.parameters())) for cell in (first, second)]
        forward_states, backward_states = both_layers(*halves)
        _backward(forward_states.sum() + backward_states.sum())

    return on_two_streams


def _outputs(cell: nn.LSTM, inputs: Tensor, *weights: Tensor) -> Tensor:
    start = inputs.new_zeros(1, inputs.shape[1], cell.hidden_size)
    return torch.lstm(inputs, (start, start), weights, True, 1, 0.0, True, False, False)[0]


def steps(machine: Machine) -> Iterator[str]:
    """Steps of the product by batch size, beside a bare padded loop over the same batches."""
    yield from (
        "",
        "Steps of the default network with `training.precision=auto`; batches of tokens are captured as graphs:",
        "",
    )
    names = ["tokens a row", "units", "a batch", "graphs", "million tokens/s", "bare / textlstm", "ms a step"]
    names += ["launches", "host busy", "card busy", "MB"]
    yield f"| {' | '.join(names)} |"
    yield f"|{'---|' * len(names)}"
    eager, default = _usual_sizes(machine)
    for sizes in (eager, default) if machine.quick else STEPS:
        found = measured_steps(machine, sizes)
        for name, wanted in (("eager", eager), ("default", default)):
            if sizes == wanted:
                FOUND.update({f"{name} {key}": value for key, value in found._asdict().items()})
        cells = [str(sizes.mean), str(sizes.units), sizes.batch, str(found.num_graphs)]
        cells += [f"{found.tokens_per_second / 1e6:.2f}", f"{found.bare_ratio:.2f}", f"{found.step_seconds * 1e3:.2f}"]
        cells += [f"{found.launches:.0f}", f"{found.host_share:.2f}", f"{found.busy_share:.2f}"]
        yield f"| {' | '.join([*cells, f'{found.megabytes:.0f}'])} |"
    yield "A host that is busy all the time (1.00) means that the card waits for launches."


def measured_steps(machine: Machine, sizes: StepSizes) -> Measured:
    """Train an epoch, whose first steps choose algorithms and capture graphs, and measure steps of the second."""
    rows_a_batch = max(sizes.batch_size, sizes.batch_tokens // sizes.mean)
    split = random_split(machine, 300 if machine.quick else max(20_000, 60 * rows_a_batch), mean=sizes.mean, seed=0)
    job = training_job(machine, split, units=sizes.units, batch_size=sizes.batch_size, batch_tokens=sizes.batch_tokens)
    with running(machine, job) as (trainer, epoch):
        run_steps(trainer, epoch, 0, epoch.plan.num_batches)
        most = min(40, epoch.plan.num_batches)
        machine.wait()
        began, tokens = time.perf_counter(), trainer.progress.tokens
        run_steps(trainer, epoch, 0, most)
        host = time.perf_counter() - began
        machine.wait()
        wall, tokens = time.perf_counter() - began, trainer.progress.tokens - tokens
        launches, busy_share = _profiled(machine, partial(run_steps, trainer, epoch, 0, min(10, most)), min(10, most))
        bare = _bare_loop(machine, trainer, epoch, units=sizes.units, last=most)
        bare()
        ratio = machine.seconds(bare, repeat=1) / wall
        num_graphs = len(trainer.graphs) if trainer.graphs is not None else 0
    megabytes = torch.cuda.max_memory_allocated() / 1e6 if machine.device.type == "cuda" else 0
    return Measured(tokens / wall, ratio, wall / most, host / wall, launches, busy_share, megabytes, num_graphs)


def _usual_sizes(machine: Machine) -> tuple[StepSizes, StepSizes]:
    """Return the sizes of steps that are launched one by one, and of those that are captured."""
    if machine.quick:
        return EAGER._replace(batch_size=16), DEFAULT._replace(batch_tokens=512)
    return EAGER, DEFAULT


def alternatives(machine: Machine) -> Iterator[str]:
    """What was decided without a card, beside the other way."""
    yield from (
        "",
        "What was decided without a card, and the other way:",
        "",
        "| | as it is | instead |",
        "|---|---|---|",
    )
    eager, default = _usual_sizes(machine)
    if machine.device.type == "cuda":
        for name, sizes in (("launched one by one", eager), ("captured", default)):
            with one_stream():
                alone = _step_seconds(machine, sizes)
            yield _compared(f"ms a step, {name}: two streams, one", _step_seconds(machine, sizes), alone)
        # The usual table and a large one: the way that the optimizer chooses for it, and the other.
        large = machine._replace(words=2_000 if machine.quick else 400_000)
        for name, sizes in (("launched one by one", eager), ("captured", default)):
            whole, words = (_step_seconds(machine, sizes, is_sparse=is_sparse) for is_sparse in (False, True))
            number = f"{machine.vocabulary_size:,}"
            yield _compared(f"ms a step, {name}, {number} words: all, those of the batch", whole, words)
            words, whole = (_step_seconds(large, sizes, is_sparse=is_sparse) for is_sparse in (True, False))
            yield _compared(f"ms a step, {name}, {large.words:,} words: those of the batch, all", words, whole)
    # bf16 weights: cast in each step, or copies that are written after each step.
    cells = [torch.zeros(4 * 128 * (EMBEDDING_SIZE + 128 + 2), device=machine.device) for _ in range(2)]
    copies = [cell.bfloat16() for cell in cells]
    cast = machine.seconds(lambda: [cell.bfloat16() for cell in cells], repeat=50)
    written = machine.seconds(lambda: torch._foreach_copy_(copies, cells), repeat=50)
    yield _compared("ms for bf16 weights of both cells: cast in a step, written by the optimizer", cast, written)
    yield _compared("ms that a checkpoint holds up the training: written by a thread, at once", *_checkpoints(machine))


def _compared(name: str, seconds: float, instead: float) -> str:
    return f"| {name} | {seconds * 1e3:.3f} | {instead * 1e3:.3f} |"


def _step_seconds(machine: Machine, sizes: StepSizes, *, is_sparse: bool | None = None) -> float:
    """Return the seconds of a step, after an epoch in which shapes were captured."""
    rows_a_batch = max(sizes.batch_size, sizes.batch_tokens // sizes.mean)
    split = random_split(machine, 300 if machine.quick else max(10_000, 40 * rows_a_batch), mean=sizes.mean, seed=0)
    job = training_job(machine, split, units=sizes.units, batch_size=sizes.batch_size, batch_tokens=sizes.batch_tokens)
    chosen = mock.patch("textlstm.training.optimizer.pays", mock.Mock(return_value=is_sparse))
    with nullcontext() if is_sparse is None else chosen, running(machine, job) as (trainer, epoch):
        run_steps(trainer, epoch, 0, epoch.plan.num_batches)
        machine.wait()
        most = min(40, epoch.plan.num_batches)
        began = time.perf_counter()
        run_steps(trainer, epoch, 0, most)
        machine.wait()
        return (time.perf_counter() - began) / most


class _File:
    """A store of checkpoints that needs no further library: the bytes of all tensors, synced to the disk."""

    def __init__(self, folder: str) -> None:
        self.path = os.path.join(folder, "checkpoint")  # noqa: PTH118

    def save(self, tensors: dict[str, Tensor], _progress: dict[str, Any]) -> None:
        with open(self.path, "wb") as file:  # noqa: PTH123
            for tensor in tensors.values():
                file.write(tensor.numpy().tobytes())
            file.flush()
            os.fsync(file.fileno())


def _checkpoints(machine: Machine) -> tuple[float, float]:
    """Return the seconds that the training stands still for a checkpoint, written by a thread and at once."""
    split = random_split(machine, 300, mean=44, seed=0)
    with tempfile.TemporaryDirectory() as folder, running(machine, training_job(machine, split)) as (trainer, epoch):
        run_steps(trainer, epoch, 0, 2)
        store = _File(folder)
        writer = CheckpointWriter(store)  # type: ignore[arg-type]  # what it needs of a store
        found = []
        for save in (writer.save, lambda tensors, progress: store.save(copies_on_host(tensors).ready(), progress)):
            # Pinned memory is asked for once and then kept, so the second time counts.
            for _ in range(2):
                machine.wait()
                began = time.perf_counter()
                save(trainer._tensors(), {})
                seconds = time.perf_counter() - began
                writer.wait()
            found.append(seconds)
    return found[0], found[1]


def _profiled(machine: Machine, run: Callable[[], object], num_steps: int) -> tuple[float, float]:
    """Return the launches a step and the part of the time in which the card computes; NaN on a CPU."""
    if machine.device.type != "cuda":
        return float("nan"), float("nan")
    with profile(activities=[ProfilerActivity.CPU, ProfilerActivity.CUDA]) as found:
        run()
        machine.wait()
    events = list(found.events())
    launches = sum(event.name.startswith(_LAUNCHES) for event in events)
    # (start, end) of what the card did, in microseconds; what runs at once counts once.
    spans = sorted((e.time_range.start, e.time_range.end) for e in events if e.device_type.name == "CUDA")
    if not spans:
        return launches / num_steps, 0.0
    busy, last = 0.0, spans[0][0]
    for start, end in spans:
        busy += max(0.0, end - max(start, last))
        last = max(last, end)
    return launches / num_steps, busy / (last - spans[0][0])


class _Bare(nn.Module):
    """Embedding, cuDNN's bidirectional layer over padding, maximum and mean, output."""

    def __init__(self, num_words: int, units: int) -> None:
        super().__init__()
        self.words = nn.Embedding(num_words, EMBEDDING_SIZE)
        self.layer = nn.LSTM(EMBEDDING_SIZE, units, bidirectional=True)
        self.output = nn.Linear(4 * units, NUM_LABELS)

    def forward(self, token_ids: Tensor) -> Tensor:
        states = self.layer(self.words(token_ids.t()))[0]
        logits: Tensor = self.output(torch.cat([states.amax(0), states.mean(0)], 1))
        return logits


def _bare_loop(machine: Machine, trainer: Trainer, epoch: Epoch, *, units: int, last: int) -> Callable[[], object]:
    """Return a function that trains a bare network on batches 0 to `last`, which are gathered already."""
    network = _Bare(machine.vocabulary_size, units).to(machine.device)
    adam = torch.optim.AdamW(network.parameters(), lr=1e-3, fused=True)
    batches = [batch for number in range(last) if (batch := epoch.batch(number))]
    rows = [batch.gathered or epoch.gather(batch.rows, batch.width) for batch in batches]

    def train() -> None:
        for gathered in rows:
            adam.zero_grad(set_to_none=True)
            with computing_in(trainer.gradients.number_format, machine.device):
                logits = network(gathered.inputs.token_ids)
            _backward(nn.functional.cross_entropy(logits.float(), gathered.targets))
            nn.utils.clip_grad_norm_(network.parameters(), 1.0)
            adam.step()

    return train


def waits(machine: Machine) -> Iterator[str]:
    """Sixty steps in which torch raises an error where the host waits, launched one by one and captured."""
    for batch_tokens, name in ((0, "launched one by one"), (512 if machine.quick else 4096, "captured as graphs")):
        split = random_split(machine, 300 if machine.quick else 20_000, mean=44, seed=0)
        with running(machine, training_job(machine, split, batch_tokens=batch_tokens)) as (trainer, epoch):
            # Graphs are captured first: that is when the host waits.
            first = epoch.plan.num_batches - 1 if batch_tokens else 2
            run_steps(trainer, epoch, 0, first)
            trainer.progress.step = 0
            try:
                if machine.device.type == "cuda":
                    torch.cuda.set_sync_debug_mode("error")
                run_steps(trainer, epoch, 0, min(60, epoch.plan.num_batches))
                found = "no step waits for the device"
            except RuntimeError as error:
                found = f"A STEP WAITS: {str(error).splitlines()[0]}"
            finally:
                if machine.device.type == "cuda":
                    torch.cuda.set_sync_debug_mode("default")
        yield from ("", f"**Waits.** Steps {name}: {found}.")


def equality(machine: Machine) -> Iterator[str]:
    """Losses beside those of the CPU; equal bytes where they are asked for; words after frozen epochs; graphs."""
    device = machine.device.type
    for batch_tokens, name in ((0, "launched one by one"), (400, "captured as graphs")):
        on_cpu, on_device = (_fitted(machine, device=place, batch_tokens=batch_tokens) for place in ("cpu", device))
        gap = max(abs(a.train_loss - b.train_loss) for a, b in zip(on_cpu.history, on_device.history, strict=True))
        FOUND[f"gap {batch_tokens}"] = gap
        yield f"**Equality.** Epoch losses in fp32, steps {name}, differ from the CPU's by {gap:.1e} at most."
        yield from on_device.events
    one, other = (_fitted(machine, device=device, deterministic=True) for _ in range(2))
    equal = all(torch.equal(a, b) for a, b in zip(one.best_state.values(), other.best_state.values(), strict=True))
    frozen, thawed = (_fitted(machine, device=device, freeze_epochs=number) for number in (-1, 1))
    words = "embedder.words.weight"
    moved = float((frozen.best_state[words] - thawed.best_state[words]).abs().max())
    yield f"`deterministic=true` twice gives {'equal bytes' if equal else 'OTHER BYTES'}."
    yield f"After a frozen epoch word vectors move by {moved:.1e} (must be above 0)."


def memory(machine: Machine) -> Iterator[str]:
    """A training in a small part of the memory: it must go on in pieces."""
    if machine.device.type != "cuda":
        yield "**Memory.** not measured on a CPU."
        return
    units, num_rows, batch_size = (16, 300, 64) if machine.quick else (256, 20_000, 2048)
    split = random_split(machine, num_rows, mean=230, seed=0)
    job = training_job(machine, split, units=units, batch_size=batch_size)
    torch.cuda.empty_cache()
    torch.cuda.set_per_process_memory_fraction(6e9 / torch.cuda.get_device_properties(0).total_memory)
    try:
        events = fit(job).events
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)
    yield f"**Memory.** In 6 GB: {'; '.join(events) or 'it was enough'}."


def prediction(machine: Machine) -> Iterator[str]:
    """Tokens a second of predictions, for two sizes of batches."""
    network = new_network(machine, units=128).to(machine.device)
    split = random_split(machine, 300 if machine.quick else 200_000, mean=44, seed=0)
    for batch_tokens in (16_384, 131_072):
        predict = partial(predict_logits, network, split, device=machine.device, batch_tokens=batch_tokens)
        speed = len(split.token_ids) / machine.seconds(predict, repeat=1)
        FOUND["prediction"] = max(speed, FOUND.get("prediction", 0.0))
        yield f"**Prediction** in fp32, {batch_tokens} tokens a batch: {speed / 1e6:.2f} million tokens a second."


def training(machine: Machine) -> Iterator[str]:
    """A training of the size of IMDB: 25,000 reviews of 230 tokens, five epochs, validation rows included."""
    sizes = (300, 30, 1) if machine.quick else (22_500, 2_500, 5)
    rows, validation = (random_split(machine, number, mean=230, seed=seed) for seed, number in enumerate(sizes[:2]))
    config = TrainingConfig(
        device=Device(machine.device.type),
        batch_tokens=DEFAULT.batch_tokens,
        epochs=sizes[2],
        num_threads=1,
        patience=0,
    )
    network = new_network(machine, units=128)
    began = time.perf_counter()
    result = fit(TrainingJob(network, rows, validation, config, Task.single_label, seed=0))
    FOUND["training"] = time.perf_counter() - began
    speed = result.tokens_per_second / 1e6
    size, seconds = f"{sizes[0]:,} rows in {sizes[2]} epochs", FOUND["training"]
    yield f"**A training** of {size}: {seconds:.1f} s, {speed:.2f} million tokens/s."
    yield from result.events


def bars(_machine: Machine) -> Iterator[str]:
    """What the path should reach, and what it did."""
    yield from ("", "| at least, or at most | wanted | found | |", "|---|---|---|---|")
    found = FOUND
    for name, wanted, value, is_most in (
        ("million tokens/s with default batches, 128 units", 3.0, found["default tokens_per_second"] / 1e6, False),
        ("speed of a bare padded cuDNN loop", 0.9, found["default bare_ratio"], False),
        (
            "times the speed of 64 rows a batch, launched one by one",
            2.0,
            found["default tokens_per_second"] / found["eager tokens_per_second"],
            False,
        ),
        ("part of the time in which the card computes", 0.8, found["default busy_share"], False),
        ("million tokens/s of predictions", 10.0, found["prediction"] / 1e6, False),
        ("seconds of the training", 60.0, found["training"], True),
        ("gap of losses to the CPU", 1e-3, max(found["gap 0"], found["gap 400"]), True),
    ):
        is_met = value <= wanted if is_most else value >= wanted
        yield f"| {name} | {wanted:g} | {value:.3g} | {'met' if is_met else 'MISSED'} |"


def random_split(machine: Machine, num_rows: int, *, mean: float, seed: int) -> EncodedSplit:
    """Return rows of `mean` tokens on average whose words follow Zipf's law."""
    random = np.random.default_rng(seed)
    lengths = np.clip(random.gamma(6, mean / 6, num_rows).astype(np.int64), 1, 400)
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    token_ids = np.minimum(random.zipf(1.3, offsets[-1]) + 1, machine.vocabulary_size - 1).astype(np.int32)
    return EncodedSplit(token_ids, offsets, None, random.integers(0, NUM_LABELS, num_rows), None)


def new_network(machine: Machine, *, units: int, **settings: float) -> TextNetwork:
    """Return a network with default settings but for its size."""
    torch.manual_seed(0)
    model = ModelConfig(hidden_size=units, embedding_size=EMBEDDING_SIZE, **settings)  # type: ignore[arg-type]
    return TextNetwork(model, NetworkSizes(vocabulary_size=machine.vocabulary_size, num_labels=NUM_LABELS))


def training_job(
    machine: Machine, split: EncodedSplit, *, units: int = 128, batch_size: int = 16, batch_tokens: int = 0
) -> TrainingJob:
    """Return a training over `split`."""
    device = Device(machine.device.type)
    config = TrainingConfig(device=device, batch_size=batch_size, batch_tokens=batch_tokens, num_threads=1)
    few = random_split(machine, 64, mean=44, seed=1)
    return TrainingJob(new_network(machine, units=units), split, few, config, Task.single_label, seed=0)


@contextmanager
def running(machine: Machine, job: TrainingJob) -> Iterator[tuple[Trainer, Epoch]]:
    """Give a training at the start of its epoch."""
    with tf32_set_to(False):
        trainer = Trainer(job, Processes(), device=machine.device, checkpoint_dir=None)
        yield trainer, trainer.begin_epoch()


def run_steps(trainer: Trainer, epoch: Epoch, first: int, last: int) -> None:
    """Do the steps of `loop.fit` from batch `first` to the one before `last`."""
    for number in range(first, last):
        batch = epoch.batch(number)
        assert batch is not None
        factor = trainer.learning_rate_factor(trainer.progress.rows)
        if not trainer.take_captured_step(batch, factor):
            inputs, targets, words, _ = batch.gathered or epoch.gather(batch.rows, batch.width)
            trainer.optimizer.begin_step(words)
            share = trainer.processes.share
            loss = trainer.gradients.add(inputs, targets, trainer.optimizer, trainer.progress, share=share)
            trainer.optimizer.step(factor)
            trainer.loss_sum += loss
        trainer.end_step(batch, is_last=False)


def _fitted(
    machine: Machine, *, device: str, freeze_epochs: int = 0, deterministic: bool = False, batch_tokens: int = 0
) -> FitResult:
    config = TrainingConfig(
        device=Device(device),
        epochs=2,
        precision=TrainingPrecision.fp32,
        num_threads=1,
        batch_tokens=batch_tokens,
        deterministic=deterministic,
    )
    rows, few = (random_split(machine, number, mean=20, seed=seed) for seed, number in enumerate((300, 100)))
    network = new_network(machine, units=32, **NO_DROPOUT)
    job = TrainingJob(network, rows, few, config, Task.single_label, seed=0, freeze_epochs=freeze_epochs)
    return fit(job)


if __name__ == "__main__":
    sys.exit(main())
