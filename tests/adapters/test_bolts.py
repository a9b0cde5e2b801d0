"""Several bolts as one flap, on simulated and on mock pins."""

from __future__ import annotations

import pytest
from stand_ins import clock_at_1000_s

from edge.adapters.bolts import bolt_flap
from edge.adapters.gpio import open_pins
from edge.config import LockConfig, PinsConfig
from edge.errors import HardwareError
from edge.messages import REST, BoltAction, FlapCommand

LOCK = LockConfig(lease_s=0.5, bolt_delay_s=0.3)
OPEN = FlapCommand(BoltAction.ENERGISE, 0.5)


class Coil:
    """A coil that remembers what it was told, and may break."""

    def __init__(self, told: list[tuple[str, BoltAction]], name: str) -> None:
        """Write into a common list, so that the order between coils shows."""
        self.told, self.name = told, name
        self.broken = False
        self.on = False

    def apply(self, command: FlapCommand) -> None:
        """Remember, or break."""
        if self.broken and command != REST:
            raise HardwareError(f"{self.name} is broken")
        self.told.append((self.name, command.action))
        self.on = command != REST

    def powered(self) -> bool:
        """Return whether it was told so last."""
        return self.on

    def close(self) -> None:
        """Rest."""
        self.on = False


def test_one_coil_is_the_flap_itself() -> None:
    """Where there is nothing to interlock there is nothing in between."""
    coil = Coil([], "one")
    assert coil is bolt_flap((coil,), LOCK, clock_at_1000_s())


def test_bolts_are_drawn_one_after_the_other_and_fall_together() -> None:
    """The second gets power a bolt's delay after the first; rest goes to both at once."""
    clock, coils = clock_at_1000_s(), [Coil([], "one"), Coil([], "two")]
    flap = bolt_flap(coils, LOCK, clock)
    seen = []
    for command in (OPEN, OPEN, OPEN, OPEN, REST):
        flap.apply(command)
        seen.append((coils[0].on, coils[1].on, flap.powered()))
        clock.advance(0.1)
    assert [(True, False, True)] * 3 + [(True, True, True), (False, False, False)] == seen


def test_a_broken_coil_rests_the_others_and_says_so() -> None:
    """Half an open door is none: the error goes up, and no coil keeps power."""
    clock, coils = clock_at_1000_s(), [Coil([], "one"), Coil([], "two")]
    flap = bolt_flap(coils, LOCK, clock)
    flap.apply(OPEN)
    coils[1].broken = True
    clock.advance(0.3)
    with pytest.raises(HardwareError, match="two is broken"):
        flap.apply(OPEN)
    assert (False, False) == (coils[0].on, coils[1].on)


def test_two_pins_are_two_bolts() -> None:
    """pins.bolt2 is driven after pins.bolt, and closing takes both low."""
    clock = clock_at_1000_s()
    pins = open_pins(PinsConfig(factory="mock", bolt=17, bolt2=27), LOCK, clock)
    chip = pins.board.factory
    levels = []
    for _ in range(2):
        pins.flap.apply(OPEN)
        levels.append((chip.pin(17).state, chip.pin(27).state))
        clock.advance(0.3)
    pins.flap.close()
    assert ([(1, 0), (1, 1)], "input", "input") == (levels, chip.pin(17).function, chip.pin(27).function)
    pins.close()


def test_the_bolts_own_contact_is_read() -> None:
    """pins.bolt_sensor to ground means drawn back; an open or cut line means that it is not."""
    pins = open_pins(PinsConfig(factory="mock", bolt=17, bolt_sensor=5), LOCK, clock_at_1000_s())
    pin = pins.board.factory.pin(5)
    pin.drive_low()
    drawn = pins.sensors.read().bolt_drawn
    pin.drive_high()
    assert (True, False) == (drawn, pins.sensors.read().bolt_drawn)
    pins.close()
