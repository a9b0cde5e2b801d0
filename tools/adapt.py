"""Adapt a bundle to a home, by frames its owner has labelled and frames nobody has: five minutes on two cores.

    python tools/adapt.py --from models/factory --data HOME --out models/home
    python tools/adapt.py --from models/home --data HOME --rehearse PUBLIC --out models/home-2

Starts from the float student and the teacher beside the bundle (``<bundle>.training``) and leaves both beside the new
one, so that it can be adapted again. A frame whose label is ``unlabelled`` takes part by what the teacher makes of it.
Of the home's visits, in order of time, the first learn, then some calibrate, and the last are judged by.
--rehearse names folders of elsewhere, which the student must not forget; drawn frames are always rehearsed.

What comes out is compared with the bundle it started from on held-out pictures. Exit 0: it may take over; 1: it broke
what worked beyond its interval somewhere: it lies at OUT.rejected, its card says where; 2: refused, and why.
"""

from __future__ import annotations

import argparse
import math
import sys
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

import cv2  # noqa: E402 - the repository's own packages come from ROOT
import numpy as np  # noqa: E402
import preflight  # noqa: E402
import torch  # noqa: E402
from adaptation import Effort, Ground, Origin, adapted, mean_of, said_by  # noqa: E402
from adaptation_card import Past, lines, next_version, passed, story  # noqa: E402
from bundle_comparison import gate_of_frames  # noqa: E402
from dataset import (  # noqa: E402
    DataSetError,
    Photographs,
    draw_weights,
    joined,
    plain_patches,
    read_photographs,
    simulated,
)
from figures import softmax  # noqa: E402
from frame_scores import frames_of  # noqa: E402
from keep import kept_student, kept_teacher, put_in_place, refuse_taken, training_folder  # noqa: E402
from measure import run_on_device_python  # noqa: E402
from memory import start_again_holding_on  # noqa: E402
from plan import COSTS  # noqa: E402
from product import Making, product_of  # noqa: E402
from stages import Progress  # noqa: E402
from teacher import look  # noqa: E402

from edge import bundle  # noqa: E402
from edge.errors import CatflapError  # noqa: E402

if TYPE_CHECKING:
    from dataset import Sample
    from frame_scores import Frames
    from make_bundle import Product
    from student_net import Student

    from edge.bundle import Bundle
    from edge.evaluation import GroupVerdict
    from edge.features import Recipe
    from edge.scoring import Calibration

BROKEN, REFUSED = 1, 2
OUTPUT_S = 1 / 200
"""What a student's two outputs for a picture take on two cores."""

PRODUCT_S = 60.0
"""What is expected of quantising, calibrating and measuring."""


@dataclass(frozen=True, slots=True)
class Budget:
    """How many pictures everything is made of.

    ``teacher_rehearsed`` of the ``rehearsed`` are for the teacher too; ``views`` counts augmented pictures for it.
    """

    sim: int
    unlabelled: int
    rehearsed: int
    teacher_rehearsed: int
    views: int
    teacher: int
    student: int


FULL = Budget(sim=2400, unlabelled=600, rehearsed=3000, teacher_rehearsed=400, views=1200, teacher=2000, student=10_000)
SHORT = Budget(sim=240, unlabelled=20, rehearsed=40, teacher_rehearsed=10, views=16, teacher=32, student=32)
"""Shows that every step works, and adapts to nothing."""


@dataclass(frozen=True, slots=True)
class Options:
    """What the command line says."""

    origin: Path
    data: list[Path]
    rehearse: list[Path]
    out: Path
    version: str
    new_share: float
    seed: int
    threads: int
    short: bool
    device_python: Path

    @property
    def budget(self) -> Budget:
        """How much is shown."""
        return SHORT if self.short else FULL

    @property
    def rejected(self) -> Path:
        """Where a bundle goes that broke what worked."""
        return self.out.with_name(f"{self.out.name}.rejected")


