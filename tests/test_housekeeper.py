"""The house's rules over time: closed or not, grants, the panic lock, the clock, and what is told of them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from house_made import BERLIN, CURFEW, house, rules_of

from edge.adapters.clock import SimClock
from edge.door import Closure
from edge.hours import Curfew, span_of
from edge.house import MAX_GRANT_S, GrantRefusedError, HouseRules, HouseState, Lasting, OnBadClock
from edge.housekeeper import HouseKeeper
from edge.messages import Mode
from edge.walltime import SETTLE_S, WallWatch

NIGHTLY = rules_of(curfew=CURFEW)
NOON, NIGHT = "2026-11-04T12:00", "2026-11-04T23:00"
PANIC = HouseState(Lasting(panic=True))


# --- closed to everybody, or to one -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("local", "rules", "state", "closure"),
    [
        (NOON, NIGHTLY, HouseState(), None),
        (NIGHT, NIGHTLY, HouseState(), Closure.CURFEW),
        (NIGHT, rules_of(curfew=Curfew(CURFEW.span, CURFEW.days, 90)), HouseState(), None),
        (NOON, NIGHTLY, PANIC, Closure.LOCKED),
        (NIGHT, NIGHTLY, PANIC, Closure.LOCKED),
        (NOON, rules_of(Mode.LOCKED), HouseState(), Closure.LOCKED),
        (NOON, rules_of(Mode.OUT_ONLY), HouseState(), Closure.LOCKED),
        (NOON, rules_of(Mode.IN_ONLY), HouseState(), None),
        (NOON, rules_of(), HouseState(Lasting(mode=Mode.LOCKED)), Closure.LOCKED),
        (NOON, rules_of(Mode.LOCKED), HouseState(Lasting(mode=Mode.IN_ONLY)), None),
    ],
)
def test_the_door_is_closed_by_curfew_mode_and_panic_lock(
    local: str, rules: HouseRules, state: HouseState, closure: Closure | None
) -> None:
    """A curfew past its grace closes it but for whom the house lets through; a mode or a panic lock for everybody."""
    at = house(local, rules=rules, state=state)
    assert closure is at.keeper.closure(at.now_ns)


@pytest.mark.parametrize(
    ("local", "rules", "state", "resident", "why"),
    [
        (NOON, NIGHTLY, HouseState(), "Mimi", None),
        (NOON, NIGHTLY, HouseState(), None, None),
        (NOON, NIGHTLY, PANIC, "Mimi", "the panic lock is on"),
        (NOON, rules_of(Mode.OUT_ONLY), HouseState(), "Mimi", "the door's mode lets nobody in"),
        (NIGHT, NIGHTLY, HouseState(), "Mimi", "it is curfew until 06:00"),
        (NIGHT, NIGHTLY, HouseState(), None, "it is curfew until 06:00"),
        (NOON, NIGHTLY, HouseState(), "Tom", "it is outside this cat's hours until 17:00"),
        (NOON, NIGHTLY, HouseState(), "Otto", "the rules know no such cat"),
    ],
)
def test_a_refusal_says_why_and_until_when(
    local: str, rules: HouseRules, state: HouseState, resident: str | None, why: str | None
) -> None:
    """Whoever is not let in by a rule is refused in a sentence that names it, and its end where it ends by itself."""
    at = house(local, rules=rules, state=state)
    assert why == at.keeper.refuses(resident, at.now_ns)


@pytest.mark.parametrize(
    ("local", "rules", "told"),
    [
        (NOON, rules_of(Mode.IN_ONLY), [("out_against_rules", "the mode is in_only; going out is always free")]),
        (NOON, rules_of(Mode.LOCKED), [("out_against_rules", "the mode is locked; going out is always free")]),
        (NIGHT, NIGHTLY, [("out_against_rules", "it is curfew; going out is always free")]),
        (NOON, NIGHTLY, []),
        (NOON, rules_of(Mode.OUT_ONLY), []),
    ],
)
def test_whoever_goes_out_against_the_rules_is_told(local: str, rules: HouseRules, told: list[tuple[str, str]]) -> None:
    """Going out is an event where mode or curfew is against it, with which of them it was; else it is nothing."""
    at = house(local, rules=rules)
    at.keeper.went_out(at.now_ns)
    assert told == at.book.events


# --- a lock and a door that is open -----------------------------------------------------------------------------------


@pytest.mark.parametrize(("word", "said"), [("lock", True), ("mode", True), ("lift", False)])
def test_what_the_owner_sets_is_said_once(word: str, said: bool) -> None:
    """A lock or a mode may end what is open at the tick it is said and at no later one; lifting a lock ends nothing."""
    at = house(rules=rules_of(Mode.LOCKED))
    before = at.keeper.take_said()
    if word == "mode":
        at.keeper.set_mode(Mode.OUT_ONLY)
    else:
        {"lock": at.keeper.lock, "lift": at.keeper.lift}[word]()
    assert [False, said, False] == [before, at.keeper.take_said(), at.keeper.take_said()]


@pytest.mark.parametrize("ends", ["used", "over"])
def test_a_mode_that_counts_again_after_a_grant_was_not_said(ends: str) -> None:
    """When the grant that opened a locked door is used up, or over, it is closed again, but nobody has said so."""
    at = house(rules=rules_of(Mode.LOCKED))
    at.keeper.grant("Mimi", 60.0, at.now_ns)
    granted = at.keeper.closure(at.now_ns)
    if ends == "used":
        at.keeper.let_in("Mimi", at.now_ns)
    at.clock.advance(0.1 if ends == "used" else 60.0)
    assert (None, Closure.LOCKED, False) == (granted, at.keeper.closure(at.now_ns), at.keeper.take_said())


# --- the owner's word -------------------------------------------------------------------------------------------------


def test_what_lasts_is_recorded_at_once() -> None:
    """Every lock, lift and mode is in the record before anything else happens, each with what stands beside it."""
    at = house()
    at.keeper.set_mode(Mode.OUT_ONLY)
    at.keeper.lock()
    at.keeper.lift()
    assert [Lasting(Mode.OUT_ONLY), Lasting(Mode.OUT_ONLY, panic=True), Lasting(Mode.OUT_ONLY)] == at.book.houses


def test_the_configurations_own_mode_is_the_way_back_to_it() -> None:
    """Set to what the file says, no mode stands over the file any more: a later change of the file counts."""
    at = house(rules=rules_of(Mode.IN_ONLY), state=HouseState(Lasting(mode=Mode.LOCKED)))
    before = at.keeper.mode
    at.keeper.set_mode(Mode.IN_ONLY)
    assert (Mode.LOCKED, Mode.IN_ONLY, [Lasting()]) == (before, at.keeper.mode, at.book.houses)


def test_the_panic_lock_is_on_from_lock_to_lift() -> None:
    """It is on as soon as it is said, or from the start where it was kept, and off as soon as it is lifted."""
    at, kept = house(), house(state=PANIC)
    seen = [at.keeper.panic]
    at.keeper.lock()
    seen.append(at.keeper.panic)
    at.keeper.lift()
    seen.append(at.keeper.panic)
    assert ([False, True, False], True) == (seen, kept.keeper.panic)


@pytest.mark.parametrize("rules", [NIGHTLY, rules_of(Mode.OUT_ONLY), rules_of(Mode.LOCKED, CURFEW)])
def test_a_grant_lets_one_in_once(rules: HouseRules) -> None:
    """What mode and curfew take a grant gives back to its cat, to nobody else, and once."""
    at = house(NIGHT, rules=rules)
    at.keeper.grant("Mimi", 60.0, at.now_ns)
    first = (at.keeper.refuses("Mimi", at.now_ns), at.keeper.refuses("Tom", at.now_ns) is None)
    at.keeper.let_in("Mimi", at.now_ns)
    second = at.keeper.refuses("Mimi", at.now_ns) is None
    assert ((None, False), False, [("grant_used", "for Mimi")]) == (first, second, at.book.events)


def test_a_grant_for_whoever_comes_first_is_used_by_whoever_comes_first() -> None:
    """A grant without a name lets in one, who may have no name either."""
    at = house(NIGHT, rules=NIGHTLY)
    at.keeper.grant(None, 60.0, at.now_ns)
    at.keeper.let_in(None, at.now_ns)
    refused = [at.keeper.refuses(who, at.now_ns) for who in ("Mimi", None)]
    assert (["it is curfew until 06:00"] * 2, [("grant_used", "for a cat without a name")]) == (refused, at.book.events)


@pytest.mark.parametrize(("after_s", "why"), [(59.9, None), (60.0, "it is curfew until 06:00")])
@pytest.mark.parametrize("step_s", [0.0, 3600.0, -3600.0])
def test_a_grant_ends_by_monotonic_time(after_s: float, why: str | None, step_s: float) -> None:
    """It is over when its time has passed, whatever was done to the wall clock meanwhile."""
    at = house(NIGHT, rules=rules_of(curfew=CURFEW, on_bad_clock=OnBadClock.KEEP_HOURS))
    at.keeper.grant("Mimi", 60.0, at.now_ns)
    at.clock.advance(after_s)
    at.clock.step_wall(step_s)
    assert why == at.keeper.refuses("Mimi", at.now_ns)


@pytest.mark.parametrize(
    ("state", "who", "for_s", "says"),
    [
        (PANIC, "Mimi", 60.0, "the panic lock is on: lift it first"),
        (HouseState(), "Otto", 60.0, "'Otto' is no listed cat (listed: Mimi, Tom)"),
        (HouseState(), "Mimi", 0.0, "a grant lasts more than 0 and at most 3600 s, not 0"),
        (HouseState(), "Mimi", MAX_GRANT_S + 1, "a grant lasts more than 0 and at most 3600 s, not 3601"),
    ],
)
def test_a_grant_that_cannot_be_given_changes_nothing(state: HouseState, who: str, for_s: float, says: str) -> None:
    """It is refused in one line, and whoever was refused before is refused after."""
    at = house(NIGHT, rules=NIGHTLY, state=state)
    before = at.keeper.refuses(who, at.now_ns)
    with pytest.raises(GrantRefusedError) as refused:
        at.keeper.grant(who, for_s, at.now_ns)
    assert (says, before) == (str(refused.value), at.keeper.refuses(who, at.now_ns))


def test_lifting_the_panic_lock_revives_no_grant() -> None:
    """A grant from before the panic lock is gone after it."""
    at = house(NIGHT, rules=NIGHTLY)
    at.keeper.grant("Mimi", 600.0, at.now_ns)
    at.keeper.lock()
    at.keeper.lift()
    assert "it is curfew until 06:00" == at.keeper.refuses("Mimi", at.now_ns)


# --- the clock --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("local", "synchronised"), [("1970-01-01T01:00", False), ("1970-01-01T01:00", True), (NIGHT, False)]
)
def test_no_clock_that_is_not_set_locks_anybody_out(local: str, synchronised: bool) -> None:
    """1970, or a time that nobody has set since the start, keeps nobody out, and letting in by it is told."""
    at = house(local, rules=NIGHTLY, synchronised=synchronised)
    answers = (at.keeper.closure(at.now_ns), at.keeper.refuses("Mimi", at.now_ns))
    at.keeper.let_in("Mimi", at.now_ns)
    assert ((None, None), ["clock_untrusted", "hours_ignored"]) == (answers, at.book.kinds)


def test_hours_may_be_kept_by_a_clock_that_nobody_sets() -> None:
    """With keep_hours the curfew counts by the clock as it stands."""
    at = house(NIGHT, rules=rules_of(curfew=CURFEW, on_bad_clock=OnBadClock.KEEP_HOURS), synchronised=False)
    assert Closure.CURFEW is at.keeper.closure(at.now_ns)


def test_nothing_is_told_of_a_clock_that_is_good() -> None:
    """A clock that is right, and a cat that may come in by it, are no events."""
    at = house(rules=NIGHTLY)
    at.keeper.closure(at.now_ns)
    at.keeper.let_in("Mimi", at.now_ns)
    assert [] == at.book.events


def test_what_becomes_of_the_clock_is_told_once() -> None:
    """Unset, set by the network, settled: one event for each change, however many ticks there are between."""
    at = house("1970-01-01T01:00", rules=NIGHTLY, synchronised=False)

    def ticks() -> None:
        for _ in range(5):
            at.clock.advance(SETTLE_S / 4)
            at.keeper.closure(at.now_ns)

    ticks()
    at.clock.step_wall(57 * 365 * 86400.0)
    at.clock.set_synchronised(True)
    ticks()
    assert [
        ("clock_untrusted", "the wall clock is unset"),
        ("clock_untrusted", "the wall clock is stepped"),
        ("clock_trusted", "the wall clock is good"),
    ] == at.book.events


class CountedClock(SimClock):
    """A clock that counts how often it is looked at."""

    looks = 0

    def wall(self) -> datetime:
        """Count, and return the wall time."""
        self.looks += 1
        return super().wall()


def test_the_clock_is_looked_at_once_a_second() -> None:
    """However often it is asked what is allowed, the wall clock is looked at only once a second."""
    at, clock = house(), CountedClock(datetime(2026, 11, 4, 12, tzinfo=UTC))
    keeper = HouseKeeper(NIGHTLY, WallWatch(BERLIN), clock, at.book, HouseState())
    for _ in range(25):
        clock.advance(0.1)
        keeper.closure(clock.monotonic_ns())
        keeper.refuses("Mimi", clock.monotonic_ns())
        keeper.went_out(clock.monotonic_ns())
    assert 3 == clock.looks


@pytest.mark.parametrize(
    ("evening", "night_h"),
    [("2026-10-24T21:30", 9), ("2026-03-28T21:30", 7), ("2026-11-04T21:30", 8)],
    ids=["clocks go back", "clocks go forward", "an ordinary night"],
)
def test_a_curfew_ends_by_the_clock_on_the_wall_on_every_night(evening: str, night_h: int) -> None:
    """From 22:00 to 06:00 it is closed, tick by tick, though that is nine hours in October and seven in March."""
    at = house(evening, rules=NIGHTLY)
    closed: list[datetime] = []
    for _ in range(12 * 60):
        at.clock.advance(60.0)
        if at.keeper.closure(at.now_ns) is Closure.CURFEW:
            closed.append(at.clock.wall())
    shown = [moment.astimezone(BERLIN).strftime("%H:%M") for moment in (closed[0], closed[-1])]
    lasts = closed[-1] - closed[0] + timedelta(minutes=1)
    assert (["22:00", "05:59"], timedelta(hours=night_h), []) == (shown, lasts, at.book.events)


@pytest.mark.parametrize(
    ("midnight", "opens"),
    [("2026-10-25T00:00", ["02:00", "02:30", "02:00", "02:30"]), ("2026-03-29T00:00", [])],
    ids=["the hour that is twice", "the hour that is missing"],
)
def test_hours_in_the_hour_of_the_change_follow_the_clock_on_the_wall(midnight: str, opens: list[str]) -> None:
    """A span in the hour that is twice comes twice, one in the hour that is missing does not come that day."""
    early = HouseRules(Mode.IN_AND_OUT, None, OnBadClock.IGNORE_HOURS, (("Mimi", (span_of("02:00-03:00"),)),))
    at = house(midnight, rules=early)
    allowed: list[str] = []
    for _ in range(10):
        at.clock.advance(1800.0)
        if at.keeper.refuses("Mimi", at.now_ns) is None:
            allowed.append(at.clock.wall().astimezone(BERLIN).strftime("%H:%M"))
    assert (opens, []) == (allowed, at.book.events)
