"""Random commands: a stage, files, and settings of every type within and beyond the schema of `textlstm.config`."""

import json
import os
import random
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any, get_origin

from earlier_outputs import copy_labelled, later_rows
from random_files import FORMATS, LABELS, random_file, random_reviewed

from textlstm.cli.main import STAGES
from textlstm.cli.settings import setting_types
from textlstm.config import AUTO, AUTO_SETTINGS

FORMATS_WITH_LABELS = tuple(format for format in FORMATS if format != "txt")
WEIGHTS = {
    **{"prepare": 16, "train": 22, "evaluate": 14, "label": 26, "explain": 6, "export": 4, "sweep": 3, "run": 3},
    **{"trace": 5, "replay": 4, "info": 3, "doctor": 1, "compare": 1, "promote": 1, "sync": 2},
    **{"curve": 2, "review": 7, "merge": 8},
}
"""Of each stage; `dashboard` and `serve` run until a signal ends them and have tests of their own."""
QUICK = (
    *("training.epochs=1", "model.hidden_size=4", "model.embedding_size=4", "training.num_threads=1", "num_workers=1"),
    *("evaluation.bootstrap_samples=10", "evaluation.explained_texts=1"),
)
"""Typed before the random settings, which win over them."""
COSTLY = {
    "training.epochs": (1, 2),
    "training.num_models": (1, 2),
    "training.cross_fit": (0, 2),
    "training.num_workers": (0, 1, 1, 1),
    "training.minutes": (0.01, 1),
    "num_workers": (1, 1, 1, 2),
    "labelling.num_workers": (1, 1, 1, 2),
    "labelling.shard_rows": (1, 3, 50),
    "sweep.num_trials": (1, 2),
    "curve.points": (2, 3),
    "curve.fewest": (1, 2),
    "sweep.jobs": (1, 1, 2),
    "evaluation.bootstrap_samples": (10, 20),
    "evaluation.explained_texts": (0, 1, 3),
    "explain.max_texts": (1, 3),
    "explain.sample_texts": (1, 5),
    "tracking.timeout_seconds": (0.1, 1),
}
"""Values of settings that a run's time depends on."""
TEXTS: dict[str, tuple[str, ...]] = {
    "text.language": ("en", "de", "ja", "ko", "xx", "zz", "", "../en"),
    "text.spacy_model": ("", "en_core_web_sm", "no_such_package", "os", "."),
    "text.stop_words": ("keep", "remove", "no_such_file", "in/words.txt", "in"),
    "data.encoding": (
        "utf-8",
        "latin-1",
        "utf-16",
        "cp1252",
        "nope",
        "rot13",
        "idna",
        "utf-7",
        "raw_unicode_escape",
        "",
    ),
    "data.text_column": ("text", "Text", "id", "nope", ""),
    "data.label_column": ("label", "text", "id", "nope", ""),
    "data.labels_column": ("", "labels", "label", "nope"),
    "data.id_column": ("", "id", "text", "nope"),
    "data.label_separator": ("", ",", ";", " ", "ab"),
    "data.weight_column": ("", "id", "extra", "text", "nope"),
    "data.delimiter": ("", ",", ";", "tab", "ab", '"'),
    "data.config": ("", "x"),
    "data.name": ("", "no/such", "in"),
    "labelling.encoding": ("utf-8", "latin-1", "nope", "rot13"),
    "labelling.text_column": ("", "text", "id", "nope"),
    "labelling.label_name": ("predicted_label", "text", "", "a,b", "ü\n"),
    "labelling.probability_name": ("probability", "text", "", "p"),
    "labelling.decision_name": ("decision", "", "text", "probability"),
    "labelling.source_column": ("", "source", "text", "label"),
    "labelling.delimiter": ("", ",", ";", "tab", "ab", "|"),
    "labelling.empty_label": ("", "none", "sport", "a,b"),
    "labelling.abstain_label": ("", "unsure", "sport"),
    "labelling.early_exit": ("off", "0.001", "0.5", "1", "x", "nan"),
    "tracking.uri": ("", "sqlite:///nope/x.db", "http://127.0.0.1:9", "nope", "ftp://x", "sqlite:///x.db?a=b"),
    "explain.text": ("a goal", " ", "", "\ud800", "(" * 2000),
    "explain.text_column": ("", "text", "nope"),
    "version": ("latest", "1", "x", "-1"),
    "log_file": ("log.txt", "log.txt", "out.csv", "earlier.csv", "pipe", "gone", "", "nope/x", "in"),
    "text_column": ("text", "Text", "id", "nope", ""),
    "label_column": ("label", "labels", "nope", "text", ""),
    "review_text_column": ("", "text", "nope"),
}
ITEMS = {
    "text.keep_pos": ("NOUN", "VERB", "noun", "XYZ", ""),
    "text.drop_pos": ("PUNCT", "X", "nope"),
    "model.embeddings": ("wordllama", "spacy", "spacy:no_such", "in/vectors.vec", "in", "nope.txt"),
    "evaluation.label_shares": ("sport:0.2", "money:1", "x:nan", "x", ":0.1", "sport:2"),
    "tracking.tags": ("a:b", "a", ":", "mlflow.x:1"),
    "sweep.space": ("model.hidden_size=2,3", "training.learning_rate=log(1e-3,1e-2)", "seed=1", "nope=1", "seed=", "x"),
    "sweep.objectives": ("macro_f1", "accuracy", "label_speed", "nope"),
    "auto": ("training.epochs", "text.pos", "model.embeddings", "nope"),
    "runs": ("latest", "0000", "x"),
    "drop": ("x", "20261121-101502-1f2e3d4c"),
}
READ_LABELLED = ("trace", "replay", "review")
"""Stages that read a labelled output and its manifest."""
ODD_PATHS = (
    *("", "nope/deep/er", "in", "/dev/null", "/dev/full", "in/words.txt/below", "x" * 300, "a\nb", "ü ö", "*.csv", "-"),
    *("models:/nope@champion", "nope://x/y", "\udcff", "pipe", "gone", "{a}", "~nobody/x"),
)
"""Names for inputs and outputs that are no good files; `pipe` is a FIFO (never read) and `gone` a dangling link."""


