"""Renders a scene, or any frames, to a file that a person can look at."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import cv2

from edge.adapters.clock import SimClock
from edge.adapters.sim.scene import load_scene
from edge.adapters.sim.world import World
from edge.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from edge.messages import Grey

_VIDEO = {".mp4": "mp4v", ".avi": "MJPG"}
_ANIMATION = frozenset({".gif", ".png", ".webp"})
_EVENING = datetime(2026, 11, 21, 21, 0, tzinfo=UTC)


def film_scene(scene_path: Path, out: Path) -> int:
    """Render a scene as the camera would see it with nobody at the bolt; returns the number of frames.

    Raises:
        ConfigError: the scene, or the kind of file, is not what it may be.
    """
    scene = replace(load_scene(scene_path), endless=False)
    world = World(scene, SimClock(_EVENING))
    world.lamp.set(1.0)
    return film(_seen(world), out, scene.fps)


def film(frames: Iterable[Grey], out: Path, fps: float) -> int:
    """Write grey frames of one size, uint8, to ``.mp4``, ``.avi``, ``.webp`` or ``.png`` (animated); returns how many.

    ``.gif`` works only where OpenCV was built to write it; the wheels of 4.11 were not.

    Raises:
        ConfigError: the kind of file cannot be written here.
    """
    suffix = out.suffix.lower()
    if suffix in _VIDEO:
        return _write_video(frames, out, fps)
    if suffix in _ANIMATION and cv2.haveImageWriter(f"film{suffix}"):
        return _write_animation(frames, out, fps)
    kinds = ", ".join(sorted({*_VIDEO, *(kind for kind in _ANIMATION if cv2.haveImageWriter(f"film{kind}"))}))
    raise ConfigError(f"{out}: this OpenCV writes films as {kinds}; name one of these")


def _seen(world: World) -> Iterator[Grey]:
    while not world.over:
        world.clock.advance(world.until_next_frame_s())
        world.catch_up()
        yield world.picture().grey


def _write_video(frames: Iterable[Grey], out: Path, fps: float) -> int:
    writer: cv2.VideoWriter | None = None
    count = 0
    for grey in frames:
        if writer is None:
            code = cv2.VideoWriter.fourcc(*_VIDEO[out.suffix.lower()])
            writer = cv2.VideoWriter(str(out), code, fps, (grey.shape[1], grey.shape[0]))
            if not writer.isOpened():
                raise ConfigError(f"{out}: cannot be written (does its folder exist?)")
        writer.write(cv2.cvtColor(grey, cv2.COLOR_GRAY2BGR))
        count += 1
    if writer is not None:
        writer.release()
    return count


def _write_animation(frames: Iterable[Grey], out: Path, fps: float) -> int:
    animation = cv2.Animation()
    animation.frames = [cv2.cvtColor(grey, cv2.COLOR_GRAY2BGR) for grey in frames]
    animation.durations = [round(1000 / fps)] * len(animation.frames)
    if not cv2.imwriteanimation(str(out), animation):
        raise ConfigError(f"{out}: cannot be written (does its folder exist?)")
    return len(animation.frames)
