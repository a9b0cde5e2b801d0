"""Whether the wall clock is to be believed."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from edge.adapters.clock import SimClock
from edge.walltime import SETTLE_S, STEP_S, Trust, WallWatch

BERLIN = ZoneInfo("Europe/Berlin")
YEAR_S = 365 * 86400.0


def clock_at(*when: int) -> SimClock:
    """Return a clock at a time in UTC."""
    return SimClock(datetime(*when, tzinfo=UTC))  # type: ignore[arg-type, misc] # year to minute, as datetime takes them


def look(watch: WallWatch, clock: SimClock) -> Trust:
    """Look once and return what the watch makes of it."""
    moment = watch.look(clock.wall(), clock.monotonic_ns(), synchronised=clock.synchronised())
    assert (watch.trust is Trust.GOOD) == moment.trusted
    return watch.trust


def test_a_clock_set_from_the_network_is_good() -> None:
    """The moment has the local reading of the zone, summer time included, and the monotonic time it was given."""
    watch = WallWatch(BERLIN)
    moment = watch.look(datetime(2026, 7, 1, 22, 30, tzinfo=UTC), 17, synchronised=True)
    assert ("2026-07-02 00:30 CEST", True, 17) == (f"{moment.local:%Y-%m-%d %H:%M %Z}", moment.trusted, moment.now_ns)


def test_a_clock_at_1970_is_unset() -> None:
    """A clock that shows a time before this was written is wrong, whatever the machine says of it."""
    assert Trust.UNSET is look(WallWatch(BERLIN), clock_at(1970, 1, 1))


def test_a_clock_that_nobody_has_set_is_not_believed() -> None:
    """A Pi that starts with the time of its last power cut may be off by any number of hours."""
    clock = clock_at(2026, 11, 1, 19)
    clock.set_synchronised(False)
    assert Trust.UNSYNCHRONISED is look(WallWatch(BERLIN), clock)


def test_a_clock_put_right_by_the_network_is_good_soon() -> None:
    """1970, then the network comes: the step is waited out, then the clock is believed."""
    watch, clock = WallWatch(BERLIN), clock_at(1970, 1, 1)
    clock.set_synchronised(False)
    seen = [look(watch, clock)]
    clock.step_wall(57 * YEAR_S)
    clock.set_synchronised(True)
    seen.append(look(watch, clock))
    clock.advance(SETTLE_S - 0.1)
    seen.append(look(watch, clock))
    clock.advance(0.1)
    seen.append(look(watch, clock))
    assert [Trust.UNSET, Trust.STEPPED, Trust.STEPPED, Trust.GOOD] == seen


def test_a_network_that_goes_away_takes_nothing_back() -> None:
    """A clock that was set runs on well enough without the network."""
    watch, clock = WallWatch(BERLIN), clock_at(2026, 11, 1)
    look(watch, clock)
    clock.set_synchronised(False)
    clock.advance(30 * 86400)
    assert Trust.GOOD is look(watch, clock)


@pytest.mark.parametrize("step_s", [-3 * 3600.0, 5 * 3600.0, 5 * YEAR_S, STEP_S + 1])
def test_a_clock_stepped_by_a_hand_is_not_believed(step_s: float) -> None:
    """Set without the network's word, forward or back, by hours or years, a clock is as good as never set."""
    watch, clock = WallWatch(BERLIN), clock_at(2027, 6, 1)
    look(watch, clock)
    clock.set_synchronised(False)
    clock.step_wall(step_s)
    seen = [look(watch, clock)]
    clock.advance(10 * SETTLE_S)
    seen.append(look(watch, clock))
    assert [Trust.UNSYNCHRONISED, Trust.UNSYNCHRONISED] == seen


def test_a_small_correction_is_no_step() -> None:
    """NTP's small corrections, and ticks that come late, change nothing."""
    watch, clock = WallWatch(BERLIN), clock_at(2026, 11, 1)
    look(watch, clock)
    clock.step_wall(STEP_S - 1)
    clock.advance(7200)
    assert Trust.GOOD is look(watch, clock)


def test_a_change_to_summer_time_is_no_step() -> None:
    """The clock that is watched is UTC: over both changes of a year it stays good, minute by minute."""
    watch, seen = WallWatch(BERLIN), set()
    for clock in (clock_at(2027, 3, 28, 0, 30), clock_at(2027, 10, 31, 0, 30)):
        watch = WallWatch(BERLIN)
        for _ in range(60):
            seen.add(look(watch, clock))
            clock.advance(60)
    assert {Trust.GOOD} == seen
