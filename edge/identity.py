"""Which resident, or a stranger: galleries of embeddings, and what a likeness to one is worth. Floor 2.

Cosines of unit embeddings crowd near 1, so they are read as a *nearness*, ``-log(1 - cosine)``, which is nearly normal.
A nearness becomes a log-likelihood ratio by a line, which is what two normal distributions of one spread give: the own
cat's and a stranger's. Where nobody has measured the two, or they lie on each other, the line is flat and the camera
names nobody: a stranger by default.

Gallery values are never changed: every function returns a new one.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from edge.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from edge.messages import Grey, Scores

MAX_ENROLLED = 24
"""Enrolment photographs of one cat. They stay in its gallery for ever."""

ACTIVE_VISITS = 16
"""The newest confirmed visits that count: the older ones make room for a cat that ages or changes its coat."""

KEPT_VISITS = 64
"""Confirmed visits that are remembered: those beyond ``ACTIVE_VISITS`` come back when a newer one is taken back."""

EXEMPLARS_PER_VISIT = 3
CAT_SHARE = 0.5
"""A picture shows a cat if the labels of a cat have more than this probability together."""

LLR_CAP = 8.0
"""One frame never says more than this, whatever the line gives: some three thousand to one."""

HOME_VISITS = 5
"""Confirmed visits of each of two cats at least, before a home's own measure is believed."""

POOR_EQUAL_ERROR = 0.05
"""An equal error above this is not worth trusting a door to: ``door.resident_refused`` is as large by default."""

_NEAREST = 3  # a gallery's best three speak for it: one alone grows with the gallery's size
_FLOOR = 1e-4  # of 1 - cosine: below the steps of an int8 embedding
_DRIFT_SAMPLES = 4

Embedding = tuple[float, ...]


@dataclass(frozen=True, slots=True)
class IdentitySettings:
    """What a nearness is worth; measured with the model, on cats it has not learnt, or at home by ``at_home``.

    The log-likelihood ratio for a resident is ``slope * (nearness - midpoint)``, at most ``LLR_CAP`` either way. The
    line is that of a visit's *mean* nearness: the frames of a visit resemble each other, and many of them say hardly
    more than a few. ``equal_error`` is the share of visits told wrongly where the two kinds of error are as frequent,
    0..0.5; ``visits`` is how many own visits it was measured on.
    """

    midpoint: float
    slope: float
    equal_error: float
    visits: int


@dataclass(frozen=True, slots=True, eq=False)
class Exemplar:
    """One picture of a cat: the model's input, uint8 (height, width), kept without loss, and its embedding."""

    patch: Grey
    embedding: Embedding


@dataclass(frozen=True, slots=True)
class Confirmation:
    """A visit of which the owner said whose it was."""

    visit_id: str
    exemplars: tuple[Exemplar, ...]


@dataclass(frozen=True, slots=True)
class Gallery:
    """What one resident looks like. ``model_id`` made the embeddings: those of two models do not compare."""

    name: str
    model_id: str
    enrolled: tuple[Exemplar, ...] = ()
    confirmed: tuple[Confirmation, ...] = ()  # the oldest first

    @property
    def active(self) -> tuple[Exemplar, ...]:
        """The exemplars that count: every enrolment photograph and the newest confirmed visits."""
        recent = self.confirmed[-ACTIVE_VISITS:]
        return (*self.enrolled, *(exemplar for visit in recent for exemplar in visit.exemplars))


def shows_cat(scores: Scores) -> bool:
    """Return whether the labels of a cat have most of the probability."""
    return scores.cat > CAT_SHARE


def enrol(gallery: Gallery, exemplars: Sequence[Exemplar]) -> Gallery:
    """Add enrolment photographs.

    Raises:
        InputError: there would be more than ``MAX_ENROLLED``.
    """
    total = len(gallery.enrolled) + len(exemplars)
    if total > MAX_ENROLLED:
        raise InputError(f"{gallery.name}: {total} photographs are more than the {MAX_ENROLLED} a gallery holds")
    return replace(gallery, enrolled=(*gallery.enrolled, *exemplars))


def confirm(gallery: Gallery, confirmation: Confirmation) -> Gallery:
    """Add a confirmed visit; of more than ``KEPT_VISITS`` the oldest goes.

    Raises:
        InputError: the visit is in the gallery already, or has no exemplars.
    """
    if any(visit.visit_id == confirmation.visit_id for visit in gallery.confirmed):
        raise InputError(f"visit {confirmation.visit_id} is confirmed as {gallery.name} already")
    if not confirmation.exemplars:
        raise InputError(f"visit {confirmation.visit_id}: no frame of it shows a cat")
    bounded = replace(confirmation, exemplars=_spread(confirmation.exemplars))
    return replace(gallery, confirmed=(*gallery.confirmed, bounded)[-KEPT_VISITS:])


def unconfirm(gallery: Gallery, visit_id: str) -> Gallery:
    """Take a confirmed visit back: the gallery is then what it would be had the visit never been confirmed.

    An older visit comes back in its place. That holds for as long as ``KEPT_VISITS`` reach back.

    Raises:
        InputError: no such visit was confirmed, or it is too old to be remembered.
    """
    left = tuple(visit for visit in gallery.confirmed if visit.visit_id != visit_id)
    if len(left) == len(gallery.confirmed):
        raise InputError(f"visit {visit_id} is not among the last {KEPT_VISITS} confirmed as {gallery.name}")
    return replace(gallery, confirmed=left)


