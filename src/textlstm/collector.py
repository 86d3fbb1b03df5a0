"""Python's collector of cycles in processes that load much and then serve."""

import gc


def leave_out_what_is_loaded() -> None:
    """Keep what there is now out of the collector's sight, and look at the rest rarely.

    Loaded pipelines and models stay, and caches only grow: looking for cycles in them again and again finds nothing.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(200_000, 20, 50)
