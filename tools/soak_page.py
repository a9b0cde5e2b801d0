"""The soak's figures as a part of docs/reliability.md."""

from __future__ import annotations

import platform
import sqlite3
from contextlib import closing, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING

from soak_figures import MIB, WAL_BYTES, Row, broken, rows
from soak_nights import CONFIG, LONG_EVERY, LONG_S, SHORT_S, VISITORS

from edge.journal import ROWS

if TYPE_CHECKING:
    from soak_life import Sample

PACKAGES = ("catflap", "numpy", "opencv-python-headless", "ai-edge-litert")

VISITS_A_DAY = 30


@dataclass(frozen=True, slots=True)
class LifeEnd:
    """How a life ended: ``finished`` its nights, ``cut``, or ``stopped`` because this piece of the soak was over."""

    life: int
    end: str
    took_s: float


@dataclass(frozen=True, slots=True)
class JournalSize:
    """How many visits the journal holds and how many bytes its pages in use."""

    visits: int
    used_bytes: int

    @property
    def a_visit_bytes(self) -> float:
        """The bytes of a visit with the events and pairs that belong to it."""
        return self.used_bytes / max(self.visits, 1)


def journal_size(path: Path) -> JournalSize:
    """Measure a journal that nobody writes just now.

    Raises:
        sqlite3.Error: it cannot be read.
    """
    with closing(sqlite3.connect(path)) as journal:
        visits, pages, free, page_bytes = (
            int(journal.execute(sql).fetchone()[0])
            for sql in (
                "SELECT count(*) FROM visits",
                "PRAGMA page_count",
                "PRAGMA freelist_count",
                "PRAGMA page_size",
            )
        )
    return JournalSize(visits, (pages - free) * page_bytes)


def page(told: list[Sample], lives: list[LifeEnd], journal: JournalSize) -> str:
    """Return the part of the page."""
    table = rows(told)
    faults = broken(table)
    return "\n".join(
        [
            f"{datetime.now(UTC):%d %b %Y}, {_machine()}, Linux {platform.release()}, {_versions()}.",
            "",
            _played(told, lives),
            "",
            "| | most | bound | growth a night | 95 % interval | from | nights |",
            "|---|--:|--:|--:|---|---|--:|",
            *(_row(row) for row in table),
            "",
            f"**Passed: {'; '.join(faults)}.**" if faults else "No bound was passed.",
            "",
            _about(told, journal),
        ]
    )


def _played(told: list[Sample], lives: list[LifeEnd]) -> str:
    cut, stopped = (sum(life.end == end for life in lives) for end in ("cut", "stopped"))
    return (
        f"**{len(told)} nights**, {sum(one.simulated_s > 2 * SHORT_S for one in told)} of them whole ones, in"
        f" {len(lives)} lives of the process ({cut} killed in the middle of a night, {stopped} told to stop by SIGTERM,"
        f" the others at the end of their last night) over one journal, one spool and one set of slots:"
        f" {sum(one.simulated_s for one in told) / 3600:.0f} simulated hours, {sum(one.ticks for one in told):,} ticks,"
        f" {sum(one.visits for one in told):,} visits,"
        f" {sum(one.cpu_s for one in told) / 60:.0f} minutes of processor time."
    )


def _row(row: Row) -> str:
    slope = row.slope
    grows = ("", "too few nights", "0")
    if slope is not None:
        interval = f"{_figure(row, slope.low)} to {_figure(row, slope.high)}" if slope.drawn_from > 1 else "of one life"
        grows = (_figure(row, slope.per_night), interval, str(slope.nights))
    bound = "" if row.bound is None else _amount(row, row.bound)
    name = row.name.removesuffix("_bytes").replace("_", " ").replace("rss", "resident memory")
    return f"| {name} | {_amount(row, row.most)} | {bound} | {grows[0]} | {grows[1]} | {row.since} | {grows[2]} |"


def _amount(row: Row, value: int) -> str:
    return f"{value / MIB:.2f} MiB" if row.name.endswith("_bytes") else str(value)


def _figure(row: Row, value: float) -> str:
    return f"{value / 1024:+.2f} KiB" if row.name.endswith("_bytes") else f"{value:+.3f}"


_ABOUT = """\
- A night is {short_min:.0f} minutes at ten frames a second, every one of them drawn, looked at and beaten to the
  service manager, with {fewest} to {most} visitors; one in {every} is a whole one of {long_h:.0f} hours with twice as
  many. The days, and in the short nights most hours in which nobody comes, are left out: the tick of an empty hour is
  a tick like any other.
- Drawn for every night from a seed: residents with and without a mouse, strangers, animals, people; lamp, camera, chip
  reader, bolt, reed switch, clock and disk failing; rain, wind, insects; the owner and rude clients at the control
  socket; every eighth night a model that is put into the slots as the updater puts it, half of them spoilt. Their
  trials have lower thresholds than a flap's, so that they end within a few nights.
- The wall clock is set to the next evening for each life. A life that is cut dies by SIGKILL between two ticks: what
  becomes of files when the power goes is another part of this page.
- Growth is the median of the slopes of all pairs of nights (Theil-Sen): of the same life for what belongs to the
  process, of the second half of all nights for what lies on the disk. The interval is a bootstrap's, over lives, or
  over blocks of neighbouring nights.
- The spool is held to {spool_mb:.0f} MB and the journal to {kept:,} rows of each kind, so that both are full most of
  the time.
- The journal holds {visits:,} visits, and what belongs to them, in {used_kib:,.0f} KiB: {each:,.0f} bytes a visit; the
  rest of its bytes is SQLite's log, which grows to {wal_mib:.0f} MiB and stays so. A flap keeps {rows:,} rows of each
  kind: about {full_mib:.0f} MiB, reached after {years:.1f} years of {a_day} visits a day; without that bound it were
  {year_mib:.0f} MiB more every year.
- The log is {log_kib:.1f} KiB a night; what the service manager keeps of it is bounded there."""


def _about(told: list[Sample], journal: JournalSize) -> str:
    each = journal.a_visit_bytes
    return _ABOUT.format(
        short_min=SHORT_S / 60,
        fewest=VISITORS[0],
        most=VISITORS[1],
        every=LONG_EVERY,
        long_h=LONG_S / 3600,
        spool_mb=CONFIG["spool"]["max_bytes"] / 1e6,
        kept=CONFIG["state"]["journal_rows"],
        visits=journal.visits,
        used_kib=journal.used_bytes / 1024,
        each=each,
        wal_mib=WAL_BYTES / MIB,
        rows=ROWS,
        full_mib=ROWS * each / MIB,
        years=ROWS / VISITS_A_DAY / 365,
        a_day=VISITS_A_DAY,
        year_mib=VISITS_A_DAY * 365 * each / MIB,
        log_kib=sum(one.log_bytes for one in told) / len(told) / 1024,
    )


def _machine() -> str:
    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    model = next((line.split(":")[1].strip() for line in lines if "model name" in line), platform.processor())
    return f"{model} ({platform.machine()})"


def _versions() -> str:
    told = [f"Python {platform.python_version()}", f"SQLite {sqlite3.sqlite_version}"]
    for name in PACKAGES:
        with suppress(PackageNotFoundError):
            told.append(f"{name} {version(name)}")
    return ", ".join(told)
