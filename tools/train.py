"""Make a student from photographs: compose prey, teach a teacher, distil, quantise, calibrate, measure.

    make model      or      python tools/train.py --data ../shared/data --out build/student

Writes a bundle, and beside it the float student and the teacher, for ``tools/adapt.py``. What was interrupted goes on
with --resume. Nothing is ever overwritten: a bundle that was handed out stays as it is.
One seed gives one student, but for rounding: figures repeat within a point on one machine and number of threads.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

import cv2  # noqa: E402 - the repository's own packages come from ROOT
import measure  # noqa: E402
import numpy as np  # noqa: E402
import preflight  # noqa: E402
import torch  # noqa: E402
from course import Course  # noqa: E402
from dataset import DataSetError, joined, read_photographs, simulated  # noqa: E402
from keep import put_in_place, refuse_taken, training_folder  # noqa: E402
from memory import start_again_holding_on  # noqa: E402
from plan import COSTS, FULL, SHORT, Budget, Plan, with_composed  # noqa: E402
from product import Making, product_of  # noqa: E402
from stages import Progress, Workshop  # noqa: E402
from student_net import SHIPPED  # noqa: E402
from teacher import Teacher, judge_plain  # noqa: E402
from unseen import folds  # noqa: E402

if TYPE_CHECKING:
    from edge.messages import Metric

NAME = "catflap-student"


@dataclass(frozen=True, slots=True)
class Options:
    """What the command line says."""

    data: list[Path]
    out: Path
    work: Path
    resume: bool
    version: str
    seed: int
    threads: int
    short: bool
    device_python: Path

    @property
    def budget(self) -> Budget:
        """How much is shown."""
        return SHORT if self.short else FULL

    @property
    def command(self) -> str:
        """What to say to make the same again."""
        return f"tools/train.py --version {self.version} --seed {self.seed}"


def parse(arguments: list[str]) -> Options:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, action="append", help="an imagefolder; may be repeated")
    parser.add_argument("--out", type=Path, required=True, help="the bundle's directory, which must be new")
    parser.add_argument("--work", type=Path, help="where unfinished work is kept (default: beside --out)")
    parser.add_argument("--resume", action="store_true", help="go on with what was interrupted")
    parser.add_argument("--version", default="0.3.0", help="of the bundle")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--threads", type=int, default=2, help="cores to use")
    parser.add_argument(
        "--short", action="store_true", help="every step on a handful of pictures, to see that it works"
    )
    parser.add_argument("--device-python", type=Path, default=ROOT / ".venv/bin/python", help="with both runtimes")
    said = parser.parse_args(arguments)
    said.work = said.work or said.out.with_name(f"{said.out.name}.work")
    return Options(**vars(said))


def main(arguments: list[str]) -> int:
    """Run; 0 done, 2 refused."""
    options = parse(arguments)
    torch.set_num_threads(options.threads)
    cv2.setNumThreads(1)
    try:
        refuse_taken([options.out], options.device_python)
        _make(options)
    except DataSetError as error:
        print(f"train: {error}", file=sys.stderr)
        return 2
    return 0


def _make(options: Options) -> None:
    budget = options.budget
    real = joined(*(read_photographs(folder) for folder in options.data))
    plan = Plan(real, simulated(budget.sim, options.seed), budget, options.seed)
    preflight.check(real, (*real.samples, *plan.drawn))
    workshop = Workshop(options.work, plan.settings, resume=options.resume)
    progress = Progress(budget.expected_s(len(real.samples)))
    progress.say(f"{len(real.samples)} photographs, {len(plan.drawn)} drawn frames")
    photographs = with_composed(plan, options.data[0], workshop)
    course = Course(plan.material(photographs), COSTS, workshop, progress)
    whole = course.taught((), plan.lengths)
    left_out = folds(course, plan.fold_lengths)
    progress.say("quantising, calibrating, measuring")
    making = Making(
        name=NAME,
        version=options.version,
        command=options.command,
        student=whole.student,
        recipe=SHIPPED.recipe,
        samples=(*photographs.samples, *plan.drawn),
        photographs=photographs,
        teacher_figures=_teacher_figures(course, whole.teacher),
        folds=left_out,
        seed=options.seed,
    )
    with tempfile.TemporaryDirectory() as folder:
        product = product_of(making, options.device_python, Path(folder))
        put_in_place(product, (whole.student, whole.teacher), SHIPPED, options.out)
    for metric in product.metrics:
        progress.say(f"{metric.name:40} {metric.value:.3f} ({metric.low:.3f} to {metric.high:.3f}) n={metric.count}")
    progress.say(f"{options.out} and {training_folder(options.out)}: written; {options.work} may be removed")


def _teacher_figures(course: Course, teacher: Teacher) -> list[Metric]:
    """Return what the teacher makes of the visits that neither it nor the student learnt from."""
    photographs = course.material.photographs
    figures: list[Metric] = []
    for home in dict.fromkeys(sample.home for sample in photographs if sample.part == "test"):
        at = np.flatnonzero([sample.part == "test" and sample.home == home for sample in photographs])
        chosen, told = [photographs[index] for index in at], judge_plain(teacher, course.views, at)
        name = f"teacher_{home}_later"
        figures += [*measure.coarse_figures(name, chosen, told), *measure.fine_figures(name, chosen, told)]
    return figures


if __name__ == "__main__":
    start_again_holding_on()
    sys.exit(main(sys.argv[1:]))
