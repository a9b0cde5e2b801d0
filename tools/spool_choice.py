"""Which frames of a home an owner is asked to label: those of visits that the spool keeps, or of any."""

from __future__ import annotations

from typing import TYPE_CHECKING

from measure import visits_of
from visit_verdicts import any_cat, imagefolder_of, row_of

from edge import assembly
from edge.replay import Replayer
from edge.worth import Thresholds, draw_of, worth

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from dataset import Sample

    from edge.assembly import LoadedModel
    from edge.worth import Worth


def worth_a_label(folder: Path, samples: Sequence[Sample], loaded: LoadedModel) -> dict[str, Worth]:
    """Replay visits of an imagefolder and return those that the spool keeps, and why, by ``home/visit``.

    Of a visit that the loop takes for several the most useful part counts.
    """
    wanted = any_cat()
    bounds = assembly.rules(wanted, loaded.evidence).bounds
    thresholds = Thresholds(bounds.admit, bounds.prey)
    found: dict[str, Worth] = {}
    with imagefolder_of(folder, map(row_of, samples)) as place:
        for name, visit in Replayer(wanted, loaded, other_model=True).visits(place):
            draw = draw_of(visit.visit_id, visit.config_hash)
            kept = worth(visit, thresholds, wanted.spool.random_share, draw)
            if kept is not None and (name not in found or kept.usefulness > found[name].usefulness):
                found[name] = kept
    return found


def in_time(samples: Iterable[Sample]) -> tuple[Sample, ...]:
    """Return samples in the order in which they were taken; of one second by visit and name."""
    return tuple(sorted(samples, key=lambda one: (one.taken, one.visit, one.name)))


def first_frames(samples: Sequence[Sample], visits: Iterable[str], count: int) -> tuple[int, ...]:
    """Return the indices of the first ``count`` frames of visits (``home/visit``), visit after visit as named."""
    of_visit: dict[str, list[int]] = {}
    for index, visit in enumerate(visits_of(samples)):
        of_visit.setdefault(visit, []).append(index)
    return tuple(index for visit in visits for index in of_visit[visit])[:count]
