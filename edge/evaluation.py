"""The evaluation layer: what a model is worth, with intervals, and whether a new one is worse. Floor 2.

Pure numpy. Classes are indices into the caller's list of labels; an *item* is a picture or a visit. Frames of one visit
are nearly the same picture: whatever treats its items as independent says so, and wants one item a visit.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
import numpy.typing as npt

from edge.messages import Metric

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence, Sized

Reals: TypeAlias = npt.NDArray[np.float64]
Indices: TypeAlias = npt.NDArray[np.int64]
Flags: TypeAlias = npt.NDArray[np.bool_]

DRAWS = 500
"""Resamples behind a bootstrap interval."""

_Z = 1.959963984540054  # the 97.5 % point of the normal distribution


@dataclass(frozen=True, slots=True, eq=False)
class Risks:
    """How much like prey each item looked, (count,), more is worse, and the visit each item is of.

    At the level of visits every item is a visit of its own.
    """

    scores: Reals
    visits: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class OperatingPoint:
    """What refusing everything *above* ``threshold`` catches, and the share of clean items it refuses."""

    threshold: float
    recall: Metric
    false_refusals: float


@dataclass(frozen=True, slots=True)
class CoverageRisk:
    """The share of items answered, rising to 1, and the share of wrong answers among them.

    Source: El-Yaniv and Wiener, JMLR 2010. One point for each confidence there is: equally sure items come together.
    """

    coverages: tuple[float, ...]
    risks: tuple[float, ...]

    @property
    def area(self) -> float:
        """The mean risk over all coverages, 0..1, less is better (Geifman et al., ICLR 2019)."""
        return float(np.diff(self.coverages, prepend=0.0) @ np.array(self.risks))


@dataclass(frozen=True, slots=True)
class ReliabilityBin:
    """The items whose confidence lies in ``low``..``high``: how sure the model was of them, and how often right."""

    low: float
    high: float
    confidence: float  # mean, 0..1
    right: float  # share, 0..1
    count: int


@dataclass(frozen=True, slots=True)
class PairedTest:
    """How many items a second model put right and wrong that the first had not; ``p`` is two-sided and exact."""

    better: int
    worse: int
    p: float


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two models over the same items: how often they name the same class, and what changed, by the items' names."""

    count: int
    agreement: float  # share, 0..1
    better: tuple[str, ...]
    worse: tuple[str, ...]
    p: float  # of the exact McNemar test


@dataclass(frozen=True, slots=True)
class GroupVerdict:
    """Whether one group lets a new model pass; ``change`` is its accuracy less the old one's, -1..1."""

    group: str
    passed: bool
    change: Metric
    because: str


def wilson(name: str, hits: int, count: int) -> Metric:
    """Return a share of independent items with its Wilson score interval, 95 % (Wilson, JASA 1927)."""
    share, z2 = hits / count, _Z * _Z
    middle = (share + z2 / (2 * count)) / (1 + z2 / count)
    half = _Z / (1 + z2 / count) * math.sqrt(share * (1 - share) / count + z2 / (4 * count * count))
    # At 0 and at all of them the bound is exact, but for the last bit of the arithmetic.
    return Metric(name, share, min(max(0.0, middle - half), share), max(min(1.0, middle + half), share), count)


def bootstrap(name: str, statistic: Callable[[Indices], float], visits: Sequence[str], seed: int = 0) -> Metric:
    """Return a statistic of items with its percentile interval, 95 %, over resampled *visits*.

    Frames of one visit are nearly the same picture; resampling pictures would claim more than they say.
    ``statistic`` takes indices of items and may answer nan for a sample that lacks a class: it is then left out.
    """
    _, of_visit = np.unique(np.array(visits), return_inverse=True)
    members = [np.flatnonzero(of_visit == visit) for visit in range(of_visit.max() + 1)]
    rng = np.random.default_rng(seed)
    draws = [
        statistic(np.concatenate([members[i] for i in rng.integers(0, len(members), len(members))]))
        for _ in range(DRAWS)
    ]
    answered = [draw for draw in draws if not math.isnan(draw)]
    low, high = np.percentile(answered, [2.5, 97.5]) if answered else (math.nan, math.nan)
    return Metric(name, statistic(np.arange(len(visits))), float(low), float(high), len(visits))


