"""Put a drawn thing to a cat's mouth, with the light, noise and softness that are there already.

A model shall learn shapes, not where a picture was sharper. Harmless things go through the same hands, so that a trace
of pasting, were there one, would say nothing about prey.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from mouths import Mouth, dark_of
from prey_shapes import LEAST_LENGTH_PX, Kind, Layer, draw
from surroundings import FINE_PX, Surroundings, noise_like, surroundings

from edge.messages import Box, Grey, Label


@dataclass(frozen=True, slots=True, eq=False)
class Composed:
    """One composed picture, uint8, shaped as the original, which it is outside of ``box``."""

    grey: Grey
    kind: Kind
    label: Label
    box: Box


class NoPlaceError(Exception):
    """Nothing of the thing would be seen in this picture; its text is one sentence."""


SIZES = {  # of the head's height
    Kind.MOUSE: (0.4, 0.75),
    Kind.VOLE: (0.45, 0.75),
    Kind.BIRD: (0.55, 0.95),
    Kind.FROG: (0.35, 0.65),
    Kind.LIZARD: (0.4, 0.75),
    Kind.BELL: (0.13, 0.2),
    Kind.TAG: (0.15, 0.25),
    Kind.LEAF: (0.25, 0.6),
    Kind.TONGUE: (0.12, 0.19),
    Kind.TOY: (0.35, 0.6),
}
_TRIES = 12
_DRAWN_PX = 0.35  # how soft the edges of a drawn shape are already
_SEEN = {Kind.BELL: 0.006, Kind.TAG: 0.006, Kind.TONGUE: 0.003, Kind.LEAF: 0.008}
_SMALL = frozenset({Kind.MOUSE, Kind.VOLE, Kind.LIZARD})  # these disappear behind the teeth
_PREY_SEEN = 0.014  # of a head squared: a tail and a foot, which is all that some real pictures show


def compose(grey: Grey, mouth: Mouth, kind: Kind, rng: np.random.Generator) -> Composed:
    """Put one thing of a kind where such a thing would be; its label says whether it is prey.

    Raises:
        NoPlaceError: after a dozen poses nothing of it is to be seen.
    """
    around = surroundings(grey, mouth)
    shows = np.ones(grey.shape, np.bool_) if not mouth.backlit else ~dark_of(grey)[0]
    least_px = _SEEN.get(kind, _PREY_SEEN) * mouth.scale_px**2
    for _ in range(_TRIES):
        cover = _cover(grey, mouth, kind, around.edge_px, rng)
        if cover is not None and float(cover.alpha[shows[cover.window]].sum()) >= least_px:
            label = Label.CAT_CLEAR if kind.harmless else Label.CAT_PREY
            return Composed(_pasted(grey, cover, around, mouth.backlit, rng), kind, label, cover.box)
    raise NoPlaceError(f"a {kind} would not be seen at ({mouth.x_px:.0f}, {mouth.y_px:.0f})")


@dataclass(frozen=True, slots=True, eq=False)
class _Cover:
    """A shape on the picture: cover and shade, as blurred as the scene, on ``window``'s rows and columns."""

    alpha: Layer
    shade: Layer
    window: tuple[slice, slice]

    @property
    def box(self) -> Box:
        rows, columns = self.window
        return Box(columns.start, rows.start, columns.stop - columns.start, rows.stop - rows.start)


def _cover(grey: Grey, mouth: Mouth, kind: Kind, blur_px: float, rng: np.random.Generator) -> _Cover | None:
    """Draw one in a new pose; None where there is no place for it in the picture."""
    length = max(mouth.scale_px * rng.uniform(*SIZES[kind]), LEAST_LENGTH_PX)
    spot = _grip(grey, mouth, kind, rng)
    if spot is None:
        return None
    shape = draw(kind, length, rng, mouth.facing_left)
    blur_px = float(np.sqrt(max(blur_px**2 - _DRAWN_PX**2, 0.1)))
    border = int(np.ceil(3 * blur_px))
    sharp = cv2.copyMakeBorder(shape.alpha, border, border, border, border, cv2.BORDER_CONSTANT)
    shade = cv2.copyMakeBorder(shape.shade, border, border, border, border, cv2.BORDER_REPLICATE)
    soft = cv2.GaussianBlur(sharp, (0, 0), blur_px)
    shade = cv2.GaussianBlur(shade * sharp, (0, 0), blur_px) / np.maximum(soft, 1e-3)
    soft[soft < 1 / 255] = 0
    left, top = round(spot[0] - shape.grip_x_px) - border, round(spot[1] - shape.grip_y_px) - border
    return _cut(soft.astype(np.float32), shade.astype(np.float32), (top, left), grey.shape)


