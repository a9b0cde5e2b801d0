"""A pen for soft shapes: it paints one actor's own brightness, and how much of it covers the view behind."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Self, TypeAlias

import cv2
import numpy as np
import numpy.typing as npt

from edge.messages import Box, Grey

if TYPE_CHECKING:
    from collections.abc import Sequence

Points: TypeAlias = npt.NDArray[np.float64]
"""Points in a plane, shape (count, 2); x to the right, y downwards."""

_SUBPIXEL_BITS = 4
_SUBPIXEL = 1 << _SUBPIXEL_BITS
_VISIBLE = 100  # of 255: cover from which a pixel counts as part of the actor


@dataclass(frozen=True, slots=True, eq=False)
class Place:
    """Where a figure's own plane lies in the picture: an affine map, (2, 3) float64, and the pixels of one unit."""

    matrix: Points
    unit_px: float

    @classmethod
    def at(cls, x_px: float, y_px: float, unit_px: float, mirrored: bool = False) -> Self:
        """Put the plane's origin at a pixel; ``mirrored`` makes the figure face left."""
        side = -unit_px if mirrored else unit_px
        return cls(np.array([[side, 0.0, x_px], [0.0, unit_px, y_px]]), unit_px)

    def within(self, x: float, y: float, size: float, turn_rad: float = 0.0) -> Place:
        """Return a smaller plane inside this one, such as the head's; positive turns bring the nose down."""
        cos, sin = np.cos(turn_rad) * size, np.sin(turn_rad) * size
        inner = np.array([[cos, -sin, x], [sin, cos, y], [0.0, 0.0, 1.0]])
        return Place(self.matrix @ inner, self.unit_px * size)

    def __call__(self, points: Points) -> Points:
        """Return the pixels of points of this plane."""
        pixels: Points = cv2.transform(points[np.newaxis], self.matrix)[0].astype(np.float64, copy=False)
        return pixels


