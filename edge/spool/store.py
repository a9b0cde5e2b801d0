"""What the spool keeps and what it drops for it. Part of floor 3.

No failure of the disk is raised to the loop: ``put`` says what became of the visit, and the next ``put`` tries again.
"""

from __future__ import annotations

import dataclasses
import errno
from contextlib import suppress
from datetime import UTC
from typing import TYPE_CHECKING

from edge.codec import to_json
from edge.errors import InputError
from edge.record import RecordFile, read_record, write_record
from edge.spool.shelf import ENTRY_FILE, NOTE_FORMAT, Note, Shelf
from edge.spool.words import Counts, Dropped, Entry, Outcome, Reason, Stored

if TYPE_CHECKING:
    from pathlib import Path

    from edge.config import SpoolConfig
    from edge.files import Files
    from edge.messages import Visit
    from edge.worth import Worth

_REASONS = {errno.ENOSPC: Reason.DISK_FULL, errno.EDQUOT: Reason.DISK_FULL, errno.EROFS: Reason.READ_ONLY}


@dataclasses.dataclass(frozen=True, slots=True)
class _Parcel:
    """A record ready to be written, and what has to go for it."""

    entry: Entry
    files: tuple[RecordFile, ...]
    key_frames: int
    victims: tuple[tuple[Entry, Reason], ...]
    room_now: bool  # whether the disk can hold it before the victims have gone


