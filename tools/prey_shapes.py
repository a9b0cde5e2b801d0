"""What a cat may have at its mouth, drawn: prey, and harmless things that look like it.

Each call draws another one: the pose, the proportions and the fur come from the generator. A shape hangs from its grip,
the point that the teeth, the collar or the fur hold; y points down, and so does what hangs.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, TypeAlias

import cv2
import numpy as np
import numpy.typing as npt

from edge.adapters.sim.pen import Pen, Place, Points, ellipse, hull, pts, smooth, sweep

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

Layer: TypeAlias = npt.NDArray[np.float32]
"""One value a pixel, float32, (height, width)."""


class Kind(StrEnum):
    """What is drawn. The first five are prey."""

    MOUSE = "mouse"
    VOLE = "vole"
    BIRD = "bird"
    FROG = "frog"
    LIZARD = "lizard"
    BELL = "bell"
    TAG = "tag"
    LEAF = "leaf"
    TONGUE = "tongue"
    TOY = "toy"

    @property
    def harmless(self) -> bool:
        """Whether a cat may come in with it."""
        return self in _HARMLESS


_HARMLESS = frozenset({Kind.BELL, Kind.TAG, Kind.LEAF, Kind.TONGUE, Kind.TOY})


@dataclass(frozen=True, slots=True, eq=False)
class Shape:
    """One drawn thing, cut out tightly.

    ``alpha`` is how much it covers, 0 to 1; ``shade`` its own brightness, of mean 1 where it covers, form and texture
    included; ``grip_x_px`` and ``grip_y_px`` say where in the layers it is held, and may lie outside them.
    """

    alpha: Layer
    shade: Layer
    grip_x_px: float
    grip_y_px: float


_FINER = 2  # drawn so many times larger and then reduced, for soft edges
_REACH = 2.6  # lengths from the grip to the border of the sheet; no shape reaches further
LEAST_LENGTH_PX = 6.0


def draw(kind: Kind, length_px: float, rng: np.random.Generator, facing_left: bool = False) -> Shape:
    """Draw one of a kind whose body is ``length_px`` long, held by a cat that faces right (or left).

    Raises:
        ValueError: shorter than 6 pixels, where nothing can be told from anything.
    """
    if not length_px >= LEAST_LENGTH_PX:
        raise ValueError(f"a {kind} of {length_px} px cannot be drawn; {LEAST_LENGTH_PX:g} px is the least")
    half = int(np.ceil(_REACH * length_px))
    pen = Pen(2 * half * _FINER, 2 * half * _FINER)
    pen.clear(_GREY)
    _DRAW[kind](pen, Place.at(half * _FINER, half * _FINER, length_px * _FINER, facing_left), rng)
    alpha = _reduced(pen.cover) * np.float32(rng.uniform(*_OPAQUE.get(kind, (1.0, 1.0))))
    shade = _reduced(pen.albedo) * _rounded(alpha, length_px) * _texture(kind, alpha.shape, length_px, rng)
    rows, columns = _tight(alpha)
    alpha, shade = alpha[rows, columns], shade[rows, columns]
    mean = np.float32(np.average(shade, weights=alpha))
    return Shape(alpha, shade / mean, half - columns.start, half - rows.start)


_GREY = 128.0
_OPAQUE = {Kind.LEAF: (0.6, 0.95), Kind.TONGUE: (0.85, 1.0), Kind.BIRD: (0.93, 1.0)}
"""How much light is kept back by what is thin: near infrared goes through a leaf."""


def _reduced(layer: npt.NDArray[np.uint8]) -> Layer:
    size = (layer.shape[1] // _FINER, layer.shape[0] // _FINER)
    reduced: Layer = cv2.resize(layer, size, interpolation=cv2.INTER_AREA).astype(np.float32) / np.float32(255)
    return reduced


def _tight(alpha: Layer) -> tuple[slice, slice]:
    x, y, width, height = cv2.boundingRect((alpha > 0).astype(np.uint8))
    return slice(y, y + height), slice(x, x + width)


def _rounded(alpha: Layer, length_px: float) -> Layer:
    """A body turns away from the lamp towards its outline: 1 inside, 0.6 at the edge."""
    inside = cv2.distanceTransform((alpha > 0.5).astype(np.uint8), cv2.DIST_L2, 3)
    return (0.6 + 0.4 * np.clip(inside / (0.12 * length_px), 0, 1)).astype(np.float32)


def _texture(kind: Kind, shape: tuple[int, ...], length_px: float, rng: np.random.Generator) -> Layer:
    """Fur and feathers lie along the body as streaks, skin is blotched, metal is smooth."""
    strength, along, across = _COATS.get(kind, (0.04, 0.03, 0.03))
    noise = rng.standard_normal(shape, np.float32)
    streaks = cv2.GaussianBlur(noise, (0, 0), max(across * length_px, 0.4), sigmaY=max(along * length_px, 0.4))
    return np.clip(1 + strength / max(float(streaks.std()), 1e-6) * streaks, 0.3, 1.7).astype(np.float32)


_COATS = {  # strength, and the length and breadth of a streak in body lengths
    Kind.MOUSE: (0.12, 0.03, 0.008),
    Kind.VOLE: (0.15, 0.03, 0.008),
    Kind.BIRD: (0.16, 0.06, 0.015),
    Kind.FROG: (0.14, 0.05, 0.05),
    Kind.LIZARD: (0.12, 0.015, 0.015),
    Kind.TOY: (0.1, 0.02, 0.02),
}


# --- a body that hangs ------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, eq=False)
class _Spine:
    """A line from the head (first point) to the rump (last) through the grip at (0, 0), and its direction there.

    ``angle_rad`` is 0 straight down and positive towards where the cat looks.
    """

    line: Points  # (count, 2)
    angle_rad: Points  # (count,)

    def at(self, share: float) -> tuple[Points, float]:
        """Return the point, (2,), and the direction at a share of the way to the rump."""
        index = round(share * (len(self.line) - 1))
        return self.line[index], float(self.angle_rad[index])


_JOINTS = 13


def _spine(rng: np.random.Generator) -> _Spine:
    """Return how prey hangs: by the nape, by the rump with the head down, or across with both ends drooping."""
    how, side = rng.random(), 1.0 if rng.random() < 0.65 else -1.0
    if how < 0.5:
        held, angle, bend = rng.uniform(0.05, 0.35), rng.normal(0.1, 0.4), rng.normal(0, 0.6)
    elif how < 0.7:
        held, angle, bend = rng.uniform(0.65, 0.95), np.pi + rng.normal(0, 0.4), rng.normal(0, 0.6)
    else:
        held, angle = rng.uniform(0.3, 0.65), side * rng.uniform(0.9, 1.6)
        bend = -side * rng.uniform(0.6, 1.8)
    share = np.linspace(0, 1, _JOINTS)
    angles = angle + bend * (share - held)
    steps = np.column_stack((np.sin(angles), np.cos(angles))) / (_JOINTS - 1)
    line = np.cumsum(steps, axis=0)
    line -= line[round(held * (_JOINTS - 1))]
    foreshortened = np.array((rng.uniform(0.75, 1.0) if how >= 0.7 else 1.0, 1.0))
    return _Spine(line * foreshortened, angles)


def _hanging(start: Points, angle_rad: float, length: float, rng: np.random.Generator) -> Points:
    """Return a tail or a cord from ``start``: it leaves in its body's direction and soon follows its weight."""
    share = np.linspace(0, 1, 9)
    angle_rad = (angle_rad + np.pi) % (2 * np.pi) - np.pi
    angles = angle_rad * np.exp(-share * rng.uniform(1.5, 6.0)) + rng.normal(0, 0.3) + rng.normal(0, 0.7) * share
    steps = np.column_stack((np.sin(angles), np.cos(angles))) * (length / 9)
    return np.concatenate((start[np.newaxis], start + np.cumsum(steps, axis=0)))


