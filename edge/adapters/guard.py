"""The guard of the coil at the end of a serial line. Floor 5.

A microcontroller of its own drives the bolt's transistor (firmware/guard) and this adapter asks it to, in the frames of
docs/guard-protocol.md. The guard ends a lease by itself, so a loop that hangs, a process that is killed and a cable
that is cut all let go of the coil. Every call here takes what the line has and puts one frame on it; nothing waits but
the constructor, which wants to know that somebody is there.

What the guard says is compared with what it was told: an answer that stays away, a coil that does not follow and a
guard that started anew are each a HardwareError that names what to look at; power that the guard refuses for the coil's
sake is a RefusedError.
"""

from __future__ import annotations

import struct
from binascii import crc_hqx
from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING, Any, Protocol

from edge.errors import HardwareError, RefusedError
from edge.messages import BoltAction

if TYPE_CHECKING:
    from edge.config import GuardConfig, LockConfig
    from edge.messages import FlapCommand
    from edge.ports import Clock

NS, MS_NS = 1_000_000_000, 1_000_000

PROTOCOL = 1
COMMAND_START, REPLY_START = 0xC5, 0x5C
COMMAND = struct.Struct("<BBIIIHH")
"""Start, command, nonce, sequence, heard (ms of the guard's clock), lease (ms), CRC."""
REPLY = struct.Struct("<BBIIIBBHIBBBBIHIHH")
"""Start and the fields of ``Reply`` in their order, the last four of them ``GuardLimits``, then the CRC."""

GREETING_S = 1.0
"""A guard that does not answer for this long when the line is opened is not there."""
GREETING_EVERY_S = 0.05
ANSWER_S = 0.5
"""A guard that owes an answer for this long is lost; it has let go of the coil by then, or does so with the lease."""
ODD_REPLIES = 3
"""Replies in a row in which the coil is not as it should be; one may have been sent while the transistor switched."""
WRITE_S = 0.02
"""A write that the line does not take within this time has failed."""
POLL_BYTES = 4096


class GuardCommand(IntEnum):
    """What a frame to the guard asks; BOOT stands in the reply that nobody asked for."""

    BOOT = 0
    HELLO = 1
    REST = 2
    ENERGISE = 3


class GuardAnswer(IntEnum):
    """What came of a command."""

    DONE = 0
    NO_LEASE = 1
    CAP = 2
    HEAT = 3
    NONCE = 4
    SEQUENCE = 5
    STALE = 6
    UNKNOWN = 7


WHY = {
    GuardAnswer.NO_LEASE: "the command carried no lease",
    GuardAnswer.CAP: "the coil must rest after its longest time with power, or after the guard's start",
    GuardAnswer.HEAT: "the coil is too hot",
    GuardAnswer.NONCE: "the command was meant for an earlier start of the guard",
    GuardAnswer.SEQUENCE: "the command was taken before",
    GuardAnswer.STALE: "the command answers a reading that is too old",
    GuardAnswer.UNKNOWN: "the guard does not know the command",
}

RESETS = ("power-on", "reset pin", "brown-out", "watchdog")
"""Bits 0 to 3 of the cause of a boot, as the chip's data sheet orders them."""

GATE, COIL, COOLING = 1, 2, 4


@dataclass(frozen=True, slots=True)
class GuardLimits:
    """What the guard was built for, in milliseconds and thousandths; ``limits_of`` gives those of a configuration."""

    cap_ms: int
    rest_ms: int
    budget_ms: int
    duty_permille: int


