"""Load of the machine and memory of the process, sampled while a run goes on."""

import threading
from collections.abc import Callable, Mapping
from typing import Any

_SECONDS_BETWEEN = 10.0
_MEGABYTE = 1e6


class SystemSampler:
    """Calls back with `system/...` metrics every 10 s from a thread of its own; nothing without psutil."""

    def __init__(self, record: Callable[[Mapping[str, float], int], None]) -> None:
        """Start sampling."""
        self._record = record
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._sample, name="system-metrics", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Stop; no call comes after this returns."""
        self._stopped.set()
        self._thread.join()

    def _sample(self) -> None:
        try:
            import psutil
        except ImportError:
            return
        process = psutil.Process()
        psutil.cpu_percent()
        process.cpu_percent()
        step = 0
        while not self._stopped.wait(_SECONDS_BETWEEN):
            try:
                self._record(_read(psutil, process), step)
            except Exception:
                return
            step += 1


def _read(psutil: Any, process: Any) -> dict[str, float]:
    memory = psutil.virtual_memory()
    return {
        "system/cpu_utilization_percentage": float(psutil.cpu_percent()),
        "system/system_memory_usage_megabytes": memory.used / _MEGABYTE,
        "system/system_memory_usage_percentage": float(memory.percent),
        "system/process_cpu_percentage": float(process.cpu_percent()),
        "system/process_memory_megabytes": process.memory_info().rss / _MEGABYTE,
    }
