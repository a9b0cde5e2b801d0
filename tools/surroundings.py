"""What a scene is like round a mouth: brightness, softness of edges, noise and fine texture."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np
from mouths import Mask, Mouth, dark_of

if TYPE_CHECKING:
    from prey_shapes import Layer

    from edge.messages import Grey


@dataclass(frozen=True, slots=True, eq=False)
class Surroundings:
    """What the scene is like round a mouth.

    ``level`` is the brightness of the animal, grey levels, one a pixel of the whole picture; ``edge_px`` the standard
    deviation of the blur of its edges; ``noise`` a block of the camera's noise, grey levels of mean 0, (24, 24);
    ``fine`` the strength of the fine texture, grey levels, standard deviation.
    """

    level: Layer
    edge_px: float
    noise: Layer
    fine: float


_BLOCK_PX = 24
FINE_PX = 1.5  # what a Gaussian of this standard deviation takes away counts as fine


def surroundings(grey: Grey, mouth: Mouth) -> Surroundings:
    """Measure the animal round its mouth."""
    real = grey.astype(np.float32)
    rows, columns = _window(mouth, 1.0)
    on_animal = _animal(grey, mouth)
    level = _level(real, mouth, on_animal)
    detail = real - cv2.GaussianBlur(real, (0, 0), FINE_PX)
    on_here = on_animal[rows, columns]
    fine = float(detail[rows, columns][on_here].std()) if on_here.any() else 0.0
    return Surroundings(level, edge_blur_px(grey[rows, columns]), _noise_block(real, on_animal, (rows, columns)), fine)


def _window(mouth: Mouth, reach: float) -> tuple[slice, slice]:
    """Return rows and columns within ``reach`` heads of the mouth, at least one block."""
    far = max(reach * mouth.scale_px, _BLOCK_PX)
    top, left = max(round(mouth.y_px - far), 0), max(round(mouth.x_px - far), 0)
    return slice(top, max(round(mouth.y_px + far), 1)), slice(left, max(round(mouth.x_px + far), 1))


def _animal(grey: Grey, mouth: Mouth) -> Mask:
    """Return where the animal is: the inside of the silhouette, or a head's breadth behind a front-lit mouth."""
    if mouth.backlit:
        inside = cv2.erode(dark_of(grey)[0].astype(np.uint8), np.ones((9, 9), np.uint8)) > 0
    else:
        behind = mouth.x_px + (0.3 if mouth.facing_left else -0.3) * mouth.scale_px
        disc = np.zeros(grey.shape, np.uint8)
        cv2.circle(
            disc, (round(behind), round(mouth.y_px - 0.1 * mouth.scale_px)), round(0.35 * mouth.scale_px), (1,), -1
        )
        inside = disc > 0
    return inside if inside.any() else np.ones(grey.shape, np.bool_)


def _level(real: Layer, mouth: Mouth, on_animal: Mask) -> Layer:
    """Return how bright the animal would be at each pixel, carried on smoothly from where it is seen.

    So a silhouette keeps the scene's black with its haze, and a front-lit head the fall-off of the lamp.
    """
    spread = (0.25 if mouth.backlit else 0.5) * mouth.scale_px
    weight = on_animal.astype(np.float32)
    seen = cv2.GaussianBlur(weight, (0, 0), spread)
    carried = cv2.GaussianBlur(real * weight, (0, 0), spread) / np.maximum(seen, 1e-6)
    far = np.float32(np.median(real[on_animal]))  # where nothing of it is near
    return np.where(seen > 1e-3, carried, far).astype(np.float32)


def edge_blur_px(grey: Grey) -> float:
    """Return the blur of the clearest edges in a picture: the standard deviation of their profile, 0.4 to 4 px.

    A blurred step of height h has the slope h / (sqrt(2 pi) blur); both are read where the slope is greatest, and what
    the measuring itself blurs is taken off.
    """
    smooth = cv2.GaussianBlur(grey.astype(np.float32), (0, 0), _BEFORE_PX)
    slope = np.hypot(cv2.Sobel(smooth, cv2.CV_32F, 1, 0), cv2.Sobel(smooth, cv2.CV_32F, 0, 1)) / 8
    ground = np.ones((13, 13), np.uint8)
    height = cv2.dilate(smooth, ground) - cv2.erode(smooth, ground)
    steep = slope >= 0.85 * np.quantile(slope, 0.997)  # the middle of edges, not their flanks
    blur = float(np.median(height[steep])) / (np.sqrt(2 * np.pi) * max(float(np.median(slope[steep])), 1e-3))
    return float(np.clip(np.sqrt(max(blur**2 - _BEFORE_PX**2 - _SOBEL_PX**2, 0.0)), 0.4, 4.0))


_BEFORE_PX = 0.8
_SOBEL_PX = 0.58  # a central difference is a mean over two pixels


def _noise_block(real: Layer, on_animal: Mask, window: tuple[slice, slice]) -> Layer:
    """Return the noise of the flattest block of the animal near the mouth, or of the picture if it shows too little."""
    noise = real - cv2.GaussianBlur(real, (0, 0), 2.0)
    coarse = cv2.GaussianBlur(real, (0, 0), 3.0)
    near = np.zeros(real.shape, np.bool_)
    near[window] = True
    best: tuple[float, Layer] | None = None
    for where in (on_animal & near, on_animal, np.ones(real.shape, np.bool_)):
        for top in range(0, real.shape[0] - _BLOCK_PX + 1, _BLOCK_PX // 3):
            for left in range(0, real.shape[1] - _BLOCK_PX + 1, _BLOCK_PX // 3):
                block = np.s_[top : top + _BLOCK_PX, left : left + _BLOCK_PX]
                if where[block].all():
                    uneven = float(coarse[block].std())
                    best = (uneven, noise[block]) if best is None or uneven < best[0] else best
        if best is not None:
            break
    if best is None:  # smaller than a block: no noise rather than wrong noise
        return np.zeros((_BLOCK_PX, _BLOCK_PX), np.float32)
    return best[1] - np.float32(best[1].mean())


def noise_like(block: Layer, shape: tuple[int, int], rng: np.random.Generator) -> Layer:
    """Lay out the block's noise over a shape, each tile mirrored and rolled anew, so that its grain is the scene's."""
    down, across = -(-shape[0] // _BLOCK_PX), -(-shape[1] // _BLOCK_PX)
    rows = []
    for _ in range(down):
        tiles = []
        for _ in range(across):
            tile = np.roll(block, tuple(rng.integers(0, _BLOCK_PX, 2)), (0, 1))
            tiles.append(tile[:: rng.choice((-1, 1)), :: rng.choice((-1, 1))])
        rows.append(np.hstack(tiles))
    laid: Layer = np.vstack(rows)[: shape[0], : shape[1]]
    return laid
