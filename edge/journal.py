"""The data layer's journal: SQLite, one row per visit, events, what must outlive a restart, settings history. Floor 3.

Writing never raises for the disk: a row that cannot be written waits in memory, bounded, and goes with the next one.
A file that is no journal, or a damaged one, is moved aside and a new one begun.
"""

from __future__ import annotations

import dataclasses
import hashlib
import itertools
import json
import sqlite3
from collections import deque
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import TYPE_CHECKING, TypeAlias

from edge.canonical import VisitSummary, summary
from edge.coil import heat_after, surely_passed_s
from edge.errors import HardwareError
from edge.house import Lasting
from edge.messages import BootMoment, Label, Mode, VerdictKind

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path

    from edge.canonical import Value
    from edge.config import LockConfig
    from edge.messages import Visit

MAX_WAITING = 500
"""Rows kept in memory while the disk takes none: days of visits, and well under a megabyte."""

ROWS = 50_000
"""The newest visits that are kept, and as many events and pairs of trials: years of an ordinary flap, some 50 MB.

Without an end a flapping cable alone, two events a minute, would fill a card within years, and every start reads the
whole file. Pages of rows that went are used again, so the file stays at the largest it ever was.
"""

SETTINGS_ROWS = 200
"""The newest settings that are kept; each is the whole configuration."""

BUSY_MS = 200
"""How long a write waits for another process: the loop goes on after that, and the row waits instead."""

APPLICATION_ID = 0x43415446  # "CATF", so that another program's database is not taken for ours (SQLite, application_id)

_SCHEMA_1 = """
CREATE TABLE visits (
    visit TEXT PRIMARY KEY, started TEXT NOT NULL, duration_s REAL, frames INTEGER NOT NULL,
    evidence_frames INTEGER NOT NULL, verdict TEXT NOT NULL, because TEXT NOT NULL, resident TEXT, chips TEXT NOT NULL,
    top_label TEXT, clean_llr REAL, prey_llr REAL, frames_to_verdict INTEGER NOT NULL, ms_to_verdict REAL, bolt_s REAL,
    flap_opened INTEGER NOT NULL, model TEXT NOT NULL, runtime TEXT NOT NULL, config TEXT NOT NULL, rule TEXT,
    spool TEXT NOT NULL, owner_label TEXT
) STRICT;
CREATE TABLE events (at TEXT NOT NULL, monotonic_ns INTEGER, kind TEXT NOT NULL, detail TEXT NOT NULL) STRICT;
CREATE TABLE coil (only INTEGER PRIMARY KEY CHECK (only = 1), heat_s REAL NOT NULL, at TEXT NOT NULL) STRICT;
CREATE TABLE settings (at TEXT NOT NULL, config TEXT NOT NULL, text TEXT NOT NULL) STRICT;
"""

_SCHEMA_2 = """
CREATE TABLE house (
    only INTEGER PRIMARY KEY CHECK (only = 1), mode TEXT, panic INTEGER NOT NULL, sha256 TEXT NOT NULL, at TEXT NOT NULL
) STRICT;
"""

# A row from before says no boot: its heat, then kept with the wall time alone, is taken as it is and does not age.
_SCHEMA_3 = """
ALTER TABLE coil ADD COLUMN boot_id TEXT NOT NULL DEFAULT '';
ALTER TABLE coil ADD COLUMN since_boot_ns INTEGER NOT NULL DEFAULT 0;
"""

_SCHEMA_4 = """
CREATE TABLE trials (
    candidate TEXT NOT NULL, since TEXT NOT NULL, champion TEXT NOT NULL, visit TEXT NOT NULL, at TEXT NOT NULL,
    pair TEXT NOT NULL, PRIMARY KEY (candidate, since, visit)
) STRICT;
"""

_MIGRATIONS = (_SCHEMA_1, _SCHEMA_2, _SCHEMA_3, _SCHEMA_4)
"""``user_version`` n means that the first n of these were run."""

