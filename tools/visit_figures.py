"""What the flap made of whole visits, in figures. A visit is one item, so shares have Wilson's interval."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from visit_verdicts import Truth

from edge.evaluation import bootstrap, wilson
from edge.messages import VerdictKind

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from visit_verdicts import JudgedVisit

    from edge.evaluation import Indices, Reals
    from edge.messages import Metric

PERCENTILES = (50, 95, 99)


def visit_figures(visits: Sequence[JudgedVisit]) -> Iterator[Metric]:
    """Yield what came of the visits, in all and by what they were, and how long a final verdict took."""
    yield from share_of_visits("visits/right", [visit.right for visit in visits])
    yield from share_of_visits("visits/mistaken", [visit.mistaken for visit in visits])
    yield from share_of_visits("visits/final", [visit.final for visit in visits])
    for truth in Truth:
        mine = [visit for visit in visits if visit.truth is truth]
        yield from share_of_visits(f"visits/{truth}/right", [visit.right for visit in mine])
        for kind in VerdictKind:
            yield from share_of_visits(f"visits/{truth}/{kind}", [visit.verdict is kind for visit in mine])
    final = [visit for visit in visits if visit.final]
    yield from _percentiles("visits/frames_to_verdict", [float(visit.frames) for visit in final])
    yield from _percentiles("visits/ms_to_verdict", [visit.ms for visit in final if visit.ms is not None])


def share_of_visits(name: str, hits: Sequence[bool]) -> Iterator[Metric]:
    """Yield one share, or nothing where there are no visits."""
    if hits:
        yield wilson(name, sum(hits), len(hits))


def _percentiles(name: str, values: Sequence[float]) -> Iterator[Metric]:
    numbers, visits = np.array(values, np.float64), [str(index) for index in range(len(values))]
    for percent in PERCENTILES if values else ():
        yield bootstrap(f"{name}/p{percent}", partial(_percentile, numbers, percent), visits)


def _percentile(numbers: Reals, percent: int, chosen: Indices) -> float:
    return float(np.percentile(numbers[chosen], percent))