def balanced_accuracy(truth: Indices, said: Indices) -> float:
    """Return the mean of the recalls of the classes that are there."""
    return float(np.mean([np.mean(said[truth == label] == label) for label in np.unique(truth)]))


def confusion(truth: Indices, said: Indices, classes: int) -> Indices:
    """Return how many items of each class were called what, (classes, classes): rows are the truth."""
    _matched(truth, said)
    table = np.zeros((classes, classes), np.int64)
    np.add.at(table, (truth, said), 1)
    return table


def recalls(name: str, truth: Indices, said: Indices, labels: Sequence[str]) -> tuple[Metric, ...]:
    """Return ``<name>_<label>_recall`` with its Wilson interval for every class that is there.

    The interval takes the items for independent: give one a visit, or it comes out too narrow.
    """
    table = confusion(truth, said, len(labels))
    rows = zip(labels, np.diagonal(table).tolist(), table.sum(axis=1).tolist(), strict=True)
    return tuple(wilson(f"{name}_{label}_recall", hits, count) for label, hits, count in rows if count)


def auc(positive: Reals, negative: Reals) -> float:
    """Return the probability that a positive scores above a negative, ties counted half; nan without either."""
    if not len(positive) or not len(negative):
        return math.nan
    difference = positive[:, None] - negative[None, :]
    return float(np.mean((difference > 0) + 0.5 * (difference == 0)))


def recall_at(name: str, prey: Risks, clean: Risks, rate: float) -> OperatingPoint:
    """Return the share of prey that is refused where at most ``rate`` (0 ≤ rate < 1) of clean items may be.

    The threshold is found anew in every resample, so the interval holds the doubt about it too.
    """
    _matched(prey.scores, prey.visits)
    _matched(clean.scores, clean.visits)
    risks = np.concatenate([prey.scores, clean.scores])
    is_prey = np.arange(len(risks)) < len(prey.scores)

    def recall(chosen: Indices) -> float:
        caught, free = risks[chosen][is_prey[chosen]], risks[chosen][~is_prey[chosen]]
        return _share_above(caught, _threshold(free, rate)) if len(caught) and len(free) else math.nan

    figure = bootstrap(name, recall, (*prey.visits, *clean.visits))
    threshold = _threshold(clean.scores, rate)
    return OperatingPoint(threshold, replace(figure, count=len(prey.scores)), _share_above(clean.scores, threshold))


def _threshold(clean: Reals, rate: float) -> float:
    """Return the lowest clean score above which no more than ``rate`` of the clean scores lie."""
    if not 0 <= rate < 1:
        raise ValueError(f"a rate of false refusals is at least 0 and below 1, not {rate}")
    # 0.29 * 100 is a hair below 29: without the allowance it would count as 28.
    allowed = min(math.floor(rate * len(clean) + 1e-9), len(clean) - 1)
    return float(np.sort(clean)[-1 - allowed])


def _share_above(scores: Reals, threshold: float) -> float:
    return float(np.mean(scores > threshold))


def coverage_risk(confidence: Reals, right: Flags) -> CoverageRisk:
    """Return the risk at every coverage, the surest items answered first."""
    _matched(confidence, right)
    _, level = np.unique(-confidence, return_inverse=True)
    answered = np.bincount(level).cumsum()
    wrong = np.bincount(level[~right], minlength=len(answered)).cumsum()
    return CoverageRisk(tuple((answered / len(right)).tolist()), tuple((wrong / answered).tolist()))


def reliability(confidence: Reals, right: Flags, bins: int = 15) -> tuple[ReliabilityBin, ...]:
    """Return the reliability diagram over equal bins of confidence (0..1); bins that hold nothing are left out."""
    _matched(confidence, right)
    where = np.minimum((confidence * bins).astype(int), bins - 1)
    counts = np.bincount(where, minlength=bins).tolist()
    sure = np.bincount(where, weights=confidence, minlength=bins).tolist()
    hits = np.bincount(where[right], minlength=bins).tolist()
    return tuple(
        ReliabilityBin(i / bins, (i + 1) / bins, sure[i] / counts[i], hits[i] / counts[i], counts[i])
        for i in range(bins)
        if counts[i]
    )


