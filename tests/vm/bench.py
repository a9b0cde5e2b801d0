"""A flap on a machine of the bench, in the hands of a test: its lines, its camera, its chip reader, its journal."""

from __future__ import annotations

import json
from contextlib import contextmanager
from dataclasses import dataclass
from functools import reduce
from operator import xor
from typing import TYPE_CHECKING, Any

from vm.machine import SHARE, MachineError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from vm.machine import Machine

BOLT, LAMP, PIR, REED, BUTTON, LED = 17, 18, 22, 23, 24, 25
"""As in guest/catflap.toml."""
LINES = 28
CHIP = "276098100000001"
"""Mimi's."""
READY_S = 240.0
FILM_S = 180.0
"""A film lasts 22 s; on a busy host the camera and everything else are slower."""
INSIDE = f"{SHARE}/inside"
"""Where a machine finds the folder ``inside``."""
PYTHON = "/opt/catflap/current/bin/python3"
STATE = "/var/lib/catflap"


@dataclass(frozen=True, slots=True)
class Watched:
    """What the lines did while they were watched: their levels from ``at_s`` on, by the machine's monotonic clock."""

    at_s: float
    lines: tuple[int, ...]


class Flap:
    """The machine, seen as a flap."""

    def __init__(self, machine: Machine) -> None:
        """Take a machine that has been started and waited for."""
        self.machine = machine

    def wait_ready(self) -> None:
        """Wait until systemd has had READY from the daemon."""
        self.machine.await_true("systemctl is-active catflap.service", READY_S)

    def line(self, number: int) -> int:
        """Return a line's level, read from the simulated chip."""
        return int(self.machine.expect(f"cat /run/bench/lines/sim_gpio{number}/value"))

    def pid(self) -> int:
        """Return the daemon's process."""
        return int(self.unit("MainPID"))

    def unit(self, what: str, name: str = "catflap.service") -> str:
        """Return a property of a unit."""
        return self.machine.expect(f"systemctl show --value --property {what} {name}")

    def show(self, film: str) -> None:
        """Show the camera a film, with the cat's chip at the reader all the time, until it is over."""
        self.machine.expect(
            f"rm -f /run/bench/shown; echo {film} > /run/bench/next; mv /run/bench/next /run/bench/show"
        )
        for _ in range(round(FILM_S)):
            self.machine.serial.sendall(chip_frame(CHIP))
            if self.machine.run("sleep 1; test -e /run/bench/shown").status == 0:
                return
        raise AssertionError(f"the film {film} did not end within its time")

    def visits(self) -> list[dict[str, Any]]:
        """Return the journal's visits, oldest first."""
        return self._rows("SELECT * FROM visits ORDER BY started")

    def events(self, kind: str) -> list[str]:
        """Return the details of the journal's events of a kind, oldest first."""
        return [row["detail"] for row in self._rows(f"SELECT detail FROM events WHERE kind = '{kind}' ORDER BY rowid")]  # noqa: S608 - a word of the test's own

    def count(self, table: str) -> str:
        """Return a command that prints how many rows a table of the journal has."""
        return f"sqlite3 -readonly {STATE}/journal.sqlite 'SELECT count(*) FROM {table}'"  # noqa: S608 - as above

    def slots(self) -> dict[str, Any]:
        """Return what slots.json says."""
        found: dict[str, Any] = json.loads(self.machine.expect(f"cat {STATE}/models/slots.json"))
        return found

    @contextmanager
    def watched(self) -> Iterator[list[Watched]]:
        """Watch all lines; the list is filled when the block ends."""
        seen: list[Watched] = []
        self.machine.expect(f"systemd-run --quiet --unit=watch python3 {INSIDE}/watch.py /run/bench/watched")
        self.machine.await_true("test -s /run/bench/watched")
        yield seen
        self.machine.expect("systemctl stop watch")
        for row in self.machine.expect("cat /run/bench/watched").splitlines():
            told = json.loads(row)
            seen.append(Watched(told["at_s"], tuple(told["lines"])))

    def last_words(self) -> str:
        """Return what a person would look at when something went wrong; never raises for the machine."""
        asked = "systemctl --no-pager --lines=0 status catflap; systemctl --failed; journalctl --no-pager --lines=40"
        console = self.machine.console.read_text(encoding="utf-8", errors="replace")[-2000:]
        try:
            return f"{console}\n{self.machine.run(asked).output}"
        except MachineError as error:
            return f"{console}\n{error}"

    def _rows(self, query: str) -> list[dict[str, Any]]:
        said = self.machine.expect(f'sqlite3 -readonly -json {STATE}/journal.sqlite "{query}"')
        rows: list[dict[str, Any]] = json.loads(said or "[]")
        return rows


def moved(seen: list[Watched]) -> set[int]:
    """Return the numbers of the lines that were ever at another level than in the beginning."""
    first = seen[0].lines
    return {number for state in seen for number in range(LINES) if state.lines[number] != first[number]}


def chip_frame(chip: str) -> bytes:
    """Return what a reader sends of a transponder (edge/adapters/rfid.py has the source)."""
    country, card = int(chip[:3]), int(chip[3:])
    body = (f"{card:010X}"[::-1] + f"{country:04X}"[::-1] + "01" + "0" * 10).encode()
    total = reduce(xor, body)
    return b"\x02" + body + bytes((total, total ^ 0xFF)) + b"\x03"
