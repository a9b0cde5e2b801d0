"""Make the factory student: train, quantise, calibrate, measure, and write the bundle.

    make model        or        python tools/train_student.py --data ../shared/data --out models/factory --replace

One seed gives one student, but for rounding: figures repeat within a point on one machine and number of threads.
"""

from __future__ import annotations

import argparse
import datetime as dt
import os
import shutil
import sys
import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

import cv2  # noqa: E402 - the repository's own packages come from ROOT
import measure  # noqa: E402
import numpy as np  # noqa: E402
import torch  # noqa: E402
from dataset import (  # noqa: E402
    FOLDS,
    SIM,
    TUNNEL_CALIBRATION,
    TUNNEL_TEST_FROM,
    DataSetError,
    Photographs,
    Sample,
    allowed_flags,
    plain_patches,
    read_photographs,
    simulated,
)
from figures import fit_calibration, softmax  # noqa: E402
from make_bundle import Facts, Product, write  # noqa: E402
from quantise import export_int8  # noqa: E402
from student_net import Schedule, Student, float_logits, train  # noqa: E402

from edge.bundle import MANIFEST, DataSet  # noqa: E402
from edge.features import Recipe  # noqa: E402
from edge.messages import LABELS, Label, Metric  # noqa: E402
from edge.scoring import Calibration  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Callable

    from edge.evaluation import Reals

NAME, VERSION = "first-student", "0.1.0"
RECIPE = Recipe(width_px=160, height_px=120, margin=0.25, min_fraction=0.6, max_gain=4.0)
GOLDEN_PER_LABEL = 4
RANGE_PATCHES = 300  # that set the ranges of int8
PARITY_PATCHES = 600
UNCALIBRATED = Calibration(1.0, (0.0,) * len(LABELS))


@dataclass(frozen=True, slots=True)
class Options:
    """What the command line says."""

    data: Path
    out: Path
    replace: bool
    seed: int
    pictures: int
    fold_pictures: int
    sim: int
    device_python: Path


class Progress:
    """Says how far it is and how long it will take, over all trainings together."""

    def __init__(self, pictures: int) -> None:
        """Start the clock; ``pictures`` are to be shown in all."""
        self._started = time.monotonic()
        self._all, self._shown = pictures, 0

    def say(self, text: str) -> None:
        """Print a line with the minutes so far."""
        print(f"[{(time.monotonic() - self._started) / 60:5.1f} min] {text}", flush=True)

    def shown(self, pictures: int, loss: float) -> None:
        """Count pictures shown to a network."""
        before, self._shown = self._shown, self._shown + pictures
        if before // 4000 != self._shown // 4000:
            left = (time.monotonic() - self._started) / self._shown * (self._all - self._shown)
            self.say(
                f"{self._shown} of {self._all} pictures, loss {loss:.2f}, about {left / 60:.0f} min of training left"
            )


def parse(arguments: list[str]) -> Options:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="an imagefolder with metadata.jsonl")
    parser.add_argument("--out", type=Path, required=True, help="the bundle's directory")
    parser.add_argument("--replace", action="store_true", help="replace a bundle that is there")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--pictures", type=int, default=24_000, help="augmented pictures shown in the main training")
    parser.add_argument(
        "--fold-pictures", type=int, default=4_000, help="the same for each left-out group; 0: leave out"
    )
    parser.add_argument("--sim", type=int, default=6000, help="frames of the simulated world")
    parser.add_argument("--device-python", type=Path, default=ROOT / ".venv/bin/python", help="with both runtimes")
    return Options(**vars(parser.parse_args(arguments)))


def main(arguments: list[str]) -> int:
    """Run; 0 done, 2 refused."""
    options = parse(arguments)
    torch.set_num_threads(2)
    cv2.setNumThreads(1)
    try:
        _refuse_overwriting(options)
        _make(options)
    except DataSetError as error:
        print(f"train_student: {error}", file=sys.stderr)
        return 2
    return 0


