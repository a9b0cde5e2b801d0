"""The door's part of a tick: pins, rules and verdicts in, one command to the coil out."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from playing import Memo

from edge.adapters.absent import AbsentIndicator
from edge.coil import NS, CoilGuard
from edge.config import LockConfig
from edge.door import Bolt, Closure, Door, DoorState, DoorTimes, IllegalEventError
from edge.entry import Entry, EntryParts, EntrySettings
from edge.errors import HardwareError
from edge.messages import REST, BoltAction, FlapCommand, SensorReading

if TYPE_CHECKING:
    from collections.abc import Callable

TIMES = DoorTimes(open_s=6.0, hold_off_s=120.0)
KINDS = ["power_to_unlock", "power_to_lock"]
LOCKS = {
    "power_to_unlock": LockConfig(),
    "power_to_lock": LockConfig(kind="power_to_lock", duty=1.0, max_on_s=86400.0, heat_budget_s=86400.0),
}


class Coil:
    """A coil that remembers what it was told last, and may be dead."""

    def __init__(self) -> None:
        """Start at rest."""
        self.last: FlapCommand = REST
        self.dead = False

    def apply(self, command: FlapCommand) -> None:
        """Follow, or fail."""
        if self.dead:
            raise HardwareError("the pin cannot be driven")
        self.last = command

    def powered(self) -> bool:
        """Return whether it has power."""
        return self.last.action is BoltAction.ENERGISE

    def close(self) -> None:
        """Rest."""
        self.last = REST


class Rig:
    """An entry in the hands of a test, ten ticks a second."""

    def __init__(self, kind: str = "power_to_unlock", *, heat_s: float = 0.0) -> None:
        """Start watching."""
        lock = LOCKS[kind]
        self.kind, self.now_ns, self.memo, self.coil = kind, NS, Memo(), Coil()
        guard = CoilGuard(lock, heat_s, self.now_ns)
        parts = EntryParts(Door(TIMES), guard, self.coil, AbsentIndicator(), self.memo)
        self.entry = Entry(parts, EntrySettings(kind, lock.lease_s, lock.bolt_delay_s))
        self.closure: Closure | None = None
        self.reading = SensorReading(pir=False, flap_open=False, button=False)
        self.turn(2)

    @property
    def bolt(self) -> Bolt:
        """Where the coil's power really puts the bolt."""
        opens = self.coil.powered() == (self.kind == "power_to_unlock")
        return Bolt.OPEN if opens else Bolt.SHUT

    def sense(self, *, flap: bool | None = False, button: bool = False, drawn: bool | None = None) -> None:
        """Set what the pins say from now on."""
        self.reading = SensorReading(False, flap, button, drawn)

    def turn(self, ticks: int = 1) -> None:
        """Let ticks pass."""
        for _ in range(ticks):
            self.now_ns += NS // 10
            self.entry.feel(self.reading, somebody=False, seeing=True, now_ns=self.now_ns)
            self.entry.pass_time(self.now_ns)
            self.entry.heed(self.closure, self.now_ns, said=False)
            self.entry.drive(self.now_ns)

    def admit(self) -> None:
        """Admit somebody and let the bolt open."""
        self.entry.admit(self.now_ns)
        self.turn()


def fault(rig: Rig) -> None:
    """Let the bolt's sensor contradict it for longer than its delay."""
    rig.sense(flap=True, drawn=False)
    rig.turn(8)
    rig.sense(flap=True)


def lock(rig: Rig) -> None:
    """Lock the house."""
    rig.closure = Closure.LOCKED


def prey(rig: Rig) -> None:
    """See prey."""
    rig.entry.prey(rig.now_ns)


def wait(rig: Rig) -> None:
    """Let the door's time run out."""
    rig.turn(70)


def press(rig: Rig) -> None:
    """Press the button and let its time run out."""
    rig.sense(flap=True, button=True)
    rig.turn(2)
    rig.sense(flap=True)
    rig.turn(35)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("what", [fault, lock, prey, wait, press])
def test_nothing_shuts_the_bolt_on_an_open_flap(kind: str, what: Callable[[Rig], None]) -> None:
    """Whatever happens after the flap has opened, the bolt waits until it hangs straight, and shuts then."""
    rig = Rig(kind)
    rig.admit()
    rig.sense(flap=True)
    rig.turn()
    what(rig)
    rig.turn()
    during = rig.bolt
    rig.sense()
    rig.turn(61)
    rests_open = kind == "power_to_lock" and rig.entry.state is DoorState.FAULT
    assert (Bolt.OPEN, Bolt.OPEN if rests_open else Bolt.SHUT) == (during, rig.bolt)


