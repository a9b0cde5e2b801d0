"""Bolt and flap as things: a coil with a lease, a bolt that takes its time, a panel that swings and falls back."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from edge.messages import BoltAction, FlapCommand

if TYPE_CHECKING:
    from collections.abc import Sequence

REED_RAD = 0.12  # the reed switch opens when the panel hangs this far from straight
AJAR_RAD = 0.3  # from here on the panel is past the bolt: whoever is there can slip through
_PUSHED_RAD = 1.05
_RATTLE_RAD = 0.05
_OPENING_S = 0.15
_FALLING_S = 0.3


class Bolt:
    """The coil and the bolt it moves. All times are monotonic nanoseconds of the world's clock.

    The button's second contact lies beside the transistor (power unlocks) or in the coil's line (power locks), and the
    key draws the bolt back by hand: both open whatever anybody commands. They do not show on the pin, ``powered``.
    """

    def __init__(self, kind: str, delay_s: float) -> None:
        """Start without power; ``kind`` is the owner's ``lock.kind``."""
        self.power_unlocks = kind == "power_to_unlock"
        self.powered = False
        self.openings = 0
        self.total_s = 0.0
        self.longest_s = 0.0
        self._drawn = not self.power_unlocks
        self._delay_ns = round(delay_s * 1e9)
        self._lease_end_ns = 0
        self._moves_ns: int | None = None
        self._on_since_ns: int | None = None
        self._pressed = self._keyed = self._stuck = False

    @property
    def open(self) -> bool:
        """Whether it stands back from the panel."""
        return self._drawn or self._keyed

    @property
    def current(self) -> bool:
        """Whether current flows through the coil: by the pin's command, or by the button's own contact."""
        return self.powered or self._pressed if self.power_unlocks else self.powered and not self._pressed

    def apply(self, command: FlapCommand, now_ns: int) -> None:
        """Take a command; power ends by itself when the lease is not renewed."""
        self.settle(now_ns)
        powered = command.action is BoltAction.ENERGISE and command.lease_s > 0
        if powered:
            self._lease_end_ns = now_ns + round(command.lease_s * 1e9)
        self._switch(powered=powered, at_ns=now_ns)

    def handle(self, *, pressed: bool, keyed: bool, stuck: bool, now_ns: int) -> None:
        """Say who has a hand on it: at the button, at the key; or that it sticks where it is."""
        self.settle(now_ns)
        self._keyed, self._stuck = keyed, stuck
        if pressed != self._pressed:
            before, self._pressed = self.current, pressed
            self._follow(before, now_ns)

    def settle(self, now_ns: int) -> None:
        """Let happen what was due by now: the lease's end, and the bolt's own movement."""
        if self.powered and now_ns >= self._lease_end_ns:
            self._move(self._lease_end_ns)
            self._switch(powered=False, at_ns=self._lease_end_ns)
        self._move(now_ns)

    def _switch(self, *, powered: bool, at_ns: int) -> None:
        before, self.powered = self.current, powered
        self._follow(before, at_ns)

    def _follow(self, before: bool, at_ns: int) -> None:
        """Set the bolt moving where the coil's current has changed, and count how long it flowed."""
        if self.current == before:
            return
        if self.current:
            self._on_since_ns = at_ns
        elif self._on_since_ns is not None:
            on_s = (at_ns - self._on_since_ns) / 1e9
            self.total_s, self.longest_s = self.total_s + on_s, max(self.longest_s, on_s)
            self._on_since_ns = None
        wants_open = self.current == self.power_unlocks
        self._moves_ns = at_ns + self._delay_ns if wants_open != self._drawn else None

    def _move(self, now_ns: int) -> None:
        if self._moves_ns is None or now_ns < self._moves_ns or self._stuck:
            return
        self._moves_ns = None
        self._drawn = not self._drawn
        self.openings += self._drawn


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


def gives_way(bolts: Sequence[Bolt], panel: Panel, *, inwards: bool) -> bool:
    """Return whether the panel gives way to a push.

    Every bolt stands behind the panel's edge on the house's side: it stops a swing inwards and nothing else. A panel
    that is past the bolts already is stopped by none of them, and one that falls back rides over their bevel.
    """
    return not inwards or panel.ajar or all(bolt.open for bolt in bolts)
