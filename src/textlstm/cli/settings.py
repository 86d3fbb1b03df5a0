"""From the typed settings to a checked config object, or a one-line error.

Hydra composes the YAML choices under `conf/` over the dataclasses of `config/`. Whatever could name code or reach past
the schema is refused before Hydra sees it: unknown keys, `+`, `++` and `~`, `hydra.*`, `_target_` and interpolations.
Text settings are taken literally, so paths need no quoting beyond the shell's.
"""

import difflib
import os
from collections.abc import Sequence
from dataclasses import fields, is_dataclass
from enum import Enum
from pathlib import Path
from typing import Any, NamedTuple, get_args, get_origin, get_type_hints

from textlstm import config as schema
from textlstm.config import AUTO, AUTO_SETTINGS, PrepareConfig, remaining_auto, with_needed_pos
from textlstm.config.overrides import text_items, unquoted
from textlstm.errors import ConfigError

GROUPS = ("data", "text", "model", "training", "tracking")
MAX_CONFIG_BYTES = 1_000_000


def conf_dir() -> Path:
    """Return the folder of YAML choices: the checkout's `conf/`, else the installed package's."""
    package = Path(schema.__file__).resolve().parent.parent
    checkout = package.parent.parent / "conf"
    return checkout if (package.parent.parent / "pyproject.toml").is_file() and checkout.is_dir() else package / "conf"


def setting_types(config_class: type) -> dict[str, Any]:
    """Return the type of every setting by its full key, such as `model.hidden_size`."""
    types: dict[str, Any] = {}
    hints = get_type_hints(config_class)
    for field in fields(config_class):
        hint = hints[field.name]
        if is_dataclass(hint):
            types |= {f"{field.name}.{key}": inner for key, inner in setting_types(hint).items()}  # type: ignore[arg-type]
        else:
            types[field.name] = hint
    return types


def group_choices(config_class: type) -> dict[str, list[str]]:
    """Return the names of the YAML choices of every group that this stage has."""
    present = [field.name for field in fields(config_class) if field.name in GROUPS]
    if "data" in present and "model" in present:
        present.append("experiment")
    return {name: sorted(path.stem for path in (conf_dir() / name).glob("*.yaml")) for name in present}


def compose_config(stage: str, config_class: type, overrides: Sequence[str], config_file: str | None = None) -> Any:
    """Return an instance of `config_class` with the stage's defaults, the config file and the overrides applied.

    Raises:
        ConfigError: all that is wrong with the settings, one line each.
    """
    # Only known keys and choices reach Hydra.
    overrides = _checked_overrides(stage, config_class, overrides)
    from hydra import compose, initialize_config_dir
    from hydra.core.config_store import ConfigStore
    from hydra.errors import HydraException
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException

    ConfigStore.instance().store(name=f"{stage}_schema", node=config_class)
    try:
        with initialize_config_dir(config_dir=str(conf_dir()), version_base="1.3"):
            # Each layer wins over those before it: YAML choices, the file of --config, what was typed.
            composed: Any = compose(config_name=stage, overrides=[item for item in overrides if _is_group(item)])
            given = _given_by_choices(stage, config_class, overrides)
            asked: set[str] = set()
            if config_file is not None:
                content = _read_config_file(config_file, config_class)
                asked |= content.asked
                given |= content.given
                composed = OmegaConf.merge(composed, content.settings)
            # What was typed wins over the file of --config, also where one of them asks for `auto`.
            typed = dict(override.partition("=")[::2] for override in overrides if not _is_group(override))
            asked = {*(asked - typed.keys()), *(key for key in AUTO_SETTINGS if typed.get(key) == AUTO)}
            given = {*given, *typed} - asked
            composed = OmegaConf.merge(
                composed, _typed(config_class, [f"{key}={value}" for key, value in typed.items() if key not in asked])
            )
            # A setting is chosen by the corpus unless somebody gave it a value.
            if "auto" in composed:
                composed.auto = remaining_auto(composed.auto, given=given, asked=asked)
        settings = OmegaConf.to_object(composed)
        return with_needed_pos(settings) if isinstance(settings, PrepareConfig) else settings
    except ConfigError:
        raise
    # Hydra and OmegaConf report over many lines; the user gets the first, with the key where there is one.
    except OmegaConfBaseException as error:
        key = getattr(error, "full_key", None) or ""
        raise ConfigError(f"{key}: {_first_line(error)}" if key else _first_line(error)) from None
    except HydraException as error:
        cause = error.__cause__ or error
        raise ConfigError(_first_line(cause)) from None


def _is_group(override: str) -> bool:
    return override.partition("=")[0] in (*GROUPS, "experiment")


def _given_by_choices(stage: str, config_class: type, overrides: Sequence[str]) -> set[str]:
    """Return the settings that the chosen YAML files hold: those of `KEY=NAME`, and the stage's own choices."""
    import yaml

    stage_file = yaml.safe_load((conf_dir() / f"{stage}.yaml").read_text(encoding="utf-8"))
    chosen = {key: name for entry in stage_file["defaults"] if isinstance(entry, dict) for key, name in entry.items()}
    chosen |= dict(override.partition("=")[::2] for override in overrides if _is_group(override))
    given: set[str] = set()
    for group, name in chosen.items():
        if name is not None:
            content = yaml.safe_load((conf_dir() / group / f"{name}.yaml").read_text(encoding="utf-8")) or {}
            given |= set(_flatten(content, "" if group == "experiment" else f"{group}."))
    return given & setting_types(config_class).keys()


