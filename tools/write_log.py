"""The log of a disk's writes and flushes that the kernel's dm-log-writes target makes, and the crash states in it.

The format and what its order means are in the kernel's drivers/md/dm-log-writes.c: a plain write is logged with the
next flush that was begun after it had completed, and before that flush; a write with FUA when it has completed; a mark
when it was made. So at a flush all that is before it is on the medium, whatever the disk's cache was.

A crash state is a point in the log: everything up to the last flush, every later write with FUA, and of the other later
writes a random subset: kept, lost, or torn (some of its sectors kept).
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING

from edge.errors import InputError

if TYPE_CHECKING:
    import random
    from collections.abc import Sequence
    from typing import BinaryIO

SECTOR_BYTES = 512
MAGIC, VERSION = 0x6A736677736872, 1
FLUSH, FUA, DISCARD, MARK = 1, 2, 4, 8

KEPT_SHARE, TORN_SHARE = 0.5, 0.1
"""Of the writes after the last flush: so many are whole, and so many torn; the rest is lost."""

_SUPER = struct.Struct("<QQQI")
_ENTRY = struct.Struct("<QQQQ")


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry: ``sectors`` of data from ``sector`` on lie in the log from byte ``offset`` on."""

    sector: int
    sectors: int
    flags: int
    offset: int
    mark: str

    @property
    def writes(self) -> bool:
        """Whether there is data in it."""
        return self.sectors > 0 and not self.flags & (DISCARD | MARK)


def read_log(log: BinaryIO) -> tuple[Entry, ...]:
    """Return the entries of a log.

    Raises:
        InputError: it is no such log, or ends early.
    """
    magic, version, count, sector_bytes = _SUPER.unpack(_at(log, 0, _SUPER.size))
    if (magic, version, sector_bytes) != (MAGIC, VERSION, SECTOR_BYTES):
        raise InputError(f"{log.name}: is no log of dm-log-writes, version {VERSION}, in sectors of {SECTOR_BYTES}")
    entries, place = [], SECTOR_BYTES
    for _ in range(count):
        sector, sectors, flags, length = _ENTRY.unpack(_at(log, place, _ENTRY.size))
        mark = _at(log, place + _ENTRY.size, length).rstrip(b"\0").decode() if flags & MARK else ""
        entries.append(Entry(sector, sectors, flags, place + SECTOR_BYTES, mark))
        place += SECTOR_BYTES * (1 + (0 if flags & (DISCARD | MARK) else sectors))
    return tuple(entries)


def _at(log: BinaryIO, place: int, size: int) -> bytes:
    log.seek(place)
    data = log.read(size)
    if len(data) != size:
        raise InputError(f"{log.name}: ends at byte {place + len(data)}, in the middle of an entry")
    return data


@dataclass(frozen=True, slots=True)
class Lost:
    """What a crash state lacks of the writes that had been made: how many were kept, lost and torn."""

    kept: int
    lost: int
    torn: int


class Crashes:
    """Crash states of one log, in the order of their points: each begins where the one before it had come to."""

    def __init__(self, base: bytes, log: BinaryIO, entries: Sequence[Entry]) -> None:
        """Begin with the disk as it was before the log."""
        self._durable = bytearray(base)
        self._log = log
        self._entries = entries
        self._flushed = 0

    def write(self, at: int, rng: random.Random, disk: BinaryIO) -> Lost:
        """Write the state of a crash just after entry ``at`` into ``disk``, a file of the base's size.

        Raises:
            ValueError: a point before the last one was asked for.
        """
        flushed = max((n for n in range(self._flushed, at + 1) if self._entries[n].flags & FLUSH), default=-1) + 1
        if at + 1 < self._flushed:
            raise ValueError(f"point {at} is before {self._flushed}, which is durable by now")
        for entry in self._entries[self._flushed : flushed]:
            if entry.writes:
                place = entry.sector * SECTOR_BYTES
                self._durable[place : place + entry.sectors * SECTOR_BYTES] = self._data(entry)
        self._flushed = max(flushed, self._flushed)
        disk.seek(0)
        disk.write(self._durable)
        return self._subset(self._entries[self._flushed : at + 1], rng, disk)

    def _subset(self, later: Sequence[Entry], rng: random.Random, disk: BinaryIO) -> Lost:
        kept = lost = torn = 0
        for entry in later:
            if not entry.writes:
                continue
            luck = 0.0 if entry.flags & FUA else rng.random()
            if luck < KEPT_SHARE:
                kept += 1
                _put(disk, entry.sector, self._data(entry))
            elif luck < KEPT_SHARE + TORN_SHARE and entry.sectors > 1:
                torn += 1
                self._tear(entry, rng, disk)
            else:
                lost += 1
        return Lost(kept, lost, torn)

    def _tear(self, entry: Entry, rng: random.Random, disk: BinaryIO) -> None:
        data = self._data(entry)
        for number in sorted(rng.sample(range(entry.sectors), rng.randrange(1, entry.sectors))):
            _put(disk, entry.sector + number, data[number * SECTOR_BYTES : (number + 1) * SECTOR_BYTES])

    def _data(self, entry: Entry) -> bytes:
        return _at(self._log, entry.offset, entry.sectors * SECTOR_BYTES)


def _put(disk: BinaryIO, sector: int, data: bytes) -> None:
    disk.seek(sector * SECTOR_BYTES)
    disk.write(data)
