"""Ludwig: its text feature with the rnn encoder, a bidirectional LSTM; words split at white space and punctuation."""

import logging
import os
from collections.abc import Callable, Sequence
from pathlib import Path

import pandas as pd
from ludwig.api import LudwigModel  # type: ignore[import-not-found]
from rows import main

EPOCHS = 5
CONFIG = {
    "input_features": [
        {
            "name": "text",
            "type": "text",
            "preprocessing": {"tokenizer": "space_punct", "max_sequence_length": 400},
            "encoder": {
                "type": "rnn",
                "cell_type": "lstm",
                "bidirectional": True,
                "embedding_size": 100,
                "state_size": 128,
            },
        }
    ],
    "output_features": [{"name": "label", "type": "category"}],
    "trainer": {"epochs": EPOCHS, "batch_size": 64},
}


def train(texts: list[str], labels: list[str], model: Path) -> None:
    """Fit and store the model; Ludwig takes its own validation rows."""
    os.chdir(model.parent)  # it leaves a lock file where it runs
    classifier = LudwigModel(CONFIG, logging_level=logging.ERROR)
    rows = pd.DataFrame({"text": texts, "label": labels})
    classifier.train(rows, random_seed=1, skip_save_processed_input=True, output_directory=f"{model}.work")
    classifier.save(str(model))


def label(model: Path) -> Callable[[Sequence[str]], list[tuple[str, float]]]:
    """Return the function that labels texts."""
    classifier = LudwigModel.load(str(model), logging_level=logging.ERROR)

    def predict(texts: Sequence[str]) -> list[tuple[str, float]]:
        found, _ = classifier.predict(pd.DataFrame({"text": list(texts)}))
        return list(zip(found["label_predictions"], map(float, found["label_probability"]), strict=True))

    return predict


if __name__ == "__main__":
    main(train, label)
