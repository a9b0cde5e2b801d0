"""House rules: modes, hours, curfew, grants and the panic lock, on every clock that a Pi can have."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_hours import spans

from edge.config import CatConfig, Config, HouseConfig
from edge.hours import WEEKDAYS, Curfew, Moment, span_of
from edge.house import (
    MAX_GRANT_S,
    Closed,
    Grant,
    GrantRefusedError,
    HouseRules,
    HouseState,
    Lasting,
    OnBadClock,
    Permission,
    Why,
    closed,
    grant_used,
    house_rules,
    leaving_is_noted,
    mode_of,
    permission,
    with_grant,
    with_mode,
    with_panic,
)
from edge.messages import Mode

BERLIN = ZoneInfo("Europe/Berlin")
SECOND_NS = 1_000_000_000
CURFEW = Curfew(span_of("22:00-06:00"), tuple(range(7)), 30)
RULES = HouseRules(
    Mode.IN_AND_OUT,
    None,
    OnBadClock.IGNORE_HOURS,
    (("Mimi", ()), ("Tom", (span_of("06:00-09:00"), span_of("17:00-20:00")))),
)
NIGHTLY = replace(RULES, curfew=CURFEW)
USUAL = HouseState()


def at(text: str, *, trusted: bool = True, now_ns: int = 0) -> Moment:
    """Return a moment in Berlin, on an ordinary Wednesday unless the date is given too."""
    local = datetime.fromisoformat(text if "T" in text else f"2026-11-04T{text}").replace(tzinfo=BERLIN)
    return Moment(local, trusted, now_ns)


names = st.sampled_from(["Mimi", "Tom"])
animals = st.none() | names | st.just("Nobody")
locals_ = st.integers(0, 70 * 366 * 1440).map(
    lambda minute: (datetime(1970, 1, 2, tzinfo=UTC) + timedelta(minutes=minute)).astimezone(BERLIN)
)
moments = st.builds(Moment, locals_, st.booleans(), st.integers(0, 200 * SECOND_NS))
curfews = st.builds(
    Curfew, spans(), st.sampled_from([tuple(range(7)), (4,), (0, 2, 6)]), st.sampled_from([0, 1, 30, 240, 1440])
)
rule_sets = st.builds(
    HouseRules,
    mode=st.sampled_from(Mode),
    curfew=st.none() | curfews,
    on_bad_clock=st.sampled_from(OnBadClock),
    hours=st.tuples(st.just(("Mimi", ())), st.tuples(st.just("Tom"), st.lists(spans(), max_size=2).map(tuple))),
)
grants = st.builds(Grant, who=st.none() | names, until_ns=st.integers(0, 200 * SECOND_NS))
states = st.builds(
    HouseState,
    lasting=st.builds(Lasting, mode=st.none() | st.sampled_from(Mode), panic=st.booleans()),
    grants=st.lists(grants, max_size=3).map(tuple),
)


# --- what holds always ---


@given(rule_sets, states, animals, moments)
def test_a_panic_lock_lets_nobody_in(rules: HouseRules, state: HouseState, who: str | None, moment: Moment) -> None:
    """With the panic lock on nobody comes in, whatever mode, hours, grants and clock say."""
    locked = with_panic(state, on=True)
    shut = (permission(rules, locked, who, moment), closed(rules, locked, moment))
    assert (Permission(allowed=False, why=Why.PANIC), Closed(Why.PANIC)) == shut


@given(rule_sets, states, animals, moments)
def test_closed_means_closed_to_everybody(
    rules: HouseRules, state: HouseState, who: str | None, moment: Moment
) -> None:
    """While entry is closed for everybody no animal is let in; while it is not, one bound by no hours is."""
    shut = closed(rules, state, moment)
    if shut is not None:
        assert False is permission(rules, state, who, moment).allowed
    elif not state.grants:
        assert True is permission(rules, state, "Mimi", moment).allowed


@given(rule_sets, states, animals, moments, moments)
def test_a_bad_clock_decides_nothing(
    rules: HouseRules, state: HouseState, who: str | None, moment: Moment, other: Moment
) -> None:
    """With hours ignored on a bad clock, what that clock shows changes no answer."""
    rules = replace(rules, on_bad_clock=OnBadClock.IGNORE_HOURS)
    wrong = replace(moment, trusted=False)
    elsewhere = replace(wrong, local=other.local)
    allowed = [permission(rules, state, who, moment).allowed for moment in (wrong, elsewhere)]
    entry = [closed(rules, state, moment) for moment in (wrong, elsewhere)]
    left = [leaving_is_noted(rules, state, moment) for moment in (wrong, elsewhere)]
    assert (allowed[0], entry[0], left[0]) == (allowed[1], entry[1], left[1])


@given(rule_sets, grants, animals, moments, moments)
def test_a_grant_ends_by_monotonic_time_alone(
    rules: HouseRules, grant: Grant, who: str | None, moment: Moment, other: Moment
) -> None:
    """Whether a grant applies depends on its animal and the monotonic clock; no wall clock prolongs or ends it."""
    state = HouseState(grants=(grant,))
    moved = replace(other, now_ns=moment.now_ns)
    found = [permission(rules, state, who, moment).grant for moment in (moment, moved)]
    good = moment.now_ns < grant.until_ns and who != "Nobody" and grant.who in (None, who)
    assert [grant if good else None] * 2 == found


@given(rule_sets, states, animals, st.lists(moments, min_size=1, max_size=5))
def test_a_grant_is_used_once(rules: HouseRules, state: HouseState, who: str | None, visits: list[Moment]) -> None:
    """However often an animal comes, each grant lets it in at most once."""
    state = replace(state, grants=tuple(dict.fromkeys(state.grants)))
    used: list[Grant] = []
    for moment in visits:
        answer = permission(rules, state, who, moment)
        if answer.grant is not None:
            used.append(answer.grant)
            state = grant_used(state, answer.grant)
    assert len(set(used)) == len(used)


@given(rule_sets, st.integers(0, 7 * 1440 - 1))
def test_a_reason_is_over_when_it_says(rules: HouseRules, minute: int) -> None:
    """At the time a refusal names, that reason has gone, unless a curfew of the whole day begins anew."""
    rules = replace(rules, mode=Mode.IN_AND_OUT)
    moment = Moment(datetime(2026, 6, 1, tzinfo=UTC) + timedelta(minutes=minute), trusted=True, now_ns=0)
    answer = permission(rules, USUAL, "Tom", moment)
    if answer.until is None or (rules.curfew is not None and rules.curfew.span.length_min == 1440):
        return
    then = permission(rules, USUAL, "Tom", replace(moment, local=answer.until))
    assert (True, True) == (answer.until > moment.local, then.why is not answer.why)


@given(rule_sets, states, moments, st.none() | st.sampled_from(Mode))
def test_a_command_changes_what_it_names(
    rules: HouseRules, state: HouseState, moment: Moment, mode: Mode | None
) -> None:
    """Mode and panic lock are set apart from each other; locking drops the grants, lifting brings none back."""
    moded, locked = with_mode(state, mode), with_panic(state, on=True)
    lifted = with_panic(locked, on=False)
    assert (mode or rules.mode, state.lasting.panic, state.grants) == (
        mode_of(rules, moded),
        moded.lasting.panic,
        moded.grants,
    )
    assert (state.lasting.mode, ()) == (lifted.lasting.mode, lifted.grants)
    assert (lifted.lasting.panic, permission(rules, lifted, "Mimi", moment).why) != (True, Why.PANIC)


# --- modes ---


@pytest.mark.parametrize(
    ("mode", "lets_in", "notes_leaving"),
    [
        (Mode.IN_AND_OUT, True, False),
        (Mode.IN_ONLY, True, True),
        (Mode.OUT_ONLY, False, False),
        (Mode.LOCKED, False, True),
    ],
)
def test_a_mode_gates_entry_and_notes_leaving(mode: Mode, lets_in: bool, notes_leaving: bool) -> None:
    """Each mode says who may come in, and whether going out is worth an event; none can say more."""
    for rules, state in ((replace(RULES, mode=mode), USUAL), (RULES, with_mode(USUAL, mode))):
        answer = permission(rules, state, "Mimi", at("12:00"))
        assert (lets_in, lets_in, notes_leaving) == (
            answer.allowed,
            closed(rules, state, at("12:00")) is None,
            leaving_is_noted(rules, state, at("12:00")),
        )


def test_a_mode_by_command_goes_before_the_one_in_the_file() -> None:
    """The command overrides the file until it is taken back."""
    rules = replace(RULES, mode=Mode.LOCKED)
    opened = with_mode(USUAL, Mode.IN_AND_OUT)
    modes = [mode_of(rules, state) for state in (USUAL, opened, with_mode(opened, None))]
    assert [Mode.LOCKED, Mode.IN_AND_OUT, Mode.LOCKED] == modes


# --- hours ---


@pytest.mark.parametrize(
    ("clock", "expected", "until"),
    [("05:59", False, "06:00"), ("06:00", True, None), ("08:59", True, None), ("09:00", False, "17:00"),
     ("20:00", False, "06:00")],
)  # fmt: skip
def test_a_cat_with_hours_comes_in_within_them(clock: str, expected: bool, until: str | None) -> None:
    """Tom's hours bind Tom, say when they come again, and leave Mimi alone."""
    tom, mimi = (permission(RULES, USUAL, name, at(clock)) for name in ("Tom", "Mimi"))
    again = None if tom.until is None else f"{tom.until:%H:%M}"
    assert (expected, until, True) == (tom.allowed, again, mimi.allowed)


