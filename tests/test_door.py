"""The door's state machine and the orders to the bolt."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.door import (
    ILLEGAL,
    ORDERS,
    TABLE,
    Bolt,
    Closure,
    Door,
    DoorEvent,
    DoorState,
    DoorTimes,
    FlapSeen,
    IllegalEventError,
    Wish,
    bolt_of,
    command_for,
    order_for,
)
from edge.messages import REST, BoltAction

TIMES = DoorTimes(open_s=6.0, hold_off_s=120.0)
SECOND_NS = 1_000_000_000
OPENING = {DoorEvent.ADMIT, DoorEvent.ADMIT_UNSEEN, DoorEvent.GRANTED, DoorEvent.OVERRIDE}
EVENTS = st.lists(st.tuples(st.sampled_from(DoorEvent), st.integers(0, 10 * SECOND_NS)), max_size=40)
CLOSURES = st.sampled_from([None, *Closure])


def door_in(*events: DoorEvent) -> Door:
    """Return a door that has been through these at time 0."""
    door = Door(TIMES)
    for event in events:
        door.happen(event, 0)
    return door


def open_states() -> set[DoorState]:
    """Return the states that wish entry open."""
    return {state for state, row in TABLE.items() if row.wish is Wish.OPEN}


def test_every_pair_is_decided() -> None:
    """Every state has a row, and every row says of every event where it leads or that it is illegal."""
    pairs = {(state, event) for state, row in TABLE.items() for event in row.on}
    assert set(itertools.product(DoorState, DoorEvent)) == pairs


@pytest.mark.parametrize("state", DoorState)
@pytest.mark.parametrize("event", DoorEvent)
def test_an_illegal_event_raises_and_changes_nothing(state: DoorState, event: DoorEvent) -> None:
    """Each pair does what the table says: it leads there, or raises and leaves state and times as they were."""
    door = Door(TIMES)
    door._state = state
    before = {name: value for name, value in vars(door).items() if name != "_times"}
    after = TABLE[state].on[event]
    if after is ILLEGAL:
        with pytest.raises(IllegalEventError):
            door.happen(event, 5)
        assert before == {name: value for name, value in vars(door).items() if name != "_times"}
    else:
        door.happen(event, 5)
        # A hold-off of which nothing is left is over within the event that led to it.
        ended = {DoorState.HOLD_OFF: DoorState.HOLD_OFF if event is DoorEvent.PREY else DoorState.WATCHING}
        assert ended.get(after, after) is door.state


def test_only_evidence_the_owners_choice_and_a_person_open() -> None:
    """In the whole table four events lead from a state that is shut to one that is open, and no fifth."""
    opening = {
        event
        for state, row in TABLE.items()
        for event, after in row.on.items()
        if state not in open_states() and after in open_states()
    }
    assert OPENING == opening


def test_unseen_admission_needs_a_blind_door() -> None:
    """ADMIT_UNSEEN is illegal everywhere but in BLIND: what can be seen is judged by what is seen."""
    legal = {state for state, row in TABLE.items() if row.on[DoorEvent.ADMIT_UNSEEN] is not ILLEGAL}
    assert {DoorState.BLIND} == legal


def test_nobody_is_let_into_a_locked_house() -> None:
    """From LOCKED only the person at the button opens."""
    row = TABLE[DoorState.LOCKED]
    assert {DoorEvent.OVERRIDE} == {event for event, after in row.on.items() if after in open_states()}


def test_a_fault_is_latched_until_it_is_cleared() -> None:
    """CLEAR is the only event that leads out of a fault."""
    row = TABLE[DoorState.FAULT]
    leading_out = {event for event, after in row.on.items() if after not in (ILLEGAL, DoorState.FAULT)}
    assert {DoorEvent.CLEAR} == leading_out


def test_every_state_can_be_reached_and_left() -> None:
    """No row is dead, and no state is a trap."""
    reached = {after for state, row in TABLE.items() for after in row.on.values() if after is not state}
    left = {state for state, row in TABLE.items() if set(row.on.values()) - {state, ILLEGAL}}
    assert (set(DoorState), set(DoorState)) == (reached - {ILLEGAL}, left)


def test_an_admitted_cat_that_does_not_come_in_finds_the_door_closed_again() -> None:
    """Open lasts open_s, not a tick less and not a tick more."""
    door = door_in(DoorEvent.ADMIT)
    states = [door.pass_time(6 * SECOND_NS - 1), door.pass_time(6 * SECOND_NS)]
    assert [DoorState.ADMITTED, DoorState.WATCHING] == states


def test_no_time_ends_a_passage() -> None:
    """While the flap is open after admission no time closes the door; the flap's own closing does."""
    door = door_in(DoorEvent.ADMIT, DoorEvent.FLAP_OPENED)
    still_open = door.pass_time(10_000 * SECOND_NS)
    closed = door.happen(DoorEvent.FLAP_CLOSED, 10_001 * SECOND_NS)
    assert (DoorState.PASSING, DoorState.WATCHING) == (still_open, closed)


