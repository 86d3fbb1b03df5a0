import pytest

from textlstm.config import Schedule
from textlstm.training.optimizer import learning_rate_factor


@pytest.mark.parametrize(
    ("schedule", "expected"),
    [
        (Schedule.constant, [0.0, 0.5, 1.0, 1.0, 1.0]),
        (Schedule.cosine, [0.0, 0.5, 1.0, 0.5, 0.0]),
        (Schedule.one_cycle, [0.04, 0.52, 1.0, 0.500002, 4e-6]),
    ],
)
def test_factor_over_the_training(schedule: Schedule, expected: list[float]) -> None:
    found = [learning_rate_factor(schedule, part, warmup_fraction=0.2) for part in (0.0, 0.1, 0.2, 0.6, 1.0)]
    assert found == pytest.approx(expected)


@pytest.mark.parametrize("schedule", list(Schedule))
def test_without_warm_up_it_starts_at_the_peak(schedule: Schedule) -> None:
    assert learning_rate_factor(schedule, 0.0, warmup_fraction=0.0) == 1.0