def test_an_animal_without_a_name_has_no_hours() -> None:
    """Whom on_blind lets in unseen has no name, so that no cat's hours bind it."""
    assert Permission(allowed=True, why=Why.NO_OBJECTION) == permission(RULES, USUAL, None, at("23:00"))


def test_a_name_that_nobody_listed_has_no_rights() -> None:
    """A name the rules do not know is refused, even with a grant for any cat."""
    state = with_grant(RULES, USUAL, Grant(None, SECOND_NS), 0)
    assert Why.NOT_LISTED is permission(RULES, state, "Nobody", at("12:00")).why


# --- curfew ---


@pytest.mark.parametrize(
    ("clock", "expected"),
    [("21:59", None), ("22:00", None), ("22:29", None), ("22:30", Why.CURFEW), ("23:59", Why.CURFEW),
     ("00:00", Why.CURFEW), ("05:59", Why.CURFEW), ("06:00", None)],
)  # fmt: skip
def test_whoever_is_late_may_still_come_home(clock: str, expected: Why | None) -> None:
    """The curfew closes entry when its grace is over, and opens it in the morning."""
    shut = closed(NIGHTLY, USUAL, at(clock))
    assert expected is (None if shut is None else shut.why)


def test_a_curfew_says_when_it_ends() -> None:
    """What the page shows is the morning's time, on the right day."""
    assert Closed(Why.CURFEW, at("2026-11-05T06:00").local) == closed(NIGHTLY, USUAL, at("23:10:20"))


