"""`textlstm train`: prepare, fit, pick the best epoch, calibrate, save, and score the test split."""

import hashlib
import json
import shutil
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np

from textlstm.config import Task, TrainConfig
from textlstm.corpus.preparation.prepare import prepare_corpus
from textlstm.corpus.prepared import PreparedCorpus
from textlstm.errors import InputError
from textlstm.evaluation.label_errors import QUALITY_FILE, quality_table
from textlstm.fitting import Fitted, fit_classifier, join_training
from textlstm.model_folder import SavedModel, save_saved_model, with_provenance
from textlstm.processes.distributed import follows_another
from textlstm.processes.signals import cooperative_stop
from textlstm.stages.evaluate import Evaluated, evaluate_split, print_evaluation
from textlstm.stages.prepare import prepared
from textlstm.stages.screen import Stopwatch, note, progress, say
from textlstm.tracking.run import Tracker, open_run
from textlstm.training.job import EpochReport

SETTINGS_FILE = "settings.json"


@dataclass(frozen=True, slots=True)
class Trained:
    """What stage train leaves behind."""

    corpus: PreparedCorpus
    model_dir: Path
    evaluated: Evaluated | None
    """The evaluation of the test split; None where there is none."""
    seconds: float


def train(config: TrainConfig) -> None:
    """Train a model into `config.output_dir` and print how good it is; under `torchrun`, in all its processes."""
    if follows_another():
        with cooperative_stop() as stop:
            store = Path(config.prepared_dir)
            corpus = prepare_corpus(config.data, config.text, prepared_dir=store, num_workers=config.num_workers)
            join_training(corpus, config, stop=stop)
        return
    model_dir = Path(config.output_dir)
    trained = train_model(
        config, model_dir=model_dir, evaluation_dir=model_dir.with_name(f"{model_dir.name}-evaluation")
    )
    if trained.evaluated is not None:
        print_evaluation(trained.evaluated)
    say(f"model       {trained.model_dir}")


def train_model(config: TrainConfig, *, model_dir: Path, evaluation_dir: Path) -> Trained:
    """Train a model into `model_dir`, evaluate its test split into `evaluation_dir`, log both as one MLflow run.

    Raises:
        InputError: `model_dir` holds a finished model and `config.overwrite` is false.
    """
    refuse_existing(model_dir, overwrite=config.overwrite)
    corpus = prepared(config)
    work_dir, resume_key = _work_dir(config, corpus, model_dir)
    watch = Stopwatch()
    name = (
        config.tracking.run_name or f"{model_dir.name} {config.data.source} {config.model.encoder} seed {config.seed}"
    )
    with open_run(config.tracking, stage="train", run_name=name, resume_run_id=resume_key) as run:
        _remember(work_dir, config, corpus, run)
        _log_inputs(run, config, corpus)
        fitted = _fit(config, corpus, work_dir=work_dir, run=run)
        saved_model = _with_provenance(fitted.saved_model, config, corpus, run)
        save_saved_model(saved_model, model_dir)
        _log_outcome(run, fitted, seconds=watch.seconds)
        evaluated = None
        if corpus.test is not None and len(corpus.test):
            evaluated = evaluate_split(
                model_dir,
                corpus.test,
                config,
                output_dir=evaluation_dir,
                run=run,
            )
        if config.evaluation.label_errors:
            note(_write_label_errors(corpus, config, evaluation_dir))
        run.log_model(model_dir, tags={"test_digest": corpus.test.digest if corpus.test is not None else ""})
    shutil.rmtree(work_dir, ignore_errors=True)
    note(*run.summary())
    return Trained(corpus, model_dir, evaluated, watch.seconds)


def _write_label_errors(corpus: PreparedCorpus, config: TrainConfig, directory: Path) -> str:
    """Write the table of training rows to look at; return a line that says where. It holds texts: never for MLflow."""
    assert corpus.train is not None
    targets = corpus.train.targets(corpus.labels, corpus.task)
    found = quality_table(
        corpus.train.texts(),
        targets.astype(np.bool_) if corpus.task is Task.multi_label else targets.astype(np.int64),
        ids=corpus.train.ids(),
        labels=corpus.labels,
        task=corpus.task,
        seed=config.seed,
        evaluated_texts=corpus.test.texts() if corpus.test is not None else (),
        text_column=config.data.text_column,
        label_column=config.data.labels_column or config.data.label_column,
    )
    directory.mkdir(parents=True, exist_ok=True)
    found.write(directory / QUALITY_FILE)
    return f"training rows to look at: {directory / QUALITY_FILE}"


