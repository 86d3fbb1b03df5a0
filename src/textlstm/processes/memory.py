"""Python's collector of cycles in processes that load much and then work."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def gc_paused() -> Iterator[None]:
    """Pause the collector in the block, which loads modules and models: they stay, so there is little to find."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def freeze_gc() -> None:
    """Hide all present objects from the collector, and let it look at new ones rarely.

    Loaded pipelines and models stay, and caches only grow: looking for cycles in them again and again finds nothing.
    """
    gc.freeze()
    gc.set_threshold(200_000, 20, 50)
