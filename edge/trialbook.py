"""What a trial leaves behind: its visits in the journal, a report as a file, and the secret that draws visits. Floor 4.

The journal is where a trial goes on from after a restart; the report is for people, and stays when the bundle is gone.
"""

from __future__ import annotations

import dataclasses
import re
import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from edge import codec
from edge.errors import HardwareError, InputError
from edge.files import replace
from edge.journal import PairRow
from edge.trials import MAX_PAIRS, Figures, Pair, Tally, figures

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

    from edge.files import Files
    from edge.journal import Journal
    from edge.messages import Label

MAX_REPORTS = 20
"""Reports that are kept, the newest: years of pushes."""

TRIALS = "trials"
"""Where they lie in the state directory."""

SECRET = "secret"  # noqa: S105 - the name of a file
SECRET_BYTES = 32


@dataclass(frozen=True, slots=True)
class TrialName:
    """One trial: of whom, since it was installed, against whom."""

    candidate: str
    since: str
    champion: str


@dataclass(frozen=True, slots=True)
class TrialReport:
    """How a trial ended: ``ended`` is UTC, ``step`` what became of the candidate, ``why`` the reason in one line."""

    candidate: str
    since: str
    champion: str
    ended: str
    step: str
    why: str
    figures: Figures
    pairs: tuple[Pair, ...]


class TrialBook:
    """The trials of one flap; files in ``<state>/trials``."""

    def __init__(self, journal: Journal, files: Files, directory: Path) -> None:
        """Take an open journal; the directory is made when something is written."""
        self._journal, self._files, self._directory = journal, files, directory

    def add(self, at: datetime, name: TrialName, pair: Pair) -> None:
        """Keep a visit; what the disk does not take waits, as all rows of the journal do."""
        row = PairRow(name.candidate, name.since, name.champion, codec.to_json(pair).decode(), None)
        self._journal.add_pair(at, row, pair.visit)

    def tally(self, name: TrialName) -> Tally:
        """Return what a trial has shown so far; a journal that cannot be read remembers nothing.

        A visit that cannot be read is left out: then the trial takes one visit longer.
        """
        return _tally(row for row in self._rows(name.candidate) if _name(row) == name)

    def labels(self, name: TrialName) -> dict[str, Label]:
        """Return the owner's labels of a trial's visits, as they are by now."""
        try:
            return self._journal.trial_labels(name.candidate)
        except HardwareError:
            return {}

    def last(self, candidate: str) -> tuple[TrialName, Tally] | None:
        """Return the last trial of a candidate, or None where it has none."""
        rows = self._rows(candidate)
        if not rows:
            return None
        name = _name(rows[-1])
        return name, _tally(row for row in rows if _name(row) == name)

    def report(self, at: datetime, name: TrialName, tally: Tally, step: str, why: str) -> Path:
        """Write how a trial ended; of more than ``MAX_REPORTS`` the oldest go.

        Raises:
            OSError: the disk.
        """
        told = TrialReport(
            name.candidate, name.since, name.champion, at.isoformat(), step, why, figures(tally), tally.pairs
        )
        self._files.make_directory(self._directory)
        path = self._directory / f"{at:%Y%m%dT%H%M%S}-{step}-{re.sub(r'[^A-Za-z0-9.]+', '_', name.candidate)}.json"
        replace(self._files, path, codec.to_json(told))
        for old in self._reports()[:-MAX_REPORTS]:
            self._files.remove_file(old)
        return path

    def secret(self) -> bytes:
        """Return this flap's own secret; it is made the first time.

        Raises:
            OSError: the disk.
        """
        path = self._directory / SECRET
        try:
            kept = self._files.read(path)
        except FileNotFoundError:
            kept = b""
        if len(kept) == SECRET_BYTES:
            return kept
        made = secrets.token_bytes(SECRET_BYTES)
        self._files.make_directory(self._directory)
        replace(self._files, path, made)
        return made

    def _reports(self) -> Sequence[Path]:
        return [self._directory / name for name in self._files.names(self._directory) if name.endswith(".json")]

    def _rows(self, candidate: str) -> tuple[PairRow, ...]:
        try:
            return self._journal.pairs(candidate, MAX_PAIRS)
        except HardwareError:
            return ()


def _name(row: PairRow) -> TrialName:
    return TrialName(row.candidate, row.since, row.champion)


def _tally(rows: Iterable[PairRow]) -> Tally:
    pairs = (_pair(row) for row in rows)
    return Tally(tuple(pair for pair in pairs if pair is not None))


def _pair(row: PairRow) -> Pair | None:
    try:
        pair = codec.from_json(Pair, row.pair.encode(), Path("journal: trials"))
    except InputError:
        return None
    return dataclasses.replace(pair, label=row.owner_label)
