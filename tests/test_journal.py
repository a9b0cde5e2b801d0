"""The journal: one row per visit, and a disk that refuses is waited for, never raised to the loop."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from visits_made import scores, visit_of

from edge.canonical import summary
from edge.config import LockConfig
from edge.errors import HardwareError
from edge.house import Lasting
from edge.journal import (
    _SCHEMA_1,
    _SCHEMA_2,
    APPLICATION_ID,
    BUSY_MS,
    MAX_WAITING,
    EventRow,
    HouseFound,
    HouseKept,
    Journal,
    PairRow,
    VisitRow,
    _seal,
)
from edge.messages import BootMoment, ChipRead, Label, Mode, VerdictKind

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

NS = 1_000_000_000
NOW = datetime(2026, 3, 1, 4, 5, 6, tzinfo=UTC)
UP = BootMoment("a", 1000 * NS)
LOCK = LockConfig(heat_budget_s=40.0, duty=0.2)
VISIT = replace(
    visit_of(scores(Label.CAT_CLEAR, 0.9)), chips=(ChipRead("276098106543210", 5),), owner_label=Label.CAT_CLEAR
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Return where the journal goes."""
    return tmp_path / "journal.sqlite"


@pytest.fixture
def journal(path: Path) -> Iterator[Journal]:
    """Return a new journal."""
    opened = Journal.open(path)
    yield opened
    opened.close()


def pragma(journal: Journal, text: str) -> int | str | None:
    """Ask or tell the journal's own connection."""
    assert journal._connection is not None
    row = journal._connection.execute(f"PRAGMA {text}").fetchone()
    return None if row is None else row[0]


def kinds(journal: Journal) -> list[str]:
    """Return the kinds of the events, oldest first."""
    return [event.kind for event in reversed(journal.events(10_000))]


def test_a_visit_is_one_row_with_the_canonical_line(journal: Journal) -> None:
    """A visit's row holds exactly the canonical fields and what only the journal has."""
    journal.add_visit(VISIT, "random", "stored")
    expected = VisitRow(
        line=summary(VISIT, "random", "stored"),
        started=VISIT.started,
        duration_s=VISIT.duration_s,
        chips=("276098106543210",),
        clean_llr=0.0,
        prey_llr=0.0,
        owner_label=Label.CAT_CLEAR,
    )
    assert (expected,) == journal.visits(5)


def test_a_visit_without_evidence_is_a_row_too(journal: Journal) -> None:
    """What a blind visit lacks is empty in its row."""
    blind = visit_of(None, kind=VerdictKind.BLIND)
    journal.add_visit(blind, None, "not_chosen")
    (row,) = journal.visits(1)
    assert (summary(blind, None, "not_chosen"), None) == (row.line, row.owner_label)


def test_a_visit_written_twice_is_one_row(journal: Journal) -> None:
    """The same visit again replaces its row, so that a write may be repeated."""
    journal.add_visit(VISIT, None, "not_chosen")
    journal.add_visit(VISIT, "random", "stored")
    assert ["stored"] == [row.line.spool for row in journal.visits(5)]


def test_the_newest_visits_come_first(journal: Journal) -> None:
    """Asked for a number of visits, the journal gives the ones written last, the last of all first."""
    for name in ("a", "b", "c"):
        journal.add_visit(replace(VISIT, visit_id=name), None, "not_chosen")
    assert ["c", "b"] == [row.line.visit for row in journal.visits(2)]


def test_what_was_written_outlives_the_process(path: Path) -> None:
    """Rows are durable when the call returns: WAL, and a full sync for every commit."""
    first = Journal.open(path)
    assert ("wal", 2) == (pragma(first, "journal_mode"), pragma(first, "synchronous"))
    first.add_event(NOW, "started", "by hand", 17)
    second = Journal.open(path)  # the first is still open, as after a crash
    assert (EventRow(NOW, 17, "started", "by hand"),) == second.events(5)
    assert second.recovered is None
    first.close()
    second.close()


