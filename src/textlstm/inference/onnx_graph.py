"""A writer of ONNX graphs that names nodes and constants by itself, and the arrays that a graph takes."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from textlstm.config import ExportPrecision

OPSET = 21
"""Version of the ONNX operators; onnxruntime supports it from 1.18 on."""
IR_VERSION = 10
"""Version of the file format that belongs to that opset."""
FLOAT, INT32, INT64 = int(TensorProto.FLOAT), int(TensorProto.INT32), int(TensorProto.INT64)


class GraphInput(NamedTuple):
    """An input or output of a graph."""

    name: str
    shape: tuple[str | int, ...]
    """Names of variable dimensions, sizes of fixed ones."""
    element_type: int = INT64


class SmallRows(NamedTuple):
    """Rows of weights in int8: a weight is value times scale."""

    values: np.ndarray
    """(rows, ...) int8 from -127 to 127."""
    scales: np.ndarray
    """(rows, 1, ...) float32, one for each row."""


def quantize_rows(weights: np.ndarray) -> SmallRows:
    """Return (rows, ...) `weights` rounded to 255 steps a row, symmetric about 0; zeros stay zeros."""
    highest = np.abs(weights).max(axis=tuple(range(1, weights.ndim)), keepdims=True)
    scales = np.where(highest > 0, highest / 127, 1).astype(np.float32)
    return SmallRows(np.rint(weights / scales).astype(np.int8), scales)


class GraphWriter:
    """Collects the nodes of a graph; values are known by their names."""

    def __init__(self, precision: ExportPrecision = ExportPrecision.fp32) -> None:
        """Start an empty graph; with int8, weights are stored as bytes and turned into float32 where they are used."""
        self._precision = precision
        self._nodes: list[onnx.NodeProto] = []
        self._constants: list[onnx.TensorProto] = []

    def constant(self, value: np.ndarray) -> str:
        """Return the name of a constant."""
        name = f"constant_{len(self._constants)}"
        self._constants.append(numpy_helper.from_array(np.ascontiguousarray(value).reshape(value.shape), name))
        return name

    def weight(self, value: np.ndarray) -> str:
        """Return the name of float32 weights (rows, ...); onnxruntime widens int8 ones once, when it loads them."""
        if self._precision is ExportPrecision.fp32:
            return self.constant(value)
        small = quantize_rows(value)
        return self.one("Mul", self.one("Cast", self.constant(small.values), to=FLOAT), self.constant(small.scales))

    def rows(self, table: np.ndarray, ids: str) -> str:
        """Return the name of the float32 rows of a (rows, size) table with the numbers `ids`, which have any shape."""
        if self._precision is ExportPrecision.fp32:
            return self.one("Gather", self.constant(table), ids)
        small = quantize_rows(table)
        values = self.one("Cast", self.one("Gather", self.constant(small.values), ids), to=FLOAT)
        return self.one("Mul", values, self.one("Gather", self.constant(small.scales), ids))

    def integers(self, *values: int) -> str:
        """Return the name of an int64 vector."""
        return self.constant(np.array(values, dtype=np.int64))

    def add(self, operator: str, *inputs: str, num_outputs: int = 1, **attributes: object) -> list[str]:
        """Add a node; return the names of its outputs. An input "" is left out."""
        names = [f"value_{len(self._nodes)}_{i}" for i in range(num_outputs)]
        self._nodes.append(helper.make_node(operator, list(inputs), names, **attributes))
        return names

    def one(self, operator: str, *inputs: str, **attributes: object) -> str:
        """Add a node with one output; return its name."""
        return self.add(operator, *inputs, num_outputs=1, **attributes)[0]

    def name_output(self, value: str, name: str) -> None:
        """Name a value as an output of the graph."""
        self._nodes.append(helper.make_node("Identity", [value], [name]))

    def to_model(self, inputs: Sequence[GraphInput], outputs: Sequence[GraphInput]) -> onnx.ModelProto:
        """Return the finished and checked model.

        Raises:
            ValueError: the weights are larger than the 2 GB of one ONNX file.
        """
        graph = helper.make_graph(
            self._nodes,
            "textlstm",
            [helper.make_tensor_value_info(one.name, one.element_type, one.shape) for one in inputs],
            [helper.make_tensor_value_info(one.name, one.element_type, one.shape) for one in outputs],
            initializer=self._constants,
        )
        model = helper.make_model(
            graph, producer_name="textlstm", opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION
        )
        onnx.checker.check_model(model, full_check=True)
        return model


# The arrays of one network; the graph must take each of them.


class Weights:
    """Arrays by name, which notes those that were taken: an array left over would be missing in the graph."""

    def __init__(self, arrays: Mapping[str, np.ndarray], *, prefix: str = "", taken: set[str] | None = None) -> None:
        """Hold the arrays whose names start with `prefix`."""
        self._arrays = arrays
        self._prefix = prefix
        self._taken = set() if taken is None else taken

    def under(self, prefix: str) -> "Weights":
        """Return the arrays of one part."""
        return Weights(self._arrays, prefix=f"{self._prefix}{prefix}", taken=self._taken)

    def take(self, name: str) -> np.ndarray:
        """Return one array.

        Raises:
            KeyError: there is none.
        """
        self._taken.add(f"{self._prefix}{name}")
        return self._arrays[f"{self._prefix}{name}"]

    def refuse_unused(self) -> None:
        """Check that every array was taken.

        Raises:
            ValueError: some were not.
        """
        unused = sorted(set(self._arrays) - self._taken)
        if unused:
            raise ValueError(f"the ONNX graph leaves out {', '.join(unused)}")