def _refuse_overwriting(options: Options) -> None:
    if (options.out / MANIFEST).exists():
        if not options.replace:
            raise DataSetError(f"{options.out}: holds a bundle; say --replace, or another --out")
    elif options.out.exists():
        raise DataSetError(f"{options.out}: is there and is no bundle; name a directory that is free")
    if not options.device_python.exists():
        raise DataSetError(f"{options.device_python}: is not there; make setup first, or name one with --device-python")


def _make(options: Options) -> None:
    progress = Progress(options.pictures + len(FOLDS) * options.fold_pictures)
    progress.say(f"reading {options.data}")
    photographs = read_photographs(options.data)
    progress.say(f"{len(photographs.samples)} photographs; drawing {options.sim} frames")
    samples = (*photographs.samples, *simulated(options.sim, options.seed))
    schedule = Schedule(
        options.pictures,
        batch=32,
        peak_rate=1.5e-3,
        trunk_share=0.2,
        decay=0.03,
        identity_weight=0.1,
        seed=options.seed,
    )
    unseen = _unseen_homes(samples, replace(schedule, pictures=options.fold_pictures), progress)
    progress.say("the student that ships")
    net = train(_part(samples, "train"), RECIPE, schedule, progress.shown)
    with tempfile.TemporaryDirectory() as folder:
        product = _product(Trained(net, samples, photographs, unseen), options, Path(folder))
        fresh = options.out.with_name(f".{options.out.name}.new")
        shutil.rmtree(fresh, ignore_errors=True)
        write(product, fresh)
    shutil.rmtree(options.out, ignore_errors=True)
    fresh.rename(options.out)
    for metric in product.metrics:
        progress.say(f"{metric.name:36} {metric.value:.3f} ({metric.low:.3f} to {metric.high:.3f}) n={metric.count}")
    progress.say(f"{options.out}: written")


def _part(samples: tuple[Sample, ...], part: str) -> list[Sample]:
    return [sample for sample in samples if sample.part == part]


def _unseen_homes(samples: tuple[Sample, ...], schedule: Schedule, progress: Progress) -> list[Metric]:
    """Train without each group of homes in turn and judge it by all of their pictures."""
    if not schedule.pictures:
        return []
    judged: list[Sample] = []
    scores: list[Reals] = []
    figures: list[Metric] = []
    for fold in FOLDS:
        progress.say(f"without {' and '.join(fold)}")
        known = [sample for sample in samples if sample.home not in fold and sample.part == "train"]
        net = train(known, RECIPE, schedule, progress.shown)
        for home in fold:
            there = [sample for sample in samples if sample.home == home]
            judged += there
            scores.append(softmax(float_logits(net, plain_patches(there, RECIPE)), UNCALIBRATED))
            figures += measure.coarse_figures(f"unseen_{home}", there, scores[-1])
    return [*measure.coarse_figures("unseen", judged, np.concatenate(scores)), *figures]


@dataclass(frozen=True, slots=True, eq=False)
class Trained:
    """A float student, what it learnt from, and how its recipe fares in homes it has not seen."""

    net: Student
    samples: tuple[Sample, ...]
    photographs: Photographs
    unseen: list[Metric]


