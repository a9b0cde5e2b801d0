"""What a student is worth: the figures of manifest and card, from scores that somebody else computed."""

from __future__ import annotations

import math
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from dataset import COARSE, Sample, coarse

from edge.evaluation import Flags, Indices, Reals, auc, balanced_accuracy, bootstrap, calibration_error, wilson
from edge.messages import LABELS, Grey, Label, Metric

if TYPE_CHECKING:
    from collections.abc import Sequence

Int8 = npt.NDArray[np.int8]

_RUNNER = Path(__file__).resolve().parent / "run_model.py"
_TO_COARSE = np.array([[coarse(label) == name for name in COARSE] for label in LABELS], np.float64)
_PREY = LABELS.index(Label.CAT_PREY)


@dataclass(frozen=True, slots=True, eq=False)
class Run:
    """What one runtime made of a stack of patches: int8 outputs, (count, size), and how they read as real numbers."""

    runtime: str
    logits: Int8
    embedding: Int8
    input_scale: tuple[float, int]
    logit_scale: tuple[float, int]
    embedding_scale: tuple[float, int]
    took_ms: Reals

    @property
    def real_logits(self) -> Reals:
        """The logits as real numbers."""
        scale, zero = self.logit_scale
        real: Reals = (self.logits.astype(np.float64) - zero) * scale
        return real


def run_on_device_python(model: Path, patches: Grey, runtime: str, python: Path) -> Run:
    """Run the model in the device's own environment; raises CalledProcessError when that environment cannot."""
    with tempfile.TemporaryDirectory() as folder:
        given, told = Path(folder) / "patches.npy", Path(folder) / "said.npz"
        np.save(given, patches)
        subprocess.run([python, _RUNNER, model, given, told, runtime], check=True, stderr=subprocess.DEVNULL)
        said = np.load(told)
        source, logits, embedding = ((float(scale), int(zero)) for scale, zero in (said["input"], *said["outputs"]))
        return Run(str(said["runtime"]), said["output0"], said["output1"], source, logits, embedding, said["took_ms"])


def as_coarse(probabilities: Reals) -> Reals:
    """Return the five coarse classes' probabilities: hidden and clear cats are one."""
    return probabilities @ _TO_COARSE


def coarse_truth(samples: Sequence[Sample]) -> Indices:
    """Return the index into COARSE of each sample."""
    return np.array([COARSE.index(sample.coarse) for sample in samples])


def coarse_figures(name: str, samples: Sequence[Sample], probabilities: Reals) -> list[Metric]:
    """Return ``coarse_judgement`` of probabilities over the six classes."""
    return coarse_judgement(name, samples, as_coarse(probabilities))


def coarse_judgement(name: str, samples: Sequence[Sample], shares: Reals) -> list[Metric]:
    """Return accuracy and balanced accuracy over the five coarse classes, each beside what the majority class reaches.

    Where a home holds one class nearly alone, naming it always is right nearly always; balanced accuracy, the mean of
    the classes' recalls, gives the same habit one in the number of classes.
    """
    truth, said, visits = coarse_truth(samples), shares.argmax(axis=1), visits_of(samples)
    figures = [
        wilson(f"{name}_accuracy", int(np.sum(truth == said)), len(truth)),
        wilson(f"{name}_majority", int(np.bincount(truth).max()), len(truth)),
    ]
    classes = len(np.unique(truth))
    if classes > 1:
        figures.append(
            bootstrap(
                f"{name}_balanced_accuracy", lambda chosen: balanced_accuracy(truth[chosen], said[chosen]), visits
            )
        )
        chance = 1 / classes
        figures.append(Metric(f"{name}_balanced_majority", chance, chance, chance, len(truth)))
    return figures


