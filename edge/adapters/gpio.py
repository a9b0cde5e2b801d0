"""Pins through gpiozero: bolt, lamp, sensors, status light. Floor 5.

The pin factory is the one that ``pins.factory`` names, built here and given to every device; gpiozero's global default,
which tries one library after the other, is never used. Only ``InputDevice``, ``OutputDevice`` and ``PWMOutputDevice``
are used and read when asked: the classes with events and smoothing (``MotionSensor``, ``Button``) start threads or ask
for edges, and the daemon is one quiet loop. (lgpio itself starts one idle thread when it is imported, and puts a FIFO
into the current directory: the unit gives it a writable one.)

Verified against gpiozero 2.0.1 with its mock pins; lgpio on a simulated chip is the business of tests/vm.
"""

from __future__ import annotations

import importlib
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

from edge.adapters.absent import AbsentIndicator, AbsentLamp
from edge.adapters.bolts import bolt_flap
from edge.errors import HardwareError
from edge.messages import BoltAction, SensorReading

if TYPE_CHECKING:
    from collections.abc import Iterator

    from edge.config import LockConfig, PinsConfig
    from edge.messages import FlapCommand
    from edge.ports import Clock, Flap, Indicator, Lamp

NS = 1_000_000_000

LAMP_HZ = 1000
"""PWM frequency of the lamp: many periods per line of a rolling shutter's exposure, well within software PWM."""

Failures: TypeAlias = tuple[type[Exception], ...]
"""What the chosen library raises; lgpio's and pigpio's errors derive from Exception alone."""


@dataclass(frozen=True, slots=True)
class Board:
    """The pin factory all devices share, and what its library raises."""

    factory: Any
    failures: Failures


@dataclass(frozen=True, slots=True)
class _Library:
    module: str
    factory: str
    driver: str
    install: str


_LIBRARIES: dict[str, _Library] = {
    "lgpio": _Library("gpiozero.pins.lgpio", "LGPIOFactory", "lgpio", "install python3-lgpio"),
    "rpigpio": _Library("gpiozero.pins.rpigpio", "RPiGPIOFactory", "RPi.GPIO", "install python3-rpi.gpio"),
    "pigpio": _Library("gpiozero.pins.pigpio", "PiGPIOFactory", "pigpio", "install python3-pigpio and start pigpiod"),
    "native": _Library("gpiozero.pins.native", "NativeFactory", "gpiozero", "install python3-gpiozero"),
    "mock": _Library("gpiozero.pins.mock", "MockFactory", "gpiozero", "install python3-gpiozero"),
}


class GpioFlap:
    """The coil's pin; implements ``ports.Flap``. Driven low from the moment it is opened.

    The lease is kept on this object's own clock, and every call first ends a lease that has run out. That is all a
    plain pin can do: **while the loop hangs nobody calls, and the pin keeps its level**. Then the service watchdog
    kills the process, ``ExecStopPost`` and the gate's pull-down take the pin low, and the guard microcontroller, where
    there is one, cuts the coil by itself.
    """

    def __init__(self, name: str, pin: int, longest_lease_s: float, host: tuple[Clock, Board]) -> None:
        """Claim the pin of that name and drive it low; no lease holds longer than ``longest_lease_s``."""
        from gpiozero import OutputDevice  # noqa: PLC0415 - hardware libraries load in constructors only

        self._clock, board = host
        self._name, self._failures = f"pins.{name} (GPIO {pin})", board.failures
        self._longest_lease_s = longest_lease_s
        self._ends_ns = 0
        with _named(self._name, board.failures):
            self._device: Any = OutputDevice(pin, initial_value=False, pin_factory=board.factory)

    def apply(self, command: FlapCommand) -> None:
        """Drive the pin as commanded; a lease that is zero, negative or no number rests the coil."""
        if self._device.closed:
            raise HardwareError(f"{self._name}: is closed")
        lease_s = min(command.lease_s, self._longest_lease_s)
        energise = command.action is BoltAction.ENERGISE and lease_s > 0
        self._ends_ns = self._clock.monotonic_ns() + int(lease_s * NS) if energise else 0
        with _named(self._name, self._failures):
            self._device.value = energise

    def powered(self) -> bool:
        """Return the level read back from the pin, after ending a lease that has run out; a closed pin has none."""
        if self._device.closed:
            return False
        with _named(self._name, self._failures):
            if self._clock.monotonic_ns() >= self._ends_ns:
                self._device.off()
            return bool(self._device.value)

    def close(self) -> None:
        """Drive the pin low and give it back as an input: from here on the pull-down at the gate holds it."""
        if not self._device.closed:
            with _named(self._name, self._failures):
                self._device.off()
                self._device.close()


