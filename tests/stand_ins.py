"""What stands in for hardware that no test machine has; each is stepped by hand and waits for nothing by itself."""

from __future__ import annotations

import queue
import threading
from concurrent.futures import CancelledError, Future
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import numpy as np

from edge.adapters.clock import SimClock

if TYPE_CHECKING:
    from edge.messages import Image

NS = 1_000_000_000
PATIENCE_S = 20.0
"""How long a test waits for a thread before it fails; never reached when all is well."""


def clock_at_1000_s() -> SimClock:
    """Return a clock that stands at 1000 s until it is told to go on."""
    clock = SimClock(datetime(2026, 11, 21, 21, 0, tzinfo=UTC))
    clock.advance(1000.0)
    return clock


@dataclass
class StepCapture:
    """What ``cv2.VideoCapture`` does, one picture for each ``put``; None ends it, as an unplugged device does."""

    pictures: queue.Queue[Image | None] = field(default_factory=queue.Queue)
    idle: threading.Event = field(default_factory=threading.Event)
    current: Image | None = None
    decoded: int = 0
    released: bool = False

    def put(self, picture: Image | None) -> None:
        """Let one picture arrive."""
        self.idle.clear()
        self.pictures.put(picture)

    def grab(self) -> bool:
        """Wait for the next picture; whoever asks for one has dealt with all before it."""
        if self.pictures.empty():
            self.idle.set()
        self.current = self.pictures.get(timeout=PATIENCE_S)
        return self.current is not None

    def retrieve(self) -> tuple[bool, Image]:
        """Decode it."""
        self.decoded += 1
        return (True, self.current) if self.current is not None else (False, np.empty(0, np.uint8))

    def release(self) -> None:
        """Free the device."""
        self.released = True


@dataclass
class PiRequest:
    """A completed request of picamera2: the arrays of one exposure, on loan until it is released."""

    arrays: dict[str, Image]
    timestamp_ns: int
    released: int = 0

    def make_array(self, name: str) -> Image:
        """Return a copy of one stream; only while the request is on loan, as in picamera2."""
        if self.released:
            raise RuntimeError(f"Stream {name!r} is not defined")
        return self.arrays[name].copy()

    def get_metadata(self) -> dict[str, Any]:
        """Return what the sensor said of it."""
        return {"SensorTimestamp": self.timestamp_ns}

    def release(self) -> None:
        """Give the buffers back; picamera2 raises when that happens twice."""
        self.released += 1
        if self.released > 1:
            raise RuntimeError("CompletedRequest: lock now has negative ref_count")


class PiJob:
    """A job of picamera2 0.3.38: a future whose waiting can time out and be taken up again."""

    def __init__(self) -> None:
        """Start unfinished."""
        self.future: Future[PiRequest] = Future()

    def get_result(self, timeout: float | None = None) -> PiRequest:
        """Wait for the result."""
        return self.future.result(timeout=timeout)


class PiCamera:
    """The methods of ``Picamera2`` that the adapter uses, with their real names, arguments and failures."""

    def __init__(self, library: PiLibrary) -> None:
        """Open it; the library may say that there is none."""
        if library.missing:
            raise RuntimeError("Camera(s) not found (Do not forget to disable legacy camera with raspi-config).")
        library.camera = self
        self.library = library
        self.config: dict[str, Any] = {}
        self.started = self.closed = False
        self.waiting: list[PiJob] = []
        self.completed: list[PiRequest] = []
        self.jobs = 0

    def create_video_configuration(self, **wanted: Any) -> dict[str, Any]:  # noqa: ANN401 - as picamera2 has it
        """Return the configuration, its sizes aligned to even numbers as picamera2 does."""
        for name in ("main", "lores"):
            width, height = wanted[name]["size"]
            wanted[name] = {**wanted[name], "size": (width - width % 2, height - height % 2)}
        return wanted

    def configure(self, config: dict[str, Any]) -> None:
        """Take a configuration."""
        self.config = config

    def camera_configuration(self) -> dict[str, Any]:
        """Return the configuration as the hardware took it."""
        return self.config

    def start(self) -> None:
        """Begin."""
        self.started = True

    def capture_request(self, *, wait: bool) -> PiJob:
        """Return a job for the next completed request, or for the one at hand."""
        assert not wait
        self.jobs += 1
        self.waiting.append(PiJob())
        job = self.waiting[-1]
        self._serve()
        return job

    def cancel_all_and_flush(self) -> None:
        """Cancel what waits."""
        for job in self.waiting:
            job.future.set_exception(CancelledError())
        self.waiting = []

    def close(self) -> None:
        """Release the camera; with a job waiting the real one would hang."""
        assert not self.waiting
        self.closed = True

    def expose(self, timestamp_ns: int, level: int = 128, padding_px: int = 32) -> PiRequest:
        """Let one frame complete: grey ``level`` in both streams, rows of the small one padded with 255."""
        width, height = self.config["lores"]["size"]
        planes = np.full((height * 3 // 2, width + padding_px), 255, np.uint8)
        planes[:height, :width] = level
        main_width, main_height = self.config["main"]["size"]
        main = np.full((main_height, main_width, 3), level, np.uint8)
        request = PiRequest({"lores": planes, "main": main}, timestamp_ns)
        self.completed = [request]
        self._serve()
        return request

    def fail(self) -> None:
        """Let what waits, and everything after it, fail as a camera does whose cable came off."""
        self.broken = True
        self._serve()

    broken = False

    def _serve(self) -> None:
        for job in self.waiting if self.broken else []:
            job.future.set_exception(RuntimeError("Camera frontend has timed out"))
        if self.broken:
            self.waiting = []
        if self.waiting and self.completed:
            self.waiting.pop(0).future.set_result(self.completed.pop())


class PiLibrary:
    """The module ``picamera2``, as far as it is used."""

    def __init__(self, *, missing: bool = False) -> None:
        """Say whether a camera is connected."""
        self.missing = missing
        self.camera: PiCamera | None = None

    def Picamera2(self) -> PiCamera:  # noqa: N802 - the name of the class it stands for
        """Open the first camera."""
        return PiCamera(self)
