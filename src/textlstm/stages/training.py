"""One training as stages share it: prepare, fit, pick the best epoch, calibrate, save, and score the test split."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from textlstm.config import TrainConfig
from textlstm.corpus.prepared import PreparedCorpus
from textlstm.figure_text import score_text
from textlstm.fitting import Fitted, fit_classifier, typed_settings
from textlstm.fitting.cross_fit import write_label_errors
from textlstm.fitting.unfinished import UnfinishedWork, is_unfinished, unfinished_training
from textlstm.model_folder import add_figures, refuse_existing, save_saved_model
from textlstm.processes.devices import refuse_missing_gpu
from textlstm.processes.signals import cooperative_stop
from textlstm.saved_model import SavedModel, with_provenance
from textlstm.stages.choosing import Chosen, choose_settings, with_earlier_values
from textlstm.stages.evaluate import Evaluated, evaluate_split
from textlstm.stages.prepare import prepared
from textlstm.stages.screen import Advance, Stopwatch, note, progress
from textlstm.stages.teaching import taught
from textlstm.tracking.run import Tracker, open_run
from textlstm.training.job import EpochReport, Step


@dataclass(frozen=True, slots=True)
class Trained:
    """The outcome of a training."""

    corpus: PreparedCorpus
    model_dir: Path
    evaluated: Evaluated | None
    """The evaluation of the test split; None where there is none."""
    seconds: float
    figures: Mapping[str, float]
    """Figures of the making by name, such as `validation/accuracy`."""


@dataclass(frozen=True, slots=True)
class Family:
    """The run of several trainings that a training belongs to: a child that is not registered."""

    resume_key: str | None
    """Key of the parent run; None where nothing is tracked."""
    name: str
    """What sets this training apart, such as `seed 2`."""


def train_model(config: TrainConfig, *, model_dir: Path, evaluation_dir: Path, family: Family | None = None) -> Trained:
    """Train a model into `model_dir`, evaluate its test split into `evaluation_dir`, log both as one MLflow run.

    With `family` the run is a child of another, and the model is neither registered nor logged.

    Raises:
        InputError: `model_dir` holds a finished model and `config.overwrite` is false.
    """
    # Refuse a wrong call, then prepare the corpus or find it in the store.
    refuse_missing_gpu(training__device=config.training.device, text__tagger_device=config.text.tagger_device)
    # A training that was stopped after its model was saved still has its work folder, and is finished.
    refuse_existing(model_dir, overwrite=is_unfinished(model_dir) or config.overwrite)
    corpus = prepared(config)
    # Continue a training that was killed, with the run and the chosen values it had.
    unfinished = unfinished_training(model_dir, config, corpus)
    if unfinished.is_continued:
        note(f"continuing the unfinished training in {unfinished.directory}")
    watch = Stopwatch()
    chosen = _with_chosen_values(config, corpus, unfinished)
    config, corpus, values = chosen.config, chosen.corpus, chosen.values
    name = run_name(config, family)
    with open_run(
        config.tracking,
        stage="train",
        run_name=name,
        resume_run_id=unfinished.resume_key,
        parent_run_id=family.resume_key if family else None,
    ) as run:
        # From here on a kill leaves a folder from which the same command continues.
        unfinished.remember(run.resume_key, values)
        _log_inputs(run, config, corpus, values)

        # Fit; a signal writes a checkpoint first, from which the same command continues.
        with cooperative_stop() as stop, progress("training batches") as advance:
            epochs = _EpochLines(run, advance)
            fitted = fit_classifier(
                corpus,
                config,
                chosen.answers,
                work_dir=unfinished.directory,
                on_epoch=epochs.show_without_validation if config.training.cross_fit else epochs.show,
                on_refit_epoch=epochs.show_refit,
                on_step=epochs.show_step,
                on_wait=epochs.show_wait,
                stop=stop,
            )

        # Save, and log how it went.
        with progress("training") as advance:
            advance(0, None, "saving the model")
            save_saved_model(_with_provenance(fitted, config, corpus, run, values), model_dir)
        _log_outcome(run, fitted, seconds=watch.seconds)

        # Score the test split with the model as it was saved.
        evaluated = None
        if corpus.test is not None and len(corpus.test):
            evaluated = evaluate_split(
                model_dir, corpus.test, config, output_dir=evaluation_dir, run=run, corpus=corpus
            )
            add_figures(model_dir, _test_figures(evaluated))
            if not config.tracking.run_name:
                figures = evaluated.evaluation
                run.set_tags({NAME_TAG: f"{name} {score_text(figures.metrics.values[figures.main_figure])}"})
        if config.evaluation.label_errors:
            table = write_label_errors(corpus, config.data, evaluation_dir, seed=config.seed)
            note(f"training rows to look at: {table}")
        # The model is logged last, when its folder holds the test figures too.
        if family is None:
            run.log_model(model_dir, tags={"test_digest": test_digest(corpus)})
    # Model, figures and run are complete, so nothing is left to continue.
    unfinished.remove()
    note(*run.summary())
    return Trained(corpus, model_dir, evaluated, watch.seconds, fitted.metrics())


NAME_TAG = "mlflow.runName"
"""Setting this tag renames the run."""


def run_name(config: TrainConfig, family: Family | None = None) -> str:
    """Return the name of a run before its test figure is known: data, encoder, and what sets it apart."""
    ways = "bi" if config.model.bidirectional else ""
    name = config.tracking.run_name or f"{config.data.title} {ways}{config.model.encoder}"
    return f"{name} {family.name}" if family else name


def test_digest(corpus: PreparedCorpus) -> str:
    """Return the sha256 of the test rows; empty without any."""
    return corpus.test.digest if corpus.test is not None else ""


def _with_chosen_values(config: TrainConfig, corpus: PreparedCorpus, unfinished: UnfinishedWork) -> Chosen:
    """Return `config` without `auto`, its corpus, and the chosen values; a continued training keeps earlier ones."""
    if not config.auto:
        return Chosen(config, corpus, {}, taught(config, corpus))
    if unfinished.is_continued:
        # A measurement could choose other values today, and the checkpoint fits only those of before.
        return with_earlier_values(config, corpus, unfinished.values)
    with cooperative_stop() as stop:
        chosen = choose_settings(config, corpus, measure_speed=True, stop=stop)
    note(f"the same again: {typed_settings(chosen.values)} auto=[]")
    return chosen


@dataclass(frozen=True, slots=True)
class _EpochLines:
    """Reports each epoch: a line on the screen, a step of the bar, points of the run's curves."""

    run: Tracker
    advance: Advance

    def show_step(self, training: str, step: Step) -> None:
        place = f"epoch {step.epoch} of {step.last_epoch}"
        done = (step.epoch - 1) * step.num_batches + step.batch
        self.advance(done, step.last_epoch * step.num_batches, f"{training}, {place}" if training else place)

    def show_wait(self, what: str) -> None:
        self.advance(0, None, what)

    def show(self, report: EpochReport) -> None:
        self.run.log_metrics(_curve_points(report), step=report.epoch)
        line = (
            f"epoch {report.epoch}: loss {report.train_loss:.3f}, validation macro-F1 {report.macro_f1:.4f}, "
            f"accuracy {report.accuracy:.4f}, {report.tokens_per_second:,.0f} tokens/s"
        )
        note(line + (" *" if report.is_best else ""))

    def show_without_validation(self, report: EpochReport) -> None:
        self.run.log_metrics({"epoch/train_loss": report.train_loss}, step=report.epoch)
        line = f"training on all rows, epoch {report.epoch}: loss {report.train_loss:.3f}"
        note(line)

    def show_refit(self, report: EpochReport) -> None:
        self.run.log_metrics({"refit/train_loss": report.train_loss}, step=report.epoch)
        line = f"refit on all rows, epoch {report.epoch}: loss {report.train_loss:.3f}"
        note(line)


