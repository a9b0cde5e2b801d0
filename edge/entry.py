"""The door's part of a tick: pins, rules and verdicts become events, and the coil gets one command. Floor 3.

``Door`` knows what is wished, ``ORDERS`` what may be ordered, ``CoilGuard`` what the coil may do; this is where they
meet, and where a bolt or a flap that does something else is noticed. Nothing here looks at pictures.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from edge.coil import CoilRefusal
from edge.door import Bolt, DoorEvent, DoorState, FlapSeen, Wish, bolt_of, command_for, order_for
from edge.errors import HardwareError, RefusedError
from edge.messages import ALARMS, BoltAction
from edge.opening import BoltWatch, Look, OpeningWatch

if TYPE_CHECKING:
    from edge.coil import CoilGuard
    from edge.door import Closure, Door
    from edge.messages import SensorReading
    from edge.ports import Flap, Indicator, Record


@dataclass(frozen=True, slots=True)
class EntrySettings:
    """The owner's part: the kind of lock, how long a command holds, how long the bolt takes to follow its coil."""

    lock_kind: str
    lease_s: float
    bolt_delay_s: float


@dataclass(frozen=True, slots=True)
class EntryParts:
    """What one entry is made of."""

    door: Door
    coil: CoilGuard
    flap: Flap
    indicator: Indicator
    record: Record