def balanced_over_homes(name: str, samples: Sequence[Sample], probabilities: Reals) -> Metric:
    """Return the mean over homes of the balanced accuracy over the five coarse classes: every home counts alike."""
    truth, said = coarse_truth(samples), as_coarse(probabilities).argmax(axis=1)
    homes = np.array([sample.home for sample in samples])

    def quality(chosen: Indices) -> float:
        parts = [chosen[homes[chosen] == home] for home in np.unique(homes[chosen])]
        return float(np.mean([balanced_accuracy(truth[part], said[part]) for part in parts]))

    return bootstrap(name, quality, visits_of(samples))


def finite(figure: Metric) -> bool:
    """Return whether a figure could be measured: of what is not there, it and its interval are nan."""
    return all(math.isfinite(number) for number in (figure.value, figure.low, figure.high))


def visits_of(samples: Sequence[Sample]) -> list[str]:
    """Return the visit of each sample, unique over homes."""
    return [f"{sample.home}/{sample.visit}" for sample in samples]


def prey_ranking(name: str, risk: Reals, kinds: tuple[Flags, Flags], visits: Sequence[str]) -> Metric:
    """Return how often a picture with prey ranks above a cat without; ``kinds`` says which pictures are which."""
    prey, cats = kinds
    return bootstrap(
        f"{name}_prey_auc", lambda chosen: auc(risk[chosen][prey[chosen]], risk[chosen][cats[chosen]]), visits
    )


def fine_figures(name: str, samples: Sequence[Sample], probabilities: Reals) -> list[Metric]:
    """Return accuracy over the six classes, calibration error and the ranking of prey against other cats."""
    whole = [index for index, sample in enumerate(samples) if len(sample.allowed) == 1]
    truth = np.array([LABELS.index(next(iter(samples[index].allowed))) for index in whole])
    scores, visits = probabilities[whole], [samples[index].visit for index in whole]
    right = scores.argmax(axis=1) == truth
    cats = np.isin(truth, [LABELS.index(Label.CAT_HIDDEN), LABELS.index(Label.CAT_CLEAR)])

    figures = [
        wilson(f"{name}_six_class_accuracy", int(right.sum()), len(right)),
        bootstrap(f"{name}_calibration_error", lambda i: calibration_error(scores[i], right[i]), visits),
    ]
    prey = truth == _PREY
    if prey.any():
        figures.append(prey_ranking(name, scores[:, _PREY], (prey, cats), visits))
        figures.append(wilson(f"{name}_prey_first", int(right[prey].sum()), int(prey.sum())))
    return figures


def parity_figures(samples: Sequence[Sample], float_logits: Reals, litert: Run, tflite: Run) -> list[Metric]:
    """Return how often int8 and float name the same class, for each class and over all; and the two runtimes.

    ``int8_float_accuracy_change`` is what quantisation costs, in shares of the pictures, with its interval by visit.
    """
    names = [logits.argmax(axis=1) for logits in (float_logits, litert.logits, tflite.logits)]
    in_float, in_int8, in_tflite = names
    allowed = np.array([[label in sample.allowed for label in LABELS] for sample in samples])
    items = np.arange(len(samples))
    change = allowed[items, in_int8].astype(float) - allowed[items, in_float]
    figures = [
        bootstrap("int8_float_accuracy_change", lambda i: float(change[i].mean()), visits_of(samples)),
        wilson("int8_float_agreement", int(np.sum(in_float == in_int8)), len(items)),
        wilson("litert_tflite_agreement", int(np.sum(in_tflite == in_int8)), len(items)),
    ]
    for index, label in enumerate(LABELS):
        mine = in_float == index
        if mine.any():
            same = int(np.sum(in_int8[mine] == index))
            figures.append(wilson(f"int8_float_agreement_{label}", same, int(mine.sum())))
    return figures


def largest_difference_lsb(one: Run, other: Run) -> int:
    """Return the largest difference of any output of two runs, in steps of int8."""
    pairs = ((one.logits, other.logits), (one.embedding, other.embedding))
    return max(int(np.max(np.abs(a.astype(int) - b.astype(int)))) for a, b in pairs)
