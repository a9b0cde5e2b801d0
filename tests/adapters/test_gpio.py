"""The pins beyond their contract: which level means what, and what a missing library says."""

from __future__ import annotations

import sys
import threading
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from stand_ins import clock_at_1000_s

from edge.adapters.absent import AbsentIndicator, AbsentLamp
from edge.adapters.gpio import Pins, open_pins
from edge.config import LockConfig, PinsConfig
from edge.errors import HardwareError
from edge.messages import BoltAction, FlapCommand

if TYPE_CHECKING:
    from collections.abc import Iterator

    from edge.adapters.clock import SimClock

LOCK = LockConfig(lease_s=0.5)
WIRED = PinsConfig(factory="mock", bolt=17, lamp=18, pir=22, reed=23, button=24, led=25)
OPEN = FlapCommand(BoltAction.ENERGISE, 0.5)


@pytest.fixture
def clock() -> SimClock:
    """A clock that stands."""
    return clock_at_1000_s()


@pytest.fixture
def pins(clock: SimClock) -> Iterator[Pins]:
    """Every pin wired, on gpiozero's mock."""
    opened = open_pins(WIRED, LOCK, clock)
    yield opened
    opened.close()


def level(pins: Pins, number: int) -> float:
    """Return the voltage on a pin, 0 to 1, by asking the mock chip and not the adapter."""
    return float(pins.board.factory.pin(number).state)


def test_the_bolts_pin_is_low_from_the_start(pins: Pins) -> None:
    """Opening the pins powers nothing."""
    assert ("output", 0.0) == (pins.board.factory.pin(17).function, level(pins, 17))


def test_energise_is_a_high_pin(pins: Pins) -> None:
    """The driver is active high, so that a floating or low pin means no power."""
    pins.flap.apply(OPEN)
    assert 1.0 == level(pins, 17)


def test_an_expired_lease_drives_the_pin_low(pins: Pins, clock: SimClock) -> None:
    """Asking about the power after the lease takes the pin low, not only the answer."""
    pins.flap.apply(OPEN)
    clock.wait(0.5)
    pins.flap.powered()
    assert 0.0 == level(pins, 17)


def test_no_lease_is_longer_than_configured(pins: Pins, clock: SimClock) -> None:
    """lock.lease_s bounds what a command may ask."""
    pins.flap.apply(FlapCommand(BoltAction.ENERGISE, 3600.0))
    clock.wait(0.5)
    assert False is pins.flap.powered()


def test_a_lease_that_is_no_number_powers_nothing(pins: Pins) -> None:
    """NaN compares with nothing, and must not be taken for a time that has not come."""
    pins.flap.apply(FlapCommand(BoltAction.ENERGISE, float("nan")))
    assert 0.0 == level(pins, 17)


def test_a_closed_flap_takes_no_command(pins: Pins) -> None:
    """A command to a pin that was given back is an error, not a silence."""
    pins.flap.close()
    with pytest.raises(HardwareError, match="is closed"):
        pins.flap.apply(OPEN)


def test_closing_leaves_an_input(pins: Pins) -> None:
    """A released bolt pin is an input, for the pull-down at the driver to hold."""
    pins.flap.apply(OPEN)
    chip = pins.board.factory.pin(17)
    pins.close()
    assert "input" == chip.function


@pytest.mark.parametrize("high", [True, False])
def test_the_pir_is_active_high(pins: Pins, *, high: bool) -> None:
    """A PIR drives its pin high when it sees something."""
    pin = pins.board.factory.pin(WIRED.pir)
    (pin.drive_high if high else pin.drive_low)()
    assert high is pins.sensors.read().pir


def test_a_closed_reed_is_a_straight_flap(pins: Pins) -> None:
    """The reed to ground means that the flap hangs straight; an open or cut line means that it does not."""
    pin = pins.board.factory.pin(WIRED.reed)
    pin.drive_low()
    straight = pins.sensors.read().flap_open
    pin.drive_high()
    assert (False, True) == (straight, pins.sensors.read().flap_open)


