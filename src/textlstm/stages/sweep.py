"""`textlstm sweep`: search settings; a parent run with a child a trial, a table, and the best settings as a file."""

import json
import time
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path

import numpy as np
from sklearn.metrics import accuracy_score, f1_score

from textlstm.config import Engine, SweepConfig, Task, TrainConfig
from textlstm.config.overrides import with_settings
from textlstm.corpus.preparation.prepare import prepare_corpus
from textlstm.corpus.prepared import PreparedCorpus
from textlstm.errors import ConfigError, Interrupted, TextLSTMError
from textlstm.evaluation.scored_rows import correct_rows, decide
from textlstm.fitting import Fitted, fit_classifier
from textlstm.fitting.labelled_rows import labelled_rows
from textlstm.fitting.sampling import bounded_rows
from textlstm.inference.classifier import TextClassifier
from textlstm.processes.devices import num_cores, refuse_missing_gpu
from textlstm.processes.ray_cluster import ray_cluster
from textlstm.processes.signals import cooperative_stop
from textlstm.stages.choosing import choose_settings
from textlstm.stages.prepare import prepared
from textlstm.stages.screen import note, progress, say, table
from textlstm.storage.files import atomic_file
from textlstm.sweeping.ray_trials import run_on_ray
from textlstm.sweeping.search import SearchResult, run_search
from textlstm.sweeping.space import fixed_settings, refuse_impossible
from textlstm.sweeping.study import SweepStudy, refuse_other_files
from textlstm.sweeping.trials import Report, TrialResult
from textlstm.tracking.run import open_run
from textlstm.tracking.tracked_runs import PairedRows
from textlstm.training.job import EpochReport

PARENT_FILE = "parent.json"
SPEED_ROWS = 500
"""At most this many validation texts are labelled to measure `label_speed`."""


def sweep(config: SweepConfig) -> None:
    """Run the trials that are not done yet, print the table of results and where the best settings are.

    Raises:
        ConfigError: nothing to search, keys or values that no trial could have, or a folder of another sweep.
        TextLSTMError: no trial was completed.
    """
    if not config.sweep.space:
        raise ConfigError("sweep.space: name what to search, such as sweep.space=model.hidden_size=64,128")
    # Refuse what no trial could use, before the corpus is prepared.
    refuse_missing_gpu(training__device=config.training.device, text__tagger_device=config.text.tagger_device)
    refuse_impossible(config)
    output_dir = Path(config.output_dir)
    refuse_other_files(output_dir)
    # Prepare once; the trials find the corpus in the store. Values left to `auto` are chosen once for all trials.
    corpus = prepared(config)
    config, corpus = _with_chosen_values(config, corpus)
    fixed = fixed_settings(config, corpus_key=corpus.key)
    # Refused here, another sweep's folder leaves no trace in its MLflow run.
    with SweepStudy(config.sweep, output_dir, fixed=fixed):
        pass
    with open_run(
        config.tracking, stage="sweep", run_name=f"sweep {output_dir.name}", resume_run_id=_parent_key(output_dir)
    ) as run:
        # Remember the parent run at once: a sweep that is killed later continues under the same parent.
        with atomic_file(output_dir / PARENT_FILE) as stream:
            stream.write(json.dumps({"resume_key": run.resume_key}).encode())
        run.log_params(asdict(config))
        with cooperative_stop() as stop, progress("trials", lines=False) as advance:

            def show(trial: TrialResult) -> None:
                note(_line(trial))
                advance(trial.number + 1, config.sweep.num_trials, "")

            # Search; the trials that are done stay in the journal on disk when a signal ends the search.
            trial_config = _trial_config(config)
            objective = partial(run_trial, trial_config, run.resume_key)
            on_ray = config.engine is Engine.ray
            try:
                # The processes of trials that run side by side join the cluster of this one.
                with ray_cluster() if on_ray else nullcontext():
                    result = run_search(
                        config.sweep,
                        partial(run_on_ray, objective) if on_ray else objective,
                        output_dir=output_dir,
                        fixed=fixed,
                        on_trial=show,
                        stop=stop,
                    )
            except Interrupted as signal:  # in the middle of a trial, which the next sweep runs again
                raise Interrupted(signal.signal_number, "sweep stopped; the same command continues it") from signal
        # Log and print the outcome while the run is open, so that an empty sweep fails its run as well.
        for name in config.sweep.objectives if result.best else ():
            run.log_metrics({f"best/{name}": result.best[0].values[name]})
        run.log_artifact(result.table_path, folder="sweep")
        if result.best_path:
            run.log_artifact(result.best_path, folder="sweep")
        header = ("trial", "state", *config.sweep.objectives, "settings")
        table("trials", header, [_cells(trial, config.sweep.objectives) for trial in result.trials])
        say(f"table       {result.table_path}")
        if not result.best:  # the run of MLflow fails, too
            raise TextLSTMError(_nothing_completed(result, output_dir))
    if result.best_path:
        say(f"best        {result.best_path}   (textlstm train --config {result.best_path})")


