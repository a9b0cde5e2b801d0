"""What every camera owes the loop, whatever it is made of."""

from __future__ import annotations

import importlib
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import cv2
import numpy as np
import pytest
from stand_ins import NS, PATIENCE_S, PiLibrary, StepCapture, clock_at_1000_s

from edge.adapters.picamera import PicameraCamera
from edge.adapters.sim import open_world, parse_scene
from edge.adapters.video import RecordedCamera, VideoCamera
from edge.config import CameraConfig
from edge.errors import HardwareError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from edge.adapters.clock import SimClock
    from edge.messages import Frame
    from edge.ports import Camera

CONFIG = CameraConfig(width_px=320, height_px=240, still_width_px=640, still_height_px=480)

SIM_LOST_S = 100.0


class Rig(Protocol):
    """A camera in the hands of a test."""

    @property
    def camera(self) -> Camera:
        """The camera."""

    def push(self) -> None:
        """Let one more frame be there."""

    def settle(self) -> None:
        """Come to a moment at which every frame has been taken and the next is not due."""

    def lose(self) -> None:
        """Take the source away."""

    def close(self) -> None:
        """Close the camera."""


@dataclass
class PiRig:
    """The Pi's camera over a stand-in for picamera2."""

    clock: SimClock
    library: PiLibrary
    camera: Camera

    def push(self) -> None:
        """Expose one frame."""
        assert self.library.camera is not None
        self.clock.wait(0.1)
        self.library.camera.expose(self.clock.monotonic_ns())

    def settle(self) -> None:
        """Nothing to do: no frame comes by itself."""

    def lose(self) -> None:
        """Pull the cable."""
        assert self.library.camera is not None
        self.library.camera.fail()

    def close(self) -> None:
        """Close it."""
        self.camera.close()


@dataclass
class LiveRig:
    """The live video camera over a capture that is stepped."""

    clock: SimClock
    capture: StepCapture
    camera: Camera

    def push(self) -> None:
        """Let a picture arrive."""
        self.clock.wait(0.1)
        self.capture.put(picture(100))

    def settle(self) -> None:
        """Nothing to do: no frame comes by itself."""

    def lose(self) -> None:
        """Unplug it."""
        self.capture.put(None)

    def close(self) -> None:
        """Close it; a real grab returns with the next picture, this one must be told."""
        self.capture.put(None)
        self.camera.close()


@dataclass
class RecordedRig:
    """A recording; its frames are always there and it is never lost."""

    camera: Camera

    def push(self) -> None:
        """Nothing to do."""

    def settle(self) -> None:
        """Nothing to do: no frame comes by itself."""

    def lose(self) -> None:
        """Cannot happen."""
        raise NotImplementedError

    def close(self) -> None:
        """Close it."""
        self.camera.close()


@dataclass
class SimRig:
    """The simulated camera; the world makes a frame whenever its clock reaches the next one's instant."""

    clock: SimClock
    camera: Camera

    def push(self) -> None:
        """Nothing to do."""

    def settle(self) -> None:
        """Nothing to do: no frame comes by itself."""

    def lose(self) -> None:
        """Go to where the scene has the camera lost."""
        self.clock.advance(SIM_LOST_S)

    def close(self) -> None:
        """Close it."""
        self.camera.close()


def picture(level: int) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    """Return a picture as a source gives it: larger than the grey one."""
    return np.full((480, 640, 3), level, np.uint8)


def pi(tmp_path: Path) -> Rig:
    """Open the Pi's camera."""
    del tmp_path
    clock, library = clock_at_1000_s(), PiLibrary()
    return PiRig(clock, library, PicameraCamera(CONFIG, clock, library))


def live(tmp_path: Path) -> Rig:
    """Open the live camera; it needs its first picture to open, which the test does not want to see."""
    del tmp_path
    clock, capture = clock_at_1000_s(), StepCapture()
    capture.put(picture(100))
    camera = VideoCamera(CONFIG, clock, lambda _: capture)
    camera.newest(PATIENCE_S)
    return LiveRig(clock, capture, camera)


def folder(tmp_path: Path) -> Rig:
    """Open a folder of pictures."""
    for number in range(4):
        cv2.imwrite(str(tmp_path / f"{number}.png"), picture(40 * number))
    return RecordedRig(RecordedCamera(source(tmp_path)))


def film(tmp_path: Path) -> Rig:
    """Open a video file."""
    path = tmp_path / "night.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 10.0, (640, 480))
    for number in range(4):
        writer.write(picture(40 * number))
    writer.release()
    return RecordedRig(RecordedCamera(source(path)))


