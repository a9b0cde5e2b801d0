"""What is always there: wall, ground, flap and the way the light falls on them."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from typing import TYPE_CHECKING

import cv2
import numpy as np

from edge.adapters.sim.coats import Field, blotches
from edge.adapters.sim.pen import ink

if TYPE_CHECKING:
    from edge.messages import Grey

WIDTH_PX, HEIGHT_PX = 320, 240
UNIT_LIGHT = 128  # grey level of a light map where the lamp shows a surface at its own brightness


class Light(StrEnum):
    """Where the lamp is: beside the camera, or behind the animal so that it is seen as a silhouette."""

    FRONT = "front"
    BACK = "back"


@dataclass(frozen=True, slots=True)
class Lighting:
    """How bright it is. ``lamp`` 0..1 is the infra-red lamp, ``ambient`` any other light, ``gain`` the camera's own."""

    lamp: float = 1.0
    ambient: float = 0.03
    gain: float = 1.0


@dataclass(frozen=True, slots=True, eq=False)
class Backdrop:
    """A place. ``surface`` and ``lamp_map`` are (240, 320) float32: reflectance 0..255, and light of the lamp about 1.

    ``wall_px`` is the picture's column from which the wall hides what has gone in; ``ground_px`` the row of the feet;
    ``unit_px`` the shoulder height of a cat on it; ``flap`` the rectangle (x, y, width, height) of the flap's panel.
    """

    light: Light
    surface: Field
    lamp_map: Field
    wall_px: int
    ground_px: int
    unit_px: float
    flap: tuple[int, int, int, int]

    def lit(self, lighting: Lighting) -> Grey:
        """Return the empty picture under a lighting, uint8, before the camera's gain."""
        return _clip(self.surface * self._strength(lighting))

    def light_map(self, lighting: Lighting) -> Grey:
        """Return what the light does to whoever stands there, uint8, ``UNIT_LIGHT`` meaning unchanged."""
        if self.light is Light.BACK:
            level = UNIT_LIGHT * (0.05 * lighting.lamp + 0.6 * lighting.ambient)
            return np.full(self.surface.shape, min(int(level) + 2, 255), np.uint8)
        return _clip(UNIT_LIGHT * self._strength(lighting))

    def _strength(self, lighting: Lighting) -> Field:
        strength = self.lamp_map * lighting.lamp + lighting.ambient
        return np.asarray(strength, np.float32)


@lru_cache(maxsize=32)
def backdrop(seed: int, light: Light) -> Backdrop:
    """Return the place of a seed, the same every time."""
    rng = np.random.default_rng((seed, 77))
    return _front(rng) if light is Light.FRONT else _back(rng)


def _clip(field: Field) -> Grey:
    return np.clip(field, 0, 255).astype(np.uint8)


def _falloff(x_px: float, y_px: float, reach_px: float) -> Field:
    """Return the light of a lamp near (x, y): one over the squared distance, softened by the lamp's height."""
    y, x = np.mgrid[0:HEIGHT_PX, 0:WIDTH_PX].astype(np.float32)
    light: Field = (1.15 / (1 + ((x - x_px) ** 2 + (y - y_px) ** 2) / reach_px**2)).astype(np.float32)
    return light


def _front(rng: np.random.Generator) -> Backdrop:
    ground, wall = int(rng.integers(204, 218)), int(rng.integers(272, 288))
    size = (WIDTH_PX, HEIGHT_PX)
    surface = rng.uniform(34, 78) + 9 * blotches(rng, size, 40) + 5 * blotches(rng, size, 8)
    horizon = ground - int(rng.integers(26, 48))
    _lay_ground(rng, surface, horizon)
    if rng.random() < 0.6:
        _plant(rng, surface, horizon)
    flap = (wall + 7, ground - 118, WIDTH_PX - wall - 12, 108)
    _build_wall(rng, surface, wall, flap)
    lamp = _falloff(float(rng.uniform(150, 240)), float(rng.uniform(70, 150)), float(rng.uniform(150, 230)))
    return Backdrop(Light.FRONT, surface.astype(np.float32), lamp, wall, ground, float(rng.uniform(116, 130)), flap)


