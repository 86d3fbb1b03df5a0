"""A corpus of made-up rows with a teacher's answers, and trainings of a small model on it."""

import json
from pathlib import Path
from typing import Any

import numpy as np

from textlstm.cli import main
from textlstm.model_folder import load_saved_model

WORDS = {"film": ("actor", "plot", "scene"), "money": ("bank", "share", "profit"), "sport": ("goal", "match", "coach")}
SMALL = ["text=fast", "auto=[]", "model.hidden_size=8", "model.embedding_size=8", "training.epochs=2"]
SMALL += ["training=deterministic", "training.num_threads=1", "tracking=off", "data=files"]

Row = dict[str, Any]


def make_rows(num_rows: int, *, seed: int = 4) -> list[Row]:
    random = np.random.default_rng(seed)
    rows = []
    for row in range(num_rows):
        label = list(WORDS)[row % 3]
        rows.append({"text": f"{' '.join(random.choice(WORDS[label], 4))} number {seed} {row}", "label": label})
    return rows


def answer(row: Row, chance: float = 0.8) -> Row:
    """Return what a teacher says that is right about a row."""
    chances = {label: chance if label == row["label"] else (1 - chance) / 2 for label in WORDS}
    return {"text": row["text"], "probabilities": chances}


def write(path: Path, rows: list[Row]) -> str:
    path.write_text("\n".join(json.dumps(row) for row in rows))
    return str(path)


class Corpus:
    """Files of 90 training rows, 12 test rows, 60 unlabelled rows, and the answers of a teacher for all of them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.train, self.test = make_rows(90), make_rows(12, seed=5)
        self.further = make_rows(60, seed=6)
        self.unlabelled = [{"text": row["text"], "label": ["left", 1]} for row in self.further]
        self.answers = [answer(row) for row in (*self.train, *self.further)]

    def run(self, *settings: str) -> int:
        given = [
            f"data.{name}={write(self.folder / f'{name}.jsonl', getattr(self, name))}" for name in ("train", "test")
        ]
        write(self.folder / "unlabelled.jsonl", self.unlabelled)
        write(self.folder / "answers.jsonl", self.answers)
        places = [f"prepared_dir={self.folder / 'prepared'}", f"output_dir={self.folder / 'model'}", "overwrite=true"]
        settings = tuple(setting.replace("AT/", f"{self.folder}/") for setting in settings)
        return main(["train", *SMALL, *given, *places, *settings])

    def weights(self, *settings: str) -> dict[str, np.ndarray]:
        assert self.run(*settings) == 0
        return load_saved_model(self.folder / "model").weights