def refuse_existing(model_dir: Path, *, overwrite: bool) -> None:
    """Refuse to replace what is in `model_dir` unless asked to.

    Raises:
        InputError: there is something, and `overwrite` is false.
    """
    if model_dir.is_dir() and any(model_dir.iterdir()) and not overwrite:
        raise InputError(f"{model_dir}: holds a model; set overwrite=true to replace it, or another output_dir")
    if model_dir.exists() and not model_dir.is_dir():
        raise InputError(f"{model_dir}: is a file; set output_dir to a folder")


def _fit(config: TrainConfig, corpus: PreparedCorpus, *, work_dir: Path, run: Tracker) -> Fitted:
    """Fit with a bar and a line an epoch; a signal writes a checkpoint first."""
    with cooperative_stop() as stop, progress("training") as advance:

        def show(report: EpochReport) -> None:
            run.log_metrics(_curve_points(report), step=report.epoch)
            line = (
                f"epoch {report.epoch}: loss {report.train_loss:.3f}, validation macro-F1 {report.macro_f1:.4f}, "
                f"accuracy {report.accuracy:.4f}, {report.tokens_per_second:,.0f} tokens/s"
            )
            advance(report.epoch, config.training.epochs, line)
            note(line + (" *" if report.is_best else ""))

        def show_refit(report: EpochReport) -> None:
            run.log_metrics({"refit/train_loss": report.train_loss}, step=report.epoch)
            line = f"refit on all rows, epoch {report.epoch}: loss {report.train_loss:.3f}"
            advance(report.epoch, config.training.epochs, line)
            note(line)

        return fit_classifier(corpus, config, work_dir=work_dir, on_epoch=show, on_refit_epoch=show_refit, stop=stop)


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


def _work_dir(config: TrainConfig, corpus: PreparedCorpus, model_dir: Path) -> tuple[Path, str | None]:
    """Return the folder of checkpoints, and the run to continue where these settings were interrupted."""
    work_dir = model_dir.with_name(f"{model_dir.name}.unfinished")
    settings = work_dir / SETTINGS_FILE
    if settings.is_file():
        before = json.loads(settings.read_text(encoding="utf-8"))
        if before["digest"] == _digest(config, corpus):
            note(f"continuing the unfinished training in {work_dir}")
            return work_dir, before["resume_key"]
        if not config.overwrite:
            raise InputError(
                f"{work_dir}: holds an unfinished training with other settings or data; "
                "set overwrite=true to start anew, or another output_dir"
            )
    shutil.rmtree(work_dir, ignore_errors=True)
    work_dir.mkdir(parents=True)
    return work_dir, None


def _remember(work_dir: Path, config: TrainConfig, corpus: PreparedCorpus, run: Tracker) -> None:
    content = {"digest": _digest(config, corpus), "resume_key": run.resume_key}
    (work_dir / SETTINGS_FILE).write_text(json.dumps(content), encoding="utf-8")


def _digest(config: TrainConfig, corpus: PreparedCorpus) -> str:
    """Return what must be equal for an unfinished training to be continued."""
    content = [corpus.key, asdict(config.model), asdict(config.training), asdict(config.evaluation), config.seed]
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def _log_inputs(run: Tracker, config: TrainConfig, corpus: PreparedCorpus) -> None:
    run.log_params(asdict(config))
    source = ", ".join(config.data.train) or config.data.name or str(config.data.source)
    for context in ("train", "validation", "test"):
        split = getattr(corpus, context)
        if split is not None:
            run.log_dataset(
                str(config.data.source), context=context, digest=split.digest, num_rows=len(split), source=source
            )
    run.log_artifact(corpus.directory / "card.json", folder="data")


def _log_outcome(run: Tracker, fitted: Fitted, *, seconds: float) -> None:
    """Log the figures of the making; say what the vectors cover and what happened, and tag the run with the latter."""
    run.log_metrics(fitted.metrics() | {"train_seconds": seconds})
    note(*(f"vectors: {source}" for source in (fitted.embeddings.coverage if fitted.embeddings else ())))
    if fitted.events():
        note(*fitted.events())
        run.set_tags({"training_events": "; ".join(fitted.events())})


def _with_provenance(saved_model: SavedModel, config: TrainConfig, corpus: PreparedCorpus, run: Tracker) -> SavedModel:
    digests = {
        name: split.digest
        for name, split in (("train", corpus.train), ("validation", corpus.validation), ("test", corpus.test))
        if split is not None
    }
    return with_provenance(
        saved_model,
        run_id=run.run_id or "",
        corpus=corpus.key,
        data_digests=digests,
        data_source=str(config.data.source),
        seed=config.seed,
        training=asdict(replace(config.training)),
    )