def _lay_ground(rng: np.random.Generator, surface: Field, horizon: int) -> None:
    """Paving with joints, or a lawn."""
    size = (WIDTH_PX, HEIGHT_PX - horizon)
    level = rng.uniform(70, 125)
    surface[horizon:] = level + 8 * blotches(rng, size, 30) + 6 * blotches(rng, size, 3)
    if rng.random() < 0.5:
        joint = int(rng.integers(14, 24))
        for row in range(horizon + 4, HEIGHT_PX, joint):
            surface[row : row + 2] *= 0.65
        for column in range(int(rng.integers(0, 40)), WIDTH_PX, int(rng.integers(38, 70))):
            cv2.line(surface, (column, horizon), (column - 40, HEIGHT_PX), ink(level * 0.65), 2, cv2.LINE_AA)
        return
    for _ in range(260):
        x, y = int(rng.integers(0, WIDTH_PX)), int(rng.integers(horizon, HEIGHT_PX))
        tip = (x + int(rng.integers(-4, 5)), y - int(rng.integers(4, 13)))
        cv2.line(surface, (x, y), tip, ink(level * rng.uniform(0.6, 1.5)), 1, cv2.LINE_AA)


def _plant(rng: np.random.Generator, surface: Field, horizon: int) -> None:
    """A shrub or a pot at the back."""
    x, radius, level = int(rng.integers(0, 180)), int(rng.integers(22, 50)), float(rng.uniform(50, 110))
    for _ in range(60):
        offset = rng.normal(0, radius * 0.55, 2)
        centre = (int(x + offset[0]), int(horizon - radius * 0.6 + offset[1] * 0.7))
        axes = (int(rng.integers(3, 8)), int(rng.integers(2, 4)))
        shade = float(level * rng.uniform(0.5, 1.3))
        cv2.ellipse(surface, centre, axes, float(rng.uniform(0, 180)), 0, 360, ink(shade), -1, cv2.LINE_AA)


def _build_wall(rng: np.random.Generator, surface: Field, wall: int, flap: tuple[int, int, int, int]) -> None:
    level = rng.uniform(95, 150)
    surface[:, wall:] = level + 7 * blotches(rng, (WIDTH_PX - wall, HEIGHT_PX), 6)
    for index, row in enumerate(range(0, HEIGHT_PX, 15)):
        surface[row : row + 2, wall:] *= 0.72
        surface[row : row + 15, wall + 8 + 14 * (index % 2) : wall + 10 + 14 * (index % 2)] *= 0.75
    surface[:, wall : wall + 2] *= 0.5
    x, y, width, height = flap
    surface[y - 6 : y + height + 6, x - 5 : x + width + 5] = 195
    surface[y : y + height, x : x + width] = 14


def _back(rng: np.random.Generator) -> Backdrop:
    ground = int(rng.integers(205, 226))
    size = (WIDTH_PX, HEIGHT_PX)
    surface = rng.uniform(138, 186) + 3 * blotches(rng, size, 30) + 3 * blotches(rng, size, 4)
    surface[ground:] = 26 + 6 * blotches(rng, (WIDTH_PX, HEIGHT_PX - ground), 10)
    surface[ground : ground + 3] = 75
    bar = int(rng.integers(4, 22))
    surface[: ground - 8, bar : bar + 4] *= 0.55
    surface[: ground - 8, :bar] *= 0.85
    for _ in range(int(rng.integers(2, 12))):
        spot = (int(rng.integers(30, WIDTH_PX)), int(rng.integers(20, ground)))
        cv2.circle(surface, spot, int(rng.integers(1, 4)), ink(rng.uniform(60, 120)), -1, cv2.LINE_AA)
    lamp = _falloff(float(rng.uniform(120, 210)), float(rng.uniform(60, 150)), float(rng.uniform(230, 380)))
    unit = float(rng.uniform(165, 205))
    return Backdrop(Light.BACK, surface.astype(np.float32), lamp, WIDTH_PX, ground, unit, (0, 0, 0, 0))
