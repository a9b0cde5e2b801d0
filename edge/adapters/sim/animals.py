"""Animals drawn from the side, from the front and from behind: cats above all, and those who are none."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from edge.adapters.sim import coats
from edge.adapters.sim.pen import Pen, Place, Points, blob, ellipse, hull, limb, pts, smooth, sweep
from edge.adapters.sim.prey import HARMLESS, Carries, draw_bell, draw_leaf, draw_prey

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from edge.adapters.sim.coats import Coat, Pelt
    from edge.messages import Grey

EYE_SHINE = 252


class Head(StrEnum):
    """How a cat holds its head. The mouth can be seen in the first two only."""

    PROFILE = "profile"
    TOWARDS = "towards"  # three quarters towards the camera
    AWAY = "away"
    LOWERED = "lowered"  # between the forelegs


@dataclass(frozen=True, slots=True)
class Posture:
    """One instant of an animal. ``stride`` counts steps (1 is a whole cycle); ``rear`` shows it from behind."""

    stride: float = 0.0
    head: Head = Head.PROFILE
    nod_rad: float = 0.0
    tail: float = 0.5  # 0 hangs, 1 stands
    crouch: float = 0.0  # 0 stands, 1 creeps
    rear: bool = False
    carries: Carries = Carries.NOTHING
    sway_rad: float = 0.0  # of what it carries


@dataclass(frozen=True, slots=True)
class Build:
    """The proportions of a four-legged animal in shoulder heights, facing right, its feet on y = 0."""

    length: float  # of the body, cat = 1
    belly: float  # how far the belly hangs down, cat = 1
    leg: float  # thickness
    head: tuple[float, float]
    head_size: float
    neck: tuple[float, float]  # thickness at the shoulder and at the head
    tail: tuple[float, ...]  # thickness along the tail
    tail_length: float


CAT = Build(1.0, 1.0, 1.0, (0.83, -1.02), 0.29, (0.5, 0.42), (0.12, 0.1, 0.07), 1.0)
FOX = Build(1.08, 0.9, 0.8, (0.98, -1.06), 0.22, (0.42, 0.28), (0.1, 0.24, 0.3, 0.22, 0.04), 1.05)
DOG = Build(1.05, 1.05, 1.1, (0.9, -1.28), 0.25, (0.46, 0.32), (0.12, 0.08, 0.05), 0.75)
RACCOON = Build(0.92, 1.35, 1.1, (0.8, -0.72), 0.27, (0.5, 0.4), (0.2, 0.26, 0.26, 0.18), 0.75)
RAT = Build(1.25, 1.55, 0.8, (0.86, -0.48), 0.3, (0.5, 0.4), (0.1, 0.07, 0.04, 0.02), 1.5)

_BODY = np.array(
    [
        (-0.70, -0.80), (-0.45, -0.98), (0.0, -0.94), (0.40, -0.99), (0.60, -0.92), (0.70, -0.70),
        (0.58, -0.48), (0.20, -0.41), (-0.25, -0.46), (-0.55, -0.48), (-0.73, -0.62),
    ]
)  # fmt: skip
_LOWER = slice(6, 10)  # the points of the belly
_LEGS = (
    (0.46, 0.0),
    (0.46, 0.5),
    (-0.52, 0.25),
    (-0.52, 0.75),
)  # hip and phase: far fore, near fore, far hind, near hind


@dataclass(frozen=True, slots=True)
class Shades:
    """Grey levels of an animal without a coat of its own."""

    body: int
    leg: int
    paw: int
    face: int
    tail: tuple[int, ...]


def _body(build: Build) -> Points:
    body = _BODY.copy()
    body[:, 0] *= build.length
    body[_LOWER, 1] *= 2.0 - build.belly if build.belly < 1 else 1 / build.belly
    return smooth(body)


_BODIES: dict[Build, Points] = {build: _body(build) for build in (CAT, FOX, DOG, RACCOON, RAT)}


_STEPS = 32  # drawn instants of one cycle of the legs; outlines are made once for each
_HIND_WIDTHS = np.array((0.3, 0.27, 0.17, 0.1, 0.1, 0.11))
_FORE_WIDTHS = np.array((0.22, 0.17, 0.12, 0.11, 0.11, 0.12))


@dataclass(frozen=True, slots=True, eq=False)
class _Leg:
    """Outlines of one leg in one instant, and the crease where it lies on the body."""

    whole: Points
    paw: Points
    crease: Points


def _leg(hip_x: float, phase: float, stride: float, build: Build) -> _Leg:
    return _leg_at(hip_x, round((stride + phase) * _STEPS) % _STEPS, build)


@lru_cache(maxsize=1024)
def _leg_at(hip_x: float, step: int, build: Build) -> _Leg:
    """Return one leg of a walk: hip, knee, ankle and paw swing together, the paw lifts on its way forwards."""
    turn = 2 * np.pi * step / _STEPS
    reach, lift = 0.22 * np.cos(turn), 0.12 * max(float(np.sin(turn)), 0.0)
    x, hind = hip_x * build.length, hip_x < 0
    paw = (x + (0.02 if hind else 0.05) + reach, -0.035 - lift)
    knee = (x + (0.12 if hind else -0.03) + reach * 0.35, -0.36 - lift * 0.5)
    ankle = (paw[0] - (0.1 if hind else 0.04), -0.17 - lift)
    hip = (x, -0.66 if hind else -0.6)
    line = np.array((hip, knee, ankle, (paw[0] - 0.03, paw[1]), (paw[0] + 0.05, paw[1] + 0.005)))
    return _shape_leg(line, (_HIND_WIDTHS if hind else _FORE_WIDTHS) * build.leg)


def _shape_leg(line: Points, widths: Points) -> _Leg:
    return _Leg(
        hull(sweep(line), widths), hull(line[2:], widths[3:] * 0.98), line[0:3] + np.array((widths[2] * 0.5, 0.0))
    )


def _draw_leg(pen: Pen, at: Place, leg: _Leg, shades: tuple[float, float]) -> None:
    """Paint one leg; ``shades`` are those of the leg and of its paw."""
    pen.fill(at(leg.whole), shades[0])
    if round(shades[0]) != round(shades[1]):
        pen.fill(at(leg.paw), shades[1])


def _draw_furred_leg(pen: Pen, at: Place, leg: _Leg, look: Pelt) -> None:
    """Paint a cat's near leg in the fur of its body, so that the hip does not show as a seam."""
    _clothe(pen, at, leg.whole, look.body)
    pen.tint(at(leg.paw), look.paw)
    pen.mark(at(leg.crease), 1, look.base * 0.75)


