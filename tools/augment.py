"""What cameras, lamps and flaps do to a picture, at random but repeatably.

Every step is a function of grey pixels and a random generator that returns new pixels, uint8, of the same shape, in
0..255; it always does what its name says, ``STEPS`` tells how often it is asked to. A picture passes through them in
the order of nature: the scene, its lamp, the lens, the sensor, the file.
"""

from __future__ import annotations

import dataclasses
from functools import cache
from typing import TYPE_CHECKING, TypeAlias

import cv2
import numpy as np
import numpy.typing as npt
from dataset import SIM

from edge.features import extract, normalise
from edge.messages import Box, Grey, Image, Label

if TYPE_CHECKING:
    from collections.abc import Callable

    from dataset import Sample

    from edge.features import Recipe

    Step: TypeAlias = Callable[[Grey, np.random.Generator], Grey]

Reals: TypeAlias = npt.NDArray[np.float32]

NOIR_SHARE = 0.5
"""How many of the colour pictures are seen through a camera without an infrared filter, by day."""

_LUMA = np.array([0.114, 0.587, 0.299])  # blue, green, red: ITU-R BT.601, as the decoder weighs them
_LEVELS = np.arange(256) / 255.0
_FIELD_PX = 512
_LEAST_SEEN = 0.45
_AROUND = 0.25


class Augmenter:
    """Cuts a picture as the gate might have, and does to it what cameras, lamps and flaps do."""

    def __init__(self, recipe: Recipe) -> None:
        """Prepare for one recipe, whose patch is at most 512 pixels wide and high."""
        self._recipe = recipe
        self._unnormalised = dataclasses.replace(recipe, max_gain=1.0)

    def patch(self, sample: Sample, rng: np.random.Generator) -> Grey:
        """Return one augmented patch as a model takes it, uint8, (recipe.height_px, recipe.width_px)."""
        return normalise(self.view(sample, rng), self._recipe.max_gain)

    def view(self, sample: Sample, rng: np.random.Generator) -> Grey:
        """Return the same before its normalisation, which every network that looks at it may do in its own size."""
        grey = noir(_colours(sample), rng) if sample.in_colour and rng.random() < NOIR_SHARE else sample.grey
        pixels = extract(grey, gate_box(sample, rng), self._unnormalised).pixels
        for share, step in STEPS:
            if rng.random() < share:
                pixels = step(pixels, rng)
        return pixels


def _colours(sample: Sample) -> Image:
    """Decode a picture anew, blue-green-red: kept for all of them, colours would triple the memory of a data set."""
    image = cv2.imdecode(np.frombuffer(sample.encoded, np.uint8), cv2.IMREAD_COLOR)
    return image.astype(np.uint8, copy=False)


# --- what the gate cuts -----------------------------------------------------------------------------------------------


def gate_box(sample: Sample, rng: np.random.Generator) -> Box:
    """Return a box as the gate might have given it; what a composed cat holds in its mouth is always in it."""
    if sample.label == Label.EMPTY:
        return _part_of_picture(sample.box, rng, 0.05)  # whatever moved was small and anywhere
    if sample.home == SIM:
        return _jittered(sample.box, rng)
    box = _part_of_picture(sample.box, rng, _LEAST_SEEN)  # with the margin at least two thirds remain to be seen
    return box if sample.held is None else _with(box, sample.held)


def _jittered(box: Box, rng: np.random.Generator) -> Box:
    """Return a box as a gate that is a little off would give it."""
    grow_x, grow_y = np.exp(rng.normal(0, 0.12, 2))
    shift_x, shift_y = rng.normal(0, 0.06, 2)
    width, height = max(round(box.width * grow_x), 1), max(round(box.height * grow_y), 1)
    x = round(box.x + box.width * (0.5 + shift_x) - width / 2)
    y = round(box.y + box.height * (0.5 + shift_y) - height / 2)
    return Box(x, y, width, height)


def _part_of_picture(box: Box, rng: np.random.Generator, least: float) -> Box:
    """Return a box anywhere in a picture, at least the share ``least`` of it wide and high; sometimes all of it."""
    share_x, share_y = rng.uniform(least, 1.0, 2) if rng.random() < 0.7 else (1.0, 1.0)
    width, height = max(round(box.width * share_x), 1), max(round(box.height * share_y), 1)
    x, y = rng.integers(0, box.width - width + 1), rng.integers(0, box.height - height + 1)
    return Box(int(x), int(y), width, height)


