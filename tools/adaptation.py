"""A student learns a home and keeps what it knew: the heart of ``tools/adapt.py``. Needs torch.

The teacher goes first: it learns on from the owner's labels, beside pictures of elsewhere. What it then says of the
home's frames, labelled or not, the student is told, beside the labels. So that nothing is forgotten half of all frames
the student is shown are of elsewhere, and of those it is told what it said before (Li and Hoiem, "Learning without
Forgetting", ECCV 2016); it learns slower than it did at first. Its embedding is held where it was on every frame, so
that a cat that it has come to know stays known.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import torch
from dataset import Sample, draw_weights, plain_patches
from figures import UNCALIBRATED, softmax
from learning import Schedule
from plan import COSTS
from student_net import Design, Lesson, Student, Told, Weighting, float_embeddings, float_logits, teach
from teacher import Teacher, Views, judge_plain, tune_teacher

if TYPE_CHECKING:
    from collections.abc import Sequence

    from stages import Progress

    from edge.evaluation import Indices, Reals

HELD = Weighting(soft=0.5, likeness=0.5, identity=0.0)
"""Half is said by label and half by soft label; the embedding's cats are not sorted anew."""

HOME_SHARE = 0.5
"""The part of all frames shown that are of the home, at most."""

MOST_SHOWN = 30
"""How often a frame of the home is shown at most, at the mean: ten, shown a thousand times, are learnt by heart."""


@dataclass(frozen=True, slots=True, eq=False)
class Origin:
    """A student and its teacher before they know the home."""

    student: Student
    teacher: Teacher
    design: Design


@dataclass(frozen=True, slots=True, eq=False)
class Ground:
    """What an adaptation stands on: the home's training frames, ``of_home`` of them, then those that are rehearsed.

    ``before`` is what the student said of each before; ``views`` are of the first of them, the home's and those by
    which the teacher rehearses.
    """

    samples: tuple[Sample, ...]
    of_home: int
    before: Told
    views: Views

    def knowing(self, labelled: frozenset[int]) -> Ground:
        """Return the same where only these frames of the home, by index, have a label."""
        home = self.samples[: self.of_home]
        kept = (one if index in labelled else one.without_label() for index, one in enumerate(home))
        return replace(self, samples=(*kept, *self.samples[self.of_home :]))

    def without(self, held: frozenset[int]) -> Ground:
        """Return the same but for these frames of the home, by index, which are to calibrate what was learnt."""
        kept = np.array([index for index in range(len(self.samples)) if index not in held])
        return Ground(
            tuple(self.samples[index] for index in kept),
            self.of_home - len(held),
            Told(self.before.probabilities[kept], self.before.embeddings[kept]),
            only_views(self.views, kept[kept < self.views.plain]),
        )


@dataclass(frozen=True, slots=True)
class Effort:
    """How many pictures teacher and student are shown."""

    teacher: int
    student: int
    seed: int

    @property
    def cost_s(self) -> float:
        """What that is expected to take."""
        return self.teacher * COSTS.teacher_s + self.student * COSTS.student_s


@dataclass(frozen=True, slots=True, eq=False)
class Adapted:
    """A student and its teacher that know the home."""

    student: Student
    teacher: Teacher


def said_by(student: Student, design: Design, samples: Sequence[Sample]) -> Told:
    """Return what a float student says of samples: probabilities as they leave it, and embeddings."""
    patches = plain_patches(samples, design.recipe)
    probabilities = softmax(float_logits(student, patches), UNCALIBRATED)
    return Told(probabilities.astype(np.float32), float_embeddings(student, patches).astype(np.float32))


