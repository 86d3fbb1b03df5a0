"""Every shipped choice composes into the schema, and none can name code."""

from pathlib import Path

import pytest
import yaml

from textlstm.cli.main import STAGES
from textlstm.cli.settings import compose_config, conf_dir, group_choices

CASES = [
    (stage, group, choice)
    for stage, entry in STAGES.items()
    for group, choices in group_choices(entry.config_class).items()
    for choice in choices
]


@pytest.mark.parametrize("stage", list(STAGES))
def test_defaults_compose(stage: str) -> None:
    assert isinstance(compose_config(stage, STAGES[stage].config_class, []), STAGES[stage].config_class)


@pytest.mark.parametrize(("stage", "group", "choice"), CASES)
def test_every_choice_composes(stage: str, group: str, choice: str) -> None:
    extra = ["data.name=x"] if (group, choice) == ("data", "hub") else []
    config = compose_config(stage, STAGES[stage].config_class, [f"{group}={choice}", *extra])
    assert isinstance(config, STAGES[stage].config_class)


@pytest.mark.parametrize("path", sorted(conf_dir().rglob("*.yaml")), ids=lambda path: str(path.relative_to(conf_dir())))
def test_choices_hold_plain_values(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert "_target_" not in text
    assert text.startswith("# "), "say in the first line what the choice is"
    assert isinstance(yaml.safe_load(text), dict)


def test_every_stage_has_its_defaults_file() -> None:
    assert sorted(set(STAGES) - {path.stem for path in conf_dir().glob("*.yaml")}) == []
