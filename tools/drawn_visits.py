"""Visits drawn from a known law, to see what the sequential test's budgets are worth.

Scores and patches belong together, and may be correlated from frame to frame as closely as one likes.

A frame's log-likelihood ratio of what is there against its rival is normal with equal spread under both, so that the
scores are calibrated to the letter. It follows a first-order autoregression, and so do the patches' pixels, of the same
correlation: what the flap measures as similarity is that of the scores, blurred by the camera's noise.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
import numpy.typing as npt

from edge.messages import LABELS, Box, Label, Motion, MotionWhy, Observation, Patch, Quality, QualityWhy, Scores

if TYPE_CHECKING:
    from collections.abc import Iterator

Reals: TypeAlias = npt.NDArray[np.float32]
Greys: TypeAlias = npt.NDArray[np.uint8]

FRAMES = 300
"""Frames of a visit: as many as one visit may hold (``edge.visits.MAX_OBSERVATIONS``)."""
FRAME_NS = 100_000_000
"""Ten frames a second."""

_PATCH = (6, 8)  # pixels enough for a mean difference
_GREY = 128.0
_BLOCK = 250  # visits drawn at once
_ELSE = 0.03  # what the model leaves for the labels that are not in question
_HIDDEN_POSTERIOR = 0.9
_APART = math.sqrt(math.pi) / 2  # spread of a normal pixel over the mean absolute difference of two of them
_MOTION = Motion(present=True, why=MotionWhy.MOVING, box=None, area_fraction=0.3)
_QUALITY = Quality(ok=True, why=QualityWhy.OK, mean=90.0, contrast=40.0, sharpness=0.2)
_BOX = Box(0, 0, _PATCH[1], _PATCH[0])


class Kind(StrEnum):
    """Who comes."""

    CLEAN = "clean cat of ours"
    PREY = "cat with prey"
    NO_CAT = "hand or other animal"
    LINGERS = "clean cat that may not enter"


@dataclass(frozen=True, slots=True)
class Law:
    """By what visits are drawn.

    ``separation`` is the distance of the two normal laws in spreads; ``correlation`` is of one frame with the next;
    ``lasting`` is the share of the scores' variance that stays the same all visit long, whatever the patches do;
    ``look`` and ``noise`` are the mean absolute differences, in grey levels, of two unrelated patches and of two of a
    scene that stands still; in a share ``hidden`` of the frames the mouth cannot be seen.
    """

    separation: float
    correlation: float
    lasting: float
    look: float
    noise: float
    hidden: float


@dataclass(frozen=True, slots=True, eq=False)
class DrawnVisit:
    """One visit: posteriors (frames, labels) float32, in the order of ``LABELS``, and patches (frames, 6, 8) uint8."""

    posteriors: Reals
    patches: Greys

    def observations(self) -> Iterator[Observation]:
        """Yield the frames as the flap's loop would hand them to the judge."""
        for index, (row, pixels) in enumerate(zip(self.posteriors.tolist(), self.patches, strict=True)):
            patch, scores = Patch(pixels, _BOX), Scores(tuple(row), ())
            yield Observation(index, index * FRAME_NS, _MOTION, _QUALITY, patch, scores)


def drawn(kind: Kind, law: Law, visits: int, seed: int) -> Iterator[DrawnVisit]:
    """Yield so many visits; the same arguments yield the same visits."""
    rng = np.random.default_rng(
        (seed, list(Kind).index(kind), round(law.correlation * 1000), round(law.lasting * 1000))
    )
    for begun in range(0, visits, _BLOCK):
        count = min(_BLOCK, visits - begun)
        posteriors = _posteriors(kind, law, count, rng)
        patches = _patches(law, count, rng)
        yield from (DrawnVisit(*pair) for pair in zip(posteriors, patches, strict=True))


def _posteriors(kind: Kind, law: Law, visits: int, rng: np.random.Generator) -> Reals:
    changing = _correlated(law.correlation, (visits,), rng)
    lasting = rng.standard_normal(visits, np.float32)[:, None]
    latent = math.sqrt(1 - law.lasting) * changing + math.sqrt(law.lasting) * lasting
    clean = kind in (Kind.CLEAN, Kind.LINGERS)
    llr = law.separation * latent + (-1 if clean else 1) * law.separation**2 / 2
    told = np.full((*llr.shape, len(LABELS)), _ELSE / (len(LABELS) - 2), np.float32)
    rival = Label.PERSON if kind is Kind.NO_CAT else Label.CAT_PREY
    told[..., LABELS.index(rival)] = (1 - _ELSE) / (1 + np.exp(-llr))
    told[..., LABELS.index(Label.CAT_CLEAR)] = (1 - _ELSE) / (1 + np.exp(llr))
    if kind is not Kind.NO_CAT:
        _hide(told, law, rng)
    return told


def _hide(told: Reals, law: Law, rng: np.random.Generator) -> None:
    """Turn the head away in some frames: the model then says that the mouth is hidden, and of the rest nothing."""
    turned = _correlated(law.correlation, (len(told),), rng)
    away = turned < np.quantile(turned, law.hidden)
    told[away] = (1 - _HIDDEN_POSTERIOR) / (len(LABELS) - 1)
    told[away, LABELS.index(Label.CAT_HIDDEN)] = _HIDDEN_POSTERIOR


def _patches(law: Law, visits: int, rng: np.random.Generator) -> Greys:
    scene = _correlated(law.correlation, (visits, *_PATCH), rng) * (_APART * law.look)
    scene += rng.standard_normal(scene.swapaxes(0, 1).shape, np.float32).swapaxes(0, 1) * (_APART * law.noise)
    return np.clip(scene + _GREY, 0, 255).astype(np.uint8)


def _correlated(correlation: float, shape: tuple[int, ...], rng: np.random.Generator) -> Reals:
    """Return a stationary first-order autoregression of unit variance for each visit: (visits, frames, ...)."""
    values = rng.standard_normal((FRAMES, *shape), np.float32)
    values[1:] *= math.sqrt(1 - correlation**2)
    for index in range(1, FRAMES):
        values[index] += correlation * values[index - 1]
    return values.swapaxes(0, 1)
