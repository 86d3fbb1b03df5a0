"""A labelling job with the fake model and two worker processes, as a program: job.py DIRECTORY INPUT OUTPUT [ROWS]."""

import sys
from pathlib import Path

from fake_model import FAKE_MODELS

from textlstm.config import LabelConfig, LabellingConfig
from textlstm.errors import Interrupted, TextLSTMError
from textlstm.labelling.engines import start
from textlstm.labelling.job import label_files
from textlstm.processes.signals import install_handlers


def main(directory: Path, name: str, output: str) -> int:
    start.INLINE_BYTES = 0
    install_handlers()
    config = LabelConfig(
        model_dir=str(directory / "model"),
        input=[str(directory / name)],
        output=str(directory / output),
        labelling=LabellingConfig(shard_rows=3, max_reject_fraction=0.5, num_workers=2),
    )
    try:
        label_files(config, models=FAKE_MODELS)
    except (TextLSTMError, Interrupted) as error:
        sys.stderr.write("\n".join(error.problems) + "\n")
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), sys.argv[2], sys.argv[3]))
