"""Cut a machine's power at random instants while its flap records, uploads and updates, again and again.

    make power-cuts        or        python tools/power_cuts.py --cuts 200 --write docs/reliability.md

A user-mode Linux guest mounts a small ext4, looks whether its flap is whole, and lets it live (``flap_life``); at a
random instant SIGKILL takes the whole machine, with its page cache. The next guest gets the same disk: what was
acknowledged over the serial line must be there (``flap_after_cut``). One cut in five falls while the guest still
mounts, checks and puts right what the cut before it left. A disk is cut ``CUTS_PER_DISK`` times; two run side by side.

A killed guest loses its memory but never a disk's cache: that is what ``crash_states`` is for. One JSON line a disk;
exit status 1 when anything was broken, or when of ten cuts a flap without fsync was not found broken.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cut_orders import Flaw, Orders, make_disk
from cut_page import cuts_page
from flap_said import Ledger, Said
from flap_supplies import supplies
from pages import replaced
from uml import ROOT, Guest, end_guests_with_me, find_kernel

from edge.codec import from_json, to_json
from edge.errors import InputError

if TYPE_CHECKING:
    from flap_life import Supplies

SEED = 20261121
CUTS_PER_DISK = 10
LANES = 2
FEWEST_TO_FIND = 10
"""Of fewer cuts without fsync, all may have come just after the kernel had written by itself."""
FLAWED_SHARE = 0.1
"""Of the cuts, on a flap that waits for nothing."""
RECOVERING_SHARE = 0.2
MAX_LINES = 60
"""The cut falls after a random number of lines below this, and then a random time of up to two lines more: machines are
not equally fast, and a busy one does little in a second."""
PATIENCE_S = 180.0
LAST_LINES = 20
"""What a flap must get through after the last cut, in lines: ten steps."""


@dataclass(slots=True)
class Cuts:
    """What became of one disk."""

    flaw: Flaw
    cuts: int = 0
    recovering: int = 0
    checks: int = 0
    items: int = 0
    acknowledged: int = 0
    under_way: Counter[str] = field(default_factory=Counter)
    broken: list[str] = field(default_factory=list)
    broken_checks: int = 0
    took_s: float = 0.0

    def line(self) -> dict[str, Any]:
        """Return it as one JSON line's content."""
        return {
            "figure": "power_cuts",
            "left_out": self.flaw,
            "cuts": self.cuts,
            "recovering": self.recovering,
            "checks": self.checks,
            "items_looked_for": self.items,
            "acknowledged": self.acknowledged,
            "under_way": dict(self.under_way),
            "took_s": round(self.took_s, 1),
            "broken_checks": self.broken_checks,
            "value": len(self.broken),
            "unit": "broken",
            "first_broken": self.broken[:3],
        }


