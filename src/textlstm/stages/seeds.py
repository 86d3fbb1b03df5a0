"""Several trainings with different seeds in one command: their spread, and the model in the middle."""

import json
import shutil
import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

from textlstm.config import TrainConfig
from textlstm.errors import ConfigError
from textlstm.figure_text import fixed, score_text
from textlstm.fitting.cross_fit import write_label_errors
from textlstm.fitting.unfinished import UnfinishedWork, is_unfinished, unfinished_seeds
from textlstm.model_folder import refuse_existing
from textlstm.processes.distributed import under_torchrun
from textlstm.processes.signals import cooperative_stop
from textlstm.stages.choosing import choose_settings
from textlstm.stages.evaluate import evaluate_split
from textlstm.stages.prepare import prepared
from textlstm.stages.screen import Stopwatch, note, table
from textlstm.stages.training import (
    NAME_TAG,
    Family,
    Trained,
    run_name,
    test_digest,
    train_model,
)
from textlstm.storage.files import atomic_file, atomic_folder
from textlstm.tracking.run import open_run

SEEDS_FILE = "seeds.json"


@dataclass(frozen=True, slots=True)
class SeedResult:
    """The figures of one seed."""

    seed: int
    validation: float
    """The validation figure that decides which model is kept."""
    figures: dict[str, float]
    """Test figures by name: accuracy and macro_f1; with several labels a row micro_f1 in place of accuracy."""
    is_kept: bool = False


class TrainedSeeds(NamedTuple):
    """The model that is kept, and the figures of all seeds; those are empty where there was one seed."""

    kept: Trained
    results: tuple[SeedResult, ...]


def train_seeds(config: TrainConfig, *, model_dir: Path, evaluation_dir: Path) -> TrainedSeeds:
    """Train `config.seeds` models, and keep the one of the median validation figure; of an even number, the lower.

    Each training is a child of one MLflow run, which holds mean and standard deviation and registers the model that is
    kept. The trainings lie beside the model folder as `NAME.seeds` until all are done: the same command continues them.

    Raises:
        ConfigError: several seeds under `torchrun`.
        InputError: `model_dir` holds a finished model and `config.overwrite` is false.
    """
    if config.seeds == 1:
        return TrainedSeeds(train_model(config, model_dir=model_dir, evaluation_dir=evaluation_dir), ())
    if under_torchrun():
        raise ConfigError("seeds: torchrun trains one model; start it once a seed")
    # Trainings that were stopped after the model was saved still have their folder, and are finished.
    refuse_existing(model_dir, overwrite=is_unfinished(model_dir, seeds=config.seeds) or config.overwrite)
    # What is left to `auto` is chosen once, so that the trainings differ by nothing but their seeds.
    watch = Stopwatch()
    corpus = prepared(config)
    with cooperative_stop() as stop:
        chosen = choose_settings(config, corpus, measure_speed=False, stop=stop)
    config, corpus, values = chosen.config, chosen.corpus, chosen.values
    work = unfinished_seeds(model_dir, config, corpus)
    name = f"{run_name(config)} {config.seeds} seeds"
    with open_run(config.tracking, stage="seeds", run_name=name, resume_run_id=work.resume_key) as run:
        work.remember(run.resume_key, values)
        run.log_params(asdict(config) | {"auto_chosen": sorted(values)})
        found = [
            _result_of(work, config, seed, Family(run.resume_key, f"seed {seed}"))
            for seed in range(config.seed, config.seed + config.seeds)
        ]
        results = _with_median_kept(found)
        kept = next(result.seed for result in results if result.is_kept)
        # The model in the middle takes the place that a single training would have taken, and is evaluated as one.
        # It is copied, since the folder may be a link to another disk, and a kill may come before the end.
        with atomic_folder(model_dir, remedy="; no model was saved") as folder:
            shutil.copytree(_model_of(work, kept), folder, dirs_exist_ok=True)
        evaluated = None
        if corpus.test is not None and len(corpus.test):
            evaluated = evaluate_split(
                model_dir, corpus.test, config, output_dir=evaluation_dir, run=run, corpus=corpus
            )
        if config.evaluation.label_errors:
            note(f"training rows to look at: {write_label_errors(corpus, config.data, evaluation_dir, seed=kept)}")
        with TemporaryDirectory() as directory:
            path = Path(directory) / SEEDS_FILE
            path.write_text(json.dumps([asdict(result) for result in results], indent=2), encoding="utf-8")
            run.log_artifact(path, folder="seeds")
        spread = _spread(results)
        run.log_metrics({f"seeds/{figure}_{kind}": value for figure, kind, value in spread} | {"seeds/kept": kept})
        if not config.tracking.run_name and evaluated is not None:
            (_, _, mean), (_, _, deviation) = spread[2:4]
            run.set_tags({NAME_TAG: f"{name} {score_text(mean)} ±{score_text(deviation)}"})
        run.log_model(model_dir, tags={"test_digest": test_digest(corpus)})
    work.remove()
    note(*run.summary())
    return TrainedSeeds(Trained(corpus, model_dir, evaluated, watch.seconds, {}), results)


