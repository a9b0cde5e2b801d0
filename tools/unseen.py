"""What a recipe is worth where nobody has been: every group of homes left out in turn, and judged. Needs torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from dataset import FOLDS, plain_patches
from figures import calibrate, softmax
from measure import as_coarse, coarse_judgement, coarse_truth, visits_of
from student_net import float_logits
from teacher import judge_plain

from edge.evaluation import bootstrap, calibration_error

if TYPE_CHECKING:
    from course import Course, Lengths, Taught
    from dataset import Sample

    from edge.evaluation import Reals
    from edge.messages import Metric
    from edge.scoring import Calibration


@dataclass(frozen=True, slots=True, eq=False)
class Fold:
    """What a teacher and a student that have not seen these homes make of all their pictures.

    ``logits`` are the float student's; ``calibration`` was fitted in the homes it knows, as a shipped model's is.
    """

    samples: tuple[Sample, ...]
    teacher: Reals
    logits: Reals
    calibration: Calibration


def folds(course: Course, lengths: Lengths) -> tuple[Fold, ...]:
    """Teach without each group of homes and judge it by all of their pictures."""
    there = {sample.home for sample in course.material.photographs}
    groups = [fold for fold in FOLDS if there & set(fold)]
    return tuple(_judged(course, course.taught(group, lengths)) for group in groups) if len(groups) > 1 else ()


def _judged(course: Course, taught: Taught) -> Fold:
    photographs, recipe = course.material.photographs, course.material.design.recipe
    held = np.flatnonzero([sample.home in taught.without and not sample.composed for sample in photographs])
    samples = tuple(photographs[index] for index in held)
    known = [sample for sample in (*photographs, *course.material.drawn) if _calibrates(sample, taught.without)]
    logits = float_logits(taught.student, plain_patches(known, recipe))
    return Fold(
        samples,
        judge_plain(taught.teacher, course.views, held),
        float_logits(taught.student, plain_patches(samples, recipe)),
        calibrate(logits, known).calibration,
    )


def _calibrates(sample: Sample, without: tuple[str, ...]) -> bool:
    return sample.part == "calibration" and sample.home not in without


def unseen_figures(judged: tuple[Fold, ...]) -> list[Metric]:
    """Return the student's and the teacher's figures over all homes together, and the student's of each home."""
    if not judged:
        return []
    samples = [sample for fold in judged for sample in fold.samples]
    scores = as_coarse(np.concatenate([softmax(fold.logits, fold.calibration) for fold in judged]))
    teacher = as_coarse(np.concatenate([fold.teacher for fold in judged]))
    figures = [*coarse_judgement("unseen", samples, scores), _calibration("unseen", samples, scores)]
    figures += coarse_judgement("unseen_teacher", samples, teacher)
    for home in dict.fromkeys(sample.home for sample in samples):
        at = np.flatnonzero([sample.home == home for sample in samples])
        figures += coarse_judgement(f"unseen_{home}", [samples[index] for index in at], scores[at])
    return figures


def _calibration(name: str, samples: list[Sample], shares: Reals) -> Metric:
    right = shares.argmax(axis=1) == coarse_truth(samples)
    return bootstrap(f"{name}_calibration_error", lambda i: calibration_error(shares[i], right[i]), visits_of(samples))