def calibration_error(probabilities: Reals, right: Flags, bins: int = 15) -> float:
    """Return the expected calibration error of the top class, (count, classes) (Guo et al., ICML 2017)."""
    diagram = reliability(probabilities.max(axis=1), right, bins)
    return math.fsum(abs(group.confidence - group.right) * group.count for group in diagram) / len(right)


def cohens_kappa(one: Indices, other: Indices) -> float:
    """Return how far two raters agree beyond chance, at most 1 (Cohen, 1960); nan where both know one class only."""
    table = confusion(one, other, int(max(one.max(), other.max())) + 1) / len(one)
    by_chance = float(table.sum(axis=1) @ table.sum(axis=0))
    return (float(np.trace(table)) - by_chance) / (1 - by_chance) if by_chance < 1 else math.nan


def rater_agreement(name: str, one: Indices, other: Indices, visits: Sequence[str]) -> Metric:
    """Return Cohen's kappa of two raters over the same items, with its bootstrap interval by visit."""
    _matched(one, other, visits)
    return bootstrap(name, lambda chosen: cohens_kappa(one[chosen], other[chosen]), visits)


def mcnemar(before: Flags, after: Flags) -> PairedTest:
    """Return the exact two-sided McNemar test of two models that were right or wrong on the same independent items.

    Source: McNemar, Psychometrika 1947, with the binomial distribution in place of the approximation.
    """
    _matched(before, after)
    better, worse = int(np.sum(after & ~before)), int(np.sum(before & ~after))
    changed = better + worse
    tail = sum(math.comb(changed, few) for few in range(min(better, worse) + 1))
    return PairedTest(better, worse, min(1.0, 2 * tail / 2**changed))


def compare(items: Sequence[str], truth: Indices, before: Indices, after: Indices) -> Comparison:
    """Return what changes when ``before`` gives way to ``after``, the classes two models named for the same items.

    ``p`` takes the items for independent: give one a visit.
    """
    _matched(items, truth, before, after)
    was, now = before == truth, after == truth
    better, worse = (tuple(items[i] for i in np.flatnonzero(change)) for change in (now & ~was, was & ~now))
    return Comparison(len(items), float(np.mean(before == after)), better, worse, mcnemar(was, now).p)


def regression_gate(
    before: Flags, after: Flags, groups: Sequence[str], visits: Sequence[str]
) -> tuple[GroupVerdict, ...]:
    """Return for each group, by name, whether a new model is worse there than the old one beyond its interval.

    Args:
        before: whether the old model was right, one per item.
        after: whether the new one is, on the same items.
        groups: the home or the class of each item.
        visits: the visit of each item, named so that no two homes share a name.

    A group fails where the whole 95 % interval of the paired difference in accuracy lies below 0. A group of one visit
    has an interval without width: there any loss fails.
    """
    _matched(before, after, groups, visits)
    change = after.astype(np.int64) - before.astype(np.int64)
    where = np.array(groups)
    return tuple(
        _group_verdict(str(group), change[where == group], [visits[i] for i in np.flatnonzero(where == group)])
        for group in np.unique(where)
    )


def _group_verdict(group: str, change: Indices, visits: Sequence[str]) -> GroupVerdict:
    figure = bootstrap(f"{group}_accuracy_change", lambda chosen: float(np.mean(change[chosen])), visits)
    passed = figure.high >= 0
    verdict = "not worse beyond its interval" if passed else "worse beyond its interval"
    points = f"{100 * figure.value:+.1f} points, 95 % {100 * figure.low:+.1f} to {100 * figure.high:+.1f}"
    because = f"{group}: {verdict}: accuracy {points}, on {len(visits)} items of {len(set(visits))} visits"
    return GroupVerdict(group, passed, figure, because)


def _matched(*columns: Sized) -> None:
    """Refuse columns that do not speak of the same items, or of none: numpy would stretch a single one over all."""
    lengths = {len(column) for column in columns}
    if len(lengths) != 1 or 0 in lengths:
        raise ValueError(f"one entry per item is needed, and at least one item; there are {sorted(lengths)}")