def test_only_the_newest_rows_are_kept(path: Path) -> None:
    """Of more rows than it may keep the oldest go, table by table; the heat and the house's state are no such rows."""
    with closing(Journal.open(path, rows=3)) as journal:
        journal.save_heat(NOW, 7.0, UP)
        for number in range(5):
            journal.add_visit(replace(VISIT, visit_id=f"v{number}"), None, "not_chosen")
            journal.add_pair(NOW, PairRow("new", NOW.isoformat(), "old", "{}", None), f"v{number}")
            if number < 2:
                journal.add_event(NOW, "started", str(number))
        assert ["v4", "v3", "v2"] == [row.line.visit for row in journal.visits(9)]
        assert (3, 2) == (len(journal.pairs("new", 9)), len(journal.events(9)))
        assert 7.0 == journal.load_heat(UP, LOCK)


def test_a_full_journal_stays_as_large_as_it_is(path: Path) -> None:
    """Once it keeps all the rows it may, the file grows no more: what went makes room for what comes."""
    sizes = []
    with closing(Journal.open(path, rows=50)) as journal:
        for number in range(600):
            journal.add_event(NOW, "camera_lost", f"{number:0200}")
            if number % 100 == 99:
                sizes.append(pragma(journal, "page_count"))
    assert [sizes[0]] * 6 == sizes


def test_settings_are_noted_when_they_change(journal: Journal) -> None:
    """The history of the settings gets a row only when the hash differs from the last one."""
    for number, name in enumerate(("aa", "aa", "bb", "aa")):
        journal.note_settings(NOW + timedelta(hours=number), name, "{}")
    rows = journal._rows("SELECT config FROM settings ORDER BY rowid LIMIT ?", 9)
    assert ["aa", "bb", "aa"] == [row["config"] for row in rows]


@pytest.mark.parametrize(
    ("later", "left_s"),
    [
        (UP, 30.0),
        (BootMoment("a", 1040 * NS), 20.0),  # a quarter of a second per second, at a duty of 0.2
        (BootMoment("a", 90_000 * NS), 0.0),
        (BootMoment("b", 0), 30.0),
        (BootMoment("b", 40 * NS), 20.0),
        (BootMoment("", 90_000 * NS), 30.0),
    ],
)
def test_heat_cools_by_the_time_that_surely_passed(path: Path, later: BootMoment, left_s: float) -> None:
    """Saved heat has cooled for as long as the boot says, after another boot for its uptime; only the last counts."""
    with closing(Journal.open(path)) as before:
        before.save_heat(NOW, 12.0, UP)
        before.save_heat(NOW, 30.0, UP)
    with closing(Journal.open(path)) as after:
        assert left_s == pytest.approx(after.load_heat(later, LOCK))


@pytest.mark.parametrize("at", [NOW - timedelta(days=9999), NOW, NOW + timedelta(days=9999)])
def test_heat_does_not_cool_by_the_wall_clock(journal: Journal, at: datetime) -> None:
    """The wall time of the row is for people: whatever it says, the heat is the same."""
    journal.save_heat(at, 30.0, UP)
    assert 20.0 == pytest.approx(journal.load_heat(BootMoment("a", 1040 * NS), LOCK))


@pytest.mark.parametrize("scripts", [(_SCHEMA_1,), (_SCHEMA_1, _SCHEMA_2)])
def test_heat_from_before_boots_were_kept_does_not_age(path: Path, scripts: tuple[str, ...]) -> None:
    """A row that says no boot keeps its heat, however long this machine has been up, until the next row."""
    with closing(sqlite3.connect(path)) as old:
        old.executescript(
            f"{''.join(scripts)} PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = {len(scripts)};"
        )
        old.execute("INSERT INTO coil VALUES (1, 30.0, ?)", ((NOW - timedelta(days=9999)).isoformat(),))
        old.commit()
    with closing(Journal.open(path)) as journal:
        found = journal.load_heat(BootMoment("b", 90_000 * NS), LOCK)
        journal.save_heat(NOW, 12.0, UP)
        assert (30.0, 12.0, None) == (found, journal.load_heat(UP, LOCK), journal.recovered)


