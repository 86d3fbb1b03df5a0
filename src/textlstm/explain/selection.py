"""Which of many scored texts to explain: the least and the most certain, and some between."""

import numpy as np

MAX_WORK = 600_000
"""Sum of squared lengths: leaving out each word of a text of T tokens reads T * T tokens."""


def choose_texts(certainty: np.ndarray, lengths: np.ndarray, *, num_texts: int, max_work: int = MAX_WORK) -> list[int]:
    """Return row numbers: least and most certain rows in turn up to a third of `num_texts`, then rows spread evenly.

    Rows without tokens are passed over, and so is a row that would make the work more than `max_work`.

    Args:
        certainty: (N,) probability of each decision.
        lengths: (N,) tokens the network reads.
        num_texts: at most this many rows are returned.
        max_work: bound of the sum of squared lengths of the rows returned.
    """
    order = np.argsort(certainty, kind="stable")
    # Least certain, most certain, second least certain, ...: in turn up to a third.
    extremes = [row for pair in zip(order, order[::-1], strict=True) for row in pair][: num_texts // 3]
    # Twice as many candidates as needed, since some are passed over below.
    between = order[np.linspace(0, len(order) - 1, num=min(len(order), 2 * num_texts)).astype(np.int64)]
    chosen: dict[int, None] = {}
    work = 0
    # Rows that are too long for what is left of the work are passed over; shorter ones may still fit.
    for row in [*extremes, *between]:
        cost = int(lengths[row]) ** 2
        if len(chosen) < num_texts and int(row) not in chosen and 0 < cost <= max_work - work:
            chosen[int(row)] = None
            work += cost
    return list(chosen)
