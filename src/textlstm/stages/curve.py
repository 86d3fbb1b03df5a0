"""`textlstm curve`: accuracy over the number of training rows, and what more rows would bring."""

import json
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path

from textlstm.config import CurveConfig, DataSource
from textlstm.errors import ConfigError, InputError
from textlstm.evaluation.evaluate import BASELINE, Evaluation
from textlstm.evaluation.learning_curve import CurvePoint, PowerLaw, curve_sizes, draw_curve, fit_power_law
from textlstm.evaluation.report.curve_page import render_curve, what_more_rows_bring
from textlstm.figure_text import interval_text, score_text
from textlstm.processes.devices import refuse_missing_gpu
from textlstm.processes.distributed import under_torchrun
from textlstm.stages.prepare import prepared
from textlstm.stages.screen import Stopwatch, note, say, table
from textlstm.stages.training import Family, run_name, train_model
from textlstm.storage.files import atomic_file, output_file
from textlstm.tracking.run import open_run

CURVE_FILE = "curve.json"
PAGE_FILE = "curve.html"
PICTURES = ("curve.svg", "curve.png")
NO_TEST_ROWS = "a curve needs test rows; set data.test, or data.test_fraction above 0"


def curve(config: CurveConfig) -> None:
    """Train on all rows, a half, a quarter and so on; print the accuracy of each and what more rows would bring.

    Raises:
        ConfigError: `data.train_limit` is set, or `torchrun` started it.
        InputError: there are no test rows, too few training rows for two sizes, or an earlier curve or a pipe is in the
            way.
    """
    refuse_missing_gpu(training__device=config.training.device, text__tagger_device=config.text.tagger_device)
    if config.data.train_limit:
        raise ConfigError("data.train_limit: a curve chooses the numbers of rows itself; see curve.points")
    if under_torchrun():
        raise ConfigError("curve: torchrun trains one model; start the curve without it")
    if config.data.source is DataSource.files and not config.data.test and not config.data.test_fraction:
        raise InputError(NO_TEST_ROWS)
    output_dir = Path(config.output_dir)
    for name in (CURVE_FILE, PAGE_FILE, *PICTURES):
        output_file(output_dir / name)
    if (output_dir / CURVE_FILE).exists() and not config.overwrite:
        raise InputError(f"{output_dir}: holds a curve; set overwrite=true to replace it, or another output_dir")
    if not config.overwrite and (models := sorted(output_dir.glob("rows-*"))):
        raise InputError(f"{models[0]}: exists; set overwrite=true to replace it, or another output_dir")
    # The sizes follow from the rows that are there; every size has the same validation and test rows.
    corpus = prepared(config)
    if corpus.train is None or corpus.test is None or not len(corpus.test):
        raise InputError(NO_TEST_ROWS)
    fewest = config.curve.fewest * len(corpus.labels)
    sizes = curve_sizes(len(corpus.train), num_points=config.curve.points, fewest=fewest)
    if len(sizes) < 2:
        raise InputError(
            f"{len(corpus.train):,} training rows are too few for a curve: half of them are fewer than "
            f"{fewest:,} (curve.fewest={config.curve.fewest} a class)"
        )
    # One run a size under a parent run; none of the models is registered.
    points: list[CurvePoint] = []
    with open_run(config.tracking, stage="curve", run_name=f"{run_name(config)} curve") as run:
        run.log_params(asdict(config))
        watch = Stopwatch()
        for number, num_rows in enumerate(sizes, 1):
            note(f"size {number} of {len(sizes)}: {num_rows:,} training rows{_time_left(sizes, number, watch.seconds)}")
            evaluation = _evaluation_of(config, num_rows, family=Family(run.resume_key, f"{num_rows} rows"))
            points.append(_point(num_rows, evaluation))
            run.log_metrics({"curve/value": points[-1].value}, step=num_rows)
            # The page shows after each size how far the curve is.
            with atomic_file(output_dir / PAGE_FILE) as stream:
                stream.write(_page(points, sizes, evaluation, title=run_name(config)))
        # What the points say together: a line, its figure, and the same as JSON.
        law = fit_power_law(points)
        content = {"points": [asdict(point) for point in points], "law": law._asdict() if law else None}
        picture = draw_curve(points, law, figure_name=_figure_name(evaluation))
        files = {CURVE_FILE: f"{json.dumps(content, indent=2)}\n".encode()}
        for name, data in (files | dict(zip(PICTURES, (picture.svg, picture.png), strict=True))).items():
            with atomic_file(output_dir / name) as stream:
                stream.write(data)
            run.log_artifact(output_dir / name, folder="curve")
        run.log_artifact(output_dir / PAGE_FILE, folder="curve")
    note(*run.summary())
    _print(points, law, evaluation)
    say(f"curve       {output_dir / 'curve.svg'}")
    say(f"page        {output_dir / PAGE_FILE}")


def _time_left(sizes: Sequence[int], number: int, seconds: float) -> str:
    """Return the words for the time that is left before size `number`, counted from 1; time grows with the rows."""
    done = sum(sizes[: number - 1])
    if not done:
        return ""
    minutes = seconds * sum(sizes[number - 1 :]) / done / 60
    return f", about {max(round(minutes), 1)} min left for all sizes"


def _page(points: Sequence[CurvePoint], sizes: Sequence[int], evaluation: Evaluation, *, title: str) -> bytes:
    return render_curve(
        points,
        fit_power_law(points),
        sizes=sizes,
        figure_name=_figure_name(evaluation),
        title=f"{title}: {evaluation.rows.num_rows:,} test rows",
    )


def _evaluation_of(config: CurveConfig, num_rows: int, *, family: Family) -> Evaluation:
    """Train on `num_rows` training rows and return the evaluation of the test rows."""
    model_dir = Path(config.output_dir) / f"rows-{num_rows}"
    trained = train_model(
        replace(
            config,
            data=replace(config.data, train_limit=num_rows),
            evaluation=replace(config.evaluation, report=False, label_errors=False),
            overwrite=True,
        ),
        model_dir=model_dir,
        evaluation_dir=model_dir.with_name(f"{model_dir.name}-evaluation"),
        family=family,
    )
    assert trained.evaluated is not None
    return trained.evaluated.evaluation


def _point(num_rows: int, evaluation: Evaluation) -> CurvePoint:
    figure = evaluation.main_figure
    baseline = evaluation.others.get(BASELINE)
    return CurvePoint(
        num_rows,
        evaluation.metrics.values[figure],
        evaluation.metrics.intervals[figure],
        evaluation.metrics.values["macro_f1"],
        baseline.values[figure] if baseline else None,
    )


def _figure_name(evaluation: Evaluation) -> str:
    return "micro-F1" if evaluation.rows.is_multi_label else "accuracy"


def _print(points: Sequence[CurvePoint], law: PowerLaw | None, evaluation: Evaluation) -> None:
    name = _figure_name(evaluation)
    rows = [
        (
            f"{point.num_rows:,}",
            f"{score_text(point.value)} {interval_text(*point.interval)}",
            score_text(point.macro_f1),
            "–" if point.baseline is None else score_text(point.baseline),
        )
        for point in points
    ]
    table("learning curve", ("training rows", f"test {name}", "macro f1", "TF-IDF baseline"), rows)
    say(what_more_rows_bring(points, law, figure_name=name))
