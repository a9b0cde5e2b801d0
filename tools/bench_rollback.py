"""From the daemon's death to the model before it at the door, in seconds, as JSON lines.

    python tools/bench_rollback.py [--repeats 5]

The real daemon, in a process of its own before a simulated flap, runs a model that was pushed: on trial, or promoted
and on probation. It is killed with SIGKILL, as a crash, the kernel or the watchdog would, and started again at once.
The time runs until the new process has thrown the model out, has loaded the one before it, and is about to turn. What
the service manager waits between the two (``RestartSec=``, and ``WatchdogSec=`` where the daemon hangs) comes on top.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from pages import replaced

from edge import bundle
from edge.bundle import MANIFEST
from edge.errors import HardwareError
from edge.files import DiskFiles
from edge.journal import Journal
from edge.slots import MODELS, SlotName, SlotRecord, Slots, TrialKind

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parent.parent
SCENE = ROOT / "tests" / "scenarios" / "opens_for_own_clean_cat.toml"
STARTS_WITHIN_S = 60.0
WITHIN_S = 10.0
"""What a rollback may take."""


@contextmanager
def daemon(scene: Path, state: Path, speed: float = 1.0) -> Iterator[subprocess.Popen[str]]:
    """Yield the real daemon's process, at the moment when it is about to turn; it is killed on the way out.

    Raises:
        HardwareError: it did not start.
    """
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"}
    command = [sys.executable, "-m", "edge.cli", "demo", str(scene), "--out", str(state), "--speed", str(speed)]
    with subprocess.Popen(
        [*command, *(["--forever"] if speed else [])],
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=environment, cwd=state.parent,
    ) as child:  # fmt: skip
        try:
            if child.stdout is None or not child.stdout.readline():
                raise HardwareError(f"the daemon ended with {child.wait(STARTS_WITHIN_S)} before it turned")
            yield child
        finally:
            child.kill()


def started(state: Path) -> list[str]:
    """Return the models that the daemon started with, the oldest first."""
    with closing(Journal(state / "journal.sqlite")) as journal:
        return [row.detail for row in reversed(journal.events(200)) if row.kind == "started"]


def death_to_previous(scene: Path, state: Path) -> float:
    """Kill the daemon that runs in ``state``, start it again, and return the seconds between."""
    with daemon(scene, state) as child:
        begun_s = time.monotonic()
        child.send_signal(signal.SIGKILL)
        child.wait()
    with daemon(scene, state):
        return time.monotonic() - begun_s


def push(state: Path, place: Path, *, promote: bool) -> None:
    """Put a copy of the factory's bundle on trial in the slots under ``state``, or make it champion on probation."""
    place.mkdir()
    for name in (MANIFEST, *bundle.FILES):
        data = (bundle.factory_directory() / name).read_bytes()
        (place / name).write_bytes(data)
    manifest = json.loads((place / MANIFEST).read_bytes())
    (place / MANIFEST).write_text(json.dumps({**manifest, "version": "9.0.0"}), encoding="utf-8")
    slots, told = Slots(state / MODELS, DiskFiles()), bundle.load(place)
    record = SlotRecord(SlotName.A, told.model_id, "9.0.0", told.manifest_sha256, "", (), "to be rolled back")
    slots.install(place, record)
    slots.begin_trial(TrialKind.SHADOW)
    if promote:
        slots.promote("to be rolled back")


def measured(what: str, repeats: int, *, promote: bool) -> dict[str, str | int | float]:
    """Measure one case in flaps of its own.

    Raises:
        HardwareError: the model that was pushed is still there.
    """
    times = []
    for _ in range(repeats):
        with tempfile.TemporaryDirectory(prefix="bench-rollback-") as name:
            state = Path(name) / "state"
            state.mkdir()
            push(state, Path(name) / "bundle", promote=promote)
            times.append(death_to_previous(SCENE, state))
            last = Slots(state / MODELS, DiskFiles()).state()
            if last.champion is not SlotName.FACTORY or last.trial is not None or " 9.0.0 " in started(state)[-1]:
                raise HardwareError(f"{what}: champion is slot {last.champion}, trial {last.trial}")
    return {"case": what, "repeats": repeats, "median_s": round(statistics.median(times), 2), "most_s": max(times)}


def page(rows: list[dict[str, str | int | float]]) -> str:
    """Return the rows as a table, with the machine."""
    lines = [f"| {row['case']} | {row['repeats']} | {row['median_s']} | {row['most_s']:.2f} |" for row in rows]
    load, *_ = os.getloadavg()
    where = (
        f"{datetime.now(UTC):%Y-%m-%d}, Linux {platform.release()} {platform.machine()}, {os.cpu_count()} cores at a "
        f"load of {load:.0f}, Python {platform.python_version()}."
    )
    return "\n".join(["| | times | median, s | most, s |", "|---|--:|--:|--:|", *lines, "", where])


def main() -> int:
    """Measure; 1 where ten seconds did not do."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=5, metavar="N", help="how often; 5")
    parser.add_argument("--write", type=Path, metavar="PAGE", help="also write them into this page")
    options = parser.parse_args()
    cases = (("killed during a trial", False), ("killed on probation", True))
    rows = [measured(what, options.repeats, promote=promote) for what, promote in cases]
    for row in rows:
        print(json.dumps(row))
    if options.write is not None:
        text = replaced(options.write.read_text(encoding="utf-8"), "rollback", page(rows))
        options.write.write_text(text, encoding="utf-8")
    return 0 if max(float(row["most_s"]) for row in rows) < WITHIN_S else 1


if __name__ == "__main__":
    sys.exit(main())