class GpioLamp:
    """The infra-red lamp on a PWM pin; implements ``ports.Lamp``. Off when opened and when closed."""

    def __init__(self, pin: int, board: Board) -> None:
        """Claim the pin; HardwareError where the factory has no PWM (native)."""
        from gpiozero import PWMOutputDevice  # noqa: PLC0415 - hardware libraries load in constructors only

        self._name, self._failures = f"pins.lamp (GPIO {pin})", board.failures
        with _named(self._name, board.failures):
            self._device: Any = PWMOutputDevice(pin, frequency=LAMP_HZ, pin_factory=board.factory)

    def set(self, level: float) -> None:
        """Set the duty cycle, clamped to 0..1."""
        with _named(self._name, self._failures):
            self._device.value = min(1.0, max(0.0, level))

    def level(self) -> float:
        """Return the duty cycle read back, 0..1."""
        with _named(self._name, self._failures):
            return float(self._device.value)

    def close(self) -> None:
        """Switch off and release."""
        if not self._device.closed:
            with _named(self._name, self._failures):
                self._device.off()
                self._device.close()


class GpioIndicator:
    """The status light; implements ``ports.Indicator``."""

    def __init__(self, pin: int, board: Board) -> None:
        """Claim the pin, dark."""
        from gpiozero import OutputDevice  # noqa: PLC0415 - hardware libraries load in constructors only

        self._name, self._failures = f"pins.led (GPIO {pin})", board.failures
        with _named(self._name, board.failures):
            self._device: Any = OutputDevice(pin, initial_value=False, pin_factory=board.factory)

    def show(self, on: bool) -> None:
        """Switch the light."""
        with _named(self._name, self._failures):
            self._device.value = on

    def close(self) -> None:
        """Switch off and release."""
        if not self._device.closed:
            with _named(self._name, self._failures):
                self._device.off()
                self._device.close()


class GpioSensors:
    """PIR, reed switch, button and bolt sensor; implements ``ports.Sensors``. A pin of -1 reads as None.

    The PIR drives its pin high when it sees warmth move; the others connect theirs to ground, against the Pi's own
    pull-up. The reed is closed while the flap hangs straight, so a cut wire reads as an open flap: the state in which
    the bolt is left alone. The bolt's contact closes when it has drawn back, so a cut wire reads as a bolt that does
    not open: a fault, and nobody gets in.
    """

    def __init__(self, config: PinsConfig, board: Board) -> None:
        """Claim the pins that are wired."""
        self._board = board
        self._devices: dict[str, Any] = {}
        for name, number, pull_up in (
            ("pir", config.pir, False),
            ("reed", config.reed, True),
            ("button", config.button, True),
            ("bolt_sensor", config.bolt_sensor, True),
        ):
            if number >= 0:
                self._open(name, number, pull_up=pull_up)

    def _open(self, name: str, number: int, *, pull_up: bool) -> None:
        from gpiozero import InputDevice  # noqa: PLC0415 - hardware libraries load in constructors only

        try:
            with _named(f"pins.{name} (GPIO {number})", self._board.failures):
                self._devices[name] = InputDevice(number, pull_up=pull_up, pin_factory=self._board.factory)
        except HardwareError:
            self.close()
            raise

    def read(self) -> SensorReading:
        """Return the pins as they are now, without debouncing."""
        closed = self._active("reed")
        return SensorReading(
            pir=self._active("pir"),
            flap_open=None if closed is None else not closed,
            button=self._active("button"),
            bolt_drawn=self._active("bolt_sensor"),
        )

    def close(self) -> None:
        """Release the pins."""
        for name, device in self._devices.items():
            with _named(f"pins.{name}", self._board.failures):
                device.close()

    def _active(self, name: str) -> bool | None:
        device = self._devices.get(name)
        if device is None:
            return None
        with _named(f"pins.{name}", self._board.failures):
            return bool(device.value)


