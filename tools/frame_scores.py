"""What a bundle said of every picture, beside what the picture is; and a share of pictures with an honest interval."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from dataset import allowed_flags
from measure import coarse_truth, visits_of
from rows import PARTIAL
from visit_verdicts import light_of

from edge.evaluation import bootstrap, wilson
from edge.messages import LABELS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dataset import Sample

    from edge.evaluation import Flags, Indices, Reals
    from edge.messages import Metric

TRUTHS = (*map(str, LABELS), *PARTIAL)
"""What a picture may be labelled: the classes, then the labels that leave open which."""


@dataclass(frozen=True, slots=True, eq=False)
class Frames:
    """Pictures and what a bundle said of them; every column has one entry a picture.

    ``truth`` are indices into ``TRUTHS``, ``coarse`` into ``dataset.COARSE``, ``allowed`` the classes a label leaves
    open, (count, labels), and ``probabilities`` (count, labels). ``visits`` are ``home/visit``.
    """

    names: tuple[str, ...]
    homes: tuple[str, ...]
    lights: tuple[str, ...]
    visits: tuple[str, ...]
    truth: Indices
    coarse: Indices
    allowed: Flags
    probabilities: Reals

    @property
    def said(self) -> Indices:
        """The class named, an index into ``LABELS``."""
        told: Indices = self.probabilities.argmax(axis=1)
        return told

    @property
    def sure(self) -> Reals:
        """The probability of the class named."""
        top: Reals = self.probabilities.max(axis=1)
        return top

    @property
    def right(self) -> Flags:
        """Whether the class named is one that the label leaves open."""
        hits: Flags = self.allowed[np.arange(len(self.truth)), self.said]
        return hits

    @property
    def whole(self) -> Flags:
        """Whether the label leaves one class only."""
        return self.truth < len(LABELS)

    def only(self, chosen: Flags) -> Frames:
        """Return the pictures that are flagged."""
        at = np.flatnonzero(chosen).tolist()
        return Frames(
            names=tuple(self.names[i] for i in at),
            homes=tuple(self.homes[i] for i in at),
            lights=tuple(self.lights[i] for i in at),
            visits=tuple(self.visits[i] for i in at),
            truth=self.truth[chosen],
            coarse=self.coarse[chosen],
            allowed=self.allowed[chosen],
            probabilities=self.probabilities[chosen],
        )


def frames_of(samples: Sequence[Sample], probabilities: Reals) -> Frames:
    """Put pictures and what was said of them together."""
    return Frames(
        names=tuple(sample.name for sample in samples),
        homes=tuple(sample.home for sample in samples),
        lights=tuple(light_of(sample.modality) for sample in samples),
        visits=tuple(visits_of(samples)),
        truth=np.array([TRUTHS.index(sample.label) for sample in samples]),
        coarse=coarse_truth(samples),
        allowed=allowed_flags(samples),
        probabilities=probabilities,
    )


def share(name: str, hits: Flags, visits: Sequence[str]) -> Metric:
    """Return a share of pictures with its 95 % interval over resampled visits."""
    return doubted(bootstrap(name, lambda chosen: float(np.mean(hits[chosen])), visits), len(set(visits)))


def doubted(figure: Metric, visits: int) -> Metric:
    """Return a resampled probability with its interval, or, where that has no width, with Wilson's for so many visits.

    Where every visit says the same, or there is only one, resampling would claim that nothing is in doubt.
    """
    if figure.low != figure.high:
        return figure
    bounds = wilson(figure.name, round(figure.value * visits), visits)
    return replace(figure, low=min(bounds.low, figure.value), high=max(bounds.high, figure.value))
