"""The guard's logic, compiled for this machine: whatever comes over the line, the coil neither burns nor stays on."""

from __future__ import annotations

import os
from itertools import pairwise

import pytest
from guards import LIMITS, NONCE, HostGuard, kept_is_valid
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from edge.adapters.guard import GuardAnswer, GuardCommand, Order, Reply, pack_order
from edge.adapters.sim.guard import BROWN_OUT, FRESH_MS, LONGEST_LEASE_MS, POWER_ON, WATCHDOG

EXAMPLES = int(os.environ.get("GUARD_EXAMPLES", "25"))
"""Of the state machine, 40 steps each; more by hand: GUARD_EXAMPLES=10000."""

CAP_MS, REST_MS, BUDGET_MS = LIMITS[1].cap_ms, LIMITS[1].rest_ms, LIMITS[1].budget_ms
READY_MS = 200_000
"""Long enough for a guard that was just powered on to have cooled altogether."""


def ready(profile: int = 1) -> HostGuard:
    """Return a guard that is rested and cool enough."""
    guard = HostGuard(profile)
    guard.idle(READY_MS)
    return guard


def say(guard: HostGuard, command: int, lease_ms: int = 0, **other: int) -> Reply:
    """Send a command with everything right about it but ``other``; return the reply."""
    guard.receive(pack_order(Order(GuardCommand.HELLO, 0, 0, 0, 0)))
    heard = guard.told()
    right = {"nonce": heard.nonce, "sequence": heard.sequence + 1, "heard_ms": heard.clock_ms}
    guard.receive(pack_order(Order(command, lease_ms=lease_ms, **{**right, **other})))
    return guard.told()


def test_the_gate_is_off_at_boot_and_says_why_it_booted() -> None:
    """A guard begins at rest with one reply that nobody asked for: the cause of its start."""
    guard = HostGuard()
    told = guard.told()
    assert (False, GuardCommand.BOOT, "power-on", b"") == (guard.gate, told.command, told.why_reset, guard.take_reply())


@pytest.mark.parametrize("lease_ms", [1, 500, LONGEST_LEASE_MS])
def test_a_lease_holds_to_its_end(lease_ms: int) -> None:
    """Power lasts exactly as long as was asked, and ends by itself."""
    guard = ready()
    told = say(guard, GuardCommand.ENERGISE, lease_ms)
    assert (GuardAnswer.DONE, lease_ms, lease_ms) == (told.answer, told.lease_left_ms, guard.live(10_000))


def test_no_lease_is_longer_than_the_longest() -> None:
    """What is asked beyond the longest lease is cut."""
    guard = ready()
    say(guard, GuardCommand.ENERGISE, 65_535)
    assert LONGEST_LEASE_MS == guard.live(70_000)


def test_a_lease_of_nothing_rests() -> None:
    """Power for no time is refused, and ends what was granted before."""
    guard = ready()
    say(guard, GuardCommand.ENERGISE, 500)
    assert (GuardAnswer.NO_LEASE, False) == (say(guard, GuardCommand.ENERGISE, 0).answer, guard.gate)


