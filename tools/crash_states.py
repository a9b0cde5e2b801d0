"""Live on a disk whose writes and flushes are logged, then look at thousands of disks that a power cut could have left.

    make crash-states        or        python tools/crash_states.py --states 10000 --write docs/reliability.md

A user-mode Linux guest lives once through the flap's life (``flap_life``) on a small ext4 under the kernel's
dm-log-writes target, with every acknowledgement as a mark in the log. Then two guests side by side make crash states
from the log (``write_log``): everything before the last flush, and of the writes after it a random subset, some of them
torn. Each is mounted, which replays ext4's journal, and examined (``flap_after_cut``).

The same with something left out on purpose (fsync, fsync of directories, SQLite's, the disk's write barriers) shows
that what is looked for would be found.

Where it was cut off it goes on: what was recorded and examined stays under ``build/cuts``; --anew begins again. One
JSON line for each way of recording; exit status 1 when a state was broken, or when a flaw was not found among enough
of them.
"""

from __future__ import annotations

import argparse
import json
import random
import shutil
import sys
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any

from cut_orders import Flaw, Orders, make_disk
from cut_page import states_page
from flap_said import Step
from flap_supplies import PUSHES, supplies
from pages import replaced
from uml import ROOT, Guest, end_guests_with_me, find_kernel
from write_log import FLUSH, read_log

from edge.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from flap_life import Supplies

SEED = 20261121
GUESTS = 2
LOG_BYTES = 2**30  # a sparse file
STEPS = 200
"""A record's length; what is random in it comes from SEED."""
FLAWED_SHARE = 0.02
"""Of the states, for each flaw."""
FEWEST_TO_FIND = 100
"""With fewer states a rare loss, of a name that was not synced, may not be among them."""
PATIENCE_S = 180.0
MEMORY_MB = 768


@dataclass(frozen=True, slots=True)
class Bench:
    """Where things lie, and the kernel."""

    place: Path
    kernel: Path
    supplies: Supplies


@dataclass(frozen=True, slots=True)
class Recording:
    """One life on a logged disk."""

    directory: Path
    flaw: Flaw

    @property
    def base(self) -> Path:
        """The disk before it."""
        return self.directory / "base.img"

    @property
    def log(self) -> Path:
        """The log of its writes."""
        return self.directory / "log"

    @property
    def said(self) -> Path:
        """What was said meanwhile, a line each."""
        return self.directory / "said.jsonl"

    @property
    def results(self) -> Path:
        """What was found, a line for each state."""
        return self.directory / "results.jsonl"


def recorded(bench: Bench, flaw: Flaw, steps: int) -> Recording:
    """Return the recording with a flaw, made where it is missing.

    Raises:
        InputError: the guest failed.
    """
    made = Recording(bench.place / f"states-{flaw.name.lower()}", flaw)
    if made.said.exists():
        return made
    shutil.rmtree(made.directory, ignore_errors=True)
    made.directory.mkdir(parents=True)
    make_disk(made.base)
    disk = made.directory / "disk.img"
    shutil.copyfile(made.base, disk)
    with made.log.open("wb") as log:
        log.truncate(LOG_BYTES)
    orders = Orders(str(bench.supplies.directory), SEED, flaw, steps=steps).written(made.directory / "orders.json")
    said: list[bytes] = []
    console = made.directory / "console"
    script = (str(ROOT / "tools" / "cut_guest.py"), "record", orders)
    with Guest(bench.kernel, script, [disk, made.log], console, MEMORY_MB) as guest:
        for line in guest.lines(PATIENCE_S):
            _refuse_failure(line, console)
            if line.startswith(b"S "):
                said.append(line[2:] + b"\n")
    disk.unlink()
    made.said.write_bytes(b"".join(said))
    return made


def points_of(made: Recording, states: int) -> list[tuple[int, int, int]]:
    """Return number, log entry and seed of each state, by entry: uniform from the first acknowledgement on."""
    with made.log.open("rb") as log:
        entries = read_log(log)
    first = next(at for at, entry in enumerate(entries) if entry.mark)
    rng = random.Random(SEED)  # noqa: S311 - which states, no secret
    drawn = [(number, rng.randrange(first, len(entries)), rng.randrange(2**32)) for number in range(states)]
    return sorted(drawn, key=lambda point: point[1])


