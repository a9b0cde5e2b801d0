"""Cameras through OpenCV: a V4L2 device or a network stream, and recordings of them. Floor 5.

``VideoCamera`` is live: its one thread keeps the newest picture and nothing else. ``RecordedCamera`` is a video file or
a folder of pictures: no thread, every picture in its order, nothing dropped. Both give the small grey picture by
``INTER_AREA`` at the configured size (a source of another proportion is squeezed, not cropped) and the picture as it
came as the still.

Verified against OpenCV 4.11: recordings on real files; the live thread on a capture that the test steps by hand.
"""

from __future__ import annotations

import os
import re
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, cast

import cv2
import numpy as np

from edge.adapters.images import MAX_PIXELS, read_image
from edge.errors import HardwareError, InputError
from edge.messages import Frame

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from edge.config import CameraConfig
    from edge.messages import Grey, Image
    from edge.ports import Clock

NS = 1_000_000_000

OPEN_TIMEOUT_S = 5.0
"""How long a network camera may take to answer; nobody but the camera's own thread waits for that."""

OPEN_WAIT_S = 2.0
"""How long the loop stands still for a camera that is opened: a device is there by then, or has failed."""

CLOSE_WAIT_S = 1.0
"""How long closing waits for the thread; a read that hangs longer frees the device when the driver lets it."""

EARLY = 0.75
"""A picture that comes after this share of the wanted interval is taken; sooner ones are not even decoded."""

FPS_BOUNDS = (0.5, 240.0)
"""What a file may claim as its frame rate; outside, the configured one holds."""

ENDS_EARLY = 0.95
"""A video that yields less than this share of the pictures it announces is cut off; headers are not exact."""

BESIDE_PICTURES = frozenset(("metadata.jsonl", "README.md"))
"""Files of the imagefolder form that are not pictures and are not meant to be."""


class Capture(Protocol):
    """What is used of ``cv2.VideoCapture``."""

    def grab(self) -> bool:
        """Wait for the next picture; False when there is none."""

    def retrieve(self) -> tuple[bool, Image]:
        """Decode the picture grabbed last."""

    def release(self) -> None:
        """Free the device."""


@dataclass(frozen=True, slots=True)
class Skipped:
    """A file, or the rest of one, that could not be used."""

    path: Path
    why: str


@dataclass(frozen=True, slots=True, eq=False)
class _Shot:
    image: Image
    captured_ns: int


class VideoCamera:
    """A live source; implements ``ports.Camera``. ``captured_ns`` is the arrival of the picture on the given clock."""

    def __init__(
        self, config: CameraConfig, clock: Clock, opener: Callable[[CameraConfig], Capture] | None = None
    ) -> None:
        """Start the thread that opens ``camera.source``, and wait ``OPEN_WAIT_S`` at most for its first picture.

        ``opener`` stands in for OpenCV in tests. The first picture is part of opening because OpenCV calls a device
        open that was unplugged. OpenCV opens and reads within its own long timeouts, ten seconds for a device, which
        is why the loop must not do it: a source that takes longer is as one that gives no frame yet.

        Raises:
            HardwareError: the source cannot be opened or gives no picture.
        """
        self._config, self._clock = config, clock
        self._name = _name(config)
        self._opener = opener or open_capture
        self._changed = threading.Condition()
        self._newest: _Shot | None = None
        self._kept_ns: int | None = None
        self._lost: str | None = None
        self._closing = False
        self._seq = 0
        self._last: Image | None = None
        self._thread = threading.Thread(target=self._run, name="camera", daemon=True)
        self._thread.start()
        with self._changed:
            self._await_news(OPEN_WAIT_S)

    def newest(self, timeout_s: float) -> Frame | None:
        """As ``ports.Camera``: grey (height_px, width_px) uint8."""
        with self._changed:
            self._await_news(timeout_s)
            shot, self._newest = self._newest, None
        if shot is None:
            return None
        self._seq += 1
        self._last = shot.image
        return Frame(self._seq, shot.captured_ns, _grey(shot.image, self._config))

    def still(self) -> Image | None:
        """Return the source's own picture, (height, width, 3) blue-green-red."""
        return self._last

    def close(self) -> None:
        """Stop the thread, which frees the device; may be called twice."""
        with self._changed:
            self._closing, self._newest = True, None
            self._lost = self._lost or f"{self._name}: is closed"
        self._thread.join(CLOSE_WAIT_S)

    def _await_news(self, timeout_s: float) -> None:
        """Return when there is a picture, or after ``timeout_s``; a source that is lost has none any more."""
        self._changed.wait_for(lambda: self._newest is not None or self._lost is not None, timeout_s)
        if self._newest is None and self._lost is not None:
            raise HardwareError(self._lost)

    def _run(self) -> None:
        try:
            why = self._watch(self._opener(self._config))
        except HardwareError as error:
            why = str(error)
        with self._changed:
            self._lost = self._lost or why
            self._changed.notify_all()

    def _watch(self, capture: Capture) -> str:
        """Keep picture after picture until there are no more; return why."""
        try:
            if not (capture.grab() and self._keep(capture)):
                return f"{self._name}: opens but gives no picture"
            while not self._closing and capture.grab() and self._keep(capture):
                pass
        except cv2.error as error:
            return f"{self._name}: the source failed: {error.err}"
        finally:
            capture.release()
        return f"{self._name}: the source has ended or the device is gone"

    def _keep(self, capture: Capture) -> bool:
        """Decode the picture just grabbed unless it came too soon; False when it cannot be decoded."""
        now_ns = self._clock.monotonic_ns()
        if self._kept_ns is not None and now_ns - self._kept_ns < EARLY * NS / self._config.fps:
            return True
        ok, image = capture.retrieve()
        if not ok or image.ndim != 3:
            return False
        self._kept_ns = now_ns
        with self._changed:
            if self._closing:
                return False  # it was on its way when the camera was closed
            self._newest = _Shot(image, now_ns)
            self._changed.notify_all()
        return True


