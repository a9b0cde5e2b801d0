"""The cameras of the bench, for the camera port's own contract (tests/contracts/test_cameras.py): real drivers.

Runs in the machine, with the flap's Python; CATFLAP_CAMERAS names the two builders.
"""

from __future__ import annotations

import subprocess
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from edge.adapters.clock import SystemClock
from edge.adapters.picamera import PicameraCamera
from edge.adapters.video import VideoCamera
from edge.config import CameraConfig
from edge.errors import HardwareError

if TYPE_CHECKING:
    from collections.abc import Callable

    from edge.ports import Camera

PI = CameraConfig(width_px=320, height_px=240, still_width_px=640, still_height_px=480)
FIRST_S, ON_THE_WAY_S = 20.0, 1.0
VIVID = replace(PI, kind="video", source="/dev/video9")


@dataclass
class RealRig:
    """A camera whose frames come by themselves."""

    camera: Camera
    unplug: Callable[[], None]

    def push(self) -> None:
        """Nothing to do."""

    def settle(self) -> None:
        """Take what waits, then the next at the moment it comes."""
        self.camera.newest(0.0)
        self.camera.newest(FIRST_S)

    def lose(self) -> None:
        """Take the device away, and the pictures that were on their way."""
        self.unplug()
        with suppress(HardwareError):
            while self.camera.newest(ON_THE_WAY_S) is not None:
                continue

    def close(self) -> None:
        """Close it."""
        self.camera.close()


def opencv_on_vivid(tmp_path: Path) -> RealRig:
    """Open the kernel's virtual video driver, plugged in anew, its picture a grey ramp without words."""
    del tmp_path
    _run("/usr/sbin/modprobe", "-r", "vivid")
    _run("/usr/sbin/modprobe", "vivid", "n_devs=1", "node_types=0x1", "vid_cap_nr=9")
    _control("test_pattern=20")
    _control("osd_text_mode=2")
    camera = VideoCamera(VIVID, SystemClock())
    camera.newest(FIRST_S)  # it needs one to open
    return RealRig(camera, partial(_control, "disconnect=1"))


def picamera2_on_vimc(tmp_path: Path) -> RealRig:
    """Open libcamera's test camera through the real picamera2."""
    del tmp_path
    _run("/usr/sbin/modprobe", "vimc")
    camera = PicameraCamera(PI, SystemClock(), VimcLibrary())
    return RealRig(camera, _unbind)


class VimcLibrary:
    """The module picamera2 for libcamera's vimc pipeline, which has one stream and no control of the frame's duration.

    What a Pi's pipeline would give as the second stream is made here from the first. Everything else, from
    configuration to job, request, time stamp and close, is picamera2's own.
    """

    def Picamera2(self) -> _Vimc:  # noqa: N802 - the name of the class it stands for
        """Open the first camera, with the allocator that needs no DMA heap: Debian's kernel has none."""
        from picamera2 import Picamera2  # noqa: PLC0415 - in the machine only
        from picamera2.allocators.libcameraallocator import LibcameraAllocator  # noqa: PLC0415 - as above

        allocator = LibcameraAllocator(None)
        camera = Picamera2(allocator=allocator)
        allocator.camera = camera.camera
        return _Vimc(camera)


class _Vimc:
    """What the adapter uses of ``Picamera2``."""

    def __init__(self, camera: Any) -> None:  # noqa: ANN401 - picamera2 has no types
        self._camera = camera
        self._lores: dict[str, Any] = {}
        self.start, self.close = camera.start, camera.close
        self.configure, self.cancel_all_and_flush = camera.configure, camera.cancel_all_and_flush

    def create_video_configuration(self, **wanted: Any) -> Any:  # noqa: ANN401 - as picamera2 has it
        self._lores = wanted.pop("lores")
        main = {**wanted["main"], "format": "BGR888"}
        return self._camera.create_video_configuration(**{**wanted, "main": main, "controls": {}, "raw": None})

    def camera_configuration(self) -> dict[str, Any]:
        return {**self._camera.camera_configuration(), "lores": self._lores}

    def capture_request(self, *, wait: bool) -> _Job:
        return _Job(self._camera.capture_request(wait=wait))


@dataclass
class _Job:
    """A job of picamera2 whose request also has the small stream."""

    job: Any

    def get_result(self, timeout: float | None = None) -> _Request:
        return _Request(self.job.get_result(timeout=timeout))


@dataclass
class _Request:
    request: Any

    def make_array(self, name: str) -> np.ndarray[Any, Any]:
        main = self.request.make_array("main")
        if name == "main":
            return np.asarray(main)
        small = cv2.resize(main, (PI.width_px, PI.height_px), interpolation=cv2.INTER_AREA)
        grey = small.mean(axis=2).astype(np.uint8)  # at night all colours are alike; vimc's bars have another luma
        colours = np.full((PI.height_px // 2, PI.width_px), 128, np.uint8)
        return np.concatenate([grey, colours])

    def get_metadata(self) -> dict[str, Any]:
        return dict(self.request.get_metadata())

    def release(self) -> None:
        self.request.release()


def _unbind() -> None:
    Path("/sys/bus/platform/drivers/vimc/unbind").write_text("vimc.0", encoding="ascii")


def _control(setting: str) -> None:
    _run("/usr/bin/v4l2-ctl", "-d", "/dev/video9", "-c", setting)


def _run(*command: str) -> None:
    subprocess.run(command, check=True)
