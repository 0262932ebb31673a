"""What the page's plots have in common: a figure of its own, colours that differ for everybody, and SVG in the end."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from opabinia.tracking.heat_cells import INK, MUTED

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Okabe and Ito 2008: eight colours that people with any colour vision tell apart; yellow is left out, which is faint on white.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
FAINT = "#c9d0d6"


def new_figure(width: float, height: float) -> Figure:
    """width, height: inches."""
    # Figure and canvas of its own: pyplot keeps every figure alive in global state.
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), facecolor="white", layout="constrained")
    FigureCanvasSVG(figure)
    return figure


def plain_axes(axes: Axes, *, title: str = "", x: str = "", y: str = "") -> None:
    """Left and lower line only, a faint grid, and quiet labels."""
    axes.set_title(title, fontsize=10, color=INK, loc="left", weight="bold")
    axes.set_xlabel(x, fontsize=9, color=MUTED)
    axes.set_ylabel(y, fontsize=9, color=MUTED)
    axes.tick_params(labelsize=8, color=FAINT, labelcolor=INK)
    axes.grid(visible=True, color="#eceff1", linewidth=0.8)
    axes.set_axisbelow(True)
    for side, spine in axes.spines.items():
        spine.set_visible(side in ("left", "bottom"))
        spine.set_color(FAINT)


def colour_of(place: int) -> str:
    """Of the place-th best; only so many can be told apart, the others are grey."""
    return COLOURS[place] if place < len(COLOURS) else FAINT


def legend(axes: Axes, handles: Sequence[object] | None = None) -> None:
    """Beside the plot, where it hides nothing."""
    settings = {"handles": handles} if handles is not None else {}
    axes.legend(loc="upper left", bbox_to_anchor=(1.01, 1.0), fontsize=8, frameon=False, **settings)


def as_svg(figure: Figure) -> str:
    """To stand within HTML; the same figure gives the same text."""
    import matplotlib

    untyped: Any = matplotlib
    content = io.StringIO()
    with untyped.rc_context({"svg.fonttype": "none", "svg.hashsalt": "opabinia", "font.family": "sans-serif"}):
        figure.savefig(content, format="svg", metadata={"Date": None})
    text = content.getvalue()
    return text[text.index("<svg") :]
