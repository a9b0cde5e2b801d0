"""The feature layer: one recipe, the same for training and serving."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from edge.features import TARGET_MEAN, Recipe, crop_box, extract, normalise, tensor
from edge.messages import Box, Patch

RECIPE = Recipe(width_px=160, height_px=120, margin=0.25, min_fraction=0.6, max_gain=4.0)

boxes = st.tuples(st.integers(0, 300), st.integers(0, 220), st.integers(1, 320), st.integers(1, 240)).map(
    lambda box: Box(box[0], box[1], min(box[2], 320 - box[0]), min(box[3], 240 - box[1]))
)


@given(boxes)
def test_the_crop_holds_the_box_and_stays_inside(box: Box) -> None:
    """Wherever the box is, the crop contains it and lies within the picture."""
    crop = crop_box(box, 320, 240, RECIPE)
    holds = crop.x <= box.x and crop.x + crop.width >= box.x + box.width
    holds = holds and crop.y <= box.y and crop.y + crop.height >= box.y + box.height
    inside = crop.x >= 0 and crop.y >= 0 and crop.x + crop.width <= 320 and crop.y + crop.height <= 240
    assert (True, True) == (holds, inside)


@given(boxes)
def test_a_crop_of_a_four_to_three_picture_keeps_its_shape(box: Box) -> None:
    """In a picture of the patch's own shape nothing is squeezed by more than a pixel's rounding."""
    crop = crop_box(box, 320, 240, RECIPE)
    assert abs(crop.width * 120 - crop.height * 160) <= 160


@given(boxes, st.integers(0, 2**32 - 1))
def test_a_patch_has_the_recipes_size_and_type(box: Box, seed: int) -> None:
    """Whatever the box, the patch is uint8 of the recipe's size."""
    grey = np.random.default_rng(seed).integers(0, 256, (240, 320), dtype=np.uint8)
    pixels = extract(grey, box, RECIPE).pixels
    assert ((120, 160), np.dtype(np.uint8)) == (pixels.shape, pixels.dtype)


def test_extraction_is_repeatable() -> None:
    """The same frame and box give the same patch, bit for bit."""
    grey = np.random.default_rng(1).integers(0, 256, (240, 320), dtype=np.uint8)
    first, second = (extract(grey, Box(40, 30, 100, 90), RECIPE).pixels for _ in range(2))
    assert first.tobytes() == second.tobytes()


def test_normalisation_brings_the_mean_to_its_target() -> None:
    """A dim picture of low contrast comes out at the target's brightness, with no more than the allowed gain."""
    dim = np.random.default_rng(2).normal(40, 6, (120, 160)).astype(np.uint8)
    bright = normalise(dim, 4.0)
    assert (True, True) == (abs(bright.mean() - TARGET_MEAN) < 2, bright.std() <= 4.01 * dim.std() + 1)


def test_a_gain_of_one_leaves_the_picture_alone() -> None:
    """A recipe without normalisation passes the pixels through."""
    picture = np.arange(256, dtype=np.uint8).reshape(16, 16)
    assert picture.tobytes() == normalise(picture, 1.0).tobytes()


def test_the_tensor_is_grey_level_minus_128() -> None:
    """Quantisation is the sign flip, exact for every grey level there is."""
    picture = np.arange(256, dtype=np.uint8).reshape(16, 16)
    values = tensor(Patch(picture, Box(0, 0, 16, 16)))
    assert ((1, 16, 16, 1), list(range(-128, 128))) == (values.shape, values.ravel().tolist())