def _limb(pen: Pen, at: Place, line: Points, widths: Sequence[float], shade: float) -> None:
    pen.fill(at(hull(sweep(line), widths)), shade)


def _leg(start: Points, angle_rad: float, length: float) -> Points:
    """Return a leg with a foot: it leaves under an angle, and the foot turns off."""
    knee = start + length * 0.6 * np.array((np.sin(angle_rad), np.cos(angle_rad)))
    turned = angle_rad * 0.4
    ankle = knee + length * 0.4 * np.array((np.sin(turned), np.cos(turned)))
    foot = ankle + length * 0.35 * np.array((np.sin(angle_rad * 1.3), np.cos(angle_rad * 1.3)))
    return np.array((start, knee, ankle, foot))


def _legs(
    pen: Pen, at: Place, spine: _Spine, legs: Sequence[tuple[float, float, float]], rng: np.random.Generator
) -> None:
    """Draw legs on both sides; each is where on the body it sits, its length and its thickness."""
    for share, length, thick in legs:
        point, along = spine.at(share)
        for side in (-1.0, 1.0):
            hung = 0.5 * np.sin(along)  # legs hang too, more or less
            line = _leg(point, side * rng.uniform(0.25, 1.2) + hung, length * rng.uniform(0.8, 1.2))
            _limb(pen, at, line, (thick * 1.5, thick, thick * 0.8, thick * 0.6), 100)