def adapted(origin: Origin, ground: Ground, effort: Effort, progress: Progress) -> Adapted:
    """Let copies of teacher and student learn the home; the same by seed and number of threads, but for rounding."""
    teacher = _teacher(origin.teacher, ground, effort, progress)
    told = copy.deepcopy(ground.before)
    told.probabilities[: ground.of_home] = judge_plain(teacher, ground.views, np.arange(ground.of_home))
    shares = drawn_shares(ground.samples, ground.of_home, effort.student)
    start = copy.deepcopy(origin.student)
    lesson = Lesson(ground.samples, told, origin.design, HELD, start, shares)
    # A third of the first training's rate, and of that a tenth, not a fifth, for the blocks that know ImageNet.
    schedule = Schedule(effort.student, batch=32, peak_rate=5e-4, known_share=0.1, decay=0.03, seed=effort.seed)
    return Adapted(teach(lesson, schedule, None, progress.counter(COSTS.student_s)), teacher)


def _teacher(teacher: Teacher, ground: Ground, effort: Effort, progress: Progress) -> Teacher:
    """Let the teacher learn on from labelled frames; where the owner has labelled none it stays as it is."""
    seen = ground.samples[: ground.views.plain]
    known = np.flatnonzero([sample.labelled for sample in seen])
    of_home = int(np.sum(known < ground.of_home))
    if not of_home:
        progress.skip(effort.teacher * COSTS.teacher_s)
        return teacher
    shares = drawn_shares([seen[index] for index in known], of_home, effort.teacher)
    rng = np.random.default_rng(effort.seed)
    chosen = views_of(ground.views, rng.choice(known, effort.teacher, p=shares), rng)
    schedule = Schedule(effort.teacher, batch=32, peak_rate=3e-4, known_share=0.2, decay=0.05, seed=effort.seed)
    return tune_teacher(teacher, (ground.views, chosen), seen, schedule, progress.counter(COSTS.teacher_s))


def drawn_shares(samples: Sequence[Sample], of_home: int, pictures: int) -> Reals:
    """Return the probability with which each sample is drawn: the first are the home's, see ``HOME_SHARE``."""
    share = min(HOME_SHARE, MOST_SHOWN * of_home / pictures) if of_home < len(samples) else 1.0
    home, elsewhere = draw_weights(samples[:of_home]), draw_weights(samples[of_home:])
    return np.concatenate([share * home, (1 - share) * elsewhere])


def views_of(views: Views, samples: Indices, rng: np.random.Generator) -> Indices:
    """Return one of the views there are of each sample, at random."""
    by_sample = np.argsort(views.of, kind="stable")
    counts = np.bincount(views.of, minlength=views.plain)
    first = np.concatenate([[0], counts.cumsum()[:-1]])
    chosen: Indices = by_sample[first[samples] + rng.integers(0, counts[samples])]
    return chosen


def only_views(views: Views, samples: Indices) -> Views:
    """Return the views of some samples, which are then numbered in the order in which they are named."""
    number = np.full(views.plain, -1)
    number[samples] = np.arange(len(samples))
    augmented = views.plain + np.flatnonzero(number[views.of[views.plain :]] >= 0)
    at = np.concatenate([samples, augmented])
    return Views(views.seen[at], number[views.of[at]], len(samples))


def joined_views(first: Views, second: Views) -> Views:
    """Return the views of two lists of samples as of one, the second's after the first's."""
    seen = (
        first.seen[: first.plain],
        second.seen[: second.plain],
        first.seen[first.plain :],
        second.seen[second.plain :],
    )
    later = second.of + first.plain
    of = (first.of[: first.plain], later[: second.plain], first.of[first.plain :], later[second.plain :])
    return Views(np.concatenate(seen), np.concatenate(of), first.plain + second.plain)


def mean_of(old: Student, new: Student, share: float) -> Student:
    """Return the student between two, ``share`` of the way from the old to the new.

    Source: Wortsman et al., "Robust fine-tuning of zero-shot models", CVPR 2022.
    """
    between, before = copy.deepcopy(new), old.state_dict()
    with torch.no_grad():
        for name, value in between.state_dict().items():
            if value.is_floating_point():
                value.lerp_(before[name], 1.0 - share)
    return between