@pytest.mark.parametrize("kind", KINDS)
def test_an_admission_while_somebody_goes_out_does_not_end_on_him(kind: str) -> None:
    """The flap was open before the bolt was; open_s ends, and the bolt still waits."""
    rig = Rig(kind)
    rig.sense(flap=True)
    rig.turn()
    rig.admit()
    rig.turn(65)
    assert (DoorState.WATCHING, Bolt.OPEN, True) == (rig.entry.state, rig.bolt, rig.entry.open)


def test_the_cap_wins_over_an_open_flap_and_ends_the_opening() -> None:
    """After max_on_s the coil rests whatever the flap says, and a flap that never closes is not opened for again."""
    rig = Rig()
    rig.admit()
    rig.sense(flap=True)
    rig.turn(82)
    capped = (rig.bolt, rig.entry.state)
    rig.turn(100)
    assert ((Bolt.SHUT, DoorState.WATCHING), Bolt.SHUT) == (capped, rig.bolt)


def test_pins_that_say_nothing_close_no_flap() -> None:
    """A reading that failed is not a flap that hangs straight: the cat may still be half way through."""
    rig = Rig()
    rig.admit()
    rig.sense(flap=True)
    rig.turn()
    rig.sense(flap=None)
    rig.turn(10)
    assert (DoorState.PASSING, Bolt.OPEN) == (rig.entry.state, rig.bolt)


@pytest.mark.parametrize("kind", KINDS)
def test_a_stop_waits_for_the_flap(kind: str) -> None:
    """Closing rests the coil, but holds the bolt while it would fall on an open flap."""
    rig = Rig(kind)
    rig.admit()
    rig.sense(flap=True)
    rig.turn()
    rig.entry.drive(rig.now_ns, closing=True)
    held = (rig.bolt, rig.entry.held)
    rig.entry.feel(SensorReading(False, False, False), somebody=False, seeing=False, now_ns=rig.now_ns)
    rig.entry.drive(rig.now_ns, closing=True)
    assert (Bolt.OPEN, kind == "power_to_unlock", False) == (*held, rig.coil.powered())


def test_a_bolt_that_sticks_is_a_fault_until_it_is_cleared() -> None:
    """Power goes, one event and one alarm tell of it, and only CLEAR lets anybody in again."""
    rig = Rig()
    rig.sense(drawn=False)
    rig.admit()
    rig.turn(8)
    found = (rig.entry.state, rig.coil.powered(), rig.memo.events.count("bolt_fault"), rig.entry.take_alarms())
    rig.entry.override("a person", rig.now_ns)
    rig.turn(50)
    latched = (rig.entry.state, rig.coil.powered())
    rig.entry.clear(rig.now_ns)
    assert ((DoorState.FAULT, False, 1, ("bolt_fault",)), (DoorState.FAULT, False), DoorState.WATCHING) == (
        found,
        latched,
        rig.entry.state,
    )


def test_a_dead_pin_counts_as_rest() -> None:
    """A coil that cannot be driven is a fault, and is not taken for an open bolt."""
    rig = Rig()
    rig.coil.dead = True
    rig.admit()
    assert (DoorState.FAULT, Bolt.SHUT) == (rig.entry.state, rig.entry.bolt)


def test_a_curfew_lets_through_whom_the_house_lets_through() -> None:
    """ADMIT in a curfew is a grant; in a locked house it is none."""
    states = []
    for closure in Closure:
        rig = Rig()
        rig.closure = closure
        rig.turn()
        rig.admit()
        states.append(rig.entry.state)
    assert [DoorState.ADMITTED, DoorState.LOCKED] == states


def test_admission_of_the_unseen_needs_a_blind_door() -> None:
    """Told of it while the door sees, it raises and nothing is opened."""
    rig = Rig()
    with pytest.raises(IllegalEventError):
        rig.entry.admit_unseen(rig.now_ns)
    rig.entry.blind(blinded=True, now_ns=rig.now_ns)
    rig.entry.admit_unseen(rig.now_ns)
    assert DoorState.ADMITTED is rig.entry.state


def test_a_run_that_begins_keeps_the_heat_it_may_come_to() -> None:
    """A daemon that dies with the coil on has kept the worst, 13 s, and what 8 s of ageing take; else the truth."""
    rig = Rig(heat_s=5.0)
    rig.admit()
    begun = rig.memo.heats[-1]
    rig.turn(70)
    assert (True, True) == (14.0 < begun <= 15.0, 10.0 < rig.memo.heats[-1] < 11.5)
