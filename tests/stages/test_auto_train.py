"""`textlstm train` with data settings alone, and again with the values that its model folder names."""

import json
import random
from pathlib import Path

import pytest

from textlstm.cli.main import main
from textlstm.fitting import typed_settings

pytestmark = pytest.mark.long

WORDS = {"sport": ("goal", "match", "coach"), "money": ("bank", "share", "profit")}


def test_the_values_in_the_manifest_give_the_same_model(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    dice = random.Random(1)
    lines = ["text,label"]
    for number in range(120):
        label = list(WORDS)[number % 2]
        lines.append(f"{' '.join(dice.choices((*WORDS[label], 'the', 'said', 'of', 'new'), k=3 + number % 7))},{label}")
    (tmp_path / "rows.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    shared = ["data=files", f"data.train={tmp_path / 'rows.csv'}", f"prepared_dir={tmp_path / 'prepared'}"]
    shared += ["tracking=off", "evaluation.report=false", "training=deterministic"]

    assert main(["train", *shared, f"output_dir={tmp_path / 'auto'}"]) == 0
    said = capsys.readouterr().err
    manifest = json.loads((tmp_path / "auto" / "manifest.json").read_text(encoding="utf-8"))
    values = manifest["provenance"]["chosen_settings"]
    [line] = [line for line in said.splitlines() if line.startswith("the same again: ")]
    assert sorted(line.split()[3:]) == sorted([*typed_settings(values).split(), "auto=[]"])
    assert values["model.embeddings"] == ["wordllama"]
    assert values["training.cross_fit"] == 5

    again = [*typed_settings(values).split(), "auto=[]"]
    assert main(["train", *shared, *again, f"output_dir={tmp_path / 'typed'}"]) == 0
    assert "auto: " not in capsys.readouterr().err
    for name in ("weights.safetensors", "vocabulary.txt", "config.json"):
        assert (tmp_path / "auto" / name).read_bytes() == (tmp_path / "typed" / name).read_bytes()
    other = [*again, "training.epochs=1"]  # the negative control
    assert main(["train", *shared, *other, f"output_dir={tmp_path / 'other'}"]) == 0
    weights = "weights.safetensors"
    assert (tmp_path / "auto" / weights).read_bytes() != (tmp_path / "other" / weights).read_bytes()
