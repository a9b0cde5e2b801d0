"""The door's state machine and the orders to the bolt, as literal tables. Floor 2.

Pure: events in, states and orders out. An event that a state has no use for is written down as ``ILLEGAL``: it raises
and changes nothing. Two tables are the whole of it: ``TABLE`` says for every state what is wished of the bolt, how long
it lasts and where every event leads; ``ORDERS`` says what the bolt is told, given that wish, where the bolt is and what
the reed switch says of the flap. One line of ``ORDERS`` keeps the bolt off a cat, in every state there is.

It gates entry only. Exit is free mechanically and appears here as a flap that moves.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, StrEnum
from typing import TYPE_CHECKING, TypeAlias

from edge.messages import REST, BoltAction, FlapCommand

if TYPE_CHECKING:
    from collections.abc import Mapping


class DoorState(StrEnum):
    """Where the door stands."""

    WATCHING = "watching"  # closed to entry, ready to admit
    ADMITTED = "admitted"  # open to entry under a lease, nobody has touched the flap yet
    PASSING = "passing"  # open to entry, the flap has moved: no time and no verdict ends it
    HOLD_OFF = "hold_off"  # closed to entry after prey
    BLIND = "blind"  # closed to entry: nothing can be seen, so that nothing can be evidence
    OVERRIDE = "override"  # open to entry by the button or by the owner's word
    CURFEW = "curfew"  # closed to entry by the house's hours, but for whom the house lets through
    LOCKED = "locked"  # closed to entry for everybody: the panic lock, or a mode in which nobody comes in
    FAULT = "fault"  # the bolt does not do what it is told; latched until somebody clears it


class DoorEvent(StrEnum):
    """What can happen to it."""

    ADMIT = "admit"  # positive evidence: a resident with an empty mouth
    ADMIT_UNSEEN = "admit_unseen"  # no evidence, but the owner's on_blind lets this visit in
    GRANTED = "granted"  # positive evidence, and the house lets this one through its curfew
    PREY = "prey"
    BLINDED = "blinded"
    SEEING = "seeing"
    FLAP_OPENED = "flap_opened"
    FLAP_CLOSED = "flap_closed"
    TIMEOUT = "timeout"
    SPENT = "spent"  # cap or heat took the coil's power while the flap stood open
    OVERRIDE = "override"
    CURFEW_BEGAN = "curfew_began"
    CURFEW_ENDED = "curfew_ended"
    LOCKED = "locked"
    UNLOCKED = "unlocked"
    FAULT = "fault"
    CLEAR = "clear"


class Illegal(Enum):
    """The only value that says: this event means nothing in this state."""

    ILLEGAL = "illegal"


ILLEGAL = Illegal.ILLEGAL
Next: TypeAlias = DoorState | Illegal


class Wish(StrEnum):
    """What a state wishes of the bolt."""

    OPEN = "open"
    SHUT = "shut"
    REST = "rest"  # no power, whatever that means for this lock


class Lasting(StrEnum):
    """By whose time a state ends by itself."""

    OPEN_S = "open_s"
    HOLD_OFF_S = "hold_off_s"


@dataclass(frozen=True, slots=True)
class Row:
    """One state: what is wished of the bolt, what ends it by itself, and where each event leads."""

    wish: Wish
    lasts: Lasting | None
    on: Mapping[DoorEvent, Next]


_S, _E = DoorState, DoorEvent

TABLE: dict[DoorState, Row] = {
    _S.WATCHING: Row(
        wish=Wish.SHUT,
        lasts=None,
        on={
            _E.ADMIT: _S.ADMITTED,
            _E.ADMIT_UNSEEN: ILLEGAL,
            _E.GRANTED: ILLEGAL,
            _E.PREY: _S.HOLD_OFF,
            _E.BLINDED: _S.BLIND,
            _E.SEEING: ILLEGAL,
            _E.FLAP_OPENED: _S.WATCHING,  # somebody goes out, or pushes against the bolt
            _E.FLAP_CLOSED: _S.WATCHING,
            _E.TIMEOUT: ILLEGAL,
            _E.SPENT: ILLEGAL,
            _E.OVERRIDE: _S.OVERRIDE,
            _E.CURFEW_BEGAN: _S.CURFEW,
            _E.CURFEW_ENDED: ILLEGAL,
            _E.LOCKED: _S.LOCKED,
            _E.UNLOCKED: ILLEGAL,
            _E.FAULT: _S.FAULT,
            _E.CLEAR: ILLEGAL,
        },
    ),
    _S.ADMITTED: Row(
        wish=Wish.OPEN,
        lasts=Lasting.OPEN_S,
        on={
            _E.ADMIT: _S.ADMITTED,
            _E.ADMIT_UNSEEN: ILLEGAL,
            _E.GRANTED: ILLEGAL,
            _E.PREY: _S.HOLD_OFF,
            _E.BLINDED: ILLEGAL,
            _E.SEEING: ILLEGAL,
            _E.FLAP_OPENED: _S.PASSING,
            _E.FLAP_CLOSED: _S.ADMITTED,  # somebody was on the way out when this one was admitted
            _E.TIMEOUT: _S.WATCHING,
            _E.SPENT: ILLEGAL,
            _E.OVERRIDE: _S.OVERRIDE,
            _E.CURFEW_BEGAN: _S.ADMITTED,  # let in before it began
            _E.CURFEW_ENDED: ILLEGAL,
            _E.LOCKED: _S.LOCKED,
            _E.UNLOCKED: ILLEGAL,
            _E.FAULT: _S.FAULT,
            _E.CLEAR: ILLEGAL,
        },
    ),
    _S.PASSING: Row(
        wish=Wish.OPEN,
        lasts=None,  # the flap ends it, or the coil's cap where the flap never closes
        on={
            _E.ADMIT: _S.PASSING,
            _E.ADMIT_UNSEEN: ILLEGAL,
            _E.GRANTED: ILLEGAL,
            _E.PREY: _S.PASSING,  # too late for this cat, but the hold-off begins
            _E.BLINDED: ILLEGAL,
            _E.SEEING: ILLEGAL,
            _E.FLAP_OPENED: _S.PASSING,
            _E.FLAP_CLOSED: _S.HOLD_OFF,  # what is left of one: none, as a rule, and then it is over at once
            _E.TIMEOUT: ILLEGAL,
            _E.SPENT: _S.HOLD_OFF,  # it does not open again for a flap that never closes
            _E.OVERRIDE: _S.OVERRIDE,
            _E.CURFEW_BEGAN: _S.PASSING,
            _E.CURFEW_ENDED: ILLEGAL,
            _E.LOCKED: _S.LOCKED,  # the bolt waits for the flap: see ORDERS
            _E.UNLOCKED: ILLEGAL,
            _E.FAULT: _S.FAULT,  # as above
            _E.CLEAR: ILLEGAL,
        },
    ),
    _S.HOLD_OFF: Row(
        wish=Wish.SHUT,
        lasts=Lasting.HOLD_OFF_S,
        on={
            _E.ADMIT: _S.HOLD_OFF,
            _E.ADMIT_UNSEEN: ILLEGAL,
            _E.GRANTED: ILLEGAL,
            _E.PREY: _S.HOLD_OFF,
            _E.BLINDED: ILLEGAL,
            _E.SEEING: ILLEGAL,
            _E.FLAP_OPENED: _S.HOLD_OFF,
            _E.FLAP_CLOSED: _S.HOLD_OFF,
            _E.TIMEOUT: _S.WATCHING,
            _E.SPENT: ILLEGAL,
            _E.OVERRIDE: _S.OVERRIDE,
            _E.CURFEW_BEGAN: _S.CURFEW,
            _E.CURFEW_ENDED: ILLEGAL,
            _E.LOCKED: _S.LOCKED,
            _E.UNLOCKED: ILLEGAL,
            _E.FAULT: _S.FAULT,
            _E.CLEAR: ILLEGAL,
        },
    ),
    _S.BLIND: Row(
        wish=Wish.SHUT,
        lasts=None,
        on={
            _E.ADMIT: _S.ADMITTED,  # seen well enough before it was blinded; the chip came late
            _E.ADMIT_UNSEEN: _S.ADMITTED,
            _E.GRANTED: ILLEGAL,
            _E.PREY: _S.HOLD_OFF,
            _E.BLINDED: ILLEGAL,
            _E.SEEING: _S.WATCHING,
            _E.FLAP_OPENED: _S.BLIND,
            _E.FLAP_CLOSED: _S.BLIND,
            _E.TIMEOUT: ILLEGAL,
            _E.SPENT: ILLEGAL,
            _E.OVERRIDE: _S.OVERRIDE,
            _E.CURFEW_BEGAN: _S.CURFEW,
            _E.CURFEW_ENDED: ILLEGAL,
            _E.LOCKED: _S.LOCKED,
            _E.UNLOCKED: ILLEGAL,
            _E.FAULT: _S.FAULT,
            _E.CLEAR: ILLEGAL,
        },
    ),
    _S.OVERRIDE: Row(
        wish=Wish.OPEN,
        lasts=Lasting.OPEN_S,
        on={
            _E.ADMIT: _S.OVERRIDE,
            _E.ADMIT_UNSEEN: ILLEGAL,
            _E.GRANTED: ILLEGAL,
            _E.PREY: _S.OVERRIDE,  # the person at the button decides; the next one is held off
            _E.BLINDED: ILLEGAL,
            _E.SEEING: ILLEGAL,
            _E.FLAP_OPENED: _S.PASSING,
            _E.FLAP_CLOSED: _S.OVERRIDE,
            _E.TIMEOUT: _S.HOLD_OFF,  # what is left of one
            _E.SPENT: ILLEGAL,
            _E.OVERRIDE: _S.OVERRIDE,
            _E.CURFEW_BEGAN: _S.OVERRIDE,
            _E.CURFEW_ENDED: ILLEGAL,
            _E.LOCKED: _S.LOCKED,
            _E.UNLOCKED: ILLEGAL,
            _E.FAULT: _S.FAULT,
            _E.CLEAR: ILLEGAL,
        },
    ),
    _S.CURFEW: Row(
        wish=Wish.SHUT,
        lasts=None,
        on={
            _E.ADMIT: _S.CURFEW,
            _E.ADMIT_UNSEEN: ILLEGAL,
            _E.GRANTED: _S.ADMITTED,
            _E.PREY: _S.CURFEW,
            _E.BLINDED: ILLEGAL,
            _E.SEEING: ILLEGAL,
            _E.FLAP_OPENED: _S.CURFEW,
            _E.FLAP_CLOSED: _S.CURFEW,
            _E.TIMEOUT: ILLEGAL,
            _E.SPENT: ILLEGAL,
            _E.OVERRIDE: _S.OVERRIDE,
            _E.CURFEW_BEGAN: ILLEGAL,
            _E.CURFEW_ENDED: _S.HOLD_OFF,  # what is left of one
            _E.LOCKED: _S.LOCKED,
            _E.UNLOCKED: ILLEGAL,
            _E.FAULT: _S.FAULT,
            _E.CLEAR: ILLEGAL,
        },
    ),
    _S.LOCKED: Row(
        wish=Wish.SHUT,
        lasts=None,
        on={
            _E.ADMIT: _S.LOCKED,
            _E.ADMIT_UNSEEN: ILLEGAL,
            _E.GRANTED: ILLEGAL,
            _E.PREY: _S.LOCKED,
            _E.BLINDED: ILLEGAL,
            _E.SEEING: ILLEGAL,
            _E.FLAP_OPENED: _S.LOCKED,
            _E.FLAP_CLOSED: _S.LOCKED,
            _E.TIMEOUT: ILLEGAL,
            _E.SPENT: ILLEGAL,
            _E.OVERRIDE: _S.OVERRIDE,
            _E.CURFEW_BEGAN: ILLEGAL,
            _E.CURFEW_ENDED: ILLEGAL,
            _E.LOCKED: ILLEGAL,
            _E.UNLOCKED: _S.HOLD_OFF,  # what is left of one
            _E.FAULT: _S.FAULT,
            _E.CLEAR: ILLEGAL,
        },
    ),
    _S.FAULT: Row(
        wish=Wish.REST,
        lasts=None,
        on={
            _E.ADMIT: _S.FAULT,
            _E.ADMIT_UNSEEN: ILLEGAL,
            _E.GRANTED: ILLEGAL,
            _E.PREY: _S.FAULT,
            _E.BLINDED: ILLEGAL,
            _E.SEEING: ILLEGAL,
            _E.FLAP_OPENED: _S.FAULT,
            _E.FLAP_CLOSED: _S.FAULT,
            _E.TIMEOUT: ILLEGAL,
            _E.SPENT: ILLEGAL,
            _E.OVERRIDE: _S.FAULT,  # the button's own wire to the coil still works: docs/door.md
            _E.CURFEW_BEGAN: ILLEGAL,
            _E.CURFEW_ENDED: ILLEGAL,
            _E.LOCKED: _S.FAULT,
            _E.UNLOCKED: ILLEGAL,
            _E.FAULT: _S.FAULT,
            _E.CLEAR: _S.HOLD_OFF,  # what is left of one
        },
    ),
}


class IllegalEventError(Exception):
    """An event that the table calls illegal for the state; nothing was changed."""


class Closure(StrEnum):
    """For whom the house's rules close the door just now."""

    CURFEW = "curfew"  # for all but those whom the house lets through
    LOCKED = "locked"  # for everybody


