"""Plots for docs/: plain SVG on white, the same bytes for the same figures."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import matplotlib as mpl
from matplotlib.figure import Figure

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from matplotlib.axes import Axes
    from matplotlib.typing import RcKeyType

    from edge.messages import Metric

_STYLE: dict[RcKeyType, Any] = {"svg.hashsalt": "catflap", "axes.spines.right": False, "axes.spines.top": False}


@dataclass(frozen=True, slots=True)
class Series:
    """Figures with their intervals over a number, under one name."""

    name: str
    points: Sequence[tuple[float, Metric]]
    joined: bool = True


def draw(path: Path, series: Sequence[Series], labels: tuple[str, str], limit: float | None = None) -> None:
    """Draw figures with intervals; ``labels`` name the axes, ``limit`` is a line across that nothing may pass."""
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(7.0, 4.2), layout="constrained")
        axes = figure.add_subplot()
        for one in series:
            _add(axes, one)
        if limit is not None:
            axes.axvline(limit, color="0.6", linestyle="--", linewidth=1)
        axes.set_xlabel(labels[0])
        axes.set_ylabel(labels[1])
        axes.grid(visible=True, linewidth=0.4, color="0.9")
        axes.legend(frameon=False)
        figure.savefig(path, format="svg", metadata={"Date": None})


def _add(axes: Axes, series: Series) -> None:
    across = [at for at, _ in series.points]
    values = [figure.value for _, figure in series.points]
    below = [max(figure.value - figure.low, 0.0) for _, figure in series.points]
    above = [max(figure.high - figure.value, 0.0) for _, figure in series.points]
    line = "-" if series.joined else "none"
    axes.errorbar(across, values, (below, above), fmt="o", linestyle=line, capsize=3, markersize=4, label=series.name)
