"""Drift: are live pictures and scores still what the model was made for? Floor 2, pure.

A bundle's ``reference.json`` holds histograms of the pictures that its maker calibrated it on. Live visits are held
against three things in them: the mean and the spread of the patches, after normalisation, so that what is left of a
difference is what normalisation could not mend (another view, fog, glare); and how *sure* the model is, the greatest
probability of each frame. Which label is the most probable is not compared: how often whom comes is a home's
own affair, and two models on trial are compared on the very same visits.

The measure is the population stability index, PSI, the sum of (q - p) ln(q / p) over the bins. 0.25 is where
practitioners call a shift major (Siddiqi, "Credit Risk Scorecards", Wiley 2006). Of n live and m reference values it is
by chance alone about (1/n + 1/m) times a chi-square value with one degree of freedom less than there are bins
(Yurdakul, "Statistical Properties of Population Stability Index", Western Michigan University 2018). The bound is the
sum of both: a major shift, beyond what chance gives in one of 1,000 windows. Frames of one visit resemble each other,
so n counts visits: each visit has one vote in all, shared out among its frames.

What the camera cannot show at all is in no patch: a window in which more than half of the visits had not one frame of
evidence has lost its sight, whatever the reason.

A window is closed when it has ``VISITS`` visits, judged once, and forgotten. Looking after every visit would find by
chance what looking once does not.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from edge.codec import from_json
from edge.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import numpy.typing as npt

    from edge.messages import Grey, Scores

    Reals = npt.NDArray[np.float64]

VISITS = 20
"""Visits of a window: a day or two, and fewer than a trial lasts."""

MAX_FRAMES = 20
"""Frames of one visit that are looked at, evenly spaced: 1 ms on a Zero 2 W, once a visit."""

MAX_SIGHTLESS = 0.5
"""The share of a window's visits that may be without evidence; of a window with more than that nothing else is said."""

MAJOR = 0.25
CHANCE_Z = 3.090
"""The normal quantile of one in 1,000."""

MIN_SHARE = 0.05
"""A bin that holds less of the reference is joined to its neighbour; the two ends stay, where what drifts goes."""

SURE = 0.5
"""Above it at most one label can be, so that a histogram per label tells how sure the model was of its best one."""


@dataclass(frozen=True, slots=True)
class Histogram:
    """Counts between edges, both in order; one edge more than counts."""

    edges: tuple[float, ...]
    counts: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class LabelHistograms:
    """One for each label; the fields are `edge.messages.LABELS`."""

    empty: Histogram
    cat_hidden: Histogram
    cat_clear: Histogram
    cat_prey: Histogram
    other_animal: Histogram
    person: Histogram


@dataclass(frozen=True, slots=True)
class Reference:
    """``reference.json``: mean and spread of patches in grey levels, and probabilities per label, 0..1."""

    patches: int
    mean: Histogram
    spread: Histogram
    scores: LabelHistograms


class What(StrEnum):
    """What may drift."""

    SIGHT = "sight"
    MEAN = "mean of the patches"
    SPREAD = "spread of the patches"
    SURENESS = "sureness"


@dataclass(frozen=True, slots=True)
class Drifted:
    """One of them that is not what it was: how much it is, the bound, and in words where most of it lies."""

    what: What
    value: float
    bound: float
    visits: int
    where: str

    def __str__(self) -> str:
        """Return it in one line."""
        return f"{self.what}: {self.value:.2f} over {self.visits} visits, more than {self.bound:.2f}; {self.where}"


def reference_of(raw: bytes, origin: Path) -> Reference:
    """Read ``reference.json``.

    Raises:
        InputError: it is none; one line.
    """
    told = from_json(Reference, raw, origin)
    scores = told.scores
    labels = (scores.empty, scores.cat_hidden, scores.cat_clear, scores.cat_prey, scores.other_animal, scores.person)
    for one in (told.mean, told.spread, *labels):
        whole = len(one.edges) == len(one.counts) + 1 and min(one.counts, default=-1) >= 0 and sum(one.counts) > 0
        if not whole or any(later <= earlier for earlier, later in pairwise(one.edges)):
            raise InputError(
                f"{origin}: a histogram must have edges in order, one more than counts, and something in it"
            )
    if any(one.edges != scores.empty.edges for one in labels):
        raise InputError(f"{origin}: scores: must have the same edges for every label")
    return told


