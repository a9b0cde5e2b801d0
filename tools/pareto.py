"""Quality against time: students of several sizes and widths, taught alike, judged on visits held out for choosing.

    make pareto      or      python tools/pareto.py --data ../shared/data --work build/student.work

Takes what the teacher sees and says from a run of ``tools/train.py``. Quality is measured on the *calibration* visits:
the later months of ``tunnel`` are for the figures, never for a choice. Writes docs/pareto.md and docs/pareto.svg.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from string import Template
from typing import TYPE_CHECKING

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

import torch  # noqa: E402 - the repository's own packages come from ROOT
from dataset import DataSetError, plain_patches  # noqa: E402
from doc_plots import Series, draw  # noqa: E402
from figures import UNCALIBRATED, softmax  # noqa: E402
from measure import balanced_over_homes, run_on_device_python  # noqa: E402
from memory import start_again_holding_on  # noqa: E402
from plan import opened  # noqa: E402
from quantise import export_int8  # noqa: E402
from stages import Progress  # noqa: E402
from student_net import SHIPPED, Design, recipe_of, teach  # noqa: E402

if TYPE_CHECKING:
    from course import Course
    from dataset import Sample
    from plan import Plan

    from edge.messages import Metric

BLOCKS = 11
WIDTHS_PX = (96, 112, 128, 160)
THINNED = (("whole", 0, 1.0), ("early blocks halved", 4, 0.5))
MOST_MS, MOST_BYTES = 1.2, 1_200_000
_RANGE_PATCHES = 200
_PAGE = Template("""\
# Size and width of the student

$date, by `make pareto`: $pictures pictures shown to each, the same teacher, seed $seed. *Quality*: five coarse classes
on the $count pictures of the calibration visits of all homes and drawn nights, the mean over homes of the balanced
accuracy, with 95 % by resampling visits. *ms*: the quickest of $count invokes of the int8 model in LiteRT on one thread
of an x86-64 machine, other work beside it or not. *Fits*: at most $ms ms and $kilobytes kB. The later months of
`tunnel`, on which the shipped student is measured, had no part in the choice.

![quality against time](pareto.svg)

| inner channels | patch | quality | 95 % | ms | kB | fits |
|---|---|---|---|---|---|---|
$rows

Shipped: $shipped.
""")


@dataclass(frozen=True, slots=True)
class Candidate:
    """A design, what it is worth and what it costs."""

    kind: str
    design: Design
    quality: Metric
    took_ms: float
    size_bytes: int

    @property
    def fits(self) -> bool:
        """Whether it may ship."""
        return self.took_ms <= MOST_MS and self.size_bytes <= MOST_BYTES


def main(arguments: list[str]) -> int:
    """Run; 0 done, 2 refused."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="an imagefolder with metadata.jsonl")
    parser.add_argument("--work", type=Path, required=True, help="the work of tools/train.py on it")
    parser.add_argument("--pictures", type=int, default=4000, help="augmented pictures shown to each student")
    parser.add_argument("--threads", type=int, default=2, help="cores to use")
    parser.add_argument("--docs", type=Path, default=ROOT / "docs", help="where page and plot go")
    parser.add_argument("--device-python", type=Path, default=ROOT / ".venv/bin/python", help="with both runtimes")
    options = parser.parse_args(arguments)
    torch.set_num_threads(options.threads)
    designs = [(kind, Design(recipe_of(px), BLOCKS, last, share)) for kind, last, share in THINNED for px in WIDTHS_PX]
    progress = Progress(sum(options.pictures * _cost_s(design) for _, design in designs))
    try:
        plan, course = opened(options.data, options.work, progress)
    except DataSetError as error:
        print(f"pareto: {error}", file=sys.stderr)
        return 2
    judged = [sample for sample in (*course.material.photographs, *plan.drawn) if sample.part == "calibration"]
    candidates = _candidates(plan, course, designs, judged, options)
    (options.docs / "pareto.md").write_text(
        _page(candidates, len(judged), plan.seed, options.pictures), encoding="utf-8"
    )
    draw(options.docs / "pareto.svg", _series(candidates), ("ms", "quality"), MOST_MS)
    return 0


def _cost_s(design: Design) -> float:
    return design.recipe.width_px**2 / (96**2 * 140)


def _candidates(
    plan: Plan, course: Course, designs: list[tuple[str, Design]], judged: list[Sample], options: argparse.Namespace
) -> list[Candidate]:
    """Teach every design alike, and measure all of them in the end."""
    lesson = course.lesson(course.teacher((), plan.lengths.teacher), ())
    schedule = replace(plan.lengths.student, pictures=options.pictures)
    with tempfile.TemporaryDirectory() as folder:
        models = []
        for _, design in designs:
            course.progress.say(str(design))
            student = teach(replace(lesson, design=design), schedule, None, course.progress.counter(_cost_s(design)))
            (place := Path(folder) / str(design)).mkdir()
            ranges = plain_patches(judged[:: max(len(judged) // _RANGE_PATCHES, 1)], design.recipe)
            models.append(export_int8(student, ranges, place))
        pairs = zip(designs, models, strict=True)
        return [_measured(kind, design, model, judged, options.device_python) for (kind, design), model in pairs]


def _measured(kind: str, design: Design, model: Path, judged: list[Sample], device_python: Path) -> Candidate:
    run = run_on_device_python(model, plain_patches(judged, design.recipe), "litert", device_python)
    quality = balanced_over_homes("quality", judged, softmax(run.real_logits, UNCALIBRATED))
    return Candidate(kind, design, quality, float(run.took_ms.min()), model.stat().st_size)


def _series(candidates: list[Candidate]) -> list[Series]:
    return [
        Series(kind, [(one.took_ms, one.quality) for one in candidates if one.kind == kind]) for kind, _, _ in THINNED
    ]


def _page(candidates: list[Candidate], count: int, seed: int, pictures: int) -> str:
    return _PAGE.substitute(
        date=f"{datetime.now(UTC):%Y-%m-%d}",
        pictures=pictures,
        seed=seed,
        count=count,
        ms=MOST_MS,
        kilobytes=MOST_BYTES // 1000,
        rows="\n".join(_row(one) for one in candidates),
        shipped=next((_name(one) for one in candidates if one.design == SHIPPED), "none of these"),
    )


def _name(one: Candidate) -> str:
    return f"{one.design.recipe.width_px} x {one.design.recipe.height_px} px, {one.kind}"


def _row(one: Candidate) -> str:
    size = f"{one.design.recipe.width_px} x {one.design.recipe.height_px}"
    figure = one.quality
    worth = f"{figure.value:.3f} | {figure.low:.3f} to {figure.high:.3f}"
    cost = f"{one.took_ms:.2f} | {one.size_bytes // 1000} | {'yes' if one.fits else 'no'}"
    return f"| {one.kind} | {size} | {worth} | {cost} |"


if __name__ == "__main__":
    start_again_holding_on()
    sys.exit(main(sys.argv[1:]))
