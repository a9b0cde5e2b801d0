"""Open the flap's pins through its own adapter and say, as JSON, what the simulated chip has of it.

Run with the flap's Python while the daemon is stopped.
"""

from __future__ import annotations

import json
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

from edge.adapters.clock import SystemClock
from edge.adapters.gpio import open_pins
from edge.config import load
from edge.messages import REST, BoltAction, FlapCommand

if TYPE_CHECKING:
    from collections.abc import Callable

LINES = Path("/run/bench/lines")
COUNT = 28
FOLLOWS_S = 10.0
OPEN = FlapCommand(BoltAction.ENERGISE, 0.5)


def main() -> None:
    """Move every output there and back, and every input."""
    config = load(Path("/etc/catflap/catflap.toml"))
    numbers = config.pins
    pins = open_pins(numbers, config.lock, SystemClock())
    said: dict[str, object] = {
        "bolt": _levels(numbers.bolt, lambda on: pins.flap.apply(OPEN if on else REST)),
        "lamp": _levels(numbers.lamp, lambda on: pins.lamp.set(float(on))),
        "led": _levels(numbers.led, pins.indicator.show),
    }
    told: dict[str, list[bool | None]] = {"pir": [], "flap_open": [], "button": []}
    for quiet in (True, False):
        pull(numbers.pir, up=not quiet)
        pull(numbers.reed, up=not quiet)
        pull(numbers.button, up=quiet)
        reading = pins.sensors.read()
        for name, levels in told.items():
            levels.append(getattr(reading, name))
    said["inputs"] = told
    for number in (numbers.pir, numbers.reed, numbers.button):
        pull(number, up=False)
    pins.close()
    said["closed"] = [level(number) for number in range(COUNT)]
    print(json.dumps(said))


def _levels(number: int, drive: Callable[[bool], None]) -> list[int]:
    """Return a line's level before it is driven, driven high and driven low."""
    before = level(number)
    drive(True)
    high = _reached(number, 1)
    drive(False)
    return [before, high, _reached(number, 0)]


def _reached(number: int, wanted: int) -> int:
    """Return a line's level once it is as wanted, or when its time is over: lgpio's PWM has a thread of its own."""
    until_s, never = time.monotonic() + FOLLOWS_S, threading.Event()
    while level(number) != wanted and time.monotonic() < until_s:
        never.wait(0.01)
    return level(number)


def level(number: int) -> int:
    """Return a line's level as the chip has it."""
    return int((LINES / f"sim_gpio{number}" / "value").read_text(encoding="ascii"))


def pull(number: int, *, up: bool) -> None:
    """Pull an input up or down from outside."""
    (LINES / f"sim_gpio{number}" / "pull").write_text("pull-up" if up else "pull-down", encoding="ascii")


if __name__ == "__main__":
    main()
