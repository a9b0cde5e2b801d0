"""The coil's guard in the hands of a test: its C compiled for this machine, and its image in a simulated chip."""

from __future__ import annotations

import ctypes
import functools
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edge.adapters.guard import GuardLimits, Order, Reply, ReplyParser, pack_order, unpack_reply
from edge.adapters.sim.guard import POWER_ON

ROOT = Path(__file__).parent.parent
FIRMWARE = ROOT / "firmware" / "guard"
LIMITS = {1: GuardLimits(8000, 1000, 40_000, 200), 2: GuardLimits(86_400_000, 1000, 40_000, 1000)}
"""Of the profiles of firmware/guard/limits.h."""
NONCE = 0x100
"""Of a chip's first boot."""
BYTE_NS = 290_000
"""From one byte to the next on the simulated line: a bit more than ten bits at 38400 baud."""

_built = tempfile.TemporaryDirectory(prefix="guard-")


def _make(target: str, profile: int) -> Path:
    out = Path(_built.name)
    command = ["make", "-s", "-C", str(FIRMWARE), target, f"OUT={out}", f"PROFILE={profile}"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert 0 == done.returncode, done.stderr
    return out


@functools.cache
def host_library(profile: int) -> Any:  # noqa: ANN401 - ctypes has no types for what it loads
    """Compile the logic for this machine and load it."""
    library = ctypes.CDLL(str(_make("host", profile) / f"guard-{profile}.so"))
    for name in ("host_guard_bytes", "host_kept_bytes"):
        getattr(library, name).restype = ctypes.c_size_t
    for name in ("host_live", "host_heat"):
        getattr(library, name).restype = ctypes.c_uint32
    for name in ("guard_gate", "guard_answer", "guard_kept_valid"):
        getattr(library, name).restype = ctypes.c_uint8
    return library


class HostGuard:
    """The guard in C, with the manners of ``edge.adapters.sim.guard.Guard``."""

    def __init__(self, profile: int = 1) -> None:
        """Power it on."""
        self._library = host_library(profile)
        self._state = ctypes.create_string_buffer(self._library.host_guard_bytes())
        self._kept = ctypes.create_string_buffer(self._library.host_kept_bytes())
        self.nonce = NONCE
        self._library.guard_boot(self._state, ctypes.c_uint32(NONCE), None, ctypes.c_uint8(POWER_ON))

    def restart(self, reset: int) -> None:
        """Boot again as avr.c does: a power-on forgets, anything else remembers what was kept."""
        cold = bool(reset & POWER_ON)
        self._library.guard_keep(self._state, self._kept)
        assert 1 == self._library.guard_kept_valid(self._kept)
        self.nonce = (self.nonce >> 8) + 1 << 8 if cold else self.nonce + 1
        kept = None if cold else self._kept
        self._library.guard_boot(self._state, ctypes.c_uint32(self.nonce), kept, ctypes.c_uint8(reset))

    @property
    def gate(self) -> bool:
        """Whether the gate is driven."""
        return bool(self._library.guard_gate(self._state))

    @property
    def heat(self) -> int:
        """The heat in the guard's own unit."""
        return int(self._library.host_heat(self._state))

    def receive(self, data: bytes) -> None:
        """Take bytes of the line."""
        self._library.host_receive(self._state, data, ctypes.c_size_t(len(data)))

    def live(self, ms: int, *, shorted: bool = False) -> int:
        """Let time pass with a coil that follows the gate, or has power always; return for how long the gate was on."""
        return int(self._library.host_live(self._state, ctypes.c_uint32(ms), ctypes.c_uint8(shorted)))

    def idle(self, ms: int) -> None:
        """Let a long time pass in great steps, at rest."""
        for step_ms in [60_000] * (ms // 60_000) + [ms % 60_000]:
            self._library.guard_pass(self._state, ctypes.c_uint16(step_ms), ctypes.c_uint8(0))

    def take_reply(self) -> bytes:
        """Return the reply that is owed, or nothing."""
        reply = ctypes.create_string_buffer(40)
        return reply.raw if self._library.guard_answer(self._state, reply) else b""

    def told(self) -> Reply:
        """Return the reply that is owed; there must be one."""
        reply = unpack_reply(self.take_reply())
        assert reply is not None
        return reply


def kept_is_valid(data: bytes) -> bool:
    """Return whether the guard would trust these bytes of RAM after a reset."""
    return bool(host_library(1).guard_kept_valid(data))


# --- the chip --------------------------------------------------------------------------------------------------------

MISSING = "avr-gcc and libsimavr are not here: make firmware-tools"


def chip_tools() -> bool:
    """Return whether this machine can build the guard's image and run it."""
    return shutil.which("avr-gcc") is not None and Path("/usr/include/simavr/sim_avr.h").exists()


@functools.cache
def _bench() -> tuple[Path, Path]:
    out = _make("avr", 1)
    program = out / "bench"
    source = Path(__file__).parent / "firmware" / "bench.c"
    subprocess.run(["gcc", "-O2", "-Wall", "-Wextra", "-Werror", source, "-o", program, "-lsimavr"], check=True)
    return program, out / "guard-1.elf"


@dataclass(frozen=True, slots=True)
class Trace:
    """What a chip did: edges of the gate, and its replies with the time of each one's last byte."""

    edges: tuple[tuple[int, bool], ...]
    replies: tuple[tuple[int, Reply], ...]

    def highs(self) -> list[tuple[int, int]]:
        """Return (from, to) in nanoseconds of every stretch with the gate driven."""
        rises = [at_ns for at_ns, on in self.edges if on]
        falls = [at_ns for at_ns, on in self.edges[1:] if not on]
        return list(zip(rises, falls, strict=True))


class Script:
    """What happens to a chip, in the order of its times."""

    def __init__(self) -> None:
        """Begin with nothing."""
        self._events: list[tuple[int, str, str]] = []

    def event(self, at_ms: float, kind: str, value: str = "0") -> None:
        """Let something happen; tests/firmware/bench.c lists what there is."""
        self._events.append((round(at_ms * 1e6), kind, value))

    def send(self, last_byte_ms: float, data: bytes) -> None:
        """Let bytes arrive, the last of them beginning at ``last_byte_ms``."""
        first_ns = round(last_byte_ms * 1e6) - (len(data) - 1) * BYTE_NS
        self._events += [(first_ns + at * BYTE_NS, "byte", f"{value:02x}") for at, value in enumerate(data)]

    def order(self, at_ms: float, order: Order) -> None:
        """Let a command arrive."""
        self.send(at_ms, pack_order(order))

    def run(self, end_ms: float) -> Trace:
        """Run the chip until ``end_ms``."""
        program, image = _bench()
        lines = [f"{at_ns} {kind} {value}\n" for at_ns, kind, value in sorted(self._events)]
        text = "".join(lines) + f"{round(end_ms * 1e6)} end 0\n"
        done = subprocess.run([program, image], input=text, capture_output=True, text=True, check=False)
        assert 0 == done.returncode, done.stderr
        return _trace(done.stdout)


def _trace(text: str) -> Trace:
    parser = ReplyParser()
    edges: list[tuple[int, bool]] = []
    replies: list[tuple[int, Reply]] = []
    for line in text.splitlines():
        at, kind, value = line.split() if line[0].isdigit() else ("0", "", "")
        if kind == "gate":
            edges.append((int(at), value == "1"))
        elif kind == "byte":
            replies += [(int(at), reply) for reply in parser.feed(bytes.fromhex(value))]
    return Trace(tuple(edges), tuple(replies))
