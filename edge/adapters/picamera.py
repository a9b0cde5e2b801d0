"""The Raspberry Pi's own camera through picamera2. Floor 5.

One configuration with two streams: ``lores`` in YUV420, whose upper part *is* the small grey picture (a slice of 0.3 µs
where a colour conversion takes 60), and ``main`` in RGB888, which in picamera2 means blue-green-red in memory, as
OpenCV wants it. Both come from one exposure. The two sizes should have one proportion: where they differ, the Pi 3, 4
and Zero squeeze the small picture.

How a frame is waited for: ``capture_request(wait=False)`` gives a job, ``job.get_result(timeout)`` waits for it. A job
that timed out stays queued in picamera2 and is waited for again, never doubled, so that a camera that hangs leaves no
jobs behind and a frame that comes late is not lost with its buffer. The finished request is held until the next one, so
that the large picture is copied only when somebody asks for it.

Times: ``SensorTimestamp`` is the V4L2 time stamp of the frame's start. libcamera's documentation names CLOCK_BOOTTIME,
the drivers stamp with CLOCK_MONOTONIC (libcamera bug 254), and picamera2 itself compares it with
``time.monotonic_ns()``. The two clocks differ by the time a machine was suspended, and a Pi does not suspend: it is
taken as it is, and a stamp from the future is refused.

Verified by reading picamera2 0.3.38; the tests run on a stand-in that has exactly the methods used here. Not verified
here: a Pi.
"""

from __future__ import annotations

import importlib
from concurrent.futures import CancelledError
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import numpy as np

from edge.errors import HardwareError
from edge.messages import Frame

if TYPE_CHECKING:
    from edge.config import CameraConfig
    from edge.messages import Grey, Image
    from edge.ports import Clock

BUFFERS = 4
"""One held here, one kept by picamera2 as the newest, two for the sensor to fill; its default of six costs memory."""

FUTURE_NS = 1_000_000_000
"""A time stamp this far ahead of the clock is on another clock."""

_FAILURES = (RuntimeError, OSError, ValueError, LookupError, CancelledError)
"""What picamera2 raises, by its source: it has no exception of its own."""


class PicameraCamera:
    """Implements ``ports.Camera``."""

    def __init__(self, config: CameraConfig, clock: Clock, library: Any = None) -> None:  # noqa: ANN401 - picamera2 has no types
        """Open the first camera and start it; ``library`` stands in for the picamera2 module in tests.

        Raises:
            HardwareError: picamera2 is not installed, there is no camera, or it does not give what was asked.
        """
        library = _library() if library is None else library
        self._clock = clock
        self._size_px = (config.width_px, config.height_px)
        self._seq = 0
        self._job: Any = None
        self._request: Any = None
        self._camera: Any = None
        try:
            self._camera = library.Picamera2()
            self._camera.configure(self._configuration(config))
            self._camera.start()
            self._check_size()
        except _FAILURES as error:
            self.close()
            raise HardwareError(f"camera: picamera2 cannot start it: {error}") from error
        except HardwareError:
            self.close()
            raise

    def newest(self, timeout_s: float) -> Frame | None:
        """As ``ports.Camera``: grey (height_px, width_px) uint8. None while the camera hangs."""
        if self._camera is None:
            raise HardwareError("camera: is closed")
        try:
            request = self._wait(timeout_s)
            return None if request is None else self._frame(request)
        except _FAILURES as error:
            raise HardwareError(f"camera: picamera2 failed: {error}") from error

    def still(self) -> Image | None:
        """Return the main stream of the frame last returned, (still_height_px, still_width_px, 3) blue-green-red."""
        if self._request is None:
            return None
        try:
            return np.asarray(self._request.make_array("main"), dtype=np.uint8)
        except _FAILURES as error:
            raise HardwareError(f"camera: picamera2 failed: {error}") from error

    def close(self) -> None:
        """Stop and release the camera; may be called twice."""
        camera, self._camera, self._job = self._camera, None, None
        if camera is None:
            return
        with suppress(*_FAILURES):  # what is gone cannot be closed either; opening it again will say what is wrong
            self._release()
            camera.cancel_all_and_flush()  # a job that still waits would keep close() waiting
            camera.close()

    def _configuration(self, config: CameraConfig) -> Any:  # noqa: ANN401 - picamera2 has no types
        interval_us = round(1_000_000 / config.fps)
        return self._camera.create_video_configuration(
            main={"size": (config.still_width_px, config.still_height_px), "format": "RGB888"},
            lores={"size": self._size_px, "format": "YUV420"},
            buffer_count=BUFFERS,
            controls={"FrameDurationLimits": (interval_us, interval_us)},
            display=None,
            encode=None,
        )

    def _check_size(self) -> None:
        given = tuple(self._camera.camera_configuration()["lores"]["size"])
        if given != self._size_px:
            asked = f"{self._size_px[0]}x{self._size_px[1]}"
            raise HardwareError(
                f"camera: gives {given[0]}x{given[1]} for camera.width_px and height_px of {asked}; use even numbers"
            )

    def _wait(self, timeout_s: float) -> Any:  # noqa: ANN401 - picamera2 has no types
        job = self._job or self._camera.capture_request(wait=False)
        try:
            request = job.get_result(timeout=timeout_s)
        except TimeoutError:
            self._job = job
            return None
        self._job = None
        return request

    def _frame(self, request: Any) -> Frame:  # noqa: ANN401 - picamera2 has no types
        self._release()
        self._request = request
        captured_ns = int(request.get_metadata()["SensorTimestamp"])
        if captured_ns > self._clock.monotonic_ns() + FUTURE_NS:
            raise HardwareError("camera: its time stamps are not on the monotonic clock")
        self._seq += 1
        return Frame(self._seq, captured_ns, self._luma(request.make_array("lores")))

    def _luma(self, planes: Any) -> Grey:  # noqa: ANN401 - picamera2 has no types
        """Return the Y plane of (height * 3 / 2, stride) bytes without the padding at the end of its rows."""
        width, height = self._size_px
        return np.ascontiguousarray(planes[:height, :width], dtype=np.uint8)

    def _release(self) -> None:
        request, self._request = self._request, None
        if request is not None:
            request.release()


def _library() -> Any:  # noqa: ANN401 - picamera2 has no types
    try:
        return importlib.import_module("picamera2")
    except (ImportError, OSError) as error:
        raise HardwareError(
            f"camera.kind: picamera2 cannot be loaded ({error}); install python3-picamera2, or choose video"
        ) from error
