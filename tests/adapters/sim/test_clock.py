"""The simulated clock."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from edge.adapters.clock import SimClock

START = datetime(2026, 11, 21, 21, 0, tzinfo=UTC)


def test_time_stands_still_until_it_is_told_to_go_on() -> None:
    """Only ``advance`` and ``wait`` move it, both clocks together."""
    clock = SimClock(START)
    assert (0, START) == (clock.monotonic_ns(), clock.wall())
    clock.advance(1.5)
    clock.wait(0.5)
    assert (2_000_000_000, START + timedelta(seconds=2)) == (clock.monotonic_ns(), clock.wall())


def test_a_wall_step_leaves_monotonic_time_alone() -> None:
    """NTP may set the wall time; no timeout notices."""
    clock = SimClock(START)
    clock.step_wall(-3600)
    assert (0, START - timedelta(hours=1)) == (clock.monotonic_ns(), clock.wall())


def test_a_reboot_begins_another_boot_and_no_wall_step_does() -> None:
    """A boot has its own name and begins at zero, while monotonic time goes on; setting the wall time is no reboot."""
    clock = SimClock(START)
    clock.advance(5.0)
    first = clock.boot()
    clock.step_wall(86400.0)
    assert first == clock.boot()
    clock.reboot()
    clock.advance(2.0)
    second = clock.boot()
    assert (5_000_000_000, 2_000_000_000, 7_000_000_000) == (first.since_ns, second.since_ns, clock.monotonic_ns())
    assert first.boot_id != second.boot_id


def test_time_does_not_run_backwards() -> None:
    """A negative step is a mistake of the caller, and said so."""
    with pytest.raises(ValueError, match="backwards"):
        SimClock(START).advance(-0.1)


def test_speed_keeps_pace_with_a_real_clock() -> None:
    """With a speed, simulated seconds take real ones, and what drawing took is part of them, not added to them."""
    real = SimClock(START)
    clock = SimClock(START, speed=10.0, real=real)
    for _ in range(20):
        clock.advance(0.5)
        real.advance(0.04)
    assert 1_040_000_000 == real.monotonic_ns()


def test_a_machine_that_is_too_slow_does_not_wait() -> None:
    """Behind its pace the clock never waits, and catches up when it can."""
    real = SimClock(START)
    clock = SimClock(START, speed=1.0, real=real)
    clock.advance(0.1)
    real.advance(5.0)
    clock.advance(0.1)
    assert 5_100_000_000 == real.monotonic_ns()