_TAIL_STEPS = 16


@lru_cache(maxsize=512)
def _tail(build: Build, carried: int, bands: int) -> tuple[Points, ...]:
    """Return outlines that overlap from band to band, hanging behind at 0, standing up at ``_TAIL_STEPS``."""
    start, share = np.array((-0.68 * build.length, -0.84)), carried / _TAIL_STEPS
    hanging = pts((0, 0), (-0.22, 0.08), (-0.36, 0.42), (-0.5, 0.62), (-0.66, 0.58))
    standing = pts((0, 0), (-0.16, -0.2), (-0.18, -0.5), (-0.12, -0.78), (-0.26, -0.92))
    line = sweep(start + build.tail_length * (hanging * (1 - share) + standing * share))
    widths = np.interp(np.linspace(0, 1, len(line)), np.linspace(0, 1, len(build.tail)), build.tail)
    firsts = (round((len(line) - 1) * band / bands) for band in range(bands))
    return tuple(hull(line[first:], widths[first:]) for first in firsts)


def _draw_tail(pen: Pen, at: Place, build: Build, carried: float, shades: Sequence[float]) -> None:
    for outline, shade in zip(_tail(build, round(carried * _TAIL_STEPS), len(shades)), shades, strict=True):
        pen.fill(at(outline), shade)


@lru_cache(maxsize=1)
def _texture_maps() -> tuple[Points, Points]:
    maps = []
    for scale, origin in ((coats.BODY_PX_PER_UNIT, coats.BODY_ORIGIN), (coats.HEAD_PX_PER_UNIT, coats.HEAD_ORIGIN)):
        maps.append(np.array([[1 / scale, 0, origin[0]], [0, 1 / scale, origin[1]], [0, 0, 1]]))
    return maps[0], maps[1]


