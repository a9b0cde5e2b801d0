"""The guard's Python twin and its C say the same of the same bytes at the same times."""

from __future__ import annotations

import re

import pytest
from guards import FIRMWARE, LIMITS, HostGuard
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.adapters.guard import GuardAnswer, GuardCommand, Order, pack_order, unpack_order, unpack_reply
from edge.adapters.sim import guard as twin
from edge.adapters.sim.guard import BROWN_OUT, POWER_ON, WATCHDOG, Guard
from edge.config import LockConfig


class Both:
    """A guard in C and its twin, side by side."""

    def __init__(self, profile: int) -> None:
        """Power both on."""
        self.profile = profile
        self.chip = HostGuard(profile)
        self.limits = LIMITS[profile]
        self.twin = Guard(self.limits, self.chip.nonce, None, POWER_ON)
        self.last = self.said()

    def said(self) -> bytes:
        """Return what both say; they must agree. The twin's profile is always 1, and its CRC follows."""
        ours, theirs = (
            unpack_reply(self.twin.take_reply() or bytes(40)),
            unpack_reply(self.chip.take_reply() or bytes(40)),
        )
        if ours is None or theirs is None:
            assert ours is theirs
            return b""
        assert {name: getattr(ours, name) for name in ours.__slots__ if name != "profile"} == {
            name: getattr(theirs, name) for name in theirs.__slots__ if name != "profile"
        }
        self.heard = theirs
        return b"said"

    def receive(self, data: bytes) -> None:
        """Let both hear the same."""
        self.chip.receive(data)
        self.twin.receive(data)

    def live(self, ms: int, *, shorted: bool) -> None:
        """Let the same time pass for both; the twin takes it in two great steps."""
        self.chip.live(ms, shorted=shorted)
        under_ms = min(ms, self.twin.lease_ms)
        self.twin.pass_time(under_ms, coil=self.twin.gate or shorted)
        if ms > under_ms:
            self.twin.pass_time(ms - under_ms, coil=shorted)

    def restart(self, reset: int) -> None:
        """Reset both."""
        self.chip.restart(reset)
        kept = None if reset & POWER_ON else self.twin.keep()
        self.twin = Guard(self.limits, self.chip.nonce, kept, reset)


orders = st.tuples(
    st.sampled_from([1, 2, 3, 3, 3, 3, 7]),
    st.one_of(st.integers(1, 2500), st.integers(0, 65_535)),
    st.sampled_from([0, 0, 0, 0, 1, -1]),  # the nonce beside the right one
    st.sampled_from([1, 1, 1, 1, 0, 5]),  # the sequence beside the last one
    st.sampled_from([0, 0, 0, 2000, 2001, -1]),  # how much older than heard
)
times = st.tuples(st.one_of(st.integers(1, 700), st.integers(1, 40_000)), st.sampled_from([False, False, False, True]))
steps = st.lists(
    st.one_of(orders, orders, times, times, st.binary(max_size=40), st.sampled_from([POWER_ON, BROWN_OUT, WATCHDOG])),
    max_size=40,
)


@pytest.mark.parametrize("profile", LIMITS)
def test_twin_and_chip_agree(profile: int) -> None:
    """Over random orders, noise, times, faults and resets every reply is the same in every field."""

    @settings(max_examples=150)
    @given(steps=steps)
    def agree(steps: list[tuple[int, ...] | bytes | int]) -> None:
        both = Both(profile)
        for step in steps:
            if isinstance(step, bytes):
                both.receive(step)
            elif isinstance(step, int):
                both.restart(step)
            elif len(step) == 2:
                both.live(step[0], shorted=bool(step[1]))
            else:
                command, lease_ms, nonce, sequence, older_ms = step
                heard = both.heard
                sent = (heard.nonce + nonce, heard.sequence + sequence, max(0, heard.clock_ms - older_ms))
                both.receive(pack_order(Order(command, *sent, lease_ms)))
            both.said()
            assert both.chip.gate == both.twin.gate

    agree()


@given(st.builds(Order, *[st.integers(0, 2**bits - 1) for bits in (8, 32, 32, 32, 16)]))
def test_every_order_survives(order: Order) -> None:
    """What is packed is what is unpacked."""
    assert order == unpack_order(pack_order(order))


def _constants(name: str) -> dict[str, int]:
    text = (FIRMWARE / name).read_text(encoding="utf-8")
    found = re.findall(r"#define (GUARD_\w+) (0x[0-9A-F]+|\d+)U?L?\b", text)
    found += re.findall(r"\b(GUARD_[A-Z_]+) = (\d+)", text)
    return {key: int(value, 0) for key, value in reversed(found)}  # of a limit the first profile's, which comes first


def test_the_constants_are_the_firmwares() -> None:
    """What Python has of the header's numbers is what the header says."""
    limits, logic = _constants("limits.h"), _constants("guard.h")
    ours = (twin.LONGEST_LEASE_MS, twin.FRESH_MS, twin.RESUME_PERCENT)
    names = ("GUARD_LONGEST_LEASE_MS", "GUARD_FRESH_MS", "GUARD_RESUME_PERCENT")
    assert tuple(limits[name] for name in names) == ours
    assert {name: logic[f"GUARD_{name}"] for name in GuardCommand.__members__} == {
        c.name: c.value for c in GuardCommand
    }
    assert {name: logic[f"GUARD_{name}"] for name in GuardAnswer.__members__} == {a.name: a.value for a in GuardAnswer}


def test_the_first_profile_is_the_default_coil() -> None:
    """A guard built without a word serves a flap configured without a word."""
    limits = _constants("limits.h")
    names = ("GUARD_CAP_MS", "GUARD_REST_MS", "GUARD_BUDGET_MS", "GUARD_DUTY_PERMILLE")
    lock = LockConfig()
    expected = [round(1000 * value) for value in (lock.max_on_s, lock.min_rest_s, lock.heat_budget_s, lock.duty)]
    assert expected == [limits[name] for name in names]