def nearness(embedding: Embedding, exemplars: Iterable[Exemplar]) -> float:
    """Return how near an embedding is to a gallery: the mean nearness of its three nearest exemplars.

    Raises:
        ValueError: there is no exemplar.
    """
    stack = np.array([exemplar.embedding for exemplar in exemplars])
    if not len(stack):
        raise ValueError("a gallery without exemplars is near to nothing")
    return _nearness(np.array(embedding), stack)


def is_far(exemplars: Sequence[Exemplar], gallery: Gallery) -> bool:
    """Return whether pictures are farther from a gallery than any of its own is from the rest of it.

    A gallery of fewer than four cannot tell: everything is far.
    """
    known = gallery.active
    if len(known) < _DRIFT_SAMPLES:
        return True
    usual = min(nearness(each.embedding, [*known[:i], *known[i + 1 :]]) for i, each in enumerate(known))
    return float(np.mean([nearness(each.embedding, known) for each in exemplars])) < usual


class Recogniser:
    """Says of each scored frame how much it looks like each resident rather than like a stranger."""

    def __init__(self, galleries: Sequence[tuple[Exemplar, ...]], settings: IdentitySettings | None) -> None:
        """Take the residents' exemplars in their order (none: unknown by camera) and what a nearness is worth."""
        self._settings = settings
        self._stacks = [np.array([exemplar.embedding for exemplar in gallery]) for gallery in galleries]
        self._anybody = any(len(stack) for stack in self._stacks)

    def likeness(self, scores: Scores) -> tuple[float, ...]:
        """Return a log-likelihood ratio per resident; 0 for one without a gallery, empty where nobody has one."""
        if self._settings is None or not self._anybody:
            return ()
        embedding, settings = np.array(scores.embedding), self._settings
        return tuple(worth(_nearness(embedding, stack), settings) if len(stack) else 0.0 for stack in self._stacks)


def worth(near: float, settings: IdentitySettings) -> float:
    """Return what a nearness is worth, a log-likelihood ratio within ``LLR_CAP`` either way."""
    return min(max(settings.slope * (near - settings.midpoint), -LLR_CAP), LLR_CAP)


def at_home(galleries: Sequence[Gallery]) -> IdentitySettings | None:
    """Measure at this very camera how well its own cats are told apart, from the visits their owner has confirmed.

    Each confirmed visit is held against its own cat's gallery without it, and against every other cat's. Enrolment
    photographs measure nothing: cats that were photographed in different places are told apart by the place.

    Returns None where fewer than two cats have ``HOME_VISITS`` confirmed visits.
    """
    told = [gallery for gallery in galleries if len(gallery.confirmed) >= HOME_VISITS]
    if len(told) < 2:
        return None
    visits = [(cat, visit) for cat in told for visit in cat.confirmed]
    own = [_nearness_of(visit, unconfirm(cat, visit.visit_id).active) for cat, visit in visits]
    other = [_nearness_of(visit, rival.active) for cat, visit in visits for rival in told if rival is not cat]
    return fitted(own, other)


def fitted(own: Sequence[Sequence[float]], other: Sequence[Sequence[float]]) -> IdentitySettings:
    """Fit the line to the nearnesses of visits to their own cat's gallery and to others', a sequence a visit.

    Two normal distributions of visit means with one spread: the ratio is then a line (linear discriminant; Fisher,
    Annals of Eugenics 1936) and the equal error is that of their distance. A difference within the standard error of
    its own measurement is not believed.
    """
    means = [np.array([np.mean(visit) for visit in group]) for group in (own, other)]
    spread = math.sqrt(sum(float(np.var(group, ddof=1)) for group in means) / 2) or _FLOOR
    doubt = spread * math.sqrt(1 / len(own) + 1 / len(other))
    apart = max(float(means[0].mean() - means[1].mean()) - doubt, 0.0)
    return IdentitySettings(
        midpoint=float(means[0].mean() + means[1].mean()) / 2,
        slope=apart / spread**2,
        equal_error=0.5 * math.erfc(apart / spread / 2 / math.sqrt(2)),
        visits=len(own),
    )


def _nearness_of(visit: Confirmation, gallery: Sequence[Exemplar]) -> list[float]:
    return [nearness(exemplar.embedding, gallery) for exemplar in visit.exemplars]


def _nearness(embedding: npt.NDArray[np.float64], stack: npt.NDArray[np.float64]) -> float:
    best = np.sort(stack @ embedding)[-_NEAREST:]
    return float(np.mean(-np.log(np.maximum(1.0 - best, _FLOOR))))


def _spread(exemplars: tuple[Exemplar, ...]) -> tuple[Exemplar, ...]:
    """Return at most ``EXEMPLARS_PER_VISIT``, evenly over the visit: neighbours show the same."""
    count = min(len(exemplars), EXEMPLARS_PER_VISIT)
    return tuple(exemplars[round(i * (len(exemplars) - 1) / max(count - 1, 1))] for i in range(count))
