"""Tests of ``tools/write_log.py``: what a log says, and which disks a crash can leave."""

from __future__ import annotations

import io
import random
import struct

import pytest
from write_log import DISCARD, FLUSH, FUA, MAGIC, MARK, SECTOR_BYTES, Crashes, read_log

from edge.errors import InputError

BASE = bytes(8 * SECTOR_BYTES)


def log_of(*entries: tuple[int, int, bytes]) -> io.BytesIO:
    """A log of (sector, flags, data), as drivers/md/dm-log-writes.c lays it out."""
    parts = [struct.pack("<QQQI", MAGIC, 1, len(entries), SECTOR_BYTES).ljust(SECTOR_BYTES, b"\0")]
    for sector, flags, data in entries:
        mark = data if flags & MARK else b""
        sectors = 0 if mark else len(data) // SECTOR_BYTES
        head = struct.pack("<QQQQ", sector, sectors, flags, len(mark)) + mark
        parts += [head.ljust(SECTOR_BYTES, b"\0"), b"" if mark else data]
    log = io.BytesIO(b"".join(parts))
    log.name = "log"
    return log


def block(letter: bytes, sectors: int = 1) -> bytes:
    """Sectors full of a letter."""
    return letter * (sectors * SECTOR_BYTES)


def seeded(seed: int = 0) -> random.Random:
    """Luck that is the same in every run."""
    return random.Random(seed)  # noqa: S311 - no secret


def states(log: io.BytesIO, at: int, tries: int = 200) -> set[bytes]:
    """The disks that a crash just after an entry leaves, each as the first letters of its sectors."""
    entries, found = read_log(log), set()
    for seed in range(tries):
        disk = io.BytesIO(BASE)
        Crashes(BASE, log, entries).write(at, seeded(seed), disk)
        found.add(disk.getvalue()[::SECTOR_BYTES].replace(b"\0", b"."))
    return found


def test_reads_writes_flushes_and_marks() -> None:
    """A log's entries come in order, with the place of their data and the text of a mark."""
    log = log_of((2, 0, block(b"a", 2)), (0, FLUSH, b""), (0, MARK, b"17"), (4, FUA, block(b"b")))
    entries = read_log(log)
    assert [(2, 2, 0, ""), (0, 0, FLUSH, ""), (0, 0, MARK, "17"), (4, 1, FUA, "")] == [
        (entry.sector, entry.sectors, entry.flags, entry.mark) for entry in entries
    ]
    assert [True, False, False, True] == [entry.writes for entry in entries]
    log.seek(entries[3].offset)
    assert block(b"b") == log.read(SECTOR_BYTES)


@pytest.mark.parametrize("data", [bytes(2 * SECTOR_BYTES), struct.pack("<QQQI", MAGIC, 1, 9, SECTOR_BYTES).ljust(512)])
def test_refuses_what_is_no_whole_log(data: bytes) -> None:
    """Something else, or a log that ends early, is refused."""
    log = io.BytesIO(data)
    log.name = "log"
    with pytest.raises(InputError):
        read_log(log)


def test_everything_before_the_last_flush_is_there() -> None:
    """At a flush there is one state only."""
    log = log_of((0, 0, block(b"a")), (1, 0, block(b"b")), (0, FLUSH, b""), (2, 0, block(b"c")))
    assert {b"ab......"} == states(log, 2)


def test_any_subset_of_what_came_after_it_may_be_there() -> None:
    """Each write after the last flush is there or not, whatever became of the others."""
    log = log_of((0, 0, block(b"a")), (0, FLUSH, b""), (1, 0, block(b"b")), (2, 0, block(b"c")), (0, FLUSH, b""))
    assert {b"a.......", b"ab......", b"a.c.....", b"abc....."} == states(log, 3)


def test_nothing_later_than_the_crash_is_there() -> None:
    """A write after the crash was never made."""
    log = log_of((1, 0, block(b"b")), (2, 0, block(b"c")), (0, FLUSH, b""))
    assert {b"........", b".b......"} == states(log, 0)


def test_a_write_with_fua_is_there_once_it_is_logged() -> None:
    """FUA goes past the cache; a discard writes nothing."""
    log = log_of((0, 0, block(b"a")), (1, FUA, block(b"b")), (2, DISCARD, b""))
    assert {b"ab......", b".b......"} == states(log, 2)


def test_a_write_of_several_sectors_may_be_torn() -> None:
    """Of a long write some sectors may be there and others not; of a short one all or nothing."""
    log = log_of((0, 0, block(b"a", 3)))
    found = states(log, 0)
    assert {b"........", b"aaa....."} < found
    assert {b"a.......", b".a......", b"..a....."} <= found


def test_goes_on_from_point_to_point_and_not_back() -> None:
    """The states of one log are made in the order of their points."""
    log = log_of((0, 0, block(b"a")), (0, FLUSH, b""), (1, 0, block(b"b")), (0, FLUSH, b""))
    crashes, disk = Crashes(BASE, log, read_log(log)), io.BytesIO(BASE)
    crashes.write(1, seeded(), disk)
    assert b"a......." == disk.getvalue()[::SECTOR_BYTES].replace(b"\0", b".")
    crashes.write(3, seeded(), disk)
    assert b"ab......" == disk.getvalue()[::SECTOR_BYTES].replace(b"\0", b".")
    with pytest.raises(ValueError, match="durable by now"):
        crashes.write(1, seeded(), disk)