def _clothe(pen: Pen, at: Place, outline: Points, texture: Grey, head: bool = False) -> None:
    pen.clothe(at(outline), texture, at.matrix @ _texture_maps()[1 if head else 0])


# --- cats -----------------------------------------------------------------------------------------------------------


def draw_cat(pen: Pen, at: Place, coat: Coat, posture: Posture) -> Points | None:
    """Draw a cat; ``at`` has its origin on the ground under the body and the shoulder height as its unit.

    Returns:
        The pixel of the mouth, (2,), or None when head or body hide it.
    """
    look = coats.pelt(coat)
    pen.clear(look.base)
    low = at.within(0.0, 0.0, 1.0)
    if posture.crouch:
        low = Place(at.matrix @ np.array([[1, 0, 0], [0, 1 - 0.3 * posture.crouch, 0], [0, 0, 1.0]]), at.unit_px)
    if posture.rear:
        _draw_rear(pen, low, look, posture)
        return None
    return _draw_side(pen, low, look, posture)


def _draw_side(pen: Pen, at: Place, look: Pelt, posture: Posture) -> Points | None:
    legs = [_leg(hip, phase, posture.stride, CAT) for hip, phase in _LEGS]
    for leg in (legs[2], legs[0]):
        _draw_leg(pen, at, leg, (look.leg * 0.6, look.paw * 0.62))
    _draw_tail(pen, at, CAT, posture.tail, look.tail)
    lowered = posture.head is Head.LOWERED
    head = _head_place(at, posture)
    if lowered:
        _draw_neck(pen, at, head, look)
        _draw_head(pen, head, look, posture)
    _clothe(pen, at, _BODIES[CAT], look.body)
    if not lowered:
        _draw_neck(pen, at, head, look)
    for leg in (legs[3], legs[1]):
        _draw_furred_leg(pen, at, leg, look)
    if lowered:
        _draw_furred_leg(pen, at, _STRETCHED, look)
        return None
    return _draw_head(pen, head, look, posture)


_STRETCHED = _shape_leg(pts((0.5, -0.6), (0.72, -0.4), (0.74, -0.18), (0.8, -0.04), (0.92, -0.03)), _FORE_WIDTHS)


def _head_place(at: Place, posture: Posture) -> Place:
    x, y = CAT.head
    if posture.head is Head.LOWERED:
        return at.within(0.76, -0.46, CAT.head_size, 1.1 + posture.nod_rad * 0.3)
    nod = posture.nod_rad
    turn = nod if posture.head is Head.PROFILE else nod * 0.3
    return at.within(x - 0.05 * abs(nod), y + 0.32 * nod, CAT.head_size, turn)


def _draw_neck(pen: Pen, at: Place, head: Place, look: Pelt) -> None:
    shoulder = at(pts((0.42, -0.76)))[0]
    skull = head(pts((-0.25, 0.1)))[0]
    line = np.array([shoulder, (shoulder + skull) / 2, skull])
    outline_widths = np.array((CAT.neck[0], 0.43, CAT.neck[1])) * at.unit_px
    pen.clothe(hull(line, outline_widths), look.body, at.matrix @ _texture_maps()[0])


def _draw_head(pen: Pen, head: Place, look: Pelt, posture: Posture) -> Points | None:
    if posture.head is Head.AWAY:
        _draw_nape(pen, head, look)
        return None
    sideways = posture.head in {Head.PROFILE, Head.LOWERED}
    mouth = pts((0.92, 0.42)) if sideways else pts((0.26, 0.62))
    _draw_harmless(pen, head, posture)
    (_draw_profile if sideways else _draw_face)(pen, head, look)
    if posture.carries not in HARMLESS and posture.head is not Head.LOWERED:
        upright = np.array([[np.sign(head.matrix[0, 0]) * head.unit_px, 0.0, 0.0], [0.0, head.unit_px, 0.0]])
        upright[:, 2] = head(mouth)[0]
        draw_prey(pen, Place(upright, head.unit_px), posture.carries, posture.sway_rad)
    seen: Points = head(mouth)[0]
    return seen


