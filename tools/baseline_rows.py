"""The rows that stand in every table above the student's: what simple things reach on the same pictures.

Measured once by ``make baselines`` and kept in docs/baselines.json beside the page, with the pictures' content hash: on
other pictures they say nothing.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from datetime import UTC, datetime
from string import Template
from typing import TYPE_CHECKING

import numpy as np
from baselines import Baseline, Majority, MotionArea, Silhouette
from dataset import COARSE
from measure import coarse_judgement, coarse_truth, finite, prey_ranking, visits_of
from splits import FOLDS

from edge.bundle import factory_directory, load
from edge.codec import from_json
from edge.messages import Metric  # noqa: TC001 - the codec reads the hints of Baselines at run time

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from dataset import Photographs, Sample

    from edge.evaluation import Reals

COLUMNS = ("accuracy", "balanced_accuracy", "prey_auc")
PLACES = ("tunnel_later", "unseen")

_HEADING = Template("""\
# What simple things reach

Five coarse classes (hidden and clear cats are one) on $pictures photographs, $date, by `make baselines`. Accuracies
with Wilson 95 % intervals per picture; balanced accuracy (mean recall of the classes) and the ranking of prey against
cats (area under the curve) with 95 % by resampling visits. `tunnel_later`: learning from all that came before, later
months of the one real flap. `unseen`: each home by what was learnt in the others, pooled; a home that holds nearly one
class is hard for who does not know so: the majority class is the one that was the most common *elsewhere*.
""")


@dataclass(frozen=True, slots=True)
class BaselineRow:
    """What one of them reaches in one place; the figures' names begin with the place."""

    place: str
    who: str
    figures: tuple[Metric, ...]

    def figure(self, column: str) -> Metric | None:
        """Return the figure of a column, or None where it was not measured."""
        return next((figure for figure in self.figures if figure.name == f"{self.place}_{column}"), None)


@dataclass(frozen=True, slots=True)
class Baselines:
    """The simple things' rows, and the pictures they are of; ``sha256`` as ``dataset.read_photographs`` gives it."""

    sha256: str
    pictures: int
    created: str
    rows: tuple[BaselineRow, ...]


def read(path: Path) -> Baselines | None:
    """Return the rows that ``make baselines`` left, or None where it never ran.

    Raises:
        InputError: the file is not what it wrote.
    """
    return from_json(Baselines, path.read_bytes(), path) if path.exists() else None


def measured(photographs: Photographs) -> Iterator[BaselineRow]:
    """Yield each simple thing in each place."""
    for baseline in _baselines():
        labelled = [sample for sample in photographs.samples if sample.labelled]
        for place, judged, probabilities in _judged(baseline, labelled):
            yield BaselineRow(place, baseline.name, tuple(filter(finite, _figures(place, judged, probabilities))))


def shipped() -> Iterator[BaselineRow]:
    """Yield the rows of the student that ships, by its manifest."""
    manifest = load(factory_directory()).manifest
    for place in PLACES:
        yield of_manifest(place, f"{manifest.name} {manifest.version}", manifest.metrics)


def of_manifest(place: str, who: str, metrics: Iterable[Metric]) -> BaselineRow:
    """Return the row of a bundle, from its own figures."""
    names = {f"{place}_{column}" for column in COLUMNS}
    return BaselineRow(place, who, tuple(metric for metric in metrics if metric.name in names))


def heading(pictures: int) -> str:
    """Return the page down to the head of its table."""
    text = _HEADING.substitute(date=today(), pictures=pictures)
    columns = " | ".join(name.replace("_", " ") for name in COLUMNS)
    return f"{text}\n| on | who | {columns} |\n|---|---|{'---|' * len(COLUMNS)}"


def line(row: BaselineRow) -> str:
    """Return a row of the page."""
    cells = [_cell(row.figure(column)) for column in COLUMNS]
    return f"| {row.place} | {row.who} | {' | '.join(cells)} |"


def today() -> str:
    """Return the date, UTC."""
    return f"{datetime.now(UTC):%Y-%m-%d}"


def _cell(figure: Metric | None) -> str:
    return "" if figure is None else f"{figure.value:.3f} ({figure.low:.3f} to {figure.high:.3f})"


def _baselines() -> list[Baseline]:
    simple: list[Baseline] = [Majority(), MotionArea(), Silhouette()]
    try:
        from frozen_features import FrozenFeatures  # noqa: PLC0415 - needs torch, which the device's environment lacks
    except ImportError as missing:
        print(f"evaluate: without frozen EfficientNet-Lite0 features: {missing}", file=sys.stderr)
        return simple
    return [*simple, FrozenFeatures()]


def _judged(baseline: Baseline, samples: Sequence[Sample]) -> list[tuple[str, list[Sample], Reals]]:
    """Return place, pictures and probabilities: later months of the tunnel, and all homes by those without them."""
    later = [sample for sample in samples if sample.part == "test"]
    before = [sample for sample in samples if sample.part == "train"]
    unseen: list[Sample] = []
    told: list[Reals] = []
    for fold in FOLDS:
        there = [sample for sample in samples if sample.home in fold]
        unseen += there
        told.append(baseline.judge([sample for sample in before if sample.home not in fold], there))
    return [("tunnel_later", later, baseline.judge(before, later)), ("unseen", unseen, np.concatenate(told))]


def _figures(place: str, samples: Sequence[Sample], probabilities: Reals) -> list[Metric]:
    prey, cat = COARSE.index("cat_prey"), COARSE.index("cat")
    truth = coarse_truth(samples)
    ranking = prey_ranking(place, probabilities[:, prey], (truth == prey, truth == cat), visits_of(samples))
    return [*coarse_judgement(place, samples, probabilities), ranking]