# OR REPLACE: whether a commit that failed reached the disk cannot be known, so a row may be written twice.
_ADD_VISIT = """
INSERT OR REPLACE INTO visits VALUES (
    :visit, :started, :duration_s, :frames, :evidence_frames, :verdict, :because, :resident, :chips, :top_label,
    :clean_llr, :prey_llr, :frames_to_verdict, :ms_to_verdict, :bolt_s, :flap_opened, :model, :runtime, :config, :rule,
    :spool, :owner_label
)
"""
_ADD_EVENT = "INSERT INTO events VALUES (:at, :monotonic_ns, :kind, :detail)"
_SAVE_HEAT = "INSERT OR REPLACE INTO coil VALUES (1, :heat_s, :at, :boot_id, :since_boot_ns)"
_SAVE_HOUSE = "INSERT OR REPLACE INTO house VALUES (1, :mode, :panic, :sha256, :at)"
_ADD_PAIR = "INSERT OR REPLACE INTO trials VALUES (:candidate, :since, :champion, :visit, :at, :pair)"
_LABEL = "UPDATE visits SET owner_label = :label WHERE visit = :visit"
_NOTE_SETTINGS = """
INSERT INTO settings SELECT :at, :config, :text
WHERE :config IS NOT (SELECT config FROM settings ORDER BY rowid DESC LIMIT 1)
"""

_Column: TypeAlias = str | int | float | None

_GROWS = {_ADD_VISIT: "visits", _ADD_EVENT: "events", _ADD_PAIR: "trials", _NOTE_SETTINGS: "settings"}
"""Which table a row makes longer."""


@dataclass(frozen=True, slots=True)
class VisitRow:
    """One visit as the journal keeps it: the canonical line, and what only the journal has."""

    line: VisitSummary
    started: datetime
    duration_s: float
    chips: tuple[str, ...]
    clean_llr: float
    prey_llr: float
    owner_label: Label | None


@dataclass(frozen=True, slots=True)
class EventRow:
    """Something that happened outside the course of a visit."""

    at: datetime
    monotonic_ns: int | None
    kind: str
    detail: str


@dataclass(frozen=True, slots=True)
class PairRow:
    """One visit of a trial: two models' identities, the pair as JSON, and the owner's label as it is by now."""

    candidate: str
    since: str
    champion: str
    pair: str
    owner_label: Label | None


class HouseFound(StrEnum):
    """What became of the house's lasting state since it was saved."""

    KEPT = "kept"  # as it was saved
    NEW = "new"  # nothing was ever saved
    DAMAGED = "damaged"  # the row is not what was written, or of another version: its mode is lost
    LOST = "lost"  # the journal had to be begun anew or cannot be read: mode and panic lock are lost


@dataclass(frozen=True, slots=True)
class HouseKept:
    """The house's lasting state as far as it could be read, and how far that was.

    Where a mode is lost the configuration's own holds, which the owner wrote, and every other check stays as it is. A
    panic lock that can still be read in a damaged row stays on. One that cannot be read at all is off: to keep every
    cat out after each broken file would be the worse failure, and whoever loads this tells the owner.
    """

    lasting: Lasting
    found: HouseFound


@dataclass(frozen=True, slots=True)
class _Row:
    """A row on its way to the disk."""

    sql: str
    values: dict[str, _Column]


class _NotOursError(Exception):
    """The file is a database, but not a sound one of ours."""


