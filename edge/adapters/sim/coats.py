"""Coats: how one animal's fur looks under infra-red, the same every night it comes."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from typing import TYPE_CHECKING

import cv2
import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from collections.abc import Callable

    from edge.messages import Grey

Field = npt.NDArray[np.float32]
"""A texture while it is being made: (height, width) float32, grey levels."""

BODY_PX_PER_UNIT = 96.0
BODY_ORIGIN = (-1.0, -1.2)  # of the body texture, in shoulder heights
BODY_SIZE_PX = (192, 116)
HEAD_PX_PER_UNIT = 24.0
HEAD_ORIGIN = (-1.35, -1.35)  # of the head texture, in head radii
HEAD_SIZE_PX = (65, 65)


class CoatKind(StrEnum):
    """Names an owner would use."""

    BLACK = "black"
    WHITE = "white"
    GREY = "grey"
    TABBY = "tabby"
    GINGER = "ginger"
    BICOLOUR = "bicolour"
    TORTOISE = "tortoise"


@dataclass(frozen=True, slots=True)
class Coat:
    """One individual's coat: the same kind and seed always look the same."""

    kind: CoatKind
    seed: int


@dataclass(frozen=True, slots=True, eq=False)
class Pelt:
    """A coat made visible. Textures are uint8; the other values are grey levels of parts that carry no texture."""

    body: Grey
    head: Grey
    base: int
    leg: int
    paw: int
    muzzle: int
    tail: tuple[int, ...]


@lru_cache(maxsize=128)
def pelt(coat: Coat) -> Pelt:
    """Return the textures of a coat."""
    rng = np.random.default_rng((coat.seed, list(CoatKind).index(coat.kind)))
    return _MAKERS[coat.kind](rng)


def blotches(rng: np.random.Generator, size_px: tuple[int, int], cell_px: int) -> Field:
    """Return smooth noise about 0 with a spread of about 1; ``size_px`` is (width, height)."""
    small = rng.standard_normal((size_px[1] // cell_px + 2, size_px[0] // cell_px + 2)).astype(np.float32)
    return cv2.resize(small, size_px, interpolation=cv2.INTER_CUBIC).astype(np.float32, copy=False)


def _fur(rng: np.random.Generator, size_px: tuple[int, int], depth: float) -> Field:
    grain = rng.standard_normal((size_px[1], size_px[0])).astype(np.float32)
    return cv2.blur(grain, (7, 2)).astype(np.float32, copy=False) * depth


def _stripes(rng: np.random.Generator, size_px: tuple[int, int], period_px: float) -> Field:
    """Return stripes across the body, 0..1, bent and broken by noise."""
    x = np.arange(size_px[0], dtype=np.float32)[np.newaxis, :]
    phase = x * (2 * np.pi / period_px) + blotches(rng, size_px, 18) * 1.1
    broken = np.clip(0.75 + 0.5 * blotches(rng, size_px, 12), 0, 1)
    return (np.clip(np.sin(phase) * 1.6, -1, 1) * 0.5 + 0.5).astype(np.float32) * broken.astype(np.float32)


def _grey(field: Field) -> Grey:
    return np.clip(field, 6, 250).astype(np.uint8)


def _plain(level: float, depth: float) -> Callable[[np.random.Generator], Pelt]:
    def make(rng: np.random.Generator) -> Pelt:
        base = int(level + rng.integers(-9, 10))
        body, head = (
            _grey(base + 6 * blotches(rng, size, 24) + _fur(rng, size, depth)) for size in (BODY_SIZE_PX, HEAD_SIZE_PX)
        )
        return Pelt(body, head, base, int(base * 0.94), int(base * 0.9), min(base + 14, 245), (base,))

    return make


def _striped(dark: float, light: float) -> Callable[[np.random.Generator], Pelt]:
    def make(rng: np.random.Generator) -> Pelt:
        shift = float(rng.integers(-14, 15))
        low, high = dark + shift, light + shift
        period = float(rng.uniform(13, 21))
        body, head = (
            _grey(high - (high - low) * _stripes(rng, size, wide) + _fur(rng, size, 16))
            for size, wide in ((BODY_SIZE_PX, period), (HEAD_SIZE_PX, period * 0.7))
        )
        base = int((low + high) / 2)
        rings = (int(low), int(high)) * 4
        return Pelt(body, head, base, int(base * 1.02), int(base * 0.92), min(int(high) + 30, 240), rings)

    return make


def _bicolour(rng: np.random.Generator) -> Pelt:
    """White below a wavering line, dark above: bib, belly, socks and a blaze."""
    dark, white = float(rng.integers(30, 90)), float(rng.integers(205, 235))
    y = np.arange(BODY_SIZE_PX[1], dtype=np.float32)[:, np.newaxis]
    x = np.arange(BODY_SIZE_PX[0], dtype=np.float32)[np.newaxis, :]
    line = rng.uniform(44, 62) + 9 * blotches(rng, BODY_SIZE_PX, 30) - 26 * np.clip((x - 140) / 30, 0, 1)
    body = np.where(y > line, white, dark) + _fur(rng, BODY_SIZE_PX, 14)
    v = np.arange(HEAD_SIZE_PX[1], dtype=np.float32)[:, np.newaxis]
    u = np.arange(HEAD_SIZE_PX[0], dtype=np.float32)[np.newaxis, :]
    blaze = (v + 0.6 * (u - 32) + 4 * blotches(rng, HEAD_SIZE_PX, 16)) > rng.uniform(38, 52)
    head = np.where(blaze, white, dark) + _fur(rng, HEAD_SIZE_PX, 12)
    socks = int(white if rng.random() < 0.7 else dark)
    return Pelt(_grey(body), _grey(head), int(dark), int(dark), socks, int(white), (int(dark), int(dark), socks))


def _tortoise(rng: np.random.Generator) -> Pelt:
    """Dark, middle and light patches without order."""
    shades = np.array([40.0, 128.0, 205.0], np.float32) + rng.integers(-12, 13, 3).astype(np.float32)
    white = float(rng.uniform(0.5, 1.3))

    def patches(size: tuple[int, int], cell_px: int) -> Grey:
        noise = blotches(rng, size, cell_px)
        index = (noise > 0.05).astype(int) + (noise > white).astype(int)
        return _grey(shades[index] + _fur(rng, size, 14))

    body, head = patches(BODY_SIZE_PX, 20), patches(HEAD_SIZE_PX, 16)
    return Pelt(body, head, 85, int(shades[rng.integers(0, 3)]), int(shades[2]), int(shades[1]), (40, 128, 40, 128))


_MAKERS: dict[CoatKind, Callable[[np.random.Generator], Pelt]] = {
    CoatKind.BLACK: _plain(36, 9),
    CoatKind.WHITE: _plain(222, 12),
    CoatKind.GREY: _plain(112, 14),
    CoatKind.TABBY: _striped(58, 142),
    CoatKind.GINGER: _striped(135, 185),
    CoatKind.BICOLOUR: _bicolour,
    CoatKind.TORTOISE: _tortoise,
}
