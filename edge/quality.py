"""Is this frame evidence? Judged before anything believes it. Floor 2.

A frame that is no evidence says why: dark, blown out, blurred, frozen, or taken by a camera that was knocked.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from edge.messages import Box, Frame, Grey, Motion, Quality, QualityWhy

ANCHOR_WIDTH_PX = 80
ANCHOR_HEIGHT_PX = 60
IGNORED = math.inf
"""Stands for a contrast or sharpness that was not measured."""

MOVED_EVERY = 8
"""While much of the picture differs, one frame in so many is held against the anchor; the answer holds in between."""


@dataclass(frozen=True, slots=True)
class QualitySettings:
    """Limits of evidence, in grey levels 0..255 unless said otherwise.

    The limits on light and sharpness were read off the development photographs: 99 in 100 of the clear night pictures
    pass, 99 in 100 of the same pictures blurred by four pixels do not (`tools/quality_limits.py` prints the table).
    ``moved_px`` is a shift of the whole scene, in pixels of an 80 px wide copy, ``moved_peak`` how clear the
    correlation's peak must be (0..1), ``moved_area`` the share of the picture that must differ before it is worth
    looking, ``settle_frames`` how many frames a new view must last to be taken for the new normal.
    """

    dark_mean: float = 14.0
    dark_contrast: float = 12.0
    dark_limit: float = 60.0
    blown_mean: float = 236.0
    flat_contrast: float = 6.0
    blurred_sharpness: float = 0.032
    moved_px: float = 1.5
    moved_peak: float = 0.25
    moved_area: float = 0.2
    settle_frames: int = 150


class QualityJudge:
    """Judges the frames of one camera in order; remembers the last picture and where the scene's edges were."""

    def __init__(self, settings: QualitySettings) -> None:
        """Start without a memory."""
        self._settings = settings
        self._last: Frame | None = None
        self._anchor: npt.NDArray[np.float32] | None = None
        self._window = cv2.createHanningWindow((ANCHOR_WIDTH_PX, ANCHOR_HEIGHT_PX), cv2.CV_32F)
        self._calm_frames = 0
        self._covered_frames = 0
        self._moved_frames = 0
        self._moved = False

    def judge(self, frame: Frame, motion: Motion) -> Quality:
        """Judge one frame; ``motion`` is the gate's word on the same frame."""
        frozen = self._is_frozen(frame)
        self._last = frame
        if frozen:
            return Quality(ok=False, why=QualityWhy.FROZEN, mean=0.0, contrast=0.0, sharpness=0.0)
        moved = self._is_moved(frame.grey, motion)
        if moved:
            return Quality(ok=False, why=QualityWhy.MOVED, mean=0.0, contrast=0.0, sharpness=0.0)
        return judge_light(frame.grey, motion.box, self._settings)

    def watch_idle(self, frame: Frame, motion: Motion) -> Quality:
        """Judge an idle frame as cheaply as can be: frozen, dark or blown, nothing else.

        A camera that shows the same picture for ever, or only black or white, must be noticed while nothing moves.
        """
        frozen = self._is_frozen(frame)
        self._last = frame
        self._remember(frame.grey, motion)
        if frozen:
            return Quality(ok=False, why=QualityWhy.FROZEN, mean=0.0, contrast=0.0, sharpness=0.0)
        mean = float(cv2.mean(frame.grey)[0])
        why = _why(mean, IGNORED, IGNORED, self._settings)
        return Quality(ok=why is QualityWhy.OK, why=why, mean=mean, contrast=0.0, sharpness=0.0)

    def forget(self) -> None:
        """Drop the memory: the camera was reopened."""
        self._last = None
        self._anchor = None
        self._calm_frames = 0

    @property
    def settled(self) -> bool:
        """Whether a moved camera has shown its new view long enough; the gate is then to learn it."""
        return self._moved_frames >= self._settings.settle_frames

    def _is_frozen(self, frame: Frame) -> bool:
        last = self._last
        if last is None:
            return False
        if frame.captured_ns <= last.captured_ns:
            return True
        if frame.grey.shape != last.grey.shape:
            return False
        # Two pictures of a real sensor never agree in every pixel; nearly always one row is enough to know.
        middle = frame.grey.shape[0] // 2
        same_row = frame.grey[middle].tobytes() == last.grey[middle].tobytes()
        return same_row and cv2.norm(frame.grey, last.grey, cv2.NORM_INF) == 0.0

    def _remember(self, grey: Grey, motion: Motion) -> None:
        """Keep the calm scene as the anchor, refreshed now and then; it costs nothing while the anchor is fresh."""
        self._calm_frames += 1
        if motion.present or motion.area_fraction > 0.0 or (self._anchor is not None and self._calm_frames % 50):
            return
        self._anchor = _small(grey)
        self._moved_frames = 0

    def _is_moved(self, grey: Grey, motion: Motion) -> bool:
        if self._anchor is None or motion.area_fraction < self._settings.moved_area:
            self._covered_frames = 0
            return False
        self._covered_frames += 1
        if self._covered_frames % MOVED_EVERY == 1:
            self._moved = self._is_shifted(self._anchor, grey)
        self._moved_frames = self._moved_frames + 1 if self._moved else 0
        return self._moved

    def _is_shifted(self, anchor: npt.NDArray[np.float32], grey: Grey) -> bool:
        # OpenCV multiplies the window into its arguments where their size needs no padding: hand it a copy.
        (x, y), peak = cv2.phaseCorrelate(anchor.copy(), _small(grey), self._window)
        return peak >= self._settings.moved_peak and max(abs(x), abs(y)) >= self._settings.moved_px


