import importlib
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from textlstm.config import Device, Imbalance, Schedule, Task, TrainingConfig, TrainingPrecision
from textlstm.errors import ConfigError, Interrupted
from textlstm.models.network.inputs import encode_split
from textlstm.models.network.network import predict_logits
from textlstm.models.network.precision import has_bf16_kernels
from textlstm.training.job import FitResult, TrainingJob
from textlstm.training.loop import fit
from textlstm.training.validation_scores import score

sys.path.insert(0, str(Path(__file__).parent))
toy = importlib.import_module("toy")
CPU = torch.device("cpu")
TRAIN, VALIDATION = toy.split(400, seed=1), toy.split(120, seed=2)


def _fit(config: TrainingConfig, **settings: object) -> FitResult:
    network = settings.pop("network", None) or toy.network()
    calls = {name: settings.pop(name) for name in ("checkpoint_dir", "on_epoch", "stop") if name in settings}
    return fit(TrainingJob(network, TRAIN, VALIDATION, config=config, task=toy.TASK, seed=3, **settings), **calls)


def _weights(result: FitResult) -> bytes:
    return b"".join(tensor.numpy().tobytes() for tensor in result.best_state.values())


def test_fit_learns_and_returns_the_best_epoch() -> None:
    network = toy.network()
    reports = []
    result = _fit(toy.config(epochs=6), network=network, on_epoch=reports.append)
    assert result.history == reports
    assert [report.epoch for report in reports] == [1, 2, 3, 4, 5, 6]
    best = max(reports, key=lambda report: (report.macro_f1, -report.validation_loss))
    assert result.best_epoch == best.epoch
    assert best.macro_f1 > 0.8 > reports[0].macro_f1
    scores = score(predict_logits(network, VALIDATION), VALIDATION.targets, task=toy.TASK)
    assert (scores.macro_f1, scores.accuracy) == (best.macro_f1, best.accuracy)
    assert result.events == []
    assert 0 < result.padding_share < 0.5
    assert result.tokens_per_second > 0


def test_without_validation_rows_the_last_epoch_counts() -> None:
    config = toy.config(epochs=5, schedule=Schedule.cosine)
    none = encode_split(VALIDATION.token_ids[:0], np.zeros(1, np.int64), None, VALIDATION.targets[:0], max_tokens=400)
    reports = []
    job = TrainingJob(toy.network(), TRAIN, none, config=config, task=toy.TASK, seed=3, num_epochs=3)
    blind = fit(job, on_epoch=reports.append)
    assert (blind.best_epoch, len(reports), blind.events) == (3, 3, [])
    assert [report.is_best for report in reports] == [True, True, True]

    seen = []
    with pytest.raises(Interrupted):  # right after the third of five epochs
        _fit(config, on_epoch=seen.append, stop=lambda: 15 if len(seen) == 3 else 0)
    assert [report.train_loss for report in seen] == [report.train_loss for report in reports]


def test_multi_label_training_learns() -> None:
    train, validation = toy.split(400, seed=1, multi_label=True), toy.split(120, seed=2, multi_label=True)
    config = toy.config(epochs=6)
    result = fit(TrainingJob(toy.network(), train, validation, config=config, task=Task.multi_label, seed=3))
    assert result.history[result.best_epoch - 1].macro_f1 > 0.75


def test_equal_seeds_give_equal_bytes_and_other_seeds_others() -> None:
    config = toy.config()
    first, second = _fit(config), _fit(config)
    assert _weights(first) == _weights(second)
    other = fit(TrainingJob(toy.network(), TRAIN, VALIDATION, config=config, task=toy.TASK, seed=4))
    assert _weights(first) != _weights(other)


def test_training_leaves_torch_as_it_found_it() -> None:
    torch.manual_seed(11)
    before = torch.random.get_rng_state()
    threads = torch.get_num_threads()
    _fit(toy.config(epochs=1, num_threads=1), network=toy.network(seed=1))
    torch.manual_seed(11)
    _fit(toy.config(epochs=1, num_threads=1), network=_built_network())
    assert torch.equal(torch.random.get_rng_state(), before)
    assert torch.get_num_threads() == threads
    assert not torch.are_deterministic_algorithms_enabled()


