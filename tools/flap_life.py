"""A flap's life as its disk sees it, in random steps through the project's own classes, each told before and after.

What is simulated: the visits (those of a simulated night, over and over, as the real daemon recorded them), the trial
of a bundle in a child process (which writes nothing that is kept), the amount of free space (the disk of such a test is
small), and the clock. Everything that writes is the product's.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import TYPE_CHECKING

from flap_said import Claims, Events, House, Kept, Said, Step, Stock

from edge.adapters.clock import SimClock
from edge.answers import ANSWER
from edge.codec import to_json
from edge.config import LockConfig, SpoolConfig
from edge.files import DiskFiles, replace
from edge.inbox import BOUND, METADATA, TARGETS, Inbox
from edge.journal import Journal
from edge.messages import BootMoment, Mode
from edge.record import read_record
from edge.recorder import Keeping, Recorder
from edge.slots import MODELS, POINTER, SlotName, Slots
from edge.slots.moves import MAX_RESETS
from edge.spool import Spool
from edge.trying import Tried
from edge.update import Parts, update
from edge.updater import bind
from edge.worth import Thresholds

if TYPE_CHECKING:
    import random
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from edge.answers import Answer
    from edge.files import Files
    from edge.messages import Visit
    from edge.slots import Transition

NOW = datetime(2026, 11, 21, 21, 0, tzinfo=UTC)
BOOT = BootMoment("cut", 0)
"""Heat is saved and read at one moment, so that none of it is lost to time."""

LOCK = LockConfig()
SPOOL = SpoolConfig(max_bytes=2_500_000, min_free_bytes=0, random_share=1.0)
"""Small, so that a few visits in a record leaves for every one that comes."""

KEEPING = Keeping(Thresholds(3.9, 3.0), 1.0)
ROOM_BYTES = 10**9
TRUSTED = ("root", "timestamp", "snapshot", "targets")

_WEIGHTS = {
    Step.VISIT: 8,
    Step.UPLOAD: 2,
    Step.HEAT: 2,
    Step.HOUSE: 1,
    Step.PUSH: 3,
    Step.UPDATE: 4,
    Step.PROMOTE: 2,
    Step.ROLL_BACK: 2,
    Step.START: 1,
    Step.SETTLE: 1,
    Step.WRITE_DOWN: 2,
}


class RoomyFiles(DiskFiles):
    """The real disk, which says that there is room: what an install leaves free is more than this whole disk."""

    def free_bytes(self, path: Path) -> int:  # noqa: ARG002 - the form of the port
        """Return a gigabyte."""
        return ROOM_BYTES


class UnsyncedFiles(RoomyFiles):
    """What the project would be without its care: nothing is waited for."""

    def write(self, path: Path, data: bytes) -> None:
        """Write and go on."""
        path.write_bytes(data)

    def sync_directory(self, path: Path) -> None:
        """Do nothing."""


class UnsyncedNames(RoomyFiles):
    """Content is waited for, names are not."""

    def sync_directory(self, path: Path) -> None:
        """Do nothing."""


@dataclass(frozen=True, slots=True)
class Supplies:
    """What a life lives on, made beforehand: ``root.json``, ``pushes/N.tar`` from 1 on, ``visits/ID/``."""

    directory: Path

    def root(self) -> bytes:
        """Return the owner's root."""
        return (self.directory / "root.json").read_bytes()

    def push(self, number: int) -> Path:
        """Return the file of a push; each brings a newer bundle than the one before."""
        return self.directory / "pushes" / f"{number}.tar"

    def visits(self) -> tuple[Visit, ...]:
        """Read the visits, once in a process."""
        return _visits(self.directory / "visits")


@cache
def _visits(directory: Path) -> tuple[Visit, ...]:
    return tuple(read_record(path) for path in sorted(directory.iterdir()))


@dataclass(frozen=True, slots=True)
class Home:
    """Where a flap lives: its state directory, its disk, and SQLite's ``synchronous`` (None: as the project has it)."""

    state: Path
    files: Files
    synchronous: str | None = None

    def journal(self) -> Journal:
        """Open the journal."""
        journal = Journal.open(self.state / "journal.sqlite")
        if self.synchronous is not None and journal._connection is not None:  # noqa: SLF001 - no product may do this
            journal._connection.execute(f"PRAGMA synchronous = {self.synchronous}")  # noqa: SLF001 - as above
        return journal

    def spool(self) -> Spool:
        """Open the spool."""
        return Spool(self.state / "spool", SPOOL, self.files)

    def slots(self) -> Slots:
        """Open the slots."""
        return Slots(self.state / MODELS, self.files, now=lambda: NOW)

    def inbox(self) -> Inbox:
        """Open the inbox."""
        return Inbox(self.state / "incoming", self.files)