def _product(trained: Trained, options: Options, folder: Path) -> Product:
    """Quantise, calibrate and measure a trained student."""
    rng, train_part = np.random.default_rng(options.seed), _part(trained.samples, "train")
    model = export_int8(trained.net, plain_patches(_some(train_part, RANGE_PATCHES, rng), RECIPE), folder)

    def run(chosen: list[Sample], runtime: str = "litert") -> measure.Run:
        return measure.run_on_device_python(model, plain_patches(chosen, RECIPE), runtime, options.device_python)

    calibrating, photographs = _part(trained.samples, "calibration"), trained.photographs
    logits = run(calibrating).real_logits
    calibration = fit_calibration(logits, allowed_flags(calibrating), _even_weights(calibrating))
    tested = _part(trained.samples, "test")
    parity = _some([*tested, *calibrating], PARITY_PATCHES, rng)
    litert, tflite = run(parity), run(parity, "tflite")
    golden = _golden([sample for sample in tested if sample.home == SIM])
    return Product(
        name=NAME,
        version=VERSION,
        created=dt.datetime.now(tz=dt.UTC).date().isoformat(),
        command=_command(options),
        model=model,
        recipe=RECIPE,
        calibration=calibration,
        data_set=DataSet(photographs.sha256, len(photographs.samples), options.sim),
        sources=photographs.sources,
        metrics=(
            *_tested("tunnel_later", [s for s in tested if s.home == "tunnel"], run, calibration),
            *trained.unseen,
            *_tested("sim", [s for s in tested if s.home == SIM], run, calibration),
            *measure.parity_figures(float_logits(trained.net, plain_patches(parity, RECIPE)), litert, tflite),
        ),
        golden_patches=plain_patches(golden, RECIPE),
        golden_labels=tuple(sample.label for sample in golden),
        golden_runs=(run(golden), run(golden, "tflite")),
        reference_patches=plain_patches(calibrating, RECIPE),
        reference_scores=softmax(logits, calibration),
        difference_lsb=measure.largest_difference_lsb(litert, tflite),
        facts=_facts(photographs, options),
    )


def _tested(
    name: str, chosen: list[Sample], run: Callable[[list[Sample]], measure.Run], calibration: Calibration
) -> list[Metric]:
    scores = softmax(run(chosen).real_logits, calibration)
    return [*measure.coarse_figures(name, chosen, scores), *measure.fine_figures(name, chosen, scores)]


def _command(options: Options) -> str:
    sizes = f"--pictures {options.pictures} --fold-pictures {options.fold_pictures} --sim {options.sim}"
    return f"tools/train_student.py --seed {options.seed} {sizes}"


def _some(samples: list[Sample], count: int, rng: np.random.Generator) -> list[Sample]:
    return [samples[index] for index in rng.choice(len(samples), min(count, len(samples)), replace=False)]


def _even_weights(samples: list[Sample]) -> Reals:
    """Weights under which every class counts alike, and within a class every home."""
    groups = [(sample.label, sample.home) for sample in samples]
    homes_of = {label: len({home for other, home in groups if other == label}) for label, _ in groups}
    return np.array([1.0 / (groups.count(group) * homes_of[group[0]]) for group in groups])


def _golden(samples: list[Sample]) -> list[Sample]:
    """Drawn frames only, a few of each label: photographs may not be handed on."""
    return [sample for label in Label for sample in [s for s in samples if s.label == label][:GOLDEN_PER_LABEL]]


def _facts(photographs: Photographs, options: Options) -> Facts:
    prey = [sample for sample in photographs.samples if sample.label == Label.CAT_PREY]
    return Facts(
        prey=len(prey),
        prey_visits=len({(sample.home, sample.visit) for sample in prey}),
        prey_test=sum(sample.part == "test" for sample in prey),
        parity_pictures=PARITY_PATCHES,
        test_from=TUNNEL_TEST_FROM,
        calibration=TUNNEL_CALIBRATION,
        folds=FOLDS,
        fold_pictures=options.fold_pictures,
        main_pictures=options.pictures,
    )


if __name__ == "__main__":
    # glibc hands large blocks back after every step and faults them in again: twice as slow on big activations.
    if "MALLOC_TRIM_THRESHOLD_" not in os.environ:
        tuned = {
            "MALLOC_TRIM_THRESHOLD_": str(1 << 33),
            "MALLOC_MMAP_THRESHOLD_": str(1 << 32),
            "MALLOC_TOP_PAD_": str(1 << 27),
        }
        os.execve(sys.executable, [sys.executable, *sys.argv], {**os.environ, **tuned})  # noqa: S606 - itself, once
    sys.exit(main(sys.argv[1:]))