def test_inputs_are_pulled_the_right_way(pins: Pins) -> None:
    """The PIR is pulled down; reed and button, which connect to ground, are pulled up."""
    pulls = [pins.board.factory.pin(number).pull for number in (WIRED.pir, WIRED.reed, WIRED.button)]
    assert ["down", "up", "up"] == pulls


def test_the_lamp_is_dimmed_by_pwm(pins: Pins) -> None:
    """A level of 0.4 is a duty cycle of 0.4 on the pin."""
    pins.lamp.set(0.4)
    assert 0.4 == pytest.approx(level(pins, WIRED.lamp))


@pytest.mark.parametrize(("wanted", "given"), [(-3.0, 0.0), (7.0, 1.0)])
def test_a_level_outside_is_brought_inside(pins: Pins, wanted: float, given: float) -> None:
    """A duty cycle is 0 to 1."""
    pins.lamp.set(wanted)
    assert given == level(pins, WIRED.lamp)


def test_the_light_follows(pins: Pins) -> None:
    """show(on) is a high pin."""
    pins.indicator.show(on=True)
    assert 1.0 == level(pins, WIRED.led)


def test_what_is_not_wired_is_absent(clock: SimClock) -> None:
    """A pin of -1 is no device: sensors read None, lamp and light are the absent ones."""
    pins = open_pins(PinsConfig(factory="mock", bolt=17), LOCK, clock)
    reading = pins.sensors.read()
    kinds = (type(pins.lamp), type(pins.indicator))
    pins.close()
    assert (None, None, None, (AbsentLamp, AbsentIndicator)) == (reading.pir, reading.flap_open, reading.button, kinds)


def test_no_device_starts_a_thread(pins: Pins) -> None:
    """Opening and reading every pin adds no thread to the one loop."""
    before = threading.active_count()
    again = open_pins(replace(WIRED, factory="mock"), LOCK, clock_at_1000_s())
    again.sensors.read()
    pins.sensors.read()
    after = threading.active_count()
    again.close()
    assert before == after


def test_the_pins_can_be_opened_again(pins: Pins, clock: SimClock) -> None:
    """After close every pin is free."""
    pins.close()
    again = open_pins(WIRED, LOCK, clock)
    again.flap.apply(OPEN)
    assert True is again.flap.powered()
    again.close()


@pytest.mark.parametrize(
    ("factory", "library", "install"),
    [
        ("lgpio", "lgpio", "python3-lgpio"),
        ("pigpio", "pigpio", "python3-pigpio"),
        ("rpigpio", "RPi", "python3-rpi.gpio"),
    ],
)
def test_a_missing_library_is_one_sentence(
    clock: SimClock, monkeypatch: pytest.MonkeyPatch, factory: str, library: str, install: str
) -> None:
    """A pin factory that cannot be loaded names the key and what to install; no other is taken instead."""
    monkeypatch.setitem(sys.modules, library, None)
    monkeypatch.delitem(sys.modules, f"gpiozero.pins.{factory}", raising=False)
    with pytest.raises(HardwareError, match=rf"^pins\.factory: {factory} .*{install}"):
        open_pins(replace(WIRED, factory=factory), LOCK, clock)


def test_a_pin_that_cannot_be_had_is_named(clock: SimClock) -> None:
    """Gpiozero's own errors come out as HardwareError with the key of the pin, and leave nothing open."""
    with pytest.raises(HardwareError, match=r"^pins\.pir \(GPIO 17\)"):
        open_pins(PinsConfig(factory="mock", bolt=17, pir=17), LOCK, clock)
    open_pins(PinsConfig(factory="mock", bolt=17, pir=22), LOCK, clock).close()


def test_a_closed_lamp_says_so(pins: Pins) -> None:
    """A device used after close is an error with its key."""
    pins.lamp.close()
    with pytest.raises(HardwareError, match=r"^pins\.lamp"):
        pins.lamp.set(1.0)
