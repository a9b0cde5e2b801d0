"""The door's state machine."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.door import OPEN_STATES, TABLE, Door, DoorEvent, DoorState, DoorTimes, IllegalEventError, command_for
from edge.messages import REST, BoltAction

TIMES = DoorTimes(open_s=6.0, hold_off_s=120.0)
SECOND_NS = 1_000_000_000
TIMELESS = {(DoorState.WATCHING, DoorEvent.TIMEOUT), (DoorState.FAULT, DoorEvent.TIMEOUT)}


def test_every_pair_is_decided() -> None:
    """Every state takes every event, but for a timeout where nothing is timed."""
    assert set(itertools.product(DoorState, DoorEvent)) - TIMELESS == set(TABLE)


def test_an_illegal_event_changes_nothing() -> None:
    """An event without an entry raises and leaves the door as it was."""
    door = Door(TIMES)
    with pytest.raises(IllegalEventError):
        door.happen(DoorEvent.TIMEOUT, 0)
    assert DoorState.WATCHING is door.state


def test_an_admitted_cat_that_does_not_come_in_finds_the_door_closed_again() -> None:
    """Open lasts open_s, not a tick less and not a tick more."""
    door = Door(TIMES)
    door.happen(DoorEvent.ADMIT, 0)
    states = [door.pass_time(6 * SECOND_NS - 1), door.pass_time(6 * SECOND_NS)]
    assert [DoorState.ADMITTED, DoorState.WATCHING] == states


def test_the_bolt_does_not_close_on_a_cat() -> None:
    """While the flap is open after admission no time closes the door; the flap's own closing does."""
    door = Door(TIMES)
    door.happen(DoorEvent.ADMIT, 0)
    door.happen(DoorEvent.FLAP_OPENED, SECOND_NS)
    still_open = door.pass_time(10_000 * SECOND_NS)
    closed = door.happen(DoorEvent.FLAP_CLOSED, 10_001 * SECOND_NS)
    assert (DoorState.PASSING, DoorState.WATCHING) == (still_open, closed)


def test_prey_holds_the_door_off_for_the_owners_time() -> None:
    """After prey nobody is admitted until hold_off_s is over; prey seen again starts the time anew."""
    door = Door(TIMES)
    door.happen(DoorEvent.PREY, 0)
    door.happen(DoorEvent.PREY, 100 * SECOND_NS)
    states = [
        door.happen(DoorEvent.ADMIT, 110 * SECOND_NS),
        door.pass_time(219 * SECOND_NS),
        door.pass_time(220 * SECOND_NS),
    ]
    assert [DoorState.HOLD_OFF, DoorState.HOLD_OFF, DoorState.WATCHING] == states


def test_a_fault_is_latched() -> None:
    """No event leads out of a fault."""
    after = {state for (before, _), state in TABLE.items() if before is DoorState.FAULT}
    assert {DoorState.FAULT} == after


@given(st.lists(st.tuples(st.sampled_from(DoorEvent), st.integers(0, 10 * SECOND_NS)), max_size=40))
def test_only_admission_and_the_button_open(events: list[tuple[DoorEvent, int]]) -> None:
    """No other event leads from a closed state to an open one, in any order of events."""
    door, now_ns = Door(TIMES), 0
    for event, step_ns in events:
        before = door.state
        now_ns += step_ns
        try:
            after = door.happen(event, now_ns)
        except IllegalEventError:
            after = before
        if before not in OPEN_STATES and after in OPEN_STATES:
            assert True is (event in (DoorEvent.ADMIT, DoorEvent.BUTTON))


@pytest.mark.parametrize(
    ("kind", "entry_open", "expected"),
    [
        ("power_to_unlock", True, BoltAction.ENERGISE),
        ("power_to_unlock", False, BoltAction.REST),
        ("power_to_lock", True, BoltAction.REST),
        ("power_to_lock", False, BoltAction.ENERGISE),
    ],
)
def test_power_means_what_the_lock_says(kind: str, entry_open: bool, expected: BoltAction) -> None:
    """The lock's kind says whether power unlocks or locks; rest carries no lease, power always does."""
    command = command_for(entry_open=entry_open, lock_kind=kind, lease_s=0.5)
    assert (expected, 0.5 if expected is BoltAction.ENERGISE else REST.lease_s) == (command.action, command.lease_s)