class DriftWatch:
    """One model's live visits against its reference."""

    def __init__(self, reference: Reference) -> None:
        """Begin with an empty window."""
        self._measures = (
            _Measure(What.MEAN, reference.mean),
            _Measure(What.SPREAD, reference.spread),
            _Measure(What.SURENESS, _sureness(reference.scores)),
        )
        self._visits = self._sightless = 0

    def add(self, patches: Sequence[Grey], scores: Sequence[Scores]) -> tuple[Drifted, ...] | None:
        """Take a visit's frames of evidence, if it had any, and what the model said of each.

        Returns:
            What has drifted, nothing in the best case, where this visit closes a window; None where it does not.
        """
        self._visits += 1
        self._sightless += not patches
        if patches:
            self._take(patches, scores)
        return self._judged() if self._visits >= VISITS else None

    def _take(self, patches: Sequence[Grey], scores: Sequence[Scores]) -> None:
        chosen = np.unique(np.linspace(0, len(patches) - 1, min(len(patches), MAX_FRAMES)).round().astype(int))
        pictures = [patches[place] for place in chosen]
        values = (
            [float(picture.mean()) for picture in pictures],
            [float(picture.std()) for picture in pictures],
            [max(scores[place].probabilities) for place in chosen],
        )
        for measure, seen in zip(self._measures, values, strict=True):
            measure.add(seen)

    def _judged(self) -> tuple[Drifted, ...]:
        visits, sightless = self._visits, self._sightless
        self._visits = self._sightless = 0
        found = [measure.judged(visits - sightless) for measure in self._measures]
        if sightless > MAX_SIGHTLESS * visits:
            where = f"{sightless} of them had not one frame of evidence"
            found.append(Drifted(What.SIGHT, sightless / visits, MAX_SIGHTLESS, visits, where))
        return tuple(entry for entry in found if entry is not None)


class _Measure:
    """One histogram of the reference, and the window's own in the same bins."""

    def __init__(self, name: What, reference: Histogram) -> None:
        self._name = name
        self._edges, self._counts = _joined(reference)
        self._live = np.zeros(len(self._counts))

    def add(self, values: Sequence[float]) -> None:
        """Take one visit's values, together one vote."""
        places = np.searchsorted(self._edges, values, side="right") - (np.array(values) == self._edges[-1])
        self._live += np.bincount(places, minlength=len(self._live)) / len(values)

    def judged(self, visits: int) -> Drifted | None:
        """Judge the window and empty it."""
        live, self._live = self._live, np.zeros(len(self._live))
        if visits < VISITS * (1 - MAX_SIGHTLESS):
            return None
        theirs = (self._counts + 0.5) / (self._counts + 0.5).sum()  # no bin is empty before a logarithm
        ours = (live + theirs) / (visits + 1)  # one visit as it should be is added, so that no bin is empty here either
        parts = (ours - theirs) * np.log(ours / theirs)
        psi, limit = float(parts.sum()), bound(len(live), visits, int(self._counts.sum()))
        if psi <= limit:
            return None
        worst = int(((ours - theirs) * (ours > theirs)).argmax())
        ends = (-math.inf, *self._edges.tolist(), math.inf)
        where = (
            f"{live[worst] / visits:.0%} from {ends[worst]:.3g} to {ends[worst + 1]:.3g}, "
            f"where the model was made for {theirs[worst]:.0%}"
        )
        return Drifted(self._name, psi, limit, visits, where)


def bound(bins: int, visits: int, reference: int) -> float:
    """Return the PSI above which a window of so many visits has drifted.

    The chi-square quantile after Wilson and Hilferty, "The Distribution of Chi-Square", PNAS 17, 1931.
    """
    free = max(bins - 1, 1)
    spread = 2 / (9 * free)
    quantile = free * (1 - spread + CHANCE_Z * math.sqrt(spread)) ** 3
    return MAJOR + quantile * (1 / visits + 1 / reference)


def _sureness(scores: LabelHistograms) -> Histogram:
    """Return how many frames had a best label of so much probability; what is not above ``SURE`` is one bin."""
    every = (scores.empty, scores.cat_hidden, scores.cat_clear, scores.cat_prey, scores.other_animal, scores.person)
    edges, total = scores.empty.edges, sum(scores.empty.counts)
    sure = [place for place, edge in enumerate(edges[:-1]) if edge >= SURE]
    counts = tuple(sum(one.counts[place] for one in every) for place in sure)
    return Histogram((edges[0], *(edges[place] for place in (*sure, len(edges) - 1))), (total - sum(counts), *counts))


def _joined(reference: Histogram) -> tuple[Reals, Reals]:
    """Return inner edges and counts of the bins that are compared: none between the two ends is small."""
    least = MIN_SHARE * sum(reference.counts)
    filled = [place for place, count in enumerate(reference.counts) if count >= least] or [0]
    first, last = filled[0], filled[-1]
    edges, counts = [reference.edges[first]], [sum(reference.counts[:first])]
    held = 0
    for place in range(first, last + 1):
        held += reference.counts[place]
        if held >= least:
            edges.append(reference.edges[place + 1])
            counts.append(held)
            held = 0
    return np.array(edges), np.array([*counts, sum(reference.counts[last + 1 :])], np.float64)
