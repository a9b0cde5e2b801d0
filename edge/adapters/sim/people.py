"""People as the camera at a cat flap sees them: a hand, legs with shoes, somebody who crouches."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

import numpy as np

from edge.adapters.sim.pen import Pen, Place, blob, ellipse, pts, smooth, sweep

if TYPE_CHECKING:
    from collections.abc import Callable


class Part(StrEnum):
    """Which part of a person is there."""

    HAND = "hand"
    LEGS = "legs"
    CROUCHING = "crouching"


def draw_person(pen: Pen, at: Place, part: Part, stride: float, shade: int) -> None:
    """Draw part of a person; ``at`` as for animals: origin on the ground, a cat's shoulder height as its unit.

    ``shade`` is the clothes' grey level; ``stride`` moves fingers and legs.
    """
    pen.clear(shade)
    _PARTS[part](pen, at, stride, shade)


_SKIN = 190


def _hand(pen: Pen, at: Place, stride: float, shade: int) -> None:
    """A forearm that reaches in from behind its own facing, palm and five fingers in front."""
    unit, curl = at.unit_px, 0.5 + 0.4 * np.sin(2 * np.pi * stride)
    hand = at.within(0.0, -0.75, 0.9, 0.12 * np.sin(2 * np.pi * stride * 0.7))
    pen.limb(hand(pts((-3.2, 0.35), (-1.1, 0.12))), (0.75 * unit, 0.55 * unit), shade)
    pen.limb(hand(pts((-1.2, 0.12), (-0.45, 0.03))), (0.42 * unit, 0.36 * unit), _SKIN - 10)
    for start, angle, length in ((-0.24, -0.32, 0.62), (-0.08, -0.1, 0.75), (0.09, 0.1, 0.72), (0.24, 0.3, 0.55)):
        bend = angle + 0.5 * curl * (0.4 + start)
        root = np.array((0.12, start))
        middle = root + 0.55 * length * np.array((np.cos(angle), np.sin(angle)))
        tip = middle + 0.5 * length * np.array((np.cos(bend), np.sin(bend)))
        pen.limb(
            hand(np.array((root, middle, tip))), (0.19 * unit, 0.16 * unit, 0.12 * unit), _SKIN - 12 * abs(start) * 5
        )
    pen.fill(
        hand(blob((-0.6, -0.16), (-0.3, -0.3), (0.15, -0.34), (0.24, 0.0), (0.15, 0.35), (-0.3, 0.3), (-0.6, 0.2))),
        _SKIN,
    )
    pen.limb(
        hand(pts((-0.3, 0.25), (-0.02, 0.55), (0.25, 0.62 - 0.12 * curl))),
        (0.24 * unit, 0.18 * unit, 0.13 * unit),
        _SKIN - 18,
    )
    for start in (-0.16, 0.0, 0.17):
        pen.mark(hand(pts((0.02, start), (0.3, start * 1.35))), 0.03 * unit, _SKIN - 60)


def _legs(pen: Pen, at: Place, stride: float, shade: int) -> None:
    at = at.within(0.0, -0.06, 0.7)
    unit = at.unit_px
    for phase, tone in ((0.5, 0.65), (0.0, 1.0)):
        swing = 0.45 * np.sin(2 * np.pi * (stride + phase))
        lift = 0.15 * max(0.0, float(np.cos(2 * np.pi * (stride + phase))))
        ankle = np.array((swing, -0.28 - lift))
        pen.limb(
            at(np.array(((0.0, -3.4), (swing * 0.5 + 0.08, -1.7), ankle))),
            (0.95 * unit, 0.72 * unit, 0.46 * unit),
            shade * tone,
        )
        shoe = ankle + pts(
            (-0.3, -0.05), (-0.3, 0.22), (0.2, 0.24), (0.78, 0.26), (0.82, 0.1), (0.5, -0.02), (0.22, -0.14)
        )
        pen.fill(at(smooth(shoe)), 45 * tone)
        sole = ankle + pts((-0.32, 0.2), (0.82, 0.22), (0.8, 0.28), (-0.32, 0.28))
        pen.fill(at(sole), 175 * tone)


def _crouching(pen: Pen, at: Place, stride: float, shade: int) -> None:
    """Somebody bends down: head, shoulders, an arm towards the flap."""
    at = at.within(0.0, 0.0, 0.78)
    unit, sway = at.unit_px, 0.06 * np.sin(2 * np.pi * stride)
    pen.fill(
        at(blob((-1.5, 0.1), (-1.5, -0.9), (-0.9, -1.75), (-0.1, -1.7), (0.45, -1.1), (0.5, -0.3), (0.4, 0.1))), shade
    )
    head = at.within(0.35 + sway, -1.95, 0.5)
    pen.fill(head(ellipse(0.0, 0.0, 0.8, 1.0)), _SKIN - 15)
    pen.fill(
        head(blob((-0.85, 0.1), (-0.75, -0.85), (0.1, -1.15), (0.8, -0.7), (0.3, -0.5), (-0.3, -0.3), (-0.5, 0.4))), 40
    )
    for x in (0.15, 0.58):
        pen.spot(head(pts((x, -0.1)))[0], 0.05 * unit, 30)
    pen.mark(head(pts((0.25, 0.5), (0.6, 0.48))), 0.04 * unit, 90)
    pen.limb(
        at(sweep(pts((-0.1, -1.3), (0.5, -0.75), (1.3, -0.7)))), (0.5 * unit, 0.34 * unit, 0.25 * unit), shade * 0.85
    )
    pen.dot(at(pts((1.42, -0.7)))[0], 0.17 * unit, _SKIN)


_PARTS: dict[Part, Callable[[Pen, Place, float, int], None]] = {
    Part.HAND: _hand,
    Part.LEGS: _legs,
    Part.CROUCHING: _crouching,
}
