"""Process 1 of a machine that loses its power: the guest's side of ``power_cuts`` and ``crash_states``.

    live      mount the disk, look whether the flap is whole, then live until the power goes
    record    live for so many steps on a disk whose writes and flushes are logged
    examine   make crash states from such a log, and look at each

One line goes to the host for each thing said: a letter, a space, JSON.
"""

from __future__ import annotations

import ctypes
import fcntl
import gc
import json
import logging
import os
import random
import struct
import subprocess
import sys
import traceback
import tty
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import structlog
from cut_orders import DATA, LOG, Orders
from flap_after_cut import complaints, works
from flap_life import Home, Life, RoomyFiles, Supplies
from flap_said import Ledger, Said
from write_log import Crashes, read_log

from edge.codec import from_json, to_json

if TYPE_CHECKING:
    from collections.abc import Iterator

POWER_OFF = 0x4321FEDC  # reboot(2), LINUX_REBOOT_CMD_POWER_OFF
LOOP_SET_FD = 0x4C00  # linux/loop.h
DM_TARGET_MSG = 0xC138FD0E  # linux/dm-ioctl.h: _IOWR(0xfd, 14, struct dm_ioctl)
_DM_IOCTL = struct.Struct("=3I2IIiIIIQ128s136s")  # struct dm_ioctl there, 312 bytes
MODULES = Path("/usr/lib/uml/modules")
LINE, DISK, IMAGE = Path("/dev/ttyS0"), Path("/run/disk"), Path("/run/image")
QUIETLY = structlog.make_filtering_bound_logger(logging.CRITICAL)
_LIBC = ctypes.CDLL(None, use_errno=True)


class Host:
    """The line to the host."""

    def __init__(self) -> None:
        """Open it, so that bytes pass as they are."""
        self._handle = os.open(LINE, os.O_RDWR | os.O_NOCTTY)
        tty.setraw(self._handle)

    def tell(self, letter: str, value: bytes) -> None:
        """Send a line; when it returns the host has it, whatever becomes of this machine."""
        data = letter.encode() + b" " + value.rstrip(b"\n") + b"\n"
        while data:
            data = data[os.write(self._handle, data) :]


def mount(source: str, where: Path, kind: str, options: str = "") -> None:
    """Mount a file system, which must be one; raises OSError as the system call does."""
    where.mkdir(parents=True, exist_ok=True)
    if _LIBC.mount(source.encode(), str(where).encode(), kind.encode(), 0, options.encode()) != 0:
        raise OSError(ctypes.get_errno(), f"{source}: {os.strerror(ctypes.get_errno())}")


@contextmanager
def mounted(device: str, options: str = "") -> Iterator[Path]:
    """Have an ext4 disk at ``DISK``; mounting it replays its journal."""
    mount(device, DISK, "ext4", options)
    try:
        yield DISK / "state"
    finally:
        gc.collect()  # what a part that failed had open
        if _LIBC.umount2(str(DISK).encode(), 0) != 0:
            raise OSError(ctypes.get_errno(), f"{DISK}: cannot be unmounted: {os.strerror(ctypes.get_errno())}")


def fsck(device: str) -> list[str]:
    """Return what e2fsck finds in a disk that is not mounted; it changes nothing."""
    done = subprocess.run(["e2fsck", "-fn", device], capture_output=True, text=True, check=False, close_fds=False)
    return (
        []
        if done.returncode == 0
        else [f"file system: e2fsck {done.returncode}: {' '.join(done.stdout.split())[:300]}"]
    )


def load(*names: str) -> None:
    """Load kernel modules where this kernel has them not built in, as that of Debian's package."""
    for name in names:
        for path in MODULES.glob(f"{os.uname().release}/kernel/**/{name}.ko"):
            subprocess.run(["insmod", str(path)], check=True, close_fds=False)


def live(orders: Orders, host: Host) -> None:
    """Live until the power goes; a flap that is not whole says so and lives on as far as it can."""
    supplies = Supplies(Path(orders.supplies))
    ledger = from_json(Ledger, Path(orders.ledger).read_bytes(), Path(orders.ledger))
    host.tell("M", b"{}")
    with mounted(DATA):
        pass
    wrong = fsck(DATA)
    with mounted(DATA, orders.mount_options) as state:
        home = orders.home(state)
        wrong += complaints(home, ledger, None)
        host.tell("C", json.dumps(wrong).encode())
        life = Life(home, supplies, lambda said: host.tell("S", to_json(said)), ledger.push)
        life.found()
        if not ledger.claims.trust:
            life.adopt()
        for _ in life.steps(random.Random(orders.seed)):  # noqa: S311 - which step, no secret
            pass