def _draw_harmless(pen: Pen, head: Place, posture: Posture) -> None:
    if posture.carries is Carries.BELL:
        draw_bell(pen, head)
    elif posture.carries is Carries.LEAF:
        draw_leaf(pen, head)


_SKULL = smooth(
    pts(
        (-0.92, 0.0), (-0.78, -0.55), (-0.25, -0.85), (0.3, -0.74), (0.62, -0.4), (0.78, -0.16), (0.98, -0.02),
        (1.06, 0.16), (0.98, 0.36), (0.8, 0.56), (0.4, 0.74), (-0.4, 0.8), (-0.85, 0.5),
    )
)  # fmt: skip
_FACE = blob(
    (-0.9, -0.1),
    (-0.6, -0.75),
    (0.1, -0.88),
    (0.75, -0.7),
    (1.0, -0.05),
    (0.8, 0.5),
    (0.3, 0.88),
    (-0.2, 0.82),
    (-0.75, 0.45),
)


_NEAR_EAR = blob((-0.7, -0.5), (-0.62, -0.95), (-0.36, -1.42), (-0.05, -1.05), (0.18, -0.62), (-0.3, -0.5))


def _draw_profile(pen: Pen, head: Place, look: Pelt) -> None:
    unit, dark = head.unit_px, min(look.base * 0.45, 60)
    pen.fill(head(pts((-0.05, -0.7), (0.22, -1.3), (0.5, -0.55))), look.base * 0.7)
    _clothe(pen, head, _SKULL, look.head, head=True)
    pen.fill(head(_NEAR_EAR), look.base * 0.9)
    pen.tint(head(pts((-0.45, -0.7), (-0.34, -1.2), (0.0, -0.72))), look.base * 0.5 + 24)
    pen.tint(head(ellipse(0.8, 0.3, 0.26, 0.24, 0.2)), look.muzzle)
    pen.spot(head(pts((1.0, 0.08)))[0], 0.08 * unit, dark * 0.6)
    pen.mark(head(pts((0.99, 0.3), (0.82, 0.42), (0.6, 0.42))), 0.06 * unit, dark)
    _draw_eye(pen, head, ellipse(0.46, -0.14, 0.15, 0.12, 0.4), dark)
    for angle in (-0.1, 0.2, 0.5):
        start = pts((0.82, 0.26))[0]
        tip = start + np.array((np.cos(angle) * 0.5, np.sin(angle) * 1.0 + 0.25))
        pen.stroke(head(np.array((start, tip))), 1, 235, 70)


def _draw_face(pen: Pen, head: Place, look: Pelt) -> None:
    unit, dark = head.unit_px, min(look.base * 0.45, 60)
    for left, tip, right in (
        ((-0.82, -0.4), (-0.82, -1.5), (-0.1, -0.82)),
        ((0.25, -0.82), (0.9, -1.45), (0.92, -0.35)),
    ):
        pen.fill(head(pts(left, tip, right)), look.base * 0.92)
        centre = pts(left, tip, right)
        pen.tint(head(centre.mean(axis=0) + (centre - centre.mean(axis=0)) * 0.55), look.base * 0.5 + 30)
    _clothe(pen, head, _FACE, look.head, head=True)
    pen.tint(head(ellipse(0.26, 0.5, 0.4, 0.27)), look.muzzle)
    pen.tint(head(pts((0.14, 0.25), (0.4, 0.25), (0.27, 0.38))), dark)
    pen.mark(head(pts((0.27, 0.38), (0.27, 0.52), (0.05, 0.64))), 0.06 * unit, dark)
    pen.mark(head(pts((0.27, 0.52), (0.48, 0.64))), 0.06 * unit, dark)
    for x, slant in ((-0.2, 0.3), (0.64, -0.3)):
        _draw_eye(pen, head, ellipse(x, -0.06, 0.18, 0.13, slant), dark)
    for side in (-1, 1):
        for rise in (-0.05, 0.15):
            pen.stroke(head(pts((0.26 + 0.3 * side, 0.45), (0.26 + 1.1 * side, 0.4 + rise))), 1, 235, 80)