def _head(pen: Pen, at: Place, spine: _Spine, size: float, ear: float) -> None:
    """Draw a round head with a pointed snout at the spine's first point, with ears of the given size."""
    point, along = spine.at(0.0)
    ahead = -np.array((np.sin(along), np.cos(along)))
    _limb(pen, at, np.array((point, point + ahead * size * 0.9)), (size, size * 0.25), 130)
    beside = np.array((-ahead[1], ahead[0]))
    for side in (-1.0, 1.0):
        x, y = point + ahead * size * 0.05 + side * beside * size * 0.5
        pen.fill(at(ellipse(x, y, ear, ear)), 105)
    pen.spot(at((point + ahead * size * 0.45 + beside * size * 0.12)[np.newaxis])[0], 0.1 * size * at.unit_px, 25)


# --- prey -------------------------------------------------------------------------------------------------------------


def _mouse(pen: Pen, at: Place, rng: np.random.Generator) -> None:
    _rodent(pen, at, rng, (rng.uniform(0.36, 0.48), rng.uniform(0.6, 1.2), 0.09))


def _vole(pen: Pen, at: Place, rng: np.random.Generator) -> None:
    _rodent(pen, at, rng, (rng.uniform(0.45, 0.58), rng.uniform(0.25, 0.45), 0.05))


def _rodent(pen: Pen, at: Place, rng: np.random.Generator, build: tuple[float, float, float]) -> None:
    """Draw a rodent; ``build`` is its girth, its tail's length and its ears' radius."""
    spine, (girth, tail, ear) = _spine(rng), build
    rump, along = spine.at(1.0)
    _limb(pen, at, _hanging(rump, along, tail, rng), (0.085, 0.06, 0.055, 0.045, 0.03), 90)
    _legs(pen, at, spine, ((0.25, 0.2, 0.06), (0.85, 0.3, 0.075)), rng)
    widths = np.array((0.5, 0.72, 0.85, 1.0, 1.0, 0.7, 0.35)) * girth
    _limb(pen, at, spine.line, tuple(widths), 128)
    if rng.random() < 0.8:  # else the head is in the mouth
        _head(pen, at, spine, 0.62 * girth, ear)


def _bird(pen: Pen, at: Place, rng: np.random.Generator) -> None:
    spine = _spine(rng)
    rump, along = spine.at(1.0)
    _fan(pen, at, rump, _Fan(along, rng.uniform(0.35, 0.6), rng.uniform(0.08, 0.3), 5))
    for side in (-1.0, 1.0):
        _limb(pen, at, _leg(spine.at(0.8)[0], side * rng.uniform(0.1, 0.9), 0.3), (0.05, 0.035, 0.03), 90)
    for side in (-1.0, 1.0):  # wings fall open
        if rng.random() < 0.75:
            shoulder, _ = spine.at(0.3)
            hangs = side * rng.uniform(0.15, 1.1)
            _fan(pen, at, shoulder, _Fan(hangs, rng.uniform(0.55, 1.0), rng.uniform(0.15, 0.5), 7))
    _limb(pen, at, spine.line, tuple(np.array((0.22, 0.34, 0.46, 0.48, 0.38, 0.2)) * rng.uniform(0.85, 1.1)), 120)
    head, along = spine.at(0.0)
    ahead = -np.array((np.sin(along), np.cos(along)))
    pen.dot(at((head + ahead * 0.05)[np.newaxis])[0], 0.15 * at.unit_px, 115)
    _limb(pen, at, np.array((head + ahead * 0.12, head + ahead * 0.36)), (0.1, 0.02), 80)