@dataclass(frozen=True, slots=True)
class Pins:
    """Every pin of the flap; a lamp or a light that is not wired (-1) is the absent one."""

    flap: Flap
    lamp: Lamp
    sensors: GpioSensors
    indicator: Indicator
    board: Board

    def close(self) -> None:
        """Rest the coil first, then release every pin and the chip; may be called twice."""
        self.flap.close()
        for device in (self.lamp, self.sensors, self.indicator):
            device.close()
        self.board.factory.close()


def open_pins(config: PinsConfig, lock: LockConfig, clock: Clock, guarded: Flap | None = None) -> Pins:
    """Open every pin that the configuration names, the bolt's first; ``guarded`` is what moves the bolt in its place.

    Raises:
        HardwareError: the library of ``pins.factory`` is missing, or a pin cannot be had.
    """
    board = _open_board(config.factory)
    try:
        flap = guarded or _bolts(config, lock, clock, board)
        sensors = GpioSensors(config, board)
        lamp = GpioLamp(config.lamp, board) if config.lamp >= 0 else AbsentLamp()
        indicator = GpioIndicator(config.led, board) if config.led >= 0 else AbsentIndicator()
    except HardwareError:
        board.factory.close()  # takes every pin it has handed out back to an input
        raise
    return Pins(flap, lamp, sensors, indicator, board)


def _bolts(config: PinsConfig, lock: LockConfig, clock: Clock, board: Board) -> Flap:
    numbers = {"bolt": config.bolt, "bolt2": config.bolt2}
    coils = [GpioFlap(name, pin, lock.lease_s, (clock, board)) for name, pin in numbers.items() if pin >= 0]
    return bolt_flap(tuple(coils), lock, clock)


def _open_board(name: str) -> Board:
    library = _LIBRARIES[name]
    try:
        module: Any = importlib.import_module(library.module)
        driver: Any = importlib.import_module(library.driver)
    except (ImportError, OSError) as error:  # OSError: lgpio cannot make its FIFO in this directory
        raise HardwareError(f"pins.factory: {name} cannot be loaded ({error}); {library.install}") from error
    failures = _failures(driver)
    with _named(f"pins.factory: {name}", failures):
        return Board(_build(module, library.factory), failures)


def _build(module: Any, factory: str) -> Any:  # noqa: ANN401 - gpiozero has no types
    if factory == "MockFactory":
        return module.MockFactory(pin_class=module.MockPWMPin)  # its plain pin has no PWM, which a real one has
    return getattr(module, factory)()


def _failures(driver: Any) -> Failures:  # noqa: ANN401 - a library's module
    from gpiozero import GPIOZeroError  # noqa: PLC0415 - hardware libraries load in constructors only

    own = getattr(driver, "error", OSError)
    return (GPIOZeroError, OSError, RuntimeError, ValueError, own)


@contextmanager
def _named(name: str, failures: Failures) -> Iterator[None]:
    """Turn whatever the library raises into one sentence that begins with the configuration's key."""
    try:
        yield
    except failures as error:
        raise HardwareError(f"{name}: {error}") from error
