"""The fit of the calibration. Pure numpy, no training library; what figures there are is in ``edge.evaluation``."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from dataset import allowed_flags

from edge.messages import LABELS
from edge.scoring import Calibration

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dataset import Sample

    from edge.evaluation import Flags, Reals

UNCALIBRATED = Calibration(1.0, (0.0,) * len(LABELS))


def softmax(logits: Reals, calibration: Calibration) -> Reals:
    """Return calibrated probabilities, (count, labels): ``edge.scoring`` for many at once."""
    scaled = logits / calibration.temperature + np.array(calibration.bias)
    powers = np.exp(scaled - scaled.max(axis=1, keepdims=True))
    shares: Reals = powers / powers.sum(axis=1, keepdims=True)
    return shares


@dataclass(frozen=True, slots=True)
class Fitted:
    """A calibration, and how common it takes each class to be: what the sequential test divides out again."""

    calibration: Calibration
    priors: tuple[float, ...]


def calibrate(logits: Reals, samples: Sequence[Sample]) -> Fitted:
    """Fit to held-out samples as if every class were as common, then say how common they are at a flap.

    What a frame says for one class against another stays as it was fitted where every class counts alike, rare ones
    too; only the probabilities that people read, and the class that wins, know that most visitors are cats.
    """
    even, priors = fit_calibration(logits, allowed_flags(samples), even_weights(samples)), flap_priors(samples)
    bias = np.array(even.bias) + np.log(priors)
    return Fitted(Calibration(even.temperature, tuple((bias - bias.mean()).tolist())), tuple(priors.tolist()))


def flap_priors(samples: Sequence[Sample]) -> Reals:
    """Return how common each class is taken to be at a flap, (labels,).

    The square roots of the counts in visits with time stamps, one picture of each class added: what comes to a flap are
    mostly cats, but the shares of one home are not another's. Without such visits every class is as common.
    """
    counts = Counter(sample.label for sample in samples if sample.taken)
    tempered = np.sqrt([counts[label] + 1.0 if counts else 1.0 for label in LABELS])
    priors: Reals = tempered / tempered.sum()
    return priors


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


def even_weights(samples: Sequence[Sample]) -> Reals:
    """Return weights under which every class counts alike, and within a class every home."""
    groups = Counter((sample.label, sample.home) for sample in samples)
    homes_of = Counter(label for label, _ in groups)
    return np.array([1.0 / (groups[sample.label, sample.home] * homes_of[sample.label]) for sample in samples])
