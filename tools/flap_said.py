"""What a flap that may lose its power says to the world, line by line, and what it must therefore still have.

A line goes out before a step begins and after the project's own call has returned: only what was said to be done is
*acknowledged*. ``Ledger`` adds the lines up.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from enum import StrEnum


class Step(StrEnum):
    """What the flap does between two lines."""

    ADOPT = "adopt"  # bind the owner's root
    VISIT = "visit"  # a visit ends: spool record and journal row
    UPLOAD = "upload"  # a record is read whole, as an uploader does
    HEAT = "heat"
    HOUSE = "house"  # mode and panic lock
    PUSH = "push"  # a repository comes into the inbox
    UPDATE = "update"  # verified, put into a slot and on trial, answered
    PROMOTE = "promote"
    ROLL_BACK = "roll_back"
    START = "start"
    SETTLE = "settle"
    WRITE_DOWN = "write_down"  # the slots' transitions go into the journal
    FOUND = "found"  # what was found after a cut


SLOT_STEPS = {
    Step.UPDATE: 2,  # installed, on trial
    Step.PROMOTE: 1,
    Step.ROLL_BACK: 1,
    Step.START: 1,
    Step.SETTLE: 0,
    Step.WRITE_DOWN: 0,
}
"""The steps that write the pointer, and how many transitions each may add."""


@dataclass(frozen=True, slots=True)
class Kept:
    """A spool record; ``sha256`` is of all its files."""

    visit_id: str
    sequence: int
    usefulness: float
    sha256: str


@dataclass(frozen=True, slots=True)
class Events:
    """The journal's events: how many, and the hash of them all."""

    count: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Stock:
    """The spool: what it keeps, and how many visits it has dropped."""

    kept: tuple[Kept, ...]
    dropped: int


@dataclass(frozen=True, slots=True)
class House:
    """Mode (empty: the configuration's) and panic lock."""

    mode: str
    panic: bool


@dataclass(frozen=True, slots=True)
class Claims:
    """What the flap says that it has; None and nothing: as before.

    Attributes:
        visits: journal rows, id and hash.
        events: the journal's events.
        heat_s: the coil's heat.
        house: mode and panic lock.
        stock: the spool.
        slots: ``slots.json``, its text.
        inbox: the files of the repository in the inbox, name and hash.
        answer: ``answer.json``, its text; empty: there is none.
        trust: the trusted metadata, role and version.
    """

    visits: tuple[tuple[str, str], ...] = ()
    events: Events | None = None
    heat_s: float | None = None
    house: House | None = None
    stock: Stock | None = None
    slots: str | None = None
    inbox: tuple[tuple[str, str], ...] | None = None
    answer: str | None = None
    trust: tuple[tuple[str, int], ...] | None = None


@dataclass(frozen=True, slots=True)
class Said:
    """One line. A step that is not ``done`` is under way; ``push`` is the number of the last push that was begun."""

    step: Step
    done: bool
    push: int
    claims: Claims = field(default_factory=Claims)


@dataclass(frozen=True, slots=True)
class Ledger:
    """What must be there, and the step that was under way: for what that one touches, old and new are both right."""

    claims: Claims = field(default_factory=Claims)
    under_way: Step | None = None
    push: int = 0

    def after(self, said: Said) -> Ledger:
        """Return the ledger after one more line."""
        old, new = (Claims() if said.step is Step.FOUND else self.claims), said.claims
        claims = Claims(
            visits=(*old.visits, *new.visits),
            events=old.events if new.events is None else new.events,
            heat_s=old.heat_s if new.heat_s is None else new.heat_s,
            house=old.house if new.house is None else new.house,
            stock=old.stock if new.stock is None else new.stock,
            slots=old.slots if new.slots is None else new.slots,
            inbox=old.inbox if new.inbox is None else new.inbox,
            answer=old.answer if new.answer is None else new.answer,
            trust=old.trust if new.trust is None else new.trust,
        )
        return replace(self, claims=claims, under_way=None if said.done else said.step, push=said.push)

    @property
    def items(self) -> int:
        """How many acknowledged things there are to be lost."""
        claims = self.claims
        kept = 0 if claims.stock is None else len(claims.stock.kept)
        events = 0 if claims.events is None else claims.events.count
        single = (claims.heat_s, claims.house, claims.slots, claims.answer)
        several = (claims.visits, claims.inbox or (), claims.trust or ())
        return kept + events + sum(map(len, several)) + sum(entry is not None for entry in single)