def _cut(alpha: Layer, shade: Layer, corner: tuple[int, int], shape: tuple[int, ...]) -> _Cover | None:
    """Cut layers, whose first pixel lies at ``corner`` (row, column), to what covers and lies on the picture."""
    top, left = corner
    x, y, width, height = cv2.boundingRect((alpha > 0).astype(np.uint8))
    rows = slice(max(top + y, 0), min(top + y + height, shape[0]))
    columns = slice(max(left + x, 0), min(left + x + width, shape[1]))
    if rows.start >= rows.stop or columns.start >= columns.stop:
        return None
    part = np.s_[rows.start - top : rows.stop - top, columns.start - left : columns.stop - left]
    return _Cover(alpha[part], shade[part], (rows, columns))


def _grip(grey: Grey, mouth: Mouth, kind: Kind, rng: np.random.Generator) -> tuple[float, float] | None:
    """Return the pixel where a thing is held: at the throat what a collar holds and half the leaves, else by teeth."""
    ahead = -1.0 if mouth.facing_left else 1.0
    head = mouth.scale_px
    if kind in {Kind.BELL, Kind.TAG} or (kind is Kind.LEAF and rng.random() < 0.5):
        return _throat(grey, mouth, mouth.x_px - ahead * head * rng.uniform(0.3, 0.8))
    if kind is Kind.TONGUE:
        return mouth.x_px + ahead * head * rng.uniform(0.0, 0.08), mouth.y_px + head * rng.uniform(0.0, 0.08)
    back = rng.uniform(0.0, 0.3) if kind in _SMALL and rng.random() < 0.6 else 0.0  # only tail and feet hang out
    x = mouth.x_px + ahead * head * (rng.uniform(-0.08, 0.08) - back)
    return x, mouth.y_px + head * (rng.uniform(-0.04, 0.1) - 0.5 * back)


def _throat(grey: Grey, mouth: Mouth, x_px: float) -> tuple[float, float] | None:
    """Return the underside of head or neck at a column; None where it is not seen."""
    column, row = round(x_px), round(mouth.y_px)
    if not (0 <= column < grey.shape[1] and 0 <= row < grey.shape[0]):
        return None
    if not mouth.backlit:
        return x_px, mouth.y_px + 0.3 * mouth.scale_px
    dark = dark_of(grey)[0][row:, column]
    if not dark[0] or dark.all():
        return None
    return x_px, mouth.y_px + int(np.argmin(dark)) - 0.02 * mouth.scale_px


def _pasted(grey: Grey, cover: _Cover, around: Surroundings, backlit: bool, rng: np.random.Generator) -> Grey:
    """Return the picture with the shape in it: black as the cat against the light, else in the lamp's own light."""
    level = around.level[cover.window]
    look = level if backlit else _furred(cover, level, around) * np.float32(rng.uniform(0.85, 1.15))
    look = look + noise_like(around.noise, (level.shape[0], level.shape[1]), rng)
    alpha = cover.alpha * _light(grey, around.edge_px)[cover.window] if backlit else cover.alpha
    mixed = np.clip(np.rint(grey[cover.window] * (1 - alpha) + look * alpha), 0, 255)
    out = grey.copy()
    out[cover.window] = np.where(alpha > 0, mixed, grey[cover.window]).astype(np.uint8)
    return out


def _light(grey: Grey, edge_px: float) -> Layer:
    """Return 0 well inside the silhouette and 1 in the light: what is black already, a thing before it changes not.

    Without this a thing would show on the cat as a patch wherever haze makes the cat's own black uneven. The change
    from one to the other is slow, and lies behind the soft edge, which would otherwise shine through as a line.
    """
    deep = round(2 * (3 * edge_px + 8)) + 1
    inside = cv2.erode(dark_of(grey)[0].astype(np.uint8), np.ones((deep, deep), np.uint8)).astype(np.float32)
    return (1 - cv2.GaussianBlur(inside, (0, 0), 4.0)).astype(np.float32)


def _furred(cover: _Cover, level: Layer, around: Surroundings) -> Layer:
    """Return form and fur in the animal's light, the fur as strong as what is fine about the animal's own."""
    lit = level * cover.shade
    form = cv2.GaussianBlur(lit, (0, 0), FINE_PX)
    fur = lit - form
    noise = float((around.noise - cv2.GaussianBlur(around.noise, (0, 0), FINE_PX)).std())
    wanted = np.sqrt(max(around.fine**2 - noise**2, 0.0))
    there = float(fur[cover.alpha > 0.5].std()) if (cover.alpha > 0.5).any() else 0.0
    furred: Layer = (form + fur * min(wanted / max(there, 1e-3), 8.0)).astype(np.float32)
    return furred
