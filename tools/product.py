"""From a course to a product: quantise, calibrate, and measure everything that manifest and card say. Needs torch."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import TYPE_CHECKING

import measure
import numpy as np
from dataset import SIM, Photographs, plain_patches, summary
from figures import calibrate, softmax
from make_bundle import Facts, Product
from quantise import export_int8
from student_net import Student, float_logits
from unseen import unseen_figures

from edge.bundle import DataSet
from edge.messages import Label, Metric

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from dataset import Sample
    from unseen import Fold

    from edge.evaluation import Reals
    from edge.features import Recipe
    from edge.messages import Grey
    from edge.scoring import Calibration

GOLDEN_PER_LABEL = 4
RANGE_PATCHES = 300  # that set the ranges of int8
PARITY_PATCHES = 600
NOISE_PATCHES = 200


@dataclass(frozen=True, slots=True, eq=False)
class Making:
    """A float student and all that is known of how it came about."""

    name: str
    version: str
    command: str
    student: Student
    recipe: Recipe
    samples: tuple[Sample, ...]
    photographs: Photographs
    teacher_figures: list[Metric]
    folds: tuple[Fold, ...]
    seed: int


def product_of(making: Making, device_python: Path, folder: Path) -> Product:
    """Quantise into ``folder``, calibrate and measure, with the device's own runtimes."""
    rng, recipe = np.random.default_rng(making.seed), making.recipe
    training, calibrating, tested = (_part(making.samples, part) for part in ("train", "calibration", "test"))
    model = export_int8(making.student, plain_patches(_some(training, RANGE_PATCHES, rng), recipe), folder)

    def run(patches: Grey, runtime: str = "litert") -> measure.Run:
        return measure.run_on_device_python(model, patches, runtime, device_python)

    logits = run(plain_patches(calibrating, recipe)).real_logits
    fitted = calibrate(logits, calibrating)
    calibration = fitted.calibration

    def scored(samples: list[Sample]) -> Reals:
        return softmax(run(plain_patches(samples, recipe)).real_logits, calibration)

    parity = _some([*tested, *calibrating], PARITY_PATCHES, rng)
    patches = plain_patches(parity, recipe)
    litert, tflite = run(patches), run(patches, "tflite")
    golden = _golden([sample for sample in tested if sample.home == SIM])
    golden_patches = plain_patches(golden, recipe)
    return Product(
        name=making.name,
        version=making.version,
        created=dt.datetime.now(tz=dt.UTC).date().isoformat(),
        command=making.command,
        model=model,
        recipe=recipe,
        fitted=fitted,
        data_set=_data_set(making),
        sources=making.photographs.sources,
        counts=summary(making.photographs).counts,
        metrics=(
            *_tested(tested, scored),
            *making.teacher_figures,
            *unseen_figures(making.folds),
            *_on_noise(run, recipe, calibration, rng),
            *measure.parity_figures(parity, float_logits(making.student, patches), litert, tflite),
        ),
        golden_patches=golden_patches,
        golden_labels=tuple(sample.label for sample in golden),
        golden_runs=(run(golden_patches), run(golden_patches, "tflite")),
        reference_patches=plain_patches(calibrating, recipe),
        reference_scores=softmax(logits, calibration),
        difference_lsb=measure.largest_difference_lsb(litert, tflite),
        facts=_facts(making),
    )


def _data_set(making: Making) -> DataSet:
    real = sum(not sample.composed for sample in making.photographs.samples)
    return DataSet(making.photographs.sha256, real, sum(sample.home == SIM for sample in making.samples))


def _tested(tested: list[Sample], scored: Callable[[list[Sample]], Reals]) -> list[Metric]:
    """Return the figures of every home that has visits for testing."""
    figures: list[Metric] = []
    for home in dict.fromkeys(sample.home for sample in tested):
        chosen = [sample for sample in tested if sample.home == home]
        name = home if home == SIM else f"{home}_later"
        scores = scored(chosen)
        figures += [*measure.coarse_figures(name, chosen, scores), *measure.fine_figures(name, chosen, scores)]
    return figures


def _on_noise(
    run: Callable[[Grey], measure.Run], recipe: Recipe, calibration: Calibration, rng: np.random.Generator
) -> list[Metric]:
    """Return how sure the model is of what is no picture at all."""
    noise = rng.integers(0, 256, (NOISE_PATCHES, recipe.height_px, recipe.width_px), dtype=np.uint8)
    sure = softmax(run(noise).real_logits, calibration).max(axis=1)
    low, high = np.percentile(sure, [2.5, 97.5])
    return [Metric("noise_confidence", float(sure.mean()), float(low), float(high), NOISE_PATCHES)]


def _part(samples: tuple[Sample, ...], part: str) -> list[Sample]:
    return [sample for sample in samples if sample.part == part]


def _some(samples: list[Sample], count: int, rng: np.random.Generator) -> list[Sample]:
    return [samples[index] for index in rng.choice(len(samples), min(count, len(samples)), replace=False)]


def _golden(samples: list[Sample]) -> list[Sample]:
    """Drawn frames only, a few of each label: photographs may not be handed on."""
    return [sample for label in Label for sample in [s for s in samples if s.label == label][:GOLDEN_PER_LABEL]]


def _facts(making: Making) -> Facts:
    real = [sample for sample in making.photographs.samples if not sample.composed]
    prey = [sample for sample in real if sample.label == Label.CAT_PREY]
    return Facts(
        prey=len(prey),
        prey_visits=len({(sample.home, sample.visit) for sample in prey}),
        prey_test=sum(sample.part == "test" for sample in prey),
        parity_pictures=PARITY_PATCHES,
        composed=len(making.photographs.samples) - len(real),
    )
