"""What the slots say. Part of floor 4."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from edge.errors import CatflapError

if TYPE_CHECKING:
    from edge.bundle import Bundle

FORMAT = 1


class SlotName(StrEnum):
    """Where a bundle lies. The factory's ships with the program and is only ever read; the others are filled."""

    FACTORY = "factory"
    A = "a"
    B = "b"


FILLED = (SlotName.A, SlotName.B)
"""The slots that an update may fill."""


class TrialKind(StrEnum):
    """How a candidate is tried."""

    SHADOW = "shadow"  # it scores what the champion has decided, and decides nothing
    AB = "ab"  # it decides a share of the visits


class TransitionKind(StrEnum):
    """What became of a bundle."""

    INSTALLED = "installed"
    TRIAL_BEGUN = "trial_begun"
    PROMOTED = "promoted"
    THROWN_OUT = "thrown_out"  # a candidate that was not promoted
    ROLLED_BACK = "rolled_back"  # a champion that gave way to the one before it, or to the factory's
    LOST = "lost"  # nobody knows any more what is in the slots: the pointer could not be read


@dataclass(frozen=True, slots=True)
class Trial:
    """A trial that goes on. ``share`` of the visits is decided by the candidate, 0..1, by a shadow none.

    ``attempts`` counts the resets of the whole machine (power cuts, most likely) that were not held against it.
    """

    slot: SlotName
    kind: TrialKind
    since: str
    share: float
    attempts: int


@dataclass(frozen=True, slots=True)
class SlotRecord:
    """What was put into a slot: ``sha256`` is the manifest's, ``key_ids`` those of the keys that signed for it.

    ``since`` is UTC as the flap's clock had it, ``why`` the sender's or the program's reason in one line.
    """

    slot: SlotName
    model_id: str
    version: str
    sha256: str
    since: str
    key_ids: tuple[str, ...]
    why: str


@dataclass(frozen=True, slots=True)
class Transition:
    """One step, for the journal. ``model_id`` in ``slot`` is what it is about, ``champion`` who decides after it."""

    sequence: int
    kind: TransitionKind
    at: str
    slot: SlotName
    model_id: str
    champion: SlotName
    why: str

    def __str__(self) -> str:
        """Return it in one line."""
        subject = f"{self.model_id} in slot {self.slot}" if self.model_id else "all slots"
        return f"{self.kind}: {subject}: {self.why}; champion: slot {self.champion}"


@dataclass(frozen=True, slots=True)
class ThrownOut:
    """The last bundle that left its slot for not being good enough: it does not come back by itself."""

    record: SlotRecord
    at: str
    why: str


@dataclass(frozen=True, slots=True)
class Run:
    """A run of the daemon that has begun and not ended in order. ``boot`` names the run of the kernel below it."""

    boot: str
    settled: bool


@dataclass(frozen=True, slots=True)
class SlotsState:
    """``slots.json``: the one pointer. Whatever it does not name does not count, wherever it lies.

    Attributes:
        format: of the file.
        champion: whose model decides.
        previous: who takes over should the champion fail; None: the factory's.
        trial: the trial that goes on.
        records: what is in the slots that were filled; one that is neither champion nor previous is the candidate.
        resets: starts of the daemon in a row of which none came to settle.
        probation: whether the champion has yet to settle once.
        run: the daemon's run, until it ends in order.
        highest_version: ``edge.slots.rank`` of the highest version that was ever put into a slot. It only grows.
        highest_sha256: the manifest's hash of that bundle.
        thrown_out: the last that was.
        history: the last transitions, oldest first.
        journalled: the sequence number up to which they are in the journal.
    """

    format: int
    champion: SlotName
    previous: SlotName | None
    trial: Trial | None
    records: tuple[SlotRecord, ...]
    resets: int
    probation: bool
    run: Run | None
    highest_version: int
    highest_sha256: str
    thrown_out: ThrownOut | None
    history: tuple[Transition, ...]
    journalled: int

    def record(self, slot: SlotName | None) -> SlotRecord | None:
        """Return what was put into a slot, None for an empty one and for the factory's."""
        return next((record for record in self.records if record.slot == slot), None)

    @property
    def candidate(self) -> SlotName | None:
        """The slot of a bundle that is on trial or waits for one."""
        taken = (self.champion, self.previous)
        return next((record.slot for record in self.records if record.slot not in taken), None)

    @property
    def unwritten(self) -> tuple[Transition, ...]:
        """The transitions that are not in the journal yet."""
        return tuple(entry for entry in self.history if entry.sequence > self.journalled)


NOTHING_FILLED = SlotsState(
    format=FORMAT,
    champion=SlotName.FACTORY,
    previous=None,
    trial=None,
    records=(),
    resets=0,
    probation=False,
    run=None,
    highest_version=0,
    highest_sha256="",
    thrown_out=None,
    history=(),
    journalled=0,
)
"""A flap that runs what it came with."""


@dataclass(frozen=True, slots=True, eq=False)
class Champion:
    """The bundle that decides, verified, and the slot it lies in; None: rules only (chip and schedule).

    ``alarms`` has a line for every slot that should have come before it, and for why there is none at all.
    """

    slot: SlotName | None
    bundle: Bundle | None
    alarms: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Start:
    """How the slots are as the daemon starts: what goes into the journal, and what is on trial in this run.

    ``alarm`` says why the start could not be counted: then nothing is on trial in it, whatever the pointer says.
    """

    transitions: tuple[Transition, ...]
    trial: Trial | None
    alarm: str | None


class SlotRefusedError(CatflapError):
    """What was asked of the slots does not fit what is in them; nothing was changed."""
