"""Draws what a night-vision camera at the flap sees: 320x240 uint8 grey.

The world and the training pictures go through this one renderer. Light: front-lit fur falls off with the distance
from the lamp; back-lit animals are silhouettes on a bright panel. Then lens, motion blur and sensor noise.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from functools import lru_cache
from typing import TYPE_CHECKING, Protocol

import cv2
import numpy as np

from edge.adapters.sim.animals import Head, Posture, Species, draw_animal, draw_cat
from edge.adapters.sim.backdrop import HEIGHT_PX, UNIT_LIGHT, WIDTH_PX, Backdrop, Light, Lighting
from edge.adapters.sim.pen import Pen, Place, Points, ink, smooth
from edge.adapters.sim.people import Part, draw_person
from edge.adapters.sim.prey import HARMLESS
from edge.messages import Box, Label

if TYPE_CHECKING:
    from edge.adapters.sim.coats import Coat
    from edge.messages import Grey

_MOUTH_MARGIN_PX = 5
_MIN_VISIBLE_PX = 60
_NOISE_BORDER_PX = 96


@dataclass(frozen=True, slots=True)
class Stance:
    """Where somebody stands: its feet in pixels, the unit of its drawing in pixels, its speed in pixels a frame."""

    x_px: float
    y_px: float
    unit_px: float
    mirrored: bool = False
    speed_px: float = 0.0

    def place(self) -> Place:
        """Return the plane its figure is drawn in."""
        return Place.at(self.x_px, self.y_px, self.unit_px, self.mirrored)


class Actor(Protocol):
    """Somebody or something in front of the camera."""

    @property
    def stance(self) -> Stance:
        """Where it is."""

    def draw(self, pen: Pen, backdrop: Backdrop) -> Label:
        """Paint it, and say what a person who sees all of this picture would call it."""


@dataclass(frozen=True, slots=True)
class CatActor:
    """A cat."""

    stance: Stance
    coat: Coat
    posture: Posture

    def draw(self, pen: Pen, backdrop: Backdrop) -> Label:
        """Paint it; the mouth counts as seen when it is inside the picture and before the wall."""
        mouth = draw_cat(pen, self.stance.place(), self.coat, self.posture)
        if mouth is None or not _inside(float(mouth[0]), float(mouth[1]), backdrop.wall_px):
            return Label.CAT_HIDDEN
        if self.posture.carries not in HARMLESS:
            return Label.CAT_PREY
        silhouette = backdrop.light is Light.BACK and self.posture.head is not Head.PROFILE
        return Label.CAT_HIDDEN if silhouette else Label.CAT_CLEAR


def _inside(x_px: float, y_px: float, right_px: int) -> bool:
    margin = _MOUTH_MARGIN_PX
    return margin <= x_px <= right_px - margin and margin <= y_px <= HEIGHT_PX - margin


@dataclass(frozen=True, slots=True)
class AnimalActor:
    """An animal that is no cat; ``shift`` makes this individual lighter or darker."""

    stance: Stance
    species: Species
    posture: Posture
    shift: int = 0

    def draw(self, pen: Pen, backdrop: Backdrop) -> Label:
        """Paint it."""
        del backdrop
        draw_animal(pen, self.stance.place(), self.species, self.posture, self.shift)
        return Label.OTHER_ANIMAL


@dataclass(frozen=True, slots=True)
class PersonActor:
    """Part of a person."""

    stance: Stance
    part: Part
    stride: float
    shade: int = 90

    def draw(self, pen: Pen, backdrop: Backdrop) -> Label:
        """Paint it."""
        del backdrop
        draw_person(pen, self.stance.place(), self.part, self.stride, self.shade)
        return Label.PERSON


@dataclass(frozen=True, slots=True)
class LeafActor:
    """A leaf that blows past; ``stance`` is its middle, its unit half its length."""

    stance: Stance
    turn_rad: float
    shade: int = 150

    def draw(self, pen: Pen, backdrop: Backdrop) -> Label:
        """Paint it."""
        del backdrop
        pen.clear(self.shade)
        flat = 0.25 + 0.3 * abs(float(np.cos(self.turn_rad * 1.7)))
        at = self.stance.place().within(0.0, 0.0, 1.0, self.turn_rad)
        outline = np.array([(-1.0, 0.0), (-0.2, -flat), (0.6, -flat * 0.7), (1.0, 0.0), (0.5, flat), (-0.3, flat)])
        pen.fill(at(smooth(outline)), self.shade)
        pen.stroke(at(np.array([(-1.5, 0.1), (-0.9, 0.0), (0.9, 0.0)])), 1, self.shade * 0.6)
        return Label.EMPTY


class Smear(StrEnum):
    """What dirties the lens."""

    NONE = "none"
    WEB = "web"
    DROPS = "drops"


@dataclass(frozen=True, slots=True)
class Lens:
    """The camera itself: knocked aside by pixels and a turn, and what sticks to its glass."""

    shift_x_px: float = 0.0
    shift_y_px: float = 0.0
    turn_rad: float = 0.0
    blur_px: float = 0.0
    smear: Smear = Smear.NONE
    smear_seed: int = 0


@dataclass(frozen=True, slots=True)
class Insect:
    """A bright streak close to the lens, from one point to another, in pixels."""

    x0_px: float
    y0_px: float
    x1_px: float
    y1_px: float
    width_px: float


@dataclass(frozen=True, slots=True)
class Patch:
    """A soft patch of sunlight (``gain`` over 1) or shadow (under 1) on whatever is there."""

    x_px: float
    y_px: float
    width_px: float
    height_px: float
    gain: float


@dataclass(frozen=True, slots=True)
class Shot:
    """Everything before the camera in one instant; actors from back to front. ``noise`` picks this frame's noise."""

    lighting: Lighting = field(default_factory=Lighting)
    actors: tuple[Actor, ...] = ()
    flap_rad: float = 0.0
    insects: tuple[Insect, ...] = ()
    rain: int = 0  # drops in the picture
    wind: float = 0.0  # 0..1: grass that moves in the foreground
    patches: tuple[Patch, ...] = ()
    lens: Lens = Lens()
    noise: int = 0
    noise_level: float = 1.0


