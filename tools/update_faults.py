"""Cut the power, and fail the disk, at every file-system call of a whole update: trust, time floor, slots, answer.

    python tools/update_faults.py --write docs/push.md        (make slot-faults)

As ``slot_faults`` does with one step of the slots, with everything that `edge.update` does to a push that its owner's
own tool has signed; only the child that tries the bundle is left out. After each fault every file of trust must be
exactly the old one or the new one, which is what python-tuf itself leaves between two of its steps; the slots must be
as before, with the new bundle installed, or with it on trial; who said ``on trial`` must have meant it. Then the same
push must end on trial, and the owner's next one too.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tempfile
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from faults import FaultFiles, PowerCut
from pages import replaced
from push_keys import Keyring, KeyRole, PassphraseFile
from push_repository import Repository
from push_tar import pack
from slot_faults import Fault, Outcome, failing, kind_of, page
from small_bundles import small_bundle

from edge.answers import Answer, AnswerStatus
from edge.files import DiskFiles
from edge.slots import MODELS, Slots
from edge.trying import Tried
from edge.update import Parts, update
from edge.updater import bind

if TYPE_CHECKING:
    from collections.abc import Iterator

BEGAN = datetime.now(UTC).replace(microsecond=0)
TRUSTED = ("root.json", "timestamp.json", "snapshot.json", "targets.json", "time_floor")
Pushed = dict[str, bytes]


@dataclass(frozen=True, slots=True)
class View:
    """What a flap would go by: the files of trust, and of the slots who decides, how it is tried, what is installed."""

    trust: tuple[bytes | None, ...]
    slots: tuple[object, ...]


@dataclass(frozen=True, slots=True)
class Pushes:
    """What the owner signed, one after the other: the first, one after every key was rotated, and one more."""

    root: bytes
    first: Pushed
    rotated: Pushed
    last: Pushed


def signed(place: Path) -> Pushes:
    """Let an owner make keys and sign three bundles, an hour apart."""
    words = place / "words"
    words.write_text("six plain words in a row\n", encoding="utf-8")
    hours = iter(range(1000))
    keys = Keyring(place / "offline", place / "daily", PassphraseFile(words))
    repository = Repository(place / "repository", keys, lambda: BEGAN + timedelta(minutes=next(hours)))
    repository.create()
    root = repository.root_bytes()
    made = []
    for version in ("1.0.0", "2.0.0", "3.0.0"):
        if version == "2.0.0":
            for role in KeyRole:
                repository.rotate(role)
        repository.publish(pack(small_bundle(place / version, version)))
        made.append(repository.files())
    return Pushes(root, *made)


class Bench:
    """A place where updates are done and disturbed."""

    def __init__(self, place: Path) -> None:
        """Work under ``place``."""
        self._place, self._numbered = place, 0
        (place / "owner").mkdir()
        self.pushes = signed(place / "owner")
        self._factory = small_bundle(place / "factory", "0.1.0")

    def outcome(self, name: str, push: Pushed, *, after: Pushed | None, stride: int = 1) -> Outcome:
        """Disturb the update to one push at every ``stride``-th call; ``after``: what the flap has had before."""
        template = self._new()
        bind(template / "trust", self.pushes.root, DiskFiles())
        if after is not None:
            self._push(FaultFiles(template), after)
        old = self._view(template)
        self._deliver(template, push)
        whole = self._copy(template)
        files = FaultFiles(whole)
        self._update(files)
        new, outcome = self._view(whole), Outcome(name, files.calls)
        for fault in Fault:
            for call in range(1, files.calls + 1, stride):
                root = self._copy(template)
                try:
                    said_done = self._update(failing(root, fault, call)).status is AnswerStatus.ON_TRIAL
                except (PowerCut, OSError):
                    said_done = False
                outcome.faults[kind_of(fault)] += 1
                complaint = self._complaint(root, outcome, (old, new), push, said_done=said_done)
                if complaint:
                    outcome.broken.append(f"{fault} at call {call}: {complaint}")
                shutil.rmtree(root)
        return outcome

    def _complaint(
        self, root: Path, outcome: Outcome, ways: tuple[View, View], push: Pushed, *, said_done: bool
    ) -> str:
        """Return what is wrong after a fault; nothing where all is right."""
        (old, new), seen = ways, self._view(root)
        outcome.ends["new" if seen.slots == new.slots else "old"] += 1
        each = zip(TRUSTED, seen.trust, old.trust, new.trust, strict=True)
        torn = [name for name, now, *ways in each if now not in ways]
        if torn:
            return f"neither old nor new: {', '.join(torn)}"
        if seen.slots not in (old.slots, self._waiting(new), new.slots):
            return f"the slots are {seen.slots}"
        if said_done and seen.slots != new.slots:
            return "it said that it was done"
        for again in (push, self.pushes.last):
            answer = self._push(FaultFiles(root), again)
            if answer.status is not AnswerStatus.ON_TRIAL:
                return f"cannot be updated again: {answer.why}"
        return ""

    @staticmethod
    def _waiting(new: View) -> tuple[object, ...]:
        """Return the slots between the install and the beginning of the trial."""
        champion, previous, _, records = new.slots
        return champion, previous, None, records

    def _push(self, files: FaultFiles, push: Pushed) -> Answer:
        self._deliver(files.root, push)
        return self._update(files)

    def _deliver(self, root: Path, push: Pushed) -> None:
        shutil.rmtree(root / "incoming", ignore_errors=True)
        for name, data in push.items():
            path = root / "incoming" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)

    def _update(self, files: FaultFiles) -> Answer:
        tried = Tried(ok=True, why="left out here")
        parts = Parts(files, lambda: BEGAN, _nobody_hears, lambda _: tried, self._slots(files))
        return update(files.root, parts)

    def _slots(self, files: FaultFiles) -> Slots:
        return Slots(files.root / MODELS, files, factory=self._factory, now=lambda: BEGAN, wait_s=0)

    def _view(self, root: Path) -> View:
        paths = [root / "trust" / name for name in TRUSTED]
        trust = tuple(path.read_bytes() if path.exists() else None for path in paths)
        state = self._slots(FaultFiles(root)).state()
        kind = None if state.trial is None else state.trial.kind
        records = tuple(sorted((record.slot, record.sha256) for record in state.records))
        return View(trust, (state.champion, state.previous, kind, records))

    def _new(self) -> Path:
        self._numbered += 1
        path = self._place / str(self._numbered)
        path.mkdir()
        return path

    def _copy(self, template: Path) -> Path:
        return shutil.copytree(template, self._new(), dirs_exist_ok=True)


def _nobody_hears(kind: str, detail: str) -> None:
    """Keep no journal."""


def outcomes(place: Path, stride: int = 1) -> Iterator[Outcome]:
    """Disturb the first update a flap ever gets, and one that rotates every key and takes a candidate's slot."""
    bench = Bench(place)
    yield bench.outcome("a whole update, the first ever", bench.pushes.first, after=None, stride=stride)
    rotated = bench.pushes.rotated
    yield bench.outcome("a whole update, after every key was rotated", rotated, after=bench.pushes.first, stride=stride)


def main() -> int:
    """Inject all there is and print what it came to."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--write", type=Path, metavar="FILE", help="put the figures between the marks in this file")
    parser.add_argument("--stride", type=int, default=1, metavar="N", help="only every so many calls")
    options = parser.parse_args()
    memory = Path("/dev/shm")  # noqa: S108 - a directory of its own is made in it
    results = []
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as place:
        for entry in outcomes(Path(place), options.stride):
            print(json.dumps(entry.line()), flush=True)
            results.append(entry)
    if options.write is not None:
        text = options.write.read_text(encoding="utf-8")
        options.write.write_text(replaced(text, "update-faults", page(results)), encoding="utf-8")
    return 1 if any(entry.broken for entry in results) else 0


if __name__ == "__main__":
    sys.exit(main())
