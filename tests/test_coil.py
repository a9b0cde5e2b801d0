"""The guard of the coil: whatever is asked, the coil neither burns nor stays on by itself."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from edge.coil import (
    NS,
    RESUME_SHARE,
    CoilGuard,
    CoilRefusal,
    Interlock,
    PowerBudget,
    heat_after,
    surely_passed_s,
)
from edge.config import LockConfig
from edge.messages import REST, BoltAction, BootMoment, FlapCommand

LOCK = LockConfig(lease_s=0.5, max_on_s=8.0, min_rest_s=1.0, heat_budget_s=40.0, duty=0.2)


def energise(lease_s: float = 0.5) -> FlapCommand:
    """Return the wish for power."""
    return FlapCommand(BoltAction.ENERGISE, lease_s)


def hold(guard: CoilGuard, from_s: float, to_s: float, tick_s: float = 0.1) -> list[FlapCommand]:
    """Ask for power at every tick of a stretch of time; return what was sent."""
    ticks = round((to_s - from_s) / tick_s)
    return [guard.command(energise(), int((from_s + tick * tick_s) * NS)) for tick in range(ticks)]


def test_a_wish_within_bounds_passes_unchanged() -> None:
    """A cold coil gets what was asked, for the lease that was asked."""
    guard = CoilGuard(LOCK, 0.0, 0)
    assert (energise(0.3), None) == (guard.command(energise(0.3), 0), guard.refusal)


def test_rest_always_passes() -> None:
    """Rest is never refused, not even by a coil that is too hot."""
    guard = CoilGuard(LOCK, 1000.0, 0)
    assert (REST, None) == (guard.command(REST, 0), guard.refusal)


def test_a_lease_longer_than_configured_is_cut() -> None:
    """No command holds longer than lock.lease_s."""
    assert energise(0.5) == CoilGuard(LOCK, 0.0, 0).command(energise(60.0), 0)


def test_silence_ends_in_rest() -> None:
    """A command that is not renewed ends with its lease."""
    guard = CoilGuard(LOCK, 0.0, 0)
    guard.command(energise(0.5), 0)
    assert [True, False] == [guard.powered(int(0.5 * NS) - 1), guard.powered(int(0.5 * NS))]


@pytest.mark.parametrize("lease_s", [0.0, -1.0, math.nan, -math.inf])
def test_a_command_without_a_lease_is_refused(lease_s: float) -> None:
    """Power without a time for which it holds is not given."""
    guard = CoilGuard(LOCK, 0.0, 0)
    assert (REST, CoilRefusal.LEASE) == (guard.command(energise(lease_s), 0), guard.refusal)


def test_the_cap_forces_a_rest() -> None:
    """After max_on_s of power the coil rests for min_rest_s, then may be powered again."""
    guard = CoilGuard(LOCK, 0.0, 0)
    sent = hold(guard, 0.0, 9.2)
    on = [command.action is BoltAction.ENERGISE for command in sent]
    assert [True] * 80 + [False] * 10 + [True] * 2 == on


def test_the_refusal_names_cap_then_rest() -> None:
    """The command that meets the cap says cap, those after it say rest."""
    guard = CoilGuard(LOCK, 0.0, 0)
    hold(guard, 0.0, 8.1)
    first = guard.refusal
    guard.command(energise(), int(8.2 * NS))
    assert (CoilRefusal.CAP, CoilRefusal.REST) == (first, guard.refusal)


def test_the_last_lease_before_the_cap_is_cut_to_it() -> None:
    """The lease given near the cap ends at the cap, so that a missing tick does not carry power past it."""
    guard = CoilGuard(LOCK, 0.0, 0)
    hold(guard, 0.0, 7.8)
    assert 0.2 == pytest.approx(guard.command(energise(), int(7.8 * NS)).lease_s)


def test_heat_grows_with_power_and_shrinks_without() -> None:
    """One second more per second on, duty/(1-duty) less per second off."""
    guard = CoilGuard(LOCK, 0.0, 0)
    hold(guard, 0.0, 5.0)
    guard.command(REST, 5 * NS)
    assert [5.0, 4.0, 0.0] == pytest.approx([guard.heat_s(5 * NS), guard.heat_s(9 * NS), guard.heat_s(500 * NS)])


def test_a_hot_coil_waits_until_it_has_cooled() -> None:
    """A full bucket refuses power until it has fallen below the share at which work resumes."""
    guard = CoilGuard(LOCK, 40.0, 0)
    cooled_s = (1 - RESUME_SHARE) * 40.0 * (1 - 0.2) / 0.2
    before = (guard.command(energise(), int((cooled_s - 0.1) * NS)), guard.refusal)
    after = (guard.command(energise(), int((cooled_s + 0.1) * NS)), guard.refusal)
    assert ((REST, CoilRefusal.HEAT), (energise(), None)) == (before, after)


def test_duty_one_stores_no_heat() -> None:
    """A coil made for continuous power is bounded by the cap alone."""
    lock = LockConfig(kind="power_to_lock", duty=1.0, max_on_s=86400.0, heat_budget_s=1.0)
    guard = CoilGuard(lock, 50.0, 0)
    hold(guard, 0.0, 30.0)
    assert (0.0, None) == (guard.heat_s(30 * NS), guard.refusal)


def test_a_loop_that_hung_is_counted_as_power() -> None:
    """A pin keeps its level while the loop hangs, so the gap counts as heat and towards the cap."""
    guard = CoilGuard(LOCK, 0.0, 0)
    guard.command(energise(), 0)
    sent = guard.command(energise(), 10 * NS)
    assert (REST, CoilRefusal.CAP, 10.0) == (sent, guard.refusal, guard.heat_s(10 * NS))


@pytest.mark.parametrize("kind", ["power_to_unlock", "power_to_lock"])
def test_both_kinds_of_lock_are_bounded_alike(kind: str) -> None:
    """What power means to the cat makes no difference to the coil."""
    guard = CoilGuard(LockConfig(kind=kind), 0.0, 0)
    assert not all(command.action is BoltAction.ENERGISE for command in hold(guard, 0.0, 20.0))


@given(heat_s=st.floats(0, 1e5), rest_s=st.floats(-1e6, 1e6), duty=st.floats(0.01, 1.0))
def test_a_stored_heat_only_ever_cools(heat_s: float, rest_s: float, duty: float) -> None:
    """Ageing a stored value never warms it and never goes below zero, whatever time is given."""
    assert 0.0 <= heat_after(heat_s, rest_s, LockConfig(duty=duty)) <= heat_s


TIMES = st.integers(0, 10**18)  # nanoseconds: up to 30 years


@pytest.mark.parametrize(
    ("kept", "now", "passed_s"),
    [
        (BootMoment("a", 5 * NS), BootMoment("a", 8 * NS), 3.0),
        (BootMoment("a", 8 * NS), BootMoment("a", 5 * NS), 0.0),  # which no kernel says
        (BootMoment("a", 900 * NS), BootMoment("b", 7 * NS), 7.0),
        (BootMoment("a", 5 * NS), BootMoment("b", 900 * NS), 900.0),
        (BootMoment("", 5 * NS), BootMoment("b", 900 * NS), 0.0),
        (BootMoment("a", 5 * NS), BootMoment("", 900 * NS), 0.0),
        (BootMoment("", 5 * NS), BootMoment("", 900 * NS), 0.0),
    ],
)
def test_only_time_that_passed_for_certain_cools(kept: BootMoment, now: BootMoment, passed_s: float) -> None:
    """Within a boot its own clock counts, after another boot the uptime alone, and without a name nothing."""
    assert passed_s == surely_passed_s(kept, now)


@given(before_ns=TIMES, off_ns=TIMES, up_ns=TIMES, again=st.booleans())
def test_no_more_time_counts_than_really_passed(before_ns: int, off_ns: int, up_ns: int, *, again: bool) -> None:
    """What counts is never more than what passed, and all of it where the machine was not off in between."""
    kept = BootMoment("a", before_ns)
    now = BootMoment("b", up_ns) if again else BootMoment("a", before_ns + up_ns)
    real_s = ((off_ns if again else 0) + up_ns) / NS
    assert (True, up_ns / NS) == (surely_passed_s(kept, now) <= real_s, surely_passed_s(kept, now))


LOCKS = st.builds(
    LockConfig,
    lease_s=st.floats(0.2, 2.0),
    max_on_s=st.floats(0.5, 30.0),
    min_rest_s=st.floats(0.0, 10.0),
    heat_budget_s=st.floats(1.0, 60.0),
    duty=st.floats(0.01, 0.99),
)


@given(lock=LOCKS, share=st.floats(0.0, 1.2), died_s=st.floats(0.0, 30.0), later_s=st.floats(0.0, 60.0))
def test_what_a_death_within_a_run_leaves_is_never_below_the_truth(
    lock: LockConfig, share: float, died_s: float, later_s: float
) -> None:
    """The heat kept when power began, aged since then, covers a coil that had power until the death or its bound."""
    before_s = share * lock.heat_budget_s
    guard = CoilGuard(lock, before_s, 0)
    guard.command(energise(), 0)
    run_s = min(died_s, lock.max_on_s, max(0.0, lock.heat_budget_s - before_s)) if guard.powered(0) else 0.0
    truth_s = heat_after(before_s + run_s, later_s, lock)
    assert truth_s <= heat_after(guard.worst_heat_s(0), run_s + later_s, lock) + 1e-6


class Coil(RuleBasedStateMachine):
    """A coil that is asked for anything at any time, and what a perfect and a plain pin make of the answers."""

    @initialize(lock=LOCKS, kept=st.floats(0.0, 2.0))
    def start(self, lock: LockConfig, kept: float) -> None:
        """Take any settings within their bounds and any heat from before."""
        self.lock = lock
        self.now_ns = 10 * NS
        self.guard = CoilGuard(self.lock, kept * lock.heat_budget_s, self.now_ns)
        self.sent, self.sent_ns = REST, self.now_ns
        self.leased_heat_s = self.guard.heat_s(self.now_ns)  # of a pin that honours every lease
        self.started_heat_s = self.leased_heat_s
        self.run_s = 0.0  # that pin's present run of power
        self.plain_s = 0.0  # the present run of a pin that holds its level until the next command
        self.longest_gap_s = 0.0

    @rule(gap_s=st.one_of(st.floats(0.0, 0.3), st.floats(0.3, 5.0)), lease_s=st.floats(-1.0, 10.0), power=st.booleans())
    def ask(self, gap_s: float, lease_s: float, *, power: bool) -> None:
        """Let some time pass and ask for something."""
        self.now_ns += int(gap_s * NS)
        self._pass()
        wanted = energise(lease_s) if power else REST
        self.sent, self.sent_ns = self.guard.command(wanted, self.now_ns), self.now_ns
        self.wanted = wanted
        if self.sent == REST:
            self.run_s = self.plain_s = 0.0

    @rule(sooner_ns=st.integers(1, 10 * NS))
    def ask_in_the_past(self, sooner_ns: int) -> None:
        """A clock that went back cools nothing and does no harm."""
        before = self.guard.heat_s(self.now_ns)
        assert before == self.guard.heat_s(self.now_ns - sooner_ns)

    def _pass(self) -> None:
        gap_s = (self.now_ns - self.sent_ns) / NS
        on_s = min(gap_s, self.sent.lease_s) if self.sent != REST else 0.0
        self.leased_heat_s = heat_after(self.leased_heat_s + on_s, gap_s - on_s, self.lock)
        self.run_s = self.run_s + on_s if on_s == gap_s else on_s
        if self.sent != REST:
            self.plain_s += gap_s
            self.longest_gap_s = max(self.longest_gap_s, gap_s)

    @invariant()
    def holds_its_bounds(self) -> None:
        """Neither cap nor budget is passed: never where leases are honoured, by one gap at most where they are not."""
        if not hasattr(self, "lock"):
            return
        tiny = 1e-6
        ceiling_s = max(self.started_heat_s, self.lock.heat_budget_s)
        assert self.run_s <= self.lock.max_on_s + tiny
        assert self.leased_heat_s <= ceiling_s + tiny
        assert self.plain_s <= self.lock.max_on_s + self.longest_gap_s + tiny
        assert 0.0 <= self.guard.heat_s(self.now_ns) <= ceiling_s + self.longest_gap_s + tiny

    @invariant()
    def knows_at_least_the_real_heat(self) -> None:
        """What the guard believes is never less than what a pin that honours leases has stored."""
        if hasattr(self, "lock"):
            assert self.leased_heat_s <= self.guard.heat_s(self.sent_ns) + 1e-6

    @precondition(lambda self: getattr(self, "sent", REST) != REST)
    @invariant()
    def ends_by_itself(self) -> None:
        """Power that nobody renews has ended when its lease has."""
        assert 0.0 < self.sent.lease_s <= min(self.wanted.lease_s, self.lock.lease_s)
        assert not self.guard.powered(self.sent_ns + int(self.sent.lease_s * NS) + 1)

    @precondition(lambda self: hasattr(self, "wanted"))
    @invariant()
    def says_why(self) -> None:
        """A wish for power that became rest has a reason, and nothing else has one."""
        assert (self.wanted != REST and self.sent == REST) == (self.guard.refusal is not None)


Coil.TestCase.settings = settings(max_examples=60, stateful_step_count=40)
TestCoil = Coil.TestCase


# --- several coils ---------------------------------------------------------------------------------------------------


def test_a_supply_for_one_lets_one_have_power_at_a_time() -> None:
    """The second coil waits for the first to rest, however long it asks."""
    interlock = Interlock(PowerBudget(15.0, (12.0, 12.0)), 0.2)
    both = [interlock.grant((energise(), energise()), second * NS) for second in range(5)]
    after = interlock.grant((REST, energise()), 5 * NS)
    assert ([(energise(), REST)] * 5, (REST, energise())) == (both, after)


def test_a_coil_that_has_power_keeps_it_before_another_gets_any() -> None:
    """The first in order does not push out the one that is open already."""
    interlock = Interlock(PowerBudget(15.0, (12.0, 12.0)), 0.0)
    interlock.grant((REST, energise()), 0)
    assert (REST, energise()) == interlock.grant((energise(), energise()), NS)


def test_a_coil_that_is_too_much_for_the_supply_gets_nothing() -> None:
    """The budget holds for one coil as for several."""
    assert (REST,) == Interlock(PowerBudget(10.0, (12.0,)), 0.0).grant((energise(),), 0)


WATTS = st.lists(st.floats(1.0, 30.0), min_size=1, max_size=4)
ASKED = st.lists(st.tuples(st.integers(0, NS), st.lists(st.booleans(), min_size=4, max_size=4)), max_size=40)


@given(watts=WATTS, supply_w=st.floats(0.0, 80.0), stagger_s=st.floats(0.0, 1.0), asked=ASKED)
def test_no_supply_is_overdrawn_and_no_two_coils_switch_on_together(
    watts: list[float], supply_w: float, stagger_s: float, asked: list[tuple[int, list[bool]]]
) -> None:
    """Whatever is asked of however many coils: the sum stays within the supply, and switching is staggered."""
    interlock, now_ns = Interlock(PowerBudget(supply_w, tuple(watts)), stagger_s), 0
    on: set[int] = set()
    switched: list[int] = []
    for step_ns, wishes in asked:
        now_ns += step_ns
        granted = interlock.grant(tuple(energise() if wish else REST for wish in wishes[: len(watts)]), now_ns)
        before, on = on, {place for place, command in enumerate(granted) if command != REST}
        switched += [now_ns] * len(on - before)
        assert all(wishes[place] for place in on)
        assert sum(watts[place] for place in on) <= supply_w
    assert all(later - sooner >= round(stagger_s * NS) for sooner, later in pairwise(switched))
