"""Times of the day: spans, curfew, and both days on which the clocks change."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.hours import DAY_MIN, WEEKDAYS, Curfew, Moment, Span, ever_open, span_of, within

minutes = st.integers(0, DAY_MIN - 1)
quarters = st.integers(0, DAY_MIN // 15 - 1).map(lambda quarter: 15 * quarter)


@st.composite
def spans(draw: st.DrawFn, starts: st.SearchStrategy[int] = minutes) -> Span:
    """Draw any span there is, the whole day among them."""
    start, end = draw(starts), draw(starts)
    return Span(start, end or DAY_MIN) if start != end else Span(0, DAY_MIN)


@given(minutes, minutes)
def test_a_span_and_its_reverse_part_the_day(start: int, end: int) -> None:
    """Every minute lies in exactly one of a span and the one from its end to its start."""
    if start == end:
        return
    there, back = Span(start, end or DAY_MIN), Span(end, start or DAY_MIN)
    assert DAY_MIN == there.length_min + back.length_min
    assert [True] * DAY_MIN == [within([there], minute) != within([back], minute) for minute in range(DAY_MIN)]


@given(spans())
def test_a_span_reads_back_as_it_was_written(span: Span) -> None:
    """Written and read again a span is the same, and it holds as many minutes as it is long."""
    inside = sum(span.since(minute) is not None for minute in range(DAY_MIN))
    assert (span, span.length_min) == (span_of(str(span)), inside)


@pytest.mark.parametrize(
    ("text", "first", "last", "length_min"),
    [
        ("06:00-09:00", "06:00", "08:59", 180),
        ("22:00-06:30", "22:00", "06:29", 510),
        ("18:00-00:00", "18:00", "23:59", 360),
        ("18:00-24:00", "18:00", "23:59", 360),
        ("00:00-24:00", "00:00", "23:59", 1440),
    ],
)
def test_a_span_holds_its_start_and_not_its_end(text: str, first: str, last: str, length_min: int) -> None:
    """The first minute is the one written, the last the one before the end; midnight may lie between them."""
    span = span_of(text)
    ages = [span.since(60 * int(clock[:2]) + int(clock[3:])) for clock in (first, last)]
    assert [0, length_min - 1] == ages


@pytest.mark.parametrize(
    "text",
    ["", "6:00-9:00", "06:00", "06:00-", "06:00 - 09:00", "24:00-06:00", "06:60-07:00", "08:00-08:00", "٠٦:00-09:00",
     "00:00-00:00x", "06:00-09:00\n", "06:00-24:01", "00:00-00:00"],
)  # fmt: skip
def test_what_is_no_span_is_refused(text: str) -> None:
    """A span is written in one way, and one of zero length is none."""
    with pytest.raises(ValueError, match="is not a span of the day such as"):
        span_of(text)


def test_a_curfew_belongs_to_the_day_on_which_it_begins() -> None:
    """A Friday's curfew goes on into Saturday morning; Saturday evening has none."""
    curfew = Curfew(span_of("22:00-06:00"), (WEEKDAYS.index("fri"),), 30)
    asked = [(4, 22 * 60), (5, 5 * 60), (5, 6 * 60), (5, 23 * 60), (4, 5 * 60)]
    assert [0, 420, None, None, None] == [curfew.since(*at) for at in asked]
    from_midnight = Curfew(span_of("00:00-06:00"), (WEEKDAYS.index("fri"),), 30)
    assert [0, 300, None] == [from_midnight.since(*at) for at in ((4, 0), (4, 5 * 60), (5, 0))]


