"""The coil behind its guard: what is asked reaches it, and what is wrong with it is said in one sentence."""

from __future__ import annotations

import os
import tty
from contextlib import suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from stand_ins import clock_at_1000_s

from edge.adapters.clock import SimClock
from edge.adapters.guard import (
    GuardFlap,
    GuardLimits,
    Order,
    ReplyParser,
    limits_of,
    open_guard,
    pack_order,
)
from edge.adapters.sim.guard import BROWN_OUT, POWER_ON, Guard, SimGuard
from edge.assembly import open_bolt_and_pins
from edge.config import Config, GuardConfig, LockConfig, PinsConfig
from edge.errors import HardwareError, RefusedError
from edge.messages import REST, BoltAction, FlapCommand

if TYPE_CHECKING:
    from collections.abc import Iterator

LOCK = LockConfig(lease_s=0.5)
OPEN = FlapCommand(BoltAction.ENERGISE, 0.5)
TICK_S = 0.1


class Rig:
    """A guard that has been up for long, a clock, and the adapter between them."""

    def __init__(self, up_s: float = 600.0) -> None:
        """Greet it."""
        self.clock = clock_at_1000_s()
        self.guard = SimGuard(self.clock, limits_of(LOCK), up_s=up_s)
        self.flap = GuardFlap(self.guard, "guard.port test", LOCK, self.clock, (OSError,))

    def tick(self, command: FlapCommand, ticks: int = 1) -> None:
        """Send a command at every tick of a loop."""
        for _ in range(ticks):
            self.flap.apply(command)
            self.clock.advance(TICK_S)


@pytest.fixture
def rig() -> Rig:
    """A guard that is well."""
    return Rig()


def test_power_lasts_while_it_is_renewed(rig: Rig) -> None:
    """A loop that turns holds the bolt to the cap, and not beyond."""
    rig.tick(OPEN, 79)
    assert True is rig.flap.powered()
    with pytest.raises(RefusedError, match=r"^guard\.port test: the guard refuses power: the coil must rest"):
        rig.tick(OPEN, 5)


def test_silence_releases_in_the_guard_itself(rig: Rig) -> None:
    """A loop that hangs loses its lease in the guard, whoever asks later."""
    rig.tick(OPEN)
    rig.clock.advance(0.5)
    rig.guard.read(0)
    assert False is rig.guard.guard.gate


def test_a_guard_that_is_hot_refuses_and_that_is_no_fault() -> None:
    """Just powered on, a guard takes its bucket for full: power is refused by name, rest is not."""
    rig = Rig(up_s=2.0)
    rig.tick(REST, 3)
    with pytest.raises(RefusedError, match="the coil is too hot"):
        rig.tick(OPEN)
    rig.tick(REST)
    assert False is rig.flap.powered()


def test_a_cut_cable_is_said_after_half_a_second(rig: Rig) -> None:
    """Answers that stay away are a HardwareError with the port's name, and the coil counts as resting."""
    rig.tick(OPEN, 3)
    rig.guard.cut = True
    with pytest.raises(HardwareError, match=r"^guard\.port test: no answer for 0\.5 s") as raised:
        rig.tick(OPEN, 7)
    assert (False, False) == (isinstance(raised.value, RefusedError), rig.flap.powered())


def test_a_mended_cable_serves_again(rig: Rig) -> None:
    """A line that comes back is taken up where it was, as soon as something was heard again."""
    rig.guard.cut = True
    with pytest.raises(HardwareError):
        rig.tick(REST, 7)
    rig.guard.cut = False
    with pytest.raises(HardwareError):
        rig.tick(OPEN)
    rig.tick(OPEN, 3)
    assert True is rig.flap.powered()


def test_a_shorted_transistor_is_a_mismatch_by_name(rig: Rig) -> None:
    """A coil with power that nobody gives is read back as powered, and is a HardwareError."""
    rig.guard.shorted = True
    with pytest.raises(HardwareError, match="the coil has power that the guard does not give"):
        rig.tick(REST, 5)
    assert True is rig.flap.powered()