def _built_network():
    state = torch.random.get_rng_state()
    network = toy.network()
    torch.random.set_rng_state(state)
    return network


def test_early_stopping_ends_after_patience_epochs_without_a_better_one() -> None:
    config = toy.config(epochs=50, learning_rate=1e-9, embedding_learning_rate=1e-9, patience=2)
    result = _fit(config)
    assert len(result.history) == result.best_epoch + 2
    assert result.events == [f"stopped after epoch {len(result.history)}: no better validation macro-F1 in 2 epochs"]


def test_frozen_word_vectors_do_not_move() -> None:
    words = "embedder.words.weight"
    before = toy.network().state_dict()[words].clone()
    assert torch.equal(_fit(toy.config(), freeze_epochs=-1).best_state[words], before)
    thawed = _fit(toy.config(epochs=3), freeze_epochs=1)
    assert not torch.equal(thawed.best_state[words], before)
    frozen_then = _fit(toy.config(epochs=3), freeze_epochs=2)
    assert not torch.equal(thawed.best_state[words], frozen_then.best_state[words])


def test_diverging_training_ends_with_a_remedy() -> None:
    network = toy.network()
    with torch.no_grad():
        network.head.output.weight.fill_(float("nan"))
    with pytest.raises(ConfigError) as caught:
        _fit(toy.config(epochs=9, schedule=Schedule.constant), network=network)
    assert str(caught.value) == (
        "training.learning_rate=0.02: the gradient was not finite in 28 of 28 steps; lower it (and "
        "training.embedding_learning_rate), or set training.clip_norm=1 or training.precision=fp32"
    )


