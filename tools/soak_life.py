"""One life of the daemon in the soak: a process of its own that plays its nights, measures itself, and ends as drawn.

The real composition root over the real stores; only the hardware is simulated. What others do to a flap is done here
between two ticks: clients come to the control socket, and models are put into the slots as the updater puts them.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import socket
import sys
import time
from collections import deque
from contextlib import suppress
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from soak_nights import Life, life, scene

from edge import bundle, simulation
from edge.adapters.absent import AbsentHeartbeat
from edge.adapters.logs import set_up
from edge.assembly import Host
from edge.daemon import Daemon, StopFlag, Stores
from edge.errors import CatflapError
from edge.files import DiskFiles
from edge.messages import LABELS, Label
from edge.slots import MODELS, SlotName, SlotRecord, Slots, TrialKind
from edge.trials import Gates

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TextIO

    from soak_nights import Push, Word

    from edge.canonical import VisitSummary
    from edge.messages import Visit
    from edge.simulation import Stage

NIGHTS = "nights.jsonl"
STATE = "state"
LOG = "life.log"

GATES = Gates(
    min_visits=3, max_visits=12, min_prey=1, agree=0.95, agree_bad=0.5, alpha=0.2, beta=0.2, max_released=0, ab_visits=2
)
"""Trials of a few nights instead of weeks, so that there are many: what they leave behind is the same."""

HANGS_ON_NS = 60_000_000_000
"""A client of the control socket that does not leave at once stays so long."""

PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


@dataclass(frozen=True, slots=True)
class Sample:
    """What the process and its disk were at the end of a night, and what that night was."""

    night: int
    life: int
    place: int  # among the nights of its life, from 0
    cut: bool
    ticks: int
    visits: int
    simulated_s: float
    cpu_s: float
    log_bytes: int
    rss_bytes: int
    open_files: int
    threads: int
    journal_bytes: int
    spool_bytes: int
    models_bytes: int
    other_bytes: int
    names: int


def disk(state: Path) -> dict[str, int]:
    """Return the bytes below a state directory, by what they belong to, and how many names there are."""
    told = {"journal_bytes": 0, "spool_bytes": 0, "models_bytes": 0, "other_bytes": 0, "names": 0}
    for folder, folders, files in os.walk(state):
        told["names"] += len(folders) + len(files)
        for name in files:
            path = Path(folder, name)
            told[_part(path.relative_to(state))] += path.lstat().st_size
    return told


def _part(path: Path) -> str:
    first = path.parts[0]
    if first.startswith("journal"):
        return "journal_bytes"
    return {"spool": "spool_bytes", MODELS: "models_bytes"}.get(first, "other_bytes")


def process() -> dict[str, int]:
    """Return the resident bytes, the open files and the threads of this process: proc(5)."""
    resident_pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return {
        "rss_bytes": resident_pages * PAGE_BYTES,
        "open_files": len(os.listdir("/proc/self/fd")) - 1,  # noqa: PTH208 - names; less the one that lists them
        "threads": len(os.listdir("/proc/self/task")),  # noqa: PTH208 - as above
    }


class Clients:
    """Those who speak to the control socket."""

    def __init__(self, path: Path) -> None:
        """Speak to the socket at ``path``."""
        self._path = path
        self._there: deque[tuple[int, socket.socket]] = deque()

    def say(self, word: Word, now_ns: int) -> None:
        """Connect and say a line; whoever does not leave at once hangs on for a while."""
        client = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        client.setblocking(False)
        with suppress(OSError):  # refused, or more than the socket takes at once: then that was all
            client.connect(os.path.relpath(self._path))
            client.send(word.line)
        if word.leaves:
            client.close()
        else:
            self._there.append((now_ns + HANGS_ON_NS, client))

    def leave(self, now_ns: int) -> None:
        """Hear the answer and go, those whose time has come."""
        while self._there and self._there[0][0] <= now_ns:
            client = self._there.popleft()[1]
            with suppress(OSError):
                client.recv(65536)
            client.close()


def install(slots: Slots, push: Push, folder: Path) -> None:
    """Put a model on trial as the updater does: the factory's under another version, spoilt where it is no good."""
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(bundle.factory_directory(), folder)
    path = folder / bundle.MANIFEST
    manifest = json.loads(path.read_bytes())
    manifest["version"] = f"1.{push.number + 1}.0"
    if not push.good:
        manifest["calibration"]["bias"][LABELS.index(Label.CAT_PREY)] += 12.0
    path.write_text(json.dumps(manifest), encoding="utf-8")
    told = bundle.load(folder)
    version, sha256 = told.manifest.version, told.manifest_sha256
    with suppress(CatflapError):  # what the slots refuse just now is not tried again
        slots.install(folder, SlotRecord(SlotName.A, told.model_id, version, sha256, "", ("key",), "the soak"))
        slots.begin_trial(TrialKind.SHADOW)