@dataclass(frozen=True, slots=True, eq=False)
class Pictures:
    """Everything there is: the home's training frames, what is rehearsed, and all of both with what is held out."""

    home: tuple[Sample, ...]
    rehearsal: tuple[Sample, ...]
    photographs: Photographs
    everything: tuple[Sample, ...]


def parse(arguments: list[str]) -> Options:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--from", dest="origin", type=Path, default=ROOT / "models/factory", help="the bundle to adapt")
    parser.add_argument("--data", type=Path, required=True, action="append", help="the home's frames; may be repeated")
    parser.add_argument(
        "--rehearse", type=Path, default=[], action="append", help="what is not to be forgotten; as well"
    )
    parser.add_argument("--out", type=Path, required=True, help="the new bundle's directory, which must be new")
    parser.add_argument("--version", default="", help="of the new bundle (default: the old one's and +home.N)")
    parser.add_argument(
        "--new-share", type=_share, default=1.0, help="1: all that was learnt; 0.5: half way to the old"
    )
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--threads", type=int, default=2, help="cores to use")
    parser.add_argument(
        "--short", action="store_true", help="every step on a handful of pictures, to see that it works"
    )
    parser.add_argument("--device-python", type=Path, default=ROOT / ".venv/bin/python", help="with both runtimes")
    return Options(**vars(parser.parse_args(arguments)))


def _share(text: str) -> float:
    if not 0 < (share := float(text)) <= 1:
        raise ValueError
    return share


def main(arguments: list[str]) -> int:
    """Run; see above for the exit status."""
    options = parse(arguments)
    torch.set_num_threads(options.threads)
    cv2.setNumThreads(1)
    try:
        refuse_taken([options.out, options.rejected], options.device_python)
        return _adapt(options)
    except (DataSetError, CatflapError) as error:
        print(f"adapt: {error}", file=sys.stderr)
        return REFUSED


def _adapt(options: Options) -> int:
    parent, origin = bundle.load(options.origin), _origin(options.origin)
    pictures = gathered(options)
    labelled = sum(sample.labelled for sample in pictures.home)
    effort = Effort(options.budget.teacher, options.budget.student, options.seed)
    progress = Progress(_expected_s(options.budget, pictures, labelled, effort))
    progress.say(f"{labelled} labelled frames, {len(pictures.home) - labelled} others; from {parent.model_id}")
    new = adapted(origin, _ground(origin, pictures, options, progress), effort, progress)
    student = mean_of(origin.student, new.student, options.new_share)
    progress.say("quantising, calibrating, measuring")
    with tempfile.TemporaryDirectory() as folder:
        product = product_of(_making(options, parent, origin, pictures, student), options.device_python, Path(folder))
        gate = _gate(parent, product, pictures.everything, options.device_python)
        card = (options.origin / "MODEL_CARD.md").read_text(encoding="utf-8")
        past = Past(parent.model_id, card, pictures.home, len(pictures.rehearsal))
        place = options.out if passed(gate) else options.rejected
        put_in_place(replace(product, story=story(past, gate)), (student, new.teacher), origin.design, place)
    for metric in product.metrics:
        progress.say(f"{metric.name:40} {metric.value:.3f} ({metric.low:.3f} to {metric.high:.3f}) n={metric.count}")
    for line in lines(gate):
        progress.say(line)
    progress.say(f"{place} and {training_folder(place)}: written")
    return 0 if passed(gate) else BROKEN


def _origin(folder: Path) -> Origin:
    student, design = kept_student(training_folder(folder))
    return Origin(student, kept_teacher(training_folder(folder)), design)