@dataclass(frozen=True, slots=True)
class _Fan:
    """Feathers about a direction; ``spread_rad`` is half the angle between the outermost."""

    angle_rad: float
    length: float
    spread_rad: float
    feathers: int


def _fan(pen: Pen, at: Place, start: Points, fan: _Fan) -> None:
    for share in np.linspace(-1, 1, fan.feathers):
        turned = fan.angle_rad + share * fan.spread_rad
        reach = fan.length * (1 - 0.25 * abs(share))
        tip = start + reach * np.array((np.sin(turned), np.cos(turned)))
        _limb(pen, at, np.array((start, (start + tip) / 2, tip)), (0.06, 0.11, 0.05), 105 + 20 * share)


def _frog(pen: Pen, at: Place, rng: np.random.Generator) -> None:
    spine, girth = _spine(rng), rng.uniform(0.5, 0.65)
    for side in (-1.0, 1.0):
        hip, along = spine.at(0.92)
        out = side * rng.uniform(0.3, 1.3) + 0.4 * np.sin(along)
        knee = hip + rng.uniform(0.3, 0.5) * np.array((np.sin(out), np.cos(out)))
        shin = side * rng.uniform(-0.9, 0.3)
        ankle = knee + rng.uniform(0.35, 0.5) * np.array((np.sin(shin), np.cos(shin)))
        toes = ankle + 0.28 * np.array((np.sin(out * 0.7), np.cos(out * 0.7)))
        _limb(pen, at, np.array((hip, knee, ankle, toes)), (0.24, 0.15, 0.1, 0.08), 115)
        _limb(pen, at, _leg(spine.at(0.35)[0], side * rng.uniform(0.4, 1.4), 0.35), (0.13, 0.08, 0.06), 115)
    _limb(pen, at, spine.line, tuple(np.array((0.55, 0.8, 1.0, 0.95, 0.55)) * girth), 130)


def _lizard(pen: Pen, at: Place, rng: np.random.Generator) -> None:
    spine, girth = _spine(rng), rng.uniform(0.15, 0.22)
    rump, along = spine.at(1.0)
    _limb(pen, at, _hanging(rump, along, rng.uniform(0.7, 1.2), rng), (girth * 0.8, girth * 0.5, girth * 0.2), 105)
    _legs(pen, at, spine, ((0.25, 0.2, 0.05), (0.85, 0.24, 0.055)), rng)
    _limb(pen, at, spine.line, tuple(np.array((0.6, 0.85, 0.7, 1.0, 1.1, 0.8)) * girth), 115)


# --- harmless ---------------------------------------------------------------------------------------------------------


def _bell(pen: Pen, at: Place, rng: np.random.Generator) -> None:
    """A round bell on a short ring; its length is its diameter."""
    swing = rng.normal(0, 0.3)
    middle = 0.62 * np.array((np.sin(swing), np.cos(swing)))
    _limb(pen, at, np.array(((0.0, -0.15), middle * 0.5)), (0.14, 0.14), 90)
    pen.fill(at(ellipse(middle[0], middle[1], 0.5, rng.uniform(0.45, 0.52))), 200)
    pen.mark(at(middle + pts((-0.3, 0.15), (0.3, 0.15))), 0.08 * at.unit_px, 60)


def _tag(pen: Pen, at: Place, rng: np.random.Generator) -> None:
    """A flat disc or plate on a ring, more or less seen from its edge."""
    swing, thin = rng.normal(0, 0.25), rng.uniform(0.12, 0.5)
    middle = 0.65 * np.array((np.sin(swing), np.cos(swing)))
    _limb(pen, at, np.array(((0.0, -0.15), middle * 0.45)), (0.1, 0.1), 80)
    if rng.random() < 0.5:
        pen.fill(at(ellipse(middle[0], middle[1], thin, 0.5, -swing)), 190)
        return
    corners = np.array(((-thin, -0.45), (thin, -0.45), (thin, 0.45), (-thin, 0.45)))
    pen.fill(at(middle + _turned(corners, -swing)), 190)