@lru_cache(maxsize=64)
def _spline(count: int, closed: bool, steps: int) -> Points:
    """Return the matrix, (samples, count), that turns control points into a Catmull-Rom curve."""
    spans = count if closed else count - 1
    rows = np.zeros((spans * steps + (0 if closed else 1), count))
    for row in range(len(rows)):
        span, t = min(row // steps, spans - 1), row / steps - min(row // steps, spans - 1)
        weights = (
            (-t + 2 * t**2 - t**3) / 2,
            (2 - 5 * t**2 + 3 * t**3) / 2,
            (t + 4 * t**2 - 3 * t**3) / 2,
            (t**3 - t**2) / 2,
        )
        for offset, weight in enumerate(weights, start=span - 1):
            column = offset % count if closed else min(max(offset, 0), count - 1)
            rows[row, column] += weight
    return rows


def smooth(control: Points) -> Points:
    """Return a closed smooth outline through the control points."""
    return _spline(len(control), True, 5) @ control


def sweep(control: Points) -> Points:
    """Return an open smooth line through the control points."""
    return _spline(len(control), False, 6) @ control


@lru_cache(maxsize=64)
def _ramp(count: int, samples: int) -> Points:
    """Return the matrix, (samples, count), that spreads ``count`` values evenly over ``samples``."""
    at = np.linspace(0, count - 1, samples)
    return np.maximum(0.0, 1.0 - np.abs(at[:, np.newaxis] - np.arange(count)[np.newaxis, :]))


_CAP = np.array([(np.cos(a), np.sin(a)) for a in np.radians((60, 30, 0, -30, -60))])  # forwards, sidewards


def hull(line: Points, widths: Sequence[float] | Points) -> Points:
    """Return the outline of a line with round ends that is ``widths`` thick, spread evenly along it."""
    half = (_ramp(len(widths), len(line)) @ np.asarray(widths, np.float64))[:, np.newaxis] / 2
    along = np.empty_like(line)
    along[1:-1] = line[2:] - line[:-2]
    along[0], along[-1] = line[1] - line[0], line[-1] - line[-2]
    along /= np.maximum(np.sqrt((along * along).sum(axis=1, keepdims=True)), 1e-6)
    normal = along[:, ::-1] * (-1.0, 1.0)
    head = line[-1] + half[-1] * (_CAP[:, :1] * along[-1] + _CAP[:, 1:] * normal[-1])
    tail = line[0] - half[0] * (_CAP[:, :1] * along[0] + _CAP[:, 1:] * normal[0])
    return np.concatenate((line + normal * half, head, (line - normal * half)[::-1], tail))


class Pen:
    """Paints one actor on two layers, (height, width) uint8: ``albedo`` its own brightness, ``cover`` its outline."""

    def __init__(self, width_px: int, height_px: int) -> None:
        """Make empty layers."""
        self.width_px, self.height_px = width_px, height_px
        self.albedo: Grey = np.zeros((height_px, width_px), np.uint8)
        self.cover: Grey = np.zeros((height_px, width_px), np.uint8)
        self._mask: Grey = np.zeros((height_px, width_px), np.uint8)

    def clear(self, shade: float) -> None:
        """Start a new actor; ``shade`` is what its soft edges blend from, so it should be the actor's own."""
        self.albedo[:] = int(shade)
        self.cover[:] = 0

    def box(self) -> Box | None:
        """Return the tight box of what is painted, or None for nothing."""
        x, y, width, height = cv2.boundingRect(cv2.threshold(self.cover, _VISIBLE, 255, cv2.THRESH_BINARY)[1])
        return Box(x, y, width, height) if width and height else None

    def window(self, points: Points, border_px: float = 2.0) -> tuple[slice, slice] | None:
        """Return the part of the picture round ``points`` as (rows, columns), or None when it is outside."""
        low = np.floor(points.min(axis=0) - border_px).astype(int)
        high = np.ceil(points.max(axis=0) + border_px).astype(int) + 1
        left, right = max(low[0], 0), min(high[0], self.width_px)
        top, bottom = max(low[1], 0), min(high[1], self.height_px)
        return (slice(top, bottom), slice(left, right)) if left < right and top < bottom else None

    def fill(self, points: Points, shade: float) -> None:
        """Fill an outline given in pixels."""
        fixed = [_fixed(points)]
        cv2.fillPoly(self.albedo, fixed, ink(shade), cv2.LINE_8, _SUBPIXEL_BITS)
        cv2.fillPoly(self.cover, fixed, _FULL, cv2.LINE_AA, _SUBPIXEL_BITS)

    def tint(self, points: Points, shade: float) -> None:
        """Paint an outline onto what is there already, without adding to the actor's outline."""
        cv2.fillPoly(self.albedo, [_fixed(points)], ink(shade), cv2.LINE_AA, _SUBPIXEL_BITS)

    def clothe(self, points: Points, texture: Grey, to_px: Points) -> None:
        """Fill an outline with a texture; ``to_px``, (2, 3), takes the texture's pixels to the picture's."""
        window = self.window(points)
        if window is None:
            return
        rows, columns = window
        shifted = to_px.copy()
        shifted[:, 2] -= (columns.start, rows.start)
        size = (columns.stop - columns.start, rows.stop - rows.start)
        cloth = cv2.warpAffine(texture, shifted, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        mask = self._mask[window]
        mask[:] = 0
        offset = np.array((columns.start, rows.start), np.float64)
        cv2.fillPoly(mask, [_fixed(points - offset)], _FULL, cv2.LINE_8, _SUBPIXEL_BITS)
        cv2.copyTo(cloth, mask, self.albedo[window])
        cv2.fillPoly(self.cover, [_fixed(points)], _FULL, cv2.LINE_AA, _SUBPIXEL_BITS)

    def limb(self, line: Points, widths_px: Sequence[float] | Points, shade: float) -> None:
        """Paint a line in pixels whose thickness changes along it, with round ends."""
        self.fill(hull(line, widths_px), shade)

    def dot(self, centre: Points, radius_px: float, shade: float) -> None:
        """Paint a disc and let it count as part of the actor."""
        self._disc(self.albedo, centre, radius_px, shade)
        self._disc(self.cover, centre, radius_px, 255)

    def spot(self, centre: Points, radius_px: float, shade: float) -> None:
        """Paint a disc onto what is there already, such as an eye."""
        self._disc(self.albedo, centre, radius_px, shade)

    def stroke(self, line: Points, width_px: float, shade: float, cover: float = 255) -> None:
        """Draw a thin line that counts as part of the actor; a ``cover`` under 255 lets the view shine through."""
        fixed, width = [_fixed(line)], max(1, round(width_px))
        cv2.polylines(self.albedo, fixed, False, ink(shade), width + 1, cv2.LINE_8, _SUBPIXEL_BITS)
        if cover >= 255:
            cv2.polylines(self.cover, fixed, False, _FULL, width, cv2.LINE_AA, _SUBPIXEL_BITS)
        else:
            self._thin(line, width, cover)

    def mark(self, line: Points, width_px: float, shade: float) -> None:
        """Draw a line onto what is there already, such as the cleft of the mouth."""
        cv2.polylines(
            self.albedo, [_fixed(line)], False, ink(shade), max(1, round(width_px)), cv2.LINE_AA, _SUBPIXEL_BITS
        )

    def _thin(self, line: Points, width_px: int, cover: float) -> None:
        window = self.window(line)
        if window is None:
            return
        mask = self._mask[window]
        mask[:] = 0
        offset = np.array((window[1].start, window[0].start), np.float64)
        fixed = [_fixed(line - offset)]
        cv2.polylines(mask, fixed, False, ink(cover), width_px, cv2.LINE_AA, _SUBPIXEL_BITS)
        cv2.max(self.cover[window], mask, self.cover[window])

    def _disc(self, layer: Grey, centre: Points, radius_px: float, shade: float) -> None:
        if not (-500 < centre[0] < 1500 and -500 < centre[1] < 1500):
            return
        x, y = int(centre[0] * _SUBPIXEL), int(centre[1] * _SUBPIXEL)
        radius = max(int(radius_px * _SUBPIXEL), _SUBPIXEL // 2)
        cv2.circle(layer, (x, y), radius, ink(shade), -1, cv2.LINE_AA, _SUBPIXEL_BITS)


@lru_cache(maxsize=1024)
def ellipse(x: float, y: float, half_width: float, half_height: float, turn_rad: float = 0.0) -> Points:
    """Return the outline of an ellipse, 20 points."""
    angle = np.linspace(0, 2 * np.pi, 20, endpoint=False)
    u, v = np.cos(angle) * half_width, np.sin(angle) * half_height
    cos, sin = np.cos(turn_rad), np.sin(turn_rad)
    return _frozen(np.column_stack((x + u * cos - v * sin, y + u * sin + v * cos)))


@lru_cache(maxsize=4096)
def pts(*points: tuple[float, float]) -> Points:
    """Return points as an array that is made once and must not be changed."""
    return _frozen(np.array(points, np.float64))


@lru_cache(maxsize=1024)
def blob(*points: tuple[float, float]) -> Points:
    """Return the closed smooth outline through points, made once."""
    return _frozen(smooth(pts(*points)))


@lru_cache(maxsize=4096)
def limb(points: tuple[tuple[float, float], ...], widths: tuple[float, ...]) -> Points:
    """Return the outline of a limb of the given thickness along it, in the units of its plane, made once."""
    return _frozen(hull(pts(*points), widths))


_FULL = (255.0,)


def ink(shade: float) -> tuple[float]:
    """Return a grey level in the form OpenCV's drawing functions take."""
    return (float(int(shade)),)


def _frozen(points: Points) -> Points:
    points.flags.writeable = False
    return points


def _fixed(points: Points) -> npt.NDArray[np.int32]:
    return (points * _SUBPIXEL).astype(np.int32)