def test_a_grace_as_long_as_the_night_keeps_nobody_out() -> None:
    """With come_home_min as long as the curfew nobody is kept out all night; going out is noted all the same."""
    rules = replace(NIGHTLY, curfew=replace(CURFEW, come_home_min=480))
    evening, later = at("21:59"), at("03:00")
    assert (None, False, True) == (
        closed(rules, USUAL, later),
        leaving_is_noted(rules, USUAL, evening),
        leaving_is_noted(rules, USUAL, later),
    )


def test_a_night_without_a_curfew_is_open() -> None:
    """A curfew of some days leaves the other nights alone."""
    rules = replace(NIGHTLY, curfew=replace(CURFEW, days=(WEEKDAYS.index("fri"),)))
    nights = [closed(rules, USUAL, at(f"2026-11-0{day}T23:30")) is None for day in range(2, 9)]
    assert [True, True, True, True, False, True, True] == nights  # Monday to Sunday


# --- the two days on which the clocks change ---


def closed_minutes(rules: HouseRules, begins: datetime, hours: int) -> list[str]:
    """Return the readings, in order, of the minutes at which entry is closed in these real hours."""
    instants = [(begins + timedelta(minutes=minute)).astimezone(BERLIN) for minute in range(60 * hours)]
    return [f"{local:%H:%M}" for local in instants if closed(rules, USUAL, Moment(local, trusted=True, now_ns=0))]


