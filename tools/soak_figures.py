"""What the soak's samples come to: the most that was seen beside its bound, and slopes with their intervals."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
import numpy.typing as npt
from soak_nights import CONFIG

from edge import bundle

if TYPE_CHECKING:
    from collections.abc import Sequence

    from soak_life import Sample

Reals: TypeAlias = npt.NDArray[np.float64]

MIB = 1 << 20
RESAMPLES = 200
BLOCK = 10
"""Nights that are drawn together: what a full disk or a trial does to one night shows in its neighbours."""

STARTS = (3, 20)
"""A process is looked at from this night of its life on: first with, then without what it still learns and loads."""

YEAR = 365
ENOUGH_LIVES = 5
"""Of fewer lives a slope is told, and nothing concluded from it."""

WAL_BYTES = 1000 * 4120 + 32
"""SQLite's log before it is written back: 1000 pages with their headers (sqlite.org/wal.html); it stays that large."""

ROW_BYTES = 4096
"""No row of the journal is larger: details and reasons are single lines."""

_FACTORY_BYTES = sum(path.stat().st_size for path in bundle.factory_directory().iterdir())
_ROWS = int(CONFIG["state"]["journal_rows"])

BOUNDS: dict[str, int] = {
    "rss_bytes": 192 * MIB,  # three eighths of a Zero 2 W, both models of a trial in memory
    "open_files": 32,  # the eight clients of the socket, the journal's three, the log, and what Python and Linux open
    "threads": 4,  # the loop, and what OpenCV and the runtime start at their first call
    "journal_bytes": 3 * _ROWS * ROW_BYTES + WAL_BYTES,  # visits, events and pairs of trials
    "spool_bytes": int(CONFIG["spool"]["max_bytes"]) + MIB,  # and one record that is being written
    "models_bytes": 3 * _FACTORY_BYTES + MIB,  # two slots and one that is being filled
    "other_bytes": MIB,  # twenty reports of trials, a socket, a lock
}
"""What none of these may pass, with the soak's own small spool and journal."""

WITHIN_LIFE = ("rss_bytes", "open_files", "threads")
ON_DISK = ("journal_bytes", "spool_bytes", "models_bytes", "other_bytes", "names")


@dataclass(frozen=True, slots=True)
class Slope:
    """Growth per night: Theil-Sen's median of the slopes of all pairs, and the bootstrap's 95 % interval.

    ``drawn_from`` is the number of things the bootstrap draws from; of one of them there is no interval.
    """

    per_night: float
    low: float
    high: float
    nights: int
    drawn_from: int


@dataclass(frozen=True, slots=True)
class Row:
    """One quantity: the most that was seen, its bound (None: none of its own), its slope (None: too few nights)."""

    name: str
    since: str
    most: int
    bound: int | None
    slope: Slope | None

    @property
    def broken(self) -> bool:
        """Whether the bound was passed."""
        return self.bound is not None and self.most > self.bound


def rows(samples: Sequence[Sample]) -> tuple[Row, ...]:
    """Return every quantity; of a process from two nights of its life on, of the disk over the second half."""
    told = [
        Row(
            name, f"night {start + 1} of a life", _most(samples, name), BOUNDS[name], within_lives(samples, name, start)
        )
        for name in WITHIN_LIFE
        for start in STARTS
    ]
    half = samples[len(samples) // 2 :]
    since = f"night {half[0].night + 1}" if half else "-"
    told += [
        Row(name, since, _most(samples, name), BOUNDS.get(name), over_nights([getattr(one, name) for one in half]))
        for name in ON_DISK
    ]
    return tuple(told)


def broken(told: Sequence[Row]) -> tuple[str, ...]:
    """Return a line for each bound that was passed, or that memory will surely pass within a year of one life."""
    lines = [f"{row.name}: {row.most} is over {row.bound}" for row in told if row.broken]
    memory = [row for row in told if row.name == "rss_bytes"][-1]  # from where nothing is learnt any more
    slope, bound = memory.slope, memory.bound
    if slope is not None and bound is not None and slope.drawn_from >= ENOUGH_LIVES:
        grown = memory.most + YEAR * slope.low
        lines += [f"{memory.name}: {grown:.0f} after a year in one life"] if grown > bound else []
    return tuple(dict.fromkeys(lines))


def within_lives(samples: Sequence[Sample], name: str, start: int) -> Slope | None:
    """Return the slope of a quantity within a life, over all lives; None where none is two nights long after ``start``.

    Two nights of different lives say nothing of growth and are never compared. The bootstrap draws whole lives.
    """
    series: dict[int, list[tuple[int, float]]] = {}
    for one in samples:
        if one.place >= start:
            series.setdefault(one.life, []).append((one.place, float(getattr(one, name))))
    pairs = [_pairs(np.array(points, np.float64)) for points in series.values() if len(points) > 1]
    if not pairs:
        return None
    rng = np.random.default_rng(0)
    drawn = [
        float(np.median(np.concatenate([pairs[i] for i in rng.integers(0, len(pairs), len(pairs))])))
        for _ in range(RESAMPLES)
    ]
    low, high = np.quantile(drawn, (0.025, 0.975))
    nights = sum(len(points) for points in series.values() if len(points) > 1)
    return Slope(float(np.median(np.concatenate(pairs))), float(low), float(high), nights, len(pairs))


def over_nights(values: Sequence[float]) -> Slope | None:
    """Return the slope of a series of nights; the bootstrap draws blocks of neighbours. None for fewer than two."""
    if len(values) < 2:
        return None
    points = np.column_stack((np.arange(len(values), dtype=np.float64), np.asarray(values, np.float64)))
    block = max(1, min(BLOCK, len(values) // 5))
    rng = np.random.default_rng(0)
    drawn = []
    for _ in range(RESAMPLES):
        begins = rng.integers(0, len(values) - block + 1, -(-len(values) // block))
        slopes = _pairs(points[(begins[:, None] + np.arange(block)).ravel()])
        drawn += [float(np.median(slopes))] if len(slopes) else []
    low, high = np.quantile(drawn, (0.025, 0.975))
    return Slope(float(np.median(_pairs(points))), float(low), float(high), len(values), len(values) // block)


def _pairs(points: Reals) -> Reals:
    """Return the slopes of all pairs of points (n, 2) that are not at the same place."""
    one, other = np.triu_indices(len(points), 1)
    run = points[other, 0] - points[one, 0]
    apart = run != 0
    slopes: Reals = (points[other, 1] - points[one, 1])[apart] / run[apart]
    return slopes


def _most(samples: Sequence[Sample], name: str) -> int:
    return max(int(getattr(one, name)) for one in samples)
