"""The rule of other flaps: a verdict when n of the last m frames are over a threshold; and the best such rule."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
import numpy.typing as npt

from edge.messages import LABELS, Label

if TYPE_CHECKING:
    from collections.abc import Iterator

    from drawn_visits import Reals

Counts: TypeAlias = npt.NDArray[np.int64]

NEVER = 10**6
"""The frame of a verdict that did not fall."""

_FRAMES = (1, 2, 3, 4, 6, 8, 12, 20, 40)
_WINDOW = (1.0, 1.5, 2.0)  # m over n
_THRESHOLDS = (0.5, 0.6, 0.7, 0.8, 0.9, 0.95)


@dataclass(frozen=True, slots=True)
class FixedRule:
    """Admit once ``n`` of the last ``m`` frames give a clear mouth at least ``threshold``, refuse as prey likewise."""

    n: int
    m: int
    threshold: float

    def first(self, probabilities: Reals) -> Counts:
        """Return how many frames each visit took, ``NEVER`` without an end; probabilities are (visits, frames)."""
        over = np.cumsum(probabilities >= self.threshold, axis=1, dtype=np.int64)
        within = over.copy()
        within[:, self.m :] -= over[:, : -self.m]
        enough = within >= self.n
        return np.where(enough.any(axis=1), enough.argmax(axis=1) + 1, NEVER)

    def judged(self, posteriors: Reals) -> tuple[Counts, Counts]:
        """Return for each visit after how many frames it was admitted and refused; what comes first is the verdict."""
        admitted, refused = (
            self.first(posteriors[..., LABELS.index(label)]) for label in (Label.CAT_CLEAR, Label.CAT_PREY)
        )
        return np.where(admitted < refused, admitted, NEVER), np.where(refused < admitted, refused, NEVER)


@dataclass(frozen=True, slots=True)
class Errors:
    """Shares of visits: with prey that were admitted, and clean ones that were refused."""

    prey_let_in: float
    resident_refused: float


def errors_of(rule: FixedRule, clean: Reals, prey: Reals) -> Errors:
    """Return what a rule gets wrong; posteriors are (visits, frames, labels)."""
    let_in, refused = rule.judged(prey)[0], rule.judged(clean)[1]
    return Errors(float((let_in < NEVER).mean()), float((refused < NEVER).mean()))


def best(clean: Reals, prey: Reals, allowed: Errors) -> FixedRule | None:
    """Return the rule that is soonest done with 95 % of the clean visits among those of no more errors, or None."""
    done = [(_time(rule, clean), rule) for rule in _rules() if _within(errors_of(rule, clean, prey), allowed)]
    return min(done, key=lambda pair: pair[0])[1] if done else None


def _rules() -> Iterator[FixedRule]:
    for n, share, threshold in itertools.product(_FRAMES, _WINDOW, _THRESHOLDS):
        yield FixedRule(n, round(n * share), threshold)


def _within(found: Errors, allowed: Errors) -> bool:
    return found.prey_let_in <= allowed.prey_let_in and found.resident_refused <= allowed.resident_refused


def _time(rule: FixedRule, clean: Reals) -> tuple[float, float]:
    admitted = rule.judged(clean)[0]
    return float(np.percentile(admitted, 95)), float(admitted.mean())
