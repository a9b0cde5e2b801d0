"""A user-mode Linux machine that boots straight from this machine's own file system and runs one Python script as init.

No image, no root, no KVM: the guest's root is the host's directory tree (hostfs), read as whoever runs it; what it may
spoil are the disks it is given. A line of text comes back over a serial port. The kernel is any build of ARCH=um that
has hostfs, ext4 and tmpfs built in: the project's own (``tests/vm``) or Debian's package ``user-mode-linux``.
"""

from __future__ import annotations

import os
import select
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Self

from edge.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from types import FrameType

ROOT = Path(__file__).resolve().parent.parent
KERNELS = (ROOT / "build" / "vm" / "linux", Path("/usr/bin/linux.uml"))
"""Where a kernel may be: the project's own, or that of Debian's package."""

READ_BYTES = 65_536


def find_kernel(given: Path | None) -> Path:
    """Return the kernel to boot.

    Raises:
        InputError: there is none.
    """
    for path in KERNELS if given is None else (given,):
        if path.is_file() and os.access(path, os.X_OK):
            return path.resolve()
    names = " nor ".join(str(path) for path in (KERNELS if given is None else (given,)))
    raise InputError(f"no user-mode Linux: neither {names}; apt install user-mode-linux, or --kernel FILE")


_GROUPS: set[int] = set()
"""The process groups of the guests that run."""


def end_guests_with_me() -> None:
    """Let SIGTERM and SIGINT cut every guest before they end this process: a guest is no child of its terminal."""

    def end(number: int, frame: FrameType | None) -> None:  # noqa: ARG001 - the form signal() asks for
        for group in tuple(_GROUPS):
            with suppress(ProcessLookupError):
                os.killpg(group, signal.SIGKILL)
        os._exit(128 + number)  # no lock is asked for on the way: whoever holds it may be waiting for this very signal

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, end)


class Guest:
    """One machine. A context manager: whatever happens, no process of it stays."""

    def __init__(
        self, kernel: Path, script: Sequence[str], disks: Sequence[Path], console: Path, memory_mb: int = 512
    ) -> None:
        """Start it.

        Args:
            kernel: the program.
            script: a Python script and its arguments, run as process 1 by this very Python.
            disks: files that the guest has as /dev/ubda, /dev/ubdb, ...
            console: where the kernel's own messages go.
            memory_mb: of the guest.
        """
        here, there = socket.socketpair()
        self._line, self._rest = here, b""
        names = [f"ubd{chr(ord('a') + number)}={path}" for number, path in enumerate(disks)]
        with there, console.open("wb") as out:
            handle = there.fileno()
            # panic=-1: a guest that dies ends at once. The kernel hands "NAME=value" that it does not know to init.
            self._process = subprocess.Popen(
                [
                    str(kernel),
                    f"mem={memory_mb}M",
                    *names,
                    *("root=/dev/root", "rootfstype=hostfs", "rootflags=/", "rw", "quiet", "panic=-1"),
                    *("con=null", "con0=null,fd:1", f"ssl0=fd:{handle},fd:{handle}"),
                    *(f"PYTHONPATH={ROOT}", "PYTHONDONTWRITEBYTECODE=1", "TMPDIR=/run", "PATH=/usr/sbin:/usr/bin"),
                    *(f"init={sys.executable}", "--", *script),
                ],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                pass_fds=[handle],
                start_new_session=True,
            )
        _GROUPS.add(self._process.pid)

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Cut it, if it still runs."""
        self.cut()
        self._line.close()

    def line(self, until_s: float) -> bytes | None:
        """Return the next line; None when it is ``until_s`` (monotonic) without one.

        Raises:
            EOFError: the machine is off and has said all it had to say.
        """
        while b"\n" not in self._rest:
            ready, _, _ = select.select([self._line], [], [], max(until_s - time.monotonic(), 0.0))
            if not ready:
                return None
            some = self._read()
            if not some:
                raise EOFError
            self._rest += some
        line, _, self._rest = self._rest.partition(b"\n")
        return line.rstrip(b"\r")

    def lines(self, within_s: float) -> Iterator[bytes]:
        """Yield every line until the machine is off.

        Raises:
            TimeoutError: it said nothing for ``within_s``.
        """
        while True:
            try:
                line = self.line(time.monotonic() + within_s)
            except EOFError:
                return
            if line is None:
                raise TimeoutError(f"the guest said nothing for {within_s:g} s")
            yield line

    def cut(self) -> None:
        """Cut the power: every process of the machine is gone, with all that was in its memory."""
        if self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGKILL)
        _GROUPS.discard(self._process.pid)
        self._process.wait()

    def _read(self) -> bytes:
        try:
            return self._line.recv(READ_BYTES)
        except ConnectionResetError:
            return b""
