"""Labels for a `datasets.Dataset`: a function for its `map`, which caches what it computed.

rows = rows.map(Labeller("model"), batched=True, batch_size=1000)
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from textlstm.library.classifier import TextClassifier
from textlstm.model_folder import model_digest


class Labeller:
    """Adds the columns label, probability and decision to batches of rows.

    `datasets` keeps results under a digest of the function, for which it pickles it. A labeller pickles as the digest
    of its model, so the same model on the same rows is computed once, and a model changed in place is computed again.
    """

    def __init__(self, model: str | Path, *, column: str = "text", prefix: str = "", device: str = "auto") -> None:
        """Check that there is a model; it is loaded with the first batch of each process.

        Args:
            model: a model folder.
            column: the column with the texts; missing texts are `empty`.
            prefix: begins the names of the added columns.
            device: auto, cpu or cuda.

        Raises:
            IntegrityError: there is no model.
        """
        self._settings = (str(Path(model).resolve()), column, prefix, device)
        self._digest = model_digest(Path(model))
        self._classifier: TextClassifier | None = None

    def __call__(self, batch: Mapping[str, list[Any]]) -> dict[str, list[Any]]:
        """Return the added columns of a batch of rows; `label` holds lists where the model gives a text several."""
        model, column, prefix, device = self._settings
        if self._classifier is None:
            self._classifier = TextClassifier.load(model, device=device)
        predictions = self._classifier.predict(["" if text is None else text for text in batch[column]])
        # A list and not one text with commas: a label may hold commas.
        several = self._classifier.is_multi_label
        return {
            f"{prefix}label": [list(found.labels) if several else found.label for found in predictions],
            f"{prefix}probability": [prediction.probability for prediction in predictions],
            f"{prefix}decision": [str(prediction.decision) for prediction in predictions],
        }

    def __getstate__(self) -> dict[str, Any]:
        """Leave out the loaded model: every process loads its own, and the digest stands for it."""
        return {"_settings": self._settings, "_digest": self._digest, "_classifier": None}
