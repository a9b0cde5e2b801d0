"""The coil's guard as a process of its own at the end of a pseudo-terminal, in real time: the C of firmware/guard.

    python tools/guard_process.py LIBRARY PIN_SOCKET

LIBRARY is the logic compiled for this machine (``make -C firmware/guard host``). Prints the path of its serial line,
then lives until it is killed. Each change of the gate is a datagram, ``1`` or ``0``, to PIN_SOCKET; the coil follows
the gate. Only ``avr.c`` is left out: this machine's clock, terminal and socket stand for its timer, line and pin.
"""

from __future__ import annotations

import ctypes
import os
import pty
import select
import socket
import sys
import time
import tty

POWER_ON = 1
NONCE = 0x100
REPLY_BYTES = 40
UP_MS = 600_000
"""It had power for this long before: a bucket that counts as full after the boot has run empty."""
STEP_MS = 60_000
TURN_S = 0.001


class Guard:
    """The C logic with this machine's time."""

    def __init__(self, library: str) -> None:
        """Boot it, ten minutes ago."""
        self._code = ctypes.CDLL(library)
        self._code.host_guard_bytes.restype = ctypes.c_size_t
        for name in ("guard_gate", "guard_answer"):
            getattr(self._code, name).restype = ctypes.c_uint8
        self._state = ctypes.create_string_buffer(self._code.host_guard_bytes())
        self._reply = ctypes.create_string_buffer(REPLY_BYTES)
        self._code.guard_boot(self._state, ctypes.c_uint32(NONCE), None, ctypes.c_uint8(POWER_ON))
        for _ in range(UP_MS // STEP_MS):
            self._pass(STEP_MS)
        self._seen_ms = time.monotonic_ns() // 1_000_000

    @property
    def gate(self) -> bool:
        """Whether the gate is driven."""
        return bool(self._code.guard_gate(self._state))

    def live(self) -> None:
        """Pass every millisecond up to now."""
        now_ms = time.monotonic_ns() // 1_000_000
        for _ in range(now_ms - self._seen_ms):
            self._pass(1)
        self._seen_ms = now_ms

    def hear(self, data: bytes) -> None:
        """Take bytes of the line."""
        for value in data:
            self._code.guard_receive(self._state, ctypes.c_uint8(value))

    def say(self) -> bytes:
        """Return the reply that is owed, or nothing."""
        return self._reply.raw if self._code.guard_answer(self._state, self._reply) else b""

    def _pass(self, elapsed_ms: int) -> None:
        self._code.guard_pass(self._state, ctypes.c_uint16(elapsed_ms), ctypes.c_uint8(self.gate))


def main() -> int:
    """Live until killed."""
    guard, (near, far) = Guard(sys.argv[1]), pty.openpty()
    tty.setraw(far)
    pin = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    print(os.ttyname(far), flush=True)
    was = False
    while True:
        ready, _, _ = select.select([near], [], [], TURN_S)
        guard.live()
        if ready:
            guard.hear(os.read(near, 4096))
        if guard.gate != was:
            was = guard.gate
            pin.sendto(b"1" if was else b"0", sys.argv[2])
        reply = guard.say()
        if reply:
            os.write(near, reply)


if __name__ == "__main__":
    sys.exit(main())