def examined(bench: Bench, made: Recording, states: int) -> list[dict[str, Any]]:
    """Return what was found in each state; those that were examined before are not examined again."""
    done = _results(made)
    left = [point for point in points_of(made, states) if point[0] not in done]
    share = -(-len(left) // GUESTS) or 1
    shares = [left[begin : begin + share] for begin in range(0, len(left), share)]
    lock = Lock()
    with ThreadPoolExecutor(GUESTS) as pool:
        for waited in [pool.submit(_examine, bench, made, part, lock) for part in shares]:
            waited.result()
    return [line for number, line in _results(made).items() if number < states]


def _results(made: Recording) -> dict[int, dict[str, Any]]:
    if not made.results.exists():
        return {}
    lines = [json.loads(line) for line in made.results.read_bytes().splitlines()]
    return {line["state"]: line for line in lines}


def _examine(bench: Bench, made: Recording, points: Sequence[tuple[int, int, int]], lock: Lock) -> None:
    name = f"examine-{points[0][0]}"
    orders = Orders(
        str(bench.supplies.directory),
        SEED,
        made.flaw,
        base=str(made.base),
        log=str(made.log),
        said=str(made.said),
        points=tuple(points),
        push=PUSHES,
    ).written(made.directory / f"{name}.json")
    console = made.directory / f"{name}.console"
    script = (str(ROOT / "tools" / "cut_guest.py"), "examine", orders)
    count = 0
    with Guest(bench.kernel, script, [], console, MEMORY_MB) as guest:
        for line in guest.lines(PATIENCE_S):
            _refuse_failure(line, console)
            with lock, made.results.open("ab") as results:
                results.write(line[2:] + b"\n")
            count += 1
    if count != len(points):
        raise InputError(f"{made.flaw}: a guest ended after {count} of {len(points)} states; see {console}")


def _refuse_failure(line: bytes, console: Path) -> None:
    if line.startswith(b"X "):
        raise InputError(f"the guest failed; see {console}:\n{json.loads(line[2:])}")


def summed(made: Recording, results: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Return the figures of one recording."""
    with made.log.open("rb") as log:
        entries = read_log(log)
    said = [json.loads(line) for line in made.said.read_bytes().splitlines()]
    broken = [line for line in results if line["wrong"]]
    kinds = Counter(kind for line in broken for kind in {text.split(":")[0] for text in line["wrong"]})
    return {
        "figure": "crash_states",
        "left_out": made.flaw,
        "steps": {step: sum(line["done"] and line["step"] == step for line in said) for step in Step},
        "writes": sum(entry.writes for entry in entries),
        "flushes": sum(bool(entry.flags & FLUSH) for entry in entries),
        "acknowledgements": sum(line["done"] for line in said),
        "states": len(results),
        "mid_step": sum(not said[line["said"] - 1]["done"] for line in results if line["said"]),
        "with_losses": sum(line["lost"] + line["torn"] > 0 for line in results),
        "writes_lost": sum(line["lost"] for line in results),
        "writes_torn": sum(line["torn"] for line in results),
        "items_looked_for": sum(line["items"] for line in results),
        "states_torn": sum(line["torn"] > 0 for line in results),
        "broken_torn": sum(line["torn"] > 0 for line in broken),
        "ext4_torn": sum(line["torn"] > 0 and all(_of_ext4(text) for text in line["wrong"]) for line in broken),
        "value": len(broken),
        "unit": "broken",
        "of": dict(kinds),
        "first_broken": [(line["state"], line["wrong"][:3]) for line in broken[:3]],
    }


def _of_ext4(wrong: str) -> bool:
    return wrong.startswith("file system: ")


def main() -> int:
    """Read the command line, record, examine and print."""
    parser = argparse.ArgumentParser(description="replay one recorded run into crash states")
    parser.add_argument("--states", type=int, default=200, help="how many without a flaw")
    parser.add_argument("--steps", type=int, default=STEPS, help="how long the recorded run is")
    parser.add_argument("--out", type=Path, default=ROOT / "build" / "cuts", help="where the work is kept")
    parser.add_argument("--kernel", type=Path, help="a user-mode Linux with DM_LOG_WRITES and BLK_DEV_LOOP built in")
    parser.add_argument("--anew", action="store_true", help="forget what was recorded and examined")
    parser.add_argument("--write", type=Path, metavar="PAGE", help="put the figures into this page")
    wanted = parser.parse_args()
    end_guests_with_me()
    try:
        figures = _figures(wanted)
    except (InputError, TimeoutError) as error:
        print(f"crash_states: {error}", file=sys.stderr)
        return 2
    if wanted.write is not None:
        part = states_page(figures, find_kernel(wanted.kernel))
        page = wanted.write.read_text(encoding="utf-8")
        wanted.write.write_text(replaced(page, "states", part), encoding="utf-8")
    return int(not all(_as_it_should_be(line) for line in figures))


def _as_it_should_be(line: dict[str, Any]) -> bool:
    """Whether nothing was broken, or, where something had been left out, that was found.

    What a torn write does to ext4 itself is told, and no fault of the flap: its superblock is longer than a sector.
    """
    if line["left_out"] == Flaw.NONE:
        return bool(line["value"] == line["ext4_torn"])
    return bool(line["value"]) or line["states"] < FEWEST_TO_FIND


def _figures(wanted: argparse.Namespace) -> list[dict[str, Any]]:
    place = wanted.out.resolve()
    if wanted.anew:
        for directory in place.glob("states-*"):
            shutil.rmtree(directory)
    bench = Bench(place, find_kernel(wanted.kernel), supplies(place / "supplies"))
    with ThreadPoolExecutor(GUESTS) as pool:
        recordings = list(pool.map(lambda flaw: recorded(bench, flaw, wanted.steps), Flaw))
    figures = []
    for made in recordings:
        states = wanted.states if made.flaw is Flaw.NONE else max(round(wanted.states * FLAWED_SHARE), 20)
        figures.append(summed(made, examined(bench, made, states)))
        print(json.dumps(figures[-1]), flush=True)
    return figures


if __name__ == "__main__":
    sys.exit(main())