SPRING = datetime(2026, 3, 28, 12, tzinfo=UTC)  # the night in which 02:00 to 03:00 is missing
AUTUMN = datetime(2026, 10, 24, 12, tzinfo=UTC)  # the night in which 02:00 to 03:00 is twice


@pytest.mark.parametrize(
    ("begins", "curfew", "expected"),
    [
        (SPRING, "22:00-06:00", (390, "22:30", "05:59")),
        (AUTUMN, "22:00-06:00", (510, "22:30", "05:59")),
        (SPRING, "01:45-06:00", (165, "03:15", "05:59")),  # 15 minutes of grace before the gap and 15 after it
        (AUTUMN, "01:45-06:00", (285, "02:15", "05:59")),
        (SPRING, "02:30-06:00", (120, "04:00", "05:59")),  # begins in the gap: never less grace than was said
        (AUTUMN, "02:30-06:00", (210, "02:30", "05:59")),  # the grace is given once: closed from the second 02:30 on
        (SPRING, "22:00-02:30", (210, "22:30", "01:59")),  # ends in the gap: open when the clock shows 03:00
        (AUTUMN, "22:00-02:30", (270, "22:30", "02:29")),  # open from the first 02:30 to the second 02:00
        (SPRING, "02:10-02:50", (0, "", "")),  # wholly in the gap: none that night
    ],
)
def test_a_curfew_goes_through_a_change_of_the_clocks(
    begins: datetime, curfew: str, expected: tuple[int, str, str]
) -> None:
    """Minute by minute through both nights: begin and end go by the clock on the wall, the grace by real minutes."""
    found = closed_minutes(replace(RULES, curfew=Curfew(span_of(curfew), tuple(range(7)), 30)), begins, 24)
    assert expected == (len(found), found[0] if found else "", found[-1] if found else "")


@pytest.mark.parametrize("begins", [SPRING, AUTUMN])
def test_a_curfew_without_grace_begins_in_the_gap_too(begins: datetime) -> None:
    """With no grace every minute whose reading lies in the curfew is closed, and no other, on both nights."""
    found = closed_minutes(replace(RULES, curfew=Curfew(span_of("02:30-06:00"), tuple(range(7)), 0)), begins, 24)
    instants = [(begins + timedelta(minutes=minute)).astimezone(BERLIN) for minute in range(60 * 24)]
    assert [f"{local:%H:%M}" for local in instants if "02:30" <= f"{local:%H:%M}" < "06:00"] == found


# --- a clock that is wrong ---


def test_a_cat_is_not_locked_out_by_a_clock_bug() -> None:
    """On a Pi that believes it is 1970, at night, cats come in although hours and curfew would be against it."""
    answers = [permission(NIGHTLY, USUAL, name, at("1970-01-01T01:00", trusted=False)) for name in ("Mimi", "Tom")]
    assert [Permission(allowed=True, why=Why.HOURS_IGNORED)] * 2 == answers


def test_a_bad_clock_is_named_only_where_it_matters() -> None:
    """Where hours and curfew have nothing against it anyway, the clock is no part of the reason."""
    assert Why.NO_OBJECTION is permission(NIGHTLY, USUAL, "Mimi", at("12:00", trusted=False)).why


def test_an_owner_may_trust_a_clock_that_nobody_vouches_for() -> None:
    """With keep_hours the clock is obeyed as it stands."""
    rules = replace(NIGHTLY, on_bad_clock=OnBadClock.KEEP_HOURS)
    assert Why.CURFEW is permission(rules, USUAL, "Mimi", at("23:00", trusted=False)).why


@pytest.mark.parametrize("mode", [Mode.OUT_ONLY, Mode.LOCKED])
def test_a_bad_clock_opens_no_mode(mode: Mode) -> None:
    """Only hours and curfew need a clock; a mode that lets nobody in does so at any time."""
    assert Why.MODE is permission(replace(NIGHTLY, mode=mode), USUAL, "Mimi", at("12:00", trusted=False)).why


# --- grants ---