def judge_light(grey: Grey, box: Box | None, settings: QualitySettings) -> Quality:
    """Judge light and sharpness of one picture, inside ``box`` where there is one.

    Args:
        grey: uint8, (height, width).
        box: the part that matters, in pixels; None: the whole picture.
        settings: the limits.
    """
    view = grey if box is None else grey[box.y : box.y + box.height, box.x : box.x + box.width]
    mean, contrast = _moments(grey)
    sharpness = _sharpness(view)
    why = _why(mean, contrast, sharpness, settings)
    return Quality(ok=why is QualityWhy.OK, why=why, mean=mean, contrast=contrast, sharpness=sharpness)


def _why(mean: float, contrast: float, sharpness: float, limits: QualitySettings) -> QualityWhy:
    if mean < limits.dark_mean or (mean < limits.dark_limit and contrast < limits.dark_contrast):
        return QualityWhy.DARK
    if mean > limits.blown_mean or (mean > 255 - limits.dark_limit and contrast < limits.flat_contrast):
        return QualityWhy.BLOWN
    if contrast < limits.flat_contrast or sharpness < limits.blurred_sharpness:
        return QualityWhy.BLURRED
    return QualityWhy.OK


def _sharpness(view: Grey) -> float:
    """Return how much of the contrast is lost by blurring: little is lost from what is blurred already.

    At half size, which takes the sensor's noise out. After Crete et al., "The Blur Effect", 2007.
    """
    half = cv2.resize(view, (max(view.shape[1] // 2, 1), max(view.shape[0] // 2, 1)), interpolation=cv2.INTER_AREA)
    lost = _moments(cv2.absdiff(half, cv2.blur(half, (5, 5))))
    return math.hypot(*lost) / max(_moments(half)[1], 1.0)


def _moments(picture: cv2.typing.MatLike) -> tuple[float, float]:
    mean, deviation = cv2.meanStdDev(picture)
    return float(mean[0, 0]), float(deviation[0, 0])


def _small(grey: Grey) -> npt.NDArray[np.float32]:
    small = cv2.resize(grey, (ANCHOR_WIDTH_PX, ANCHOR_HEIGHT_PX), interpolation=cv2.INTER_AREA)
    return small.astype(np.float32)
