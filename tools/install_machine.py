"""The machine that catflap is installed on: this one, or another root directory on it.

The commands that change a machine go through ``Machine.run``, so that a test can put another one in its place. Plain
file operations are done directly, below ``Machine.root``.
"""

from __future__ import annotations

import os
import subprocess
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

COMMAND_S = 1800.0
"""A slow Pi unpacks the runtime's wheels for minutes; what takes half an hour hangs."""

_IN_ROOT = """
mount -t proc proc "$0/proc"
mount --bind /dev "$0/dev"
exec chroot "$0" "$@"
"""


class InstallError(Exception):
    """Why nothing was installed, in one line."""


@dataclass(frozen=True, slots=True)
class Ran:
    """What a command left: its exit status, and its two outputs together."""

    status: int
    output: str

    @property
    def last_line(self) -> str:
        """The last line that says anything."""
        return next((line.strip() for line in reversed(self.output.splitlines()) if line.strip()), "it said nothing")


class Machine(Protocol):
    """What is installed on."""

    @property
    def root(self) -> Path:
        """Where its file system begins."""

    @property
    def live(self) -> bool:
        """Whether its systemd runs and is ours to command."""

    def run(self, command: Sequence[str]) -> Ran:
        """Run a command on it and wait."""

    def pause(self, seconds: float) -> None:
        """Let time pass."""

    def sync(self) -> None:
        """Return when everything that was written is on the disk."""


@dataclass(frozen=True)
class ThisMachine:
    """This machine, or with another ``root`` a system that lies in a directory and does not run."""

    root: Path = Path("/")
    _never: threading.Event = field(default_factory=threading.Event)

    @property
    def live(self) -> bool:
        """Whether systemd is process 1 of what is installed on."""
        return self.root == Path("/") and Path("/run/systemd/system").is_dir()

    def run(self, command: Sequence[str]) -> Ran:
        """Run a command; in another root with its own /proc, which ends with the command.

        Raises:
            InstallError: it is not there, or takes longer than ``COMMAND_S``.
        """
        whole = [*self._prefix(), *command]
        environment = {**os.environ, "LC_ALL": "C.UTF-8", "PYTHONDONTWRITEBYTECODE": "1"}
        environment.pop("PYTHONPATH", None)
        try:
            done = subprocess.run(
                whole,
                check=False,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                errors="replace",
                timeout=COMMAND_S,
                cwd="/",
                env=environment,
            )
        except FileNotFoundError:
            return Ran(127, f"{whole[0]}: is not installed")
        except subprocess.TimeoutExpired as error:
            raise InstallError(f"{' '.join(command)}: took longer than {COMMAND_S:g} s") from error
        return Ran(done.returncode, done.stdout)

    def pause(self, seconds: float) -> None:
        """Let time pass."""
        self._never.wait(seconds)

    def sync(self) -> None:
        """Have the kernel write everything out."""
        os.sync()

    def _prefix(self) -> tuple[str, ...]:
        if self.root == Path("/"):
            return ()
        return ("unshare", "--fork", "--pid", "--mount", "sh", "-ec", _IN_ROOT, str(self.root))


def at(machine: Machine, path: str) -> Path:
    """Where a path of the machine lies on this one."""
    return machine.root / path.lstrip("/")


def done(machine: Machine, *command: str) -> str:
    """Run a command that must succeed; return its output.

    Raises:
        InstallError: it did not.
    """
    ran = machine.run(command)
    if ran.status != 0:
        raise InstallError(f"{' '.join(command[:6])}: {ran.last_line}")
    return ran.output


def link(machine: Machine, path: str, target: str) -> None:
    """Make ``path`` a link to ``target`` in one step, whatever link was there; on the disk after ``Machine.sync``."""
    place = at(machine, path)
    place.parent.mkdir(parents=True, exist_ok=True)
    temporary = place.with_name(f".{place.name}.new")
    temporary.unlink(missing_ok=True)
    temporary.symlink_to(target)
    temporary.rename(place)


def write(machine: Machine, path: str, data: bytes) -> None:
    """Replace a file as a whole: whoever reads it sees the old content or the new."""
    place = at(machine, path)
    temporary = place.with_name(f".{place.name}.new")
    with temporary.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    temporary.chmod(0o644)
    temporary.rename(place)


def says(machine: Machine, path: str) -> str | None:
    """What a link says; None where there is none."""
    place = at(machine, path)
    return str(place.readlink()) if place.is_symlink() else None
