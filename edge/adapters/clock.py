"""Clocks: the machine's own, and a simulated one that jumps. Floor 5."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from edge.ports import Clock


class SystemClock:
    """The machine's clock (`edge.ports.Clock`)."""

    def monotonic_ns(self) -> int:
        """Return CLOCK_MONOTONIC."""
        return time.monotonic_ns()

    def wall(self) -> datetime:
        """Return the wall time in UTC."""
        return datetime.now(UTC)

    def wait(self, seconds: float) -> None:
        """Sleep."""
        time.sleep(seconds)


class SimClock:
    """A clock that stands still until it is told to go on (`edge.ports.Clock`).

    With a ``speed`` it also keeps real time: ``speed`` simulated seconds take one real second, counted from the first
    move, so that the time a frame takes to draw is part of the wait and not added to it.
    """

    def __init__(self, start_wall: datetime, speed: float | None = None, real: Clock | None = None) -> None:
        """Start at a wall time in UTC and at zero.

        Args:
            start_wall: the wall time to begin with.
            speed: simulated seconds per real second; None: as fast as the machine can.
            real: the clock to keep pace with; None: the machine's.
        """
        self._wall = start_wall.astimezone(UTC)
        self._now_ns = 0
        self._speed = speed
        self._real = real or SystemClock()
        self._real_start_ns: int | None = None

    def monotonic_ns(self) -> int:
        """Return the nanoseconds since the clock was made."""
        return self._now_ns

    def wall(self) -> datetime:
        """Return the start's wall time plus what has passed plus every step."""
        return self._wall + timedelta(microseconds=self._now_ns / 1000)

    def wait(self, seconds: float) -> None:
        """Jump."""
        self.advance(seconds)

    def advance(self, seconds: float) -> None:
        """Let ``seconds`` (not negative) pass."""
        if seconds < 0:
            raise ValueError(f"time does not run backwards: {seconds} s")
        if self._real_start_ns is None:
            self._real_start_ns = self._real.monotonic_ns()
        self._now_ns += round(seconds * 1e9)
        if self._speed is not None:
            ahead_ns = self._real_start_ns + self._now_ns / self._speed - self._real.monotonic_ns()
            if ahead_ns > 0:
                self._real.wait(ahead_ns / 1e9)

    def step_wall(self, seconds: float) -> None:
        """Set the wall time forward, or back, as NTP or a person does; monotonic time knows nothing of it."""
        self._wall += timedelta(seconds=seconds)
