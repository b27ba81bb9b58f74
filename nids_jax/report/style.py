"""How every figure looks, and how it becomes an SVG file that follows the reader's light or dark mode."""

import io
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import Any, ParamSpec

from matplotlib import style
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

P = ParamSpec("P")

# Okabe & Ito's palette, told apart with any kind of colour vision; its yellow is too light on white.
BLUE, VERMILION, GREEN, ORANGE = "#0072B2", "#D55E00", "#009E73", "#E69F00"
PURPLE, SKY, GREY, BLACK = "#CC79A7", "#56B4E9", "#8A8F98", "#1F2328"
PALETTE = (BLUE, VERMILION, GREEN, ORANGE, PURPLE, SKY, BLACK)
MARKERS = "os^Dv"
DPI = 130  # of the parts that are pixels
ON_LIGHT, ON_DARK = "#1F2329", "#FEFEFE"  # of text on coloured cells, which stay as they are in dark mode

# What light-mode colours become in dark mode.
_DARK = {
    "#1f2328": "#e6edf3",
    "#57606a": "#9da7b1",
    "#b8bec6": "#484f58",
    "#e6e9ed": "#262c33",
    "#3b424a": "#c9d1d9",
    "#dadee3": "#3a4149",
    "#ffffff": "#0d1117",
    "#0072b2": "#3d9fe0",
}
_DARK_MODE = (
    "<style>@media (prefers-color-scheme: dark) {"
    + "".join(
        f'[style*="{part}: {light}"] {{ {part}: {dark} !important }} '
        for light, dark in _DARK.items()
        for part in ("fill", "stroke")
    )
    + "}</style>\n"
)

_RC: dict[str, Any] = {
    "font.size": 9,
    "font.family": "DejaVu Sans",  # comes with matplotlib, so figures look the same everywhere
    "text.color": BLACK,
    "text.parse_math": False,  # a `$` in a class name is a `$`
    "axes.labelcolor": "#57606A",
    "axes.edgecolor": "#B8BEC6",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlesize": 10,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.axisbelow": True,
    "axes.grid": True,
    "grid.color": "#E6E9ED",
    "grid.linewidth": 0.7,
    "xtick.color": "#B8BEC6",
    "ytick.color": "#B8BEC6",
    "xtick.labelcolor": "#3B424A",
    "ytick.labelcolor": "#3B424A",
    "xtick.labelsize": 8,
    "ytick.labelsize": 8,
    "legend.frameon": False,
    "legend.fontsize": 8,
    "lines.linewidth": 1.4,
    "figure.facecolor": "white",
    "svg.fonttype": "none",  # text stays text
    "svg.hashsalt": "nids_jax",
}


@contextmanager
def look() -> Iterator[None]:
    """Matplotlib's own defaults with ours on top, whatever the user has set; global settings stay as they were."""
    with style.context(["default", _RC]):
        yield


def styled(draw: Callable[P, Figure]) -> Callable[P, Figure]:
    """A drawing function that draws in our look."""

    @wraps(draw)
    def drawn(*args: P.args, **kwargs: P.kwargs) -> Figure:
        with look():
            return draw(*args, **kwargs)

    return drawn


def new_figure(width: float, height: float) -> Figure:
    """A figure in inches, apart from pyplot's global list, whose parts keep clear of each other."""
    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def svg(figure: Figure) -> bytes:
    """The figure as an SVG file, the same bytes each time; in dark mode text, lines and ground change their colours."""
    content = io.BytesIO()
    with look(), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from")  # a box stands in for a rare script
        figure.savefig(content, format="svg", dpi=DPI, metadata={"Date": None, "Creator": None})
    head, tag, rest = content.getvalue().partition(b"<defs>")
    return head + _DARK_MODE.encode() + tag + rest


def short(name: Any, limit: int = 30) -> str:
    """A name on one line of at most `limit` characters."""
    text = " ".join(str(name).split())
    return text if len(text) <= limit else text[: limit - 1] + "…"


def number(value: float) -> str:
    """A raw value in few characters: 443, 0.0213, 17.3, 1,204,311, 1.2e+09."""
    if 1000 <= abs(value) < 1e7 or (float(value).is_integer() and abs(value) < 1e7):
        return f"{value:,.0f}"
    return f"{value:.3g}"


def power(value: float, _position: float | None = None) -> str:
    """A tick of a log axis: 0.01, 1, 10, 1k, 10M, 1e+12 (matplotlib's own labels need math text)."""
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if size <= abs(value) < 1e12:
            return f"{value / size:g}{letter}"
    return f"{value:g}"
