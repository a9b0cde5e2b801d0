"""Pictures of nothing that anybody knows, by which a student learns to say that it does not know.

Source: Hendrycks, Mazeika and Dietterich, "Deep Anomaly Detection with Outlier Exposure", ICLR 2019. What they are made
of is at hand everywhere: photographs cut up and put together wrongly, which keeps their light and texture, and soft
clouds and stripes. Pure noise is not among them: by that it is judged whether the lesson carries over.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import numpy.typing as npt
from dataset import Sample
from rows import UNLABELLED, allowed_by

from edge.messages import Box

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from edge.messages import Grey

STRANGE = "strange"
_WIDTH_PX, _HEIGHT_PX = 160, 120
_PIECES = (3, 4, 6)  # two by two leaves whole faces


def strange(photographs: Sequence[Sample], count: int, seed: int) -> tuple[Sample, ...]:
    """Return ``count`` strange pictures as training samples without a label, half of them cut from ``photographs``."""
    rng = np.random.default_rng(seed)
    kinds: list[Callable[[], Grey]] = [lambda: _clouds(rng), lambda: _stripes(rng)]
    if photographs:
        kinds += [lambda: _jigsaw(photographs[rng.integers(len(photographs))].grey, rng)] * 2
    return tuple(_sample(kinds[number % len(kinds)](), number) for number in range(count))


def _sample(grey: Grey, number: int) -> Sample:
    name = f"{STRANGE}/{number}"
    box = Box(0, 0, grey.shape[1], grey.shape[0])
    return Sample(name, "IR", grey, box, UNLABELLED, allowed_by(UNLABELLED, name), STRANGE, name, "train", -1)


def _jigsaw(grey: Grey, rng: np.random.Generator) -> Grey:
    """Cut a picture into equal pieces and lay them out in another order, each mirrored by chance."""
    side = int(rng.choice(_PIECES))
    whole = cv2.resize(grey, (_WIDTH_PX // side * side, _HEIGHT_PX // side * side), interpolation=cv2.INTER_AREA)
    pieces = [piece for row in np.split(whole, side) for piece in np.split(row, side, axis=1)]
    laid = [pieces[index][:: rng.choice((-1, 1)), :: rng.choice((-1, 1))] for index in rng.permutation(len(pieces))]
    return np.vstack([np.hstack(laid[start : start + side]) for start in range(0, len(laid), side)])


def _clouds(rng: np.random.Generator) -> Grey:
    """Soft blots, from a few large ones to many small ones."""
    across = int(rng.integers(5, 24))
    coarse = rng.normal(size=(across * 3 // 4 + 1, across)).astype(np.float32)
    fine = cv2.resize(coarse, (_WIDTH_PX, _HEIGHT_PX), interpolation=cv2.INTER_CUBIC)
    return _spread(fine.astype(np.float32), rng)


def _stripes(rng: np.random.Generator) -> Grey:
    """Waves of one or two directions, like blinds, fences and interference."""
    y, x = np.mgrid[0:_HEIGHT_PX, 0:_WIDTH_PX].astype(np.float32)
    waves = np.zeros((_HEIGHT_PX, _WIDTH_PX), np.float32)
    for _ in range(int(rng.integers(1, 3))):
        angle, cycles = rng.uniform(0, np.pi), rng.uniform(1, 30)
        waves += np.sin(2 * np.pi * cycles * (np.cos(angle) * x + np.sin(angle) * y) / _WIDTH_PX + rng.uniform(0, 6.3))
    return _spread(waves, rng)


def _spread(values: npt.NDArray[np.floating[Any]], rng: np.random.Generator) -> Grey:
    """Return values as greys of some random brightness and contrast."""
    unit = (values - values.mean()) / max(float(values.std()), 1e-6)
    greys: Grey = np.clip(rng.uniform(60, 190) + rng.uniform(10, 70) * unit, 0, 255).astype(np.uint8)
    return greys
