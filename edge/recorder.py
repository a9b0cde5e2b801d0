"""Where a finished visit goes: one journal row, one canonical log line, perhaps one spool record. Floor 4.

A full, read-only or broken disk never reaches the loop: journal and spool count what they could not keep, and the log
line says so.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import structlog

from edge.canonical import VisitSummary, summary
from edge.errors import HardwareError
from edge.house import Lasting
from edge.worth import Thresholds, draw_of, worth

if TYPE_CHECKING:
    from edge.journal import Journal
    from edge.messages import Label, Mode, Visit
    from edge.ports import Clock
    from edge.spool import Spool


class Listener(Protocol):
    """Whoever wants to hear of visits as they end."""

    def __call__(self, visit: Visit, line: VisitSummary) -> None:
        """Take a visit and its canonical line."""


def no_listener(visit: Visit, line: VisitSummary) -> None:
    """Hear nothing."""


@dataclass(frozen=True, slots=True)
class Keeping:
    """What is worth keeping: the bounds a visit was judged against, and the share of confident ones kept as well."""

    thresholds: Thresholds
    random_share: float


class Recorder:
    """The Record port over the real journal and the real spool."""

    def __init__(
        self, journal: Journal, spool: Spool, clock: Clock, keeping: Keeping, listener: Listener = no_listener
    ) -> None:
        """Take an open journal and spool; ``listener`` hears each visit after it was kept."""
        self._journal = journal
        self._spool = spool
        self._clock = clock
        self._keeping = keeping
        self._listener = listener
        self._log = structlog.get_logger("catflap")

    def visit(self, visit: Visit) -> None:
        """Keep a finished visit."""
        draw = draw_of(visit.visit_id, visit.config_hash)
        chosen = worth(visit, self._keeping.thresholds, self._keeping.random_share, draw)
        outcome = "not_chosen" if chosen is None else str(self._spool.put(visit, chosen))
        rule = None if chosen is None else str(chosen.rule)
        self._journal.add_visit(visit, rule, outcome)
        line = summary(visit, rule, outcome)
        self._log.info("visit", **line.fields())
        self._listener(visit, line)

    def event(self, kind: str, detail: str) -> None:
        """Keep something that happened outside the course of a visit."""
        self._journal.add_event(self._clock.wall(), kind, detail)
        self._log.warning(kind, detail=detail)

    def house(self, mode: Mode | None, *, panic: bool) -> None:
        """Keep the mode and the panic lock."""
        self._journal.save_house(self._clock.wall(), Lasting(mode, panic))

    def heat(self, heat_s: float) -> None:
        """Keep the coil's stored heat."""
        self._journal.save_heat(self._clock.wall(), heat_s, self._clock.boot())

    def label(self, visit_id: str, label: Label) -> str | None:
        """Keep what the owner says that a finished visit was; return why it cannot be, None where it is."""
        try:
            known = self._journal.label(self._clock.wall(), visit_id, label)
        except HardwareError as error:
            return str(error)
        return None if known else f"the journal knows no visit {visit_id}"