OPEN_STATES = frozenset(state for state, row in TABLE.items() if row.wish is Wish.OPEN)

CLOSED_STATES = frozenset({DoorState.CURFEW, DoorState.LOCKED, DoorState.FAULT})
"""States in which nobody comes in whatever is seen, but for those whom the house's rules let through a curfew."""

_READY = frozenset({DoorState.WATCHING, DoorState.BLIND, DoorState.HOLD_OFF})
"""States that a standing closure takes over whenever they are come by: whatever was stronger has ended."""


@dataclass(frozen=True, slots=True)
class DoorTimes:
    """How long the states that end by themselves last, in seconds."""

    open_s: float
    hold_off_s: float


class Door:
    """One door. Time is whatever monotonic nanoseconds the caller passes.

    A hold-off is a moment that is remembered through every other state: whichever of them gives way to ``HOLD_OFF``
    gives way to what is left of it, and ``HOLD_OFF`` with nothing left ends within the same event.
    """

    def __init__(self, times: DoorTimes) -> None:
        """Start watching."""
        self._times = times
        self._state = DoorState.WATCHING
        self._until_ns: int | None = None
        self._hold_off_until_ns: int | None = None

    @property
    def state(self) -> DoorState:
        """Where the door stands."""
        return self._state

    @property
    def wish(self) -> Wish:
        """What is wished of the bolt."""
        return TABLE[self._state].wish

    @property
    def open(self) -> bool:
        """Whether the door wishes entry open."""
        return self.wish is Wish.OPEN

    def happen(self, event: DoorEvent, now_ns: int) -> DoorState:
        """Take an event, and at once what follows from it where a time has run out already.

        Raises:
            IllegalEventError: the table calls it illegal; nothing was changed.
        """
        after = TABLE[self._state].on[event]
        if isinstance(after, Illegal):
            raise IllegalEventError(f"{event} means nothing while {self._state}")
        self._remember_hold_off(event, now_ns)
        if after is not self._state or event is DoorEvent.OVERRIDE or after is DoorState.HOLD_OFF:
            self._until_ns = self._end_of(after, now_ns)
        self._state = after
        return self.pass_time(now_ns)

    def pass_time(self, now_ns: int) -> DoorState:
        """Let the state end by itself where its time has come."""
        if self._until_ns is not None and now_ns >= self._until_ns:
            return self.happen(DoorEvent.TIMEOUT, now_ns)
        return self._state

    def heed(self, closure: Closure | None, now_ns: int, *, said: bool = False) -> DoorState:
        """Follow what the house's rules say now, told at every tick; what a stronger state hid is told again after it.

        A lock that was ``said`` since the last tick ends what is open. One that stands, or counts again because a grant
        is used up or over, waits for it: an override pressed while it is locked is obeyed, and the lock again after.
        """
        if self._state is DoorState.LOCKED and closure is not Closure.LOCKED:
            self.happen(DoorEvent.UNLOCKED, now_ns)
        if self._state is DoorState.CURFEW and closure is None:
            self.happen(DoorEvent.CURFEW_ENDED, now_ns)
        if closure is Closure.LOCKED and self._locks(said=said):
            return self.happen(DoorEvent.LOCKED, now_ns)
        if closure is Closure.CURFEW and self._state in _READY:
            return self.happen(DoorEvent.CURFEW_BEGAN, now_ns)
        return self._state

    def _locks(self, *, said: bool) -> bool:
        return self._state in (_READY | {DoorState.CURFEW}) or (said and self.open)

    def _remember_hold_off(self, event: DoorEvent, now_ns: int) -> None:
        """Prey holds off whatever the state; the person at the button ends it."""
        if event is DoorEvent.PREY:
            self._hold_off_until_ns = now_ns + round(self._times.hold_off_s * 1e9)
        elif event is DoorEvent.OVERRIDE and self._state is not DoorState.FAULT:
            self._hold_off_until_ns = None

    def _end_of(self, state: DoorState, now_ns: int) -> int | None:
        lasts = TABLE[state].lasts
        if lasts is Lasting.OPEN_S:
            return now_ns + round(self._times.open_s * 1e9)
        if lasts is Lasting.HOLD_OFF_S:
            return now_ns if self._hold_off_until_ns is None else self._hold_off_until_ns
        return None


