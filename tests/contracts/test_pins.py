"""What every flap, lamp, light and set of sensors owes the loop."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import pytest
from stand_ins import clock_at_1000_s

from edge.adapters.gpio import Pins, open_pins
from edge.adapters.guard import GuardFlap, limits_of
from edge.adapters.sim import open_world, parse_scene
from edge.adapters.sim.guard import SimGuard
from edge.config import LockConfig, PinsConfig
from edge.messages import REST, BoltAction, FlapCommand, SensorReading

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from edge.adapters.clock import SimClock
    from edge.adapters.sim import World
    from edge.ports import Clock, Flap, Indicator, Lamp, Sensors

LOCK = LockConfig(lease_s=0.5)
PINS = PinsConfig(factory="mock", bolt=17, lamp=18, pir=22, reed=23, button=24, led=25)
OPEN = FlapCommand(BoltAction.ENERGISE, 0.5)

PRESSED_S = 10.0


class Rig(Protocol):
    """Pins in the hands of a test."""

    @property
    def clock(self) -> Clock:
        """The clock of the leases; ``wait`` jumps."""

    @property
    def flap(self) -> Flap:
        """The bolt."""

    @property
    def lamp(self) -> Lamp:
        """The lamp."""

    @property
    def sensors(self) -> Sensors:
        """The inputs."""

    @property
    def indicator(self) -> Indicator:
        """The light."""

    def press(self, *, down: bool) -> None:
        """Press or release the button."""


@dataclass
class GpioRig:
    """Real adapters on gpiozero's mock pins."""

    clock: SimClock
    pins: Pins

    @property
    def flap(self) -> Flap:
        """The bolt."""
        return self.pins.flap

    @property
    def lamp(self) -> Lamp:
        """The lamp."""
        return self.pins.lamp

    @property
    def sensors(self) -> Sensors:
        """The inputs."""
        return self.pins.sensors

    @property
    def indicator(self) -> Indicator:
        """The light."""
        return self.pins.indicator

    def press(self, *, down: bool) -> None:
        """Connect the button to ground."""
        pin = self.pins.board.factory.pin(PINS.button)
        if down:
            pin.drive_low()
        else:
            pin.drive_high()


def gpio() -> Rig:
    """Open gpiozero's mock pins."""
    clock = clock_at_1000_s()
    return GpioRig(clock, open_pins(PINS, LOCK, clock))


def guarded() -> Rig:
    """Open gpiozero's mock pins, the bolt behind a guard that has been up for long."""
    clock = clock_at_1000_s()
    guard = SimGuard(clock, limits_of(LOCK), up_s=600.0)
    flap = GuardFlap(guard, "guard.port test", LOCK, clock, (OSError,))
    return GpioRig(clock, open_pins(replace(PINS, bolt=-1), LOCK, clock, flap))


@dataclass
class SimRig:
    """The simulated twins, in a world whose button is pressed at a certain time."""

    clock: SimClock
    world: World

    @property
    def flap(self) -> Flap:
        """The bolt."""
        return self.world.flap

    @property
    def lamp(self) -> Lamp:
        """The lamp."""
        return self.world.lamp

    @property
    def sensors(self) -> Sensors:
        """The inputs."""
        return self.world.sensors

    @property
    def indicator(self) -> Indicator:
        """The light."""
        return self.world.indicator

    def press(self, *, down: bool) -> None:
        """Go to where the button is pressed, or past it."""
        del down
        self.clock.advance(PRESSED_S)


def sim() -> Rig:
    """Begin a world."""
    scene = parse_scene(
        {
            "title": "a button",
            "duration_s": 1000,
            "event": [{"what": "button", "at_s": PRESSED_S, "for_s": PRESSED_S / 2}],
        },
        "test",
        Path(),
    )
    clock = clock_at_1000_s()
    return SimRig(clock, open_world(scene, clock))


@pytest.fixture(params=[gpio, guarded, sim])
def rig(request: pytest.FixtureRequest) -> Iterator[Rig]:
    """Every set of pins, one after the other."""
    build: Callable[[], Rig] = request.param
    built = build()
    yield built
    for device in (built.flap, built.lamp, built.sensors, built.indicator):
        device.close()


def test_a_coil_rests_when_it_is_opened(rig: Rig) -> None:
    """Nothing has power before anybody asked."""
    assert False is rig.flap.powered()


def test_a_coil_has_power_while_its_lease_lasts(rig: Rig) -> None:
    """ENERGISE powers, and goes on to its last moment."""
    rig.flap.apply(OPEN)
    rig.clock.wait(0.499)
    assert True is rig.flap.powered()


def test_a_lease_that_nobody_renews_ends(rig: Rig) -> None:
    """Silence takes the power away."""
    rig.flap.apply(OPEN)
    rig.clock.wait(0.5)
    assert False is rig.flap.powered()


def test_a_renewed_lease_goes_on(rig: Rig) -> None:
    """Each command begins the lease anew."""
    for _ in range(10):
        rig.flap.apply(OPEN)
        rig.clock.wait(0.3)
    assert True is rig.flap.powered()


def test_rest_ends_a_lease_at_once(rig: Rig) -> None:
    """REST takes the power away whatever lease was running."""
    rig.flap.apply(OPEN)
    rig.flap.apply(REST)
    assert False is rig.flap.powered()


@pytest.mark.parametrize("lease_s", [0.0, -1.0])
def test_power_without_a_lease_is_rest(rig: Rig, lease_s: float) -> None:
    """A lease that is no length of time powers nothing."""
    rig.flap.apply(FlapCommand(BoltAction.ENERGISE, lease_s))
    assert False is rig.flap.powered()


def test_closing_rests_the_coil(rig: Rig) -> None:
    """Close takes the power away and may be repeated."""
    rig.flap.apply(OPEN)
    rig.flap.close()
    rig.flap.close()
    assert False is rig.flap.powered()


@pytest.mark.parametrize("level", [0.0, 0.4, 1.0])
def test_a_lamp_has_the_level_it_was_given(rig: Rig, level: float) -> None:
    """What was set is what is read back."""
    rig.lamp.set(level)
    assert level == pytest.approx(rig.lamp.level())


def test_sensors_read_what_is_there(rig: Rig) -> None:
    """A pressed button reads as pressed, at once, and as released when it is."""
    rig.press(down=True)
    pressed = rig.sensors.read().button
    rig.press(down=False)
    assert (True, False) == (pressed, rig.sensors.read().button)


def test_a_reading_covers_every_sensor(rig: Rig) -> None:
    """Wired sensors read as true or false, never as None."""
    reading = rig.sensors.read()
    assert isinstance(reading, SensorReading)
    assert {bool} == {type(value) for value in (reading.pir, reading.flap_open, reading.button)}


def test_everything_closes_twice(rig: Rig) -> None:
    """Lamp, light and sensors may be closed again."""
    rig.indicator.show(on=True)
    for _ in range(2):
        rig.lamp.close()
        rig.indicator.close()
        rig.sensors.close()