def _checked_overrides(stage: str, config_class: type, overrides: Sequence[str]) -> list[str]:
    types = setting_types(config_class)
    groups = group_choices(config_class)
    # All overrides are looked at, so that one run shows every mistake.
    problems = []
    for override in overrides:
        key, equals, value = override.partition("=")
        if key.startswith(("+", "~")) or key.split(".")[0] == "hydra" or "_target_" in override or "@" in key:
            problems.append(f"{key}: settings cannot be added, removed or name code; only known ones can be changed")
        elif not equals:
            problems.append(f"{override}: expected KEY=VALUE, such as {next(iter(types))}=...")
        elif key not in types and key not in groups:
            problems.append(_unknown_key(stage, key, [*types, *groups]))
        elif key in groups and value not in groups[key]:
            problems.append(f"{key}={value}: no such choice; there is {', '.join(groups[key])}")
        elif "${" in value:
            problems.append(f"{key}: interpolations (${{...}}) are not taken from the command line")
    if problems:
        raise ConfigError(*problems)
    return list(overrides)


def _unknown_key(stage: str, key: str, known: Sequence[str]) -> str:
    near = difflib.get_close_matches(key, known, n=1, cutoff=0.6)
    if not near:
        leaf = key.rsplit(".", 1)[-1]
        near = [name for name in known if name.rsplit(".", 1)[-1] == leaf][:1]
    hint = f"did you mean '{near[0]}'? " if near else ""
    return f"{key}: no such setting; {hint}`textlstm {stage} --help=all` lists them all"


def _typed(config_class: type, overrides: Sequence[str]) -> Any:
    """Parse the values of plain settings: literally where the setting is text, by Hydra's grammar elsewhere."""
    from hydra.core.override_parser.overrides_parser import OverridesParser
    from hydra.errors import HydraException
    from omegaconf import OmegaConf

    types = setting_types(config_class)
    result = OmegaConf.create({})
    for override in overrides:
        if _is_group(override):
            continue
        key, _, raw = override.partition("=")
        hint = types[key]
        value: object
        if hint is str:
            value = unquoted(raw)
        elif get_origin(hint) is list and get_args(hint) == (str,):
            value = text_items(raw)
        else:
            try:
                parsed = OverridesParser.create().parse_override(override)
            except HydraException:  # its own message names tokens of a grammar
                raise ConfigError(f"{key}: expected {_kind(hint)}, got '{raw}'") from None
            if parsed.is_sweep_override():
                raise ConfigError(
                    f"{key}: expected {_kind(hint)}, got '{raw}'; a setting has one value, "
                    f"and `textlstm sweep sweep.space=['{key}={raw}']` tries several"
                )
            value = parsed.value()
            if hint is bool and isinstance(value, int) and value not in (0, 1):
                raise ConfigError(f"{key}: expected {_kind(hint)}, got '{raw}'")
        OmegaConf.update(result, key, value, force_add=True)
    return result


def _kind(hint: Any) -> str:
    """Return the values that a setting of this type takes, in words."""
    if isinstance(hint, type) and issubclass(hint, Enum):
        return f"one of {', '.join(str(member.value) for member in hint)}"
    return {bool: "true or false", int: "a whole number", float: "a number"}.get(hint, "one value")


class _FileSettings(NamedTuple):
    """The settings of a user's file."""

    settings: Any
    """Those with a value, as an OmegaConf object."""
    given: set[str]
    asked: set[str]
    """Those that the file sets to `auto`."""


def _read_config_file(path: str, config_class: type) -> _FileSettings:
    """Read a user's YAML file of settings; aliases, tags, interpolations and unknown keys are refused."""
    import yaml
    from omegaconf import OmegaConf

    try:
        # The size is looked at before the file is read, and aliases before anything is built from them.
        if os.path.getsize(path) > MAX_CONFIG_BYTES:  # noqa: PTH202
            raise ConfigError(f"{path}: larger than {MAX_CONFIG_BYTES} bytes; that is no config file")
        text = Path(path).read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror or error}; give --config a YAML file of settings") from None
    except UnicodeDecodeError:
        raise ConfigError(f"{path}: not UTF-8 text") from None
    try:
        for event in yaml.parse(text, Loader=yaml.SafeLoader):
            if isinstance(event, yaml.AliasEvent):
                raise ConfigError(f"{path}:{event.start_mark.line + 1}: YAML aliases are not allowed in a config file")
        content = yaml.safe_load(text) or {}
    except yaml.YAMLError as error:
        raise ConfigError(f"{path}: not YAML: {_first_line(error)}") from None
    if not isinstance(content, dict):
        raise ConfigError(f"{path}: expected settings by name, such as `model: {{hidden_size: 64}}`")
    if "${" in text or "_target_" in text:
        raise ConfigError(f"{path}: interpolations (${{...}}) and _target_ are not allowed in a config file")
    content.pop("defaults", None)
    flat = _flatten(content)
    known = setting_types(config_class)
    problems = [f"{path}: {_unknown_key('train', key, list(known))}" for key in flat if key not in known]
    if problems:
        raise ConfigError(*problems)
    asked = {key for key, value in flat.items() if key in AUTO_SETTINGS and value in (AUTO, [AUTO])}
    settings = OmegaConf.create({})
    for key, value in flat.items():
        if key not in asked:
            OmegaConf.update(settings, key, value, force_add=True)
    return _FileSettings(settings, set(flat) - asked, asked)


def _flatten(content: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in content.items():
        if isinstance(value, dict):
            flat |= _flatten(value, f"{prefix}{key}.")
        else:
            flat[f"{prefix}{key}"] = value
    return flat


def _first_line(error: BaseException) -> str:
    return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