# --- what the bolt is told ----------------------------------------------------------------------------------------


class Bolt(StrEnum):
    """Where the bolt is ordered to be."""

    OPEN = "open"
    SHUT = "shut"


class FlapSeen(StrEnum):
    """What the reed switch says of the flap."""

    STRAIGHT = "straight"
    OPEN = "open"
    UNKNOWN = "unknown"  # no reed switch is wired


ORDERS: dict[tuple[Bolt, Bolt, FlapSeen], Bolt] = {
    # wished, ordered so far, flap: order
    (Bolt.OPEN, Bolt.OPEN, FlapSeen.STRAIGHT): Bolt.OPEN,
    (Bolt.OPEN, Bolt.OPEN, FlapSeen.OPEN): Bolt.OPEN,
    (Bolt.OPEN, Bolt.OPEN, FlapSeen.UNKNOWN): Bolt.OPEN,
    (Bolt.OPEN, Bolt.SHUT, FlapSeen.STRAIGHT): Bolt.OPEN,
    (Bolt.OPEN, Bolt.SHUT, FlapSeen.OPEN): Bolt.OPEN,
    (Bolt.OPEN, Bolt.SHUT, FlapSeen.UNKNOWN): Bolt.OPEN,
    (Bolt.SHUT, Bolt.OPEN, FlapSeen.STRAIGHT): Bolt.SHUT,
    (Bolt.SHUT, Bolt.OPEN, FlapSeen.OPEN): Bolt.OPEN,  # never on a cat: it waits for the flap
    (Bolt.SHUT, Bolt.OPEN, FlapSeen.UNKNOWN): Bolt.SHUT,  # nobody can know
    (Bolt.SHUT, Bolt.SHUT, FlapSeen.STRAIGHT): Bolt.SHUT,
    (Bolt.SHUT, Bolt.SHUT, FlapSeen.OPEN): Bolt.SHUT,  # somebody goes out past a bolt that is shut
    (Bolt.SHUT, Bolt.SHUT, FlapSeen.UNKNOWN): Bolt.SHUT,
}

AT_REST: dict[str, Bolt] = {"power_to_unlock": Bolt.SHUT, "power_to_lock": Bolt.OPEN}
"""Where the bolt is without power, by ``lock.kind``."""

_WISHED: dict[Wish, Bolt] = {Wish.OPEN: Bolt.OPEN, Wish.SHUT: Bolt.SHUT}


def bolt_of(*, powered: bool, lock_kind: str) -> Bolt:
    """Return where a coil's power puts the bolt."""
    at_rest = AT_REST[lock_kind]
    if not powered:
        return at_rest
    return Bolt.SHUT if at_rest is Bolt.OPEN else Bolt.OPEN


def order_for(wish: Wish, ordered: Bolt, flap: FlapSeen, lock_kind: str) -> Bolt:
    """Return what the bolt is told: the wish, unless it would close the bolt on a flap that is seen open."""
    return ORDERS[_WISHED.get(wish, AT_REST[lock_kind]), ordered, flap]


def command_for(order: Bolt, lock_kind: str, lease_s: float) -> FlapCommand:
    """Translate an order to the bolt into what the coil does: power unlocks, or power locks."""
    return REST if order is AT_REST[lock_kind] else FlapCommand(BoltAction.ENERGISE, lease_s)