class Spool:
    """The spool in one directory: at most ``max_bytes`` of records, at least ``min_free_bytes`` of the disk left free.

    The least useful go first, among equals the oldest, and the newest of all that is stored last. They go for a new
    record only if that makes it fit, and only once it lies on the disk beside them (unless the disk has no room for
    both), so that a disk that fails does not eat up the spool. Such a record being written does not count yet.
    """

    def __init__(self, directory: Path, settings: SpoolConfig, files: Files) -> None:
        """Clear away what a power cut left and list what is there; a disk that fails now is asked again by ``put``."""
        self._directory = directory
        self._settings = settings
        self._files = files
        self._shelf = Shelf(directory, files)
        self._entries: dict[str, Entry] = {}
        self._foreign: tuple[str, ...] = ()
        self._next_sequence = 1
        self._loaded = False
        self._failure: str | None = None
        try:
            self._load()
        except OSError as error:
            self._failure = str(error)
        self._settle()

    @property
    def counts(self) -> Counts:
        """What was dropped and why, since the spool was begun."""
        return self._shelf.counts

    @property
    def failure(self) -> str | None:
        """What the disk said when it last failed; None while it works."""
        return self._failure

    @property
    def foreign(self) -> tuple[str, ...]:
        """Names in the directory that are no whole records of this spool: left alone, their bytes not counted."""
        return self._foreign

    @property
    def stored_bytes(self) -> int:
        """How many bytes the records hold."""
        return sum(entry.stored_bytes for entry in self._entries.values())

    def list(self) -> tuple[Entry, ...]:
        """Return what is stored, in the order it was put."""
        return tuple(sorted(self._entries.values(), key=lambda entry: entry.sequence))

    def open(self, visit_id: str) -> Visit:
        """Return a stored visit.

        Raises:
            InputError: there is none of this id, or its record is damaged.
        """
        if visit_id not in self._entries:
            raise InputError(f"{self._directory}: holds no visit {visit_id!r}")
        return read_record(self._directory / visit_id)

    def put(self, visit: Visit, worth: Worth) -> Outcome:
        """Store a visit durably, making room for it. Where it does not fit otherwise it goes without its key frames."""
        try:
            if not self._loaded:
                self._load()
            outcome = self._put(visit, worth)
        except OSError as error:
            outcome = self._fail(visit.visit_id, error)
        else:
            self._failure = None
        self._settle()
        return outcome

    def _load(self) -> None:
        listing = self._shelf.load()
        self._entries = {entry.visit_id: entry for entry in listing.entries}
        self._foreign = listing.foreign
        self._next_sequence = max([self._next_sequence - 1, *(entry.sequence for entry in listing.entries)]) + 1
        self._loaded = True

    def _put(self, visit: Visit, worth: Worth) -> Outcome:
        if visit.visit_id in self._entries or visit.visit_id in self._foreign:
            return self._refuse(Dropped(Reason.DUPLICATE, f"{visit.visit_id} is there already"))
        try:
            parcel = self._pack(visit, worth)
            if isinstance(parcel, Dropped) and visit.key_frames:
                parcel = self._pack(dataclasses.replace(visit, key_frames=()), worth)
        except InputError as error:
            return self._refuse(Dropped(Reason.MALFORMED, str(error)))
        return self._refuse(parcel) if isinstance(parcel, Dropped) else self._store(parcel)

    def _pack(self, visit: Visit, worth: Worth) -> _Parcel | Dropped:
        """Write the record in memory and choose what has to go for it."""
        note = Note(
            format=NOTE_FORMAT,
            visit_id=visit.visit_id,
            sequence=self._next_sequence,
            rule=worth.rule,
            usefulness=worth.usefulness,
            started=visit.started.astimezone(UTC).isoformat(),
            verdict=visit.verdict.kind,
        )
        files = (RecordFile(ENTRY_FILE, to_json(note)), *write_record(visit, worth.rule))
        size_bytes = sum(len(file.data) for file in files)
        free_bytes = self._files.free_bytes(self._directory)
        victims = self._victims(size_bytes, free_bytes)
        if victims is None:
            return self._unfit(size_bytes, free_bytes)
        return _Parcel(_entry(note, size_bytes), files, len(visit.key_frames), victims, free_bytes >= size_bytes)

    def _victims(self, size_bytes: int, free_bytes: int) -> tuple[tuple[Entry, Reason], ...] | None:
        """Return what to drop for ``size_bytes`` more, and why each; None if dropping everything would not do."""
        over_bytes = self.stored_bytes + size_bytes - self._settings.max_bytes
        short_bytes = self._settings.min_free_bytes + size_bytes - free_bytes
        victims, freed_bytes = [], 0
        for entry in self._least_useful_first():
            if freed_bytes >= max(over_bytes, short_bytes):
                break
            victims.append((entry, Reason.MAX_BYTES if freed_bytes < over_bytes else Reason.MIN_FREE))
            freed_bytes += entry.stored_bytes
        return tuple(victims) if freed_bytes >= max(over_bytes, short_bytes) else None

    def _least_useful_first(self) -> tuple[Entry, ...]:
        newest = self._next_sequence - 1
        by_use = sorted(self._entries.values(), key=lambda e: (e.sequence == newest, e.usefulness, e.sequence))
        return tuple(by_use)

    def _unfit(self, size_bytes: int, free_bytes: int) -> Dropped:
        if size_bytes > self._settings.max_bytes:
            return Dropped(Reason.TOO_LARGE, f"{size_bytes} bytes; spool.max_bytes is {self._settings.max_bytes}")
        least = self._settings.min_free_bytes
        return Dropped(Reason.DISK_FULL, f"{free_bytes} bytes are free; spool.min_free_bytes is {least}")

    def _store(self, parcel: _Parcel) -> Stored:
        visit_id = parcel.entry.visit_id
        if not parcel.room_now:
            self._drop(parcel.victims)
        self._shelf.stage(visit_id, parcel.files)
        if parcel.room_now:
            self._drop(parcel.victims)
        self._shelf.keep(visit_id)
        self._entries[visit_id] = parcel.entry
        self._next_sequence += 1
        return Stored(parcel.entry.stored_bytes, parcel.key_frames)

    def _drop(self, victims: tuple[tuple[Entry, Reason], ...]) -> None:
        for entry, reason in victims:
            self._shelf.drop(entry.visit_id, reason)
            del self._entries[entry.visit_id]

    def _refuse(self, dropped: Dropped) -> Dropped:
        self._shelf.count(dropped.reason)
        return dropped

    def _fail(self, visit_id: str, error: OSError) -> Dropped:
        self._failure = str(error)
        dropped = Dropped(_REASONS.get(error.errno or 0, Reason.IO_ERROR), self._failure)
        before = self._shelf.counts
        if self._loaded:
            with suppress(OSError):  # the remains are cleared away by the next load
                self._shelf.abandon(visit_id, dropped.reason)
        if self._shelf.counts == before:
            self._shelf.count(dropped.reason)
        self._loaded = False  # what lies on the disk is no longer known for sure
        return dropped

    def _settle(self) -> None:
        with suppress(OSError):  # the counts stay in memory and go to the disk with the next put
            self._shelf.settle()


def _entry(note: Note, stored_bytes: int) -> Entry:
    return Entry(note.visit_id, note.sequence, note.rule, note.usefulness, note.started, note.verdict, stored_bytes)
