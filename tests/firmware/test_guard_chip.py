"""The guard's image, built with avr-gcc and run in simavr: its pin at exact times, its line, its watchdog."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import pytest
from guards import MISSING, NONCE, HostGuard, Script, Trace, chip_tools

from edge.adapters.guard import GuardAnswer, GuardCommand, Order, Reply, pack_order, unpack_order, unpack_reply

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.skipif(not chip_tools(), reason=MISSING)

MS_NS = 1_000_000
COOL_MS = 33_000
"""After a power-on the bucket counts as full; from here on there is power."""
BEHIND_MS = 1
"""The chip's first millisecond ends 1.9 ms after the power-on: what comes before X.9 finds a clock of X less this."""
WATCHDOG_MS = 128
"""Nominal period of WDTO_120MS as simavr has it; the chip's own oscillator may be 10 % off."""


def energise(at_ms: float, sequence: int, lease_ms: int, nonce: int = NONCE) -> Order:
    """Return a rightful command for about ``at_ms`` after the boot."""
    return Order(GuardCommand.ENERGISE, nonce, sequence, round(at_ms) - 50, lease_ms)


def run(write: Callable[[Script], None], end_ms: float) -> Trace:
    """Write a script and run it."""
    script = Script()
    write(script)
    return script.run(end_ms)


def test_the_gate_is_low_from_the_first_edge() -> None:
    """Nothing on the line: the gate is never driven, and one reply tells of a power-on with a nonce of its own."""
    trace = Script().run(500)
    ((_, told),) = trace.replies
    assert ([False], (GuardCommand.BOOT, NONCE, "power-on")) == (
        [on for _, on in trace.edges],
        (told.command, told.nonce, told.why_reset),
    )


def test_a_lease_is_a_pulse_of_its_length() -> None:
    """The gate rises within a millisecond of the frame's last byte and falls when the lease ends, never later."""
    leases = (50, 500, 2000)

    def write(script: Script) -> None:
        for at, lease_ms in enumerate(leases):
            script.order(COOL_MS + at * 5000 + 0.5, energise(COOL_MS + at * 5000, at + 1, lease_ms))

    highs = run(write, COOL_MS + 15_000).highs()
    for at, (lease_ms, (from_ns, to_ns)) in enumerate(zip(leases, highs, strict=True)):
        sent_ns = (COOL_MS + at * 5000) * MS_NS + MS_NS // 2
        assert 0 < from_ns - sent_ns < MS_NS
        assert (lease_ms - 1) * MS_NS < to_ns - from_ns <= lease_ms * MS_NS


def test_the_cap_ends_power_that_is_renewed_for_ever() -> None:
    """Eight seconds of renewed leases and not a millisecond more, then a second of rest."""

    def write(script: Script) -> None:
        for tick in range(100):
            at_ms = COOL_MS + 100 * tick
            script.order(at_ms + 0.5, energise(at_ms, tick + 1, 500))

    (from_ns, to_ns), (again_ns, _) = run(write, COOL_MS + 12_000).highs()
    assert 7999 * MS_NS < to_ns - from_ns <= 8000 * MS_NS
    assert 1000 * MS_NS <= again_ns - to_ns <= 1101 * MS_NS


def test_rest_falls_within_the_frames_own_millisecond() -> None:
    """A rest takes the gate low at once."""

    def write(script: Script) -> None:
        script.order(COOL_MS + 0.5, energise(COOL_MS, 1, 2000))
        script.order(COOL_MS + 300.5, Order(GuardCommand.REST, NONCE, 2, COOL_MS, 0))

    ((_, to_ns),) = run(write, COOL_MS + 3000).highs()
    assert 0 < to_ns - round((COOL_MS + 300.5) * MS_NS) < MS_NS


def test_noise_replays_and_stale_frames_move_nothing() -> None:
    """Random bytes, a frame sent twice, one of another boot, one that is too old and one cut short: no edge."""
    dice = random.Random(7)  # noqa: S311 - noise that is the same every time

    def write(script: Script) -> None:
        script.order(COOL_MS + 0.5, energise(COOL_MS, 5, 100))
        for at in range(20):
            script.send(COOL_MS + 500 + 40 * at, dice.randbytes(60))
        script.order(COOL_MS + 1500.5, energise(COOL_MS + 1500, 5, 100))
        script.order(COOL_MS + 1600.5, energise(COOL_MS + 1600, 6, 100, nonce=NONCE + 1))
        script.order(COOL_MS + 1700.5, energise(COOL_MS - 1000, 7, 100))
        script.send(COOL_MS + 1800.5, pack_order(energise(COOL_MS + 1800, 8, 100))[:17])

    trace = run(write, COOL_MS + 3000)
    refused = [reply.answer for at_ns, reply in trace.replies if at_ns > (COOL_MS + 1490) * MS_NS]
    assert (1, [GuardAnswer.SEQUENCE, GuardAnswer.NONCE, GuardAnswer.STALE]) == (len(trace.highs()), refused)


def test_what_the_drain_shows_is_what_is_told() -> None:
    """A coil that follows is told as such; one that is stuck either way is told as it is."""

    def write(script: Script) -> None:
        for at, coil in enumerate(("auto", "off", "on")):
            script.event(COOL_MS + 1000 * at - 10, "coil", coil)
            script.order(COOL_MS + 1000 * at + 0.5, energise(COOL_MS + 1000 * at, at + 1, 100))
            script.order(COOL_MS + 1000 * at + 200.5, Order(GuardCommand.HELLO, 0, 0, 0, 0))

    told = [(reply.gate, reply.coil) for _, reply in run(write, COOL_MS + 4000).replies[1:]]
    assert [(True, True), (False, False), (True, False), (False, False), (True, True), (False, True)] == told


