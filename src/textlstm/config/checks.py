"""Range checks of settings; what fails says which key, what is allowed and what was found."""

import math

from textlstm.errors import ConfigError


def require(condition: bool, message: str) -> None:
    """Raise ConfigError with `message` unless the condition holds."""
    if not condition:
        raise ConfigError(message)


def check_fraction(key: str, value: float, *, below_one: bool = True) -> None:
    """Raise ConfigError unless `value` is in [0, 1), or in [0, 1] where one is allowed."""
    upper = value < 1 if below_one else value <= 1
    require(value >= 0 and upper, f"{key} must be in [0, 1{')' if below_one else ']'}, got {value}")


def check_at_least(key: str, value: float, least: float) -> None:
    """Raise ConfigError unless `value` is finite and no less than `least`."""
    require(math.isfinite(value) and value >= least, f"{key} must be at least {least}, got {value}")


def check_positive(key: str, value: float) -> None:
    """Raise ConfigError unless `value` is finite and greater than 0."""
    require(math.isfinite(value) and value > 0, f"{key} must be greater than 0, got {value}")
