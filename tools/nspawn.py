"""A Debian root that boots with systemd as process 1 in a container: systemd-nspawn, no virtual machine, root's rights.

The root is made once by mmdebstrap and never written again: what happens in a container goes into memory
(``--volatile=overlay``) and is gone with it. There are no devices and no kernel of its own in it, and memory limits do
not hold on a machine whose control groups are of version 1; tests/vm has those.
"""

from __future__ import annotations

import contextlib
import os
import select
import shutil
import signal
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import TracebackType

CGROUPS = Path("/sys/fs/cgroup")
BOOT_S = 60.0
STOP_S = 30.0
LOOK_EVERY_S = 0.05
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
NEEDED = ("systemd-nspawn", "mmdebstrap", "nsenter")


@dataclass(frozen=True, slots=True)
class Ran:
    """What came of a command: its exit status, and what it said on both outputs."""

    status: int
    output: str


def missing() -> list[str]:
    """Return the programs that are not installed."""
    return [name for name in NEEDED if shutil.which(name) is None]


def debian_root(where: Path, suite: str, packages: Sequence[str]) -> Path:
    """Return a Debian root of these packages below ``where``, made if it is not there; about a minute."""
    root = where / suite
    made = where / f"{suite}.packages"
    wanted = " ".join(packages)
    if made.exists() and made.read_text(encoding="ascii") == wanted:
        return root
    if root.exists():
        shutil.rmtree(root)
    where.mkdir(parents=True, exist_ok=True)
    command = ["mmdebstrap", "--quiet", "--variant=minbase", f"--include={','.join(packages)}", suite, str(root)]
    subprocess.run(command, check=True)
    made.write_text(wanted, encoding="ascii")
    return root


class Container:
    """A booted root; a context manager. ``run`` runs a shell command in it."""

    def __init__(self, root: Path, bound: Sequence[tuple[Path, str]], log: Path) -> None:
        """Touch nothing yet; each pair of ``bound`` is a directory of this machine and where it is seen, read-only."""
        self._root, self._bound, self._log = root, bound, log
        self._process: subprocess.Popen[bytes] | None = None
        self._leader = 0
        self._groups = [
            base / f"catflap-nspawn-{os.getpid()}" for base in (*CGROUPS.glob("*/"), CGROUPS) if _is_hierarchy(base)
        ]

    def __enter__(self) -> Self:
        """Boot; return when systemd says that it runs."""
        for group in self._groups:  # nspawn leaves its own in whatever group it is started from
            group.mkdir(exist_ok=True)
        binds = [f"--bind-ro={source}:{seen}" for source, seen in self._bound]
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                [
                    *("systemd-nspawn", "--quiet", "--register=no", "--keep-unit", "--boot", "--private-network"),
                    *("--volatile=overlay", f"--directory={self._root}", *binds),
                    "--system-call-filter=adjtimex clock_adjtime",  # as on a machine; nspawn would refuse the question
                ],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                preexec_fn=self._join_groups,  # noqa: PLW1509 - one thread, and only writes
            )
        try:
            self._await_systemd(self._process)
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Shut down; kill what does not."""
        self._end()

    def run(self, command: str, timeout_s: float = 60.0) -> Ran:
        """Run a shell command as root; status 124: it took longer than ``timeout_s``."""
        inside = ["nsenter", "-t", str(self._leader), "-m", "-u", "-i", "-n", "-p", "/bin/sh", "-c", command]
        try:
            done = subprocess.run(
                inside,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                timeout=timeout_s,
                check=False,
                env={"PATH": PATH, "LANG": "C.UTF-8"},
            )
        except subprocess.TimeoutExpired as late:
            return Ran(124, (late.output or b"").decode(errors="replace"))
        return Ran(done.returncode, done.stdout.decode(errors="replace").strip())

    def until(self, command: str, expected: str, deadline_s: float) -> tuple[bool, float, str]:
        """Run a command until it says ``expected``; return whether it did, how long it took, and its last word."""
        begun = time.monotonic()
        while True:
            said = self.run(command).output
            passed_s = time.monotonic() - begun
            if said == expected or passed_s > deadline_s:
                return said == expected, passed_s, said
            select.select([], [], [], LOOK_EVERY_S)

    def _await_systemd(self, process: subprocess.Popen[bytes]) -> None:
        until = time.monotonic() + BOOT_S
        while time.monotonic() < until:
            if process.poll() is not None:
                break
            self._leader = self._leader or _systemd_below(process.pid)
            if self._leader and self.run("systemctl is-system-running").output in ("running", "degraded"):
                return
            select.select([], [], [], LOOK_EVERY_S)
        raise TimeoutError(f"the container did not boot; see {self._log}")

    def _join_groups(self) -> None:
        for group in self._groups:
            with contextlib.suppress(OSError):  # one that takes no processes is none that nspawn uses
                (group / "cgroup.procs").write_text("0", encoding="ascii")

    def _end(self) -> None:
        process = self._process
        if process is not None and process.poll() is None:
            process.send_signal(signal.SIGTERM)  # nspawn tells its systemd to halt
            try:
                process.wait(STOP_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        for group in self._groups:
            for directory in sorted((path for path in group.rglob("*") if path.is_dir()), reverse=True):
                with contextlib.suppress(OSError):
                    directory.rmdir()
            with contextlib.suppress(OSError):
                group.rmdir()


def _is_hierarchy(base: Path) -> bool:
    return (base / "cgroup.procs").exists()


def _systemd_below(pid: int) -> int:
    """Return the process that is systemd among a process's children; 0: there is none yet."""
    with contextlib.suppress(OSError):
        for child in Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split():
            if Path(f"/proc/{child}/comm").read_text(encoding="utf-8").strip() == "systemd":
                return int(child)
    return 0