@dataclass(frozen=True, slots=True)
class Reply:
    """One frame of the guard's. ``state`` holds the bits GATE, COIL and COOLING; heat is milliseconds with power."""

    command: int
    nonce: int
    sequence: int
    clock_ms: int
    state: int
    answer: int
    lease_left_ms: int
    heat_ms: int
    reset: int
    protocol: int
    firmware: int
    profile: int
    limits: GuardLimits

    @property
    def gate(self) -> bool:
        """Whether the guard drives the transistor."""
        return bool(self.state & GATE)

    @property
    def coil(self) -> bool:
        """Whether the coil is measured to have power."""
        return bool(self.state & COIL)

    @property
    def why_reset(self) -> str:
        """The causes of the guard's last start, in words."""
        return " and ".join(name for bit, name in enumerate(RESETS) if self.reset >> bit & 1) or "unknown cause"

    @property
    def odd(self) -> bool:
        """Whether the coil is not as the gate, or the gate not as the command that is answered."""
        told = self.command in (GuardCommand.REST, GuardCommand.ENERGISE) and self.answer == GuardAnswer.DONE
        return self.coil != self.gate or (told and self.gate != (self.command == GuardCommand.ENERGISE))


@dataclass(frozen=True, slots=True)
class Order:
    """One frame to the guard; see docs/guard-protocol.md."""

    command: int
    nonce: int
    sequence: int
    heard_ms: int
    lease_ms: int


def limits_of(lock: LockConfig) -> GuardLimits:
    """Return the limits that a guard for this coil must have been built with."""
    return GuardLimits(
        round(lock.max_on_s * 1000),
        round(lock.min_rest_s * 1000),
        round(lock.heat_budget_s * 1000),
        round(lock.duty * 1000),
    )


def pack_order(order: Order) -> bytes:
    """Return the 18 bytes of a command."""
    values = (order.command, order.nonce, order.sequence, order.heard_ms, order.lease_ms)
    body = COMMAND.pack(COMMAND_START, *values, 0)[:-2]
    return body + crc_hqx(body, 0xFFFF).to_bytes(2, "little")


def unpack_order(frame: bytes) -> Order | None:
    """Return what 18 bytes say, or None when they are damaged."""
    start, *values, crc = COMMAND.unpack(frame)
    return Order(*values) if start == COMMAND_START and crc == crc_hqx(frame[:-2], 0xFFFF) else None


def pack_reply(reply: Reply) -> bytes:
    """Return the 40 bytes of a reply."""
    limits = reply.limits
    head = (reply.command, reply.nonce, reply.sequence, reply.clock_ms, reply.state, reply.answer, reply.lease_left_ms)
    tail = (reply.heat_ms, reply.reset, reply.protocol, reply.firmware, reply.profile)
    bounds = (limits.cap_ms, limits.rest_ms, limits.budget_ms, limits.duty_permille)
    body = REPLY.pack(REPLY_START, *head, *tail, *bounds, 0)[:-2]
    return body + crc_hqx(body, 0xFFFF).to_bytes(2, "little")


def unpack_reply(frame: bytes) -> Reply | None:
    """Return what 40 bytes say, or None when they are damaged."""
    start, *values, crc = REPLY.unpack(frame)
    if start != REPLY_START or crc != crc_hqx(frame[:-2], 0xFFFF):
        return None
    return Reply(*(*values[:12], GuardLimits(*values[12:])))


class ReplyParser:
    """Finds replies in whatever bytes come, in pieces of any length; pure."""

    def __init__(self) -> None:
        """Start with an empty line."""
        self._pending = b""

    def feed(self, data: bytes) -> tuple[Reply, ...]:
        """Return the replies whose frames ended within ``data``; after a damaged one the search begins a byte later."""
        line, at, found = self._pending + data, 0, []
        while (at := line.find(REPLY_START, at)) >= 0 and len(line) - at >= REPLY.size:
            reply = unpack_reply(line[at : at + REPLY.size])
            at += 1 if reply is None else REPLY.size
            if reply is not None:
                found.append(reply)
        self._pending = line[at:] if at >= 0 else b""
        return tuple(found)


