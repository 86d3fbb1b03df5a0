"""`textlstm label`: label files with a saved model, every row exactly once."""

from collections.abc import Iterable

from textlstm.config import Engine, LabelConfig
from textlstm.errors import ConfigError, InputError, Interrupted, TextLSTMError
from textlstm.labelling.dry_run import look_ahead
from textlstm.labelling.folder import label_each
from textlstm.labelling.job import label_files
from textlstm.labelling.summary import LabelSummary
from textlstm.model_folder import read_manifest
from textlstm.processes.devices import refuse_missing_gpu
from textlstm.saved_model import saved_warnings
from textlstm.stages.label_job import LabelRun, summary_json, told
from textlstm.stages.screen import note, progress, say
from textlstm.tracking.registry import resolve_model_dir


def label(config: LabelConfig) -> None:
    """Label `config.input` into `config.output` and say on stderr what came out (stdout may be the output)."""
    if config.engine is Engine.local:  # with Ray other machines label, which may have a GPU
        refuse_missing_gpu(labelling__device=config.labelling.device)
    with told(config):
        model_dir = resolve_model_dir(config.model_dir, config.tracking)
        if config.dry_run:
            plan = look_ahead(config, model_dir=model_dir)
            say(plan.to_json() if config.json else "\n".join(plan.lines()))
            return
        is_folder = config.output.endswith("/")
        # stdout may be the labelled output, so the bar and the summary go to stderr.
        run = LabelRun(config)
        with progress("labelling") as show:

            def advance(done: int, total: int | None, text: str) -> None:
                run.begin()
                if done:
                    show(done, total, text)

            jobs: Iterable[LabelSummary] = (
                label_each(config, model_dir=model_dir, advance=advance)
                if is_folder
                else (label_files(config, model_dir=model_dir, advance=advance) for _ in range(1))
            )
            summaries = _tracked(run, jobs)
        for summary in summaries:
            note(*summary.lines())
        if not summaries:
            note(f"every input is labelled in {config.output} already")
        note(*(f"warning: {warning}" for warning in saved_warnings(read_manifest(model_dir)["provenance"])))
        if config.json:
            say(summary_json(summaries, of_folder=is_folder))


def _tracked(run: LabelRun, jobs: Iterable[LabelSummary]) -> list[LabelSummary]:
    """Run the jobs one after another; each is a run in MLflow, and so is one that fails."""
    summaries = []
    try:
        for summary in jobs:
            summaries.append(summary)
            run.end(summary)
    except (TextLSTMError, Interrupted) as error:
        # A command that is refused is no job, unless that is found out when rows are labelled.
        if run.has_begun or not isinstance(error, ConfigError | InputError):
            run.end(error)
        raise
    return summaries
