"""A folder of photographs that plays a part: each picture fills the camera's view for some frames."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np

from edge.adapters.sim.backdrop import HEIGHT_PX, WIDTH_PX
from edge.errors import ConfigError
from edge.messages import Label

if TYPE_CHECKING:
    from pathlib import Path

    from edge.adapters.sim.scene import ActorPlan, Scene
    from edge.messages import Grey

SUFFIXES = frozenset({".bmp", ".jpeg", ".jpg", ".pgm", ".png", ".webp"})


@dataclass(frozen=True, slots=True, eq=False)
class Photo:
    """One photograph as the camera sees it, uint8 (240, 320), and whom it shows."""

    grey: Grey
    label: Label
    who: str | None


class Album:
    """The photographs of a scene. Reads each when its time comes and keeps only the last."""

    def __init__(self, scene: Scene) -> None:
        """List the folders.

        Raises:
            ConfigError: a folder holds no picture, or the picture of the empty place cannot be read.
        """
        self._frame_s = 1.0 / scene.fps
        plans = [plan for plan in scene.actors if plan.kind == "photos"]
        self._parts = [(plan, _pictures(scene.folder / plan.folder, plan.empty)) for plan in plans]
        self._path: Path | None = None
        self._grey: Grey = np.zeros((HEIGHT_PX, WIDTH_PX), np.uint8)
        empty = next(((scene.folder / plan.folder, plan.empty) for plan in plans if plan.empty), None)
        self._empty = None if empty is None else Photo(_read(empty[0] / empty[1]), Label.EMPTY, None)

    def shown(self, scene_s: float) -> Photo | None:
        """Return the photograph of a moment; the empty place's between them, or None where there is none."""
        for plan, paths in self._parts:
            index = int((scene_s - plan.arrives_s) / (self._frame_s * plan.frames_each))
            if scene_s >= plan.arrives_s and index < len(paths):
                return self._open(paths[index], plan)
        return self._empty

    def _open(self, path: Path, plan: ActorPlan) -> Photo:
        if path != self._path:
            self._grey, self._path = _read(path), path
        return Photo(self._grey, plan.label, plan.name)


def _pictures(folder: Path, empty: str) -> tuple[Path, ...]:
    paths = sorted(path for path in folder.iterdir() if path.suffix.lower() in SUFFIXES and path.name != empty)
    if not paths:
        raise ConfigError(f"{folder}: holds no photographs ({', '.join(sorted(SUFFIXES))})")
    return tuple(paths)


def _read(path: Path) -> Grey:
    """Return a picture cut to 4:3 about its middle and brought to the camera's size."""
    try:
        raw = np.frombuffer(path.read_bytes(), np.uint8)
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from error
    image = cv2.imdecode(raw, cv2.IMREAD_GRAYSCALE) if raw.size else None
    if image is None:
        raise ConfigError(f"{path}: is not a picture that can be decoded")
    height, width = image.shape[:2]
    wide, high = min(width, round(height * WIDTH_PX / HEIGHT_PX)), min(height, round(width * HEIGHT_PX / WIDTH_PX))
    x, y = (width - wide) // 2, (height - high) // 2
    view = image[y : y + high, x : x + wide]
    return cv2.resize(view, (WIDTH_PX, HEIGHT_PX), interpolation=cv2.INTER_AREA).astype(np.uint8, copy=False)
