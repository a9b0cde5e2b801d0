"""The door's state machine, one literal table. Floor 2.

Pure: events in, states out; an event that is not decided for a state raises and changes nothing.
It gates entry only. Exit is free mechanically and appears here as a flap that moves.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from edge.messages import REST, BoltAction, FlapCommand


class DoorState(StrEnum):
    """Where the door stands."""

    WATCHING = "watching"  # closed to entry, ready to admit
    ADMITTED = "admitted"  # open to entry, nobody has touched the flap yet
    PASSING = "passing"  # open to entry, the flap is moving: the bolt does not close on a cat
    HOLD_OFF = "hold_off"  # closed to entry after prey
    OVERRIDE = "override"  # open to entry by the button
    FAULT = "fault"  # the bolt cannot be driven; latched until the daemon is restarted


class DoorEvent(StrEnum):
    """What can happen to it."""

    ADMIT = "admit"
    PREY = "prey"
    FLAP_OPENED = "flap_opened"
    FLAP_CLOSED = "flap_closed"
    TIMEOUT = "timeout"
    BUTTON = "button"
    FAULT = "fault"


_S, _E = DoorState, DoorEvent

TABLE: dict[tuple[DoorState, DoorEvent], DoorState] = {
    (_S.WATCHING, _E.ADMIT): _S.ADMITTED,
    (_S.WATCHING, _E.PREY): _S.HOLD_OFF,
    (_S.WATCHING, _E.FLAP_OPENED): _S.WATCHING,  # somebody goes out, or pushes against the bolt
    (_S.WATCHING, _E.FLAP_CLOSED): _S.WATCHING,
    (_S.WATCHING, _E.BUTTON): _S.OVERRIDE,
    (_S.ADMITTED, _E.ADMIT): _S.ADMITTED,
    (_S.ADMITTED, _E.PREY): _S.HOLD_OFF,
    (_S.ADMITTED, _E.FLAP_OPENED): _S.PASSING,
    (_S.ADMITTED, _E.FLAP_CLOSED): _S.ADMITTED,
    (_S.ADMITTED, _E.TIMEOUT): _S.WATCHING,
    (_S.ADMITTED, _E.BUTTON): _S.OVERRIDE,
    (_S.PASSING, _E.ADMIT): _S.PASSING,
    (_S.PASSING, _E.PREY): _S.PASSING,  # too late: a bolt does not stop a cat half way through
    (_S.PASSING, _E.FLAP_OPENED): _S.PASSING,
    (_S.PASSING, _E.FLAP_CLOSED): _S.WATCHING,
    (_S.PASSING, _E.TIMEOUT): _S.PASSING,  # the coil's own cap ends it if the flap never closes
    (_S.PASSING, _E.BUTTON): _S.OVERRIDE,
    (_S.HOLD_OFF, _E.ADMIT): _S.HOLD_OFF,
    (_S.HOLD_OFF, _E.PREY): _S.HOLD_OFF,
    (_S.HOLD_OFF, _E.FLAP_OPENED): _S.HOLD_OFF,
    (_S.HOLD_OFF, _E.FLAP_CLOSED): _S.HOLD_OFF,
    (_S.HOLD_OFF, _E.TIMEOUT): _S.WATCHING,
    (_S.HOLD_OFF, _E.BUTTON): _S.OVERRIDE,
    (_S.OVERRIDE, _E.ADMIT): _S.OVERRIDE,
    (_S.OVERRIDE, _E.PREY): _S.OVERRIDE,  # the person at the button decides
    (_S.OVERRIDE, _E.FLAP_OPENED): _S.PASSING,
    (_S.OVERRIDE, _E.FLAP_CLOSED): _S.OVERRIDE,
    (_S.OVERRIDE, _E.TIMEOUT): _S.WATCHING,
    (_S.OVERRIDE, _E.BUTTON): _S.OVERRIDE,
    (_S.WATCHING, _E.FAULT): _S.FAULT,
    (_S.ADMITTED, _E.FAULT): _S.FAULT,
    (_S.PASSING, _E.FAULT): _S.FAULT,
    (_S.HOLD_OFF, _E.FAULT): _S.FAULT,
    (_S.OVERRIDE, _E.FAULT): _S.FAULT,
    (_S.FAULT, _E.ADMIT): _S.FAULT,
    (_S.FAULT, _E.PREY): _S.FAULT,
    (_S.FAULT, _E.FLAP_OPENED): _S.FAULT,
    (_S.FAULT, _E.FLAP_CLOSED): _S.FAULT,
    (_S.FAULT, _E.BUTTON): _S.FAULT,
    (_S.FAULT, _E.FAULT): _S.FAULT,
}

OPEN_STATES = frozenset({DoorState.ADMITTED, DoorState.PASSING, DoorState.OVERRIDE})


class IllegalEventError(Exception):
    """An event that has no entry in the table for the state; nothing was changed."""


@dataclass(frozen=True, slots=True)
class DoorTimes:
    """How long the states that end by themselves last, in seconds."""

    open_s: float
    hold_off_s: float


class Door:
    """One door. Time is whatever monotonic nanoseconds the caller passes."""

    def __init__(self, times: DoorTimes) -> None:
        """Start watching."""
        self._times = times
        self._state = DoorState.WATCHING
        self._until_ns: int | None = None

    @property
    def state(self) -> DoorState:
        """Where the door stands."""
        return self._state

    @property
    def open(self) -> bool:
        """Whether entry is open."""
        return self._state in OPEN_STATES

    def happen(self, event: DoorEvent, now_ns: int) -> DoorState:
        """Take an event.

        Raises:
            IllegalEventError: the table has no entry for it; nothing was changed.
        """
        after = TABLE.get((self._state, event))
        if after is None:
            raise IllegalEventError(f"{event} means nothing while {self._state}")
        if after is not self._state or event in (DoorEvent.PREY, DoorEvent.BUTTON):
            self._until_ns = self._end_of(after, now_ns)
        self._state = after
        return after

    def pass_time(self, now_ns: int) -> DoorState:
        """Let the state end by itself where its time has come."""
        if self._until_ns is not None and now_ns >= self._until_ns:
            return self.happen(DoorEvent.TIMEOUT, now_ns)
        return self._state

    def _end_of(self, state: DoorState, now_ns: int) -> int | None:
        lasting_s = {
            DoorState.ADMITTED: self._times.open_s,
            DoorState.OVERRIDE: self._times.open_s,
            DoorState.HOLD_OFF: self._times.hold_off_s,
        }.get(state)
        return None if lasting_s is None else now_ns + round(lasting_s * 1e9)


def command_for(*, entry_open: bool, lock_kind: str, lease_s: float) -> FlapCommand:
    """Translate what the door wants into what the coil does: power unlocks, or power locks."""
    wants_power = entry_open == (lock_kind == "power_to_unlock")
    return FlapCommand(BoltAction.ENERGISE, lease_s) if wants_power else REST
