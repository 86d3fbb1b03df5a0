"""`textlstm STAGE [settings]`: find the stage, compose its config, run it, turn errors into exit codes."""

import atexit
import gc
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import fields
from importlib import import_module
from typing import Any, NamedTuple

from textlstm import __version__, config
from textlstm.errors import ConfigError, Interrupted, StorageError, TextLSTMError
from textlstm.processes.memory import gc_paused
from textlstm.processes.signals import install_handlers
from textlstm.processes.standard_streams import discard_output, flush_output, open_standard_streams


class Stage(NamedTuple):
    """One subcommand: its summary, its config, and the settings that may be given by place."""

    summary: str
    config_class: type
    positional: tuple[str, ...] = ()


STAGES: dict[str, Stage] = {
    "run": Stage("Prepare, train, evaluate and label in one go.", config.RunConfig),
    "prepare": Stage("Read, check, split, tokenize, tag, filter and store a corpus.", config.PrepareConfig),
    "train": Stage("Fit a model and save it.", config.TrainConfig),
    "evaluate": Stage("Score a saved model on labelled rows.", config.EvaluateConfig),
    "label": Stage("Label files with a saved model.", config.LabelConfig),
    "explain": Stage("Explain decisions: words, n-grams and LSTM gates, on one page.", config.ExplainConfig),
    "export": Stage("Export a model to ONNX, to label without torch.", config.ExportConfig),
    "sweep": Stage("Search for the best settings; each trial is a run.", config.SweepConfig),
    "curve": Stage("Train on more and more rows, and say what twice the rows would bring.", config.CurveConfig),
    "trace": Stage("Show the input row and model behind a label.", config.TraceConfig, ("output", "row")),
    "replay": Stage("Label one row again and compare.", config.ReplayConfig, ("output", "row")),
    "review": Stage("Choose the labelled rows that are most worth a look.", config.ReviewConfig, ("output",)),
    "merge": Stage("Put reviewed rows into a training file.", config.MergeConfig, ("reviewed",)),
    "dashboard": Stage("Open MLflow's pages on this machine.", config.DashboardConfig),
    "compare": Stage("Compare two runs.", config.CompareConfig, ("runs", "runs")),
    "promote": Stage("Make a registered version the champion if it is significantly better.", config.PromoteConfig),
    "sync": Stage("Send to MLflow what it missed while it was down; close the runs that died.", config.SyncConfig),
    "serve": Stage("Start a scoring server for one model.", config.ServeConfig),
    "info": Stage("Say what a saved model is: labels, figures, data, size, digest.", config.InfoConfig, ("model_dir",)),
    "doctor": Stage("Check the installation.", config.DoctorConfig),
}


