"""`textlstm label`: label files with a saved model, every row exactly once."""

from textlstm.config import Engine, LabelConfig
from textlstm.labelling.folder import label_each
from textlstm.labelling.job import label_files
from textlstm.model_folder import read_manifest
from textlstm.processes.devices import refuse_missing_gpu
from textlstm.saved_model import saved_warnings
from textlstm.stages.screen import note, progress
from textlstm.tracking.registry import resolve_model_dir


def label(config: LabelConfig) -> None:
    """Label `config.input` into `config.output` and say on stderr what came out (stdout may be the output)."""
    if config.engine is Engine.local:  # with Ray other machines label, which may have a GPU
        refuse_missing_gpu(labelling__device=config.labelling.device)
    model_dir = resolve_model_dir(config.model_dir, config.tracking)
    # stdout may be the labelled output, so the bar and the summary go to stderr.
    with progress("labelling") as advance:
        summaries = (
            list(label_each(config, model_dir=model_dir, advance=advance))
            if config.output.endswith("/")
            else [label_files(config, model_dir=model_dir, advance=advance)]
        )
    for summary in summaries:
        note(*summary.lines())
    if not summaries:
        note(f"every input is labelled in {config.output} already")
    note(*(f"warning: {warning}" for warning in saved_warnings(read_manifest(model_dir)["provenance"])))