class Entry:
    """One entry: a door, its bolt and its flap. Times are monotonic nanoseconds."""

    def __init__(self, parts: EntryParts, settings: EntrySettings) -> None:
        """Start with a coil at rest and a flap that nothing is known of."""
        self._parts = parts
        self._settings = settings
        self._openings = OpeningWatch()
        self._bolt_watch = BoltWatch(settings.bolt_delay_s, settings.lease_s)
        self._flap_open: bool | None = None
        self._drawn: bool | None = None
        self._button = False
        self._powered = False
        self._held = False
        self._refusal: CoilRefusal | None = None
        self._alarms: list[str] = []
        self._why_fault = ""
        self._guard_refuses = False

    @property
    def state(self) -> DoorState:
        """Where the door stands."""
        return self._parts.door.state

    @property
    def bolt(self) -> Bolt:
        """Where the last command to the coil puts the bolt."""
        return bolt_of(powered=self._powered, lock_kind=self._settings.lock_kind)

    @property
    def fault(self) -> str | None:
        """Why the bolt is at fault, or None where it is not."""
        return self._why_fault if self.state is DoorState.FAULT else None

    @property
    def held(self) -> bool:
        """Whether the last command keeps the bolt open only because the flap is: it shuts when that hangs straight."""
        return self._held

    @property
    def open(self) -> bool:
        """Whether entry is meant to be open, or the bolt still waits for the flap."""
        return self._parts.door.open or self._held

    @property
    def flap_open(self) -> bool:
        """Whether the flap was open when it was last read."""
        return bool(self._flap_open)

    def take_alarms(self) -> tuple[str, ...]:
        """Hand over the names, of ``ALARMS``, of what happened since the last call and is worth a picture."""
        alarms, self._alarms = tuple(self._alarms), []
        return alarms

    # --- events --------------------------------------------------------------------------------------------------

    def feel(self, reading: SensorReading, *, somebody: bool, seeing: bool, now_ns: int) -> bool:
        """Take the pins; return whether the flap has just opened. A sensor that says nothing changes nothing.

        ``somebody`` is outside, as far as can be told; ``seeing``: the camera is to be believed.
        """
        opened = bool(reading.flap_open) and not self._flap_open
        if reading.flap_open is not None and reading.flap_open is not bool(self._flap_open):
            self._happen(DoorEvent.FLAP_OPENED if reading.flap_open else DoorEvent.FLAP_CLOSED, now_ns)
        if reading.flap_open is not None:
            self._flap_open = reading.flap_open
        if reading.button and not self._button:
            self.override("the button was pressed", now_ns)
        if reading.button is not None:
            self._button = reading.button
        self._drawn = reading.bolt_drawn
        look = Look(self._flap_open, self.bolt is Bolt.OPEN, somebody, seeing)
        for finding in self._openings.look(look, now_ns):
            self._tell(finding.kind, finding.detail)
        return opened

    def heed(self, closure: Closure | None, now_ns: int, *, said: bool) -> None:
        """Follow the house's rules; to be told at every tick, before anybody is admitted.

        ``said``: the owner has spoken since the last tick, and a lock ends what is open, too.
        """
        before = self.state
        self._parts.door.heed(closure, now_ns, said=said)
        if closure is not None and self.state is not before:
            self._parts.record.event(self.state, "the house's rules close the door")

    def blind(self, *, blinded: bool, now_ns: int) -> None:
        """Follow whether anything can be seen."""
        if blinded and self.state is DoorState.WATCHING:
            self._happen(DoorEvent.BLINDED, now_ns)
        elif not blinded and self.state is DoorState.BLIND:
            self._happen(DoorEvent.SEEING, now_ns)

    def admit(self, now_ns: int) -> None:
        """Let in on positive evidence somebody whom the house does not refuse; through a curfew too."""
        self._happen(DoorEvent.GRANTED if self.state is DoorState.CURFEW else DoorEvent.ADMIT, now_ns)

    def admit_unseen(self, now_ns: int) -> None:
        """Let in without evidence, by the owner's choice.

        Raises:
            IllegalEventError: the door is not blind.
        """
        self._happen(DoorEvent.ADMIT_UNSEEN, now_ns)

    def prey(self, now_ns: int) -> None:
        """Hold off."""
        self._happen(DoorEvent.PREY, now_ns)

    def override(self, why: str, now_ns: int) -> None:
        """Open for one, because a person says so."""
        self._happen(DoorEvent.OVERRIDE, now_ns)
        self._parts.record.event("override", why)

    def clear(self, now_ns: int) -> None:
        """End the fault, because a person says that the bolt is mended.

        Raises:
            IllegalEventError: there is none.
        """
        self._happen(DoorEvent.CLEAR, now_ns)
        self._parts.record.event("fault_cleared", "by the owner's word")

    def pass_time(self, now_ns: int) -> None:
        """Let what ends by itself end."""
        self._parts.door.pass_time(now_ns)

    def _happen(self, event: DoorEvent, now_ns: int) -> None:
        self._parts.door.happen(event, now_ns)

    # --- the coil ------------------------------------------------------------------------------------------------

    def drive(self, now_ns: int, *, closing: bool = False) -> None:
        """Send the coil what the door wants as far as table and guard allow, then hold the bolt against it.

        ``closing``: the loop is about to end, so the wish is rest whatever the state.
        """
        parts = self._parts
        wish = Wish.REST if closing else parts.door.wish
        order = self._order(wish, self._seen())
        waits = order is not self._order(wish, FlapSeen.STRAIGHT)
        allowed = parts.coil.command(command_for(order, self._settings.lock_kind, self._settings.lease_s), now_ns)
        self._note_refusal(now_ns)
        powered = allowed.action is BoltAction.ENERGISE
        refused = ""
        try:
            parts.flap.apply(allowed)
        except RefusedError as error:
            powered, refused = False, str(error)
        except HardwareError as error:
            powered = False
            self._fault(str(error), now_ns)
        self._note_guard(refused)
        self._follow_power(powered=powered, now_ns=now_ns)
        self._held = waits and self.bolt is order
        self._hold_bolt_to_it(now_ns)

    def _order(self, wish: Wish, flap: FlapSeen) -> Bolt:
        return order_for(wish, self.bolt, flap, self._settings.lock_kind)

    def _seen(self) -> FlapSeen:
        if self._flap_open is None:
            return FlapSeen.UNKNOWN
        return FlapSeen.OPEN if self._flap_open else FlapSeen.STRAIGHT

    def _note_refusal(self, now_ns: int) -> None:
        refusal = self._parts.coil.refusal
        if refusal is not None and refusal is not self._refusal:
            self._parts.record.event("coil_refused", f"the coil was not powered: {refusal}")
        self._refusal = refusal
        if refusal in (CoilRefusal.CAP, CoilRefusal.HEAT) and self.state is DoorState.PASSING:
            self._happen(DoorEvent.SPENT, now_ns)

    def _note_guard(self, refused: str) -> None:
        """Tell once that the guard, not the host's own coil, refuses power."""
        if refused and not self._guard_refuses:
            self._parts.record.event("coil_refused", refused)
        self._guard_refuses = bool(refused)

    def _hold_bolt_to_it(self, now_ns: int) -> None:
        ordered_open = self.bolt is Bolt.OPEN
        why = self._bolt_watch.look(
            ordered_open=ordered_open, drawn=self._drawn, flap_open=self.flap_open, now_ns=now_ns
        )
        if why is not None:
            self._fault(why, now_ns)

    def _fault(self, why: str, now_ns: int) -> None:
        if self.state is not DoorState.FAULT:
            self._happen(DoorEvent.FAULT, now_ns)
            self._why_fault = why
            self._tell("bolt_fault", why)

    def _tell(self, kind: str, detail: str) -> None:
        self._parts.record.event(kind, detail)
        if kind in ALARMS:
            self._alarms.append(kind)

    def _follow_power(self, *, powered: bool, now_ns: int) -> None:
        """Show and keep what changes with the coil's power."""
        if powered == self._powered:
            return
        self._powered = powered
        self._parts.indicator.show(powered)
        coil = self._parts.coil
        self._parts.record.heat(coil.worst_heat_s(now_ns) if powered else coil.heat_s(now_ns))
