"""Cut the power, and fail the disk, at every file-system call of every step that the model slots take.

    make slot-faults        or        python tools/slot_faults.py --write docs/push.md

Each step (install, trial, promotion, rollback, and the automatic ones) is done once undisturbed, which gives the state
before, the state after and the number of calls. Then it is done again for every call and every fault: the power goes
there (and names that were not synced are kept, lost, or half of them), or the call fails with EIO or ENOSPC, once or
from there on. After each the flap is started anew. Its state, every bundle that it names read back and verified, must
be exactly the old one or the new one; a step that said it was done must be done; nothing else may lie about; and the
next update must install, go on trial and be promoted.

One JSON line for each step; exit status 1 when anything was broken.
"""

from __future__ import annotations

import argparse
import errno
import json
import re
import shutil
import sys
import tempfile
from collections import Counter
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any

from faults import CutFiles, ErrnoFiles, Fate, FaultFiles, PowerCut
from pages import replaced
from small_bundles import record_of, small_bundle

from edge import bundle as bundles
from edge.codec import to_json
from edge.errors import CatflapError
from edge.slots import MODELS, SlotName, Slots, TrialKind

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from edge.bundle import Bundle

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
BOOT, NEXT_BOOT = "boot-1", "boot-2"


class Fault(StrEnum):
    """What happens at a call."""

    KILL_KEPT = "kill, names kept"
    KILL_HALF = "kill, half of the names kept"
    KILL_LOST = "kill, names lost"
    EIO = "EIO once"
    EIO_LASTING = "EIO from there on"
    ENOSPC = "ENOSPC once"
    ENOSPC_LASTING = "ENOSPC from there on"


KILLS = {Fault.KILL_KEPT: Fate.KEPT, Fault.KILL_HALF: Fate.HALF, Fault.KILL_LOST: Fate.LOST}
ERRORS = {
    Fault.EIO: (errno.EIO, False),
    Fault.EIO_LASTING: (errno.EIO, True),
    Fault.ENOSPC: (errno.ENOSPC, False),
    Fault.ENOSPC_LASTING: (errno.ENOSPC, True),
}


@dataclass(frozen=True, slots=True)
class Sources:
    """Bundles to install, by version, and one that is the factory's."""

    directory: Path

    def of(self, version: str) -> Path:
        """Return the bundle of a version, made at first use."""
        path = self.directory / version
        return path if path.is_dir() else small_bundle(path, version)

    def install(self, slots: Slots, version: str) -> None:
        """Install one."""
        slots.install(self.of(version), record_of(self.of(version)))

    def champion(self, slots: Slots, version: str) -> None:
        """Install one and bring it all the way to champion that has settled."""
        self.install(slots, version)
        slots.begin_trial(TrialKind.SHADOW)
        slots.promote("the gate")
        slots.settled()


@dataclass(frozen=True, slots=True)
class Step:
    """``act`` is what faults are injected into; ``prepare`` brings the slots to where it begins."""

    name: str
    prepare: Callable[[Slots, Sources], None]
    act: Callable[[Slots, Sources], None]


def _two_champions(slots: Slots, sources: Sources) -> None:
    sources.champion(slots, "1.0.0")
    sources.champion(slots, "2.0.0")


def _shadow(slots: Slots, sources: Sources) -> None:
    sources.champion(slots, "1.0.0")
    sources.install(slots, "2.0.0")
    slots.begin_trial(TrialKind.SHADOW)


def _waiting(slots: Slots, sources: Sources) -> None:
    sources.champion(slots, "1.0.0")
    sources.install(slots, "2.0.0")


def _ran_on_trial(slots: Slots, sources: Sources) -> None:
    _shadow(slots, sources)
    slots.started(BOOT)


def _ran_on_probation(slots: Slots, sources: Sources) -> None:
    _shadow(slots, sources)
    slots.started(BOOT)
    slots.promote("the gate")


def _damaged_champion(slots: Slots, sources: Sources) -> None:
    _two_champions(slots, sources)
    model = slots.bundle_directory(slots.state().champion) / bundles.FILES[0]
    model.write_bytes(b"worn out")


def _start(slots: Slots, _: Sources) -> None:
    start = slots.started(BOOT)
    if start.alarm is not None:
        raise OSError(start.alarm)


STEPS = (
    Step("install, the first ever", lambda *_: None, lambda slots, sources: sources.install(slots, "3.0.0")),
    Step("install over the previous", _two_champions, lambda slots, sources: sources.install(slots, "3.0.0")),
    Step("install over a candidate on trial", _shadow, lambda slots, sources: sources.install(slots, "3.0.0")),
    Step("install over a damaged champion", _damaged_champion, lambda slots, sources: sources.install(slots, "3.0.0")),
    Step("begin a shadow trial", _waiting, lambda slots, _: _done(slots.begin_trial(TrialKind.SHADOW))),
    Step("go on to A/B", _shadow, lambda slots, _: _done(slots.begin_trial(TrialKind.AB, 0.2))),
    Step("promote", _shadow, lambda slots, _: _done(slots.promote("the gate"))),
    Step("throw the candidate out", _shadow, lambda slots, _: _done(slots.roll_back("worse"))),
    Step("roll back to the previous", _two_champions, lambda slots, _: _done(slots.roll_back("drift"))),
    Step(
        "roll back to the factory's",
        lambda slots, sources: sources.champion(slots, "1.0.0"),
        lambda slots, _: _done(slots.roll_back("drift")),
    ),
    Step("start, the daemon died on trial", _ran_on_trial, _start),
    Step("start, the daemon died on probation", _ran_on_probation, _start),
    Step("settle after a promotion", _ran_on_probation, lambda slots, _: slots.settled()),
)


