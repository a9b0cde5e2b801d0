"""Takes the power off the bolt, however the daemon died: what ``ExecStopPost=`` of its unit runs. Floor 7.

It has to work when little else does. The pins are the configuration's; of one that is broken, what of it can still be
read; else those of docs/wiring.md, which the boot fragment drives low as well. ``pinctrl`` (Raspberry Pi OS) comes
first: it needs no library, and what it sets stays set on every kernel. Without it the pins are claimed through the
daemon's own adapter, driven low and let go: a kernel that keeps outputs keeps them low, one that does not leaves them
to the pull-down. Adapters, and numpy behind them, are imported only then: until it is done the coil may have power.

A bolt that rests shut is not let fall on a flap that is open, for ``HOLD_S`` at most: longer could cook the coil, for
which nobody has counted since the daemon died. That is possible only where the kernel has kept the output; where it
has not, the bolt fell when the daemon died.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import time
import tomllib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from edge import config
from edge.config import Config, LockConfig, PinsConfig
from edge.errors import CatflapError, ConfigError, HardwareError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

WIRED = (17, 26)
"""``bolt`` and ``bolt2`` as docs/wiring.md and the boot fragment have them."""

HOLD_S = 2.0
"""How long a flap that is seen open is waited for."""
LOOK_EVERY_S = 0.1
PINCTRL_S = 2.0
"""How long one call of pinctrl may take; a Zero 2 W needs some hundredths."""

_LEVEL = re.compile(r"^\s*(\d+):\s+(\S+).*\|\s*(hi|lo)\b", re.MULTILINE)
"""A line of ``pinctrl get``, as in ``17: op dh pd | hi // GPIO17 = output``."""


@dataclass(frozen=True, slots=True)
class Bolts:
    """What there is to rest. ``reed`` is -1 where no sensor tells whether the flap is open, or none need be asked."""

    pins: tuple[int, ...]
    factory: str
    reed: int
    origin: str  # whose pins these are, for people


def rest(
    path: Path,
    tell: Callable[[str], None],
    pinctrl: str | None = None,
    wait: Callable[[float], None] = time.sleep,
) -> bool:
    """Rest what the configuration at ``path`` names; return whether all of it was.

    Args:
        path: the configuration.
        tell: takes a line for each thing that was done or could not be.
        pinctrl: the program; None: the one on the path, if there is one.
        wait: lets seconds pass.
    """
    wanted, why = _loaded(path)
    if wanted is not None and wanted.guard.kind == "serial":
        return _guard(wanted, tell)
    bolts = _bolts(path, wanted)
    if why:
        tell(f"{why}; the pins are those of {bolts.origin}")
    if bolts.factory == "sim":
        tell("the pins are simulated; there is nothing to rest")
        return True
    program = pinctrl or shutil.which("pinctrl")
    if program is not None and _by_pinctrl(program, bolts, wait, tell):
        return True
    rested = [_by_adapter(number, bolts.factory, tell) for number in bolts.pins]  # each, whatever became of one
    return all(rested)


def _loaded(path: Path) -> tuple[Config | None, str]:
    try:
        return config.load(path), ""
    except ConfigError as error:
        return None, str(error)


def _bolts(path: Path, wanted: Config | None) -> Bolts:
    if wanted is None:
        numbers = _legible(path)
        return Bolts(numbers or WIRED, "lgpio", -1, str(path) if numbers else "docs/wiring.md")
    pins = wanted.pins
    numbers = tuple(number for number in (pins.bolt, pins.bolt2) if number >= 0)
    falls_shut = wanted.lock.kind == "power_to_unlock"
    return Bolts(numbers, pins.factory, pins.reed if falls_shut else -1, str(path))


def _legible(path: Path) -> tuple[int, ...]:
    """Return the bolts' pins of a file that is no configuration, as far as it names any."""
    try:
        pins = tomllib.loads(path.read_text(encoding="utf-8")).get("pins")
    except (OSError, ValueError):  # ValueError: neither text nor TOML
        return ()
    named = [pins.get(key) for key in ("bolt", "bolt2")] if isinstance(pins, dict) else []
    return tuple(number for number in named if type(number) is int and 0 <= number <= 27)


def _guard(wanted: Config, tell: Callable[[str], None]) -> bool:
    from edge.adapters.clock import SystemClock  # noqa: PLC0415 - see above
    from edge.adapters.guard import open_guard  # noqa: PLC0415 - see above

    try:
        open_guard(wanted.guard, wanted.lock, SystemClock()).close()
    except CatflapError as error:
        tell(f"{error}; the guard lets go of the coil by itself when its lease ends")
        return False
    tell(f"guard.port {wanted.guard.port}: the guard was asked for rest")
    return True


def _by_pinctrl(program: str, bolts: Bolts, wait: Callable[[float], None], tell: Callable[[str], None]) -> bool:
    named = ",".join(map(str, bolts.pins))
    try:
        held_s = _hold(lambda: _levels(program, (*bolts.pins, bolts.reed)), bolts, wait)
        _pinctrl(program, "set", named, "op", "pd", "dl")
        high = [number for number, (_, high) in _levels(program, bolts.pins).items() if high]
    except HardwareError as error:
        tell(str(error))
        return False
    if high:
        tell(f"GPIO {high[0]}: reads high although pinctrl drives it low; cut the coil's supply")
        return False
    waited = f", after {held_s:.1f} s of an open flap" if held_s else ""
    tell(f"GPIO {named}: driven low by pinctrl{waited}")
    return True


def _hold(levels: Callable[[], dict[int, tuple[str, bool]]], bolts: Bolts, wait: Callable[[float], None]) -> float:
    """Wait while a bolt has power and the flap is seen open; return how long, in seconds."""
    looks = 0
    while bolts.reed >= 0 and looks < round(HOLD_S / LOOK_EVERY_S):
        seen = levels()
        powered = any(seen[number] == ("op", True) for number in bolts.pins)
        _, flap_open = seen[bolts.reed]  # closed to ground while the flap hangs straight
        if not (powered and flap_open):
            break
        wait(LOOK_EVERY_S)
        looks += 1
    return looks * LOOK_EVERY_S


def _levels(program: str, numbers: tuple[int, ...]) -> dict[int, tuple[str, bool]]:
    """Return function and level of pins, without touching them; -1 is none."""
    asked = [number for number in numbers if number >= 0]
    told = _pinctrl(program, "get", ",".join(map(str, asked)))
    found = {int(number): (function, level == "hi") for number, function, level in _LEVEL.findall(told)}
    if set(asked) - set(found):
        raise HardwareError(f"pinctrl: says {told.strip()!r:.200} of GPIO {asked}")
    return found


def _pinctrl(program: str, *arguments: str) -> str:
    try:
        done = subprocess.run(
            [program, *arguments], capture_output=True, text=True, timeout=PINCTRL_S, check=False, errors="replace"
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise HardwareError(f"pinctrl: {error}") from error
    if done.returncode != 0:
        raise HardwareError(f"pinctrl: {' '.join((done.stderr or done.stdout).split())[:200] or done.returncode}")
    return done.stdout


def _by_adapter(number: int, factory: str, tell: Callable[[str], None]) -> bool:
    from edge.adapters.clock import SystemClock  # noqa: PLC0415 - see above
    from edge.adapters.gpio import open_pins  # noqa: PLC0415 - see above

    try:
        open_pins(PinsConfig(factory=factory, bolt=number), LockConfig(), SystemClock()).close()
    except HardwareError as error:
        tell(f"{error}; it was not rested: the resistor at the gate has to hold it")
        return False
    tell(f"GPIO {number}: driven low through {factory}, and let go")
    return True