class RecordedCamera:
    """A video file or a folder of pictures; implements ``ports.Camera``. It ends with ``EOFError``.

    ``captured_ns`` is ``start_ns`` plus the picture's number over the frame rate: the file's own, or the configured
    one. Files of a folder come in the order of their names, numbers in them counted as numbers.
    """

    def __init__(self, config: CameraConfig, start_ns: int = 0) -> None:
        """Open ``camera.source``.

        Raises:
            InputError: there is no such file or folder, it holds nothing, or OpenCV cannot read it as a video.
        """
        self._config, self._start_ns = config, start_ns
        self._skipped: list[Skipped] = []
        self._seq = 0
        self._last: Image | None = None
        path = Path(config.source)
        self._fps = config.fps
        self._images = self._folder(path) if path.is_dir() else self._film(path)

    @property
    def skipped(self) -> tuple[Skipped, ...]:
        """What could not be used so far, in order, each with its reason."""
        return tuple(self._skipped)

    def newest(self, timeout_s: float) -> Frame | None:
        """Return the next picture; ``timeout_s`` has no meaning here, a recording never makes one wait."""
        del timeout_s
        image = next(self._images, None)
        if image is None:
            raise EOFError(f"{self._config.source}: has ended")
        captured_ns = self._start_ns + round(self._seq * NS / self._fps)
        self._seq += 1
        self._last = image
        return Frame(self._seq, captured_ns, _grey(image, self._config))

    def still(self) -> Image | None:
        """Return the picture as recorded: grey or blue-green-red."""
        return self._last

    def close(self) -> None:
        """Release the file; may be called twice."""
        self._images = iter(())

    def _folder(self, path: Path) -> Iterator[Image]:
        try:
            files = sorted((file for file in path.iterdir() if _is_candidate(file)), key=_in_order)
        except OSError as error:
            raise InputError(f"{path}: cannot be read: {error.strerror}") from error
        if not files:
            raise InputError(f"{path}: holds no files")
        return self._pictures(files)

    def _pictures(self, files: list[Path]) -> Iterator[Image]:
        for file in files:
            try:
                yield read_image(file)
            except InputError as error:
                self._skipped.append(Skipped(file, str(error).removeprefix(f"{file}: ")))

    def _film(self, path: Path) -> Iterator[Image]:
        if not path.is_file():
            raise InputError(f"{path}: there is no such file or folder")
        _hush()
        capture = cv2.VideoCapture(str(path), cv2.CAP_FFMPEG)
        pixels = capture.get(cv2.CAP_PROP_FRAME_WIDTH) * capture.get(cv2.CAP_PROP_FRAME_HEIGHT)
        if not capture.isOpened() or not 0 < pixels <= MAX_PIXELS:
            capture.release()
            raise InputError(f"{path}: is not a video that OpenCV can read, or is truncated or too large")
        fps = capture.get(cv2.CAP_PROP_FPS)
        self._fps = fps if FPS_BOUNDS[0] <= fps <= FPS_BOUNDS[1] else self._config.fps
        return self._frames(path, capture)

    def _frames(self, path: Path, capture: cv2.VideoCapture) -> Iterator[Image]:
        announced, count = capture.get(cv2.CAP_PROP_FRAME_COUNT), 0
        try:
            while (shot := capture.read())[0]:
                count += 1
                yield cast("Image", shot[1])
        finally:
            capture.release()
        if count < ENDS_EARLY * announced:
            self._skipped.append(Skipped(path, f"ends after {count} of {announced:.0f} pictures"))