@pytest.mark.parametrize(("bit", "why"), [(1, "reset pin"), (2, "brown-out"), (3, "watchdog")])
def test_a_reset_lets_go_and_remembers_the_heat(bit: int, why: str) -> None:
    """A reset under power takes the gate low and keeps the heat; its nonce is new, the old session worth nothing."""

    def write(script: Script) -> None:
        script.order(COOL_MS + 0.5, energise(COOL_MS, 1, 2000))
        script.event(COOL_MS + 700, "reset", str(bit))
        script.order(COOL_MS + 1000.5, energise(COOL_MS, 2, 500))
        script.order(COOL_MS + 1100.5, Order(GuardCommand.ENERGISE, NONCE + 1, 1, 390, 300))
        script.order(COOL_MS + 2000.5, Order(GuardCommand.ENERGISE, NONCE + 1, 2, 1290, 300))

    trace = run(write, COOL_MS + 4000)
    ((from_ns, to_ns), (_, _)) = trace.highs()
    boot, *after = [reply for at_ns, reply in trace.replies if at_ns > (COOL_MS + 700) * MS_NS]
    assert from_ns < (COOL_MS + 700) * MS_NS <= to_ns < (COOL_MS + 700) * MS_NS + 1000
    assert (GuardCommand.BOOT, NONCE + 1, why) == (boot.command, boot.nonce, boot.why_reset)
    assert 32_000 < boot.heat_ms < 33_000
    assert [GuardAnswer.NONCE, GuardAnswer.CAP, GuardAnswer.DONE] == [reply.answer for reply in after]


def test_a_power_cut_forgets_and_takes_the_bucket_for_full() -> None:
    """When the RAM is lost the count of power-ons in the EEPROM gives the nonce, and there is no power for a while."""

    def write(script: Script) -> None:
        script.event(COOL_MS, "power")
        script.order(COOL_MS + 2000.5, Order(GuardCommand.ENERGISE, 2 * NONCE, 1, 1950, 500))

    trace = run(write, COOL_MS + 3000)
    (_, boot), (_, told) = trace.replies[1:]
    assert ([], 2 * NONCE, 39_999, GuardAnswer.HEAT) == (trace.highs(), boot.nonce, boot.heat_ms, told.answer)


def test_a_program_that_hangs_is_reset_by_the_watchdog() -> None:
    """Stopped in its tracks with the gate high, the chip lets go within the watchdog's period and says why."""

    def write(script: Script) -> None:
        script.order(COOL_MS + 0.5, energise(COOL_MS, 1, 2000))
        script.event(COOL_MS + 300, "hang")

    trace = run(write, COOL_MS + 1500)
    ((_, to_ns),) = trace.highs()
    assert WATCHDOG_MS - 2 < to_ns / MS_NS - (COOL_MS + 300) <= WATCHDOG_MS + 1
    assert "watchdog" in trace.replies[-1][1].why_reset


def stream(seed: int) -> list[tuple[int, bytes]]:
    """Return frames and noise with the whole milliseconds at which they come, no two nearer than a reply is long."""
    dice = random.Random(seed)  # noqa: S311 - a stream that is the same every time
    at_ms, sequence, sent = COOL_MS, 0, []
    for _ in range(80):
        at_ms += dice.choice((20, 50, 100, 100, 400, 2500))
        sequence += dice.choice((1, 1, 1, 0))
        command = dice.choice((1, 2, 3, 3, 3, 3, 3, 9))
        heard_ms = at_ms - dice.choice((10, 50, 200, 1999, 2500))
        frame = pack_order(Order(command, NONCE + (dice.random() < 0.1), sequence, heard_ms, dice.randrange(2500)))
        noise = dice.randbytes(dice.randrange(6)) if dice.random() < 0.3 else b""
        sent.append((at_ms, noise + (frame[: dice.randrange(18)] if dice.random() < 0.1 else frame)))
    return sent


def model(sent: list[tuple[int, bytes]]) -> tuple[list[Reply], list[bool]]:
    """Return what the logic compiled for this machine replies, and its gate after each arrival."""
    guard = HostGuard()
    guard.live(1)
    now_ms, replies, gates = 1, [guard.told()], []
    for at_ms, data in sent:
        guard.live(at_ms - BEHIND_MS - now_ms)
        guard.receive(data)
        guard.live(1)
        now_ms = at_ms - BEHIND_MS + 1
        gates.append(guard.gate)
        reply = unpack_reply(guard.take_reply() or bytes(40))
        replies += [] if reply is None else [reply]
    return replies, gates


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_chip_and_model_agree(seed: int) -> None:
    """The same bytes at the same times: every reply the same in every field, and the gate the same after each."""
    sent = stream(seed)

    def write(script: Script) -> None:
        for at_ms, data in sent:
            script.send(at_ms - 0.25, data)

    trace = run(write, sent[-1][0] + 3000)
    replies, gates = model(sent)
    assert replies == [reply for _, reply in trace.replies]
    seen = [[on for edge_ns, on in trace.edges if edge_ns < (at_ms + 1.9) * MS_NS][-1] for at_ms, _ in sent]
    assert gates == seen
    assert 20 < len([data for _, data in sent if unpack_order(data[-18:].rjust(18)) is not None])
