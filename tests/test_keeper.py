"""The keeper: a camera that vanishes or hangs comes back."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import pairwise

import numpy as np
import pytest

from edge.adapters.clock import SimClock
from edge.errors import HardwareError
from edge.keeper import FIRST_PAUSE_S, LONGEST_PAUSE_S, CameraKeeper, ReaderKeeper
from edge.messages import Frame, Image


class Reader:
    """A chip reader that fails as often as it is told to."""

    def __init__(self, failures: int) -> None:
        """Fail this many polls, then read a chip at each."""
        self.failures = failures

    def poll(self) -> tuple[str, ...]:
        """Fail or read."""
        if self.failures:
            self.failures -= 1
            raise HardwareError("the plug is out")
        return ("276098106123456",)

    def close(self) -> None:
        """Nothing to release."""


def test_a_chip_reader_that_vanishes_comes_back() -> None:
    """A reader that fails is lost for a second, then opened anew and read."""
    time = clock()
    readers = iter([Reader(1), Reader(0)])
    keeper = ReaderKeeper(lambda: next(readers), time)
    told = [keeper.poll(), keeper.lost, keeper.poll()]
    time.wait(FIRST_PAUSE_S)
    assert ([(), True, ()], ("276098106123456",), False) == (told, keeper.poll(), keeper.lost)


def test_a_chip_reader_that_cannot_be_opened_at_start_is_an_error() -> None:
    """At start a missing reader is the owner's to know."""

    def nothing() -> Reader:
        raise HardwareError("no reader")

    with pytest.raises(HardwareError, match="no reader"):
        ReaderKeeper(nothing, clock())


class Scripted:
    """A camera that does what its script says: a frame, nothing, or a failure, one entry a call."""

    def __init__(self, script: list[str], clock: SimClock) -> None:
        """Play ``script``; when it is over there are frames for ever."""
        self._script = script
        self._clock = clock
        self.closed = 0

    def newest(self, timeout_s: float) -> Frame | None:
        """Play one entry."""
        word = self._script.pop(0) if self._script else "frame"
        if word == "gone":
            raise HardwareError("the cable was pulled")
        self._clock.wait(timeout_s)
        return Frame(0, self._clock.monotonic_ns(), np.zeros((2, 2), np.uint8)) if word == "frame" else None

    def still(self) -> Image | None:
        """Return nothing."""
        return None

    def close(self) -> None:
        """Count."""
        self.closed += 1


def clock() -> SimClock:
    """Return a clock that jumps."""
    return SimClock(datetime(2026, 1, 1, tzinfo=UTC))


def test_a_camera_that_cannot_be_opened_at_start_is_an_error() -> None:
    """At start a missing camera is the owner's to know: nothing is waited out."""

    def nothing() -> Scripted:
        raise HardwareError("no camera")

    with pytest.raises(HardwareError, match="no camera"):
        CameraKeeper(nothing, clock(), 2.0)


def test_a_camera_that_vanishes_is_closed_and_opened_again() -> None:
    """A failure becomes a state, the old handle is closed, and after the pause a new one gives frames."""
    time = clock()
    cameras = [Scripted(["gone"], time), Scripted([], time)]
    opened = iter(cameras)
    keeper = CameraKeeper(lambda: next(opened), time, 2.0)
    lost = [keeper.newest(0.2), keeper.lost, cameras[0].closed]
    while keeper.lost:
        keeper.newest(0.2)
    frame = keeper.newest(0.2)
    assert ([None, True, 1], True, True) == (lost, frame is not None, keeper.take_reopened())


def test_reopening_is_said_once() -> None:
    """That the camera was reopened is reported once, so that the background is forgotten once."""
    time = clock()
    opened = iter([Scripted(["gone"], time), Scripted([], time)])
    keeper = CameraKeeper(lambda: next(opened), time, 2.0)
    keeper.newest(0.2)
    while keeper.lost:
        keeper.newest(0.2)
    assert [True, False] == [keeper.take_reopened(), keeper.take_reopened()]


def test_a_camera_that_gives_nothing_for_hang_s_is_lost() -> None:
    """A single empty answer is not yet a hang; hang_s of them are."""
    time = clock()
    keeper = CameraKeeper(lambda: Scripted(["nothing"] * 100, time), time, 2.0)
    states = []
    for _ in range(10):
        keeper.newest(0.2)
        states.append(keeper.lost)
    assert [False] * 9 + [True] == states


def test_the_pauses_grow_to_a_limit() -> None:
    """A camera that stays away is asked again after 1, 2, 4, … seconds, never more than the limit."""
    time = clock()
    tries: list[float] = []

    def reopen() -> Scripted:
        tries.append(time.monotonic_ns() / 1e9)
        if len(tries) > 1:
            raise HardwareError("still away")
        return Scripted(["gone"], time)

    keeper = CameraKeeper(reopen, time, 2.0)
    keeper.newest(0.1)
    while len(tries) < 9:
        keeper.newest(0.1)
    pauses = [round(later - earlier) for earlier, later in pairwise(tries)]
    assert [1, 2, 4, 8, 16, 30, 30, 30] == pauses
    assert (1.0, 30.0) == (FIRST_PAUSE_S, LONGEST_PAUSE_S)
