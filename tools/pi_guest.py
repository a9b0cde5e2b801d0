"""The first and only program on the emulated Pi's board: drives the bolt's line with the flap's own adapter.

``/init`` of the board that ``tools/pi_pins.py`` starts. Each ``PINS {...}`` line on the console says what the pin
controller's registers hold, as its driver reads them for debugfs: at boot, with the bolt held, after the holder was
killed, after what ``ExecStopPost=`` runs, after an orderly end. Then it holds the bolt and opens the watchdog, and the
board resets; whoever watches the console sees it boot again.
"""

from __future__ import annotations

import ctypes
import json
import os
import platform
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from edge import config
from edge.adapters.clock import SystemClock
from edge.adapters.gpio import open_pins
from edge.messages import BoltAction, FlapCommand

if TYPE_CHECKING:
    from collections.abc import Callable

CONFIGURATION = Path("/etc/catflap/catflap.toml")
CONTROLLER = Path("/sys/kernel/debug/pinctrl")
PIN = re.compile(r"^pin (\d+) \(gpio\d+\).*function (\w+) in (hi|lo)", re.MULTILINE)
PERSISTS = Path("/sys/module/pinctrl_bcm2835/parameters/persist_gpio_outputs")
WATCHDOG_MODULE = Path("/etc/catflap/bcm2835_wdt.ko")
MOUNTS = (("proc", "/proc"), ("sysfs", "/sys"), ("devtmpfs", "/dev"), ("debugfs", "/sys/kernel/debug"))
TICK_S = 0.1
AARCH64_FINIT_MODULE = 273
"""Linux, include/uapi/asm-generic/unistd.h; Debian's Python has no other way without kmod."""


def main() -> None:
    """Go through it once, and end with the board."""
    libc = ctypes.CDLL(None, use_errno=True)
    for kind, place in MOUNTS:
        Path(place).mkdir(parents=True, exist_ok=True)
        _checked(libc.mount(kind.encode(), place.encode(), kind.encode(), 0, None), f"mount {place}")
    os.chdir("/run")  # lgpio makes a FIFO in the current directory
    wanted = config.load(CONFIGURATION)
    tell("boot", kernel=platform.release(), persists=persists(), model=model(), pins=levels())
    holder = hold(wanted)
    tell("held", pins=levels())
    end(holder, signal.SIGKILL)
    tell("killed", pins=levels())
    tell("rested", status=rest(), pins=levels())
    end(hold(wanted), signal.SIGTERM)
    tell("ended", pins=levels())
    hold(wanted)
    with WATCHDOG_MODULE.open("rb") as module:
        _checked(libc.syscall(AARCH64_FINIT_MODULE, module.fileno(), b"", 0), "bcm2835_wdt")
    identity = Path("/sys/class/watchdog/watchdog0/identity").read_text(encoding="ascii").strip()
    tell("watchdog", identity=identity, pins=levels())
    with Path("/dev/watchdog").open("wb", buffering=0):
        signal.pause()


def tell(moment: str, **more: object) -> None:
    """Say one thing on the console."""
    print(f"PINS {json.dumps({'moment': moment, **more})}", flush=True)


def levels() -> dict[int, str]:
    """Return what each pin is and the level on it, as the driver reads the registers."""
    text = next(CONTROLLER.glob("*.gpio*/pins")).read_text(encoding="ascii")
    return {int(number): f"{function} {level}" for number, function, level in PIN.findall(text)}


def persists() -> str | None:
    """Return the kernel's word on outputs whose process is gone, ``Y`` or ``N``; None: it knows no such choice."""
    return PERSISTS.read_text(encoding="ascii").strip() if PERSISTS.exists() else None


def model() -> str:
    """Return the board's name."""
    return Path("/proc/device-tree/model").read_text(encoding="ascii").rstrip("\0")


def hold(wanted: config.Config) -> int:
    """Start a process that keeps the bolt drawn as the daemon does, tick by tick; return its number once it is."""
    ready, say = os.pipe()
    process = os.fork()
    if process == 0:
        _child(lambda: _hold(wanted, say))
    os.close(say)
    drawn = os.read(ready, 1)
    os.close(ready)
    if drawn != b"1":
        stop(f"the bolt's own level is {drawn.decode() or 'unknown'} with power asked for")
    return process


def _hold(wanted: config.Config, say: int) -> None:
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    pins = open_pins(wanted.pins, wanted.lock, SystemClock())
    command = FlapCommand(BoltAction.ENERGISE, wanted.lock.lease_s)
    pins.flap.apply(command)
    os.write(say, b"1" if pins.flap.powered() else b"0")
    while signal.sigtimedwait({signal.SIGTERM}, TICK_S) is None:
        pins.flap.apply(command)
    pins.close()


def rest() -> int:
    """Run what the unit's ExecStopPost= runs, as a process of its own; return its status."""
    command = (sys.executable, "-m", "edge.cli", "rest", "--config", str(CONFIGURATION))
    return subprocess.run(command, env={}, check=False).returncode


def end(process: int, how: signal.Signals) -> None:
    """End a process and wait for it."""
    os.kill(process, how)
    os.waitpid(process, 0)


def _child(act: Callable[[], None]) -> NoReturn:
    """Do it in this process, which is a copy of the first program and must not go on as that."""
    status = 1
    try:
        act()
        status = 0
    finally:
        os._exit(status)


def _checked(answer: int, what: str) -> None:
    if answer != 0:
        stop(f"{what}: {os.strerror(ctypes.get_errno())}")


def stop(why: str) -> NoReturn:
    """Say why and wait for the end: the first program may not return."""
    tell("failed", why=why)
    while True:
        signal.pause()


if __name__ == "__main__":
    try:
        main()
    except BaseException as error:  # noqa: BLE001 - the kernel panics when its first program ends, and tells nobody why
        stop(f"{type(error).__name__}: {error}")
