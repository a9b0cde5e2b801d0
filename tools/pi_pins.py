"""The bolt's line on the Pi's own pin controller: driven, read back, and at rest after everything that ends a daemon.

    python tools/pi_pins.py [--write]

Boots an emulated Pi 3B (``pi_board.py``) with three kernels: Debian's, the newer one of its backports, which can keep
the outputs of a process that is gone, and the same one told to keep them, as the Raspberry Pi's own kernel does by
itself. What is done on the board is ``pi_guest.py``'s; here its answers are judged. Ends with status 1 if the line
was driven where it must not be. ``--write`` puts the answers into docs/reliability.md.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from arm64_root import ROOT, MissingError, program
from pages import replaced
from pi_board import archive, kernels, watch

from edge import config

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from pi_board import Kernel

LONGEST_S = 1800.0
DRIVEN = "gpio_out hi"
KEEP = "pinctrl_bcm2835.persist_gpio_outputs=1"
RESET = "reset"
MOMENTS = {
    "boot": "at boot",
    "held": "held by the adapter",
    "killed": "after SIGKILL",
    "rested": "after `catflap rest`",
    "ended": "after SIGTERM",
    RESET: "reset by the watchdog while held, at the next boot",
}
"""What the board says, in its order; a moment that a run did not come to has no entry."""
SAID = MOMENTS | {"watchdog": "held again, before the watchdog is opened"}


@dataclass(frozen=True, slots=True)
class Run:
    """One board from its start to its end: what each pin was at each moment."""

    kernel: str
    persists: str | None
    pins: dict[str, dict[int, str]]


def main() -> int:
    """Boot each kernel and judge it."""
    parser = argparse.ArgumentParser(description="the bolt's line on an emulated Pi's pin controller")
    parser.add_argument("--write", action="store_true", help="into docs/reliability.md")
    arguments = parser.parse_args()
    wanted = config.load(ROOT / "docs" / "catflap.toml")
    try:
        runs = tried()
    except (MissingError, TimeoutError, subprocess.CalledProcessError) as error:
        print(f"pi-pins: {error}", file=sys.stderr)
        return 1
    wrong = [line for each in runs for line in faults(each, wanted.pins)]
    for line in wrong:
        print(f"WRONG  {line}")
    if arguments.write and not wrong:
        page = ROOT / "docs" / "reliability.md"
        page.write_text(
            replaced(page.read_text(encoding="utf-8"), "pins", told(runs, wanted.pins.bolt)), encoding="utf-8"
        )
        print("docs/reliability.md: written")
    return 1 if wrong else 0


def tried() -> list[Run]:
    """Start the three boards beside each other, and return what was seen once all have said their last.

    Raises:
        MissingError: a program or package is missing.
        TimeoutError: a board did not get through.
    """
    old, new = kernels()
    first, other = archive(old), archive(new)
    with ThreadPoolExecutor() as pool:
        boards = [
            pool.submit(run, old, first, "", RESET),
            pool.submit(run, new, other, "", "ended"),
            pool.submit(run, new, other, KEEP, "ended"),
        ]
        return [board.result() for board in boards]


def run(kernel: Kernel, packed: Path, words: str, last: str) -> Run:
    """Watch one board until it has said ``last``.

    Raises:
        TimeoutError: it did not, or what failed on the board.
    """
    name = f"Linux {kernel.version} {words}".strip()
    print(f"{name}: starts", flush=True)
    pins: dict[str, dict[int, str]] = {}
    persists = None
    for said in watch(kernel, packed, words, LONGEST_S):
        if said["moment"] == "failed":
            raise TimeoutError(f"{name}: on the board: {said['why']}")
        moment = RESET if "boot" in pins and said["moment"] == "boot" else str(said["moment"])
        persists = said.get("persists", persists)
        pins[moment] = {int(number): word for number, word in said["pins"].items()}
        print(f"{name}: {SAID.get(moment, moment)}: GPIO 17 is {pins[moment][17]}", flush=True)
        if moment == last:
            break
    return Run(kernel.version, persists, pins)


def faults(each: Run, pins: config.PinsConfig) -> Iterator[str]:
    """Yield what is not as it must be: the bolt driven, or another pin touched."""
    outputs = {pins.bolt: DRIVEN, pins.lamp: "gpio_out lo", pins.led: "gpio_out lo"}
    boot, held = each.pins["boot"], each.pins["held"]
    for number, before in boot.items():
        wanted = outputs.get(number, before)
        if held[number] != wanted:
            yield f"{each.kernel}: GPIO {number} is {held[number]} with the bolt held; {wanted} is right"
    for moment, seen in each.pins.items():
        kept = moment == "killed" and each.persists == "Y"
        if moment not in ("held", "watchdog") and (seen[pins.bolt] == DRIVEN) is not kept:
            yield f"{each.kernel}: GPIO {pins.bolt} is {seen[pins.bolt]} {MOMENTS[moment]}"


def told(runs: list[Run], bolt: int) -> str:
    """Return the part of the page."""
    qemu = subprocess.run([program("qemu-system-aarch64"), "--version"], capture_output=True, text=True, check=True)
    version = qemu.stdout.split("version ")[1].split()[0]
    rows = "\n".join(_row(each, bolt) for each in runs)
    return f"""\
{datetime.now(UTC):%Y-%m-%d}; QEMU {version}, `-M raspi3b`; the kernels are Debian's, with their drivers of
pins and watchdog, `pinctrl-bcm2835` and `bcm2835_wdt`.

`edge.adapters.gpio` opened the pins of docs/catflap.toml through lgpio on aarch64; the table is what the driver reads
of GPIO {bolt} in the controller's registers. With the bolt held, lamp and light were outputs and low, and each of
the other {len(runs[0].pins["boot"]) - 3} pins was what it was at boot.

| kernel, `persist_gpio_outputs` | {" | ".join(MOMENTS.values())} |
|---|{"---|" * len(MOMENTS)}
{rows}

- `gpio_in` is a pin that nobody drives: the resistor at the gate (docs/wiring.md, R2) takes it low. The board has no
  resistors, and shows the level that was last driven.
- QEMU resets the board as soon as the watchdog is opened, not when it is no longer fed: what is shown is that the
  reset takes the line to rest, and nothing about how long the watchdog waits.
- A kernel that keeps outputs leaves the coil of a killed daemon **with power**: the third row, after SIGKILL. Linux
  6.12 does so if told to; the Raspberry Pi's own kernel does unless `dtparam=strict_gpiod` stands in config.txt. What
  ends it is `catflap rest`, which the unit's `ExecStopPost=` runs however the daemon died; R2 alone cannot, since the
  pin is still driven. With `strict_gpiod`, which firmware/boot writes, the second row holds, and R2 does it.
"""


def _row(each: Run, bolt: int) -> str:
    said = [each.pins[moment][bolt] if moment in each.pins else "" for moment in MOMENTS]
    shown = [f"**{word}**" if word == DRIVEN else word for word in said]
    return f"| {each.kernel}, {each.persists or 'not known'} | {' | '.join(shown)} |"


if __name__ == "__main__":
    sys.exit(main())
