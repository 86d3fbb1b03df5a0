"""How every figure looks, and how it becomes bytes that are the same on every run."""

import io
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NamedTuple

from matplotlib import rc_context
from matplotlib.figure import Figure

# Okabe and Ito's palette: distinct for every common form of colour blindness, and in grey by lightness.
BLUE, ORANGE, GREEN, GREY, BLACK = "#0072B2", "#D55E00", "#009E73", "#8A8A8A", "#222222"

_STYLE = {
    "font.family": ["DejaVu Sans"],
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": "#666666",
    "axes.grid": True,
    "grid.color": "#E4E4E4",
    "grid.linewidth": 0.6,
    "axes.axisbelow": True,
    "figure.facecolor": "white",
    "axes.facecolor": "white",
    "text.parse_math": False,  # a label such as $x$ is a label
    "svg.hashsalt": "textlstm",
    "svg.fonttype": "path",
}


class Picture(NamedTuple):
    """A figure as it is stored and shown."""

    name: str
    """File name without ending."""
    alternative: str
    """What it shows, in words, for those who cannot see it."""
    svg: bytes
    png: bytes


def draw(name: str, alternative: str, *, size: tuple[float, float], paint: Callable[[Figure], None]) -> Picture:
    """Return what `paint` puts on a fresh figure of `size` (width, height in inches)."""
    with _quiet_style():
        figure = Figure(figsize=size, layout="constrained")
        paint(figure)
        svg, png = io.BytesIO(), io.BytesIO()
        figure.savefig(svg, format="svg", metadata={"Date": None, "Creator": None})
        figure.savefig(png, format="png", metadata={"Software": None}, dpi=150)
    return Picture(name, alternative, svg.getvalue(), png.getvalue())


def printable(label: str, *, max_chars: int = 28) -> str:
    """Return `label` for a figure: cut to `max_chars`, characters that cannot be drawn as a middle dot."""
    shown = "".join(character if character.isprintable() else "·" for character in label)
    return shown if len(shown) <= max_chars else f"{shown[: max_chars - 1]}…"


@contextmanager
def _quiet_style() -> Iterator[None]:
    with rc_context(_STYLE), warnings.catch_warnings():  # type: ignore[arg-type]
        warnings.filterwarnings("ignore", message="Glyph .* missing from")
        yield