class Pulse(AbsentHeartbeat):
    """Beats with every finished tick; between two ticks it does what is due."""

    def __init__(self, clock: Callable[[], int]) -> None:
        """Take a monotonic clock in nanoseconds, which the life begins at zero."""
        self.ticks = 0
        self._clock = clock
        self._due: deque[tuple[int, Callable[[], None]]] = deque()

    def plan(self, acts: list[tuple[float, Callable[[], None]]]) -> None:
        """Take what is to be done, each at its second."""
        ordered = sorted(acts, key=lambda act: act[0])
        self._due = deque((round(at_s * 1e9), act) for at_s, act in ordered)

    def beat(self) -> None:
        """Count, and do what is due."""
        self.ticks += 1
        while self._due and self._due[0][0] <= self._clock():
            self._due.popleft()[1]()


class Player:
    """Plays a life."""

    def __init__(self, home: Path, drawn: Life, stage: Stage, log: TextIO) -> None:
        """Play it on a stage; samples go to ``home``, lines of the log to ``log``."""
        self._home, self._life, self._stage, self._log = home, drawn, stage, log
        self._state = home / STATE
        self.pulse = Pulse(stage.clock.monotonic_ns)
        self._clients = Clients(Path(stage.config.control.path))
        self._visits = self._sampled = 0
        self._marks = (0, 0, 0.0, 0, time.process_time())  # ticks, visits, s, bytes of log, CPU at the last sample
        self.pulse.plan(self._acts())

    def heard(self, visit: Visit, line: VisitSummary) -> None:  # noqa: ARG002 - the Listener's form
        """Count a visit."""
        self._visits += 1

    def sample(self, *, cut: bool = False) -> None:
        """Measure, and write it down as one line of ``nights.jsonl``."""
        self._log.flush()
        now = (
            self.pulse.ticks,
            self._visits,
            self._stage.clock.monotonic_ns() / 1e9,
            self._log.tell(),
            time.process_time(),
        )
        ticks, visits, simulated_s, log_bytes, cpu_s = (a - b for a, b in zip(now, self._marks, strict=True))
        self._marks = now
        taken = Sample(
            night=self._life.nights[self._sampled].number,
            life=self._life.number,
            place=self._sampled,
            cut=cut,
            ticks=int(ticks),
            visits=int(visits),
            simulated_s=simulated_s,
            cpu_s=cpu_s,
            log_bytes=int(log_bytes),
            **process(),
            **disk(self._state),
        )
        self._sampled += 1
        with (self._home / NIGHTS).open("a", encoding="utf-8") as file:
            file.write(json.dumps(asdict(taken)) + "\n")

    def _cut(self) -> None:
        """Die as with the power cut: nothing is closed, nothing is said."""
        self.sample(cut=True)
        os.kill(os.getpid(), signal.SIGKILL)

    def _acts(self) -> list[tuple[float, Callable[[], None]]]:
        acts: list[tuple[float, Callable[[], None]]] = []
        for each in self._life.nights:
            acts.append((each.ends_s - 0.2, self.sample))  # before the world ends with its last night
            for word in each.words:
                acts.append((word.at_s, partial(self._clients.say, word, round(word.at_s * 1e9))))
                acts.append((word.at_s + HANGS_ON_NS / 1e9, self._leave))
            if (push := each.push) is not None:
                acts.append((push.at_s, partial(self._push, push)))
        if self._life.cut_s is not None:
            acts.append((self._life.cut_s, self._cut))
        return acts

    def _push(self, push: Push) -> None:
        install(self._slots(), push, self._home / "pushed")

    def _leave(self) -> None:
        self._clients.leave(self._stage.clock.monotonic_ns())

    def _slots(self) -> Slots:
        return Slots(self._state / MODELS, DiskFiles(), now=self._stage.clock.wall)


def live(home: Path, seed: int, drawn: Life) -> None:
    """Play a life in this process."""
    path = home / "scene.toml"
    path.write_text(scene(seed, drawn), encoding="utf-8")
    stage = simulation.stage(path, home / STATE, None)
    for _ in range(drawn.number):
        stage.clock.reboot()  # no two lives are of one boot: the power was cut between them, or switched off
    with (home / LOG).open("w", encoding="utf-8") as log:
        set_up("json", stage.config.log.level, log)
        player = Player(home, drawn, stage, log)
        stop = StopFlag()
        stop.listen()
        stores = Stores(stage.files, player.heard, GATES)
        Daemon(stage.config, stage.devices, Host(stage.clock, player.pulse), stores).run(stop)


def main() -> int:
    """Live once."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("home", type=Path)
    for name in ("seed", "life", "first", "most"):
        parser.add_argument(f"--{name}", type=int, required=True)
    options = parser.parse_args()
    live(options.home, options.seed, life(options.seed, options.life, options.first, options.most))
    return 0


if __name__ == "__main__":
    sys.exit(main())