def _leaf(pen: Pen, at: Place, rng: np.random.Generator) -> None:
    """A leaf with a stalk, held by the stalk or by its edge, pointing anywhere but up."""
    turn, wide, bow = rng.normal(0.2, 0.9), rng.uniform(0.1, 0.32), rng.normal(0, 0.08)
    ends = np.array((-0.1, 0.15, 0.5, 0.8, 1.0))
    half = np.array((0.0, 0.7, 1.0, 0.55, 0.0)) * wide
    middle = bow * np.sin(np.pi * ends)
    outline = np.concatenate(
        (np.column_stack((middle - half, ends)), np.column_stack((middle + half, ends))[::-1][1:-1])
    )
    shift = np.array((0.0, rng.uniform(-0.4, 0.1)))
    pen.fill(at(_turned(smooth(outline) + shift, -turn)), 150)
    stalk = pts((0.0, -0.35), (0.0, -0.05)) + shift
    pen.fill(at(hull(_turned(stalk, -turn), (0.03, 0.04))), 110)
    pen.mark(at(_turned(pts((0.0, 0.0), (0.0, 0.9)) + shift, -turn)), 0.03 * at.unit_px, 105)


def _tongue(pen: Pen, at: Place, rng: np.random.Generator) -> None:
    """A tongue that hangs or licks the nose: short, broad, round at its end."""
    out, curl, wide = rng.uniform(0.2, 1.3), rng.normal(0.3, 0.7), rng.uniform(0.3, 0.5)
    middle = 0.5 * np.array((np.sin(out), np.cos(out)))
    tip = middle + 0.5 * np.array((np.sin(out + curl), np.cos(out + curl)))
    _limb(pen, at, np.array(((-0.15, -0.1), middle, tip)), (wide, wide, wide * 0.75), 170)


def _toy(pen: Pen, at: Place, rng: np.random.Generator) -> None:
    """A ball, a ball on a cord, a rod with a tuft, a cushion: never a toy mouse.

    A felt mouse has a mouse's outline. Called harmless, it would teach that mice are.
    """
    (_ball, _rod, _cushion)[rng.integers(0, 3)](pen, at, rng)


def _ball(pen: Pen, at: Place, rng: np.random.Generator) -> None:
    radius = rng.uniform(0.3, 0.45)
    middle = np.array((rng.uniform(0.0, 0.3), rng.uniform(0.05, 0.35)))
    if rng.random() < 0.5:
        cord = _hanging(middle, rng.normal(0, 0.8), rng.uniform(0.7, 1.6), rng)
        _limb(pen, at, cord, (0.035, 0.035), 140)
    pen.fill(at(ellipse(middle[0], middle[1], radius, radius)), 150)


def _rod(pen: Pen, at: Place, rng: np.random.Generator) -> None:
    """A straight stick across the mouth, both ends seen, with a tuft at one of them."""
    tilt, length = rng.normal(np.pi / 2, 0.35), rng.uniform(0.6, 1.0)
    along = np.array((np.sin(tilt), np.cos(tilt)))
    _limb(pen, at, np.array((-0.5 * length * along, length * along)), (0.07, 0.07), 150)
    _fan(pen, at, length * along, _Fan(rng.normal(0.3, 0.5), rng.uniform(0.25, 0.4), 0.9, 6))


def _cushion(pen: Pen, at: Place, rng: np.random.Generator) -> None:
    """A sewn cushion with straight sides and corners."""
    half_wide, half_high, turn = rng.uniform(0.25, 0.4), rng.uniform(0.25, 0.45), rng.normal(0, 0.5)
    corners = np.array(((-1, -1), (0, -0.85), (1, -1), (0.85, 0), (1, 1), (0, 0.85), (-1, 1), (-0.85, 0)), np.float64)
    pen.fill(at(_turned(corners * (half_wide, half_high), turn) + pts((0.15, 0.3))), 150)


def _turned(points: Points, turn_rad: float) -> Points:
    """Return points turned about (0, 0); positive turns take right to down."""
    cos, sin = np.cos(turn_rad), np.sin(turn_rad)
    turned: Points = points @ np.array(((cos, sin), (-sin, cos)))
    return turned


_DRAW: dict[Kind, Callable[[Pen, Place, np.random.Generator], None]] = {
    Kind.MOUSE: _mouse,
    Kind.VOLE: _vole,
    Kind.BIRD: _bird,
    Kind.FROG: _frog,
    Kind.LIZARD: _lizard,
    Kind.BELL: _bell,
    Kind.TAG: _tag,
    Kind.LEAF: _leaf,
    Kind.TONGUE: _tongue,
    Kind.TOY: _toy,
}