class Bench:
    """One disk, its ledger, and the machines that it outlives."""

    def __init__(self, place: Path, kernel: Path, stock: Supplies, flaw: Flaw, seed: int) -> None:
        """Make the disk."""
        place.mkdir(parents=True, exist_ok=True)
        self._place, self._kernel, self._supplies, self._flaw, self._seed = place, kernel, stock, flaw, seed
        self._disk = make_disk(place / "disk.img")
        self._ledger = Ledger()
        self._check_s, self._line_s = 1.0, 0.1
        self._rng = random.Random(seed)  # noqa: S311 - when to cut, no secret
        self._found = Cuts(flaw)

    def outcome(self, cuts: int) -> Cuts:
        """Cut so many times, then let the flap live in peace for a while.

        Raises:
            InputError: the guest failed.
            TimeoutError: it hung.
        """
        began_s = time.monotonic()
        for _ in range(cuts):
            self._boot(cut=True)
        self._boot(cut=False)
        self._found.took_s = time.monotonic() - began_s
        return self._found

    def _boot(self, *, cut: bool) -> None:
        """Switch on, look, live, cut."""
        recovering = cut and self._rng.random() < RECOVERING_SHARE
        with self._guest() as guest:
            if not self._await(guest, b"M", 1) or (not recovering and not self._await(guest, b"C", 1)):
                return
            if not cut:
                self._await(guest, b"S", LAST_LINES)
                return
            if not recovering and not self._await(guest, b"S", self._rng.randrange(MAX_LINES)):
                return
            until_s = time.monotonic() + self._rng.uniform(0, 2 * (self._check_s if recovering else self._line_s))
            while (line := self._line(guest, until_s)) is not None:
                self._hear(line)
            guest.cut()
            self._drain(guest)
        self._found.cuts += 1
        self._found.recovering += recovering
        self._found.under_way[str(self._ledger.under_way or "nothing")] += 1

    def _await(self, guest: Guest, kind: bytes, count: int) -> bool:
        """Hear so many lines of a kind; False: the flap failed, and the next one begins on a new disk."""
        began_s = time.monotonic()
        for _ in range(count):
            while True:
                line = self._line(guest, time.monotonic() + PATIENCE_S)
                if line is None:
                    raise TimeoutError(f"the guest said nothing for {PATIENCE_S:g} s; see {self._place / 'console'}")
                self._hear(line)
                if line[:1] == b"X":
                    self._ledger = Ledger()
                    make_disk(self._disk)
                    return False
                if line[:1] == kind:
                    break
        took_s = time.monotonic() - began_s
        if kind == b"C":
            self._check_s = took_s
        if kind == b"S" and count:
            self._line_s = took_s / count
        return True

    def _guest(self) -> Guest:
        ledger, orders = self._place / "ledger.json", self._place / "orders.json"
        ledger.write_bytes(to_json(self._ledger))
        seed = self._rng.randrange(2**32)
        told = Orders(str(self._supplies.directory), seed, self._flaw, ledger=str(ledger)).written(orders)
        script = (str(ROOT / "tools" / "cut_guest.py"), "live", told)
        return Guest(self._kernel, script, [self._disk], self._place / "console")

    def _line(self, guest: Guest, until_s: float) -> bytes | None:
        try:
            return guest.line(until_s)
        except EOFError as error:
            raise InputError(f"the guest ended by itself; see {self._place / 'console'}") from error

    def _drain(self, guest: Guest) -> None:
        """Hear what was said before the cut."""
        try:
            while (line := guest.line(time.monotonic() + PATIENCE_S)) is not None:
                self._hear(line)
        except EOFError:
            return

    def _hear(self, line: bytes) -> None:
        kind, said = line[:1], line[2:]
        if kind == b"S":
            heard = from_json(Said, said, Path("what the guest said"))
            self._ledger = self._ledger.after(heard)
            self._found.acknowledged += heard.done
        if kind == b"C":
            self._found.checks += 1
            self._found.items += self._ledger.items
            complaints = [f"cut {self._found.cuts}: {text}" for text in json.loads(said)]
            self._found.broken += complaints
            self._found.broken_checks += bool(complaints)
        if kind == b"X":
            self._found.broken.append(f"cut {self._found.cuts}: the flap does not work: {json.loads(said)}")
            self._found.broken_checks += 1


def outcomes(place: Path, kernel: Path, stock: Supplies, cuts: int) -> list[Cuts]:
    """Cut ``cuts`` times in all, and some more on a flap that waits for nothing."""
    flawed = max(round(cuts * FLAWED_SHARE), 3)
    jobs = [*_shares(Flaw.NONE, cuts), *_shares(Flaw.FSYNC, flawed)]
    with ThreadPoolExecutor(LANES) as pool:
        waiting = [
            pool.submit(_outcome, Bench(place / f"disk-{number}", kernel, stock, flaw, SEED + number), count)
            for number, (flaw, count) in enumerate(jobs)
        ]
        return [waited.result() for waited in waiting]


def _shares(flaw: Flaw, cuts: int) -> list[tuple[Flaw, int]]:
    per_disk = min(CUTS_PER_DISK, -(-cuts // LANES))
    return [(flaw, min(per_disk, cuts - begun)) for begun in range(0, cuts, per_disk)]


def _outcome(bench: Bench, cuts: int) -> Cuts:
    outcome = bench.outcome(cuts)
    print(json.dumps(outcome.line()), flush=True)
    return outcome


def main() -> int:
    """Read the command line, cut and print."""
    parser = argparse.ArgumentParser(description="cut a machine's power at random instants")
    parser.add_argument("--cuts", type=int, default=10)
    parser.add_argument("--out", type=Path, default=ROOT / "build" / "cuts", help="where the work is kept")
    parser.add_argument("--kernel", type=Path, help="a user-mode Linux; Debian's package will do")
    parser.add_argument("--write", type=Path, metavar="PAGE", help="put the figures into this page")
    wanted = parser.parse_args()
    end_guests_with_me()
    try:
        place, kernel = wanted.out.resolve(), find_kernel(wanted.kernel)
        found = outcomes(place, kernel, supplies(place / "supplies"), wanted.cuts)
    except (InputError, TimeoutError) as error:
        print(f"power_cuts: {error}", file=sys.stderr)
        return 2
    lines = [entry.line() for entry in found]
    if wanted.write is not None:
        part = cuts_page(lines, kernel)
        page = wanted.write.read_text(encoding="utf-8")
        wanted.write.write_text(replaced(page, "cuts", part), encoding="utf-8")
    sound = all(not entry.broken for entry in found if entry.flaw is Flaw.NONE)
    flawed = [entry for entry in found if entry.flaw is not Flaw.NONE]
    missed = sum(entry.cuts for entry in flawed) >= FEWEST_TO_FIND and not any(entry.broken for entry in flawed)
    return int(not sound or missed)


if __name__ == "__main__":
    sys.exit(main())