def test_prey_holds_the_door_off_for_the_owners_time() -> None:
    """After prey nobody is admitted until hold_off_s is over; prey seen again starts the time anew."""
    door = door_in(DoorEvent.PREY)
    door.happen(DoorEvent.PREY, 100 * SECOND_NS)
    states = [
        door.happen(DoorEvent.ADMIT, 110 * SECOND_NS),
        door.pass_time(219 * SECOND_NS),
        door.pass_time(220 * SECOND_NS),
    ]
    assert [DoorState.HOLD_OFF, DoorState.HOLD_OFF, DoorState.WATCHING] == states


def test_prey_seen_while_the_cat_passes_holds_off_the_next() -> None:
    """A bolt does not stop a cat half way through, but the hold-off begins."""
    door = door_in(DoorEvent.ADMIT, DoorEvent.FLAP_OPENED, DoorEvent.PREY)
    states = [door.state, door.happen(DoorEvent.FLAP_CLOSED, SECOND_NS), door.pass_time(120 * SECOND_NS)]
    assert [DoorState.PASSING, DoorState.HOLD_OFF, DoorState.WATCHING] == states


@pytest.mark.parametrize(
    ("begins", "ends"),
    [
        (DoorEvent.CURFEW_BEGAN, DoorEvent.CURFEW_ENDED),
        (DoorEvent.LOCKED, DoorEvent.UNLOCKED),
        (DoorEvent.FAULT, DoorEvent.CLEAR),
    ],
)
@pytest.mark.parametrize(("ended_s", "state"), [(60, DoorState.HOLD_OFF), (121, DoorState.WATCHING)])
def test_no_rule_and_no_fault_shortens_a_hold_off(
    begins: DoorEvent, ends: DoorEvent, ended_s: int, state: DoorState
) -> None:
    """Whatever came over a hold-off gives way to what is left of it."""
    door = door_in(DoorEvent.PREY, begins)
    assert state is door.happen(ends, ended_s * SECOND_NS)


def test_the_button_ends_a_hold_off() -> None:
    """The person at the button decides: after the override the door watches."""
    door = door_in(DoorEvent.PREY, DoorEvent.OVERRIDE)
    assert DoorState.WATCHING is door.pass_time(7 * SECOND_NS)


def test_prey_does_not_lengthen_an_override() -> None:
    """An override lasts open_s from the last press, whatever the camera says meanwhile."""
    door = door_in(DoorEvent.OVERRIDE)
    door.happen(DoorEvent.PREY, 5 * SECOND_NS)
    assert DoorState.HOLD_OFF is door.pass_time(6 * SECOND_NS)


@pytest.mark.parametrize(
    ("path", "closure", "state"),
    [
        ((), Closure.CURFEW, DoorState.CURFEW),
        ((), Closure.LOCKED, DoorState.LOCKED),
        ((DoorEvent.BLINDED,), Closure.CURFEW, DoorState.CURFEW),
        ((DoorEvent.PREY,), Closure.LOCKED, DoorState.LOCKED),
        ((DoorEvent.ADMIT,), Closure.CURFEW, DoorState.ADMITTED),
        ((DoorEvent.ADMIT,), Closure.LOCKED, DoorState.LOCKED),
        ((DoorEvent.ADMIT, DoorEvent.FLAP_OPENED), Closure.CURFEW, DoorState.PASSING),
        ((DoorEvent.CURFEW_BEGAN,), Closure.LOCKED, DoorState.LOCKED),
        ((DoorEvent.LOCKED,), Closure.CURFEW, DoorState.CURFEW),
        ((DoorEvent.LOCKED,), None, DoorState.WATCHING),
        ((DoorEvent.CURFEW_BEGAN,), None, DoorState.WATCHING),
        ((DoorEvent.FAULT,), Closure.LOCKED, DoorState.FAULT),
    ],
)
def test_the_door_follows_the_house(path: tuple[DoorEvent, ...], closure: Closure | None, state: DoorState) -> None:
    """What the rules say now is taken up from every state that it may take over."""
    door = door_in(*path)
    assert state is door.heed(closure, 0, said=True)


@pytest.mark.parametrize(
    "opened", [(DoorEvent.ADMIT,), (DoorEvent.ADMIT, DoorEvent.FLAP_OPENED), (DoorEvent.OVERRIDE,)]
)
def test_a_lock_that_nobody_said_waits_for_what_is_open(opened: tuple[DoorEvent, ...]) -> None:
    """A mode that counts again because a grant is used up shuts nothing that is open; said now, even again, it does."""
    door = door_in(*opened)
    before = door.state
    after = [door.heed(Closure.LOCKED, 0, said=said) for said in (False, False, True)]
    assert [before, before, DoorState.LOCKED] == after


