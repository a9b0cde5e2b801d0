"""Bolt and flap as things: a coil with a lease, a bolt that takes its time, a panel that swings and falls back."""

from __future__ import annotations

import math

from edge.messages import BoltAction, FlapCommand

REED_RAD = 0.12  # the reed switch opens when the panel hangs this far from straight
AJAR_RAD = 0.3  # from here on the panel is past the bolt: whoever is there can slip through
_PUSHED_RAD = 1.05
_RATTLE_RAD = 0.05
_OPENING_S = 0.15
_FALLING_S = 0.3


class Bolt:
    """The coil and the bolt it moves. All times are monotonic nanoseconds of the world's clock."""

    def __init__(self, kind: str, delay_s: float) -> None:
        """Start without power; ``kind`` is the owner's ``lock.kind``."""
        self.power_unlocks = kind == "power_to_unlock"
        self.powered = False
        self.open = not self.power_unlocks
        self.openings = 0
        self._delay_ns = round(delay_s * 1e9)
        self._lease_end_ns = 0
        self._moves_ns: int | None = None

    def apply(self, command: FlapCommand, now_ns: int) -> None:
        """Take a command; power ends by itself when the lease is not renewed."""
        self.settle(now_ns)
        if command.action is BoltAction.ENERGISE:
            self._lease_end_ns = now_ns + round(command.lease_s * 1e9)
        self._switch(powered=command.action is BoltAction.ENERGISE, at_ns=now_ns)

    def settle(self, now_ns: int) -> None:
        """Let happen what was due by now: the lease's end, and the bolt's own movement."""
        if self.powered and now_ns >= self._lease_end_ns:
            self._move(self._lease_end_ns)
            self._switch(powered=False, at_ns=self._lease_end_ns)
        self._move(now_ns)

    def _switch(self, *, powered: bool, at_ns: int) -> None:
        if powered == self.powered:
            return
        self.powered = powered
        wants_open = powered == self.power_unlocks
        self._moves_ns = at_ns + self._delay_ns if wants_open != self.open else None

    def _move(self, now_ns: int) -> None:
        if self._moves_ns is None or now_ns < self._moves_ns:
            return
        self._moves_ns = None
        self.open = not self.open
        self.openings += self.open


class Panel:
    """The flap's panel. ``angle_rad`` is positive inwards; it follows whoever pushes, and falls back."""

    def __init__(self) -> None:
        """Start hanging straight."""
        self.angle_rad = 0.0
        self._goal_rad = 0.0

    @property
    def reed_open(self) -> bool:
        """Whether the reed switch sees the panel away from straight."""
        return abs(self.angle_rad) > REED_RAD

    @property
    def ajar(self) -> bool:
        """Whether the panel is so far open that the bolt cannot stop anybody."""
        return abs(self.angle_rad) > AJAR_RAD

    def push(self, inwards: bool) -> None:
        """Hold it open for this step."""
        self._goal_rad = _PUSHED_RAD if inwards else -_PUSHED_RAD

    def rattle(self) -> None:
        """Bump it against the bolt for this step."""
        self._goal_rad = _RATTLE_RAD

    def swing(self, seconds: float) -> None:
        """Let a step pass."""
        pace_s = _OPENING_S if self._goal_rad else _FALLING_S
        self.angle_rad += (self._goal_rad - self.angle_rad) * (1 - math.exp(-seconds / pace_s))
        if not self._goal_rad and abs(self.angle_rad) < 0.01:
            self.angle_rad = 0.0
        self._goal_rad = 0.0
