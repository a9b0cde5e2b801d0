"""Times of the day as an owner writes them, and the moment at which they are asked. Floor 0.

What counts is what a clock on the wall shows: in the hour that is twice a span applies twice, and a span that lies
wholly in the hour that is missing does not come that day. Minutes of the day count from midnight, 0 to 1439; days of
the week from Monday, 0 to 6.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

DAY_MIN = 1440
WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")

SPAN_FORM = (
    'a span of the day such as "06:00-09:00" or "22:00-06:30", not of zero length ("00:00-24:00" is the whole day)'
)
_SPAN = re.compile(r"((?:[01]\d|2[0-3]):[0-5]\d)-((?:[01]\d|2[0-3]):[0-5]\d|24:00)", re.ASCII)


@dataclass(frozen=True, slots=True)
class Span:
    """A span of every day from ``start_min`` (0..1439) up to, not with, ``end_min`` (1..1440).

    One whose end is not after its start crosses midnight. It is never empty and never longer than a day.
    """

    start_min: int
    end_min: int

    @property
    def length_min(self) -> int:
        """How long it is, 1..1440 minutes."""
        return (self.end_min - self.start_min - 1) % DAY_MIN + 1

    def since(self, minute: int) -> int | None:
        """Return how many minutes ago it began at this minute of the day, or None outside it."""
        passed = (minute - self.start_min) % DAY_MIN
        return passed if passed < self.length_min else None

    def __str__(self) -> str:
        """Return it as the configuration writes it."""
        return f"{_clock(self.start_min)}-{_clock(self.end_min)}"


def span_of(text: str) -> Span:
    """Return the span that ``text`` writes.

    Raises:
        ValueError: it is none; ``SPAN_FORM`` says what would be one.
    """
    found = _SPAN.fullmatch(text)
    if found is None or found[1] == found[2]:
        raise ValueError(f"{text!r} is not {SPAN_FORM}")
    start, end = (60 * int(clock[:2]) + int(clock[3:]) for clock in found.groups())
    return Span(start, end or DAY_MIN)


@dataclass(frozen=True, slots=True)
class Curfew:
    """A span in which cats are to be at home.

    ``days`` are the days of the week on which it begins; one that crosses midnight ends on the day after. For its first
    ``come_home_min`` minutes whoever is still out may come in; a grace as long as the span is the whole night.
    """

    span: Span
    days: tuple[int, ...]
    come_home_min: int

    @property
    def all_night(self) -> bool:
        """Whether it never closes the door: whoever is out may come home at any time."""
        return self.come_home_min >= self.span.length_min

    def since(self, weekday: int, minute: int) -> int | None:
        """Return how many minutes ago, by the clock on the wall, it began; None while there is no curfew."""
        passed = self.span.since(minute)
        if passed is None:
            return None
        began_on = weekday if passed <= minute else (weekday - 1) % 7
        return passed if began_on in self.days else None

    def closes(self, passed_min: float) -> bool:
        """Return whether it keeps everybody out ``passed_min`` minutes after it began."""
        return not self.all_night and passed_min >= self.come_home_min


def ever_open(spans: tuple[Span, ...], curfew: Curfew | None) -> bool:
    """Return whether the week has a minute within ``spans`` (none: any hour) at which the curfew lets somebody in.

    If there is one, then also one at which a span begins, the curfew ends, or its grace begins.
    """
    if curfew is None or curfew.all_night:
        return True
    edges = {0, curfew.span.start_min, curfew.span.end_min % DAY_MIN, *(span.start_min for span in spans)}
    return any(
        within(spans, minute) and not ((passed := curfew.since(day, minute)) is not None and curfew.closes(passed))
        for day in range(len(WEEKDAYS))
        for minute in edges
    )


def within(spans: Iterable[Span], minute: int) -> bool:
    """Return whether a minute of the day lies within one of ``spans``; no spans at all mean any hour."""
    spans = tuple(spans)
    return not spans or any(span.since(minute) is not None for span in spans)


@dataclass(frozen=True, slots=True)
class Moment:
    """One moment on both clocks: ``local`` (aware) for hours, ``now_ns`` (monotonic) for every timeout.

    ``trusted`` is False while the wall clock is known to be wrong, or may be.
    """

    local: datetime
    trusted: bool
    now_ns: int

    @property
    def minute(self) -> int:
        """The minute of the day that a clock on the wall shows, 0..1439."""
        return 60 * self.local.hour + self.local.minute

    def minutes_since(self, reading_min: int) -> float:
        """Return the real minutes since the clock on the wall showed ``reading_min`` minutes less than it does now.

        The two differ by an hour across a change to or from daylight saving time. A reading that was missing counts
        from where it would have been (PEP 495, fold 0), one that was twice from its first time. Never negative.
        """
        began = self.local.replace(second=0, microsecond=0, fold=0) - timedelta(minutes=reading_min)
        return max(0.0, (self.local.astimezone(UTC) - began.astimezone(UTC)) / timedelta(minutes=1))

    def next_reading(self, minute: int) -> datetime:
        """Return the next reading of the clock on the wall, 1 to 1440 minutes ahead, that is this minute of the day."""
        ahead = (minute - self.minute - 1) % DAY_MIN + 1
        return self.local.replace(second=0, microsecond=0) + timedelta(minutes=ahead)


def _clock(minute: int) -> str:
    return f"{minute // 60:02d}:{minute % 60:02d}"