def test_a_damaged_row_is_a_hot_coil(journal: Journal) -> None:
    """Heat that cannot be read back counts as full."""
    journal.save_heat(NOW, 3.0, UP)
    assert journal._connection is not None
    journal._connection.execute("UPDATE coil SET boot_id = CAST(X'ff' AS TEXT)")
    assert LOCK.heat_budget_s == journal.load_heat(UP, LOCK)


def test_a_new_journal_knows_of_no_heat(journal: Journal) -> None:
    """Before anything was saved the coil is cold."""
    assert 0.0 == journal.load_heat(UP, LOCK)


def test_a_full_disk_makes_rows_wait(journal: Journal) -> None:
    """Rows that a full disk refuses wait, in order, and go with the first write that succeeds."""
    pragma(journal, f"max_page_count = {pragma(journal, 'page_count')}")
    big = "x" * 5000
    for name in ("a", "b", "c"):
        journal.add_event(NOW, name, big)
    assert (3, "database or disk is full") == (journal.waiting, journal.failure)
    pragma(journal, "max_page_count = 100000")
    journal.add_event(NOW, "d", "small")
    assert (0, 0, None) == (journal.waiting, journal.lost, journal.failure)
    assert ["a", "b", "c", "d"] == kinds(journal)


def test_a_read_only_disk_makes_rows_wait(journal: Journal) -> None:
    """Rows that a read-only database refuses wait, of the heat only the last."""
    pragma(journal, "query_only = ON")
    journal.add_visit(VISIT, None, "not_chosen")
    for heat_s in (1.0, 2.0, 3.0):
        journal.save_heat(NOW, heat_s, UP)
    assert 2 == journal.waiting
    pragma(journal, "query_only = OFF")
    journal.note_settings(NOW, "aa", "{}")
    assert (0, 3.0, 1) == (journal.waiting, journal.load_heat(UP, LOCK), len(journal.visits(5)))


def test_a_label_waits_behind_its_visit(journal: Journal) -> None:
    """The owner's word on a visit that the disk has not taken yet goes with it; of no visit there is none to keep."""
    pragma(journal, "query_only = ON")
    journal.add_visit(replace(VISIT, owner_label=None), None, "not_chosen")
    known = [journal.label(NOW, name, Label.CAT_PREY) for name in (VISIT.visit_id, "20200101T000000-0001")]
    pragma(journal, "query_only = OFF")
    journal.add_event(NOW, "kind", "detail")
    assert ([True, False], Label.CAT_PREY) == (known, journal.visits(1)[0].owner_label)


def test_another_writer_makes_rows_wait(journal: Journal, path: Path) -> None:
    """A row is not waited for longer than a moment when another process holds the journal."""
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    journal.add_event(NOW, "a", "")
    assert (1, "database is locked") == (journal.waiting, journal.failure)
    other.execute("ROLLBACK")
    other.close()
    journal.close()
    with closing(Journal.open(path)) as reopened:
        assert ["a"] == kinds(reopened)


def test_a_writer_that_is_stuck_is_waited_for_once(journal: Journal, path: Path) -> None:
    """Of all the rows that come while another process holds the journal only the first waits; then it is as before."""
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    waits_ms = []
    for kind in "abc":
        journal.add_event(NOW, kind, "")
        waits_ms.append(journal._reader().execute("PRAGMA busy_timeout").fetchone()[0])
    other.execute("ROLLBACK")
    other.close()
    for kind in "de":
        journal.add_event(NOW, kind, "")
    waits_ms.append(journal._reader().execute("PRAGMA busy_timeout").fetchone()[0])
    assert ([BUSY_MS, 0, 0, BUSY_MS], 0) == (waits_ms, journal.waiting)


def test_what_waits_is_bounded(journal: Journal) -> None:
    """Of more rows than may wait the oldest are given up and counted."""
    pragma(journal, "query_only = ON")
    for number in range(MAX_WAITING + 7):
        journal.add_event(NOW, str(number), "")
    assert (MAX_WAITING, 7) == (journal.waiting, journal.lost)
    pragma(journal, "query_only = OFF")
    journal.close()