def test_a_few_bad_steps_are_skipped(monkeypatch: pytest.MonkeyPatch) -> None:
    from textlstm.training.loss import Objective

    losses, calls = Objective.losses, []

    def sometimes_bad(self: Objective, logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        calls.append(1)
        good = losses(self, logits, targets)
        return good * float("nan") if len(calls) in {3, 9} else good

    monkeypatch.setattr(Objective, "losses", sometimes_bad)
    result = _fit(toy.config(epochs=3))
    assert result.history[-1].num_skipped == 2
    assert all(torch.isfinite(tensor).all() for tensor in result.best_state.values())
    assert result.history[-1].macro_f1 > 0.6


def test_out_of_memory_halves_the_batch_and_keeps_the_gradient(monkeypatch: pytest.MonkeyPatch) -> None:
    from textlstm.models.network.network import TextNetwork

    settings = {"word_dropout": 0.0, "locked_dropout": 0.0, "head_dropout": 0.0}
    whole = _fit(toy.config(epochs=1), network=toy.network(**settings))
    embed = TextNetwork.embed

    def small_memory(self: TextNetwork, batch: object) -> torch.Tensor:
        if self.training and len(batch.lengths) > 20:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return embed(self, batch)

    monkeypatch.setattr(TextNetwork, "embed", small_memory)
    pieces = _fit(toy.config(epochs=1), network=toy.network(**settings))
    assert len(pieces.events) == 2
    assert pieces.events[0].endswith("out of memory; from here on a batch is computed in 2 pieces")
    assert pieces.events[1].endswith("out of memory; from here on a batch is computed in 4 pieces")
    for name, tensor in whole.best_state.items():
        torch.testing.assert_close(pieces.best_state[name], tensor, rtol=0, atol=2e-4)


def test_out_of_memory_with_a_single_row_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    from textlstm.models.network.network import TextNetwork

    def no_memory(self: TextNetwork, batch: object) -> torch.Tensor:
        raise RuntimeError("[enforce fail at alloc_cpu.cpp:124] DefaultCPUAllocator: can't allocate memory")

    monkeypatch.setattr(TextNetwork, "embed", no_memory)
    with pytest.raises(ConfigError, match=r"^out of memory with a single text of \d+ tokens; lower model.max_tokens"):
        _fit(toy.config())


def test_other_errors_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    from textlstm.models.network.network import TextNetwork

    def broken(self: TextNetwork, batch: object) -> torch.Tensor:
        raise RuntimeError("shape mismatch")

    monkeypatch.setattr(TextNetwork, "embed", broken)
    with pytest.raises(RuntimeError, match=r"^shape mismatch$"):
        _fit(toy.config())


def test_stop_without_checkpoints_interrupts() -> None:
    with pytest.raises(Interrupted) as caught:
        _fit(toy.config(), stop=lambda: 2)
    assert caught.value.exit_code == 130
    assert str(caught.value).startswith("stopped in epoch 1, batch 1 of ")


@pytest.mark.parametrize("num_calls", [5, -1], ids=["in an epoch", "in its evaluation"])
def test_stopped_training_continues_with_equal_bytes(num_calls: int, tmp_path: Path) -> None:
    whole, asked = _fit(toy.config()), []
    wanted = whole.history[0].num_steps + 1 if num_calls < 0 else num_calls

    def stop() -> int:
        asked.append(1)
        return 15 if len(asked) == wanted else 0

    with pytest.raises(Interrupted) as caught:
        _fit(toy.config(), checkpoint_dir=tmp_path, stop=stop)
    step = min(wanted, whole.history[0].num_steps)
    place = f"epoch 1, batch {step} of {whole.history[0].num_steps}"
    assert str(caught.value) == f"stopped in {place}; the same command continues there"
    continued = _fit(toy.config(), checkpoint_dir=tmp_path)
    assert continued.events == [f"continued from epoch 1, step {step}"]
    assert _weights(continued) == _weights(whole)
    assert [report.macro_f1 for report in continued.history] == [report.macro_f1 for report in whole.history]


def test_finished_training_is_not_repeated(tmp_path: Path) -> None:
    first = _fit(toy.config(), checkpoint_dir=tmp_path)
    reports = []
    again = _fit(toy.config(), checkpoint_dir=tmp_path, on_epoch=reports.append)
    assert (_weights(again), again.history, reports) == (_weights(first), first.history, [])


def test_checkpoints_of_other_settings_or_rows_are_refused(tmp_path: Path) -> None:
    _fit(toy.config(), checkpoint_dir=tmp_path)
    for changed in ({"config": toy.config(learning_rate=0.01)}, {"config": toy.config(), "run_key": "other"}):
        with pytest.raises(ConfigError, match=r"a checkpoint of a training with other data or settings"):
            _fit(**changed, checkpoint_dir=tmp_path)
    _fit(toy.config(checkpoint_seconds=1.0), checkpoint_dir=tmp_path)  # this may change


@pytest.mark.parametrize(("seconds", "expected"), [(1e-6, "every step"), (1000.0, "every epoch")])
def test_checkpoint_seconds_decide_how_often_checkpoints_are_written(
    seconds: float, expected: str, tmp_path: Path
) -> None:
    result = _fit(toy.config(epochs=1, checkpoint_seconds=seconds), checkpoint_dir=tmp_path)
    (*_, last) = sorted(tmp_path.glob("*.json"))
    num_steps = result.history[0].num_steps
    assert int(last.stem.removeprefix("state-")) == (num_steps + 1 if expected == "every step" else 1)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_missing_gpu_is_refused() -> None:
    with pytest.raises(ConfigError) as caught:
        _fit(toy.config(device=Device.cuda))
    assert str(caught.value) == (
        f"training.device=cuda: torch {torch.__version__} sees no GPU here; set training.device=auto or cpu"
    )


EFFECTS: dict[str, object] = {
    "epochs": 1,
    "batch_size": 32,
    "learning_rate": 0.01,
    "embedding_learning_rate": 0.01,
    "weight_decay": 0.5,
    "schedule": Schedule.one_cycle,
    "warmup_fraction": 0.5,
    "clip_norm": 0.01,
    "label_smoothing": 0.3,
    "ema_decay": 0.0,
    "r_drop": 1.0,
    "adversarial": 0.1,
    "imbalance": Imbalance.class_weights,
}


if has_bf16_kernels("cpu"):
    EFFECTS["precision"] = TrainingPrecision.bf16


def test_bf16_where_the_processor_cannot_is_refused_and_auto_takes_fp32(
    monkeypatch: pytest.MonkeyPatch, plain_weights: bytes
) -> None:
    monkeypatch.setattr("textlstm.models.network.precision.has_bf16_kernels", lambda device_type: False)
    base = {"deterministic": False, "num_threads": 1}
    with pytest.raises(ConfigError) as caught:
        _fit(toy.config(**base, precision=TrainingPrecision.bf16))
    assert str(caught.value) == (
        "training.precision=bf16: this cpu has no bf16 kernels for LSTMs (on a CPU they need AVX-512); "
        "set training.precision=fp32"
    )
    assert _weights(_fit(toy.config(**base, precision=TrainingPrecision.auto))) == plain_weights


@pytest.fixture(scope="module")
def plain_weights() -> bytes:
    return _weights(_fit(toy.config(deterministic=False, num_threads=1, precision=TrainingPrecision.fp32)))


def test_result_without_a_change_is_the_same(plain_weights: bytes) -> None:
    """Negative control of the tests below."""
    config = toy.config(deterministic=False, num_threads=1, precision=TrainingPrecision.fp32)
    assert _weights(_fit(config)) == plain_weights


@pytest.mark.parametrize("key", EFFECTS)
def test_setting_changes_the_result(key: str, plain_weights: bytes) -> None:
    base = {"deterministic": False, "num_threads": 1, "precision": TrainingPrecision.fp32}
    assert _weights(_fit(toy.config(**base | {key: EFFECTS[key]}))) != plain_weights


@pytest.mark.parametrize("imbalance", list(Imbalance))
def test_each_imbalance_setting_gives_another_result(imbalance: Imbalance, plain_weights: bytes) -> None:
    base = {"deterministic": False, "num_threads": 1, "precision": TrainingPrecision.fp32}
    result = _fit(toy.config(**base, imbalance=imbalance))
    assert (_weights(result) == plain_weights) == (imbalance is Imbalance.none)
    assert all(np.isfinite(report.train_loss) for report in result.history)


def test_adversarial_training_works_with_frozen_words_and_in_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    config = toy.config(adversarial=0.1)
    _fit(config, freeze_epochs=-1)
    network = toy.network()
    whole = _weights(_fit(config, network=toy.network()))
    calls = []
    unharmed = type(network).classify

    def classify(self: object, encoded: object) -> torch.Tensor:
        calls.append(1)
        if len(calls) == 2:  # the changed texts of the first batch
            raise torch.OutOfMemoryError("out of memory")
        return unharmed(self, encoded)

    monkeypatch.setattr(type(network), "classify", classify)
    result = _fit(config, network=network)
    assert [event.partition(":")[2][:14] for event in result.events] == [" out of memory"]
    assert _weights(result) != whole  # other dropout masks


def test_focal_gamma_changes_the_result() -> None:
    settings = {"imbalance": Imbalance.focal}
    assert _weights(_fit(toy.config(**settings))) != _weights(_fit(toy.config(**settings, focal_gamma=1.0)))


@pytest.mark.parametrize("schedule", list(Schedule))
def test_learning_rate_at_the_end_of_each_epoch(schedule: Schedule) -> None:
    result = _fit(toy.config(schedule=schedule, warmup_fraction=0.25))
    expected = {Schedule.constant: [0.02, 0.02], Schedule.cosine: [0.015, 0.0], Schedule.one_cycle: [0.015, 8e-8]}
    found = [report.learning_rate for report in result.history]
    assert found == pytest.approx(expected[schedule], rel=1e-4, abs=1e-12)


def test_thread_and_determinism_settings_reach_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    from textlstm.training import compute

    seen: list[tuple[str, object]] = []
    monkeypatch.setattr(compute.torch, "set_num_threads", lambda number: seen.append(("threads", number)))
    monkeypatch.setattr(
        compute.torch, "use_deterministic_algorithms", lambda mode: seen.append(("deterministic", mode))
    )
    before = torch.get_num_threads()
    with compute.compute_settings(TrainingConfig(num_threads=3), CPU):
        pass
    assert seen == [("threads", 3), ("threads", before), ("deterministic", False)]
    seen.clear()
    with compute.compute_settings(TrainingConfig(num_threads=3, deterministic=True), CPU):
        pass
    assert seen == [("threads", 1), ("deterministic", True), ("threads", before), ("deterministic", False)]
    with compute.compute_settings(TrainingConfig(num_threads=6), CPU, num_processes=2):
        assert seen[-1] == ("threads", 3)