def _draw_eye(pen: Pen, head: Place, outline: Points, dark: float) -> None:
    middle = outline.mean(axis=0)
    pen.tint(head(middle + (outline - middle) * 1.3), dark)
    pen.tint(head(outline), EYE_SHINE)


def _draw_nape(pen: Pen, head: Place, look: Pelt) -> None:
    """The back of a head: ears from behind, no face."""
    for ear in (((-0.7, -0.55), (-0.72, -1.45), (-0.05, -0.85)), ((0.1, -0.85), (0.72, -1.4), (0.75, -0.5))):
        pen.fill(head(pts(*ear)), look.base * 0.85)
    _clothe(pen, head, ellipse(0.0, 0.0, 0.92, 0.9), look.head, head=True)
    pen.mark(head(pts((0.0, -0.75), (0.02, 0.6))), 0.14 * head.unit_px, look.base * 0.7)


def _draw_rear(pen: Pen, at: Place, look: Pelt, posture: Posture) -> None:
    """A cat from behind: two hind legs, a round rump, the tail in front of it, ears above."""
    unit, sway = at.unit_px, 0.05 * np.sin(2 * np.pi * posture.stride)
    _draw_nape(pen, at.within(0.12 + sway, -1.12, CAT.head_size * 0.9), look)
    for x in (-0.14, 0.14):
        pen.fill(at(limb(((x * 0.9, -0.5), (x, -0.05)), (0.16, 0.11))), look.leg * 0.6)
    _clothe(
        pen,
        at,
        blob((-0.3, -0.6), (-0.2, -0.98), (0.12, -1.05), (0.34, -0.8), (0.36, -0.5), (0.0, -0.36), (-0.34, -0.4)),
        look.body,
    )
    for x, lift in ((-0.25, 0.0), (0.26, 0.06)):
        step = lift * max(0.0, float(np.sin(2 * np.pi * posture.stride)))
        pen.fill(at(limb(((x, -0.55), (x * 1.1, -0.3), (x, -0.05 - step)), (0.3, 0.22, 0.12))), look.leg)
        pen.dot(at(pts((x + 0.02, -0.05 - step)))[0], 0.075 * unit, look.paw)
    up = posture.tail
    line = pts(
        (0.0, -0.8), (-0.06, -0.8 - 0.35 * up + 0.2 * (1 - up)), (-0.02 + sway, -0.8 - 0.75 * up + 0.45 * (1 - up))
    )
    pen.limb(at(sweep(line)), (0.13 * unit, 0.1 * unit, 0.08 * unit), look.tail[0] * 0.85)


# --- who is no cat ---------------------------------------------------------------------------------------------------


class Species(StrEnum):
    """Animals that are not cats."""

    FOX = "fox"
    HEDGEHOG = "hedgehog"
    DOG = "dog"
    BIRD = "bird"
    RACCOON = "raccoon"
    RAT = "rat"


def draw_animal(pen: Pen, at: Place, species: Species, posture: Posture, shift: int) -> None:
    """Draw an animal that is no cat; ``shift`` is what this individual is lighter than others, in grey levels."""
    _ANIMALS[species](pen, at, posture, shift)


def _quadruped(
    build: Build, shades: Shades, head: Callable[[Pen, Place, Shades], None]
) -> Callable[[Pen, Place, Posture, int], None]:
    def draw(pen: Pen, at: Place, posture: Posture, shift: int) -> None:
        body, leg, paw = shades.body + shift, shades.leg + shift * 0.5, shades.paw + shift * 0.5
        pen.clear(body)
        legs = [_leg(hip, phase, posture.stride, build) for hip, phase in _LEGS]
        for one in (legs[2], legs[0]):
            _draw_leg(pen, at, one, (leg * 0.6, paw * 0.6))
        _draw_tail(pen, at, build, posture.tail * 0.5, [tone + shift for tone in shades.tail])
        pen.fill(at(_BODIES[build]), body)
        place = at.within(
            build.head[0] * build.length, build.head[1] + 0.3 * posture.nod_rad, build.head_size, posture.nod_rad
        )
        neck = np.array((at(pts((0.42 * build.length, -0.76)))[0], place(pts((-0.2, 0.1)))[0]))
        pen.limb(neck, np.array(build.neck) * at.unit_px, body * 1.02)
        for one in (legs[3], legs[1]):
            _draw_leg(pen, at, one, (leg, paw))
        head(pen, place, shades)

    return draw