def gathered(options: Options) -> Pictures:
    """Read every folder and choose what is learnt from.

    Raises:
        DataSetError: there is nothing to adapt by, or nothing can be learnt from it.
    """
    own = [read_photographs(folder) for folder in options.data]
    homes = {sample.home for folder in own for sample in folder.samples}
    photographs = joined(*own, *(read_photographs(folder) for folder in options.rehearse))
    drawn = simulated(options.budget.sim, options.seed)
    everything = (*photographs.samples, *drawn)
    preflight.check(photographs, everything)
    training = [sample for sample in everything if sample.part == "train"]
    rng = np.random.default_rng(options.seed)
    home = _home([sample for sample in training if sample.home in homes], options, rng)
    elsewhere = [sample for sample in training if sample.home not in homes]
    count = min(options.budget.rehearsed, len(elsewhere))
    chosen = rng.choice(len(elsewhere), count, replace=False, p=draw_weights(elsewhere))
    # The teacher rehearses by the first of them, and learns from labels only.
    rehearsal = sorted((elsewhere[index] for index in chosen), key=lambda sample: not sample.labelled)
    return Pictures(home, tuple(rehearsal), photographs, everything)


def _home(training: list[Sample], options: Options, rng: np.random.Generator) -> tuple[Sample, ...]:
    labelled = [sample for sample in training if sample.labelled]
    others = [sample for sample in training if not sample.labelled]
    if not training:
        named = ", ".join(map(str, options.data))
        raise DataSetError(f"{named}: every visit is held out, so there is nothing to learn from; record more visits")
    chosen = rng.choice(len(others), min(options.budget.unlabelled, len(others)), replace=False)
    return (*labelled, *(others[index] for index in sorted(chosen)))


def _expected_s(budget: Budget, pictures: Pictures, labelled: int, effort: Effort) -> float:
    views = len(pictures.home) + ((budget.teacher_rehearsed + budget.views) if labelled else 0)
    asked = len(pictures.home) + len(pictures.rehearsal)
    return views * COSTS.view_s + asked * OUTPUT_S + effort.cost_s + PRODUCT_S


def _ground(origin: Origin, pictures: Pictures, options: Options, progress: Progress) -> Ground:
    """Let teacher and student look at everything once, before either learns."""
    budget, samples = options.budget, (*pictures.home, *pictures.rehearsal)
    by_label = any(sample.labelled for sample in pictures.home)
    seen = samples[: len(pictures.home) + (budget.teacher_rehearsed if by_label else 0)]
    views = look(seen, budget.views if by_label else 0, options.seed, progress.counter(COSTS.view_s))
    before = said_by(origin.student, origin.design, samples)
    progress.counter(OUTPUT_S)(len(samples), math.nan)
    return Ground(samples, len(pictures.home), before, views)


def _making(options: Options, parent: Bundle, origin: Origin, pictures: Pictures, student: Student) -> Making:
    version = options.version or next_version(parent.manifest.version)
    said = f"--new-share {options.new_share:g} --seed {options.seed} --threads {options.threads}"
    return Making(
        name=parent.manifest.name,
        version=version,
        command=f"tools/adapt.py --version {version} {said}",
        student=student,
        recipe=origin.design.recipe,
        samples=pictures.everything,
        photographs=pictures.photographs,
        teacher_figures=[],
        folds=(),
        seed=options.seed,
    )


def _gate(
    parent: Bundle, product: Product, samples: tuple[Sample, ...], device_python: Path
) -> tuple[GroupVerdict, ...]:
    """Compare what two int8 models say of all that is held out: the home's later visits, elsewhere, drawn nights."""
    held = [sample for sample in samples if sample.part in ("calibration", "test")]

    def frames(model: Path, recipe: Recipe, calibration: Calibration) -> Frames:
        run = run_on_device_python(model, plain_patches(held, recipe), "litert", device_python)
        return frames_of(held, softmax(run.real_logits, calibration))

    manifest = parent.manifest
    old = frames(parent.directory / "model.tflite", manifest.recipe, manifest.calibration)
    return tuple(gate_of_frames(old, frames(product.model, product.recipe, product.fitted.calibration)))


if __name__ == "__main__":
    start_again_holding_on()
    sys.exit(main(sys.argv[1:]))