class ToldSlots(Slots):
    """Slots that tell of each transition of an update as it is done."""

    def __init__(self, home: Home, tell: Callable[[], None]) -> None:
        """Take who hears of it."""
        super().__init__(home.state / MODELS, home.files, now=lambda: NOW)
        self._tell = tell

    def _keep(self, *arguments: object) -> tuple[Transition, ...]:
        history = super()._keep(*arguments)  # type: ignore[arg-type] # handed through
        self._tell()
        return history


class Life:
    """A flap that was just switched on. Each step raises what the project's own calls raise."""

    def __init__(self, home: Home, supplies: Supplies, tell: Callable[[Said], None], push: int = 0) -> None:
        """Open everything; ``push`` is the number of the last push that was begun."""
        self._home, self._supplies, self._tell, self._pushed = home, supplies, tell, push
        home.files.make_directory(home.state)
        self._journal, self._spool, self._slots = home.journal(), home.spool(), home.slots()
        self._recorder = Recorder(self._journal, self._spool, SimClock(NOW), KEEPING)
        self._visits = supplies.visits()

    def close(self) -> None:
        """Close the journal."""
        self._journal.close()

    # Steps.

    def found(self) -> None:
        """Tell what there is."""
        home, journal = self._home, self._journal
        self._told(
            Step.FOUND,
            Claims(
                visits=rows_of(journal),
                events=events_of(journal),
                heat_s=journal.load_heat(BOOT, LOCK),
                house=house_of(journal),
                stock=stock_of(home.state, self._spool),
                slots=self._pointer(),
                inbox=inbox_of(home.state),
                answer=answer_of(home.state),
                trust=trust_of(home.state),
            ),
        )

    def adopt(self) -> None:
        """Bind the owner's root, as ``catflap adopt`` does."""
        self._begin(Step.ADOPT)
        trust, root = self._home.state / "trust", self._supplies.root()
        bind(trust, root, self._home.files)
        replace(self._home.files, trust / BOUND, root)
        self._told(Step.ADOPT, Claims(trust=trust_of(self._home.state)))

    def steps(self, rng: random.Random) -> Iterator[Step]:
        """Do random steps for ever; yield each once it is done."""
        while True:
            step = rng.choices(list(_WEIGHTS), list(_WEIGHTS.values()))[0]
            self.do(step, rng)
            yield step

    def do(self, step: Step, rng: random.Random) -> None:
        """Do one step, which may come to nothing."""
        if not self._possible(step):
            return
        act = {
            Step.VISIT: self._visit,
            Step.UPLOAD: self._upload,
            Step.HEAT: self._heat,
            Step.HOUSE: self._house,
            Step.PUSH: self._push,
            Step.UPDATE: self._update,
            Step.WRITE_DOWN: self._write_down,
        }.get(step)
        if act is None:
            self._slot_step(step)
        else:
            act(step, rng)

    def _possible(self, step: Step) -> bool:
        state = self._slots.state()
        if step is Step.PROMOTE:
            return state.trial is not None
        if step is Step.ROLL_BACK:
            return state.candidate is not None or state.champion is not SlotName.FACTORY
        if step is Step.START:  # one more that never settles may make it rules only: right, but no flap to test
            return state.resets < MAX_RESETS - 1
        return step is not Step.PUSH or self._supplies.push(self._pushed + 1).exists()

    def _visit(self, step: Step, rng: random.Random) -> None:
        self._begin(step)
        number = len(rows_of(self._journal)) + 1
        model = rng.choice(self._visits)
        started = NOW + timedelta(seconds=number)
        name = f"{started:%Y%m%dT%H%M%S}-{number:04d}"
        self._recorder.visit(dataclasses.replace(model, visit_id=name, started=started))
        self._told(step, Claims(visits=rows_of(self._journal, 1), stock=stock_of(self._home.state, self._spool)))

    def _upload(self, step: Step, rng: random.Random) -> None:
        entries = self._spool.list()
        if entries:
            self._begin(step)
            self._spool.open(rng.choice(entries).visit_id)
            self._told(step, Claims())

    def _heat(self, step: Step, rng: random.Random) -> None:
        self._begin(step)
        self._journal.save_heat(NOW, round(rng.uniform(0, LOCK.heat_budget_s), 3), BOOT)
        self._told(step, Claims(heat_s=self._journal.load_heat(BOOT, LOCK)))

    def _house(self, step: Step, rng: random.Random) -> None:
        self._begin(step)
        self._recorder.house(rng.choice([None, *Mode]), panic=rng.random() < 0.5)
        self._recorder.event("house", "commanded")
        self._told(step, Claims(house=house_of(self._journal), events=events_of(self._journal)))

    def _push(self, step: Step, _: random.Random) -> None:
        self._pushed += 1
        self._begin(step)
        path = self._supplies.push(self._pushed)
        inbox = self._home.inbox()
        with inbox.held(), path.open("rb") as stream:
            inbox.take(stream, path.stat().st_size)
        self._told(step, Claims(inbox=inbox_of(self._home.state), answer=answer_of(self._home.state)))

    def _update(self, step: Step, _: random.Random) -> None:
        self._begin(step)
        update_once(self._home, self._journal, ToldSlots(self._home, lambda: self._on_the_way(step)))
        claims = Claims(
            events=events_of(self._journal),
            slots=self._pointer(),
            answer=answer_of(self._home.state),
            trust=trust_of(self._home.state),
        )
        self._told(step, claims)

    def _slot_step(self, step: Step) -> None:
        self._begin(step)
        if step is Step.PROMOTE:
            self._slots.promote("the gate")
        elif step is Step.ROLL_BACK:
            self._slots.roll_back("worse")
        elif step is Step.START:
            self._slots.started(f"boot {self._pushed}")
        else:
            self._slots.settled()
        self._told(step, Claims(slots=self._pointer()))

    def _write_down(self, step: Step, _: random.Random) -> None:
        self._begin(step)
        for entry in self._slots.unwritten():
            self._journal.add_event(NOW, entry.kind, str(entry))
            self._slots.written(entry.sequence)
            self._on_the_way(step)
        self._told(step, Claims(slots=self._pointer(), events=events_of(self._journal)))

    # Telling.

    def _pointer(self) -> str:
        return pointer_of(self._home.state)

    def _begin(self, step: Step) -> None:
        self._tell(Said(step, done=False, push=self._pushed))

    def _on_the_way(self, step: Step) -> None:
        self._tell(Said(step, done=False, push=self._pushed, claims=Claims(slots=self._pointer())))

    def _told(self, step: Step, claims: Claims) -> None:
        if self._journal.waiting or self._journal.failure or self._spool.failure:
            raise RuntimeError(f"{step}: {self._journal.failure or self._spool.failure}: nothing is acknowledged")
        self._tell(Said(step, done=True, push=self._pushed, claims=claims))


