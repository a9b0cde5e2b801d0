"""Figures with their intervals, and the fit of the calibration. Pure numpy, no training library."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from edge.bundle import Metric
from edge.scoring import Calibration

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

Reals = npt.NDArray[np.float64]
Indices = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]

_Z = 1.959963984540054  # the 97.5 % point of the normal distribution


def wilson(name: str, hits: int, count: int) -> Metric:
    """Return a share with its Wilson score interval, 95 % (Wilson, JASA 1927)."""
    share, z2 = hits / count, _Z * _Z
    middle = (share + z2 / (2 * count)) / (1 + z2 / count)
    half = _Z / (1 + z2 / count) * math.sqrt(share * (1 - share) / count + z2 / (4 * count * count))
    # At 0 and at all of them the bound is exact, but for the last bit of the arithmetic.
    return Metric(name, share, min(max(0.0, middle - half), share), max(min(1.0, middle + half), share), count)


def bootstrap(name: str, statistic: Callable[[Indices], float], visits: Sequence[str], seed: int = 0) -> Metric:
    """Return a statistic of pictures with its percentile interval, 95 %, over resampled *visits*.

    Frames of one visit are nearly the same picture; resampling pictures would claim more than they say.
    ``statistic`` takes indices of pictures and may answer nan for a sample that lacks a class: it is then left out.
    """
    _, of_visit = np.unique(np.array(visits), return_inverse=True)
    members = [np.flatnonzero(of_visit == visit) for visit in range(of_visit.max() + 1)]
    rng = np.random.default_rng(seed)
    draws = [
        statistic(np.concatenate([members[i] for i in rng.integers(0, len(members), len(members))])) for _ in range(500)
    ]
    low, high = np.nanpercentile(draws, [2.5, 97.5])
    return Metric(name, statistic(np.arange(len(visits))), float(low), float(high), len(visits))


def balanced_accuracy(truth: Indices, said: Indices) -> float:
    """Return the mean of the recalls of the classes that are there."""
    return float(np.mean([np.mean(said[truth == label] == label) for label in np.unique(truth)]))


def auc(positive: Reals, negative: Reals) -> float:
    """Return the probability that a positive scores above a negative, ties counted half; nan without either."""
    if not len(positive) or not len(negative):
        return math.nan
    difference = positive[:, None] - negative[None, :]
    return float(np.mean((difference > 0) + 0.5 * (difference == 0)))


def calibration_error(probabilities: Reals, right: Flags, bins: int = 15) -> float:
    """Return the expected calibration error of the top class over equal bins (Guo et al., ICML 2017)."""
    sure = probabilities.max(axis=1)
    where = np.minimum((sure * bins).astype(int), bins - 1)
    gaps = [abs(np.sum(sure[where == i]) - np.sum(right[where == i])) for i in range(bins)]
    return float(np.sum(gaps) / len(sure))


def softmax(logits: Reals, calibration: Calibration) -> Reals:
    """Return calibrated probabilities, (count, labels): ``edge.scoring`` for many at once."""
    scaled = logits / calibration.temperature + np.array(calibration.bias)
    powers = np.exp(scaled - scaled.max(axis=1, keepdims=True))
    shares: Reals = powers / powers.sum(axis=1, keepdims=True)
    return shares


def fit_calibration(logits: Reals, allowed: Flags, weights: Reals, steps: int = 3000) -> Calibration:
    """Fit temperature and bias by weighted likelihood; ``allowed`` are the classes each label leaves open.

    Convex in (1/temperature, bias) where labels are whole; the bias is held near 0 by a small penalty, without which a
    class that is never wrong would run away.
    """
    inverse, bias, share = 1.0, np.zeros(logits.shape[1]), weights / weights.sum()
    for _ in range(steps):
        predicted = softmax(logits, Calibration(1 / inverse, tuple(bias)))
        target = predicted * allowed
        target /= target.sum(axis=1, keepdims=True)
        slope = (predicted - target) * share[:, None]
        inverse = max(inverse - 0.02 * float(np.sum(slope * logits)), 0.05)
        bias -= 0.5 * (slope.sum(axis=0) + 0.01 * bias)
    return Calibration(float(1 / inverse), tuple(float(value) for value in bias - bias.mean()))