class Journal:
    """The journal in one file. Reading raises HardwareError; writing never does, see ``waiting`` and ``lost``."""

    def __init__(self, path: Path, rows: int = ROWS) -> None:
        """Open or begin the journal at ``path``; a disk that refuses now is asked again at every write.

        Args:
            path: the file.
            rows: of more visits, events or pairs of trials than this the oldest go.
        """
        self._path = path
        self._rows_kept = rows
        self._connection: sqlite3.Connection | None = None
        self._waiting: deque[_Row] = deque()
        self._lost = 0
        self._failure: str | None = None
        self._recovered: str | None = None
        self._unreported: str | None = None
        self._connect()

    @classmethod
    def open(cls, path: Path, rows: int = ROWS) -> Journal:
        """Open or begin the journal at ``path``; its directory is made where it is missing.

        Without one nothing could be read, a fresh start would look like a journal that was lost, and the coil hot.
        """
        with suppress(OSError):  # then it is a disk that fails, and rows wait
            path.parent.mkdir(parents=True, exist_ok=True)
        return cls(path, rows)

    @property
    def recovered(self) -> str | None:
        """What was moved aside and why, if that had to be done; also an event, timed by the first row after it."""
        return self._recovered

    @property
    def failure(self) -> str | None:
        """Why rows wait; None while the disk takes them."""
        return self._failure

    @property
    def waiting(self) -> int:
        """How many rows wait in memory for the disk."""
        return len(self._waiting)

    @property
    def lost(self) -> int:
        """How many rows were given up because more than ``MAX_WAITING`` waited; the oldest go first."""
        return self._lost

    def add_visit(self, visit: Visit, spool_rule: str | None, spool_outcome: str) -> None:
        """Add a finished visit; the same visit again replaces its row."""
        line = {name: _column(value) for name, value in summary(visit, spool_rule, spool_outcome).fields().items()}
        more: dict[str, _Column] = {
            "started": _text(visit.started),
            "duration_s": visit.duration_s,
            "chips": json.dumps([entry.chip for entry in visit.chips]),
            "clean_llr": visit.verdict.clean_llr,
            "prey_llr": visit.verdict.prey_llr,
            "owner_label": _column(visit.owner_label),
        }
        self._write(visit.started, _Row(_ADD_VISIT, line | more))

    def add_event(self, at: datetime, kind: str, detail: str, monotonic_ns: int | None = None) -> None:
        """Add something that happened outside the course of a visit."""
        self._write(at, _event(at, kind, detail, monotonic_ns))

    def save_heat(self, at: datetime, heat_s: float, moment: BootMoment) -> None:
        """Keep the coil's stored heat at ``moment``, in seconds with power; only the last is kept.

        ``at`` is the same moment for people to read; nothing is reckoned with it.
        """
        self._waiting = deque(row for row in self._waiting if row.sql != _SAVE_HEAT)
        boot_id, since_ns = moment.boot_id, moment.since_ns
        self._write(
            at,
            _Row(_SAVE_HEAT, {"heat_s": heat_s, "at": _text(at), "boot_id": boot_id, "since_boot_ns": since_ns}),
        )

    def load_heat(self, now: BootMoment, lock: LockConfig) -> float:
        """Return the most heat the coil can still hold at ``now``, in seconds with power.

        It has cooled for as long as has passed for certain, see ``surely_passed_s``. Where heat may have been saved
        but cannot be read any more, the coil is taken to be as hot as it may get.
        """
        try:
            row = self._reader().execute("SELECT heat_s, boot_id, since_boot_ns FROM coil").fetchone()
        except (sqlite3.Error, HardwareError):
            return lock.heat_budget_s
        if row is None:
            return 0.0 if self._recovered is None else lock.heat_budget_s
        heat_s, *kept = row
        return heat_after(heat_s, surely_passed_s(BootMoment(*kept), now), lock)

    def save_house(self, at: datetime, lasting: Lasting) -> None:
        """Keep what of the house's state must outlive a restart; only the last is kept."""
        self._waiting = deque(row for row in self._waiting if row.sql != _SAVE_HOUSE)
        mode, panic = _column(lasting.mode), int(lasting.panic)
        self._write(
            at, _Row(_SAVE_HOUSE, {"mode": mode, "panic": panic, "sha256": _seal(mode, panic), "at": _text(at)})
        )

    def load_house(self) -> HouseKept:
        """Return the house's lasting state, and whether it is whole; see ``HouseKept`` for what holds if it is not."""
        try:
            row = self._reader().execute("SELECT mode, panic, sha256 FROM house").fetchone()
        except (sqlite3.Error, HardwareError):
            return HouseKept(Lasting(), HouseFound.LOST)
        if row is None:
            return HouseKept(Lasting(), HouseFound.NEW if self._recovered is None else HouseFound.LOST)
        mode, panic, seal = row
        if seal != _seal(mode, panic) or mode not in (None, *Mode):
            return HouseKept(Lasting(mode=None, panic=panic != 0), HouseFound.DAMAGED)
        return HouseKept(Lasting(None if mode is None else Mode(mode), bool(panic)), HouseFound.KEPT)

    def label(self, at: datetime, visit_id: str, label: Label) -> bool:
        """Keep what the owner says that a visit was; return whether there is such a visit. The last word holds.

        Raises:
            HardwareError: the journal cannot be read; nothing was kept.
        """
        waits = any(row.sql == _ADD_VISIT and row.values["visit"] == visit_id for row in self._waiting)
        if not waits and not self._rows("SELECT 1 FROM visits WHERE visit = ?", visit_id):
            return False
        self._write(at, _Row(_LABEL, {"visit": visit_id, "label": _column(label)}))
        return True

    def note_settings(self, at: datetime, config_hash: str, text: str) -> None:
        """Add the settings to their history unless they are the last ones there."""
        self._write(at, _Row(_NOTE_SETTINGS, {"at": _text(at), "config": config_hash, "text": text}))

    def add_pair(self, at: datetime, row: PairRow, visit_id: str) -> None:
        """Add a visit of a trial; the same visit again replaces its row."""
        values: dict[str, _Column] = {"candidate": row.candidate, "since": row.since, "champion": row.champion}
        self._write(at, _Row(_ADD_PAIR, values | {"visit": visit_id, "at": _text(at), "pair": row.pair}))

    def pairs(self, candidate: str, limit: int) -> tuple[PairRow, ...]:
        """Return the last visits of every trial of a candidate, the oldest first.

        Raises:
            HardwareError: the journal cannot be read.
        """
        sql = """
            SELECT * FROM (
                SELECT t.rowid AS number, t.*, v.owner_label FROM trials t LEFT JOIN visits v ON v.visit = t.visit
                WHERE t.candidate = ? ORDER BY t.rowid DESC LIMIT ?
            ) ORDER BY number
        """
        return tuple(
            PairRow(row["candidate"], row["since"], row["champion"], row["pair"], _label(row["owner_label"]))
            for row in self._rows(sql, candidate, limit)
        )

    def trial_labels(self, candidate: str) -> dict[str, Label]:
        """Return the owner's labels, by visit, of the visits in a candidate's trials.

        Raises:
            HardwareError: the journal cannot be read.
        """
        sql = """
            SELECT v.visit, v.owner_label FROM trials t JOIN visits v ON v.visit = t.visit
            WHERE t.candidate = ? AND v.owner_label IS NOT NULL
        """
        return {row["visit"]: Label(row["owner_label"]) for row in self._rows(sql, candidate)}

    def visits(self, limit: int) -> tuple[VisitRow, ...]:
        """Return the last visits, the newest first.

        Raises:
            HardwareError: the journal cannot be read.
        """
        return tuple(_visit_row(row) for row in self._rows("SELECT * FROM visits ORDER BY rowid DESC LIMIT ?", limit))

    def events(self, limit: int) -> tuple[EventRow, ...]:
        """Return the last events, the newest first.

        Raises:
            HardwareError: the journal cannot be read.
        """
        rows = self._rows("SELECT * FROM events ORDER BY rowid DESC LIMIT ?", limit)
        return tuple(map(_event_row, rows))

    def last_event(self, kinds: tuple[str, ...], about: str) -> EventRow | None:
        """Return the newest event of one of these kinds whose detail begins with ``about`` and a colon.

        Raises:
            HardwareError: the journal cannot be read.
        """
        marks, begins = ", ".join("?" * len(kinds)), f"{about}:"
        sql = f"SELECT * FROM events WHERE kind IN ({marks}) AND substr(detail, 1, ?) = ? ORDER BY rowid DESC LIMIT 1"  # noqa: S608 - of question marks only
        rows = self._rows(sql, *kinds, len(begins), begins)
        return next(map(_event_row, rows), None)

    def close(self) -> None:
        """Try once more to write what waits, and close the file; may be called twice."""
        if self._connection is not None:
            self._flush()
        self._disconnect()

    def _write(self, at: datetime, row: _Row) -> None:
        if self._connection is None:
            self._connect()
        if self._unreported is not None:
            self._wait(_event(at, "journal_recovered", self._unreported, None))
            self._unreported = None
        self._wait(row)
        self._flush()

    def _wait(self, row: _Row) -> None:
        self._waiting.append(row)
        if len(self._waiting) > MAX_WAITING:
            self._waiting.popleft()
            self._lost += 1

    def _flush(self) -> None:
        if self._connection is None:
            return
        try:
            # Who holds the file this long is stuck: it is waited for once, not by every event of a tick.
            self._connection.execute(f"PRAGMA busy_timeout = {0 if self._failure else BUSY_MS}")
            _write_all(self._connection, self._waiting, self._rows_kept)
        except sqlite3.Error as error:
            self._failure = str(error)
            if _is_broken(error):
                self._begin_anew(str(error))
        else:
            self._waiting.clear()
            self._failure = None

    def _connect(self) -> None:
        try:
            self._connection = _opened(self._path)
        except _NotOursError as error:
            self._begin_anew(str(error))
        except sqlite3.Error as error:
            self._failure = str(error)
            if _is_broken(error):
                self._begin_anew(str(error))

    def _disconnect(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _begin_anew(self, why: str) -> None:
        self._disconnect()
        try:
            aside = _move_aside(self._path)
            self._connection = _opened(self._path)
        except (OSError, sqlite3.Error, _NotOursError) as error:
            self._failure = str(error)
            return
        self._recovered = self._unreported = f"{self._path.name}: {why}; moved to {aside.name} and begun anew"

    def _reader(self) -> sqlite3.Connection:
        if self._connection is None:
            raise HardwareError(f"{self._path}: the journal cannot be opened: {self._failure or 'it was closed'}")
        return self._connection

    def _rows(self, sql: str, *values: _Column) -> list[sqlite3.Row]:
        try:
            return self._reader().execute(sql, values).fetchall()
        except sqlite3.Error as error:
            raise HardwareError(f"{self._path}: the journal cannot be read: {error}") from error


def _opened(path: Path) -> sqlite3.Connection:
    """Return a connection to a sound journal of this version.

    Raises:
        _NotOursError: it is somebody else's database, a newer one, or damaged.
        sqlite3.Error: it cannot be opened, or is no database.
    """
    # Autocommit: transactions are begun where they are meant.
    connection = sqlite3.connect(path, timeout=BUSY_MS / 1000, isolation_level=None)
    try:
        connection.row_factory = sqlite3.Row
        version = _version(connection)
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        for number, script in enumerate(_MIGRATIONS[version:], version + 1):
            marks = f"PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = {number};"
            connection.executescript(f"BEGIN IMMEDIATE; {script} {marks} COMMIT;")
    except BaseException:
        connection.close()
        raise
    return connection


def _version(connection: sqlite3.Connection) -> int:
    version, owner, tables = (
        int(connection.execute(sql).fetchone()[0])
        for sql in ("PRAGMA user_version", "PRAGMA application_id", "SELECT count(*) FROM sqlite_master")
    )
    if tables == 0 and version == 0:
        return 0
    if owner != APPLICATION_ID:
        raise _NotOursError("is another program's database")
    if version > len(_MIGRATIONS):
        raise _NotOursError(f"has version {version}, newer than {len(_MIGRATIONS)}")
    # Reads the whole file, which ``ROWS`` bounds: a fraction of a second, once at start.
    report = str(connection.execute("PRAGMA quick_check(1)").fetchone()[0])
    if report != "ok":
        raise _NotOursError(f"is damaged: {' '.join(report.split())}")
    return version


def _write_all(connection: sqlite3.Connection, rows: Collection[_Row], keep: int) -> None:
    connection.execute("BEGIN IMMEDIATE")
    try:
        for row in rows:
            connection.execute(row.sql, row.values)
        for table in sorted({_GROWS[row.sql] for row in rows if row.sql in _GROWS}):
            _forget_oldest(connection, table, min(keep, SETTINGS_ROWS) if table == "settings" else keep)
        connection.execute("COMMIT")
    except sqlite3.Error:
        if connection.in_transaction:  # a full disk may already have rolled it back
            connection.execute("ROLLBACK")
        raise


def _forget_oldest(connection: sqlite3.Connection, table: str, keep: int) -> None:
    """Delete all but the newest rows; nearly always there is one to delete, or none."""
    oldest = f"SELECT max(rowid) - {keep} FROM {table}"  # noqa: S608 - the names are this module's own
    connection.execute(f"DELETE FROM {table} WHERE rowid <= ({oldest})")  # noqa: S608 - as above


def _is_broken(error: sqlite3.Error) -> bool:
    # The primary result code is the low byte of the extended one; errors of the module itself carry none.
    return (getattr(error, "sqlite_errorcode", 0) & 0xFF) in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


def _move_aside(path: Path) -> Path:
    numbers = itertools.count(1)
    aside = next(name for n in numbers if not (name := path.with_name(f"{path.stem}.broken-{n}{path.suffix}")).exists())
    for suffix in ("-wal", "-shm", ""):  # the log belongs to the file; without it nobody can look into it any more
        with suppress(FileNotFoundError):
            path.with_name(path.name + suffix).rename(aside.with_name(aside.name + suffix))
    return aside


def _event(at: datetime, kind: str, detail: str, monotonic_ns: int | None) -> _Row:
    return _Row(_ADD_EVENT, {"at": _text(at), "monotonic_ns": monotonic_ns, "kind": kind, "detail": detail})


def _text(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="microseconds")


def _seal(mode: _Column, panic: int) -> str:
    """Return the checksum of a house row: SQLite checks its pages' structure, not what the values say."""
    return hashlib.sha256(json.dumps([mode, panic]).encode()).hexdigest()


def _column(value: Value) -> _Column:
    # SQLite is told plain text, not a StrEnum.
    return str(value) if isinstance(value, str) else value


def _visit_row(row: sqlite3.Row) -> VisitRow:
    line = {entry.name: row[entry.name] for entry in dataclasses.fields(VisitSummary)}
    line["verdict"] = VerdictKind(row["verdict"])
    line["top_label"] = None if row["top_label"] is None else Label(row["top_label"])
    line["flap_opened"] = bool(row["flap_opened"])
    return VisitRow(
        line=VisitSummary(**line),
        started=datetime.fromisoformat(row["started"]),
        duration_s=row["duration_s"],
        chips=tuple(json.loads(row["chips"])),
        clean_llr=row["clean_llr"],
        prey_llr=row["prey_llr"],
        owner_label=_label(row["owner_label"]),
    )


def _event_row(row: sqlite3.Row) -> EventRow:
    return EventRow(datetime.fromisoformat(row["at"]), row["monotonic_ns"], row["kind"], row["detail"])


def _label(text: str | None) -> Label | None:
    return None if text is None else Label(text)
