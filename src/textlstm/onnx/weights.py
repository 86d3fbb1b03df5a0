"""The arrays of one network, each of which the graph must take."""

from collections.abc import Mapping

import numpy as np


class Weights:
    """Arrays by name; what was never taken is a part of the network that the graph left out."""

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