def sim(tmp_path: Path) -> Rig:
    """Open the camera of a world in which nobody comes and the camera is lost in the end."""
    scene = parse_scene(
        {"title": "empty", "duration_s": 1000, "event": [{"what": "camera_lost", "at_s": SIM_LOST_S, "for_s": 500}]},
        "test",
        tmp_path,
    )
    clock = clock_at_1000_s()
    return SimRig(clock, open_world(scene, clock).camera())


def source(path: Path) -> CameraConfig:
    """Return the configuration of a recording."""
    return CameraConfig(kind="video", source=str(path), width_px=CONFIG.width_px, height_px=CONFIG.height_px)


def of_this_machine() -> tuple[Callable[[Path], Rig], ...]:
    """Return the builders that CATFLAP_CAMERAS names as ``module:function``: real devices, such as tests/vm has."""
    named = [word.split(":") for word in os.environ.get("CATFLAP_CAMERAS", "").split()]
    return tuple(getattr(importlib.import_module(module), function) for module, function in named)


LIVE = (pi, live, sim, *of_this_machine())
RECORDED = (folder, film)
every_camera = pytest.mark.parametrize("build", LIVE + RECORDED)
every_live_camera = pytest.mark.parametrize("build", LIVE)


def frames(rig: Rig, count: int) -> list[Frame]:
    """Take some frames, one after the other."""
    taken = []
    for _ in range(count):
        rig.push()
        frame = rig.camera.newest(PATIENCE_S)
        assert frame is not None
        taken.append(frame)
    return taken


@every_camera
def test_a_frame_is_grey_and_as_large_as_configured(build: Callable[[Path], Rig], tmp_path: Path) -> None:
    """The grey picture is uint8 of exactly the configured size."""
    rig = build(tmp_path)
    (frame,) = frames(rig, 1)
    rig.close()
    assert ((240, 320), np.dtype(np.uint8)) == (frame.grey.shape, frame.grey.dtype)


@every_camera
def test_frames_advance(build: Callable[[Path], Rig], tmp_path: Path) -> None:
    """Each frame has a greater number and a later time than the one before."""
    rig = build(tmp_path)
    first, second, third = frames(rig, 3)
    rig.close()
    assert (first.seq + 1, first.seq + 2) == (second.seq, third.seq)
    assert first.captured_ns < second.captured_ns < third.captured_ns


@every_camera
def test_the_still_belongs_to_the_last_frame(build: Callable[[Path], Rig], tmp_path: Path) -> None:
    """The large picture shows what the grey one showed."""
    rig = build(tmp_path)
    frame = frames(rig, 2)[-1]
    still = rig.camera.still()
    rig.close()
    assert still is not None
    assert frame.grey.mean() == pytest.approx(still.mean(), abs=2)
    assert ((480, 640), np.dtype(np.uint8)) == (still.shape[:2], still.dtype)


@every_camera
def test_closing_twice_is_closing_once(build: Callable[[Path], Rig], tmp_path: Path) -> None:
    """A camera may be closed again."""
    rig = build(tmp_path)
    rig.close()
    rig.close()


@every_camera
def test_a_closed_camera_gives_nothing(build: Callable[[Path], Rig], tmp_path: Path) -> None:
    """After close there is no frame, old or new."""
    rig = build(tmp_path)
    rig.close()
    with pytest.raises((HardwareError, EOFError)):
        rig.camera.newest(0.0)


@every_live_camera
def test_nothing_new_is_none(build: Callable[[Path], Rig], tmp_path: Path) -> None:
    """A frame is given once; without another there is None when the time is over, and again the next time."""
    rig = build(tmp_path)
    frames(rig, 1)
    rig.settle()
    given = [rig.camera.newest(0.0), rig.camera.newest(0.0)]
    rig.close()
    assert [None, None] == given


@every_live_camera
def test_a_camera_that_hung_goes_on(build: Callable[[Path], Rig], tmp_path: Path) -> None:
    """A frame that comes after a time-out is given to the next who asks."""
    rig = build(tmp_path)
    silent = rig.camera.newest(0.0)
    (frame,) = frames(rig, 1)
    rig.close()
    assert silent is None
    assert 0 < frame.captured_ns <= 2000 * NS


@every_live_camera
def test_a_lost_camera_raises(build: Callable[[Path], Rig], tmp_path: Path) -> None:
    """A source that is gone is a HardwareError, not an absence of frames."""
    rig = build(tmp_path)
    frames(rig, 1)
    rig.camera.newest(0.0)
    rig.lose()
    with pytest.raises(HardwareError):
        rig.camera.newest(PATIENCE_S)
    rig.close()


@pytest.mark.parametrize("build", RECORDED)
def test_a_recording_ends(build: Callable[[Path], Rig], tmp_path: Path) -> None:
    """After the last picture of a recording comes EOFError, every time."""
    rig = build(tmp_path)
    frames(rig, 4)
    for _ in range(2):
        with pytest.raises(EOFError):
            rig.camera.newest(0.0)
    rig.close()
