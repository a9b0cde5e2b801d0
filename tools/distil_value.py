"""What distillation buys: the same student with and without a teacher, shown as many pictures, with several seeds.

    make distil-value      or      python tools/distil_value.py --data ../shared/data --work build/student.work

Takes what the teacher sees and says from a run of ``tools/train.py``. Writes docs/distillation.md.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from string import Template
from typing import TYPE_CHECKING

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

import numpy as np  # noqa: E402 - the repository's own packages come from ROOT
import torch  # noqa: E402
from dataset import DataSetError, plain_patches  # noqa: E402
from figures import calibrate, softmax  # noqa: E402
from measure import balanced_over_homes, coarse_figures, fine_figures  # noqa: E402
from memory import start_again_holding_on  # noqa: E402
from plan import COSTS, opened  # noqa: E402
from stages import Progress  # noqa: E402
from student_net import DISTILLED, HARD_ONLY, SHIPPED, Lesson, Weighting, float_logits, teach  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Callable

    from dataset import Sample
    from learning import Schedule

KINDS = (("hard labels alone", HARD_ONLY), ("distilled", DISTILLED))
COLUMNS = (
    "tunnel_later_six_class_accuracy",
    "tunnel_later_balanced_accuracy",
    "tunnel_later_prey_auc",
    "tunnel_later_calibration_error",
    "calibration_visits_balanced_over_homes",
)
_PAGE = Template("""\
# What distillation buys

$date, by `make distil-value`: the shipped design, $pictures pictures shown to each student, the same samples, rates and
augmentation; only the teacher's soft labels and embeddings come or do not come. Float networks, calibrated on the
calibration visits. Mean over the seeds $seeds, in brackets the lowest and the highest.

| figure | $kinds | gain, mean of the pairs | pairs in which it gained |
|---|$rule
$rows

The last figure counts every home alike and is measured on the visits that calibrated; the first four on later months of
the one real flap.
""")


@dataclass(frozen=True, slots=True)
class Outcome:
    """The figures of one student, by name."""

    kind: str
    seed: int
    figures: dict[str, float]


def main(arguments: list[str]) -> int:
    """Run; 0 done, 2 refused."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="an imagefolder with metadata.jsonl")
    parser.add_argument("--work", type=Path, required=True, help="the work of tools/train.py on it")
    parser.add_argument("--pictures", type=int, default=5000, help="augmented pictures shown to each student")
    parser.add_argument("--seeds", type=int, default=3, help="students of each kind")
    parser.add_argument("--threads", type=int, default=2, help="cores to use")
    parser.add_argument("--docs", type=Path, default=ROOT / "docs", help="where the page goes")
    options = parser.parse_args(arguments)
    torch.set_num_threads(options.threads)
    progress = Progress(len(KINDS) * options.seeds * options.pictures * COSTS.student_s)
    try:
        plan, course = opened(options.data, options.work, progress)
    except DataSetError as error:
        print(f"distil_value: {error}", file=sys.stderr)
        return 2
    lesson = course.lesson(course.teacher((), plan.lengths.teacher), ())
    samples = (*course.material.photographs, *plan.drawn)
    shown = progress.counter(COSTS.student_s)
    outcomes = []
    for seed in range(1, options.seeds + 1):
        schedule = replace(plan.lengths.student, pictures=options.pictures, seed=seed)
        for kind, weighting in KINDS:
            progress.say(f"seed {seed}, {kind}")
            outcomes.append(Outcome(kind, seed, _figures(_Task(lesson, weighting, schedule), samples, shown)))
    (options.docs / "distillation.md").write_text(_page(outcomes, options.pictures), encoding="utf-8")
    return 0


@dataclass(frozen=True, slots=True, eq=False)
class _Task:
    lesson: Lesson
    weighting: Weighting
    schedule: Schedule


def _figures(task: _Task, samples: tuple[Sample, ...], shown: Callable[[int, float], None]) -> dict[str, float]:
    student = teach(replace(task.lesson, weighting=task.weighting), task.schedule, None, shown)
    calibrating = [sample for sample in samples if sample.part == "calibration"]
    later = [sample for sample in samples if sample.part == "test" and sample.home == "tunnel"]
    logits = float_logits(student, plain_patches(calibrating, SHIPPED.recipe))
    calibration = calibrate(logits, calibrating).calibration
    scores = softmax(float_logits(student, plain_patches(later, SHIPPED.recipe)), calibration)
    figures = [
        *coarse_figures("tunnel_later", later, scores),
        *fine_figures("tunnel_later", later, scores),
        balanced_over_homes(COLUMNS[-1], calibrating, softmax(logits, calibration)),
    ]
    return {figure.name: figure.value for figure in figures}


def _page(outcomes: list[Outcome], pictures: int) -> str:
    seeds = sorted({outcome.seed for outcome in outcomes})
    return _PAGE.substitute(
        date=f"{datetime.now(UTC):%Y-%m-%d}",
        pictures=pictures,
        seeds=f"{seeds[0]} to {seeds[-1]}",
        kinds=" | ".join(kind for kind, _ in KINDS),
        rule="---|" * (len(KINDS) + 2),
        rows="\n".join(_row(name, outcomes) for name in COLUMNS),
    )


def _row(name: str, outcomes: list[Outcome]) -> str:
    hard, soft = (
        np.array([outcome.figures[name] for outcome in outcomes if outcome.kind == kind]) for kind, _ in KINDS
    )
    cells = [f"{values.mean():.3f} ({values.min():.3f} to {values.max():.3f})" for values in (hard, soft)]
    gains = hard - soft if name.endswith("error") else soft - hard
    return f"| {name} | {' | '.join(cells)} | {gains.mean():+.3f} | {int((gains > 0).sum())} of {len(gains)} |"


if __name__ == "__main__":
    start_again_holding_on()
    sys.exit(main(sys.argv[1:]))
