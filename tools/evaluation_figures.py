"""Every figure of an evaluation, from what a bundle said of pictures and visits: names and values, nothing of a page.

A figure's name is a path such as ``home/tunnel/coarse_accuracy``. A figure that these pictures cannot give (how prey
ranks where there is none) is left out. Pictures of one visit are nearly one picture, so whatever is counted in pictures
has its interval from resampling visits; what is counted in visits has Wilson's.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from frame_scores import TRUTHS, doubted, share
from measure import as_coarse, finite
from prey_figures import risks_of_frames, risks_of_visits
from visit_figures import share_of_visits, visit_figures

from edge.evaluation import (
    balanced_accuracy,
    bootstrap,
    calibration_error,
    confusion,
    coverage_risk,
    reliability,
)
from edge.messages import Metric

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from frame_scores import Frames
    from visit_verdicts import JudgedVisit

    from edge.evaluation import Flags, Indices, Reals

COVERAGES = (0.5, 0.8, 0.9, 0.95, 1.0)
BINS = 15
CURVE_POINTS = 200


@dataclass(frozen=True, slots=True)
class Curve:
    """Points of a line to be drawn, ``across`` rising."""

    name: str
    across: tuple[float, ...]
    up: tuple[float, ...]


def figures(frames: Frames, visits: Sequence[JudgedVisit]) -> tuple[Metric, ...]:
    """Return every figure of an evaluation."""
    found = [
        *accuracies("frames", frames),
        *_majorities(frames),
        *recalls("frames", frames),
        *called(frames),
        *groups(frames, visits),
        *risks_of_frames(frames).figures("frames"),
        *visit_figures(visits),
        *risks_of_visits(visits).figures("visits"),
        *_calibration(frames),
        *_coverage(frames),
    ]
    return tuple(figure for figure in found if finite(figure))


def accuracies(place: str, frames: Frames) -> Iterator[Metric]:
    """Yield accuracy and balanced accuracy over six classes and over five.

    A label that leaves two classes open is a group of its own among the six: either class is right there.
    """
    named = np.where(frames.right, frames.truth, frames.said)
    coarse = as_coarse(frames.probabilities).argmax(axis=1)
    yield share(f"{place}/six_class_accuracy", frames.right, frames.visits)
    yield share(f"{place}/coarse_accuracy", coarse == frames.coarse, frames.visits)
    for name, truth, told in (("six_class", frames.truth, named), ("coarse", frames.coarse, coarse)):
        figure = bootstrap(f"{place}/{name}_balanced_accuracy", partial(_balanced, truth, told), frames.visits)
        yield doubted(figure, len(set(frames.visits)))


def _balanced(truth: Indices, said: Indices, chosen: Indices) -> float:
    return balanced_accuracy(truth[chosen], said[chosen])


def _majorities(frames: Frames) -> Iterator[Metric]:
    """Yield what naming the most common coarse class always would reach."""
    yield share("frames/majority", frames.coarse == np.bincount(frames.coarse).argmax(), frames.visits)
    chance = 1 / len(np.unique(frames.coarse))
    yield Metric("frames/balanced_majority", chance, chance, chance, len(frames.coarse))


def recalls(place: str, frames: Frames) -> Iterator[Metric]:
    """Yield, of the pictures of each label, the share named right."""
    for index in np.unique(frames.truth).tolist():
        mine = frames.only(frames.truth == index)
        yield share(f"{place}/recall/{TRUTHS[index]}", mine.right, mine.visits)


def called(frames: Frames) -> Iterator[Metric]:
    """Yield, of the pictures of each label, the share called each class."""
    table = confusion(frames.truth, frames.said, len(TRUTHS))
    for row, column in zip(*np.nonzero(table), strict=True):
        mine = frames.only(frames.truth == row)
        yield share(f"frames/confusion/{TRUTHS[row]}/{TRUTHS[column]}", mine.said == column, mine.visits)


def groups(frames: Frames, visits: Sequence[JudgedVisit]) -> Iterator[Metric]:
    """Yield the main figures once more for each home and for each light."""
    for home in sorted(set(frames.homes)):
        mine = frames.only(np.array(frames.homes) == home)
        yield from _group(f"home/{home}", mine, [visit.right for visit in visits if visit.home == home])
    for light in sorted(set(frames.lights)):
        mine = frames.only(np.array(frames.lights) == light)
        yield from _group(f"light/{light}", mine, [visit.right for visit in visits if visit.light == light])


def _group(place: str, frames: Frames, visits_right: Sequence[bool]) -> Iterator[Metric]:
    yield from accuracies(place, frames)
    yield from recalls(place, frames)
    yield _coarse_calibration(f"{place}/coarse_calibration_error", frames)
    yield from share_of_visits(f"{place}/visits_right", visits_right)


def _calibration(frames: Frames) -> Iterator[Metric]:
    """Yield the calibration error, and for each bin how sure the model was and how often right.

    Six classes are judged on whole labels only: of a cat whose label is open, half of what is said of it is unknown.
    """
    yield _coarse_calibration("calibration/coarse_error", frames)
    whole = frames.only(frames.whole)
    if not whole.names:
        return
    error = partial(_calibration_error, whole.probabilities, whole.right)
    yield bootstrap("calibration/six_class_error", error, whole.visits)
    where = np.minimum((whole.sure * BINS).astype(int), BINS - 1)
    for group in reliability(whole.sure, whole.right, BINS):
        place = f"calibration/bin/{group.low:.2f} to {group.high:.2f}"
        mine = whole.only(where == round(group.low * BINS))
        yield bootstrap(f"{place}/confidence", partial(_mean, mine.sure), mine.visits)
        yield share(f"{place}/right", mine.right, mine.visits)


def _mean(numbers: Reals, chosen: Indices) -> float:
    return float(np.mean(numbers[chosen]))


def _coarse_calibration(name: str, frames: Frames) -> Metric:
    said = as_coarse(frames.probabilities)
    right = said.argmax(axis=1) == frames.coarse
    return bootstrap(name, partial(_calibration_error, said, right), frames.visits)


def _calibration_error(said: Reals, right: Flags, chosen: Indices) -> float:
    return calibration_error(said[chosen], right[chosen])


def _coverage(frames: Frames) -> Iterator[Metric]:
    """Yield the area under risk over coverage, and the risk where only the surest share is answered."""
    sure, right = frames.sure, frames.right
    yield bootstrap("coverage/area", lambda chosen: coverage_risk(sure[chosen], right[chosen]).area, frames.visits)
    for least in COVERAGES:
        yield bootstrap(f"coverage/risk_at/{least:g}", partial(_risk_at, sure, right, least), frames.visits)


def _risk_at(sure: Reals, right: Flags, least: float, chosen: Indices) -> float:
    """Return the risk at the smallest coverage there is of at least ``least``."""
    curve = coverage_risk(sure[chosen], right[chosen])
    return curve.risks[int(np.searchsorted(curve.coverages, least - 1e-9))]


def curves(frames: Frames, visits: Sequence[JudgedVisit]) -> tuple[Curve, ...]:
    """Return risk over coverage, and prey caught over clean refused for pictures and for visits."""
    risk = coverage_risk(frames.sure, frames.right)
    found = [_thinned("coverage_risk", np.array(risk.coverages), np.array(risk.risks))]
    for name, risks in (("prey_of_frames", risks_of_frames(frames)), ("prey_of_visits", risks_of_visits(visits))):
        if risks.both:
            found.append(_thinned(name, *risks.caught()))
    return tuple(found)


def _thinned(name: str, across: Reals, up: Reals) -> Curve:
    """Return about ``CURVE_POINTS`` of the points at most, the first and the last among them."""
    kept = np.unique(np.linspace(0, len(across) - 1, min(len(across), CURVE_POINTS)).round().astype(int))
    return Curve(name, tuple(across[kept].tolist()), tuple(up[kept].tolist()))