def _with(box: Box, held: Box) -> Box:
    """Return the smallest box round both, with a little more than what is held: a tilt must not push it out."""
    more_x, more_y = round(_AROUND * held.width), round(_AROUND * held.height)
    left, top = min(box.x, held.x - more_x), min(box.y, held.y - more_y)
    right = max(box.x + box.width, held.x + held.width + more_x)
    bottom = max(box.y + box.height, held.y + held.height + more_y)
    return Box(left, top, right - left, bottom - top)


# --- the scene --------------------------------------------------------------------------------------------------------


def noir(image: Image, rng: np.random.Generator) -> Grey:
    """Return a colour picture as the luma of a camera without an infrared filter.

    By day infrared reaches every channel beside its own colour, more or less by what is in the picture; a random gain
    of each stands for it. Grey things stay as they are: the exposure follows.

    Args:
        image: uint8, (height, width, 3), blue-green-red.
        rng: where chance comes from.
    """
    weights = _LUMA * np.exp(rng.normal(0, 0.7, 3))
    grey = cv2.transform(image, (weights / weights.sum())[np.newaxis])
    return grey.astype(np.uint8, copy=False)


def mirrored(pixels: Grey, _rng: np.random.Generator) -> Grey:
    """Return the cat that comes from the other side."""
    return cv2.flip(pixels, 1).astype(np.uint8, copy=False)


def tilted(pixels: Grey, rng: np.random.Generator) -> Grey:
    """Turn as a camera that is screwed on askew, by some degrees, and come a little nearer or go away."""
    height, width = pixels.shape
    turn = cv2.getRotationMatrix2D((width / 2, height / 2), rng.normal(0, 5), np.exp(rng.normal(0.04, 0.08)))
    turned = cv2.warpAffine(pixels, turn, (width, height), borderMode=cv2.BORDER_REFLECT_101)
    return turned.astype(np.uint8, copy=False)


def framed(pixels: Grey, rng: np.random.Generator) -> Grey:
    """Cover one edge, or two, by the flap's frame: even, of any grey, never over the middle."""
    edges = 1 if rng.random() < 0.7 else 2
    depth = rng.uniform(0.05, 0.2) / edges
    rows, columns = (max(round(depth * side), 1) for side in pixels.shape)
    covered, level = pixels.copy(), rng.integers(0, 256)
    for edge in rng.permutation(4)[:edges]:
        (covered[:rows], covered[-rows:], covered[:, :columns], covered[:, -columns:])[edge][:] = level
    return covered


# --- its lamps --------------------------------------------------------------------------------------------------------


def lamp_lit(pixels: Grey, rng: np.random.Generator) -> Grey:
    """Darken away from an infrared lamp's spot, which lies anywhere: with the square of the distance."""
    y, x = _axes(pixels.shape, rng.uniform(-0.6, 0.6, 2))
    return _times(pixels, 1.0 / (1.0 + np.float32(rng.uniform(0.3, 1.5)) * (x * x + y * y)))


def vignetted(pixels: Grey, rng: np.random.Generator) -> Grey:
    """Darken the corners as a small lens does: the middle stays, a corner loses 0.2 to 0.7 of its light."""
    y, x = _axes(pixels.shape, np.zeros(2))
    square = (x * x + y * y) / 2
    return _times(pixels, 1.0 - np.float32(rng.uniform(0.2, 0.7)) * square * square)


def glaring(pixels: Grey, rng: np.random.Generator) -> Grey:
    """Add what throws a lamp's light straight back: two eyes that shine, or one reflection on something wet or bare."""
    height, width = pixels.shape
    eyes = rng.random() < 0.5
    size = height * (rng.uniform(0.006, 0.016) if eyes else rng.uniform(0.015, 0.05))
    x, y = rng.uniform(0.1, 0.9, 2) * (width, height)
    columns = _bell(width, x, size)
    if eyes:
        columns = columns + _bell(width, x + size * rng.uniform(5, 9), size)
    light = np.minimum(rng.uniform(250, 600) * np.outer(_bell(height, y, size), columns), 255)
    return cv2.add(pixels, light.astype(np.uint8)).astype(np.uint8, copy=False)


def _axes(shape: tuple[int, ...], middle: npt.NDArray[np.float64]) -> tuple[Reals, Reals]:
    """Return rows and columns as distances from a middle, -1..1 over the picture where that is 0."""
    y = np.linspace(-1, 1, shape[0], dtype=np.float32)[:, np.newaxis] - np.float32(middle[0])
    x = np.linspace(-1, 1, shape[1], dtype=np.float32)[np.newaxis] - np.float32(middle[1])
    return y, x


