"""Where a cat's mouth is in a back-lit picture: the foremost part of its silhouette."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

import cv2
import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from edge.messages import Grey

Mask: TypeAlias = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Mouth:
    """Where a cat's mouth is, in pixels. ``scale_px`` is the height of its head without the ears."""

    x_px: float
    y_px: float
    facing_left: bool
    scale_px: float
    backlit: bool


_LEAST_CONTRAST = 50.0  # grey levels between silhouette and light
_LEAST_SEPARATION = 0.8  # of all variance that lies between dark and light (Otsu); even noise has 0.75
_DARK_SHARE = (0.1, 0.75)
_SIDE_FREE = 0.1  # of the picture's width: the light that must be left before the nose
_TOP = 0.2  # of the picture's height: above it no nose is looked for
_DROP = 0.09  # of the picture's width: how far the outline falls back under the chin
_HEAD_LONG = 0.6  # where the head is as high as it gets, behind the nose, in its own heights


def find_mouth(grey: Grey) -> Mouth | None:
    """Find the mouth of a back-lit head that comes in from one side, or say None where that is not certain.

    ``grey`` is uint8, (height, width). Front-lit pictures give None: their mouth must be known from elsewhere.
    """
    dark = _silhouette(grey)
    if dark is None:
        return None
    facing_left = bool(dark[:, -1].any())
    profile = _Profile(dark[:, ::-1] if facing_left else dark)
    found = profile.mouth()
    if found is None:
        return None
    x, y, scale = found
    return Mouth(grey.shape[1] - 1 - x if facing_left else x, y, facing_left, scale, backlit=True)


def dark_of(grey: Grey) -> tuple[Mask, float, float]:
    """Return what is dark, and how well dark and light are told apart: grey levels, and share of the variance."""
    smooth = cv2.GaussianBlur(grey, (0, 0), 1.5)
    limit, _ = cv2.threshold(smooth, 0, 255, cv2.THRESH_BINARY + cv2.THRESH_OTSU)
    dark = smooth <= limit
    if not 0 < np.count_nonzero(dark) < dark.size:
        return dark, 0.0, 0.0
    low, high = float(smooth[dark].mean()), float(smooth[~dark].mean())
    share = float(dark.mean())
    between = share * (1 - share) * (high - low) ** 2
    return dark, high - low, between / max(float(smooth.var()), 1e-9)


def _silhouette(grey: Grey) -> Mask | None:
    """Return the largest dark thing without whiskers and sills, if it comes in from exactly one side."""
    dark, contrast, separation = dark_of(grey)
    share = float(dark.mean())
    if contrast < _LEAST_CONTRAST or separation < _LEAST_SEPARATION or not _DARK_SHARE[0] < share < _DARK_SHARE[1]:
        return None
    dark[dark.mean(axis=1) > 0.97] = False  # the tunnel's sill and lintel go from side to side
    opened = cv2.morphologyEx(dark.astype(np.uint8), cv2.MORPH_OPEN, np.ones((5, 5), np.uint8))
    _, names, facts, _ = cv2.connectedComponentsWithStats(opened)
    if len(facts) < 2:
        return None
    largest = int(np.argmax(facts[1:, cv2.CC_STAT_AREA])) + 1
    only: Mask = names == largest
    if float(only.mean()) < _DARK_SHARE[0] or only[:, 0].any() == only[:, -1].any():
        return None
    return only


class _Profile:
    """The outline of a silhouette that looks to the right, row by row."""

    def __init__(self, dark: Mask) -> None:
        """Take the foremost dark pixel of each row, -1 where there is none."""
        self._dark = dark
        self._height, self._width = dark.shape
        self._front = np.where(dark.any(axis=1), self._width - 1 - np.argmax(dark[:, ::-1], axis=1), -1)

    def mouth(self) -> tuple[float, float, float] | None:
        """Return x, y and the head's height, all in pixels."""
        chin = self._chin()
        if chin is None:
            return None
        top = round(_TOP * self._height)
        nose = top + int(np.argmax(self._front[top:chin]))
        nose_x = int(self._front[nose])
        head = self._head(nose, nose_x)
        if head is None or not self._is_muzzle(nose, nose_x, chin, head):
            return None
        return nose_x - 0.14 * head, nose + 0.55 * (chin - nose), head

    def _chin(self) -> int | None:
        """Return the first row under the nose in which the outline has fallen back.

        From the top, because a paw may reach further forward than the nose; but not from its very top, where ears and
        the tunnel's lintel are.
        """
        low = self._front[round(_TOP * self._height) :]
        fallen = np.flatnonzero(np.maximum.accumulate(low) - low > _DROP * self._width)
        return self._height - len(low) + int(fallen[0]) if len(fallen) else None

    def _head(self, nose: int, nose_x: int) -> float | None:
        """Return the head's height: its thickness where it lies about half a head's length behind the nose."""
        for x in range(nose_x, -1, -1):
            column = self._dark[:, x]
            if not column[nose]:
                return None
            above, below = np.flatnonzero(~column[:nose]), np.flatnonzero(~column[nose:])
            if not len(below):
                return None
            top = int(above[-1]) + 1 if len(above) else 0
            thick = nose + int(below[0]) - top
            if nose_x - x >= _HEAD_LONG * thick:
                return float(thick)
        return None

    def _is_muzzle(self, nose: int, nose_x: int, chin: int, head: float) -> bool:
        """Whether this looks like a muzzle: of a head's size, pointed, with light before and below it."""
        if not (0.25 * self._height < head < 0.85 * self._height and _TOP + 0.03 < nose / self._height < 0.7):
            return False
        if self._width - 1 - nose_x < _SIDE_FREE * self._width or not 0.1 * head < chin - nose < 0.45 * head:
            return False
        brow = max(nose - round(0.5 * head), 0)
        if nose_x - int(self._front[brow]) < 0.02 * head:  # a wall, or a head that comes straight at the camera
            return False
        left, bottom = max(round(nose_x - 0.3 * head), 0), round(chin + 0.12 * head)
        return bottom < self._height and float(self._dark[chin + 2 : bottom, left:nose_x].mean()) < 0.1