def _done(_: object) -> None:
    """Take what a step says of itself."""


@dataclass(frozen=True, slots=True)
class View:
    """What a flap would go by: the pointer, the verified bundle of each filled slot, and who decides."""

    pointer: str
    found: tuple[tuple[SlotName, str], ...]
    champion: SlotName | None
    alarms: int


@dataclass(slots=True)
class Outcome:
    """What the faults of one step came to."""

    step: str
    calls: int
    faults: Counter[str] = field(default_factory=Counter)
    ends: Counter[str] = field(default_factory=Counter)
    broken: list[str] = field(default_factory=list)

    def line(self) -> dict[str, Any]:
        """Return it as one JSON line's content."""
        return {
            "figure": "slot_faults",
            "step": self.step,
            "calls": self.calls,
            "faults": dict(self.faults),
            "ends": dict(self.ends),
            "value": len(self.broken),
            "unit": "broken",
            "first_broken": self.broken[:3],
        }


class Bench:
    """A place where the steps are done and disturbed."""

    def __init__(self, place: Path) -> None:
        """Work under ``place``."""
        self._place = place
        self._sources = Sources(place / "sources")
        self._factory = self._sources.of("0.1.0")
        self._numbered = 0
        self._verified: dict[tuple[tuple[str, bytes], ...], Bundle] = {}

    def slots(self, files: FaultFiles) -> Slots:
        """Return the slots as a process would open them: reading a bundle is a call of the disk as well."""

        def load(directory: Path) -> Bundle:
            files.called(changes=False)
            return self._load(directory)

        return Slots(files.root / MODELS, files, factory=self._factory, now=lambda: NOW, load=load, wait_s=0)

    def outcome(self, step: Step, faults: tuple[Fault, ...] = tuple(Fault), stride: int = 1) -> Outcome:
        """Disturb a step at every ``stride``-th call."""
        template, old, new, calls = self._undisturbed(step)
        outcome = Outcome(step.name, calls)
        for fault in faults:
            for call in range(1, calls + 1, stride):
                root = self._copy(template)
                said_done = self._disturbed(step, failing(root, fault, call))
                outcome.faults[kind_of(fault)] += 1
                self._judge(outcome, f"{fault} at call {call}", root, (old, new), said_done=said_done)
                shutil.rmtree(root)
        return outcome

    def twice(self, step: Step, fates: tuple[Fate, ...] = tuple(Fate), stride: int = 1) -> Outcome:
        """Cut the power at every ``stride``-th call, and once more at every call of the start that follows."""
        template, old, new, calls = self._undisturbed(step)
        outcome = Outcome(f"{step.name}, then again while it is put right", calls)
        for fate in fates:
            for call in range(1, calls + 1, stride):
                torn = self._copy(template)
                self._disturbed(step, CutFiles(torn, call, fate))
                for again in self._cuts_of_recovery(torn):
                    root = self._copy(torn)
                    self._recover(CutFiles(root, again, fate))
                    outcome.faults["kill twice"] += 1
                    self._judge(outcome, f"{fate} at {call}, then {again}", root, (old, new), said_done=False)
                    shutil.rmtree(root)
                shutil.rmtree(torn)
        return outcome

    def _load(self, directory: Path) -> Bundle:
        """Read all of a bundle; the same bytes as once before need not be verified again."""
        content = tuple((path.name, path.read_bytes()) for path in sorted(directory.glob("*")))
        if content not in self._verified:
            self._verified[content] = bundles.load(directory)
        return replace(self._verified[content], directory=directory)

    def _undisturbed(self, step: Step) -> tuple[Path, View, View, int]:
        """Return where the slots are as the step finds them, what is seen before and after, and the calls it takes."""
        template = self._new()
        step.prepare(self.slots(FaultFiles(template)), self._sources)
        root = self._copy(template)
        files = FaultFiles(root)
        old = self._view(root)
        step.act(self.slots(files), self._sources)
        new = self._view(root)
        if old == new:
            raise RuntimeError(f"{step.name}: changes nothing")
        return template, old, new, files.calls

    def _disturbed(self, step: Step, files: FaultFiles) -> bool:
        """Do a step on a disk that fails; return whether it said that it was done."""
        try:
            step.act(self.slots(files), self._sources)
        except (PowerCut, CatflapError, OSError):
            return False
        return True

    def _recover(self, files: FaultFiles) -> None:
        """Take the lock as the first step after a start does; what a cut left is put right by that."""
        try:
            self.slots(files).written(0)
        except PowerCut:
            return

    def _cuts_of_recovery(self, torn: Path) -> range:
        root = self._copy(torn)
        files = FaultFiles(root)
        self._recover(files)
        shutil.rmtree(root)
        return range(1, files.calls + 1)

    def _judge(self, outcome: Outcome, what: str, root: Path, ways: tuple[View, View], *, said_done: bool) -> None:
        old, new = ways
        champion = self.slots(FaultFiles(root)).champion()  # before anything is put right: the flap works meanwhile
        if (champion.slot, len(champion.alarms)) not in {(way.champion, way.alarms) for way in ways}:
            outcome.broken.append(f"{what}: at once: slot {champion.slot}: {'; '.join(champion.alarms)}")
            return
        self._recover(FaultFiles(root))
        seen = self._view(root)
        outcome.ends["old" if seen == old else "new"] += 1
        if seen != new and (said_done or seen != old):
            outcome.broken.append(f"{what}: {seen}")
        complaint = self._left_over(root, seen) or self._cannot_go_on(root)
        if complaint:
            outcome.broken.append(f"{what}: {complaint}")

    def _view(self, root: Path) -> View:
        slots = self.slots(FaultFiles(root))
        state, champion, found = slots.state(), slots.champion(), []
        for record in state.records:
            try:
                found.append((record.slot, slots.verified(record.slot).manifest_sha256))
            except CatflapError as error:
                found.append((record.slot, self._without_place(str(error))))
        pointer = self._without_place(to_json(state).decode())
        return View(pointer, tuple(found), champion.slot, len(champion.alarms))

    def _without_place(self, text: str) -> str:
        """Return a text without the copies' directories, which a reason may name."""
        return re.sub(rf"{re.escape(str(self._place))}/\d+", "", text)

    def _left_over(self, root: Path, seen: View) -> str:
        known = {".lock", "slots.json", *(slot.value for slot, _ in seen.found)}
        strange = {path.name for path in (root / MODELS).iterdir()} - known
        return f"left over: {', '.join(sorted(strange))}" if strange else ""

    def _cannot_go_on(self, root: Path) -> str:
        """Return why the flap cannot start and be updated again; nothing where it can."""
        slots = self.slots(FaultFiles(root))
        try:
            slots.started(NEXT_BOOT)
            self._sources.champion(slots, "9.0.0")
        except (CatflapError, OSError) as error:
            return f"cannot be updated again: {error}"
        champion = slots.champion()
        good = champion.bundle is not None and champion.bundle.manifest.version == "9.0.0" and not champion.alarms
        return "" if good else f"runs slot {champion.slot} after the next update: {champion.alarms}"

    def _new(self) -> Path:
        self._numbered += 1
        path = self._place / str(self._numbered)
        path.mkdir()
        return path

    def _copy(self, template: Path) -> Path:
        return shutil.copytree(template, self._new(), dirs_exist_ok=True)


