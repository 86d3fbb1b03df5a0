"""Facts about a saved model, for people: those that `textlstm info` prints, and the card in every model folder."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

MAX_LABELS = 40
"""Labels that are named one by one."""
SHOWN_TRAINING = ("epochs", "batch_size", "learning_rate", "num_models", "deterministic")


def model_facts(
    config: Mapping[str, Any], manifest: Mapping[str, Any], *, num_bytes: int, digest: str
) -> dict[str, str]:
    """Return the known facts about a model, a line each, by name.

    Args:
        config: content of `config.json`.
        manifest: content of `manifest.json`; facts that earlier versions did not record are left out.
        num_bytes: size of its files.
        digest: `model_digest`.
    """
    labels, model, made = config["labels"], config["model"], manifest["provenance"]
    shown = ", ".join(map(str, labels[:MAX_LABELS])) + (" and others" if len(labels) > MAX_LABELS else "")
    facts = {
        "labels": f"{len(labels)}: {shown}",
        "task": f"{config['task']}",
        "network": _network(model),
        "linear expert": "TF-IDF n-grams and linear SVMs" if model["linear_expert"] else "none",
        "language": f"{config['text']['language']}, tokens of {manifest['spacy_model'] or 'spaCy without a model'}",
    }
    thresholds = config["thresholds"]
    if thresholds["abstain_below"]:
        facts["abstains"] = (
            f"below a probability of {thresholds['abstain_below']:.3f}, so that accepted rows are wrong at most "
            f"{thresholds['max_error']:.1%} of the time"
        )
    # Older manifests lack some of the following; a missing fact leaves its line out.
    if made.get("data_source"):
        facts["data"] = f"{made['data_source']}{_rows(made.get('num_rows', {}))}"
    facts |= {name: _figure(values) for name, values in made.get("figures", {}).items()}
    if training := made.get("training"):
        named = [f"training.{name}={_value(training[name])}" for name in SHOWN_TRAINING if name in training]
        facts["settings"] = f"seed={made.get('seed', '')} {' '.join(named)}"
    if made.get("run_id"):
        facts["run"] = f"{made['run_id']} in MLflow"
    facts["made with"] = f"textlstm {manifest['libraries'].get('textlstm', '')}"
    facts["size"] = f"{num_bytes / 1e6:.1f} MB" if num_bytes > 1e6 else f"{num_bytes / 1e3:.0f} kB"
    facts["digest"] = digest
    return facts


def model_card(facts: Mapping[str, str]) -> str:
    """Return the card as Markdown: the facts as a table, how to use the model, and the meaning of the figures."""
    rows = [f"| {name} | {_cell(value)} |" for name, value in facts.items()]
    return "\n".join(
        [
            "# A text classifier made by textlstm",
            "",
            "| | |",
            "|---|---|",
            *rows,
            "",
            "Figures of validation rows chose the model and are a little too good; those of test rows are not.",
            "Texts of another kind than the training rows are labeled with less success, and the model cannot tell.",
            "",
            "```python",
            "from textlstm import TextClassifier",
            "",
            'classifier = TextClassifier.load("THIS FOLDER")',
            'classifier.predict(["a text"])',
            "```",
            "",
            "    textlstm label model_dir=THIS_FOLDER input=rows.csv output=labelled.csv",
            "",
        ]
    )


def _network(model: Mapping[str, Any]) -> str:
    ways = "both ways" if model["bidirectional"] else "one way"
    return (
        f"{model['num_layers']}-layer {model['encoder']} of {model['hidden_size']} units, {ways}, "
        f"{model['pooling']} pooling"
    )


def _rows(num_rows: Mapping[str, int]) -> str:
    return "; rows: " + ", ".join(f"{count:,} {split}" for split, count in num_rows.items()) if num_rows else ""


def _figure(values: Sequence[float]) -> str:
    value, *interval = values
    return f"{value:.4f}" + (f" [{interval[0]:.4f}, {interval[1]:.4f}]" if interval else "")


def _value(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _cell(value: str) -> str:
    """Return a value that stays in its cell of the table."""
    return value.replace("|", "\\|").replace("\n", " ").replace("<", "&lt;")
