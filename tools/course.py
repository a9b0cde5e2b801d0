"""The course from photographs to a student: what is seen, a teacher, what it says, a student; each kept when done.

With some homes left out the same course shows what a home gets that nobody has seen before. Needs torch.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from dataset import SIM, draw_weights
from strange import STRANGE, strange
from student_net import EMBEDDING, Design, Lesson, Student, Told, Weighting, teach, unsure, untold
from teacher import Teacher, Views, judge, look, train_teacher

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    import numpy.typing as npt
    from dataset import Sample
    from learning import Schedule
    from stages import Progress, Workshop

    from edge.evaluation import Reals


STRANGE_SEED = 1
OWN_TIMES = 3.0
"""A real picture of a night camera is shown this often for one of another kind."""


@dataclass(frozen=True, slots=True)
class Costs:
    """What a picture is expected to cost, to say how long everything takes."""

    view_s: float
    teacher_s: float
    student_s: float


@dataclass(frozen=True, slots=True)
class Lengths:
    """How long a teacher and a student learn."""

    teacher: Schedule
    student: Schedule


@dataclass(frozen=True, slots=True, eq=False)
class Material:
    """What there is to learn from: photographs, of which a teacher is asked, and drawn frames, where truth is known.

    ``strange`` says of how many pictures of nothing a student learns not to be sure.
    """

    photographs: tuple[Sample, ...]
    drawn: tuple[Sample, ...]
    strange: int
    augmented_views: int
    design: Design
    weighting: Weighting


@dataclass(frozen=True, slots=True, eq=False)
class Taught:
    """A teacher and its student, and the homes that neither has seen."""

    without: tuple[str, ...]
    teacher: Teacher
    student: Student


class Course:
    """Does every step once; a finished one is taken from the workshop."""

    def __init__(self, material: Material, costs: Costs, workshop: Workshop, progress: Progress) -> None:
        """Begin, or go on where the workshop's folder says."""
        self.material = material
        self._costs, self._workshop, self.progress = costs, workshop, progress

    @cached_property
    def views(self) -> Views:
        """What the teacher's first blocks see of every photograph."""
        count, cost_s = self.material.augmented_views, self._costs.view_s
        if not self._workshop.done("views.npz"):
            self.progress.say("what the teacher's first blocks see")
            seen = look(self.material.photographs, count, 1, self.progress.counter(cost_s))
            self._workshop.put("views.npz", lambda path: np.savez(path, seen=seen.seen, of=seen.of))
            return seen
        self.progress.skip((len(self.material.photographs) + count) * cost_s)
        kept = np.load(self._workshop.path("views.npz"))
        return Views(kept["seen"], kept["of"], len(self.material.photographs))

    def taught(self, without: tuple[str, ...], lengths: Lengths) -> Taught:
        """Return a teacher and a student of all homes but some."""
        self.progress.say(f"homes left out: {' and '.join(without) or 'none'}")
        teacher = self.teacher(without, lengths.teacher)
        return Taught(without, teacher, self._student(without, lengths.student, teacher))

    def teacher(self, without: tuple[str, ...], schedule: Schedule) -> Teacher:
        """Return a teacher of all homes but some."""

        def train(kept: Path, shown: Callable[[int, float], None]) -> Any:  # noqa: ANN401 - tensors have no type where torch is not installed
            return train_teacher(self.views, self.material.photographs, without, schedule, (kept, shown))

        trained: Teacher = self._kept(
            f"teacher-{_name(without)}", Teacher, train, (schedule.pictures, self._costs.teacher_s)
        )
        return trained

    def _student(self, without: tuple[str, ...], schedule: Schedule, teacher: Teacher) -> Student:
        def train(kept: Path, shown: Callable[[int, float], None]) -> Any:  # noqa: ANN401 - as above
            return teach(self.lesson(teacher, without), schedule, kept, shown)

        cost = (schedule.pictures, self._costs.student_s)
        name = f"{self.material.design}-{_name(without)}"
        trained: Student = self._kept(name, lambda: Student(self.material.design), train, cost)
        return trained

    def _kept(self, name: str, build: Callable[[], Any], train: Callable[..., Any], cost: tuple[int, float]) -> Any:  # noqa: ANN401 - as above
        """Take a trained network from the workshop, or train it on so many pictures, at so many seconds each."""
        file, (pictures, cost_s) = f"{name}.pt", cost
        if self._workshop.done(file):
            self.progress.skip(pictures * cost_s)
            net = build()
            net.load_state_dict(torch.load(self._workshop.path(file), weights_only=True))
            return net.eval()
        self.progress.say(f"  {name}")
        net = train(self._workshop.path(f"{name}.partial"), self.progress.counter(cost_s))
        self._workshop.put(file, lambda path: torch.save(net.state_dict(), path))
        return net

    def lesson(self, teacher: Teacher, without: tuple[str, ...]) -> Lesson:
        """Return what a student learns from, and what its teacher says of it."""
        photographs = self.material.photographs
        told = told_by(teacher, self.views, known_indices(photographs, without))
        cut_from = [photographs[index] for index in known_indices(photographs, without)]
        odd = strange([each for each in cut_from if not each.composed], self.material.strange, STRANGE_SEED)
        samples = (*photographs, *self.material.drawn, *odd)
        said = (told, untold(len(self.material.drawn)), unsure(len(odd)))
        known = known_indices(samples, without)
        chosen = Told(
            np.concatenate([each.probabilities for each in said])[known],
            np.concatenate([each.embeddings for each in said])[known],
        )
        learnt = [samples[index] for index in known]
        return Lesson(learnt, chosen, self.material.design, self.material.weighting, weights=student_weights(learnt))


def _name(without: tuple[str, ...]) -> str:
    return f"without-{'-'.join(without)}" if without else "all"


def known_indices(samples: tuple[Sample, ...], without: tuple[str, ...]) -> npt.NDArray[np.int64]:
    """Return the indices of training samples of all homes but some."""
    return np.flatnonzero([sample.part == "train" and sample.home not in without for sample in samples])


def student_weights(samples: Sequence[Sample]) -> Reals:
    """Return how often a student is shown each sample: what a flap's own night camera saw far above its share.

    A student is small; web photographs teach it what a cat is, and the flap is where it will be asked.
    """
    own = [each.modality == "IR" and each.home not in (SIM, STRANGE) and not each.composed for each in samples]
    weights = draw_weights(samples) * np.where(own, OWN_TIMES, 1.0)
    shares: Reals = weights / weights.sum()
    return shares


def told_by(teacher: Teacher, views: Views, asked: npt.NDArray[np.int64]) -> Told:
    """Return what a teacher says of the samples it is asked about; rows of nan for all others.

    The embeddings are the directions in which the teacher's features of these samples differ most.
    """
    told, said = untold(views.plain), judge(teacher, views, asked)
    told.probabilities[asked] = said.probabilities
    around = said.features - said.features.mean(axis=0)
    _, _, directions = np.linalg.svd(around, full_matrices=False)
    told.embeddings[asked] = around @ directions[:EMBEDDING].T
    return told