def open_video(config: CameraConfig, clock: Clock) -> VideoCamera | RecordedCamera:
    """Open ``camera.source`` as what it is: an address or a device is live, anything else is a recording.

    Raises:
        HardwareError: a live source that cannot be opened.
        InputError: a recording that cannot be read.
    """
    if is_live(config.source):
        return VideoCamera(config, clock)
    return RecordedCamera(config, clock.monotonic_ns())


def is_live(source: str) -> bool:
    """Return whether a source is a device or an address, not a recording."""
    return "://" in source or source.startswith("/dev/")


def open_capture(config: CameraConfig) -> Capture:
    """Open a device or an address with OpenCV.

    Raises:
        HardwareError: it cannot be opened; one sentence.
    """
    _hush()
    source = config.source
    if "://" not in source and not Path(source).exists():
        raise HardwareError(f"{_name(config)}: there is no such device; is the camera plugged in?")
    capture = _open_stream(config) if "://" in source else _open_device(config)
    if not capture.isOpened():
        capture.release()
        raise HardwareError(f"{_name(config)}: cannot be opened; is it in use, or its address or password wrong?")
    return cast("Capture", capture)


def _name(config: CameraConfig) -> str:
    """Return the source for an error's text, without the password that an address may carry."""
    return "camera.source " + re.sub(r"//[^/]*@", "//", config.source)


def _open_stream(config: CameraConfig) -> cv2.VideoCapture:
    timeouts = [
        cv2.CAP_PROP_OPEN_TIMEOUT_MSEC,
        round(OPEN_TIMEOUT_S * 1000),
        cv2.CAP_PROP_READ_TIMEOUT_MSEC,
        round(config.hang_s * 1000),
    ]  # fmt: skip - pairs of property and value
    return cv2.VideoCapture(config.source, cv2.CAP_FFMPEG, timeouts)


def _open_device(config: CameraConfig) -> cv2.VideoCapture:
    wanted = [
        cv2.CAP_PROP_FRAME_WIDTH,
        config.still_width_px,
        cv2.CAP_PROP_FRAME_HEIGHT,
        config.still_height_px,
        # Left to itself OpenCV may settle on a format that it then hands out undecoded, as one long row.
        cv2.CAP_PROP_FOURCC,
        cv2.VideoWriter.fourcc(*"YUYV"),
        cv2.CAP_PROP_BUFFERSIZE,
        1,
    ]  # fmt: skip - pairs of property and value
    return cv2.VideoCapture(config.source, cv2.CAP_V4L2, wanted)


def _hush() -> None:
    """Keep OpenCV and the FFmpeg in it from writing to stderr: what fails is said once, by us."""
    os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")  # AV_LOG_QUIET; read when the first video is opened
    cv2.setLogLevel(0)


def _grey(image: Image, config: CameraConfig) -> Grey:
    """Return the picture as (height_px, width_px) uint8."""
    small = cv2.resize(image, (config.width_px, config.height_px), interpolation=cv2.INTER_AREA)
    grey = small if small.ndim == 2 else cv2.cvtColor(small, cv2.COLOR_BGR2GRAY)
    return np.ascontiguousarray(grey, dtype=np.uint8)


def _is_candidate(path: Path) -> bool:
    return path.is_file() and not path.name.startswith(".") and path.name not in BESIDE_PICTURES


def _in_order(path: Path) -> list[tuple[int, str]]:
    """Return a sorting key under which frame_2 comes before frame_10."""
    parts = re.findall(r"\d+|\D+", path.name)
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in parts]
