"""`textlstm export`: a model folder whose networks run without torch."""

from typing import assert_never

from textlstm.config import ExportConfig, ExportFormat
from textlstm.errors import ConfigError
from textlstm.inference.export import MOST_DIFFERENCE, export_onnx
from textlstm.model_folder import (
    NETWORKS_FILE,
    load_saved_model,
    model_digest,
    named_model_dir,
    refuse_existing,
    save_saved_model,
)
from textlstm.stages.screen import say
from textlstm.tracking.registry import resolve_model_dir


def export(config: ExportConfig) -> None:
    """Write the model of `config.model_dir` as `config.format` into `config.output_dir` and print how both agree.

    Raises:
        ConfigError: the two folders are one.
        InputError: output_dir has no name, or holds something and overwrite is false, or the model cannot be exported.
        IntegrityError: the exported model does not give the probabilities of the model.
    """
    output_dir = named_model_dir(config.output_dir)
    model_dir = resolve_model_dir(config.model_dir, config.tracking)
    if output_dir.resolve() == model_dir.resolve():
        raise ConfigError(f"output_dir: {output_dir} is the model itself; set another folder")
    # Refuse to replace anything before the export starts, which takes time.
    refuse_existing(output_dir, overwrite=config.overwrite)
    match config.format:
        case ExportFormat.onnx:
            digest = model_digest(model_dir)
            exported = export_onnx(load_saved_model(model_dir), precision=config.precision, model_digest=digest)
        case _:
            assert_never(config.format)
    # The parity was checked in memory, so a model that failed it never reaches the disk.
    save_saved_model(exported.saved_model, output_dir)
    # Say how large the networks are and how far the probabilities differ.
    parity = exported.parity
    size = (output_dir / NETWORKS_FILE).stat().st_size / 1e6
    allowed = f"{MOST_DIFFERENCE:.0e} allowed" if config.precision == "fp32" else "no limit for int8"
    say(
        f"exported    {output_dir} ({config.format}, {config.precision}, {NETWORKS_FILE} {size:.1f} MB)",
        f"difference  {parity.largest_difference:.1e} at most ({allowed}), over {parity.num_texts} sample texts",
        f"agreement   {parity.agreement:.2%} of the labels and decisions",
    )
