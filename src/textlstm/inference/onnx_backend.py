"""The networks of an exported model, computed by onnxruntime on the CPU."""

import os
from typing import TYPE_CHECKING

import numpy as np

from textlstm.config import Device, Precision
from textlstm.errors import ConfigError, IntegrityError
from textlstm.models.network.batch_plan import plan_sorted
from textlstm.models.network.inputs import EncodedSplit

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

_MOST_ROWS = 256
_BATCH_CELLS = 16_384
_SPELLED_BATCH_CELLS = 4_096
"""Of networks that read characters: each distinct spelling has up to 66 n-grams with a vector each."""


class OnnxNetworks:
    """One network, or several whose probabilities are averaged."""

    def __init__(self, model: bytes, *, device: Device, num_threads: int | None, precision: Precision) -> None:
        """Open the serialized `model`; `num_threads` None means all cores.

        Raises:
            ConfigError: onnxruntime is not installed, or a GPU or bf16 is asked for.
            IntegrityError: this onnxruntime cannot run the model.
        """
        if device is Device.cuda:
            raise ConfigError("labelling.device=cuda: an exported model runs on the CPU; set labelling.device=cpu")
        if precision is not Precision.fp32:
            raise ConfigError(
                "labelling.precision=bf16: an exported model keeps the precision of its export; "
                "leave labelling.precision=fp32"
            )
        self._session = _open_session(model, num_threads)
        self._model, self._process = model, os.getpid()
        self._input_names = {entry.name for entry in self._session.get_inputs()}
        self._output_names = [entry.name for entry in self._session.get_outputs()]

    def prepare_for_many(self) -> None:
        """Do nothing: a session needs no preparation."""

    def after_fork(self) -> None:
        """Open a session of one thread in a forked process: the threads of the parent's session are gone."""
        if os.getpid() != self._process:
            self._session, self._process = _open_session(self._model, 1), os.getpid()

    def logits(self, split: EncodedSplit) -> list[np.ndarray]:
        """Return the (N, L) float32 logits of each network, the rows in their order."""
        cells = _SPELLED_BATCH_CELLS if "spellings" in self._input_names else _BATCH_CELLS
        plan = plan_sorted(split.lengths, batch_cells=cells, most_rows=_MOST_ROWS)
        found: list[np.ndarray] = []
        for k in range(plan.num_batches):
            rows = plan.rows[plan.starts[k] : plan.starts[k + 1]]
            parts = self._session.run(self._output_names, self._inputs(split, rows, width=int(plan.widths[k])))
            # The first batch tells the number of labels: (N, L) zeros a network, filled row by row.
            found = found or [np.zeros((split.num_rows, part.shape[1]), dtype=np.float32) for part in parts]
            for logits, part in zip(found, parts, strict=True):
                logits[rows] = part
        return found or [np.zeros((0, 0), dtype=np.float32) for _ in self._output_names]

    def _inputs(self, split: EncodedSplit, rows: np.ndarray, *, width: int) -> dict[str, np.ndarray]:
        """Return the graph's inputs by name for the (B,) `rows`, padded to `width` tokens."""
        lengths = split.lengths[rows]
        steps = np.arange(width)[:, None]
        inside = steps < lengths  # (T, B)
        # (M,) places of the tokens of these rows, in the order of the true cells of `inside`.
        places = (split.offsets[rows] + steps)[inside]
        token_ids = _scattered(split.token_ids, places, inside)
        inputs = {"token_ids": token_ids, "lengths": lengths}
        if "pos_ids" in self._input_names:
            assert split.pos_ids is not None
            inputs["pos_ids"] = _scattered(split.pos_ids, places, inside)
        # (T, B) ids to numbers among the U distinct ones, whose (U, C) spellings the graph reads once each.
        if "spellings" in self._input_names:
            assert split.spellings is not None
            used, spelling_ids = np.unique(np.append(token_ids, 0), return_inverse=True)  # the padding comes first
            inputs["spelling_ids"] = spelling_ids[:-1].reshape(token_ids.shape)
            inputs["spellings"] = split.spellings[used].astype(np.int64)
        return inputs


def _scattered(flat: np.ndarray, places: np.ndarray, inside: np.ndarray) -> np.ndarray:
    """Return (T, B) int64: the values at `places` where `inside`, zeros elsewhere."""
    values = np.zeros(inside.shape, dtype=np.int64)
    values[inside] = flat[places]
    return values


def _open_session(model: bytes, num_threads: int | None) -> "InferenceSession":
    # Since 1.30 it sends usage figures to its maker over the network, and leaves a file among temporary ones.
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
    try:
        import onnxruntime
    except ImportError as error:
        raise ConfigError(
            "model_dir: an exported model needs onnxruntime; install it with pip install 'textlstm[onnx]'"
        ) from error
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = num_threads or 0
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    try:
        return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime raises a class of its own for every kind of trouble
        reason = " ".join(str(error).split())
        raise IntegrityError(
            f"onnxruntime {onnxruntime.__version__} cannot run this model: {reason}; install a later one"
        ) from error
