"""What simple things reach on the same pictures: the rows that stand in every table above the student's.

Each baseline learns from training pictures and gives class probabilities over ``dataset.COARSE``, and a risk of prey.
None of them knows anything of the pictures it is judged by but the pixels.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import cv2
import numpy as np
from dataset import COARSE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dataset import Sample

    from edge.evaluation import Reals
    from edge.messages import Grey

_SMALL_PX = (80, 60)
_CHANGED_LEVELS = 25
"""A pixel has moved when it differs by more grey levels than this from what is usually there."""
_BINS = 8
_PREY = COARSE.index("cat_prey")


class Baseline(Protocol):
    """Something simple that learns and judges; ``name`` is its row in a table."""

    @property
    def name(self) -> str:
        """What a person calls it."""
        ...

    def judge(self, train: Sequence[Sample], test: Sequence[Sample]) -> Reals:
        """Learn from one set and return probabilities for the other, (count, coarse classes)."""
        ...


@dataclass(frozen=True, slots=True)
class Majority:
    """Always the shares of the classes in training."""

    name: str = "majority class"

    def judge(self, train: Sequence[Sample], test: Sequence[Sample]) -> Reals:
        """Return the same shares for every picture."""
        return np.tile(_shares(_truth(train)), (len(test), 1))


@dataclass(frozen=True, slots=True)
class MotionArea:
    """How much of the picture differs from what is usually there: nothing, something small, a cat, a person."""

    name: str = "motion area"

    def judge(self, train: Sequence[Sample], test: Sequence[Sample]) -> Reals:
        """Return, for each picture, the shares of the classes among training pictures with as much movement."""
        return _by_bins(_areas(train), _truth(train), _areas(test))


@dataclass(frozen=True, slots=True)
class Silhouette:
    """The rule of the oldest flaps: a dark shape before the light, and what sticks out of it below the muzzle.

    After catcierge (Soderberg, 2014), which counts the contours that are left of the snout's silhouette after thin
    parts are worn away: a mouse's tail and legs are thin, a muzzle is not.
    """

    name: str = "silhouette contour"

    def judge(self, train: Sequence[Sample], test: Sequence[Sample]) -> Reals:
        """Return shares by how dark the picture is, and of cats by how much of the silhouette is thin."""
        dark_train, thin_train = _silhouettes(train)
        dark_test, thin_test = _silhouettes(test)
        truth = _truth(train)
        by_dark = _by_bins(dark_train, truth, dark_test)
        cats = np.isin(truth, [COARSE.index("cat"), _PREY])
        if not cats.any():
            return by_dark
        by_thin = _by_bins(thin_train[cats], truth[cats], thin_test)
        pair = [COARSE.index("cat"), _PREY]
        either = by_dark[:, pair].sum(axis=1, keepdims=True)
        shares = by_thin[:, pair] / by_thin[:, pair].sum(axis=1, keepdims=True)
        by_dark[:, pair] = either * shares
        return by_dark


def _truth(samples: Sequence[Sample]) -> Reals:
    return np.array([COARSE.index(sample.coarse) for sample in samples])


def _shares(truth: Reals) -> Reals:
    """Return the classes' shares with one picture of each added, so that none is impossible."""
    counts = np.bincount(truth.astype(int), minlength=len(COARSE)) + 1.0
    shares: Reals = counts / counts.sum()
    return shares


def _by_bins(known: Reals, truth: Reals, asked: Reals) -> Reals:
    """Return class shares by the quantile of one number: a histogram as a classifier."""
    edges = np.quantile(known, np.linspace(0, 1, _BINS + 1)[1:-1])
    bins_known, bins_asked = np.searchsorted(edges, known), np.searchsorted(edges, asked)
    table = np.stack([_shares(truth[bins_known == number]) for number in range(_BINS)])
    found: Reals = table[bins_asked]
    return found


def _areas(samples: Sequence[Sample]) -> Reals:
    """Return the share of each picture that differs from the median picture of its home."""
    small = np.stack([cv2.resize(sample.grey, _SMALL_PX, interpolation=cv2.INTER_AREA) for sample in samples])
    homes = np.array([sample.home for sample in samples])
    usual = {home: np.median(small[homes == home], axis=0) for home in set(homes.tolist())}
    changed = [np.abs(picture - usual[home]) > _CHANGED_LEVELS for picture, home in zip(small, homes, strict=True)]
    areas: Reals = np.mean(changed, axis=(1, 2))
    return areas


def _silhouettes(samples: Sequence[Sample]) -> tuple[Reals, Reals]:
    """Return the dark share of each picture, and the thin share of what is dark."""
    pairs = np.array([_silhouette(sample.grey) for sample in samples])
    return pairs[:, 0], pairs[:, 1]


def _silhouette(grey: Grey) -> tuple[float, float]:
    small = cv2.resize(grey, (160, 120), interpolation=cv2.INTER_AREA)
    _, dark = cv2.threshold(small, 0, 255, cv2.THRESH_BINARY_INV + cv2.THRESH_OTSU)
    worn = cv2.morphologyEx(dark, cv2.MORPH_OPEN, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (15, 15)))
    share, thick = float(np.mean(dark > 0)), float(np.mean(worn > 0))
    return share, (share - thick) / max(share, 1e-6)