def test_a_place_that_is_not_there_yet_is_asked_again(tmp_path: Path) -> None:
    """A journal that cannot be opened keeps rows in memory until its place can be written."""
    (tmp_path / "not").write_bytes(b"")  # a file where the directory is to be
    journal = Journal.open(tmp_path / "not" / "yet.sqlite")
    journal.add_event(NOW, "a", "")
    assert (1, "unable to open database file") == (journal.waiting, journal.failure)
    with pytest.raises(HardwareError, match="unable to open"):
        journal.events(1)
    assert LOCK.heat_budget_s == journal.load_heat(UP, LOCK)
    (tmp_path / "not").unlink()
    (tmp_path / "not").mkdir()
    journal.add_event(NOW, "b", "")
    assert (["a", "b"], None) == (kinds(journal), journal.recovered)
    journal.close()


def somebody_elses(path: Path) -> None:
    """Put another program's database where the journal goes."""
    other = sqlite3.connect(path)
    other.execute("CREATE TABLE recipes (name TEXT)")
    other.close()


def newer(path: Path) -> None:
    """Put a journal of a later version there."""
    Journal.open(path).close()
    other = sqlite3.connect(path)
    other.execute("PRAGMA user_version = 9")
    other.close()


def damaged(path: Path) -> None:
    """Put a journal there of which a page in the middle is overwritten."""
    whole = Journal.open(path)
    for number in range(20):
        whole.add_event(NOW, str(number), "x" * 1000)
    whole.close()
    with path.open("r+b") as file:
        file.seek(path.stat().st_size // 2)
        file.write(b"\xaa" * 8192)


def cut_off(path: Path) -> None:
    """Put the first half of a journal there."""
    damaged(path)
    with path.open("r+b") as file:
        file.truncate(path.stat().st_size // 8192 * 4096)


def no_database(path: Path) -> None:
    """Put a text there."""
    path.write_text("Dear diary, today the cat brought a mouse. " * 100)


@pytest.mark.parametrize("spoil", [somebody_elses, newer, damaged, cut_off, no_database])
def test_what_is_no_sound_journal_is_moved_aside(spoil: Callable[[Path], None], path: Path) -> None:
    """A foreign or damaged file is kept under another name, a new journal begun, and both are said in an event."""
    spoil(path)
    content = path.read_bytes()
    journal = Journal.open(path)
    assert journal.recovered is not None
    assert "journal.broken-1.sqlite" in journal.recovered
    journal.add_visit(VISIT, None, "not_chosen")
    assert (EventRow(VISIT.started, None, "journal_recovered", journal.recovered),) == journal.events(5)
    assert 1 == len(journal.visits(5))
    assert LOCK.heat_budget_s == journal.load_heat(UP, LOCK)
    assert content == path.with_name("journal.broken-1.sqlite").read_bytes()
    journal.close()


def test_a_second_broken_journal_does_not_replace_the_first(path: Path) -> None:
    """Each journal that is moved aside gets a name of its own."""
    for _ in range(2):
        no_database(path)
        Journal.open(path).close()
    assert ["journal.broken-1.sqlite", "journal.broken-2.sqlite", "journal.sqlite"] == sorted(
        entry.name for entry in path.parent.iterdir()
    )


def test_a_journal_that_breaks_while_it_is_open_is_replaced(path: Path) -> None:
    """A database found malformed at a write is moved aside, and the row goes into the new one."""
    damaged(path)
    path.rename(path.with_name("spoilt"))
    journal = Journal.open(path)
    journal.close()
    journal = Journal.open(path)
    with path.open("r+b") as file:
        file.seek(4096)
        file.write(b"\xaa" * (path.stat().st_size - 4096))
    pragma(journal, "shrink_memory")  # forget the pages that were read
    journal.add_event(NOW, "a", "")
    journal.add_event(NOW, "b", "")
    assert journal.recovered is not None
    assert ["a", "journal_recovered", "b"] == kinds(journal)
    journal.close()


LOCKED = Lasting(Mode.LOCKED, panic=True)


@pytest.mark.parametrize("mode", [None, *Mode])
@pytest.mark.parametrize("panic", [False, True])
def test_the_house_comes_back_as_it_was(path: Path, mode: Mode | None, panic: bool) -> None:
    """Mode and panic lock outlive the process; of several only the last."""
    with closing(Journal.open(path)) as first:
        first.save_house(NOW, LOCKED)
        first.save_house(NOW, Lasting(mode, panic))
    with closing(Journal.open(path)) as second:
        assert HouseKept(Lasting(mode, panic), HouseFound.KEPT) == second.load_house()


def test_a_new_journal_knows_of_no_command(journal: Journal) -> None:
    """Before anything was saved the configuration's own mode holds."""
    assert HouseKept(Lasting(), HouseFound.NEW) == journal.load_house()


@pytest.mark.parametrize(
    ("damage", "panic"),
    [
        ("mode = 'in_and_out'", True),
        ("mode = 'ajar'", True),
        ("mode = NULL", True),
        ("mode = CAST(X'ff' AS TEXT)", None),
        ("panic = 0", False),
        ("panic = 7", True),
        ("sha256 = ''", True),
    ],
)
def test_a_damaged_house_is_never_all_cats_in(journal: Journal, damage: str, panic: bool | None) -> None:
    """A row that is not what was written loses its mode, keeps a panic lock that can be read, and says so."""
    journal.save_house(NOW, LOCKED)
    assert journal._connection is not None
    journal._connection.execute(f"UPDATE house SET {damage}")  # noqa: S608 - the test's own words
    expected = (
        HouseKept(Lasting(), HouseFound.LOST)
        if panic is None
        else HouseKept(Lasting(mode=None, panic=panic), HouseFound.DAMAGED)
    )
    assert expected == journal.load_house()


def test_another_versions_mode_is_not_guessed(journal: Journal) -> None:
    """A mode that a newer version wrote, checksum and all, is no mode of this one."""
    journal.save_house(NOW, LOCKED)
    assert journal._connection is not None
    journal._connection.execute("UPDATE house SET mode = 'guests', sha256 = ?", (_seal("guests", 1),))
    assert HouseKept(Lasting(mode=None, panic=True), HouseFound.DAMAGED) == journal.load_house()


def test_a_house_in_a_journal_begun_anew_is_lost_and_says_so(path: Path) -> None:
    """Where the file had to be replaced, what was saved is not taken for never saved."""
    path.write_bytes(b"not a database at all" * 100)
    with closing(Journal.open(path)) as journal:
        assert HouseKept(Lasting(), HouseFound.LOST) == journal.load_house()


def test_a_house_that_cannot_be_read_is_lost(journal: Journal) -> None:
    """A journal that cannot be opened is no journal in which nothing was saved."""
    journal.close()
    assert HouseKept(Lasting(), HouseFound.LOST) == journal.load_house()


def test_of_the_house_only_the_last_waits(journal: Journal) -> None:
    """While the disk refuses, the newest command replaces the one that waits, and goes with the next write."""
    pragma(journal, "query_only = ON")
    for panic in (False, True, False, True):
        journal.save_house(NOW, Lasting(None, panic))
    assert 1 == journal.waiting
    pragma(journal, "query_only = OFF")
    journal.add_event(NOW, "a", "")
    assert HouseKept(Lasting(None, panic=True), HouseFound.KEPT) == journal.load_house()


def test_a_journal_of_the_first_version_gets_its_house(path: Path) -> None:
    """A file from before there were house rules keeps its rows and takes the house's."""
    with closing(sqlite3.connect(path)) as old:
        old.executescript(f"{_SCHEMA_1} PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = 1;")
        old.execute("INSERT INTO events VALUES (?, 17, 'started', '')", (NOW.isoformat(),))
        old.commit()
    with closing(Journal.open(path)) as journal:
        journal.save_house(NOW, LOCKED)
        assert (["started"], LOCKED) == (kinds(journal), journal.load_house().lasting)


def test_a_missing_directory_is_made(tmp_path: Path) -> None:
    """A first start on an empty machine finds a new house and a cold coil, not ones that were lost."""
    with closing(Journal.open(tmp_path / "state" / "deeper" / "journal.sqlite")) as journal:
        assert (HouseFound.NEW, 0.0) == (journal.load_house().found, journal.load_heat(UP, LOCK))