@dataclass
class Command:
    """What is typed, and what it may change."""

    arguments: list[str]
    may_write: list[str] = field(default_factory=list)
    """Beginnings of the relative paths that the stage may make or change."""
    outputs: list[str] = field(default_factory=list)
    """Earlier outputs that only `overwrite=true` and a success may change."""
    earlier: str = ""
    """A labelled output that is there already, as a relative path; empty: none."""
    stdin: bytes = b""
    seconds: float = 600.0


def random_command(seed: int, folder: Path, models: dict[str, Path]) -> Command:
    """Write the inputs of command `seed` into `folder`, an empty one, and return the command; equal for equal seeds."""
    dice = random.Random(seed)
    inputs = folder / "in"
    inputs.mkdir()
    _write_small_things(inputs)
    os.mkfifo(folder / "pipe")
    (folder / "gone").symlink_to("nowhere/at/all")
    stage = dice.choices(list(WEIGHTS), list(WEIGHTS.values()))[0]
    command = _skeleton(dice, stage, folder, models)
    types = setting_types(STAGES[stage].config_class)
    paths = {item.partition("=")[0] for item in command.arguments}
    free = [key for key in types if key not in paths and key not in ("overwrite", "engine", "host", "port")]
    for _ in range(dice.choice((0, 0, 1, 1, 2, 4))):
        if free:
            key = dice.choice(free)
            value = _value(dice, key, types[key])
            command.arguments.append(f"{key}={value}")
            # The store of MLflow is an output as well, wherever it is named.
            if key in ("tracking.dir", "tracking.uri") and value:
                command.may_write.append(value.removeprefix("sqlite:///").partition("?")[0])
                # MLflow's files lie beside a database in a file.
                command.may_write.append(str(Path(command.may_write[-1]).parent / "artifacts"))
            if key == "log_file" and value:
                command.may_write.append(value)
    if dice.random() < 0.03:
        command.arguments.append(
            dice.choice(("modle.x=1", "seed", "=", "+a=1", "--what", "data=nope", "model=gru", "seed=${a}"))
        )
    if dice.random() < 0.03:
        command.arguments += ["--config", _config_file(dice, inputs, types)]
    return command