class Command(NamedTuple):
    """A typed command: a stage and its checked settings."""

    stage_name: str
    settings: Any

    def stage(self) -> Callable[[Any], int | None]:
        """Return the stage as a function of its settings; its rooms are imported here."""
        with gc_paused():
            stage: Callable[[Any], int | None] = getattr(
                import_module(f"textlstm.stages.{self.stage_name}"), self.stage_name
            )
        return stage


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; return its exit code (0 done, 2 input or config, 3 integrity, 4 storage, 130/143 signals)."""
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    open_standard_streams()
    # The interpreter's last collection would walk every module that was loaded: 1.7 of the 8.4 s of a small training.
    atexit.register(gc.freeze)
    # Before torch is loaded. OpenMP's threads wait for each other in every small product: spinning for long slows a
    # busy machine down a hundredfold, sleeping at once slows a quiet one down threefold. So they spin for a tenth of
    # a millisecond, and sleep then.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    os.environ.setdefault("GOMP_SPINCOUNT", "10000")
    try:
        # Settings are checked before the rooms of the stage are imported, so that a typing error is reported at once.
        command = _parsed(arguments)
        code = 0
        if command is not None:
            install_handlers()
            stage = command.stage()
            code = stage(command.settings) or 0
        # What is printed may fail only now, on a full disk or a pipe that nobody reads.
        flush_output()
        return code
    except (Interrupted, TextLSTMError) as error:  # Interrupted is a KeyboardInterrupt with a message
        _report(error.problems)
        return error.exit_code
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        discard_output()
        return 141
    # A file that fails in a place without a message of its own still gives one line and its exit code.
    except OSError as error:
        storage = StorageError(f"{error.filename or 'input/output'}: {error.strerror or error}")
        _report(storage.problems)
        return storage.exit_code


def _parsed(arguments: list[str]) -> Command | None:
    """Return the command, or None after printing the help page or the version that was asked for instead."""
    if not arguments or arguments[0] in ("-h", "--help", "help"):
        print(_usage())
        return None
    if arguments[0] in ("-V", "--version"):
        print(f"textlstm {__version__}")
        return None
    name, rest = arguments[0], arguments[1:]
    if name in ("--completion", "--complete"):
        from textlstm.cli.completion import candidates, script

        stages = {stage: about.config_class for stage, about in STAGES.items()}
        text = "".join(rest[:1])
        print(script(text) if name == "--completion" else "\n".join(candidates(text, stages)))
        return None
    if name not in STAGES:
        import difflib

        near = difflib.get_close_matches(name, STAGES, n=1)
        hint = f"did you mean '{near[0]}'? " if near else ""
        raise ConfigError(f"{name}: no such stage; {hint}there is {', '.join(STAGES)}")
    stage = STAGES[name]
    usage = f"textlstm {name} {''.join(f'{key.upper()} ' for key in stage.positional)}[KEY=VALUE ...]"
    if any(item in ("-h", "--help", "--help=all") for item in rest):
        from textlstm.cli.settings_help import stage_help

        print(stage_help(name, stage.summary, usage, stage.config_class, everything="--help=all" in rest))
        return None
    # Hydra is imported only now, so that help pages and the errors above come at once.
    with gc_paused():
        from textlstm.cli.settings import compose_config

        overrides, config_file = _split_options(rest, stage)
        return Command(name, compose_config(name, stage.config_class, overrides, config_file))


def _split_options(arguments: list[str], stage: Stage) -> tuple[list[str], str | None]:
    """Return the overrides, places turned into keys, and the value of --config."""
    overrides: list[str] = []
    placed: dict[str, list[str]] = {}
    config_file: str | None = None
    places = list(stage.positional)
    setting_names = {field.name for field in fields(stage.config_class)}
    waiting = iter(arguments)
    for item in waiting:
        if item == "--config" or item.startswith("--config="):
            config_file = item.partition("=")[2] or next(waiting, None)
            if not config_file:
                raise ConfigError("--config: expected the path of a YAML file")
        elif (name := item.partition("=")[0]) in _OPTIONS and _OPTIONS[name] in setting_names:
            value = "true" if name in _FLAGS else item.partition("=")[2] or next(waiting, "")
            if not value:
                raise ConfigError(f"{name}: expected the path of a file")
            overrides.append(f"{_OPTIONS[name]}={value}")
        elif item.startswith("-") and "=" not in item:
            known = ["--help", *(name for name, key in _OPTIONS.items() if key in setting_names), "--config"]
            listed = f"{', '.join(known[:-1])} and {known[-1]}"
            raise ConfigError(f"{item}: no such option; settings are KEY=VALUE, options are {listed}")
        # Words without `=` fill the places of the stage in turn; a key that has several places becomes a list.
        elif "=" not in item and places:
            placed.setdefault(places.pop(0), []).append(item)
        else:
            overrides.append(item)
    for key, values in placed.items():
        overrides.append(f"{key}={values[0]}" if len(values) == 1 else f"{key}=[{','.join(map(_item, values))}]")
    return overrides, config_file


_FLAGS = ("--quiet", "--json")
_OPTIONS = {**{flag: flag.removeprefix("--") for flag in _FLAGS}, "--log-file": "log_file"}
"""Options by the setting that each stands for, of stages that have it."""


def _item(value: str) -> str:
    """Return a word as an item of a typed list, in quotation marks where a comma of its own would cut it."""
    quote = "'" if '"' in value else '"'
    return f"{quote}{value}{quote}" if "," in value else value


def _usage() -> str:
    width = max(map(len, STAGES))
    lines = [
        "usage: textlstm STAGE [KEY=VALUE ...]",
        "",
        "Text classification with recurrent networks: prepare, train, evaluate and label, reproducibly.",
        "",
        "stages:",
        *(f"  {name:<{width}}  {stage.summary}" for name, stage in STAGES.items()),
        "",
        "`textlstm STAGE --help` lists the settings of a stage that matter most, `--help=all` every one.",
        "`textlstm --version` says the version; `textlstm --completion bash|zsh|fish` prints completion for a shell.",
    ]
    return "\n".join(lines)


def _report(problems: Sequence[str]) -> None:
    for problem in problems:
        print(f"textlstm: {problem}", file=sys.stderr)