@given(
    st.lists(spans(quarters), max_size=3).map(tuple),
    spans(quarters),
    st.sets(st.integers(0, 6), min_size=1).map(lambda days: tuple(sorted(days))),
    quarters,
)
def test_a_week_that_is_ever_open_is_found(
    hours: tuple[Span, ...], span: Span, days: tuple[int, ...], grace: int
) -> None:
    """Looking at the edges alone finds an open minute exactly if looking at the whole week does."""
    curfew = Curfew(span, days, grace)
    week = [(day, minute) for day in range(7) for minute in range(0, DAY_MIN, 15)]
    ages = [(minute, curfew.since(day, minute)) for day, minute in week]
    expected = any(within(hours, minute) and not (age is not None and curfew.closes(age)) for minute, age in ages)
    assert expected == ever_open(hours, curfew)


CHANGES = [
    ("Europe/Berlin", datetime(2026, 3, 28, 23, tzinfo=UTC), 23),
    ("Europe/Berlin", datetime(2026, 10, 24, 22, tzinfo=UTC), 25),
    ("Australia/Lord_Howe", datetime(2026, 10, 3, 13, 30, tzinfo=UTC), 23.5),
    ("Australia/Lord_Howe", datetime(2026, 4, 4, 13, tzinfo=UTC), 24.5),
    ("America/Santiago", datetime(2026, 9, 6, 4, tzinfo=UTC), 23),
]
"""A zone, the instant at which its day begins, and how many hours that day has."""


def day_of(zone: str, begins: datetime, hours: float) -> list[Moment]:
    """Return every minute of one day, in the order in which they come."""
    instants = [begins + timedelta(minutes=minute) for minute in range(round(60 * hours))]
    return [Moment(instant.astimezone(ZoneInfo(zone)), trusted=True, now_ns=0) for instant in instants]


@pytest.mark.parametrize(("zone", "begins", "hours"), CHANGES)
@pytest.mark.parametrize("text", ["01:00-04:00", "02:15-02:45", "22:00-06:00", "02:30-01:30", "00:00-24:00"])
def test_the_clock_on_the_wall_decides(zone: str, begins: datetime, hours: float, text: str) -> None:
    """On every minute of a day of 23 or 25 hours a span holds what its two readings enclose, as on any other day."""
    start, end = text.split("-")
    seen, expected = [], []
    for moment in day_of(zone, begins, hours):
        reading = f"{moment.local:%H:%M}"
        expected.append(start <= reading < end if start < end else reading >= start or reading < end)
        seen.append(within([span_of(text)], moment.minute))
    assert expected == seen


@pytest.mark.parametrize(("zone", "begins", "hours"), CHANGES)
def test_the_days_are_as_long_as_they_are_said_to_be(zone: str, begins: datetime, hours: float) -> None:
    """The days above begin at their first minute and end before the next day's: the tests look at the right ones."""
    day = day_of(zone, begins, hours)
    after = (begins + timedelta(hours=hours)).astimezone(ZoneInfo(zone))
    dates = {moment.local.date() for moment in day}
    assert (1, True, True) == (len(dates), after.date() not in dates, hours != 24)


@pytest.mark.parametrize(("zone", "begins", "hours"), CHANGES)
def test_real_minutes_are_counted_across_a_change(zone: str, begins: datetime, hours: float) -> None:
    """From 00:45, or the first reading of the day, on, the minutes since then are those that passed."""
    day = day_of(zone, begins, hours)
    first = next(index for index, moment in enumerate(day) if moment.minute >= 45)
    since = [moment.minutes_since(moment.minute - day[first].minute) for moment in day[first:]]
    assert [float(minute) for minute in range(len(since))] == since


@given(st.datetimes(datetime(2026, 1, 1), datetime(2036, 1, 1)), minutes)  # noqa: DTZ001 - gets its zone below
def test_the_next_reading_is_ahead(local: datetime, minute: int) -> None:
    """The next time the clock shows a minute is later than now, by a day at most."""
    moment = Moment(local.replace(tzinfo=UTC), trusted=True, now_ns=0)
    ahead = moment.next_reading(minute)
    assert (minute, True) == (60 * ahead.hour + ahead.minute, moment.local < ahead <= moment.local + timedelta(days=1))
