"""The gate: is anything there? A background model on a small copy of the grey picture. Floor 2.

It follows slow light, takes a step of the whole picture (the lamp, a cloud, the infra-red filter) for what it is, asks
for several frames before it opens so that an insect or a raindrop does not wake the model, and keeps a visitor that
sits still in the foreground. It costs a few hundredths of a millisecond, so the model can sleep.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from edge.messages import Box, Grey, Motion, MotionWhy

SMALL_WIDTH_PX = 80
SMALL_HEIGHT_PX = 60
WINDOW_FRAMES = 5

_THIN = np.ones((3, 3), np.uint8)
_GROW = np.ones((5, 5), np.uint8)


@dataclass(frozen=True, slots=True)
class GateSettings:
    """How the gate sees. Grey levels are 0..255; frames are at about ten a second.

    ``threshold`` is the smallest difference that counts, on top of ``noise_factor`` times the picture's own noise;
    ``min_area`` is the share of the picture that must differ in one connected piece, in ``min_frames`` of the last
    five frames; ``learn_frames`` start the model; ``alpha`` is how fast the background follows where nothing is,
    ``alpha_foreground`` where something is (so slowly that a sitting cat stays foreground for minutes);
    ``step_area`` is the share of the picture that must change at once to be a step of the light; a step that lasts
    ``relearn_frames`` becomes the new background.
    """

    min_area: float
    min_frames: int
    threshold: float = 14.0
    noise_factor: float = 4.0
    learn_frames: int = 8
    alpha: float = 0.05
    alpha_foreground: float = 0.0005
    step_area: float = 0.6
    relearn_frames: int = 100


class Gate:
    """Feed it every frame in order. ``lamp_level`` (0..1) lets it know the lamp's own steps."""

    def __init__(self, settings: GateSettings) -> None:
        """Start without a background."""
        self._settings = settings
        self._background: npt.NDArray[np.float32] | None = None
        self._seen = 0
        self._noise = 2.0
        self._lamp = -1.0
        self._covered_frames = 0
        self._recent: deque[Box | None] = deque(maxlen=WINDOW_FRAMES)

    def see(self, grey: Grey, lamp_level: float) -> Motion:
        """Judge one frame.

        Args:
            grey: uint8, (height, width).
            lamp_level: what the lamp is set to, 0..1.
        """
        small = shrunk(grey)
        lamp_stepped = lamp_level != self._lamp
        self._lamp = lamp_level
        if self._background is None or lamp_stepped or self._seen < self._settings.learn_frames:
            return self._learn(small, fresh=self._background is None or lamp_stepped)
        return self._compare(small, grey)

    def forget(self) -> None:
        """Drop the background: the camera was reopened or moved."""
        self._background = None
        self._seen = 0
        self._recent.clear()

    def _learn(self, small: Grey, *, fresh: bool) -> Motion:
        if fresh or self._background is None:
            why = MotionWhy.LAMP if self._background is not None else MotionWhy.LEARNING
            self._background = small.astype(np.float32)
            self._seen = 1
            self._recent.clear()
            return Motion(present=False, why=why, box=None, area_fraction=0.0)
        cv2.accumulateWeighted(small, self._background, 0.3)
        self._seen += 1
        return Motion(present=False, why=MotionWhy.LEARNING, box=None, area_fraction=0.0)

    def _compare(self, small: Grey, grey: Grey) -> Motion:
        background = self._background
        assert background is not None  # noqa: S101 - see() learns first; this tells the type checker
        difference = cv2.absdiff(small, cv2.convertScaleAbs(background)).astype(np.uint8, copy=False)
        mask = self._mask(difference)
        fraction = cv2.countNonZero(mask) / mask.size
        if fraction == 0.0:
            self._follow(small, difference)
            return self._answer(None, 0.0, grey)
        if fraction >= self._settings.step_area and self._light_step(small, background):
            return Motion(present=False, why=MotionWhy.LAMP, box=None, area_fraction=fraction)
        self._absorb(small, background, mask, fraction)
        return self._answer(self._largest(mask), fraction, grey)

    def _mask(self, difference: Grey) -> Grey:
        level = self._settings.threshold + self._settings.noise_factor * self._noise
        mask = cv2.threshold(difference, level, 255, cv2.THRESH_BINARY)[1].astype(np.uint8, copy=False)
        if cv2.countNonZero(mask) == 0:
            return mask
        # Eroding removes what is one or two cells wide: rain streaks, insects far from the lens, noise. Growing it by
        # more than was taken joins what a coat's stripes have torn apart.
        return cv2.dilate(cv2.erode(mask, _THIN), _GROW).astype(np.uint8, copy=False)

    def _follow(self, small: Grey, difference: Grey) -> None:
        assert self._background is not None  # noqa: S101 - as in _compare
        cv2.accumulateWeighted(small, self._background, self._settings.alpha)
        self._noise += 0.05 * (float(cv2.mean(difference)[0]) - self._noise)
        self._covered_frames = 0

    def _light_step(self, small: Grey, background: npt.NDArray[np.float32]) -> bool:
        """Tell a change of light from a body: after one gain and one offset for the whole picture little is left."""
        live = small.astype(np.float32)
        (now, now_spread), (usual, usual_spread) = _mean_and_spread(live), _mean_and_spread(background)
        gain = min(max(now_spread / max(usual_spread, 1.0), 0.2), 5.0)
        moved = background * np.float32(gain) + np.float32(now - gain * usual)
        # OpenCV's norms, and not numpy's means of differences: this runs in every frame that a cat fills.
        if cv2.norm(live, moved, cv2.NORM_L1) > 0.35 * cv2.norm(live, background, cv2.NORM_L1):
            return False
        self._background = live
        self._recent.clear()
        return True

    def _absorb(self, small: Grey, background: npt.NDArray[np.float32], mask: Grey, fraction: float) -> None:
        cv2.accumulateWeighted(small, background, self._settings.alpha, cv2.bitwise_not(mask))
        cv2.accumulateWeighted(small, background, self._settings.alpha_foreground, mask)
        covered = fraction >= self._settings.step_area
        self._covered_frames = self._covered_frames + 1 if covered else 0
        if self._covered_frames >= self._settings.relearn_frames:
            self._background = small.astype(np.float32)
            self._covered_frames = 0

    def _largest(self, mask: Grey) -> Box | None:
        outlines, _ = cv2.findContours(mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
        largest = max(outlines, key=cv2.contourArea, default=None)
        if largest is None or cv2.contourArea(largest) < self._settings.min_area * mask.size:
            return None
        return Box(*cv2.boundingRect(largest))

    def _answer(self, box: Box | None, fraction: float, grey: Grey) -> Motion:
        self._recent.append(box)
        hits = sum(entry is not None for entry in self._recent)
        if hits >= self._settings.min_frames and box is not None:
            return Motion(present=True, why=MotionWhy.MOVING, box=_scaled(box, grey), area_fraction=fraction)
        why = MotionWhy.SPECKS if fraction > 0.0 else MotionWhy.STILL
        return Motion(present=False, why=why, box=None, area_fraction=fraction)


class OpenGate:
    """A gate that is always open: for pictures that were taken because something had moved."""

    def see(self, grey: Grey, lamp_level: float) -> Motion:  # noqa: ARG002 - the gate's own form
        """Take the whole picture for the box."""
        return Motion(
            present=True, why=MotionWhy.MOVING, box=Box(0, 0, grey.shape[1], grey.shape[0]), area_fraction=1.0
        )

    def forget(self) -> None:
        """Nothing was learnt."""


def shrunk(grey: Grey) -> Grey:
    """Return the small copy the gate works on, uint8, (60, 80)."""
    # In two steps, because OpenCV has a fast path for halves: a third of the cost of one step.
    half = cv2.resize(grey, (grey.shape[1] // 2, grey.shape[0] // 2), interpolation=cv2.INTER_AREA)
    small = cv2.resize(half, (SMALL_WIDTH_PX, SMALL_HEIGHT_PX), interpolation=cv2.INTER_AREA)
    return small.astype(np.uint8, copy=False)


def _mean_and_spread(picture: npt.NDArray[np.float32]) -> tuple[float, float]:
    mean, spread = cv2.meanStdDev(picture)
    return float(mean[0, 0]), float(spread[0, 0])


def _scaled(box: Box, grey: Grey) -> Box:
    """Bring a box of the small copy to the picture's own pixels."""
    across, down = grey.shape[1] / SMALL_WIDTH_PX, grey.shape[0] / SMALL_HEIGHT_PX
    x, y = round(box.x * across), round(box.y * down)
    return Box(x, y, round((box.x + box.width) * across) - x, round((box.y + box.height) * down) - y)
