"""The guard of the coil as a thing of the simulated world: firmware/guard/guard.c, said again in Python. Floor 5.

``Guard`` is the logic, statement for statement; tests/firmware holds it and the C compiled for this machine to the same
replies over the same bytes and times. ``SimGuard`` is a chip with that logic at the end of a serial line that is
already there (`edge.adapters.guard.Line`), driving a coil of the world's.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from edge.adapters.guard import (
    COIL,
    COMMAND,
    COMMAND_START,
    COOLING,
    GATE,
    PROTOCOL,
    GuardAnswer,
    GuardCommand,
    Order,
    Reply,
    pack_reply,
    unpack_order,
)
from edge.errors import HardwareError
from edge.messages import REST, BoltAction, FlapCommand

if TYPE_CHECKING:
    from edge.adapters.guard import GuardLimits
    from edge.ports import Clock, Flap

FIRMWARE = 1
PROFILE = 1
LONGEST_LEASE_MS = 2000
FRESH_MS = 2000
RESUME_PERCENT = 80
POWER_ON, BROWN_OUT, WATCHDOG = 1, 4, 8
_CLOCK_MS = 2**32


@dataclass(frozen=True, slots=True)
class Kept:
    """What outlives a reset that leaves the chip's RAM as it was; ``heat`` is in the guard's own unit."""

    nonce: int
    heat: int


class Guard:
    """The guard's logic. Times are whole milliseconds."""

    def __init__(self, limits: GuardLimits, nonce: int, kept: Kept | None, reset: int) -> None:
        """Boot, gate off; without ``kept`` the bucket counts as full."""
        self.limits, self.nonce, self.reset = limits, nonce, reset
        self._warm = 1000 - limits.duty_permille
        self._budget = limits.budget_ms * self._warm
        self.heat = kept.heat if kept else self._budget
        self.sequence = self.clock_ms = self.lease_ms = self._off_ms = 0
        self._on_ms = limits.cap_ms
        self._coil = self._cooling = False
        self._owed: tuple[int, int] | None = (GuardCommand.BOOT, GuardAnswer.DONE)
        self._line = b""
        self._follow_heat()

    @property
    def gate(self) -> bool:
        """Whether the gate is driven."""
        return self.lease_ms > 0

    def keep(self) -> Kept:
        """Return what is to outlive a reset."""
        return Kept(self.nonce, self.heat)

    def pass_time(self, elapsed_ms: int, *, coil: bool) -> None:
        """Let time pass; ``coil`` is whether the coil is measured to have power now."""
        on_ms = min(elapsed_ms, self.lease_ms)
        self.clock_ms = (self.clock_ms + elapsed_ms) % _CLOCK_MS
        self._coil = coil
        if on_ms:
            self.lease_ms -= on_ms
            self._with_power(on_ms)
        if elapsed_ms != on_ms:
            (self._with_power if coil else self._without_power)(elapsed_ms - on_ms)
        self._follow_heat()

    def receive(self, data: bytes) -> None:
        """Take bytes of the line."""
        for value in data:
            self._line += bytes((value,))
            if self._line[0] != COMMAND_START:
                self._line = b""
            elif len(self._line) == COMMAND.size:
                self._take(self._line)

    def take_reply(self) -> bytes:
        """Return the reply that is owed, or nothing."""
        if self._owed is None:
            return b""
        (command, answer), self._owed = self._owed, None
        state = (GATE if self.gate else 0) | (COIL if self._coil else 0) | (COOLING if self._cooling else 0)
        heat_ms = self.heat // self._warm if self._warm else 0
        about = (self.nonce, self.sequence, self.clock_ms, state, answer, self.lease_ms, heat_ms, self.reset)
        return pack_reply(Reply(command, *about, PROTOCOL, FIRMWARE, PROFILE, self.limits))

    def _take(self, frame: bytes) -> None:
        order = unpack_order(frame)
        if order is None:
            start = frame.find(COMMAND_START, 1)
            self._line = frame[start:] if start > 0 else b""
            return
        self._line = b""
        self._owed = (order.command, self._obey(order))

    def _obey(self, order: Order) -> GuardAnswer:
        if order.command == GuardCommand.HELLO:
            return GuardAnswer.DONE
        if order.command not in (GuardCommand.REST, GuardCommand.ENERGISE):
            return GuardAnswer.UNKNOWN
        if order.command == GuardCommand.REST:
            self.lease_ms = 0
        answer = self._credentials(order)
        if answer is not GuardAnswer.DONE:
            return answer
        self.sequence = order.sequence
        return answer if order.command == GuardCommand.REST else self._energise(order.lease_ms)

    def _credentials(self, order: Order) -> GuardAnswer:
        if order.nonce != self.nonce:
            return GuardAnswer.NONCE
        if order.sequence <= self.sequence:
            return GuardAnswer.SEQUENCE
        return GuardAnswer.STALE if (self.clock_ms - order.heard_ms) % _CLOCK_MS > FRESH_MS else GuardAnswer.DONE

    def _energise(self, lease_ms: int) -> GuardAnswer:
        self.lease_ms = 0
        if lease_ms == 0:
            return GuardAnswer.NO_LEASE
        if self._on_ms >= self.limits.cap_ms:
            return GuardAnswer.CAP
        if self._cooling:
            return GuardAnswer.HEAT
        heat_left_ms = max(0, self._budget - self.heat) // self._warm if self._warm else LONGEST_LEASE_MS
        self.lease_ms = min(lease_ms, LONGEST_LEASE_MS, self.limits.cap_ms - self._on_ms, heat_left_ms)
        return GuardAnswer.DONE

    def _with_power(self, ms: int) -> None:
        self._on_ms = min(self._on_ms + ms, self.limits.cap_ms)
        self._off_ms = 0
        self.heat = min(self.heat + ms * self._warm, 2 * self._budget)

    def _without_power(self, ms: int) -> None:
        self._off_ms = min(self._off_ms + ms, self.limits.rest_ms)
        if self._off_ms == self.limits.rest_ms:
            self._on_ms = 0
        self.heat = max(0, self.heat - ms * self.limits.duty_permille)

    def _follow_heat(self) -> None:
        if self._warm and self.heat > self._budget - self._warm:
            self._cooling = True
        elif self.heat <= self._budget // 100 * RESUME_PERCENT:
            self._cooling = False


