"""`TextClassifier`: fit from rows in memory, save, load, predict, evaluate and explain."""

import html
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Self

from textlstm.config import EARLY_EXIT, Device, EvaluationConfig, Precision, Task, TrackingConfig
from textlstm.errors import InputError
from textlstm.inference import classifier as inference
from textlstm.model_folder import card_facts, load_saved_model, named_model_dir, refuse_existing, save_saved_model
from textlstm.tracking.registry import resolve_model_dir

# Training, evaluating and explaining are imported by the methods that need them: they load torch, scipy and matplotlib,
# and spaCy imports this file for its factory.
if TYPE_CHECKING:
    from textlstm.library.explanations import Explanations
    from textlstm.library.report import EvaluationReport
    from textlstm.library.rows import GivenRows


class TextClassifier(inference.TextClassifier):
    """A text classifier: learned from labeled texts, or loaded from a folder or from MLflow.

    Example:
        classifier = TextClassifier.fit(["a fine film", "a dull film"] * 50, ["good", "bad"] * 50)
        classifier.predict(["a fine play"])[0].label
        classifier.save("model")
        TextClassifier.load("model")
    """

    @classmethod
    def fit(
        cls,
        texts: Iterable[object],
        labels: Iterable[object],
        *,
        weights: Iterable[object] | None = None,
        validation: tuple[Iterable[object], ...] | None = None,
        quality: str = "balanced",
        seed: int = 1,
        progress: bool = True,
        **settings: object,
    ) -> Self:
        """Return a classifier learned from labeled texts, the same that `textlstm train` makes from a file of them.

        Nothing is left on disk and nothing is sent to MLflow, unless settings ask for it.

        Args:
            texts: N texts: a list, array, series, Arrow or datasets column, or a table with a column `text`.
            labels: a label a text, or a list of labels a text for a classifier that gives several.
            weights: a number of at least 0 a text: how much it counts in learning and calibration; only proportions
                matter, and a text of weight 0 is left out. None: all count alike.
            validation: texts and labels, and perhaps weights, to choose and calibrate by. None: a part of `texts` is
                held out for that (`data.validation_fraction`).
            quality: `fast`, `balanced` or `best`: how many times over the training may take longer to be better.
            seed: of the weights, the order of batches and dropout.
            progress: show a bar in terminals and notebooks. What the command says on stderr goes to the logger
                `textlstm`.
            **settings: any setting of `textlstm train` by its key or the last part of it, such as `epochs=3` or
                `**{"training.epochs": 3}`; `output_dir="model"` keeps the model, `**{"tracking.enabled": True}` logs
                the run to MLflow.

        Raises:
            InputError: a row cannot be used; the message names it.
            ConfigError: a setting is unknown or out of range.
        """
        from textlstm.library.rows import GivenRows
        from textlstm.library.settings import train_config
        from textlstm.library.training import train_rows

        # No rows are held out for a test, unless a setting asks for it.
        config = train_config({"quality": quality, "seed": seed, "data.test_fraction": 0, **settings})
        rows = GivenRows.of(texts, labels, weights)
        held_out = None if validation is None else _held_out(validation, has_weights=weights is not None)
        if held_out is not None and held_out.is_multi_label != rows.is_multi_label:
            raise InputError("validation labels and labels must both be one label a row, or both lists of labels")
        saved_model = train_rows(rows, held_out, config, progress=progress)
        return cls(saved_model, device=config.training.device)

    @classmethod
    def load(
        cls,
        directory: str | Path,
        *,
        device: Device | str = Device.auto,
        num_threads: int | None = None,
        precision: Precision | str = Precision.fp32,
        without_torch: bool = False,
        early_exit: float = EARLY_EXIT,
        tracking_uri: str = "",
        tracking_dir: str = "tracking",
    ) -> Self:
        """Return the classifier saved in a folder or registered in MLflow.

        Args:
            directory: a model folder, `models:/NAME@ALIAS`, `models:/NAME/VERSION` or `runs:/RUN/model`.
            device: auto, cpu or cuda.
            num_threads: CPU threads of the networks; None means all cores.
            precision: fp32 or bf16 matrix products.
            without_torch: leave torch unloaded where numpy can compute the networks, which cannot be explained then.
            early_exit: part of the texts that may get another label because the linear expert decides alone where it is
                sure enough; 0: the networks read every text.
            tracking_uri: address of an MLflow server or sqlite:///FILE; empty means the store under `tracking_dir`.
            tracking_dir: folder of the default store.

        Raises:
            InputError: there is no such model in MLflow.
            IntegrityError: there is no model, or a file was changed.
        """
        # The address of a registered model is resolved first; what is loaded is always a folder.
        tracking = TrackingConfig(uri=tracking_uri, dir=tracking_dir)
        return cls(
            load_saved_model(resolve_model_dir(str(directory), tracking)),
            device=Device(device),
            num_threads=num_threads,
            precision=Precision(precision),
            without_torch=without_torch,
            early_exit=early_exit,
        )

    def save(self, directory: str | Path, *, overwrite: bool = False) -> Path:
        """Write the model folder that `load` and every stage of the command read; return it.

        Raises:
            InputError: the folder exists, and `overwrite` is false; or it is `.` or `..`.
            StorageError: the disk is full or read-only.
        """
        # An existing folder is refused before anything is written.
        model_dir = named_model_dir(directory)
        refuse_existing(model_dir, overwrite=overwrite)
        return save_saved_model(self.saved_model, model_dir)

    def evaluate(
        self,
        texts: Iterable[object],
        labels: Iterable[object],
        *,
        confidence: float = 0.95,
        bootstrap_samples: int = 1000,
        seed: int = 0,
    ) -> "EvaluationReport":
        """Return figures on labeled texts with intervals, beside TF-IDF + LinearSVC on the same rows.

        Args:
            texts: as in `fit`.
            labels: as in `fit`.
            confidence: of the intervals, in (0, 1).
            bootstrap_samples: resamples behind each interval.
            seed: of the resamples.

        Raises:
            InputError: a row cannot be used, or the labels are none of the model's.
        """
        from textlstm.library.report import EvaluationReport
        from textlstm.library.rows import GivenRows
        from textlstm.library.training import evaluate_given

        # A table gives its text column, as in `predict`; labels of the other kind are refused before any row is scored.
        rows = GivenRows.of(self.given_texts(texts), labels)
        if rows.is_multi_label != (self.saved_model.task is Task.multi_label):
            raise InputError(
                "labels are lists, but the model gives one label a text"
                if rows.is_multi_label
                else "labels are one a row, but the model gives a text several; give a list of labels for each text"
            )
        settings = EvaluationConfig(confidence=confidence, bootstrap_samples=bootstrap_samples, seed=seed)
        return EvaluationReport(evaluate_given(self, rows, settings))

    def explain(self, texts: Iterable[object], *, title: str = "Why the model decided") -> "Explanations":
        """Return why each text got its label: words, gates and n-grams; in a notebook, as a page.

        Raises:
            ConfigError: the model was exported, or loaded without torch.
            InputError: as `predict`.
        """
        from textlstm.library.explanations import Explanations

        given = self.given_texts(texts)
        self._torch_networks()  # before the texts are tagged: an exported model is refused, a forked process made ready
        return Explanations(self, given, title=title)

    def facts(self) -> dict[str, str]:
        """Return the facts about the model: labels, network, data, figures, size, digest."""
        return card_facts(self.saved_model)

    def __repr__(self) -> str:
        """Return a line with the labels and the network."""
        shown = ", ".join(self.labels[:5]) + (", ..." if len(self.labels) > 5 else "")
        model = self.saved_model.model
        return (
            f"TextClassifier({len(self.labels)} labels: {shown}; {model.encoder} of {model.hidden_size} units"
            f"{' + linear expert' if model.linear_expert else ''})"
        )

    def _repr_html_(self) -> str:
        """Return the facts as a table, for notebooks."""
        rows = "".join(
            f"<tr><th>{html.escape(name)}</th><td>{html.escape(value)}</td></tr>"
            for name, value in self.facts().items()
        )
        return f"<table><caption>TextClassifier</caption>{rows}</table>"


def _held_out(validation: tuple[Iterable[object], ...], *, has_weights: bool) -> "GivenRows":
    """Return validation rows, which weigh alike where texts alone have weights.

    Raises:
        InputError: there are not two or three columns, or they have weights and the texts have none.
    """
    from textlstm.library.rows import GivenRows

    if len(validation) not in (2, 3):
        raise InputError(f"validation has {len(validation)} columns; give (texts, labels) or (texts, labels, weights)")
    rows = GivenRows.of(*validation, name="validation ")
    if rows.weights is not None and not has_weights:
        raise InputError("validation has weights and texts have none; give weights=[1.0] * len(texts)")
    return replace(rows, weights=[1.0] * len(rows.texts)) if has_weights and rows.weights is None else rows
