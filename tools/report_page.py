"""Lays an evaluation out as one page that stands alone. It computes nothing: every figure is one of the report's."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import jinja2
from baseline_rows import COLUMNS
from evaluation_figures import COVERAGES
from markupsafe import Markup
from plots import coverage_plot, prey_plot, reliability_plot
from prey_figures import RATES
from thumbnails import HEIGHT_PX, WIDTH_PX, thumbnail
from visit_figures import PERCENTILES
from visit_verdicts import Truth

from edge.messages import LABELS, VerdictKind

if TYPE_CHECKING:
    from collections.abc import Sequence

    from evaluation_report import Report

    from edge.messages import Metric

FRAMES_SHOWN = 24
VISITS_SHOWN = 12
PICTURES_OF_VISIT = 6
CHANGES_SHOWN = 15

_LEVELS = {"prey_of_frames": "pictures", "prey_of_visits": "visits"}


def page(report: Report, folder: Path) -> str:
    """Return the page; the pictures of the mistakes are read from ``folder``."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).resolve().parent),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"value": value, "interval": interval, "words": words, "spread": spread}
    return environment.get_template("report.html.j2").render(
        report=report,
        figures=figures_of(report),
        bins=_bins(report),
        plots=_plots(report),
        shown=(FRAMES_SHOWN, VISITS_SHOWN, CHANGES_SHOWN),
        thumbnail=lambda name: thumbnail(folder / name),
        size_px=(WIDTH_PX, HEIGHT_PX),
        labels=LABELS,
        truths=tuple(Truth),
        verdicts=tuple(VerdictKind),
        rates=RATES,
        coverages=COVERAGES,
        percentiles=PERCENTILES,
        columns=COLUMNS,
    )


def figures_of(report: Report) -> dict[str, Metric]:
    """Return the report's own figures by their names."""
    beside = report.against.figures if report.against else ()
    return {figure.name: figure for figure in (*report.figures, *beside)}


def value(figure: Metric) -> str:
    """Return a figure's value for people, by what it is."""
    return _number(figure.name, figure.value)


def interval(figure: Metric) -> str:
    """Return a figure's interval for people, empty where there is none."""
    if figure.low == figure.high:
        return ""
    return f"{_number(figure.name, figure.low)} to {_number(figure.name, figure.high)}"


def _number(name: str, number: float) -> str:
    if "ms_to_verdict" in name:
        return f"{number:,.0f}"
    if "frames_to_verdict" in name:
        return f"{number:.1f}"
    return f"{number:+.3f}" if name.endswith("_change") else f"{number:.3f}"


def words(name: str) -> str:
    """Return a name for people."""
    return name.replace("_", " ")


def spread(pictures: Sequence[str]) -> list[str]:
    """Return a visit's pictures, or as many of them as are shown, evenly over the visit."""
    if len(pictures) <= PICTURES_OF_VISIT:
        return list(pictures)
    last = len(pictures) - 1
    return [pictures[round(place * last / (PICTURES_OF_VISIT - 1))] for place in range(PICTURES_OF_VISIT)]


def _bins(report: Report) -> list[tuple[str, Metric, Metric]]:
    """Return the reliability diagram: the bin's bounds, how sure the model was, how often right."""
    known, prefix, ending = figures_of(report), "calibration/bin/", "/confidence"
    names = [name.removeprefix(prefix).removesuffix(ending) for name in known if name.startswith(prefix)]
    bounds = [name for name in names if f"{prefix}{name}{ending}" in known]
    return [(name, known[f"{prefix}{name}{ending}"], known[f"{prefix}{name}/right"]) for name in bounds]


def _plots(report: Report) -> dict[str, Markup]:
    """Return the drawings. They hold no text but their own, so they go into the page as they are."""
    curves = {curve.name: curve for curve in report.curves}
    drawn = {"coverage": coverage_plot(curves["coverage_risk"])}
    if bins := _bins(report):
        drawn["reliability"] = reliability_plot([(sure, right) for _, sure, right in bins])
    if levels := [(word, curves[name]) for name, word in _LEVELS.items() if name in curves]:
        drawn["prey"] = prey_plot(levels)
    return {name: Markup(svg) for name, svg in drawn.items()}  # noqa: S704 - drawn above from numbers alone