def test_a_button_pressed_in_a_locked_house_is_obeyed_and_then_it_is_locked_again() -> None:
    """A standing lock does not end an override that came after it, and comes back when that is over."""
    door = Door(TIMES)
    door.heed(Closure.LOCKED, 0)
    door.happen(DoorEvent.OVERRIDE, 0)
    during = door.heed(Closure.LOCKED, SECOND_NS)
    door.pass_time(6 * SECOND_NS)
    assert (DoorState.OVERRIDE, DoorState.LOCKED) == (during, door.heed(Closure.LOCKED, 6 * SECOND_NS))


@given(EVENTS, CLOSURES)
def test_a_standing_closure_is_never_forgotten(events: list[tuple[DoorEvent, int]], closure: Closure | None) -> None:
    """Told at every tick, the rules hold in every state that is shut, whatever came before."""
    door, now_ns = Door(TIMES), 0
    door.heed(closure, now_ns)
    for event, step_ns in events:
        now_ns += step_ns
        if TABLE[door.pass_time(now_ns)].on[event] is not ILLEGAL:
            door.happen(event, now_ns)
        door.heed(closure, now_ns)
    told = {None: set[DoorState](), Closure.CURFEW: {DoorState.CURFEW}, Closure.LOCKED: {DoorState.LOCKED}}[closure]
    ready = {DoorState.WATCHING, DoorState.BLIND, DoorState.HOLD_OFF}
    shut = {DoorState.CURFEW, DoorState.LOCKED} | ready
    assert door.state not in shut or door.state in (told or ready)


@given(EVENTS)
def test_a_passage_ends_by_the_flap_or_by_what_outweighs_it(events: list[tuple[DoorEvent, int]]) -> None:
    """PASSING gives way to the flap, the coil's limits, a person, a lock or a fault: to no time and no verdict."""
    door, now_ns = Door(TIMES), 0
    for event, step_ns in events:
        now_ns += step_ns
        before = door.pass_time(now_ns)
        if TABLE[before].on[event] is ILLEGAL:
            continue
        if before is DoorState.PASSING is not door.happen(event, now_ns):
            assert event in {
                DoorEvent.FLAP_CLOSED, DoorEvent.SPENT, DoorEvent.OVERRIDE, DoorEvent.LOCKED, DoorEvent.FAULT,
            }  # fmt: skip


# --- orders --------------------------------------------------------------------------------------------------------


def test_every_order_is_decided() -> None:
    """The table of orders has a line for every wish, every place of the bolt and everything a reed can say."""
    assert set(itertools.product(Bolt, Bolt, FlapSeen)) == set(ORDERS)


def test_no_order_shuts_the_bolt_on_an_open_flap() -> None:
    """Of all orders none moves the bolt from open to shut while the flap is seen open; nothing else is withheld."""
    withheld = {key for key, order in ORDERS.items() if order is not key[0]}
    assert {(Bolt.SHUT, Bolt.OPEN, FlapSeen.OPEN)} == withheld


@pytest.mark.parametrize("wish", Wish)
@pytest.mark.parametrize("kind", ["power_to_unlock", "power_to_lock"])
def test_an_open_bolt_stays_so_over_an_open_flap_whatever_is_wished(wish: Wish, kind: str) -> None:
    """In every state, for both kinds of lock."""
    assert Bolt.OPEN is order_for(wish, Bolt.OPEN, FlapSeen.OPEN, kind)


@pytest.mark.parametrize(("kind", "bolt"), [("power_to_unlock", Bolt.SHUT), ("power_to_lock", Bolt.OPEN)])
def test_rest_is_where_the_bolt_is_without_power(kind: str, bolt: Bolt) -> None:
    """A fault wishes no power, whatever that means for the lock."""
    order = order_for(Wish.REST, Bolt.SHUT, FlapSeen.STRAIGHT, kind)
    assert (bolt, REST) == (order, command_for(order, kind, 0.5))


@pytest.mark.parametrize(
    ("kind", "order", "expected"),
    [
        ("power_to_unlock", Bolt.OPEN, BoltAction.ENERGISE),
        ("power_to_unlock", Bolt.SHUT, BoltAction.REST),
        ("power_to_lock", Bolt.OPEN, BoltAction.REST),
        ("power_to_lock", Bolt.SHUT, BoltAction.ENERGISE),
    ],
)
def test_power_means_what_the_lock_says(kind: str, order: Bolt, expected: BoltAction) -> None:
    """The lock's kind says whether power unlocks or locks; rest carries no lease, power always does."""
    command = command_for(order, kind, 0.5)
    powered = command.action is BoltAction.ENERGISE
    assert (expected, 0.5 if powered else 0.0, order) == (
        command.action,
        command.lease_s,
        bolt_of(powered=powered, lock_kind=kind),
    )
