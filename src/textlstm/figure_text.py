"""How figures are written, the same on the screen, in messages and on pages.

Scores (accuracy, F1, ...) are numbers from 0 to 1 with four decimals; shares of rows are percentages with their sign.
Nothing is ever written as minus zero.
"""


def score_text(value: float) -> str:
    """Return a score.

    >>> score_text(0.98588), score_text(-0.00001)
    ('0.9859', '0.0000')
    """
    return fixed(value, 4)


def interval_text(low: float, high: float) -> str:
    """Return the interval of a score.

    >>> interval_text(0.97654, 1)
    '[0.9765, 1.0000]'
    """
    return f"[{score_text(low)}, {score_text(high)}]"


def percent_text(share: float, *, decimals: int = 1) -> str:
    """Return a share of rows or words.

    >>> percent_text(0.0325), percent_text(1.0, decimals=0)
    ('3.2%', '100%')
    """
    return f"{fixed(100 * share, decimals)}%"


def fixed(value: float, decimals: int, *, sign: bool = False) -> str:
    """Return `value` with `decimals` decimals; with `sign`, a plus stands before values that are not negative.

    >>> fixed(-0.004, 2), fixed(-0.004, 2, sign=True), fixed(1.5, 2, sign=True), fixed(-1.5, 1)
    ('0.00', '+0.00', '+1.50', '-1.5')
    """
    # Rounding can give minus zero, so the test for zero comes after it.
    rounded = round(value, decimals)
    return f"{0.0 if rounded == 0 else rounded:{'+' if sign else ''}.{decimals}f}"


def counted(number: int, noun: str) -> str:
    """Return a number of things.

    >>> counted(1, "row"), counted(2, "row"), counted(1000, "training row")
    ('1 row', '2 rows', '1,000 training rows')
    """
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


DRIFT_SMALL, DRIFT_LARGE = 0.1, 0.25
"""The usual bounds of the population stability index: no drift below the first, strong drift from the second on."""


def drift_words(index: float) -> str:
    """Return the words for a population stability index of label shares.

    >>> drift_words(0.02), drift_words(0.1), drift_words(0.3)
    ('no drift', 'some drift', 'strong drift')
    """
    return "no drift" if index < DRIFT_SMALL else "some drift" if index < DRIFT_LARGE else "strong drift"
