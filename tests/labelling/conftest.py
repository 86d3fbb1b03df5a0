"""What the labelling tests share: a deterministic model, and a way to run jobs with it."""

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from fake_model import FAKE_MODELS

from textlstm.config import Engine, LabelConfig, LabellingConfig
from textlstm.labelling.job import label_files
from textlstm.labelling.model import ModelSource
from textlstm.labelling.summary import LabelSummary

Run = Callable[..., LabelSummary]


@pytest.fixture(autouse=True)
def _write_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let each write of a part reach its file by itself, so that faults come between them."""
    monkeypatch.setattr("textlstm.labelling.journal._WAITING_BYTES", 1)


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Label files of `tmp_path` with the fake model: run("in.csv", "out.csv", shard_rows=2)."""
    (tmp_path / "model").mkdir(exist_ok=True)

    def label(
        inputs: str | list[str],
        output: str,
        *,
        overwrite: bool = False,
        engine: Engine = Engine.local,
        models: ModelSource = FAKE_MODELS,
        **settings: object,
    ) -> LabelSummary:
        names = [inputs] if isinstance(inputs, str) else inputs
        config = LabelConfig(
            model_dir=str(tmp_path / "model"),
            input=[name if name == "-" or "://" in name else str(tmp_path / name) for name in names],
            output=output if output == "-" or "://" in output else str(tmp_path / output),
            labelling=LabellingConfig(**{"shard_rows": 3, "max_reject_fraction": 0.5, **settings}),  # type: ignore[arg-type]
            overwrite=overwrite,
            engine=engine,
        )
        return label_files(config, models=models)

    return label
