"""What the spool says. Part of floor 3."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from edge.messages import VerdictKind
    from edge.worth import Rule


class Reason(StrEnum):
    """Why a visit is not, or no longer, in the spool."""

    MAX_BYTES = "max_bytes"  # it made room under spool.max_bytes
    MIN_FREE = "min_free"  # it made room under spool.min_free_bytes
    TOO_LARGE = "too_large"  # alone it is larger than the spool may be
    DISK_FULL = "disk_full"  # the disk is too full, and dropping all the others would not help
    READ_ONLY = "read_only"
    IO_ERROR = "io_error"
    DUPLICATE = "duplicate"  # its name is taken
    MALFORMED = "malformed"  # it cannot be written as a record
    UNFINISHED = "unfinished"  # it was found half written


@dataclass(frozen=True, slots=True)
class Counts:
    """How many visits were dropped: one field for each ``Reason``."""

    max_bytes: int = 0
    min_free: int = 0
    too_large: int = 0
    disk_full: int = 0
    read_only: int = 0
    io_error: int = 0
    duplicate: int = 0
    malformed: int = 0
    unfinished: int = 0

    def of(self, reason: Reason) -> int:
        """Return the count of one reason."""
        return int(getattr(self, reason))

    def total(self) -> int:
        """Return how many visits were dropped in all."""
        return sum(self.of(reason) for reason in Reason)

    def plus(self, reason: Reason, times: int = 1) -> Counts:
        """Return the counts with ``times`` more for a reason."""
        return replace(self, **{reason.value: self.of(reason) + times})


@dataclass(frozen=True, slots=True)
class Stored:
    """The visit is in the spool, durably, with ``key_frames`` of its pictures for people."""

    stored_bytes: int
    key_frames: int

    def __str__(self) -> str:
        """Return the canonical word for it."""
        return "stored"


@dataclass(frozen=True, slots=True)
class Dropped:
    """The visit is not in the spool; ``detail`` says in one line what the reason leaves open."""

    reason: Reason
    detail: str

    def __str__(self) -> str:
        """Return the canonical words for it."""
        return f"dropped: {self.reason}"


Outcome: TypeAlias = Stored | Dropped


@dataclass(frozen=True, slots=True)
class Entry:
    """One record in the spool. ``sequence`` grows with every put: the clock may jump, this does not."""

    visit_id: str
    sequence: int
    rule: Rule
    usefulness: float
    started: str
    verdict: VerdictKind
    stored_bytes: int
