"""A whole machine of its own kernel on this one: user-mode Linux, which needs neither root nor KVM.

    with Machine(build / "root.img") as machine:
        machine.wait()
        machine.run("systemctl is-system-running")

The image is never written: what a machine writes lies in a copy-on-write file of its own, in its folder, and outlives
``cut`` and ``power_off``, so that the same machine can be started again. The program at the other end is
``guest/agent.py``. All times are the host's monotonic clock.
"""

from __future__ import annotations

import json
import os
import select
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import TracebackType

BUILD = Path(__file__).resolve().parents[2] / "build" / "vm"
LINUX = BUILD / "linux"
SHARE = "/mnt/host"
"""Where a machine finds the folder it shares with the host."""
BOOT_S = 180.0
"""One boot takes four to ten seconds on an idle host; the host is rarely idle."""
ANSWER_S = 30.0
"""Beyond a command's own limit: the machine's processor is shared, and its agent may have to wait for it."""
STOP_S = 90.0
READ_BYTES = 65536


class MachineError(Exception):
    """The machine did not do what a test needs of it, in one sentence."""


@dataclass(frozen=True, slots=True)
class Ran:
    """What became of a command: exit status (124: it ran out of time), and both its outputs together."""

    status: int
    output: str


class Machine:
    """One machine, from ``start`` to ``power_off`` or ``cut``, as often as wanted; a context manager that starts it."""

    def __init__(  # noqa: PLR0913 - each is a part of the machine, named at the call
        self,
        image: Path,
        *,
        kernel: Path = LINUX,
        disks: Sequence[Path] = (),
        share: Path | None = None,
        memory_mb: int = 1024,
        append: str = "",
        init: str = "/lib/systemd/systemd",
        folder: Path | None = None,
        writable: bool = False,
    ) -> None:
        """Describe the machine; nothing runs yet.

        Args:
            image: its root disk, an ext4 file system; only ever read, unless ``writable``.
            kernel: user-mode Linux, as ``vm.kernel`` builds it.
            disks: further disks, /dev/ubdb and on; they are written to.
            share: a folder of the host, seen in the machine under ``SHARE`` once ``wait`` has returned.
            memory_mb: how much memory it has.
            append: further words for the kernel's command line.
            init: what runs as process 1; with another one than systemd nobody may be there to answer.
            writable: whether the image itself is written to; for making images.
            folder: where console, copy-on-write file and sockets lie, kept; None: a new one, removed by ``close``.
        """
        self._keep_folder = folder is not None
        self.folder = folder or Path(tempfile.mkdtemp(prefix="catflap-vm-"))
        self.folder.mkdir(parents=True, exist_ok=True)
        self.console = self.folder / "console.log"
        self._share = share
        self._words = [
            str(kernel),
            f"ubd0={image}" if writable else f"ubd0={self.folder / 'root.cow'},{image}",
            *(f"ubd{chr(ord('b') + number)}={disk}" for number, disk in enumerate(disks)),
            *("root=/dev/ubda", "rw", f"mem={memory_mb}M", f"init={init}", "panic=1", "quiet", "TERM=dumb"),
            *(f"uml_dir={self.folder}/", "umid=uml", "con=null", "con0=null,fd:1"),
            *("systemd.show_status=false", "systemd.log_target=kmsg"),
            *append.split(),
        ]
        self._process: subprocess.Popen[bytes] | None = None
        self._line: socket.socket | None = None
        self._serial: socket.socket | None = None
        self._pending = b""
        self._number = 0
        self.booted_s = 0.0
        """Seconds from ``start`` to the agent's first word, of the last boot waited for."""

    def __enter__(self) -> Self:
        """Start it."""
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Cut its power, whatever it was doing, and remove what is not to be kept."""
        self.close()

    @property
    def line(self) -> socket.socket:
        """This end of the machine's serial line, for whoever runs an ``init`` of its own."""
        if self._line is None:
            raise MachineError("the machine is not running; start it first")
        return self._line

    @property
    def serial(self) -> socket.socket:
        """This end of its second serial line, /dev/ttyS1 inside."""
        if self._serial is None:
            raise MachineError("the machine is not running; start it first")
        return self._serial

    @property
    def alive(self) -> bool:
        """Whether its kernel runs."""
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        """Switch it on; returns at once."""
        if self.alive:
            raise MachineError("the machine is running already")
        here, there = socket.socketpair()
        self._serial, far = socket.socketpair()
        self._line, self._pending = here, b""
        with there, far, self.console.open("ab") as console:
            self._started_s = time.monotonic()
            self._process = subprocess.Popen(
                [*self._words, *(f"ssl{n}=fd:{end},fd:{end}" for n, end in enumerate((there.fileno(), far.fileno())))],
                stdin=subprocess.DEVNULL,
                stdout=console,
                stderr=console,
                pass_fds=(there.fileno(), far.fileno()),
                start_new_session=True,
            )

    def wait(self, deadline_s: float = BOOT_S) -> None:
        """Wait until its agent says hello, after ``start`` or after it has reset itself; then mount the share."""
        until_s = time.monotonic() + deadline_s
        while "hello" not in self._word(until_s):
            continue
        self.booted_s = time.monotonic() - self._started_s
        if self._share is not None:
            self.expect(f"mkdir -p {SHARE} && mount -t hostfs none {SHARE} -o {self._share}")

    def run(self, command: str, timeout_s: float = 60.0) -> Ran:
        """Run a shell command as root and return what became of it.

        Raises:
            MachineError: the machine is gone, was reset meanwhile, or its agent does not answer.
        """
        self._number += 1
        request = {"number": self._number, "command": command, "timeout_s": timeout_s}
        try:
            self.line.sendall(json.dumps(request).encode() + b"\n")
        except OSError as error:
            raise MachineError(f"the machine is gone: {error.strerror}; see {self.console}") from error
        until_s = time.monotonic() + timeout_s + ANSWER_S
        while (word := self._word(until_s)).get("number") != self._number:
            if "hello" in word:
                raise MachineError(f"the machine started anew while it ran: {command}")
        return Ran(int(word["status"]), str(word["output"]))

    def expect(self, command: str, timeout_s: float = 60.0) -> str:
        """Run a command that must exit with 0 and return its output without the last line's end.

        Raises:
            MachineError: it exits with anything else, or as ``run``.
        """
        ran = self.run(command, timeout_s)
        if ran.status != 0:
            raise MachineError(f"{command}: exits with {ran.status}: {ran.output.strip()}")
        return ran.output.rstrip("\n")

    def await_true(self, command: str, deadline_s: float = 60.0) -> None:
        """Run a command again and again, inside, until it exits with 0.

        Raises:
            MachineError: it never did; with its last output.
        """
        rounds = f"end=$((SECONDS + {round(deadline_s)})); until said=$({command}); do"
        stop = '[ $SECONDS -lt $end ] || { echo "$said"; exit 1; }; sleep 1; done'
        self.expect(f"{rounds} {stop}", deadline_s + ANSWER_S)

    def cut(self) -> None:
        """Cut the power: the whole process group is killed and nothing is written any more. The disks stay."""
        if self._process is None:
            return
        if self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        self._hang_up()

    def power_off(self, deadline_s: float = STOP_S) -> None:
        """Shut it down in good order.

        Raises:
            MachineError: it did not within the time; its power is cut then.
        """
        if self._process is not None:
            self.run("systemctl poweroff --no-block")
            self.await_end(deadline_s)

    def await_end(self, deadline_s: float) -> None:
        """Wait until its kernel is gone by itself; the disks stay, and it can be started again.

        Raises:
            MachineError: it still ran after that time; its power is cut then.
        """
        process = self._process
        if process is None:
            raise MachineError("the machine is not running; start it first")
        try:
            process.wait(deadline_s)
        except subprocess.TimeoutExpired:
            raise MachineError(f"the machine still runs after {deadline_s:g} s; see {self.console}") from None
        finally:
            self.cut()

    def close(self) -> None:
        """Cut its power and remove its folder unless that was given; may be called twice."""
        self.cut()
        if not self._keep_folder:
            shutil.rmtree(self.folder, ignore_errors=True)

    def _hang_up(self) -> None:
        self._process = None
        for end in (self._line, self._serial):
            if end is not None:
                end.close()
        self._line = self._serial = None

    def _word(self, until_s: float) -> dict[str, Any]:
        """Return the next thing the agent says; what systemd's programs say on the same line is passed over."""
        while not (said := self._said(until_s)).startswith(b"{"):
            continue
        word: dict[str, Any] = json.loads(said)
        return word

    def _said(self, until_s: float) -> bytes:
        while b"\n" not in self._pending:
            ready, _, _ = select.select([self.line], [], [], max(0.0, until_s - time.monotonic()))
            if not ready:
                self.cut()  # a machine that hangs is of no use to the next test, which would wait as long
                raise MachineError(f"the machine says nothing within the time; see {self.console}")
            data = self.line.recv(READ_BYTES)
            if not data:
                raise MachineError(f"the machine is gone; see {self.console}")
            self._pending += data
        said, self._pending = self._pending.split(b"\n", 1)
        return said