class _Follower:
    """A coil that has power when the gate is driven (`edge.ports.Flap`)."""

    def __init__(self) -> None:
        self._on = False

    def apply(self, command: FlapCommand) -> None:
        self._on = command.action is BoltAction.ENERGISE

    def powered(self) -> bool:
        return self._on

    def close(self) -> None:
        self._on = False


class SimGuard:
    """A guard on a serial line (`edge.adapters.guard.Line`) that lives by a clock.

    What the guard does goes to ``coil`` as commands, so that a coil of the simulated world rests by itself when the
    lease ends, whether somebody looks or not. ``shorted`` and ``cut`` are the faults of its wires: a coil that always
    has power, a line that carries nothing either way.
    """

    def __init__(self, clock: Clock, limits: GuardLimits, coil: Flap | None = None, up_s: float = 0.0) -> None:
        """Power the guard on, ``up_s`` seconds ago."""
        self._clock, self._limits = clock, limits
        self._coil: Flap = coil or _Follower()
        self._driven_ms = 0
        self._power_ons = 1
        self._out = b""
        self._dead = False
        self.shorted = self.cut = False
        self.guard = Guard(limits, self._power_ons << 8, None, POWER_ON)
        self.guard.pass_time(round(up_s * 1000), coil=False)
        self._seen_ms = self._now_ms()

    def write(self, data: bytes) -> int:
        """Let bytes arrive at the guard, at once."""
        self._catch_up()
        if not self.cut:
            self.guard.receive(data)
        self._drive()
        return len(data)

    def read(self, size: int) -> bytes:
        """Return what the guard has said since."""
        self._catch_up()
        said = self.guard.take_reply()
        self._out = b"" if self.cut else self._out + said
        data, self._out = self._out[:size], self._out[size:]
        return data

    def close(self) -> None:
        """Nothing to release: the guard lives on."""

    def restart(self, reset: int = BROWN_OUT) -> None:
        """Reset the chip; a power-on forgets what was kept."""
        self._catch_up()
        kept = self.guard.keep() if not reset & POWER_ON else None
        self._power_ons += kept is None
        self.guard = Guard(self._limits, kept.nonce + 1 if kept else self._power_ons << 8, kept, reset)
        self._drive()

    def _now_ms(self) -> int:
        return self._clock.monotonic_ns() // 1_000_000

    def _catch_up(self) -> None:
        """Live up to now: the part under the lease, then the part after it."""
        elapsed_ms, self._seen_ms = self._now_ms() - self._seen_ms, self._now_ms()
        under_ms = min(elapsed_ms, self.guard.lease_ms)
        if under_ms:
            self.guard.pass_time(under_ms, coil=self._measured())
            self._drive()
        self.guard.pass_time(elapsed_ms - under_ms, coil=self._measured())

    def _drive(self) -> None:
        """Tell the coil what the guard does now."""
        lease_s = self.guard.lease_ms / 1000
        try:
            self._coil.apply(FlapCommand(BoltAction.ENERGISE, lease_s) if self.guard.gate else REST)
        except HardwareError:  # a transistor that does not conduct: the guard measures a coil without power
            self._dead = True
        else:
            self._dead = False

    def _measured(self) -> bool:
        return self.shorted or (not self._dead and self._coil.powered())