def _fox_head(pen: Pen, head: Place, shades: Shades) -> None:
    pen.fill(head(pts((0.0, -0.6), (0.3, -1.75), (0.5, -0.5))), shades.leg)
    pen.fill(
        head(
            blob(
                (-0.9, 0.0),
                (-0.6, -0.7),
                (0.1, -0.8),
                (0.7, -0.3),
                (1.9, 0.2),
                (1.95, 0.42),
                (0.8, 0.6),
                (0.0, 0.8),
                (-0.7, 0.6),
            )
        ),
        shades.body,
    )
    pen.fill(head(pts((-0.65, -0.5), (-0.45, -1.9), (0.2, -0.7))), shades.body * 0.9)
    pen.tint(head(pts((-0.5, -1.5), (-0.45, -1.88), (-0.2, -1.3))), 30)
    pen.tint(head(pts((0.2, 0.7), (0.8, 0.3), (1.8, 0.36), (0.8, 0.6))), shades.face)
    _snout(pen, head, (1.92, 0.28), (0.45, -0.15))


def _dog_head(pen: Pen, head: Place, shades: Shades) -> None:
    pen.fill(
        head(
            blob(
                (-0.9, 0.0),
                (-0.6, -0.75),
                (0.1, -0.85),
                (0.6, -0.45),
                (1.7, -0.25),
                (1.85, 0.2),
                (1.6, 0.5),
                (0.5, 0.7),
                (-0.5, 0.8),
            )
        ),
        shades.body,
    )
    pen.fill(head(blob((-0.55, -0.7), (-0.1, -0.75), (0.0, 0.1), (-0.2, 0.85), (-0.65, 0.6))), shades.leg * 0.8)
    pen.mark(head(pts((1.75, 0.25), (1.2, 0.38), (0.8, 0.3))), 0.07 * head.unit_px, 25)
    _snout(pen, head, (1.75, -0.12), (0.45, -0.3))


def _raccoon_head(pen: Pen, head: Place, shades: Shades) -> None:
    for x in (-0.55, 0.25):
        pen.dot(head(pts((x, -0.75)))[0], 0.32 * head.unit_px, shades.body * 0.8)
        pen.spot(head(pts((x, -0.78)))[0], 0.18 * head.unit_px, shades.face)
    pen.fill(
        head(
            blob(
                (-0.95, 0.0),
                (-0.5, -0.75),
                (0.3, -0.7),
                (0.8, -0.1),
                (1.45, 0.35),
                (1.3, 0.55),
                (0.4, 0.75),
                (-0.6, 0.7),
            )
        ),
        shades.body,
    )
    pen.tint(head(pts((-0.5, -0.05), (0.2, -0.4), (0.85, 0.0), (0.7, 0.3), (0.0, 0.15))), 25)
    pen.tint(head(pts((0.6, 0.35), (1.35, 0.42), (0.7, 0.6))), shades.face)
    _snout(pen, head, (1.4, 0.42), (0.4, -0.05))


def _rat_head(pen: Pen, head: Place, shades: Shades) -> None:
    pen.fill(
        head(blob((-0.9, 0.1), (-0.5, -0.6), (0.3, -0.55), (1.5, 0.2), (1.45, 0.4), (0.4, 0.7), (-0.6, 0.7))),
        shades.body,
    )
    pen.dot(head(pts((-0.3, -0.55)))[0], 0.34 * head.unit_px, shades.face)
    _snout(pen, head, (1.48, 0.28), (0.5, -0.12))


def _snout(pen: Pen, head: Place, nose: tuple[float, float], eye: tuple[float, float]) -> None:
    pen.spot(head(pts(nose))[0], 0.13 * head.unit_px, 15)
    pen.spot(head(pts(eye))[0], 0.14 * head.unit_px, EYE_SHINE)