def _curve_points(report: EpochReport) -> dict[str, float]:
    return {
        "epoch/train_loss": report.train_loss,
        "epoch/validation_loss": report.validation_loss,
        "epoch/validation_macro_f1": report.macro_f1,
        "epoch/validation_accuracy": report.accuracy,
        "epoch/learning_rate": report.learning_rate,
        "epoch/tokens_per_second": report.tokens_per_second,
        "epoch/padding_share": report.padding_share,
    }


def _log_inputs(run: Tracker, config: TrainConfig, corpus: PreparedCorpus, values: dict[str, Any]) -> None:
    run.log_params(asdict(config) | {"auto_chosen": sorted(values)})
    source = ", ".join(config.data.train) or config.data.name or str(config.data.source)
    for context in ("train", "validation", "test"):
        split = getattr(corpus, context)
        if split is not None:
            run.log_dataset(config.data.title, context=context, digest=split.digest, num_rows=len(split), source=source)
    run.log_artifact(corpus.directory / "card.json", folder="data")
    run.log_artifact(corpus.directory / "card.html", folder="data", holds_text=True)


def _log_outcome(run: Tracker, fitted: Fitted, *, seconds: float) -> None:
    """Log the figures of the training, print what the vectors cover, and print and tag what happened on the way."""
    run.log_metrics(fitted.metrics() | {"train_seconds": seconds})
    note(*(f"vectors: {source}" for source in (fitted.embeddings.coverage if fitted.embeddings else ())))
    if fitted.events():
        note(*fitted.events())
        run.set_tags({"training_events": "; ".join(fitted.events())})
    if fitted.shortfall is not None:
        note(f"warning: {fitted.shortfall}")
        run.set_tags({"training_warnings": str(fitted.shortfall)})