class Line(Protocol):
    """A serial line, as pyserial has it: neither method waits longer than it was opened to."""

    def read(self, size: int) -> bytes:
        """Return at most ``size`` bytes that have come."""

    def write(self, data: bytes) -> int | None:
        """Send."""

    def close(self) -> None:
        """Release the line; may be called twice."""


class GuardFlap:
    """The coil behind its guard; implements ``ports.Flap``."""

    def __init__(
        self, line: Line, name: str, lock: LockConfig, clock: Clock, failures: tuple[type[Exception], ...]
    ) -> None:
        """Greet the guard and wait for its answer; ``name`` begins every error, ``failures`` is what the line raises.

        Raises:
            HardwareError: nobody answers, or the guard was not built for this coil.
        """
        self._line, self._name, self._clock, self._failures = line, name, clock, failures
        self._longest_lease_s = lock.lease_s
        self._parser = ReplyParser()
        self._reply: Reply | None = None
        self._heard_ns = 0  # when the newest reply was read
        self._owed_ns: int | None = None  # since when an answer is owed
        self._odd = 0  # replies in a row
        self._restarted = ""  # why, until it was said
        self._sequence = 0
        self._closed = False
        self._greet(lock)

    @property
    def reply(self) -> Reply:
        """The newest reply; what the guard last said of itself."""
        if self._reply is None:
            raise HardwareError(f"{self._name}: nothing was heard yet")
        return self._reply

    def apply(self, command: FlapCommand) -> None:
        """Ask for power until the lease ends, or for rest.

        Something found wrong before is said now, and rest is asked for in place of power.

        Raises:
            HardwareError: the line is gone, the guard is silent or started anew, or the coil does not follow it.
            RefusedError: the guard is well and refused power for the coil's sake.
        """
        if self._closed:
            raise HardwareError(f"{self._name}: is closed")
        self._listen()
        trouble = self._trouble()
        lease_ms = 0 if trouble or command.action is BoltAction.REST else self._lease_ms(command.lease_s)
        self._send(GuardCommand.ENERGISE if lease_ms > 0 else GuardCommand.REST, lease_ms)
        if trouble:
            raise HardwareError(f"{self._name}: {trouble}")
        self._listen()
        if lease_ms > 0 and self.reply.command == GuardCommand.ENERGISE and self.reply.answer != GuardAnswer.DONE:
            raise RefusedError(f"{self._name}: the guard refuses power: {WHY[GuardAnswer(self.reply.answer)]}")

    def powered(self) -> bool:
        """Return what the guard measured at the coil; power under a lease that has run out since counts as none."""
        if self._closed:
            return False
        self._listen()
        lease_end_ns = self._heard_ns + self.reply.lease_left_ms * MS_NS
        return self.reply.coil and (not self.reply.gate or self._clock.monotonic_ns() < lease_end_ns)

    def close(self) -> None:
        """Ask for rest and release the line; a line that is gone already is rest within a lease."""
        if self._closed:
            return
        self._closed = True
        try:
            self._send(GuardCommand.REST, 0)
        finally:
            self._line.close()

    def _greet(self, lock: LockConfig) -> None:
        until_ns = self._clock.monotonic_ns() + int(GREETING_S * NS)
        try:
            while self._reply is None and self._clock.monotonic_ns() < until_ns:
                self._send(GuardCommand.HELLO, 0)
                self._clock.wait(GREETING_EVERY_S)
                self._listen()
            self._check(lock)
        except HardwareError:
            self._line.close()
            raise

    def _check(self, lock: LockConfig) -> None:
        if self._reply is None:
            raise HardwareError(f"{self._name}: no guard answers; look at its supply, both wires and guard.baud")
        if self._reply.protocol != PROTOCOL:
            raise HardwareError(f"{self._name}: the guard speaks protocol {self._reply.protocol}, this is {PROTOCOL}")
        if self._reply.limits != limits_of(lock):
            raise HardwareError(
                f"{self._name}: the guard was built for {_say(self._reply.limits)} and [lock] says"
                f" {_say(limits_of(lock))}; both must name the same coil"
            )

    def _lease_ms(self, lease_s: float) -> int:
        """Return whole milliseconds, never more than was asked; 0 for what is no length of time."""
        return int(min(lease_s, self._longest_lease_s) * 1000) if lease_s > 0 else 0

    def _send(self, command: GuardCommand, lease_ms: int) -> None:
        nonce, heard_ms = (self._reply.nonce, self._reply.clock_ms) if self._reply else (0, 0)
        if command is not GuardCommand.HELLO:
            self._sequence += 1
        if self._owed_ns is None:
            self._owed_ns = self._clock.monotonic_ns()
        try:
            self._line.write(pack_order(Order(command, nonce, self._sequence, heard_ms, lease_ms)))
        except self._failures as error:
            raise HardwareError(f"{self._name}: the line is gone: {error}") from error

    def _listen(self) -> None:
        try:
            data = self._line.read(POLL_BYTES)
        except self._failures as error:
            raise HardwareError(f"{self._name}: the line is gone: {error}") from error
        for reply in self._parser.feed(data):
            self._hear(reply)

    def _hear(self, reply: Reply) -> None:
        if self._reply is None or reply.nonce != self._reply.nonce:
            self._restarted = reply.why_reset if self._reply is not None else ""
            self._sequence = 0
        self._sequence = max(self._sequence, reply.sequence)  # of whoever spoke to the guard before us, too
        self._odd = self._odd + 1 if reply.odd else 0
        self._reply, self._heard_ns = reply, self._clock.monotonic_ns()
        if reply.command != GuardCommand.BOOT:
            self._owed_ns = None

    def _trouble(self) -> str:
        """Return what is wrong in words, the gravest first; empty when all is well."""
        silent_ns = self._clock.monotonic_ns() - self._owed_ns if self._owed_ns is not None else 0
        if silent_ns >= ANSWER_S * NS:
            return f"no answer for {silent_ns / NS:.1f} s; look at the guard's supply and at both wires"
        if self._odd >= ODD_REPLIES:
            return _mismatch(self.reply)
        restarted, self._restarted = self._restarted, ""  # said once: the session goes on with the new start
        return f"the guard started anew ({restarted}); look at its supply" if restarted else ""


