"""Clocks: the machine's own, and a simulated one that jumps; and the zone the machine is in. Floor 5."""

from __future__ import annotations

import ctypes
import time
from datetime import UTC, datetime, timedelta, tzinfo
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from edge.errors import ConfigError
from edge.messages import BootMoment

if TYPE_CHECKING:
    from collections.abc import Callable

    from edge.ports import Clock

MACHINE_ZONE = Path("/etc/localtime")
"""Where the machine keeps its zone: localtime(5)."""

BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
"""The kernel's name for this boot, drawn at random: random(4)."""

MAX_ERROR_US = 16_000_000
"""A wall clock whose possible error has grown to this is not set; systemd's ``ntp_synced`` (time-util.c) asks the same.
The kernel starts there, and a clock that was set gets there in some nine hours without another word from the network.
"""


class _Timex(ctypes.Structure):
    """The head of the kernel's ``struct timex`` (adjtimex(2)), and more room than its tail needs."""

    _fields_ = (
        ("modes", ctypes.c_uint),
        ("offset", ctypes.c_long),
        ("freq", ctypes.c_long),
        ("maxerror_us", ctypes.c_long),
        ("tail", ctypes.c_char * 480),
    )


def machine_zone(path: Path = MACHINE_ZONE) -> tzinfo:
    """Return the zone the machine is set to; where nothing is said it is UTC, as localtime(5) has it.

    Raises:
        ConfigError: one line: the file is there, but is no time zone.
    """
    try:
        with path.open("rb") as file:
            return ZoneInfo.from_file(file, key=str(path))
    except FileNotFoundError:
        return UTC
    except (OSError, ValueError) as error:
        raise ConfigError(
            f"{path}: is no time zone: {error}; set house.timezone, or the machine's with timedatectl"
        ) from error


def zone_of(timezone: str) -> tzinfo:
    """Return the zone that ``house.timezone`` names (checked when it was read), or the machine's where it is empty.

    Raises:
        ConfigError: the machine's zone cannot be read.
    """
    return ZoneInfo(timezone) if timezone else machine_zone()


class SystemClock:
    """The machine's clock (`edge.ports.Clock`)."""

    def __init__(self, boot_id: Path = BOOT_ID) -> None:
        """Find the C library's way to ask the kernel; ``boot_id`` is where it names its boot."""
        self._adjtimex: Callable[[Any], int] = ctypes.CDLL(None).adjtimex
        self._boot_id = boot_id

    def monotonic_ns(self) -> int:
        """Return CLOCK_MONOTONIC."""
        return time.monotonic_ns()

    def wall(self) -> datetime:
        """Return the wall time in UTC."""
        return datetime.now(UTC)

    def boot(self) -> BootMoment:
        """Return CLOCK_BOOTTIME (clock_gettime(2)), which nobody sets; a boot has no name where it cannot be read."""
        try:
            boot_id = self._boot_id.read_text(encoding="ascii").strip()
        except (OSError, ValueError):
            boot_id = ""  # says so to whoever reckons with it: nothing kept in such a boot ages
        return BootMoment(boot_id, time.clock_gettime_ns(time.CLOCK_BOOTTIME))

    def synchronised(self) -> bool:
        """Return whether the kernel takes the wall clock for set: timesyncd, chrony and ntpd all tell it."""
        timex = _Timex()  # modes 0: ask only, which needs no privilege
        asked = self._adjtimex(ctypes.byref(timex)) != -1
        return asked and bool(timex.maxerror_us < MAX_ERROR_US)

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
        self._synchronised = True
        self._boots = 1
        self._booted_ns = 0

    def monotonic_ns(self) -> int:
        """Return the nanoseconds since the clock was made."""
        return self._now_ns

    def wall(self) -> datetime:
        """Return the start's wall time plus what has passed plus every step."""
        return self._wall + timedelta(microseconds=self._now_ns / 1000)

    def boot(self) -> BootMoment:
        """Return the time since the clock was made, or since the last ``reboot``."""
        return BootMoment(f"simulated boot {self._boots}", self._now_ns - self._booted_ns)

    def synchronised(self) -> bool:
        """Return what was last set with ``set_synchronised``; at first it is."""
        return self._synchronised

    def set_synchronised(self, synchronised: bool) -> None:
        """Lose, or find, the network that sets the wall clock."""
        self._synchronised = synchronised

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

    def reboot(self) -> None:
        """Boot the machine anew at this moment. Monotonic time goes on: it is the world's, which outlives a machine."""
        self._boots += 1
        self._booted_ns = self._now_ns
