"""Shadow scoring: a finished visit's own patches, one at a time, by the model on trial. Floor 4.

It scores nothing by itself: whoever knows that nobody is at the flap calls ``step``, and one call is one patch. So a
candidate adds nothing to the time of any decision.
"""

from __future__ import annotations

import math
import statistics
from collections import deque
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Protocol

from edge.errors import HardwareError
from edge.policy import VisitJudge
from edge.trials import Arm, Pair
from edge.visits import replayed

if TYPE_CHECKING:
    from edge.messages import Observation, Patch, Rules, Scores, Verdict, Visit
    from edge.ports import Clock

MAX_WAITING = 8
"""Visits that wait to be scored. A visit holds at most 300 patches of some 10 kB each: 24 MB at the very worst."""


class Scorer(Protocol):
    """A loaded model."""

    def score(self, patch: Patch) -> Scores:
        """Score one patch.

        Raises:
            HardwareError: the runtime failed.
        """


class Looks(Protocol):
    """What tells the residents from strangers by this model's embedding."""

    def likeness(self, scores: Scores) -> tuple[float, ...]:
        """Return a log-likelihood ratio per listed resident."""


@dataclass(frozen=True, slots=True)
class Side:
    """One of the two models, and by what its visits are judged."""

    model_id: str
    model: Scorer
    looks: Looks
    rules: Rules


@dataclass(slots=True)
class _Work:
    """A visit that is being scored."""

    visit: Visit
    places: deque[int]  # of the observations that are still to be scored
    timed: bool = False  # whether the champion was timed
    scores: dict[int, Scores] = field(default_factory=dict)
    champion_ms: float | None = None
    candidate_ms: list[float] = field(default_factory=list)


class Shadow:
    """The visits that wait for the candidate, and the one it is at."""

    def __init__(self, champion: Side, candidate: Side, clock: Clock) -> None:
        """Compare these two, with nothing waiting."""
        self._champion, self._candidate, self._clock = champion, candidate, clock
        self._waiting: deque[_Work] = deque()
        self._dropped = 0
        self._said: tuple[Visit, tuple[Scores, ...]] | None = None

    @property
    def said(self) -> tuple[Visit, tuple[Scores, ...]] | None:
        """The last visit that was compared, and what the candidate said of its frames of evidence, in their order."""
        return self._said

    @property
    def busy(self) -> bool:
        """Whether anything waits."""
        return bool(self._waiting)

    @property
    def dropped(self) -> int:
        """How many visits were not compared because too many waited: the newest, so that a pair is of one visit."""
        return self._dropped

    def take(self, visit: Visit) -> None:
        """Let a finished visit wait. One without evidence says nothing of either model and is not taken."""
        places = deque(i for i, entry in enumerate(visit.observations) if _is_evidence(entry))
        if not places:
            return
        if len(self._waiting) >= MAX_WAITING:
            self._dropped += 1
            return
        self._waiting.append(_Work(visit, places))

    def step(self) -> Pair | None:
        """Score one patch; return the pair when it was the visit's last.

        Raises:
            HardwareError: the candidate's runtime failed, or what it said is no number.
        """
        work = self._waiting[0]
        if self._decided_by_candidate(work.visit):
            self._waiting.popleft()
            return self._told_at_the_door(work.visit)
        if not work.timed:
            work.timed = True
            # The champion's own time under the same load. What it says is known, and its failures the loop names.
            with suppress(HardwareError):
                work.champion_ms = self._timed(self._champion.model, _patch(work, work.places[0]))[1]
            return None
        place = work.places.popleft()
        work.scores[place], took_ms = self._timed(self._candidate.model, _patch(work, place))
        _require_numbers(work.scores[place], self._candidate.model_id)
        work.candidate_ms.append(took_ms)
        if work.places:
            return None
        self._waiting.popleft()
        return self._pair(work)

    def _decided_by_candidate(self, visit: Visit) -> bool:
        return visit.model_id == self._candidate.model_id

    def _timed(self, model: Scorer, patch: Patch) -> tuple[Scores, float]:
        begun_ns = self._clock.monotonic_ns()
        scores = model.score(patch)
        return scores, (self._clock.monotonic_ns() - begun_ns) / 1e6

    def _pair(self, work: _Work) -> Pair:
        visit, scores = work.visit, work.scores
        self._said = visit, tuple(scores[place] for place in sorted(scores))
        observations = tuple(
            self._seen_by(self._candidate, entry, scores.get(i)) for i, entry in enumerate(visit.observations)
        )
        verdict = replayed(observations, visit.chips, VisitJudge(self._candidate.rules))
        return Pair(
            visit=visit.visit_id,
            champion=visit.verdict.kind,
            candidate=verdict.kind,
            arm=Arm.CHAMPION,
            champion_mean=_mean([entry.scores for entry in visit.observations]),
            candidate_mean=_mean(list(scores.values())),
            champion_ms=work.champion_ms,
            candidate_ms=statistics.median(work.candidate_ms),
        )

    def _told_at_the_door(self, visit: Visit) -> Pair:
        """Return the pair of a visit that the candidate decided, with the champion watching: both scored it then."""
        self._said = visit, tuple(entry.scores for entry in visit.observations if entry.scores is not None)
        champion = tuple(self._seen_by(self._champion, entry, entry.second) for entry in visit.observations)
        verdict: Verdict = replayed(champion, visit.chips, VisitJudge(self._champion.rules))
        return Pair(
            visit=visit.visit_id,
            champion=verdict.kind,
            candidate=visit.verdict.kind,
            arm=Arm.CHALLENGER,
            champion_mean=_mean([entry.second for entry in visit.observations]),
            candidate_mean=_mean([entry.scores for entry in visit.observations]),
            champion_ms=None,
            candidate_ms=None,
        )

    def _seen_by(self, side: Side, observation: Observation, scores: Scores | None) -> Observation:
        likeness = () if scores is None else side.looks.likeness(scores)
        return replace(observation, scores=scores, likeness=likeness, second=None)


def _is_evidence(observation: Observation) -> bool:
    return observation.patch is not None and observation.scores is not None


def _patch(work: _Work, place: int) -> Patch:
    patch = work.visit.observations[place].patch
    if patch is None:  # only places of evidence are kept
        raise HardwareError(f"visit {work.visit.visit_id}: observation {place} has no patch")
    return patch


def _require_numbers(scores: Scores, model_id: str) -> None:
    if not all(math.isfinite(value) for value in (*scores.probabilities, *scores.embedding)):
        raise HardwareError(f"{model_id}: said what is no number")


def _mean(scores: list[Scores | None] | list[Scores]) -> tuple[float, ...]:
    rows = [entry.probabilities for entry in scores if entry is not None]
    return tuple(math.fsum(column) / len(rows) for column in zip(*rows, strict=True))
