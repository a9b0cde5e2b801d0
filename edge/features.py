"""The feature layer: the one place that crops, resizes, normalises and quantises. Floor 2.

Training and serving call the same functions; a recipe travels in the model's signed manifest.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np

from edge.messages import Box, Grey, Patch

if TYPE_CHECKING:
    import numpy.typing as npt

TARGET_MEAN = 118.0
TARGET_SPREAD = 52.0


@dataclass(frozen=True, slots=True)
class Recipe:
    """How a patch is cut.

    ``margin`` is added round the box on each side, as a share of the box; the crop is at least ``min_fraction`` of
    the picture wide and high, and has the patch's own aspect where the picture allows it. ``max_gain`` bounds the
    contrast that normalisation may add (1: no normalisation).
    """

    width_px: int
    height_px: int
    margin: float
    min_fraction: float
    max_gain: float


def crop_box(box: Box, picture_width_px: int, picture_height_px: int, recipe: Recipe) -> Box:
    """Return the crop for a box: widened by the margin, brought to the patch's aspect, kept inside the picture."""
    wide = max(box.width * (1 + 2 * recipe.margin), picture_width_px * recipe.min_fraction)
    high = max(box.height * (1 + 2 * recipe.margin), picture_height_px * recipe.min_fraction)
    aspect = recipe.width_px / recipe.height_px
    width = min(round(max(wide, high * aspect)), picture_width_px)
    height = min(round(max(high, wide / aspect)), picture_height_px)
    x = round(box.x + box.width / 2 - width / 2)
    y = round(box.y + box.height / 2 - height / 2)
    return Box(min(max(x, 0), picture_width_px - width), min(max(y, 0), picture_height_px - height), width, height)


def whole(grey: Grey) -> Box:
    """Return the box that is the whole picture."""
    return Box(0, 0, grey.shape[1], grey.shape[0])


def extract(grey: Grey, box: Box, recipe: Recipe) -> Patch:
    """Cut, resize and normalise.

    Args:
        grey: uint8, (height, width).
        box: where something is, in pixels of ``grey``.
        recipe: the model's own.

    Returns:
        A patch of uint8, (recipe.height_px, recipe.width_px); its box is the crop that was taken.
    """
    crop = crop_box(box, grey.shape[1], grey.shape[0], recipe)
    view = grey[crop.y : crop.y + crop.height, crop.x : crop.x + crop.width]
    small = cv2.resize(_halved(view, recipe), (recipe.width_px, recipe.height_px), interpolation=cv2.INTER_LINEAR)
    return Patch(normalise(small.astype(np.uint8, copy=False), recipe.max_gain), crop)


def _halved(view: Grey, recipe: Recipe) -> Grey:
    """Halve a view until it is less than twice the patch: averaging what interpolation alone would skip.

    OpenCV has a fast path for halves; averaging in one step by an odd factor costs four times as much.
    """
    while view.shape[1] >= 2 * recipe.width_px and view.shape[0] >= 2 * recipe.height_px:
        even = view[: view.shape[0] // 2 * 2, : view.shape[1] // 2 * 2]
        size = (even.shape[1] // 2, even.shape[0] // 2)
        view = cv2.resize(even, size, interpolation=cv2.INTER_AREA).astype(np.uint8, copy=False)
    return view


def normalise(pixels: Grey, max_gain: float) -> Grey:
    """Bring mean and spread to the recipe's targets with a gain of at most ``max_gain``; uint8 in and out."""
    if max_gain <= 1.0:
        return pixels
    mean, spread = (float(value[0, 0]) for value in cv2.meanStdDev(pixels))
    gain = min(TARGET_SPREAD / max(spread, 1e-3), max_gain)
    stretched = cv2.addWeighted(pixels, gain, pixels, 0.0, TARGET_MEAN - mean * gain)
    return stretched.astype(np.uint8, copy=False)


def tensor(patch: Patch) -> npt.NDArray[np.int8]:
    """Return the model's input, int8, (1, height, width, 1): grey level minus 128, by flipping the top bit."""
    return (patch.pixels ^ 0x80).view(np.int8)[np.newaxis, :, :, np.newaxis]
