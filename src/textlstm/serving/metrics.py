"""Counts of a scoring server, in the text format of Prometheus."""

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
ROWS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024)


class Histogram:
    """How many values fell at or below each bound, their number and sum."""

    def __init__(self, bounds: Sequence[float]) -> None:
        """Start with no values; `bounds` rise."""
        self._bounds = bounds
        self._counts = [0] * (len(bounds) + 1)
        self._sum = 0.0

    def add(self, value: float) -> None:
        """Count a value."""
        self._counts[bisect_left(self._bounds, value)] += 1
        self._sum += value

    def lines(self, name: str) -> Iterable[str]:
        """Give the samples of the histogram; each bucket counts those below it, too."""
        total = 0
        for bound, count in zip((*self._bounds, "+Inf"), self._counts, strict=True):
            total += count
            yield f'{name}_bucket{{le="{bound}"}} {total}'
        yield f"{name}_sum {self._sum:.6f}"
        yield f"{name}_count {total}"


class Metrics:
    """What one server process has done since its start."""

    def __init__(self) -> None:
        """Start at zero."""
        self.requests: Counter[int] = Counter()
        """Requests to /invocations by HTTP status."""
        self.num_rows = 0
        """Rows that were answered."""
        self.seconds = Histogram(SECONDS)
        """From the request's last byte to its answer; of requests that were answered."""
        self.batch_rows = Histogram(ROWS)
        """Rows that were computed together."""

    def text(self, *, model: Mapping[str, str], is_ready: bool, num_waiting: int, process: int) -> str:
        """Return all samples as Prometheus reads them.

        Args:
            model: labels of the model, such as its name and digest.
            is_ready: Whether the model is loaded.
            num_waiting: Rows that wait for a batch.
            process: Id of this process; a server of several answers for one at a time.
        """
        named = ",".join(f'{key}="{_escaped(value)}"' for key, value in model.items())
        lines = [
            *_head("textlstm_model_info", "gauge", "The model that answers."),
            f"textlstm_model_info{{{named}}} 1",
            *_head("textlstm_process_info", "gauge", "Id of the process that wrote these samples."),
            f'textlstm_process_info{{pid="{process}"}} 1',
            *_head("textlstm_ready", "gauge", "1 if the model is loaded."),
            f"textlstm_ready {int(is_ready)}",
            *_head("textlstm_waiting_rows", "gauge", "Rows that wait for a batch."),
            f"textlstm_waiting_rows {num_waiting}",
            *_head("textlstm_requests_total", "counter", "Requests to /invocations by HTTP status."),
            *(
                f'textlstm_requests_total{{status="{status}"}} {self.requests[status]}'
                for status in sorted(self.requests)
            ),
            *_head("textlstm_rows_total", "counter", "Rows that were answered."),
            f"textlstm_rows_total {self.num_rows}",
            *_head("textlstm_request_seconds", "histogram", "Seconds from a request to its answer."),
            *self.seconds.lines("textlstm_request_seconds"),
            *_head("textlstm_batch_rows", "histogram", "Rows that were computed together."),
            *self.batch_rows.lines("textlstm_batch_rows"),
        ]
        return "\n".join(lines) + "\n"


def _head(name: str, kind: str, meaning: str) -> tuple[str, str]:
    return f"# HELP {name} {meaning}", f"# TYPE {name} {kind}"


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