def _times(pixels: Grey, light: Reals) -> Grey:
    return cv2.multiply(pixels, light, dtype=cv2.CV_8U).astype(np.uint8, copy=False)


def _bell(count: int, middle: float, size: float) -> Reals:
    away = (np.arange(count, dtype=np.float32) - np.float32(middle)) / np.float32(size)
    bell: Reals = np.exp(np.float32(-0.5) * away * away)
    return bell


# --- the lens ---------------------------------------------------------------------------------------------------------


def blurred(pixels: Grey, rng: np.random.Generator) -> Grey:
    """Put it a little out of focus."""
    return cv2.GaussianBlur(pixels, (0, 0), rng.uniform(0.4, 1.6)).astype(np.uint8, copy=False)


def smeared(pixels: Grey, rng: np.random.Generator) -> Grey:
    """Move during the exposure, along a short straight line: 2 to 4.5 % of the picture's height, any way."""
    reach, angle = 0.5 * pixels.shape[0] * rng.uniform(0.02, 0.045), rng.uniform(0, np.pi)
    half = max(round(reach), 1)
    kernel = np.zeros((2 * half + 1, 2 * half + 1), np.float32)
    tip = round(half * np.cos(angle)), round(half * np.sin(angle))
    cv2.line(kernel, (half - tip[0], half - tip[1]), (half + tip[0], half + tip[1]), (1.0,))
    moved = cv2.filter2D(pixels, -1, kernel / kernel.sum(), borderType=cv2.BORDER_REFLECT_101)
    return moved.astype(np.uint8, copy=False)


# --- the sensor -------------------------------------------------------------------------------------------------------


def toned(pixels: Grey, rng: np.random.Generator) -> Grey:
    """Expose and develop otherwise: another gamma, contrast and brightness; brighter stays brighter.

    Contrast turns about the picture's own mean, which stays between 0.12 and 0.85 of white: what is darker or brighter
    as a whole ``edge.quality`` keeps from the model.
    """
    gamma = np.exp(rng.normal(0, 0.35))
    mean = (cv2.mean(pixels)[0] / 255.0) ** gamma
    levels = (_LEVELS**gamma - mean) * rng.uniform(0.5, 1.4) + min(max(mean + rng.normal(0, 0.1), 0.12), 0.85)
    table = np.clip(np.rint(levels * 255.0), 0, 255).astype(np.uint8)
    return cv2.LUT(pixels, table).astype(np.uint8, copy=False)


def noisy(pixels: Grey, rng: np.random.Generator) -> Grey:
    """Add a sensor's noise at high gain: of reading, of photons (its square grows with the light), and row by row."""
    height, width = pixels.shape
    reading, photons, rows = np.abs(rng.normal(0, (4.0, 10.0, 1.5)))
    strength = np.sqrt(reading**2 + photons**2 * _LEVELS).astype(np.float32)
    y, x, column = rng.integers(0, (_FIELD_PX - height + 1, _FIELD_PX - width + 1, _FIELD_PX))
    field = _field()
    grain = cv2.multiply(cv2.LUT(pixels, strength), field[y : y + height, x : x + width])
    lines = np.float32(rows) * field[y : y + height, column, np.newaxis]
    return cv2.add(pixels, grain + lines, dtype=cv2.CV_8U).astype(np.uint8, copy=False)


@cache
def _field() -> Reals:
    """Return normal noise, (512, 512), to take windows from: drawing it anew costs more than all other steps."""
    return np.random.default_rng(7).standard_normal((_FIELD_PX, _FIELD_PX), np.float32)


def compressed(pixels: Grey, rng: np.random.Generator) -> Grey:
    """Save it as a poor JPEG and read that."""
    _, data = cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(25, 80))])
    return cv2.imdecode(data, cv2.IMREAD_GRAYSCALE).astype(np.uint8, copy=False)


STEPS: tuple[tuple[float, Step], ...] = (
    (0.5, mirrored),
    (0.5, tilted),
    (0.15, framed),
    (0.3, lamp_lit),
    (0.2, vignetted),
    (0.1, glaring),
    (0.25, blurred),
    (0.1, smeared),
    (1.0, toned),
    (0.5, noisy),
    (0.12, compressed),
)
"""With which probability a view passes through each step, in this order."""