class DeadCoil:
    """A transistor that does not conduct."""

    def apply(self, command: FlapCommand) -> None:
        """Do nothing."""

    def powered(self) -> bool:
        """Return False."""
        return False

    def close(self) -> None:
        """Do nothing."""


def test_a_coil_that_does_not_follow_is_a_mismatch_by_name() -> None:
    """A gate that is driven for nothing is a HardwareError, and rest is asked for in place of more power."""
    rig = Rig()
    guard = SimGuard(rig.clock, limits_of(LOCK), DeadCoil(), up_s=600.0)
    flap = GuardFlap(guard, "guard.port test", LOCK, rig.clock, (OSError,))
    rig.flap = flap
    with pytest.raises(HardwareError, match="the coil has no power although the guard gives it"):
        rig.tick(OPEN, 5)
    assert False is guard.guard.gate


def test_one_odd_reply_is_no_mismatch(rig: Rig) -> None:
    """A reply that was sent while the transistor switched says nothing."""
    rig.guard.shorted = True
    rig.tick(REST, 1)
    rig.guard.shorted = False
    rig.tick(REST, 5)
    assert False is rig.flap.powered()


def test_a_guard_that_started_anew_is_said_once(rig: Rig) -> None:
    """A reset under way is a HardwareError that names its cause; the new session serves."""
    rig.tick(OPEN, 3)
    rig.guard.restart(BROWN_OUT)
    with pytest.raises(HardwareError, match=r"the guard started anew \(brown-out\)"):
        rig.tick(OPEN, 2)
    rig.tick(REST, 12)
    rig.tick(OPEN, 2)
    assert True is rig.flap.powered()


def test_a_second_host_takes_the_session_up(rig: Rig) -> None:
    """A daemon that was restarted goes on above the last sequence and is obeyed at once."""
    rig.tick(OPEN, 20)
    rig.flap.close()
    rig.flap = GuardFlap(rig.guard, "guard.port test", LOCK, rig.clock, (OSError,))
    rig.tick(OPEN)
    assert True is rig.flap.powered()


def test_nobody_there_is_one_sentence() -> None:
    """A guard that does not answer when the line is opened is a HardwareError."""
    clock = clock_at_1000_s()
    guard = SimGuard(clock, limits_of(LOCK))
    guard.cut = True
    with pytest.raises(HardwareError, match=r"^guard\.port test: no guard answers"):
        GuardFlap(guard, "guard.port test", LOCK, clock, ())


def test_a_guard_for_another_coil_is_refused() -> None:
    """Limits other than those of [lock] are an error that names both."""
    clock = clock_at_1000_s()
    guard = SimGuard(clock, GuardLimits(6000, 1000, 40_000, 200))
    with pytest.raises(HardwareError, match=r"built for max_on_s 6, .* and \[lock\] says max_on_s 8, "):
        GuardFlap(guard, "guard.port test", LOCK, clock, ())


class LostLine(SimGuard):
    """A line whose device goes away."""

    def write(self, data: bytes) -> int:
        """Fail as a device that was unplugged, once it has said something."""
        if self.cut:
            raise OSError("Input/output error")
        return super().write(data)


def test_a_line_that_is_gone_is_one_sentence() -> None:
    """What the line raises is a HardwareError with the port's name, on every tick and at the end."""
    clock = clock_at_1000_s()
    guard = LostLine(clock, limits_of(LOCK), up_s=600.0)
    flap = GuardFlap(guard, "guard.port test", LOCK, clock, (OSError,))
    guard.cut = True
    gone = r"^guard\.port test: the line is gone: Input/output error"
    with pytest.raises(HardwareError, match=gone):
        flap.apply(OPEN)
    with pytest.raises(HardwareError, match=gone):
        flap.close()


