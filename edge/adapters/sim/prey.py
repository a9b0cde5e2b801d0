"""What a cat carries: prey in the mouth, and harmless things that only look like it."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

from edge.adapters.sim.pen import Pen, Place, blob, ellipse, limb, pts, sweep

if TYPE_CHECKING:
    from collections.abc import Callable


class Carries(StrEnum):
    """What is at the mouth. A bell and a leaf are harmless; the rest but nothing is prey."""

    NOTHING = "nothing"
    MOUSE = "mouse"
    VOLE = "vole"
    BIRD = "bird"
    FROG = "frog"
    LIZARD = "lizard"
    BELL = "bell"
    LEAF = "leaf"


_PREY_SIZE = 1.2  # of the cat's head: as long as a head or a little longer

HARMLESS = frozenset({Carries.NOTHING, Carries.BELL, Carries.LEAF})


def draw_prey(pen: Pen, mouth: Place, what: Carries, sway_rad: float) -> None:
    """Hang prey on the mouth; ``mouth`` has its origin between the jaws and the head's radius as its unit."""
    _PREY[what](pen, mouth.within(0, 0, _PREY_SIZE, sway_rad))


def _rodent(shade: float, length: float, tail: float) -> Callable[[Pen, Place], None]:
    def draw(pen: Pen, at: Place) -> None:
        unit = at.unit_px
        pen.stroke(
            at(sweep(pts((-0.15, 0.75), (-0.3, 0.9 + tail * 0.4), (-0.02, 0.9 + tail * 0.8), (-0.25, 0.9 + tail)))),
            0.09 * unit,
            shade * 0.75,
        )
        for x, y, reach in ((-0.3, 0.62, -0.3), (0.12, 0.8, 0.28), (0.28, 0.2, 0.3)):
            pen.fill(at(limb(((x, y), (x + reach * 0.7, y + 0.2), (x + reach, y + 0.28)), (0.1, 0.06))), shade * 0.8)
        body = at(
            blob(
                (-0.25, -0.25),
                (0.2, -0.3),
                (0.38, 0.1),
                (0.3, 0.2 + length * 0.5),
                (-0.02, 0.15 + length),
                (-0.38, 0.55),
            )
        )
        pen.fill(body, shade)
        pen.mark(body, 1, shade * 0.5)
        pen.dot(at(pts((0.42, -0.2)))[0], 0.26 * unit, shade * 1.05)
        pen.fill(at(limb(((0.45, -0.18), (0.72, -0.05)), (0.3, 0.1))), shade)
        pen.dot(at(pts((0.3, -0.42)))[0], 0.15 * unit, shade * 0.85)
        pen.spot(at(pts((0.55, -0.22)))[0], 0.06 * unit, 20)

    return draw


def _bird(pen: Pen, at: Place) -> None:
    unit, shade = at.unit_px, 92.0
    pen.fill(at(pts((-0.2, 0.1), (-1.0, 1.05), (-0.72, 1.2), (-0.62, 1.1), (-0.35, 1.28), (0.0, 0.6))), shade * 0.7)
    pen.fill(at(blob((-0.45, 0.1), (0.1, -0.4), (0.75, -0.25), (0.9, 0.15), (0.4, 0.6), (-0.2, 0.55))), shade)
    pen.fill(
        at(
            pts((0.05, 0.1), (0.55, 0.2), (0.72, 1.05), (0.55, 1.0), (0.5, 1.3), (0.3, 1.12), (0.2, 1.38), (0.05, 0.95))
        ),
        shade * 1.5,
    )
    for x in (0.22, 0.36, 0.5):
        pen.mark(at(pts((x, 0.35), (x + 0.06, 1.1))), 0.05 * unit, shade * 0.8)
    pen.dot(at(pts((0.98, -0.15)))[0], 0.3 * unit, shade * 0.9)
    pen.fill(at(pts((1.2, -0.25), (1.52, -0.08), (1.2, 0.02))), 170)
    pen.spot(at(pts((1.05, -0.2)))[0], 0.07 * unit, 15)
    pen.stroke(at(pts((-0.1, 0.5), (-0.12, 0.95), (-0.3, 1.02))), 0.06 * unit, 150)


def _frog(pen: Pen, at: Place) -> None:
    unit, shade = at.unit_px, 150.0
    for side in (-1.0, 1.0):
        leg = ((0.2 * side, 0.55), (0.55 * side, 0.85), (0.22 * side, 1.15), (0.45 * side, 1.55), (0.62 * side, 1.6))
        pen.fill(at(limb(leg, (0.26, 0.17, 0.12, 0.09))), shade * 0.85)
        pen.fill(at(limb(((0.3 * side, 0.0), (0.62 * side, 0.25), (0.6 * side, 0.5)), (0.15, 0.08))), shade * 0.9)
    pen.fill(at(ellipse(0.0, 0.15, 0.4, 0.6)), shade)
    pen.tint(at(ellipse(0.0, 0.3, 0.24, 0.38)), shade * 1.35)
    pen.spot(at(pts((0.2, -0.3)))[0], 0.1 * unit, 25)


def _lizard(pen: Pen, at: Place) -> None:
    unit, shade = at.unit_px, 80.0
    spine = (
        (0.75, -0.5),
        (0.35, -0.1),
        (0.1, 0.35),
        (0.25, 0.65),
        (0.33, 0.9),
        (0.2, 1.15),
        (0.05, 1.4),
        (0.12, 1.7),
        (0.3, 1.95),
    )
    for x, y, side in ((0.2, 0.2, 1.0), (0.15, 0.25, -1.0), (0.3, 0.75, 1.0), (0.25, 0.8, -1.0)):
        pen.fill(at(limb(((x, y), (x + 0.28 * side, y + 0.06), (x + 0.36 * side, y + 0.24)), (0.09, 0.05))), shade)
    pen.fill(at(limb(spine, (0.2, 0.28, 0.26, 0.2, 0.1, 0.04))), shade)
    pen.dot(at(pts((0.8, -0.55)))[0], 0.15 * unit, shade)


_PREY: dict[Carries, Callable[[Pen, Place], None]] = {
    Carries.MOUSE: _rodent(138.0, 0.85, 1.0),
    Carries.VOLE: _rodent(78.0, 1.0, 0.45),
    Carries.BIRD: _bird,
    Carries.FROG: _frog,
    Carries.LIZARD: _lizard,
}


def draw_bell(pen: Pen, head: Place) -> None:
    """Draw a collar with a bell under the throat; ``head`` has the head's radius as its unit."""
    unit = head.unit_px
    pen.mark(head(pts((-0.75, 0.4), (-0.45, 0.85), (0.05, 1.02))), 0.16 * unit, 28)
    pen.dot(head(pts((0.08, 1.14)))[0], 0.15 * unit, 225)
    pen.spot(head(pts((0.06, 1.19)))[0], 0.05 * unit, 60)


def draw_leaf(pen: Pen, head: Place) -> None:
    """Draw a leaf that clings to the chest fur below the chin."""
    at = head.within(0.15, 1.15, 0.42, 0.6)
    pen.fill(at(blob((-1.0, 0.0), (-0.2, -0.55), (0.7, -0.3), (1.1, 0.1), (0.4, 0.5), (-0.4, 0.45))), 165)
    pen.mark(at(pts((-0.9, 0.0), (1.0, 0.1))), 0.1 * at.unit_px, 95)