def run_trial(config: TrainConfig, parent_key: str | None, overrides: list[str], report: Report) -> dict[str, float]:
    """Train once with `overrides` and return the validation figures; its run is a child of the sweep's."""
    settings = with_settings(config, overrides)
    # The trial may change settings of the text, which lead to another corpus in the store.
    corpus = prepare_corpus(settings.data, settings.text, prepared_dir=Path(settings.prepared_dir), num_workers=0)
    with open_run(settings.tracking, stage="trial", run_name=_trial_name(overrides), parent_run_id=parent_key) as run:
        run.log_params(asdict(settings))

        def on_epoch(epoch: EpochReport) -> None:
            run.log_metrics({"epoch/validation_macro_f1": epoch.macro_f1}, step=epoch.epoch)
            report(epoch.epoch, epoch.macro_f1)

        fitted = fit_classifier(corpus, settings, on_epoch=on_epoch)
        predicted = _predicted(fitted, corpus.task)
        figures = _figures(fitted, corpus, predicted)
        run.log_metrics({f"validation/{name}": value for name, value in figures.items()})
        run.log_paired_rows(_validation_rows(fitted, corpus, predicted, seed=settings.seed))
    return figures


def _trial_name(overrides: Sequence[str]) -> str:
    """Return the name of a trial's run, without the `=` that a command would take for a setting.

    >>> _trial_name(["model.hidden_size=64", "training.learning_rate=0.004"])
    'hidden_size 64, learning_rate 0.004'
    """
    pairs = (override.partition("=") for override in overrides)
    return ", ".join(f"{key.rpartition('.')[2]} {value}" for key, _, value in pairs)


def _predicted(fitted: Fitted, task: Task) -> np.ndarray:
    """Return (N,) label ids or (N, L) bool of the validation rows."""
    thresholds = np.asarray(fitted.saved_model.thresholds.per_class) if task is Task.multi_label else None
    return decide(fitted.validation_probabilities, task, thresholds)


def _validation_rows(fitted: Fitted, corpus: PreparedCorpus, predicted: np.ndarray, *, seed: int) -> PairedRows:
    """Return which validation rows the trial has right, so that `compare` can tell trials apart row by row."""
    assert corpus.validation is not None
    targets = fitted.validation_targets
    several = [-1] * len(targets)
    # With several labels a row there is no single class to count by; -1 says so.
    is_multi = corpus.task is Task.multi_label
    return PairedRows(
        ids=bounded_rows(labelled_rows(corpus), seed=seed).validation.ids(),
        correct=correct_rows(targets.astype(np.bool_) if is_multi else targets, predicted).tolist(),
        label_ids=several if is_multi else targets.tolist(),
        predicted_ids=several if is_multi else predicted.tolist(),
        digest=corpus.validation.digest,
    )


def _figures(fitted: Fitted, corpus: PreparedCorpus, predicted: np.ndarray) -> dict[str, float]:
    targets = fitted.validation_targets
    assert corpus.validation is not None
    texts = corpus.validation.texts()[:SPEED_ROWS]
    classifier = TextClassifier(fitted.saved_model)
    # The first prediction pays for lazy loading, so it is left out of the measured time.
    classifier.predict(texts[:1])
    started = time.perf_counter()
    classifier.predict(texts)
    return {
        "macro_f1": float(f1_score(targets, predicted, average="macro", zero_division=0)),
        "accuracy": float(accuracy_score(targets, predicted)),
        "model_size": float(sum(value.nbytes for value in fitted.saved_model.weights.values())),
        "label_speed": len(texts) / (time.perf_counter() - started),
    }


def _with_chosen_values(config: SweepConfig, corpus: PreparedCorpus) -> tuple[SweepConfig, PreparedCorpus]:
    """Return `config` with values for what is `auto` and not searched, and the corpus."""
    # A setting that is searched gets its value from the search, even if it is also `auto`.
    searched = {entry.partition("=")[0] for entry in config.sweep.space}
    config = replace(config, auto=[key for key in config.auto if key not in searched])
    chosen = choose_settings(config, corpus, measure_speed=False)
    values = chosen.config
    config = replace(config, text=values.text, model=values.model, training=values.training, auto=[])
    return config, chosen.corpus


def _trial_config(config: SweepConfig) -> SweepConfig:
    """Return the settings of trials: no refit, folds or baseline, for validation decides; parallel ones share cores."""
    threads = config.training.num_threads or max(1, num_cores() // config.sweep.jobs)
    return replace(
        config,
        training=replace(config.training, num_threads=threads, refit=False, cross_fit=0),
        evaluation=replace(config.evaluation, baseline=False),
    )


def _parent_key(output_dir: Path) -> str | None:
    """Return the run that an earlier, unfinished call of this sweep opened."""
    file = output_dir / PARENT_FILE
    if not file.is_file():
        return None
    key: str | None = json.loads(file.read_text(encoding="utf-8"))["resume_key"]
    return key


def _nothing_completed(result: SearchResult, output_dir: Path) -> str:
    errors = [trial.error for trial in result.trials if trial.error]
    reason = f"; the first failed with: {errors[0]}" if errors else ""
    return (
        f"{output_dir}: none of {len(result.trials)} trials was completed{reason}; "
        "correct the settings and choose another output_dir"
    )


def _line(trial: TrialResult) -> str:
    figures = ", ".join(f"{name} {value:.4g}" for name, value in trial.values.items())
    outcome = f"trial {trial.number}: {trial.state} {figures or trial.error}"
    return f"{outcome} ({' '.join(trial.overrides)}, {trial.seconds:.0f} s)"


def _cells(trial: TrialResult, objectives: list[str]) -> tuple[str, ...]:
    figures = (f"{trial.values[name]:.4g}" if name in trial.values else "" for name in objectives)
    return (str(trial.number), str(trial.state), *figures, " ".join(trial.overrides))
