"""The report's plots, as SVG that takes its colours from the page around it: they turn dark with it."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

import matplotlib as mpl
from matplotlib.figure import Figure

if TYPE_CHECKING:
    from collections.abc import Sequence

    from evaluation_figures import Curve
    from matplotlib.axes import Axes
    from matplotlib.typing import RcKeyType

    from edge.messages import Metric

INK, ACCENT, SECOND, FAINT = "#010101", "#010102", "#010103", "#010104"
_IN_PAGE = {INK: "currentColor", ACCENT: "var(--accent)", SECOND: "var(--second)", FAINT: "var(--line)"}
"""matplotlib knows no colours of a page: these stand for them until the drawing is done."""
_STYLE: dict[RcKeyType, Any] = {
    "axes.edgecolor": FAINT,
    "axes.labelcolor": INK,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "font.size": 10,
    "grid.color": FAINT,
    "svg.fonttype": "none",
    "xtick.color": INK,
    "ytick.color": INK,
}
_SIZE_IN = (5.0, 3.4)


def reliability_plot(bins: Sequence[tuple[Metric, Metric]]) -> str:
    """Draw how often the model was right (with intervals) over how sure it was: (confidence, right) a bin."""
    figure, axes = _empty("how sure the model was", "how often it was right")
    axes.plot([0, 1], [0, 1], color=FAINT, linewidth=1.5)
    for sure, right in bins:
        axes.plot([sure.value, sure.value], [right.low, right.high], color=ACCENT, linewidth=1.5)
        axes.plot(sure.value, right.value, "o", color=ACCENT, markersize=4)
    axes.set_xlim(0, 1.01)
    axes.set_ylim(0, 1.02)
    return _svg(figure, "reliability")


def coverage_plot(curve: Curve) -> str:
    """Draw the share of wrong answers over the share of pictures answered, the surest first."""
    figure, axes = _empty("share of pictures answered, the surest first", "share of them wrong")
    axes.plot(curve.across, curve.up, color=ACCENT, linewidth=2)
    axes.set_xlim(0, 1.01)
    axes.set_ylim(0, max(*curve.up, 0.02) * 1.1)
    return _svg(figure, "coverage")


def prey_plot(curves: Sequence[tuple[str, Curve]]) -> str:
    """Draw the share of prey caught over the share of clean ones refused, a line a level."""
    figure, axes = _empty("share of clean cats refused", "share of prey caught")
    axes.plot([0, 1], [0, 1], color=FAINT, linewidth=1.5)
    for (name, curve), colour in zip(curves, (ACCENT, SECOND), strict=False):
        axes.step(curve.across, curve.up, where="post", color=colour, linewidth=2, label=name)
    axes.set_xlim(-0.01, 1.01)
    axes.set_ylim(0, 1.03)
    axes.legend(loc="lower right", frameon=False, labelcolor=INK)
    return _svg(figure, "prey")


def _empty(across: str, up: str) -> tuple[Figure, Axes]:
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=_SIZE_IN, layout="constrained")
        axes = figure.add_subplot()
        axes.set_xlabel(across)
        axes.set_ylabel(up)
        axes.grid(visible=True, linewidth=0.5)
    return figure, axes


def _svg(figure: Figure, name: str) -> str:
    """Return the drawing to be laid into a page: no prolog, no date, names of its own."""
    drawn = io.StringIO()
    with mpl.rc_context({**_STYLE, "svg.hashsalt": name}):
        figure.savefig(drawn, format="svg", transparent=True, metadata={"Date": None})
    text = drawn.getvalue()
    for placeholder, colour in _IN_PAGE.items():
        text = text.replace(placeholder, colour)
    return text[text.index("<svg") :]