@dataclass(frozen=True, slots=True)
class Subject:
    """One actor as it came out: what a person would call it and its tight box; None when none of it can be seen."""

    label: Label
    box: Box | None


@dataclass(frozen=True, slots=True, eq=False)
class Picture:
    """A rendered frame, uint8 (240, 320), and the truth about each actor in it, in the shot's order."""

    grey: Grey
    subjects: tuple[Subject, ...]


class Renderer:
    """Draws shots of one place. Keeps the empty picture of the last lighting: an idle frame costs only noise."""

    def __init__(self, backdrop: Backdrop) -> None:
        """Prepare a place."""
        self.backdrop = backdrop
        self._pen = Pen(WIDTH_PX, HEIGHT_PX)
        self._key: tuple[Lighting, int] | None = None
        self._empty: Grey = np.zeros((HEIGHT_PX, WIDTH_PX), np.uint8)
        self._light: Grey = self._empty

    def render(self, shot: Shot) -> Picture:
        """Draw one instant."""
        self._prepare(shot)
        plain = not (shot.actors or shot.insects or shot.rain or shot.wind or shot.patches)
        if plain and shot.lens == Lens():
            return Picture(with_noise(_amplified(self._empty, shot.lighting.gain), shot), ())
        picture = self._empty.copy()
        if shot.wind:
            _wave_grass(picture, self.backdrop, shot)
        subjects = tuple(self._add(picture, actor) for actor in shot.actors)
        for patch in shot.patches:
            _shine(picture, patch)
        _weather(picture, shot)
        picture, moved = _through_lens(_amplified(picture, shot.lighting.gain), shot.lens)
        if moved is not None:
            subjects = tuple(Subject(one.label, _moved(one.box, moved)) for one in subjects)
        return Picture(with_noise(picture, shot), subjects)

    def _prepare(self, shot: Shot) -> None:
        swing = round(shot.flap_rad * 60)
        if self._key == (shot.lighting, swing):
            return
        if self._key is None or self._key[0] != shot.lighting:
            self._light = self.backdrop.light_map(shot.lighting)
        self._empty = self.backdrop.lit(shot.lighting)
        _hang_flap(self._empty, self._light, self.backdrop, swing / 60)
        self._key = (shot.lighting, swing)

    def _add(self, picture: Grey, actor: Actor) -> Subject:
        pen, stance = self._pen, actor.stance
        label = actor.draw(pen, self.backdrop)
        pen.cover[:, self.backdrop.wall_px :] = 0
        box = pen.box()
        if box is None or box.width * box.height < _MIN_VISIBLE_PX:
            return Subject(Label.EMPTY, None)
        if label is not Label.EMPTY and self.backdrop.light is Light.FRONT:
            _cast_shadow(picture, stance, box)
        streak = max(1, round(min(abs(stance.speed_px) * 0.35, 15)))
        self._compose(picture, _grown(box, 3 + streak), stance, streak)
        return Subject(label, box)

    def _compose(self, picture: Grey, window: tuple[slice, slice], stance: Stance, streak: int) -> None:
        """Round the actor, light it and lay it over the picture."""
        cover = cv2.blur(self._pen.cover[window], (streak + 2 if streak > 1 else 2, 2))
        albedo = self._pen.albedo[window]
        if streak > 1:
            albedo = _u8(cv2.blur(albedo, (streak, 1)))
        depth = max(3, int(stance.unit_px * 0.16))
        shade = cv2.blur(self._pen.cover[window], (depth, depth), anchor=(depth // 2, depth - 1))
        shade = cv2.convertScaleAbs(shade, alpha=0.58, beta=107)
        lit = cv2.multiply(albedo, shade, scale=1 / 255)
        lit = cv2.multiply(lit, self._light[window], scale=1 / UNIT_LIGHT)
        below = cv2.multiply(picture[window], cv2.bitwise_not(cover), scale=1 / 255)
        cv2.add(cv2.multiply(lit, cover, scale=1 / 255), below, picture[window])


def _grown(box: Box, by_px: int) -> tuple[slice, slice]:
    rows = slice(max(box.y - by_px, 0), min(box.y + box.height + by_px, HEIGHT_PX))
    return rows, slice(max(box.x - by_px, 0), min(box.x + box.width + by_px, WIDTH_PX))


def _hang_flap(picture: Grey, light: Grey, backdrop: Backdrop, swing_rad: float) -> None:
    """Draw the flap's panel, hung at its upper edge; the more it swings the shorter it looks."""
    x, y, width, height = backdrop.flap
    if not height:
        return
    drop, lean = height * float(np.cos(swing_rad)), width * 0.5 * float(np.sin(swing_rad))
    panel = np.array([(x, y), (x + width, y), (x + width + lean, y + drop), (x + lean, y + drop)], np.int32)
    level = float(light[y + height // 2, x + width // 2]) / UNIT_LIGHT
    cv2.fillConvexPoly(picture, panel, ink(min(148 * level, 255)), cv2.LINE_AA)
    edge = np.array([panel[3], panel[2]])
    cv2.polylines(picture, [edge], False, ink(min(215 * level, 255)), 2, cv2.LINE_AA)


@lru_cache(maxsize=1)
def _soft_disc() -> Grey:
    y, x = np.mgrid[-1:1:48j, -1:1:96j]
    disc: Grey = (255 - 120 * np.exp(-2.5 * (x**2 + y**2) ** 1.5)).astype(np.uint8)
    return disc


def _cast_shadow(picture: Grey, stance: Stance, box: Box) -> None:
    width, height = max(int(box.width * 1.15), 8), max(int(stance.unit_px * 0.22), 6)
    left, top = int(box.x + box.width / 2 - width / 2), int(stance.y_px - height * 0.55)
    rows, columns = slice(max(top, 0), min(top + height, HEIGHT_PX)), slice(max(left, 0), min(left + width, WIDTH_PX))
    if rows.start >= rows.stop or columns.start >= columns.stop:
        return
    disc = cv2.resize(_soft_disc(), (width, height))[
        rows.start - top : rows.stop - top, columns.start - left : columns.stop - left
    ]
    picture[rows, columns] = cv2.multiply(picture[rows, columns], disc, scale=1 / 255)


def _shine(picture: Grey, patch: Patch) -> None:
    """Brighten or darken a soft-edged, slanted patch."""
    mask = np.zeros((HEIGHT_PX // 4, WIDTH_PX // 4), np.float32)
    x, y, wide, high = (value / 4 for value in (patch.x_px, patch.y_px, patch.width_px, patch.height_px))
    corners = np.array([(x, y), (x + wide, y), (x + wide * 0.7, y + high), (x - wide * 0.3, y + high)])
    cv2.fillConvexPoly(mask, corners.astype(np.int32), (1.0,))
    soft = cv2.resize(cv2.GaussianBlur(mask, (0, 0), 2.0), (WIDTH_PX, HEIGHT_PX))
    strength = (patch.gain - 1) * soft
    picture[:] = np.clip(picture * (1 + strength) + np.maximum(strength, 0) * 14, 0, 255).astype(np.uint8)


def _wave_grass(picture: Grey, backdrop: Backdrop, shot: Shot) -> None:
    """Blades before the camera that bend with the wind."""
    rng = np.random.default_rng(4711)
    roots = rng.uniform(0, min(backdrop.wall_px, WIDTH_PX), 26)
    for index, x in enumerate(roots):
        height = float(rng.uniform(14, 46))
        bend = shot.wind * 16 * float(np.sin(shot.noise * 0.55 + index * 0.4)) + float(rng.uniform(-6, 6))
        line = np.array([(x, HEIGHT_PX), (x + bend * 0.3, HEIGHT_PX - height * 0.6), (x + bend, HEIGHT_PX - height)])
        shade = int(rng.uniform(70, 150) * shot.lighting.lamp) + 8
        cv2.polylines(picture, [(line * 16).astype(np.int32)], False, ink(min(shade, 255)), 2, cv2.LINE_AA, 4)


def _weather(picture: Grey, shot: Shot) -> None:
    if shot.rain:
        rng = np.random.default_rng((shot.noise, 5))
        x, y = rng.uniform(0, WIDTH_PX, shot.rain), rng.uniform(-20, HEIGHT_PX, shot.rain)
        length = rng.uniform(8, 34, shot.rain)
        streaks = np.zeros_like(picture)
        ends = np.stack((np.column_stack((x, y)), np.column_stack((x + length * 0.12, y + length))), axis=1)
        shade = min(int(70 * shot.lighting.lamp) + 6, 255)
        cv2.polylines(streaks, list((ends * 16).astype(np.int32)), False, ink(shade), 1, cv2.LINE_AA, 4)
        cv2.add(picture, streaks, picture)
    for insect in shot.insects:
        _fly(picture, insect, shot.lighting)


def _fly(picture: Grey, insect: Insect, lighting: Lighting) -> None:
    streak = np.zeros_like(picture)
    line = np.array([(insect.x0_px, insect.y0_px), (insect.x1_px, insect.y1_px)])
    shade = min(int(235 * lighting.lamp), 255)
    width = max(1, round(insect.width_px))
    cv2.polylines(streak, [(line * 16).astype(np.int32)], False, ink(shade), width, cv2.LINE_AA, 4)
    cv2.add(picture, cv2.blur(streak, (width | 1, width | 1)), picture)


def _amplified(picture: Grey, gain: float) -> Grey:
    return picture if gain == 1.0 else _u8(cv2.convertScaleAbs(picture, alpha=gain))


def _through_lens(picture: Grey, lens: Lens) -> tuple[Grey, Points | None]:
    moved: Points | None = None
    if lens.shift_x_px or lens.shift_y_px or lens.turn_rad:
        turned = cv2.getRotationMatrix2D((WIDTH_PX / 2, HEIGHT_PX / 2), float(np.degrees(lens.turn_rad)), 1.0)
        moved = turned.astype(np.float64) + np.array([[0, 0, lens.shift_x_px], [0, 0, lens.shift_y_px]])
        picture = _u8(cv2.warpAffine(picture, moved, (WIDTH_PX, HEIGHT_PX), borderMode=cv2.BORDER_REFLECT))
    if lens.blur_px:
        picture = _u8(cv2.GaussianBlur(picture, (0, 0), lens.blur_px))
    if lens.smear is Smear.WEB:
        picture = _u8(cv2.add(picture, _web(lens.smear_seed)))
    elif lens.smear is Smear.DROPS:
        soft = _u8(cv2.blur(picture, (19, 19)))
        picture = _u8(cv2.copyTo(soft, _drops(lens.smear_seed), picture))
    return picture, moved


def _u8(picture: np.ndarray[tuple[int, ...], np.dtype[np.generic]]) -> Grey:
    return picture.astype(np.uint8, copy=False)


def _moved(box: Box | None, by: Points) -> Box | None:
    if box is None:
        return None
    right, bottom = box.x + box.width, box.y + box.height
    corners = np.array([(box.x, box.y), (right, box.y), (right, bottom), (box.x, bottom)], np.float64)
    corners = np.clip(corners @ by[:, :2].T + by[:, 2], 0, (WIDTH_PX, HEIGHT_PX))
    low, high = corners.min(axis=0).astype(int), np.ceil(corners.max(axis=0)).astype(int)
    size = high - low
    return Box(int(low[0]), int(low[1]), int(size[0]), int(size[1])) if size.min() > 0 else None


@lru_cache(maxsize=8)
def _web(seed: int) -> Grey:
    """A spider's web, out of focus and bright under the lamp."""
    rng = np.random.default_rng((seed, 11))
    web = np.zeros((HEIGHT_PX, WIDTH_PX), np.uint8)
    centre = rng.uniform((40, 30), (280, 200))
    ends = centre + np.array([(np.cos(a), np.sin(a)) for a in np.linspace(0, 2 * np.pi, 11)]) * 330
    for end in ends:
        cv2.polylines(web, [np.array((centre, end)).astype(np.int32)], False, ink(70), 2, cv2.LINE_AA)
    for ring in range(1, 6):
        cv2.polylines(web, [(centre + (ends - centre) * ring / 12).astype(np.int32)], True, ink(55), 2, cv2.LINE_AA)
    return _u8(cv2.blur(web, (5, 5)))


@lru_cache(maxsize=8)
def _drops(seed: int) -> Grey:
    rng = np.random.default_rng((seed, 13))
    mask = np.zeros((HEIGHT_PX, WIDTH_PX), np.uint8)
    for _ in range(7):
        centre = (int(rng.integers(0, WIDTH_PX)), int(rng.integers(0, HEIGHT_PX)))
        cv2.circle(mask, centre, int(rng.integers(8, 26)), ink(255), -1)
    return mask


@lru_cache(maxsize=4)
def _noise_bank(tenths: int) -> tuple[Grey, Grey]:
    """Noise above and below zero, each uint8, larger than a picture so that every frame takes another window of it."""
    rng = np.random.default_rng(20240229)
    shape = (HEIGHT_PX + _NOISE_BORDER_PX, WIDTH_PX + _NOISE_BORDER_PX)
    noise = rng.standard_normal(shape).astype(np.float32)
    noise = (0.8 * noise + 0.35 * cv2.blur(noise, (3, 1)) * 1.7) * (4.2 * tenths / 10)
    noise += 0.8 * rng.standard_normal((shape[0], 1)).astype(np.float32) * tenths / 10  # lines of the sensor
    return np.clip(np.rint(noise), 0, 255).astype(np.uint8), np.clip(np.rint(-noise), 0, 255).astype(np.uint8)


def with_noise(picture: Grey, shot: Shot) -> Grey:
    """Return the picture with the sensor noise of this shot; the picture itself stays as it is."""
    above, below = _noise_bank(round(shot.noise_level * 10))
    mixed = (shot.noise * 2654435761 + 97) & 0xFFFFFFFF
    row, column = (mixed >> 5) % _NOISE_BORDER_PX, (mixed >> 15) % _NOISE_BORDER_PX
    window = (slice(row, row + HEIGHT_PX), slice(column, column + WIDTH_PX))
    return _u8(cv2.subtract(cv2.add(picture, above[window]), below[window]))
