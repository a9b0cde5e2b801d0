"""What the host orders of a guest whose power is cut, and the disk it gets."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from flap_life import Home, RoomyFiles, UnsyncedFiles, UnsyncedNames

from edge.codec import to_json

if TYPE_CHECKING:
    from pathlib import Path

    from edge.files import Files

DISK_BYTES = 32 * 2**20
"""Small, so that a state is quickly made; the flap's own bounds are set to fit (``flap_life.SPOOL``)."""
DATA, LOG = "/dev/ubda", "/dev/ubdb"


class Flaw(StrEnum):
    """What is left out on purpose, to see that it is found."""

    NONE = "none"
    FSYNC = "no fsync at all"
    NAMES = "no fsync of directories"
    WAL = "SQLite synchronous=NORMAL"
    BARRIER = "ext4 barrier=0"


@dataclass(frozen=True, slots=True)
class Orders:
    """What the host wants, from the file that is the guest's last argument.

    Attributes:
        supplies: the directory of the life's supplies.
        seed: of the life.
        flaw: what is left out.
        ledger: live: the file with what must be there.
        steps: record: how long.
        base: examine: the disk before the log.
        log: examine: the log.
        said: examine: the lines that were said meanwhile; a mark is the number of one.
        points: examine: number, entry and seed of each state, in the order of the entries.
        push: examine: the push that shows that the flap still works.
    """

    supplies: str
    seed: int
    flaw: Flaw
    ledger: str = ""
    steps: int = 0
    base: str = ""
    log: str = ""
    said: str = ""
    points: tuple[tuple[int, int, int], ...] = ()
    push: int = 0

    def home(self, state: Path) -> Home:
        """Return the flap's home with the flaw that it is to have."""
        flawed: dict[Flaw, Files] = {Flaw.FSYNC: UnsyncedFiles(), Flaw.NAMES: UnsyncedNames()}
        synchronous = {Flaw.FSYNC: "OFF", Flaw.WAL: "NORMAL"}.get(self.flaw)
        return Home(state, flawed.get(self.flaw, RoomyFiles()), synchronous)

    @property
    def mount_options(self) -> str:
        """Return ext4's options: those of any Pi, but for the flaw."""
        return "barrier=0" if self.flaw is Flaw.BARRIER else ""

    def written(self, path: Path) -> str:
        """Write them to ``path`` and return its name."""
        path.write_bytes(to_json(self))
        return str(path)


def make_disk(path: Path) -> Path:
    """Make an empty ext4 disk: the options of mke2fs are its own but for a journal that fits, and no lazy writing."""
    with path.open("wb") as file:
        file.truncate(DISK_BYTES)
    options = ["-J", "size=4", "-E", "lazy_itable_init=0,lazy_journal_init=0,nodiscard"]
    subprocess.run(["mkfs.ext4", "-q", "-F", *options, str(path)], check=True)
    return path