@given(pieces=st.lists(st.binary(max_size=60)), cut=st.integers(1, 39))
def test_replies_are_found_in_any_noise(pieces: list[bytes], cut: int) -> None:
    """Noise before a reply, and a reply in two pieces, hide nothing that follows a good frame."""
    guard = Guard(limits_of(LOCK), 256, None, POWER_ON)
    good = guard.take_reply()
    parser = ReplyParser()
    for piece in pieces:
        parser.feed(piece)
    found = [reply.nonce for data in (good[:cut], good[cut:], good) for reply in parser.feed(data)]
    assert [256, 256] == found or ([256] == found and pieces)


class PtyClock(SimClock):
    """A clock that carries bytes between a pseudo-terminal and a simulated guard while it waits."""

    def __init__(self) -> None:
        """Open both ends, raw."""
        super().__init__(datetime(2026, 11, 21, tzinfo=UTC))
        self.chip_end, self.host_end = os.openpty()
        tty.setraw(self.host_end)
        os.set_blocking(self.chip_end, False)
        self.guard = SimGuard(self, limits_of(LOCK), up_s=600.0)

    def wait(self, seconds: float) -> None:
        """Let time pass, and the line be heard."""
        self.advance(seconds)
        with suppress(BlockingIOError):
            self.guard.write(os.read(self.chip_end, 4096))
        os.write(self.chip_end, self.guard.read(4096))


@pytest.fixture
def line() -> Iterator[PtyClock]:
    """A guard at the end of a pseudo-terminal."""
    clock = PtyClock()
    yield clock
    for end in (clock.chip_end, clock.host_end):
        os.close(end)


def test_the_guard_over_a_real_line(line: PtyClock) -> None:
    """Opened through pyserial, power and rest go over a real terminal and are read back."""
    config = GuardConfig(kind="serial", port=os.ttyname(line.host_end), baud=38400)
    flap = open_guard(config, LOCK, line)
    seen = []
    for command in (REST, OPEN, REST):
        flap.apply(command)
        line.wait(TICK_S)
        seen.append(flap.powered())
    flap.close()
    assert [False, True, False] == seen


def test_a_flap_with_a_guard_needs_no_pin_for_its_bolt(line: PtyClock) -> None:
    """Where [guard] names a line, the loop's bolt is the guard's, and closing the pins lets go of it."""
    config = Config(
        pins=PinsConfig(factory="mock"), guard=GuardConfig(kind="serial", port=os.ttyname(line.host_end)), lock=LOCK
    )
    pins = open_bolt_and_pins(config, line)
    kind = type(pins.flap)
    pins.flap.apply(OPEN)
    line.wait(TICK_S)
    powered = pins.flap.powered()
    pins.close()
    line.wait(TICK_S)
    assert (GuardFlap, True, False) == (kind, powered, line.guard.guard.gate)


def test_pins_that_cannot_be_had_release_the_guards_line(line: PtyClock) -> None:
    """An error after the guard was opened closes its line: the next try gets it."""
    config = Config(
        pins=PinsConfig(factory="mock", pir=4, led=4),
        guard=GuardConfig(kind="serial", port=os.ttyname(line.host_end)),
        lock=LOCK,
    )
    for _ in range(2):
        with pytest.raises(HardwareError, match=r"^pins\.led"):
            open_bolt_and_pins(config, line)


def test_a_port_that_is_not_there_is_one_sentence() -> None:
    """A missing port is a HardwareError that names it."""
    with pytest.raises(HardwareError, match=r"^guard\.port /dev/none: cannot be opened"):
        open_guard(GuardConfig(kind="serial", port="/dev/none"), LOCK, clock_at_1000_s())


def test_a_closed_flap_says_so(rig: Rig) -> None:
    """After close there is no power to be had."""
    rig.flap.close()
    with pytest.raises(HardwareError, match="is closed"):
        rig.flap.apply(OPEN)


def test_a_damaged_command_is_not_answered(rig: Rig) -> None:
    """Noise on the way to the guard costs a tick and no more."""
    rig.tick(REST)
    rig.guard.write(pack_order(Order(3, 0, 0, 0, 0))[:7])
    rig.tick(OPEN, 3)
    assert True is rig.flap.powered()