def record(orders: Orders, host: Host) -> None:
    """Live on a logged disk. Each line that is said is first marked in the log, by its number."""
    load("dm-mod", "dm-log-writes")
    size = int(Path("/sys/class/block/ubda/size").read_text(encoding="ascii"))
    _dmsetup("create", "logged", "--table", f"0 {size} log-writes {DATA} {LOG}")
    number = 0

    def say(said: Said) -> None:
        nonlocal number
        _mark("logged", str(number))
        host.tell("S", to_json(said))
        number += 1

    with mounted("/dev/dm-0", orders.mount_options) as state:
        life = Life(orders.home(state), Supplies(Path(orders.supplies)), say)
        life.adopt()
        for count, _ in enumerate(life.steps(random.Random(orders.seed)), 1):  # noqa: S311 - as above
            if count == orders.steps:
                break
        life.close()
    _dmsetup("remove", "logged")
    host.tell("D", b"{}")


def _mark(name: str, text: str) -> None:
    """Put a mark into the log, as ``dmsetup message NAME 0 mark TEXT`` does, which would take a process for each."""
    message = struct.pack("=Q", 0) + f"mark {text}".encode() + b"\0"
    head = _DM_IOCTL.pack(4, 0, 0, _DM_IOCTL.size + len(message), _DM_IOCTL.size, 0, 0, 0, 0, 0, 0, name.encode(), b"")
    with Path("/dev/mapper/control").open("r+b", buffering=0) as control:
        fcntl.ioctl(control, DM_TARGET_MSG, bytearray(head + message))


def _dmsetup(*arguments: str) -> None:
    subprocess.run(["dmsetup", "--noudevsync", *arguments], check=True, close_fds=False)


def examine(orders: Orders, host: Host) -> None:
    """Make each crash state and look at it."""
    supplies = Supplies(Path(orders.supplies))
    said = [from_json(Said, line, Path("said")) for line in Path(orders.said).read_bytes().splitlines()]
    loop = _loop(Path(orders.base).stat().st_size)
    with Path(orders.log).open("rb") as log, IMAGE.open("r+b", buffering=0) as disk:
        entries = read_log(log)
        crashes = Crashes(Path(orders.base).read_bytes(), log, entries)
        marks = [(at, int(entry.mark)) for at, entry in enumerate(entries) if entry.mark.isdigit()]
        for number, at, seed in orders.points:
            lost = crashes.write(at, random.Random(seed), disk)  # noqa: S311 - as above
            heard = max((mark for place, mark in marks if place <= at), default=-1) + 1
            wrong, items = examined(loop, said, heard, supplies, orders.push)
            line: dict[str, Any] = {"state": number, "entry": at, "said": heard, "items": items, "wrong": wrong}
            host.tell("E", json.dumps({**line, "kept": lost.kept, "lost": lost.lost, "torn": lost.torn}).encode())


def examined(loop: str, said: list[Said], heard: int, supplies: Supplies, push: int) -> tuple[list[str], int]:
    """Return what is wrong with the crash state on a device, and how many acknowledged items it had to hold."""
    ledger = Ledger()
    for line in said[:heard]:
        ledger = ledger.after(line)
    nexts = next((line.claims.slots for line in said[heard:] if line.claims.slots is not None), None)
    wrong: list[str] = []
    try:
        with mounted(loop) as state:
            home = Home(state, RoomyFiles())
            wrong += complaints(home, ledger, nexts if ledger.under_way is not None else None)
            wrong += works(home, supplies, ledger, push)
    except OSError as error:
        wrong.append(f"file system: {error}")
    return wrong + fsck(loop), ledger.items


def _loop(size: int) -> str:
    load("loop")
    with IMAGE.open("wb") as image:
        image.truncate(size)
    with IMAGE.open("r+b") as image, Path("/dev/loop0").open("r+b", buffering=0) as loop:
        fcntl.ioctl(loop, LOOP_SET_FD, image.fileno())
    return "/dev/loop0"


def main() -> None:
    """Do what was ordered, and switch the machine off."""
    mount("proc", Path("/proc"), "proc")
    mount("sysfs", Path("/sys"), "sysfs")
    mount("tmpfs", Path("/run"), "tmpfs", "size=90%")
    structlog.configure(wrapper_class=QUIETLY)
    host = Host()
    orders = from_json(Orders, Path(sys.argv[2]).read_bytes(), Path(sys.argv[2]))
    try:
        {"live": live, "record": record, "examine": examine}[sys.argv[1]](orders, host)
    except BaseException:  # noqa: BLE001 - process 1 has nobody above it: whatever it was, the host hears of it
        host.tell("X", json.dumps(traceback.format_exc()).encode())
    _LIBC.reboot(POWER_OFF)


if __name__ == "__main__":
    main()
