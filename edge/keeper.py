"""Keeps devices open: one that vanishes or hangs is closed and reopened with back-off. Floor 2.

That a device is gone is a state here (``lost``), not an exception, because the loop goes on turning without it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from edge.errors import HardwareError, InputError

if TYPE_CHECKING:
    from collections.abc import Callable

    from edge.messages import Frame, Image
    from edge.ports import Camera, ChipReader, Clock

FIRST_PAUSE_S = 1.0
LONGEST_PAUSE_S = 30.0


class Pause:
    """How long to leave a lost device alone: 1, 2, 4 … seconds, until it works again."""

    def __init__(self, clock: Clock) -> None:
        """Begin with a device that works."""
        self._clock = clock
        self._pause_s = FIRST_PAUSE_S
        self._retry_ns = 0

    @property
    def over(self) -> bool:
        """Whether it is time to try again."""
        return self._clock.monotonic_ns() >= self._retry_ns

    def begin(self) -> None:
        """The device was lost, or is still away."""
        self._retry_ns = self._clock.monotonic_ns() + round(self._pause_s * 1e9)
        self._pause_s = min(self._pause_s * 2, LONGEST_PAUSE_S)

    def reset(self) -> None:
        """The device works."""
        self._pause_s = FIRST_PAUSE_S


class CameraKeeper:
    """A camera that comes back. ``open_camera`` opens it anew or raises HardwareError."""

    def __init__(self, open_camera: Callable[[], Camera], clock: Clock, hang_s: float) -> None:
        """Open the camera for the first time.

        Raises:
            HardwareError: it cannot be opened; at start that is the owner's to know, not to be waited out.
        """
        self._open_camera = open_camera
        self._clock = clock
        self._hang_ns = round(hang_s * 1e9)
        self._camera: Camera | None = open_camera()
        self._last_frame_ns = clock.monotonic_ns()
        self._pause = Pause(clock)
        self._why = ""
        self._reopened = False

    @property
    def lost(self) -> bool:
        """Whether there is no camera now."""
        return self._camera is None

    @property
    def why_lost(self) -> str:
        """The last failure, one sentence; empty before the first."""
        return self._why

    def take_reopened(self) -> bool:
        """Say once after each reopening that what was learnt of the old pictures is void."""
        reopened, self._reopened = self._reopened, False
        return reopened

    def newest(self, timeout_s: float, *, may_reopen: bool = True) -> Frame | None:
        """Return the newest frame, or None when there is none within ``timeout_s`` or no camera.

        Opening a network camera can take seconds: ``may_reopen`` is False while the loop must not stand still.

        Raises:
            EOFError: a recorded source has ended.
        """
        if self._camera is None:
            self._clock.wait(timeout_s)
            if may_reopen and self._pause.over:
                self._reopen()
            return None
        try:
            frame = self._camera.newest(timeout_s)
        except HardwareError as error:
            self._lose(str(error))
            return None
        self._notice(frame)
        return frame

    def still(self) -> Image | None:
        """Return the large picture of the last frame, or None."""
        if self._camera is None:
            return None
        try:
            return self._camera.still()
        except HardwareError as error:
            self._lose(str(error))
            return None

    def close(self) -> None:
        """Release the camera; may be called twice."""
        if self._camera is not None:
            self._camera.close()
            self._camera = None

    def _notice(self, frame: Frame | None) -> None:
        now_ns = self._clock.monotonic_ns()
        if frame is not None:
            self._last_frame_ns = now_ns
            self._pause.reset()
        elif now_ns - self._last_frame_ns >= self._hang_ns:
            self._lose(f"the camera gave no frame for {self._hang_ns / 1e9:g} s")

    def _lose(self, why: str) -> None:
        self.close()
        self._why = why
        self._pause.begin()

    def _reopen(self) -> None:
        try:
            self._camera = self._open_camera()
        except (HardwareError, InputError) as error:
            self._lose(str(error))
            return
        self._last_frame_ns = self._clock.monotonic_ns()
        self._reopened = True


class ReaderKeeper:
    """A chip reader that comes back. ``open_reader`` opens it anew or raises HardwareError."""

    def __init__(self, open_reader: Callable[[], ChipReader], clock: Clock) -> None:
        """Open the reader for the first time.

        Raises:
            HardwareError: it cannot be opened; at start that is the owner's to know.
        """
        self._open_reader = open_reader
        self._reader: ChipReader | None = open_reader()
        self._pause = Pause(clock)
        self._why = ""

    @property
    def lost(self) -> bool:
        """Whether there is no reader now."""
        return self._reader is None

    @property
    def why_lost(self) -> str:
        """The last failure, one sentence; empty before the first."""
        return self._why

    def poll(self) -> tuple[str, ...]:
        """Return the chips read since the last call; none while the reader is lost."""
        if self._reader is None and not self._pause.over:
            return ()
        try:
            if self._reader is None:
                self._reader = self._open_reader()
            chips = self._reader.poll()
        except HardwareError as error:
            self._why = str(error)
            self._pause.begin()
            self.close()
            return ()
        self._pause.reset()
        return chips

    def close(self) -> None:
        """Release the reader; may be called twice."""
        if self._reader is not None:
            self._reader.close()
            self._reader = None
