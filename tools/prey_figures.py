"""How well prey is told from cats without: by rank, and where only so many clean ones may be refused."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from dataset import COARSE
from frame_scores import doubted
from visit_verdicts import Truth

from edge.evaluation import Risks, auc, bootstrap, recall_at
from edge.messages import LABELS, Label

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from frame_scores import Frames
    from visit_verdicts import JudgedVisit

    from edge.evaluation import Indices, Reals
    from edge.messages import Metric

RATES = (0.005, 0.01, 0.02, 0.05)
"""Shares of clean pictures or visits that may be refused for prey."""


@dataclass(frozen=True, slots=True, eq=False)
class PreyRisks:
    """How much like prey each cat with prey looked, and each cat without."""

    prey: Risks
    clean: Risks

    @property
    def both(self) -> bool:
        """Whether there is prey and something to tell it from."""
        return bool(self.prey.visits and self.clean.visits)

    def figures(self, place: str) -> Iterator[Metric]:
        """Yield the ranking and the recalls; nothing where one kind is missing. Each counts the prey there is."""
        if not self.both:
            return
        visits = len(set(self.prey.visits))
        yield doubted(replace(self._ranking(f"{place}/prey_auc"), count=len(self.prey.scores)), visits)
        for rate in RATES:
            yield doubted(recall_at(f"{place}/prey_recall/{rate:g}", self.prey, self.clean, rate).recall, visits)

    def _ranking(self, name: str) -> Metric:
        scores = np.concatenate([self.prey.scores, self.clean.scores])
        is_prey = np.arange(len(scores)) < len(self.prey.scores)

        def ranking(chosen: Indices) -> float:
            mine = is_prey[chosen]
            return auc(scores[chosen][mine], scores[chosen][~mine])

        return bootstrap(name, ranking, (*self.prey.visits, *self.clean.visits))

    def caught(self) -> tuple[Reals, Reals]:
        """Return the shares of clean and of prey above each threshold there is, both rising from 0 to 1."""
        thresholds = np.unique(np.concatenate([self.prey.scores, self.clean.scores]))[::-1]
        shares = (
            np.concatenate([[0.0], 1 - np.searchsorted(np.sort(scores), thresholds) / len(scores)])
            for scores in (self.clean.scores, self.prey.scores)
        )
        refused, caught = shares
        return refused, caught


def risks_of_frames(frames: Frames) -> PreyRisks:
    """Return the pictures' risks: the probability of prey."""
    column = LABELS.index(Label.CAT_PREY)
    prey, clean = (frames.only(frames.coarse == COARSE.index(kind)) for kind in ("cat_prey", "cat"))
    return PreyRisks(*(Risks(mine.probabilities[:, column], mine.visits) for mine in (prey, clean)))


def risks_of_visits(visits: Sequence[JudgedVisit]) -> PreyRisks:
    """Return the visits' risks: the evidence for prey that the policy had when its verdict fell."""
    prey = [visit for visit in visits if visit.truth is Truth.PREY]
    clean = [visit for visit in visits if visit.truth in (Truth.CLEAR, Truth.SEEN_LESS)]
    return PreyRisks(_risks(prey), _risks(clean))


def _risks(visits: Sequence[JudgedVisit]) -> Risks:
    return Risks(np.array([visit.prey_llr for visit in visits], np.float64), tuple(visit.name for visit in visits))