def print_seeds(results: Sequence[SeedResult]) -> None:
    """Print a line a seed, then mean and standard deviation; nothing where there was one seed."""
    if not results:
        return
    names = list(results[0].figures)
    rows = [
        (
            f"seed {result.seed}{' (kept)' if result.is_kept else ''}",
            score_text(result.validation),
            *(score_text(result.figures[name]) for name in names),
        )
        for result in results
    ]
    spread = {(name, kind): value for name, kind, value in _spread(results)}
    cells = [f"{score_text(spread[name, 'mean'])} ± {fixed(spread[name, 'sd'], 4)}" for name in ("validation", *names)]
    rows.append(("mean ± sd", *cells))
    header = ("", "validation", *(f"test {name.replace('_', ' ')}" for name in names))
    table(f"{len(results)} seeds; the one in the middle by validation is kept", header, rows)


def _model_of(work: UnfinishedWork, seed: int) -> Path:
    """Return the model folder of a seed."""
    return work.directory / f"seed-{seed}" / "model"


def _result_of(work: UnfinishedWork, config: TrainConfig, seed: int, family: Family) -> SeedResult:
    """Train a seed unless that was done before the command was cut off; return its figures."""
    done = work.directory / f"seed-{seed}.json"
    if done.is_file():
        note(f"seed {seed}: trained before the command was cut off")
        return SeedResult(**json.loads(done.read_text(encoding="utf-8")))
    note(f"seed {seed} of {config.seed} to {config.seed + config.seeds - 1}")
    model_dir = _model_of(work, seed)
    # Reports and label errors are made once, of the model that is kept.
    evaluation = replace(config.evaluation, report=False, label_errors=False)
    trained = train_model(
        replace(config, seed=seed, seeds=1, overwrite=True, evaluation=evaluation),
        model_dir=model_dir,
        evaluation_dir=model_dir.with_name("evaluation"),
        family=family,
    )
    # Accuracy of the combined model where a row has one label.
    decisive = trained.figures.get("validation/accuracy", trained.figures["validation/macro_f1"])
    result = SeedResult(seed, decisive, _test_figures(trained))
    with atomic_file(done) as stream:
        stream.write(json.dumps(asdict(result)).encode())
    return result


def _with_median_kept(results: Sequence[SeedResult]) -> tuple[SeedResult, ...]:
    """Mark the result in the middle by its validation figure; test rows have no say."""
    ranked = sorted(results, key=lambda result: (result.validation, result.seed))
    kept = ranked[(len(ranked) - 1) // 2].seed
    return tuple(replace(result, is_kept=result.seed == kept) for result in results)


def _test_figures(trained: Trained) -> dict[str, float]:
    if trained.evaluated is None:
        return {}
    evaluation = trained.evaluated.evaluation
    return {name: evaluation.metrics.values[name] for name in (evaluation.main_figure, "macro_f1")}


def _spread(results: Sequence[SeedResult]) -> list[tuple[str, str, float]]:
    """Return (figure, mean or sd, value) of the validation figure and of each test figure."""
    columns = {"validation": [result.validation for result in results]}
    columns |= {name: [result.figures[name] for result in results] for name in results[0].figures}
    return [
        (name, kind, of(values))
        for name, values in columns.items()
        for kind, of in (("mean", statistics.mean), ("sd", statistics.stdev))
    ]