def _skeleton(dice: random.Random, stage: str, folder: Path, models: dict[str, Path]) -> Command:
    """Return the stage with its files; some names are odd, and some outputs are there already."""
    inputs, command = folder / "in", Command([stage])
    multi = dice.random() < 0.2
    labels = LABELS[1] if stage == "evaluate" or dice.random() < 0.7 else dice.choice(LABELS)
    types = setting_types(STAGES[stage].config_class)

    def named(key: str, usual: str) -> str:
        value = dice.choice(ODD_PATHS) if dice.random() < 0.03 else usual
        command.arguments.append(f"{key}={value}")
        return value

    format = dice.choice(FORMATS if stage in ("label", "explain") else FORMATS_WITH_LABELS)

    def made(name: str) -> str:
        kind = format if dice.random() < 0.97 else ""
        return str(random_file(dice, inputs, name, labels=labels, multi=multi, format=kind).relative_to(folder))

    if "model_dir" in types:
        named("model_dir", str(models["multi" if multi else "single"]))
    if stage in ("prepare", "train", "run", "sweep", "curve", "evaluate"):
        if dice.random() < 0.02 and stage != "evaluate":
            command.arguments.append("data.limit=30")  # of the packaged articles, which are many
        else:
            command.arguments.append("data=files")
            if stage != "evaluate":
                named("data.train", made("train"))
            if stage == "evaluate" or dice.random() < 0.4:
                named("data.test", made("test"))
            if dice.random() < 0.2:
                named("data.validation", made("validation"))
        if multi:
            command.arguments.append("data.labels_column=labels")
        command.arguments.append("data.rare_label=keep")
    if stage in READ_LABELLED or (stage == "label" and dice.random() < 0.15):
        _labelled_before(dice, command, folder, models["multi" if multi else "single"])
        if stage != "label":
            named("output", command.earlier)
    elif stage in ("label", "explain"):
        names = [made("rows"), *([made("more")] if stage == "label" and dice.random() < 0.2 else [])]
        named("input", names[0] if len(names) == 1 else f"[{','.join(names)}]")
    if stage == "merge":
        named("train", made("train"))
        named("reviewed", str(random_reviewed(dice, inputs, labels=labels).relative_to(folder)))
    if "tracking.dir" in types:
        command.arguments.append("tracking=off" if dice.random() < 0.95 else "tracking.dir=tracking")
        command.may_write += ["tracking"]
    if "prepared_dir" in types:
        command.may_write.append(named("prepared_dir", "prepared"))
    _outputs(dice, stage, types, command, folder, named)
    if stage == "label":
        _label_options(dice, command)
    quick = list(QUICK)
    # Figures and parts of speech take most of the time of a small run.
    quick += [
        f"{key}=false" for key, share in (("evaluation.report", 0.75), ("text.pos", 0.6)) if dice.random() < share
    ]
    quick = [item for item in quick if item.partition("=")[0] in types]
    command.arguments[1:1] = quick
    # The choice of `auto` settings may try several networks.
    if "auto" in types and "training.epochs" in types and dice.random() < 0.85:
        command.arguments.append("auto=[]")
    return command


def _outputs(
    dice: random.Random, stage: str, types: dict[str, Any], command: Command, folder: Path, named: Any
) -> None:
    key = "review" if stage == "review" else "output_dir" if "output_dir" in types else "output"
    if key not in types or stage in ("trace", "replay"):
        return
    usual = {"label": dice.choice(("out.csv", "out.jsonl", "out.parquet", "out.xlsx", "out.tsv.gz", "out", "many/"))}
    usual |= {
        "explain": "out.html",
        "review": dice.choice(("", "", "todo.csv", "todo.jsonl", "todo.parquet", "todo.xlsx")),
    }
    usual |= {"merge": dice.choice(("new.csv", "new.jsonl", "new.parquet", "new.xlsx", "new.tsv.gz"))}
    if command.earlier and stage == "label":
        # The job goes on with an output that is there already.
        name = command.earlier
        command.arguments += [f"output={name}", f"labelling.append={dice.choice(('true', 'true', 'true', 'false'))}"]
        command.outputs.append(name)
    elif stage == "review" and not usual[stage]:
        name = f"{command.earlier}.review.csv"
    else:
        name = named(key, usual.get(stage, "out"))
    # The output, and what stands beside it: work folders, manifests, evaluations.
    if name:
        command.may_write.append(name)
    if name and dice.random() < 0.12 and name not in (*ODD_PATHS, command.earlier):
        earlier = folder / name
        if key == "output_dir" and dice.random() < 0.8:
            earlier.mkdir()
            earlier = earlier / "earlier.txt"
        earlier.write_text("an earlier output\n")
        command.outputs.append(str(earlier.relative_to(folder)))
    if "overwrite" in types and dice.random() < 0.5:
        command.arguments.append(f"overwrite={dice.choice(('true', 'false'))}")


