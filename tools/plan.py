"""How much everything is made of, and what a finished run was made of, for tools that go on from it. Needs torch."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

import compose_prey
from course import Costs, Course, Lengths, Material
from dataset import FOLDS, DataSetError, Photographs, Sample, joined, read_photographs, simulated
from learning import Schedule
from stages import SETTINGS, Progress, Workshop
from student_net import DISTILLED, SHIPPED

if TYPE_CHECKING:
    from pathlib import Path

COSTS = Costs(view_s=1 / 55, teacher_s=1 / 70, student_s=1 / 140)  # on two cores, to say how long everything takes


FREE = Costs(0.0, 0.0, 0.0)
"""Of work that is taken as it was left."""


@dataclass(frozen=True, slots=True)
class Budget:
    """How many pictures everything is made of. ``fold_*`` count for each group of homes that is left out."""

    composed: int
    sim: int
    strange: int
    views: int
    teacher: int
    fold_teacher: int
    student: int
    fold_student: int

    def expected_s(self, photographs: int) -> float:
        """Return what all of it is expected to take."""
        views = photographs + self.composed + self.views
        teachers = self.teacher + len(FOLDS) * self.fold_teacher
        students = self.student + len(FOLDS) * self.fold_student
        return views * COSTS.view_s + teachers * COSTS.teacher_s + students * COSTS.student_s


FULL = Budget(
    composed=400,
    sim=6000,
    strange=600,
    views=12_000,
    teacher=16_000,
    fold_teacher=6000,
    student=60_000,
    fold_student=9000,
)
SHORT = Budget(composed=40, sim=240, strange=8, views=64, teacher=64, fold_teacher=64, student=64, fold_student=64)
"""Shows that every step works, and makes a student that knows nothing."""


@dataclass(frozen=True, slots=True, eq=False)
class Plan:
    """What a run is made of; ``settings`` tell it from every other."""

    real: Photographs
    drawn: tuple[Sample, ...]
    budget: Budget
    seed: int

    @property
    def settings(self) -> dict[str, object]:
        """Everything that a stage's result depends on."""
        return {"data": self.real.sha256, "seed": self.seed, "budget": asdict(self.budget)}

    @property
    def lengths(self) -> Lengths:
        """How long the teacher and the student learn that ship."""
        return lengths(self.budget.teacher, self.budget.student, self.seed)

    @property
    def fold_lengths(self) -> Lengths:
        """How long those learn that never see some homes."""
        return lengths(self.budget.fold_teacher, self.budget.fold_student, self.seed)

    def material(self, photographs: Photographs) -> Material:
        """Return what there is to learn from."""
        return Material(photographs.samples, self.drawn, self.budget.strange, self.budget.views, SHIPPED, DISTILLED)


def lengths(teacher: int, student: int, seed: int) -> Lengths:
    """Return schedules by pictures shown."""
    return Lengths(
        teacher=Schedule(teacher, batch=32, peak_rate=1e-3, known_share=0.2, decay=0.05, seed=seed),
        student=Schedule(student, batch=32, peak_rate=2e-3, known_share=0.6, decay=0.03, seed=seed),
    )


def with_composed(plan: Plan, folder: Path, workshop: Workshop) -> Photographs:
    """Add composed prey where the photographs hold cats whose mouths can be found."""
    if not compose_prey.training_cats(folder):
        return plan.real

    def compose(path: Path) -> None:
        compose_prey.compose_all(folder, path, plan.budget.composed, plan.seed)

    if not workshop.done("composed"):
        workshop.put("composed", compose)
    return joined(plan.real, read_photographs(workshop.path("composed")))


def opened(folder: Path, work: Path, progress: Progress) -> tuple[Plan, Course]:
    """Open the work of a run of ``tools/train.py`` on one folder of photographs.

    Raises:
        DataSetError: there is no such work, or it was made of other pictures.
    """
    try:
        settings = json.loads((work / SETTINGS).read_text(encoding="utf-8"))
    except OSError as error:
        raise DataSetError(f"{work}: holds no work of tools/train.py ({error.strerror}); make model first") from error
    budget, seed = Budget(**settings["budget"]), settings["seed"]
    plan = Plan(joined(read_photographs(folder)), simulated(budget.sim, seed), budget, seed)
    workshop = Workshop(work, plan.settings, resume=True)
    return plan, Course(plan.material(with_composed(plan, folder, workshop)), FREE, workshop, progress)