def _mismatch(reply: Reply) -> str:
    if reply.coil and not reply.gate:
        return (
            "the coil has power that the guard does not give: its transistor is shorted, or its supply or wire is gone"
        )
    if reply.gate and not reply.coil:
        return "the coil has no power although the guard gives it: look at its transistor and at the wire to the gate"
    return f"the guard's gate is {'on' if reply.gate else 'off'} after {GuardCommand(reply.command).name.lower()}"


def _say(limits: GuardLimits) -> str:
    return (
        f"max_on_s {limits.cap_ms / 1000:g}, min_rest_s {limits.rest_ms / 1000:g},"
        f" heat_budget_s {limits.budget_ms / 1000:g}, duty {limits.duty_permille / 1000:g}"
    )


def open_guard(config: GuardConfig, lock: LockConfig, clock: Clock) -> GuardFlap:
    """Open ``guard.port`` at ``guard.baud``, for this process alone, and greet the guard.

    Raises:
        HardwareError: the line cannot be opened, nobody answers, or the guard was not built for this coil.
    """
    import serial  # noqa: PLC0415 - hardware libraries load in constructors only

    name = f"guard.port {config.port}"
    try:
        line: Any = serial.Serial(config.port, config.baud, timeout=0, write_timeout=WRITE_S, exclusive=True)
        line.reset_input_buffer()  # what was said to somebody before us
    except (serial.SerialException, OSError, ValueError) as error:
        raise HardwareError(f"{name}: cannot be opened: {error}") from error
    return GuardFlap(line, name, lock, clock, (serial.SerialException, OSError))
