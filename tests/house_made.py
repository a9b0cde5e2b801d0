"""A house for tests: rules, a clock that is moved by hand, and a record that can be read."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from zoneinfo import ZoneInfo

from edge.adapters.clock import SimClock
from edge.hours import Curfew, span_of
from edge.house import HouseRules, HouseState, Lasting, OnBadClock
from edge.housekeeper import HouseKeeper
from edge.messages import Label, Mode, Visit
from edge.walltime import WallWatch

BERLIN = ZoneInfo("Europe/Berlin")
CURFEW = Curfew(span_of("22:00-06:00"), tuple(range(7)), 0)
TOMS_HOURS = (span_of("06:00-09:00"), span_of("17:00-20:00"))


@dataclass
class Book:
    """The Record port, in memory, with every word."""

    events: list[tuple[str, str]] = field(default_factory=list)
    houses: list[Lasting] = field(default_factory=list)
    labels: list[tuple[str, Label]] = field(default_factory=list)

    def visit(self, visit: Visit) -> None:
        """Refuse: nobody here makes one."""
        raise AssertionError(visit)

    def event(self, kind: str, detail: str) -> None:
        """Keep an event."""
        self.events.append((kind, detail))

    def house(self, mode: Mode | None, *, panic: bool) -> None:
        """Keep a mode and a panic lock."""
        self.houses.append(Lasting(mode, panic))

    def heat(self, heat_s: float) -> None:
        """Forget it."""

    def label(self, visit_id: str, label: Label) -> str | None:
        """Keep it; only visits of one day are known."""
        if not visit_id.startswith("20261121"):
            return f"the journal knows no visit {visit_id}"
        self.labels.append((visit_id, label))
        return None

    @property
    def kinds(self) -> list[str]:
        """The kinds of the events, in order."""
        return [kind for kind, _ in self.events]


@dataclass
class House:
    """A housekeeper on a clock that stands in Berlin."""

    keeper: HouseKeeper
    clock: SimClock
    book: Book

    @property
    def now_ns(self) -> int:
        """The monotonic time."""
        return self.clock.monotonic_ns()


def house(
    local: str = "2026-11-04T12:00",
    *,
    rules: HouseRules | None = None,
    state: HouseState | None = None,
    synchronised: bool = True,
) -> House:
    """Return a house at a local time; without rules of its own everybody may come in at any hour."""
    clock, book = SimClock(datetime.fromisoformat(local).replace(tzinfo=BERLIN)), Book()
    clock.set_synchronised(synchronised)
    keeper = HouseKeeper(rules or rules_of(), WallWatch(BERLIN), clock, book, state or HouseState())
    return House(keeper, clock, book)


def rules_of(
    mode: Mode = Mode.IN_AND_OUT,
    curfew: Curfew | None = None,
    on_bad_clock: OnBadClock = OnBadClock.IGNORE_HOURS,
) -> HouseRules:
    """Return rules for Mimi, who has no hours, and Tom, who has."""
    return HouseRules(mode, curfew, on_bad_clock, (("Mimi", ()), ("Tom", TOMS_HOURS)))