def _hedgehog(pen: Pen, at: Place, posture: Posture, shift: int) -> None:
    """A dome of spines with a pointed face; its unit is the height of its back."""
    unit, spine = at.unit_px, 128 + shift
    pen.clear(spine)
    for x, phase in ((-0.5, 0.0), (0.5, 0.5)):
        step = 0.08 * np.sin(2 * np.pi * (posture.stride + phase))
        pen.fill(at(limb(((x, -0.2), (x + step, -0.04)), (0.16, 0.14))), 70)
    pen.fill(at(blob((0.5, -0.55), (0.9, -0.42), (1.3, -0.18), (1.28, -0.08), (0.8, -0.06), (0.4, -0.1))), 175 + shift)
    angle = np.linspace(-0.15, np.pi + 0.1, 27)
    radius = np.where(np.arange(27) % 2, 1.0, 0.86)
    dome = np.column_stack((-0.1 + 0.95 * radius * np.cos(angle), -0.12 - 0.9 * radius * np.sin(angle)))
    pen.fill(at(dome), spine)
    for row, reach in enumerate((0.3, 0.5, 0.7)):
        for turn in np.linspace(0.2 + 0.1 * row, np.pi - 0.2, 9):
            base = np.array((-0.1 + 0.95 * reach * np.cos(turn), -0.15 - 0.85 * reach * np.sin(turn)))
            pen.mark(
                at(np.array((base, base + 0.17 * np.array((np.cos(turn) - 0.3, -np.sin(turn)))))), 1, 190 + shift * 0.5
            )
    pen.spot(at(pts((1.3, -0.14)))[0], 0.07 * unit, 12)
    pen.spot(at(pts((0.92, -0.3)))[0], 0.06 * unit, EYE_SHINE)


def _bird(pen: Pen, at: Place, posture: Posture, shift: int) -> None:
    """A songbird on the ground; its unit is its height."""
    unit, shade = at.unit_px, 85 + shift
    pen.clear(shade)
    hop = 0.12 * abs(float(np.sin(np.pi * posture.stride)))
    body = at.within(0.0, -hop, 1.0)
    for x in (-0.02, 0.1):
        pen.stroke(at(pts((x, -0.3 - hop), (x + 0.05, -0.02 - hop * 0.5), (x + 0.16, -hop * 0.5))), 0.05 * unit, 120)
    pen.fill(body(pts((-0.3, -0.55), (-1.05, -0.28), (-0.98, -0.16), (-0.3, -0.35))), shade * 0.75)
    pen.fill(
        body(blob((-0.45, -0.5), (-0.1, -0.82), (0.3, -0.95), (0.5, -0.7), (0.45, -0.4), (0.1, -0.22), (-0.25, -0.28))),
        shade,
    )
    pen.fill(body(ellipse(0.33, -0.83, 0.24, 0.22)), shade)
    pen.fill(body(pts((0.52, -0.92), (0.82, -0.8), (0.52, -0.74))), 60)
    pen.tint(body(ellipse(0.36, -0.5, 0.16, 0.25, 0.4)), 185)
    pen.tint(body(blob((-0.5, -0.5), (-0.1, -0.7), (0.2, -0.55), (-0.1, -0.38))), shade * 0.65)
    pen.spot(body(pts((0.4, -0.87)))[0], 0.05 * unit, 10)


_ANIMALS: dict[Species, Callable[[Pen, Place, Posture, int], None]] = {
    Species.FOX: _quadruped(FOX, Shades(140, 55, 35, 215, (130, 130, 120, 215)), _fox_head),
    Species.DOG: _quadruped(DOG, Shades(105, 95, 120, 150, (100,)), _dog_head),
    Species.RACCOON: _quadruped(RACCOON, Shades(120, 85, 45, 220, (120, 35, 130, 35, 130, 35)), _raccoon_head),
    Species.RAT: _quadruped(RAT, Shades(95, 90, 130, 135, (150,)), _rat_head),
    Species.HEDGEHOG: _hedgehog,
    Species.BIRD: _bird,
}

SHOULDER: dict[Species, float] = {
    Species.FOX: 0.98,
    Species.DOG: 0.92,
    Species.RACCOON: 0.92,
    Species.RAT: 0.36,
    Species.HEDGEHOG: 0.52,
    Species.BIRD: 0.42,
}
"""The unit of each species as a multiple of a cat's shoulder height."""
