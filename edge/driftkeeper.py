"""Who watches for drift: one watch over the model that decides, one over the model on trial. Floor 3.

An alarm is told, stands until a window is as it should be, and moves nothing: what becomes of a model for it, the
keeper of the models says. The windows are not kept over a restart, which costs at most one of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from edge.drift import DriftWatch, What

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edge.drift import Drifted, Reference
    from edge.messages import Scores, Visit
    from edge.ports import Record


@dataclass(frozen=True, slots=True)
class _Watched:
    """A model that is watched."""

    model_id: str
    watch: DriftWatch


class DriftKeeper:
    """Hears of every visit that has ended, and of what the model on trial said of it."""

    def __init__(self, record: Record) -> None:
        """Start with nobody to watch."""
        self._record = record
        self._champion: _Watched | None = None
        self._candidate: _Watched | None = None
        self._alarm: str | None = None

    @property
    def alarm(self) -> str | None:
        """What the last whole window of the champion's visits found; None where all was as it should be."""
        return self._alarm

    def seen(self, visit: Visit, model_id: str, reference: Reference | None) -> str | None:
        """Take a visit that the champion, so called, decided; return what has drifted, where that is found now."""
        if self._champion is None or self._champion.model_id != model_id:
            self._champion, self._alarm = _begun(model_id, reference), None
        told = [entry.scores for entry in visit.observations if entry.patch is not None and entry.scores is not None]
        found = _add(self._champion, visit, told)
        if found is None:
            return None
        before, self._alarm = self._alarm, "; ".join(map(str, found)) or None
        if self._alarm is not None:
            self._record.event("drift_alarm", f"{model_id}: {self._alarm}")
        elif before is not None:
            self._record.event("drift_over", f"{model_id}: pictures and scores are what it was made for")
        return self._alarm

    def tried(self, visit: Visit, model_id: str, reference: Reference | None, scores: Sequence[Scores]) -> str | None:
        """Take what the model on trial said of a visit; return how its scores, and only they, have drifted.

        The pictures are the champion's too. Where the champion is unsure of them itself nobody else is blamed.
        """
        if self._candidate is None or self._candidate.model_id != model_id:
            self._candidate = _begun(model_id, reference)
        found = _add(self._candidate, visit, scores) or ()
        why = next((str(entry) for entry in found if entry.what is What.SURENESS), None)
        if why is None or (self._alarm is not None and What.SURENESS in self._alarm):
            return None
        self._record.event("drift_alarm", f"{model_id}: {why}")
        return why

    def forget_tried(self) -> None:
        """Take that nothing is on trial any more."""
        self._candidate = None


def _begun(model_id: str, reference: Reference | None) -> _Watched | None:
    return None if reference is None else _Watched(model_id, DriftWatch(reference))


def _add(watched: _Watched | None, visit: Visit, scores: Sequence[Scores]) -> tuple[Drifted, ...] | None:
    if watched is None:
        return None
    shown = [entry.patch.pixels for entry in visit.observations if entry.patch is not None and entry.scores is not None]
    return watched.watch.add(shown, scores) if len(shown) == len(scores) else None