def _test_figures(evaluated: Evaluated) -> dict[str, Sequence[float]]:
    """Return the main figures of the test rows, each with the ends of its interval."""
    metrics, names = evaluated.evaluation.metrics, (evaluated.evaluation.main_figure, "macro_f1")
    return {f"test/{name}": (metrics.values[name], *metrics.intervals[name]) for name in names}


def _with_provenance(
    fitted: Fitted, config: TrainConfig, corpus: PreparedCorpus, run: Tracker, values: dict[str, Any]
) -> SavedModel:
    # Digests and row counts say later which data the model was made from.
    splits = {
        name: split
        for name, split in (("train", corpus.train), ("validation", corpus.validation), ("test", corpus.test))
        if split is not None
    }
    return with_provenance(
        fitted.saved_model,
        run_id=run.run_id or "",
        corpus=corpus.key,
        data_digests={name: split.digest for name, split in splits.items()},
        num_rows={name: len(split) for name, split in splits.items()},
        data_source=str(config.data.source),
        seed=config.seed,
        training=asdict(config.training),
        chosen_settings=values,
        epochs=_epochs(fitted),
        **({"warnings": [str(fitted.shortfall)]} if fitted.shortfall is not None else {}),
        figures={name: [value] for name, value in fitted.metrics().items() if name.startswith("validation/")},
    )


def _epochs(fitted: Fitted) -> dict[str, Any]:
    """Return the training of the first network for the report: a line of figures an epoch, and the chosen epoch.

    Validation figures are None where no rows were held out (cross-fitting).
    """
    result = fitted.results[0]
    held_out = any(epoch.accuracy or epoch.macro_f1 for epoch in result.history)
    figures = [
        [epoch.train_loss, epoch.validation_loss if held_out else None, epoch.macro_f1 if held_out else None]
        for epoch in result.history
    ]
    return {"best": result.best_epoch if held_out else None, "figures": figures}
