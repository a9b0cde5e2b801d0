"""The spool's directory, and the order of operations that lets the power be cut at any of them. Part of floor 3.

On disk::

    <visit id>/   a whole record: visit.json, patches.png, NN_why.jpg, and entry.json, the spool's own note on it
    .incoming/    records being written; each becomes whole by a single rename
    .leaving/     records on their way out, named <generation>.<reason>.<visit id>
    counts.json   what was dropped and why, and the generation up to which this is counted

A record on its way out is first renamed, then emptied, then counted, then its empty directory goes. Its name carries
the generation of the counts that will include it (0: it was counted before it came here), so that after a power cut
nothing is counted twice and nothing is forgotten.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from edge.codec import from_json, to_json
from edge.errors import InputError
from edge.files import empty, replace
from edge.messages import VerdictKind  # noqa: TC001 - the codec reads Note's types at run time
from edge.spool.words import Counts, Entry, Reason
from edge.worth import Rule  # noqa: TC001 - as above

if TYPE_CHECKING:
    from pathlib import Path

    from edge.files import Files
    from edge.record import RecordFile

ENTRY_FILE = "entry.json"
COUNTS_FILE = "counts.json"
INCOMING = ".incoming"
LEAVING = ".leaving"
NOTE_FORMAT = 1

_TOMB = re.compile(rf"(\d+)\.({'|'.join(Reason)})\..+")


@dataclass(frozen=True, slots=True)
class Note:
    """``entry.json``: what the spool must know of a record without reading all of it."""

    format: int
    visit_id: str
    sequence: int
    rule: Rule
    usefulness: float
    started: str
    verdict: VerdictKind


@dataclass(frozen=True, slots=True)
class _Tally:
    """``counts.json``; ``generation`` grows with every writing."""

    generation: int
    dropped: Counts


@dataclass(frozen=True, slots=True)
class Listing:
    """What lies in the directory; ``foreign`` are names that are no records of ours."""

    entries: tuple[Entry, ...]
    foreign: tuple[str, ...]


class Shelf:
    """The directory. Every method raises OSError as the disk does; ``load`` again after that."""

    def __init__(self, directory: Path, files: Files) -> None:
        """Touch nothing yet."""
        self._directory = directory
        self._incoming = directory / INCOMING
        self._leaving = directory / LEAVING
        self._files = files
        self._counts = Counts()
        self._generation = 0
        self._tombs: tuple[Path, ...] = ()
        self._recovered = False
        self._settled = True

    @property
    def counts(self) -> Counts:
        """What was dropped since the spool was begun, as far as it is known."""
        return self._counts

    def load(self) -> Listing:
        """Clear away what a power cut or a failure left, and list the whole records."""
        for directory in (self._directory, self._incoming, self._leaving):
            self._files.make_directory(directory)
        self._files.sync_directory(self._directory.parent)
        self._files.sync_directory(self._directory)
        first = not self._recovered
        if first:
            self._recover()
        for name in self._files.names(self._incoming):
            # What is found later than at the first look belongs to a put that failed and was counted as that.
            self._move_out(self._incoming / name, Reason.UNFINISHED, counted=not first)
        self._tombs = tuple(self._leaving / name for name in self._files.names(self._leaving))
        self._settled = self._settled and not self._tombs
        return self._listing()

    def stage(self, visit_id: str, files: tuple[RecordFile, ...]) -> None:
        """Write a record where nobody takes it for whole."""
        directory = self._incoming / visit_id
        self._files.make_directory(directory)
        for file in files:
            self._files.write(directory / file.name, file.data)
        self._files.sync_directory(directory)

    def keep(self, visit_id: str) -> None:
        """Make a staged record one of the whole ones."""
        self._files.rename(self._incoming / visit_id, self._directory / visit_id)
        self._files.sync_directory(self._directory)
        self._files.sync_directory(self._incoming)

    def drop(self, visit_id: str, reason: Reason) -> None:
        """Take a whole record away, count it and free its space."""
        self._move_out(self._directory / visit_id, reason)

    def abandon(self, visit_id: str, reason: Reason) -> None:
        """Count a record that could not be kept, and take away what there is of it, staged or just renamed."""
        for directory in (self._incoming, self._directory):
            if visit_id in self._files.names(directory):
                self._move_out(directory / visit_id, reason)
                return
        self.count(reason)

    def count(self, reason: Reason) -> None:
        """Count a visit of which there is nothing on the disk."""
        self._counts = self._counts.plus(reason)
        self._settled = False

    def settle(self) -> None:
        """Bring the counts to the disk, then remove the empty directories of those that are now counted."""
        if self._settled or not self._recovered:
            return
        # Grows even if the writing fails: whether it reached the disk all the same cannot be known then.
        self._generation += 1
        replace(self._files, self._directory / COUNTS_FILE, to_json(_Tally(self._generation, self._counts)))
        for tomb in self._tombs:
            empty(self._files, tomb)
            self._files.remove_directory(tomb)
            self._tombs = self._tombs[1:]
        self._settled = True

    def _move_out(self, source: Path, reason: Reason, *, counted: bool = False) -> None:
        generation = 0 if counted else self._generation + 1
        tomb = self._leaving / f"{generation}.{reason}.{source.name}"
        self._files.rename(source, tomb)
        if not counted:
            self.count(reason)
        self._tombs = (*self._tombs, tomb)
        # Before its files go: else a power cut could bring the record's name back without them.
        self._files.sync_directory(source.parent)
        self._files.sync_directory(self._leaving)
        empty(self._files, tomb)

    def _recover(self) -> None:
        tally = self._read_tally()
        counts = tally.dropped
        for reason in Reason:  # what was counted before the disk could be read
            counts = counts.plus(reason, self._counts.of(reason))
        for name in self._files.names(self._leaving):
            tomb = _TOMB.fullmatch(name)
            if tomb is not None and int(tomb[1]) > tally.generation:
                counts = counts.plus(Reason(tomb[2]))
        self._counts, self._generation = counts, tally.generation
        self._settled = counts == tally.dropped
        self._recovered = True

    def _read_tally(self) -> _Tally:
        path = self._directory / COUNTS_FILE
        if COUNTS_FILE not in self._files.names(self._directory):
            return _Tally(0, Counts())
        try:
            return from_json(_Tally, self._files.read(path), path)
        except InputError:
            # Written as a whole or not at all, so this is no power cut but a worn-out card or a stranger's file.
            # Counting begins anew; there is nothing better to count from.
            return _Tally(0, Counts())

    def _listing(self) -> Listing:
        ours = (INCOMING, LEAVING, COUNTS_FILE, f".{COUNTS_FILE}.new")
        names = [name for name in self._files.names(self._directory) if name not in ours]
        found = {name: self._entry(name) for name in names}
        entries = sorted((entry for entry in found.values() if entry is not None), key=lambda entry: entry.sequence)
        return Listing(tuple(entries), tuple(name for name, entry in found.items() if entry is None))

    def _entry(self, name: str) -> Entry | None:
        """Return what a directory's note says; None where there is none of ours, or the disk cannot read it."""
        directory = self._directory / name
        try:
            note = from_json(Note, self._files.read(directory / ENTRY_FILE), directory / ENTRY_FILE)
            size_bytes = sum(self._files.size_bytes(directory / file) for file in self._files.names(directory))
        except (InputError, OSError):
            return None
        if note.format != NOTE_FORMAT or note.visit_id != name:
            return None
        return Entry(name, note.sequence, note.rule, note.usefulness, note.started, note.verdict, size_bytes)