def failing(root: Path, fault: Fault, call: int) -> FaultFiles:
    """Return a disk on which this happens at a call, counted from 1."""
    if fault in KILLS:
        return CutFiles(root, call, KILLS[fault])
    number, lasting = ERRORS[fault]
    return ErrnoFiles(root, call, number, lasting=lasting, reads_too=True)


def kind_of(fault: Fault) -> str:
    """Return the column that a fault is counted in."""
    return "kill" if fault in KILLS else fault.split()[0]


def outcomes(place: Path) -> Iterator[Outcome]:
    """Disturb every step in every way; then cut the power twice in the steps that move directories."""
    bench = Bench(place)
    for step in STEPS:
        yield bench.outcome(step)
    for step in STEPS[:4]:
        yield bench.twice(step, (Fate.LOST,))


def page(results: list[Outcome]) -> str:
    """Return the figures as a table."""
    kinds = ("kill", "EIO", "ENOSPC", "kill twice")
    rows = [
        f"| {entry.step} | {entry.calls} | {' | '.join(str(entry.faults[kind] or '') for kind in kinds)} "
        f"| {entry.ends['old']} | {entry.ends['new']} | {len(entry.broken)} |"
        for entry in results
    ]
    head = f"| step | calls | {' | '.join(kinds)} | ended old | ended new | broken |"
    total = sum(entry.faults.total() for entry in results)
    broken = sum(len(entry.broken) for entry in results)
    lead = f"{total} faults, each followed by a start and a whole further update; **{broken} broken**."
    return "\n".join([lead, "", head, "|---" + "|--:" * 8 + "|", *rows])


def main() -> int:
    """Inject all there is and print what it came to."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--write", type=Path, metavar="FILE", help="put the figures between the marks in this file")
    options = parser.parse_args()
    memory = Path("/dev/shm")  # noqa: S108 - a directory of its own is made in it
    results = []
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as place:
        for entry in outcomes(Path(place)):
            print(json.dumps(entry.line()), flush=True)
            results.append(entry)
    if options.write is not None:
        text = options.write.read_text(encoding="utf-8")
        options.write.write_text(replaced(text, "slot-faults", page(results)), encoding="utf-8")
    return 1 if any(entry.broken for entry in results) else 0


if __name__ == "__main__":
    sys.exit(main())