def hold(guard: HostGuard, ms: int, tick_ms: int = 100) -> list[int]:
    """Ask for power every tick; return how long the gate was on in each."""
    on = []
    for _ in range(ms // tick_ms):
        say(guard, GuardCommand.ENERGISE, 500)
        on.append(guard.live(tick_ms))
    return on


def test_the_cap_forces_a_rest() -> None:
    """Power that is renewed for ever ends after the cap, and comes back after the rest."""
    on = hold(ready(), 10_000)
    assert [100] * 80 + [0] * 10 + [100] * 10 == on


def test_a_rest_that_is_too_short_does_not_begin_the_cap_anew() -> None:
    """Letting go for a moment before the cap buys no more time with power."""
    guard = ready()
    first = sum(hold(guard, 7900))
    say(guard, GuardCommand.REST)
    guard.live(REST_MS - 1)
    assert CAP_MS == first + sum(hold(guard, 900))


def test_heat_refuses_until_it_has_cooled() -> None:
    """A full bucket gives no power until it is below four fifths."""
    guard = HostGuard()
    guard.live(31_999)
    before = say(guard, GuardCommand.ENERGISE, 100).answer
    guard.live(1)
    assert (GuardAnswer.HEAT, GuardAnswer.DONE) == (before, say(guard, GuardCommand.ENERGISE, 100).answer)


def test_a_shorted_transistor_heats_too() -> None:
    """Power that the guard did not give is measured, told, and counted as heat."""
    guard = ready()
    guard.live(41_000, shorted=True)
    told = say(guard, GuardCommand.ENERGISE, 100)
    assert (True, False, True) == (told.coil, told.gate, told.heat_ms >= BUDGET_MS)


def test_a_coil_for_continuous_power_is_bounded_by_its_cap_alone() -> None:
    """The second profile stores no heat."""
    guard = HostGuard(2)
    guard.live(REST_MS)
    assert [100] * 1000 == hold(guard, 100_000)


@pytest.mark.parametrize(
    ("wrong", "answer"),
    [
        ({"nonce": NONCE + 1}, GuardAnswer.NONCE),
        ({"sequence": 0}, GuardAnswer.SEQUENCE),
        ({"heard_ms": READY_MS - FRESH_MS - 1}, GuardAnswer.STALE),
        ({"heard_ms": READY_MS + 1}, GuardAnswer.STALE),
        ({"command": 9}, GuardAnswer.UNKNOWN),
    ],
)
def test_a_command_that_proves_nothing_changes_nothing(wrong: dict[str, int], answer: int) -> None:
    """Another boot's, a taken, a stale or an unknown command neither gives power nor counts as taken."""
    guard = ready()
    told = say(guard, **{"command": GuardCommand.ENERGISE, "lease_ms": 500, **wrong})
    assert (answer, 0, False) == (told.answer, told.sequence, guard.gate)


def test_rest_needs_no_proof() -> None:
    """A rest from nobody knows when takes the power away all the same."""
    guard = ready()
    say(guard, GuardCommand.ENERGISE, 500)
    told = say(guard, GuardCommand.REST, nonce=0, sequence=0, heard_ms=0)
    assert (GuardAnswer.NONCE, False, False) == (told.answer, told.gate, guard.gate)


def test_the_clock_may_wrap() -> None:
    """A command is as fresh across the wrap of the guard's clock as anywhere."""
    guard = HostGuard(2)
    guard.idle(2**32 - 60)
    told = [say(guard, GuardCommand.ENERGISE, 50)]
    guard.live(100)
    told.append(say(guard, GuardCommand.ENERGISE, 50, heard_ms=told[0].clock_ms))
    assert ([GuardAnswer.DONE] * 2, True) == ([reply.answer for reply in told], told[1].clock_ms < told[0].clock_ms)


@pytest.mark.parametrize("data", [b"\x00" * 12, b"\xff" * 12, b"\xa5" * 12])
def test_a_memory_that_lost_its_power_is_not_trusted(data: bytes) -> None:
    """RAM of all zeros, all ones or a pattern is no memory of heat."""
    assert not kept_is_valid(data)


class Line(RuleBasedStateMachine):
    """Somebody asks for power over a bad line, while the chip is reset and the transistor fails; an oracle keeps count.

    The oracle knows which frame was the last that could rightly give power, and does its own sums of time and heat.
    """

    def __init__(self) -> None:
        """Power a guard on and let it cool."""
        super().__init__()
        self.guard = ready()
        self.boot()
        self.heat = 0  # milliseconds with power times 800, less milliseconds without times 200

    def boot(self) -> None:
        """Begin the oracle's account of one boot."""
        self.sequence = 0
        self.lease_ms = 0  # what the last rightful command may still hold
        self.run_ms = CAP_MS  # with power since the last full rest
        self.rest_ms = 0
        self.sent: list[bytes] = []
        self.heard = self.hear()

    def hear(self) -> Reply:
        """Ask how things are."""
        self.guard.receive(bytes(18) + pack_order(Order(GuardCommand.HELLO, 0, 0, 0, 0)))
        self.replied = self.guard.told()
        return self.replied

    def frame(self, command: int, lease_ms: int) -> bytes:
        """Return a rightful command, fresh and never sent before."""
        self.sequence += 1
        heard = self.heard
        frame = pack_order(Order(command, heard.nonce, self.sequence, heard.clock_ms, lease_ms))
        self.sent.append(frame)
        return frame

    @initialize()
    def rest_first(self) -> None:
        """Let the rest after the boot pass."""
        self.wait(REST_MS)

    @rule(lease_ms=st.one_of(st.integers(0, 3000), st.just(65_535)), noise=st.binary(max_size=20))
    def energise(self, lease_ms: int, noise: bytes) -> None:
        """Ask for power, with noise before; the noise may swallow the frame, never make one."""
        before = self.guard.gate
        self.heard = self.hear()
        self.guard.receive(noise + self.frame(GuardCommand.ENERGISE, lease_ms))
        told = self.guard.take_reply()
        if told:
            self.lease_ms = min(lease_ms, LONGEST_LEASE_MS) if self.guard.gate else 0
        else:
            assert before == self.guard.gate

    @rule()
    def rest(self) -> None:
        """Ask for rest; it always comes."""
        self.guard.receive(bytes(18) + self.frame(GuardCommand.REST, 0))
        assert not self.guard.gate
        self.lease_ms = 0

    @rule(ms=st.one_of(st.integers(0, 600), st.integers(600, 20_000)))
    def wait(self, ms: int) -> None:
        """Nothing comes: a cut cable, a hung host, or just the time between two ticks."""
        on_ms = self.guard.live(ms)
        assert on_ms <= self.lease_ms
        assert on_ms == 0 or self.run_ms + on_ms <= CAP_MS
        assert on_ms == 0 or self.heat + 800 * on_ms <= 800 * BUDGET_MS
        self._count(on_ms, ms - on_ms)
        self.lease_ms = max(0, self.lease_ms - ms)

    @rule(ticks=st.sampled_from((2, 20, 81)), gap_ms=st.integers(1, 990))
    def hold(self, ticks: int, gap_ms: int) -> None:
        """Renew a lease for seconds, and let go for less than a full rest."""
        for _ in range(ticks):
            self.energise(500, b"")
            self.wait(100)
        self.rest()
        self.wait(gap_ms)

    @precondition(lambda self: self.replied.heat_ms < BUDGET_MS // 2)
    @rule(ms=st.integers(1, 3000))
    def short(self, ms: int) -> None:
        """The transistor conducts by itself for a while."""
        assert self.guard.live(ms, shorted=True) <= self.lease_ms
        self._count(ms, 0)
        self.lease_ms = max(0, self.lease_ms - ms)

    def _count(self, on_ms: int, off_ms: int) -> None:
        self.run_ms, self.rest_ms = self.run_ms + on_ms, 0 if on_ms else self.rest_ms
        self.rest_ms += off_ms
        self.run_ms = 0 if self.rest_ms >= REST_MS else self.run_ms
        self.heat = max(0, self.heat + 800 * on_ms - 200 * off_ms)

    @rule(noise=st.binary(max_size=60))
    def noise(self, noise: bytes) -> None:
        """Something comes that nobody sent."""
        self._nothing_changes(noise)

    @precondition(lambda self: self.sent)
    @rule(data=st.data())
    def replay(self, data: st.DataObject) -> None:
        """A frame of this boot comes again; rest rests, power is not given."""
        frame = data.draw(st.sampled_from(self.sent))
        if frame[1] == GuardCommand.REST:
            self.guard.receive(frame)
            self.lease_ms = self.lease_ms if self.guard.gate else 0
        else:
            self._nothing_changes(frame)

    @precondition(lambda self: self.sent)
    @rule(data=st.data(), cut=st.integers(0, 17))
    def truncate(self, data: st.DataObject, cut: int) -> None:
        """Only the beginning of a frame comes."""
        self._nothing_changes(data.draw(st.sampled_from(self.sent))[:cut])

    @precondition(lambda self: self.sent)
    @rule(bit=st.integers(0, 143))
    def damage(self, bit: int) -> None:
        """A frame that would be rightful comes with one bit wrong."""
        frame = bytearray(self.frame(GuardCommand.ENERGISE, 500))
        frame[bit // 8] ^= 1 << bit % 8
        self.sequence -= 1
        self.sent.pop()
        self._nothing_changes(bytes(frame))

    @rule(late_ms=st.integers(FRESH_MS + 1, 60_000))
    def come_late(self, late_ms: int) -> None:
        """A rightful frame is held up for longer than it is fresh."""
        self.heard = self.hear()
        frame = self.frame(GuardCommand.ENERGISE, 500)
        self.wait(late_ms)
        self._nothing_changes(frame)

    def _nothing_changes(self, data: bytes) -> None:
        before = self.guard.gate, self.hear().lease_left_ms
        self.guard.receive(data)
        assert before == (self.guard.gate, self.hear().lease_left_ms)

    @rule(reset=st.sampled_from([BROWN_OUT, WATCHDOG, POWER_ON]))
    def reset(self, reset: int) -> None:
        """The chip starts anew: gate off, and what was sent to it before is worth nothing."""
        before = list(self.sent)
        self.guard.restart(reset)
        assert not self.guard.gate
        if reset == POWER_ON:
            self.heat = 800 * BUDGET_MS
        self.boot()
        for frame in before[-3:]:
            self._nothing_changes(frame)

    @invariant()
    def never_beyond_a_bound(self) -> None:
        """No lease outlives its silence, no cap and no budget is passed, and the guard's own sum is the oracle's."""
        assert not self.guard.gate or self.lease_ms > 0
        assert not self.guard.gate or self.run_ms < CAP_MS
        assert self.heat <= 800 * BUDGET_MS or not self.guard.gate
        assert self.heat == self.guard.heat


Line.TestCase.settings = settings(max_examples=EXAMPLES, stateful_step_count=40)
TestLine = Line.TestCase


@given(noise=st.lists(st.binary(max_size=64), max_size=20))
def test_a_frame_is_found_behind_any_noise(noise: list[bytes]) -> None:
    """However long the noise, a guard hears the second of two good frames, and never more than it was sent."""
    guard = ready()
    guard.take_reply()
    guard.receive(b"".join(noise))
    guard.take_reply()
    hello = pack_order(Order(GuardCommand.HELLO, 0, 0, 0, 0))
    guard.receive(hello + hello)
    assert GuardCommand.HELLO == guard.told().command


def test_every_boot_has_its_own_nonce() -> None:
    """Neither a warm nor a cold start repeats a nonce."""
    guard = HostGuard()
    nonces = [guard.nonce]
    for reset in (WATCHDOG, BROWN_OUT, POWER_ON, WATCHDOG, POWER_ON):
        guard.restart(reset)
        nonces.append(guard.nonce)
    assert all(later > earlier for earlier, later in pairwise(nonces))