def update_once(home: Home, journal: Journal, slots: Slots) -> Answer:
    """Let the update service answer what lies in the inbox."""

    def tell(kind: str, detail: str) -> None:
        journal.add_event(NOW, kind, detail)

    def try_out(_: Path) -> Tried:
        return Tried(ok=True, why="not run: what is tried here is the disk")

    return update(home.state, Parts(home.files, lambda: NOW, tell, try_out, slots))


# What there is, as it is claimed and as it is looked for: one and the same function.


def rows_of(journal: Journal, limit: int = 10**6) -> tuple[tuple[str, str], ...]:
    """Return the visits, oldest first."""
    rows = reversed(journal.visits(limit))
    return tuple((row.line.visit, _sha256(repr(row).encode())) for row in rows)


def events_of(journal: Journal, count: int = 10**6) -> Events:
    """Return the oldest ``count`` events."""
    found = list(reversed(journal.events(10**6)))[:count]
    return Events(len(found), _sha256(repr(found).encode()))


def house_of(journal: Journal) -> House:
    """Return mode and panic lock."""
    lasting = journal.load_house().lasting
    return House(str(lasting.mode or ""), lasting.panic)


def stock_of(state: Path, spool: Spool) -> Stock:
    """Return the spool's content with the hash of every record."""
    kept = (
        Kept(entry.visit_id, entry.sequence, entry.usefulness, tree_sha256(state / "spool" / entry.visit_id))
        for entry in spool.list()
    )
    return Stock(tuple(kept), spool.counts.total())


def pointer_of(state: Path) -> str:
    """Return the text of the slots' pointer; empty: there is none."""
    return _text_of(state / MODELS / POINTER)


def inbox_of(state: Path) -> tuple[tuple[str, str], ...]:
    """Return the files of the repository in the inbox."""
    found = [path for part in (METADATA, TARGETS) for path in sorted((state / "incoming" / part).glob("*"))]
    return tuple((f"{path.parent.name}/{path.name}", _sha256(path.read_bytes())) for path in found)


def answer_of(state: Path) -> str:
    """Return the text of the answer; empty: there is none."""
    return _text_of(state / "incoming" / ANSWER)


def trust_of(state: Path) -> tuple[tuple[str, int], ...]:
    """Return the versions of the trusted metadata."""
    found = [(role, state / "trust" / f"{role}.json") for role in TRUSTED]
    return tuple((role, json.loads(path.read_bytes())["signed"]["version"]) for role, path in found if path.exists())


def tree_sha256(directory: Path) -> str:
    """Return the hash of the names and contents of the files in a directory."""
    listed = [(path.name, _sha256(path.read_bytes())) for path in sorted(directory.iterdir())]
    return _sha256(repr(listed).encode())


def said_line(said: Said) -> bytes:
    """Return what is said as a line."""
    return to_json(said) + b"\n"


def _text_of(path: Path) -> str:
    return path.read_text(encoding="utf-8") if path.exists() else ""


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