@pytest.mark.parametrize("mode", Mode)
def test_a_grant_goes_before_mode_hours_and_curfew(mode: Mode) -> None:
    """Let him in now: Tom comes in at night, in any mode."""
    grant = Grant("Tom", 60 * SECOND_NS)
    rules = replace(NIGHTLY, mode=mode)
    state = with_grant(rules, USUAL, grant, 0)
    answer = permission(rules, state, "Tom", at("23:00"))
    assert (True, Why.GRANTED) == (answer.allowed, answer.why)


@pytest.mark.parametrize(("who", "expected"), [("Tom", True), ("Mimi", False), (None, False)])
def test_a_grant_is_for_the_cat_it_names(who: str | None, expected: bool) -> None:
    """A grant for Tom lets in neither Mimi nor an animal without a name."""
    state = with_grant(NIGHTLY, USUAL, Grant("Tom", 60 * SECOND_NS), 0)
    assert expected is permission(NIGHTLY, state, who, at("23:00")).allowed


def test_a_cats_own_grant_is_used_before_one_for_any() -> None:
    """The grant for any cat is left for another one."""
    anyone, toms = Grant(None, 60 * SECOND_NS), Grant("Tom", 60 * SECOND_NS)
    state = with_grant(RULES, with_grant(RULES, USUAL, anyone, 0), toms, 0)
    assert (toms, anyone) == tuple(permission(RULES, state, who, at("23:00")).grant for who in ("Tom", "Mimi"))


def test_a_grant_that_was_not_needed_is_used_all_the_same() -> None:
    """Who came in while he might anyway has come in: nothing is left for tonight."""
    state = with_grant(RULES, USUAL, Grant("Mimi", 60 * SECOND_NS), 0)
    grant = permission(RULES, state, "Mimi", at("12:00")).grant
    assert grant is not None
    assert () == grant_used(state, grant).grants


def test_a_new_grant_replaces_the_cats_old_one() -> None:
    """Asked twice, a cat still comes in once; grants that are over are dropped."""
    state = HouseState(grants=(Grant("Mimi", 5), Grant("Tom", 60 * SECOND_NS)))
    wanted = Grant("Tom", 90 * SECOND_NS)
    assert (wanted,) == with_grant(RULES, state, wanted, 10).grants


@pytest.mark.parametrize(
    ("state", "grant", "expected"),
    [
        (USUAL, Grant(None, 10), "a grant lasts more than 0 and at most 3600 s, not 0"),
        (USUAL, Grant(None, 11 + round(MAX_GRANT_S * 1e9)), "a grant lasts more than 0 and at most 3600 s"),
        (USUAL, Grant("Nobody", 100), "'Nobody' is no listed cat (listed: Mimi, Tom)"),
        (with_panic(USUAL, on=True), Grant("Tom", 100), "the panic lock is on: lift it first"),
    ],
)
def test_a_grant_that_cannot_be_given_says_why(state: HouseState, grant: Grant, expected: str) -> None:
    """A grant that is over, too long, for nobody we know, or against a panic lock is refused in one line."""
    with pytest.raises(GrantRefusedError) as caught:
        with_grant(RULES, state, grant, 10)
    assert (True, False) == (str(caught.value).startswith(expected), "\n" in str(caught.value))


# --- from the configuration ---


def test_the_rules_are_those_of_the_configuration() -> None:
    """Mode, curfew and hours come over as they were written."""
    house = HouseConfig(mode="in_only", curfew=span_of("22:00-06:00"), curfew_days=("mon", "sun"), come_home_min=15)
    cats = (CatConfig("Mimi"), CatConfig("Tom", hours=(span_of("06:00-09:00"),)))
    curfew = Curfew(span_of("22:00-06:00"), (0, 6), 15)
    hours = (("Mimi", ()), ("Tom", (span_of("06:00-09:00"),)))
    expected = HouseRules(Mode.IN_ONLY, curfew, OnBadClock.IGNORE_HOURS, hours)
    assert expected == house_rules(Config(house=house, cat=cats))


def test_every_word_of_the_configuration_is_one_of_the_rules() -> None:
    """The choices that the file allows are the modes and clock rules there are, no more and no fewer."""
    allowed = {name: field.metadata["allowed"] for name, field in HouseConfig.__dataclass_fields__.items()
               if "allowed" in field.metadata}  # fmt: skip
    assert {"mode": tuple(Mode), "on_bad_clock": tuple(OnBadClock)} == allowed
