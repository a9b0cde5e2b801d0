"""The one place where the wall clock becomes local time, and whether it is to be believed. Floor 2.

A Pi has no battery-backed clock (a Pi 5 has one, but no battery): it starts with the time at which it lost power, or
with 1970, and the network puts that right minutes later, hours later, or never. What is asked here is asked of the UTC
clock, so a change to daylight saving time is no step.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

from edge.hours import Moment

if TYPE_CHECKING:
    from datetime import datetime, tzinfo

BUILT_IN = 2026
"""The year this was written: a wall clock before it is wrong."""

STEP_S = 60.0
"""Wall and monotonic time may drift apart by this much between two looks; more is a clock that was set."""

SETTLE_S = 120.0
"""A clock that was set is believed when it has run on for this long: one that is set again and again never is."""


class Trust(StrEnum):
    """Whether the wall clock is to be believed, and if not, why."""

    GOOD = "good"
    UNSET = "unset"  # it says that this was not written yet
    UNSYNCHRONISED = "unsynchronised"  # nobody who knows the time has set it since the start, or since it was stepped
    STEPPED = "stepped"  # it was set a moment ago


class WallWatch:
    """Watches the wall clock against the monotonic one. Ask it at every tick.

    A clock that was synchronised once stays good without the network: a Pi's drifts by seconds a day. Being stepped
    takes that away, until it is synchronised again.
    """

    def __init__(self, zone: tzinfo) -> None:
        """Begin with a clock that nobody has looked at; ``zone`` is where the flap is."""
        self._zone = zone
        self._last: tuple[datetime, int] | None = None
        self._stepped_ns: int | None = None
        self._set = False
        self._trust = Trust.UNSYNCHRONISED

    @property
    def trust(self) -> Trust:
        """Whether the clock was to be believed at the last look."""
        return self._trust

    def look(self, wall: datetime, now_ns: int, *, synchronised: bool) -> Moment:
        """Return this moment.

        Args:
            wall: the wall time in UTC.
            now_ns: the monotonic time.
            synchronised: whether the machine says that its wall clock is set (`edge.ports.Clock.synchronised`).
        """
        if self._last is not None and self._is_step(self._last, wall, now_ns):
            self._stepped_ns, self._set = now_ns, False
        self._last = (wall, now_ns)
        self._set = self._set or synchronised
        self._trust = self._judged(wall, now_ns)
        return Moment(wall.astimezone(self._zone), self._trust is Trust.GOOD, now_ns)

    @staticmethod
    def _is_step(last: tuple[datetime, int], wall: datetime, now_ns: int) -> bool:
        wall_before, before_ns = last
        return abs((wall - wall_before).total_seconds() - (now_ns - before_ns) / 1e9) > STEP_S

    def _judged(self, wall: datetime, now_ns: int) -> Trust:
        if wall.year < BUILT_IN:
            return Trust.UNSET
        if not self._set:
            return Trust.UNSYNCHRONISED
        settling = self._stepped_ns is not None and now_ns - self._stepped_ns < SETTLE_S * 1e9
        return Trust.STEPPED if settling else Trust.GOOD