def _label_options(dice: random.Random, command: Command) -> None:
    """Add options of `label` that a random setting would seldom be; a dry run may write nothing but its log."""
    log = ["--log-file", "log.txt"] if dice.random() < 0.1 else []
    command.may_write += ["log.txt"] if log else []
    if dice.random() < 0.12:
        command.arguments.append("dry_run=true")
        command.may_write = [name for name in command.may_write if name == "log.txt"]
    command.arguments += [*log, *(option for option in ("--json", "--quiet") if dice.random() < 0.1)]


def _labelled_before(dice: random.Random, command: Command, folder: Path, model: Path) -> None:
    """Write an output of the model, or one that no job wrote, with a manifest that is missing, broken or of another."""
    stage = command.arguments[0]
    if dice.random() < 0.7:
        command.earlier = copy_labelled(dice, model, folder)
        if stage == "label":
            later_rows(dice, folder / "in" / command.earlier.replace("earlier", "rows"))
            command.arguments.append(f"input=in/{command.earlier.replace('earlier', 'rows')}")
    else:
        command.earlier = "earlier.csv"
        (folder / "earlier.csv").write_text("text,predicted_label\na,b\nc,d\n")
        content = dice.choice(("", "{}", "[]", '{"version": 1}', "nonsense", json.dumps({"inputs": [], "rows": "x"})))
        if dice.random() < 0.8:
            (folder / "earlier.csv.manifest.json").write_text(content)
        if stage == "label":
            command.arguments.append("input=earlier.csv" if dice.random() < 0.1 else "input=in/words.txt")
    if stage in ("trace", "replay"):
        command.arguments.append(f"row={dice.choice((1, 2, 3, 9, 0))}")
    elif stage == "review":
        command.arguments.append(f"num_rows={dice.choice((1, 3, 100))}")


def _write_small_things(inputs: Path) -> None:
    (inputs / "words.txt").write_text("the\na\n\nnaïve\n")
    (inputs / "vectors.vec").write_text("3 4\ngoal 1 2 3 4\nbank 0 0 0 1\nshare nan 1 2 x\n")


def _config_file(dice: random.Random, inputs: Path, types: dict[str, Any]) -> str:
    path = inputs / "settings.yaml"
    key = dice.choice(list(types))
    group, _, leaf = key.rpartition(".")
    value = dice.choice(
        ("1", "true", "[a, b]", "null", "{a: 1}", "x", "'1'", "1e400", "2026-01-01", "!!python/object:x y")
    )
    path.write_text(dice.choice((f"{group or leaf}: {{{leaf}: {value}}}\n", f"{key}: {value}\n", "- 1\n", "a: [", "")))
    return str(path.relative_to(inputs.parent))


def _value(dice: random.Random, key: str, hint: Any) -> str:
    """Return a value for a setting of this type: mostly a likely one."""
    if key in AUTO_SETTINGS and dice.random() < 0.2:
        return AUTO
    if dice.random() < 0.04:
        return dice.choice(
            ("", "x", "null", "nan", "-inf", "1e999", "[", "[]", "'", "-1", str(10**18), "0x10", "1_0", "ü")
        )
    if hint is bool:
        return dice.choice(("true", "false"))
    if isinstance(hint, type) and issubclass(hint, StrEnum):
        return str(dice.choice(list(hint)).value)
    if key in COSTLY:
        return str(dice.choice(COSTLY[key]))
    if hint is int:
        return str(dice.choice((0, 1, 2, 3, 5, 20, 20)))
    if hint is float:
        return str(dice.choice((0.0, 0.01, 0.3, 0.5, 0.99, 1.0, 3.0)))
    if get_origin(hint) is list:
        known = ITEMS.get(key, ("x", "a,b", "'", ""))
        return f"[{','.join(dice.choices(known, k=dice.choice((0, 1, 1, 2))))}]"
    return dice.choice(TEXTS.get(key, ("", "x", "ü y", "a/b", "nope.txt")))
