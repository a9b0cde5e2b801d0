"""The student: the first blocks of EfficientNet-Lite0, the early ones thinned, and what it is taught. Needs torch.

Blocks keep the weights they learnt on ImageNet and learn slower than what is new: 6,500 pictures are too few to learn
to see from nothing (tried: after as long, such a student still guessed), and enough to forget it (tried: at the full
rate it knew the pictures it had learnt from and guessed at a flap it had not seen). ReLU6 and no squeeze-and-excite
keep every tensor in int8. Size and width were chosen by ``tools/pareto.py``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import lite_net
import numpy as np
import numpy.typing as npt
import torch
from augment import Augmenter
from dataset import Sample, allowed_flags, draw_weights
from learning import Schedule, learn
from losses import identity_loss, likeness_loss, partial_label_loss, soft_label_loss
from torch import nn

from edge.features import Recipe
from edge.messages import LABELS

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from edge.evaluation import Reals
    from edge.messages import Grey

EMBEDDING = 32
_HEAD = 256


@dataclass(frozen=True, slots=True)
class Design:
    """What a student looks like.

    ``blocks`` of EfficientNet-Lite0 are kept; ``thinned`` of them, after the first, keep only ``share`` of their inner
    channels. ``recipe`` is how its patches are cut.
    """

    recipe: Recipe
    blocks: int
    thinned: int
    share: float

    def __str__(self) -> str:
        """Return a name for files and tables."""
        return f"student-{self.recipe.width_px}px-{self.blocks}-{self.thinned}x{self.share}"


def recipe_of(width_px: int) -> Recipe:
    """Return the recipe for patches of this width, three quarters as high."""
    return Recipe(width_px=width_px, height_px=width_px * 3 // 4, margin=0.25, min_fraction=0.6, max_gain=4.0)


SHIPPED = Design(recipe_of(96), blocks=11, thinned=0, share=1.0)


@dataclass(frozen=True, slots=True)
class Weighting:
    """How much each part of the lesson counts. ``soft`` is the teacher's share of what is said about classes."""

    soft: float
    likeness: float
    identity: float


DISTILLED = Weighting(soft=0.5, likeness=0.1, identity=0.02)
HARD_ONLY = Weighting(soft=0.0, likeness=0.0, identity=0.02)


@dataclass(frozen=True, slots=True, eq=False)
class Told:
    """What a teacher said of samples, in their order: probabilities (count, labels) and embeddings (count, 32).

    A row of nan is a sample it was not asked about, or that has no features worth resembling.
    """

    probabilities: npt.NDArray[np.float32]
    embeddings: npt.NDArray[np.float32]


def untold(count: int) -> Told:
    """Return a teacher's silence."""
    return Told(np.full((count, len(LABELS)), np.nan, np.float32), np.full((count, EMBEDDING), np.nan, np.float32))


def unsure(count: int) -> Told:
    """Return what is to be said of samples that are like nothing known: any class, as likely as another."""
    return Told(np.full((count, len(LABELS)), 1 / len(LABELS), np.float32), untold(count).embeddings)


class Student(nn.Module):  # type: ignore[misc] # torch is not installed where types are checked
    """Grey patch in, (count, 1, height, width) from -1 to 1; logits (count, labels) and embedding (count, 32) out."""

    def __init__(self, design: Design) -> None:
        """Build with ImageNet's weights and fresh heads."""
        super().__init__()
        known = lite_net.narrowed(lite_net.lite0(), design.thinned, design.share)
        self.known = nn.Sequential(lite_net.stem(known), lite_net.blocks(known, range(design.blocks)))
        last = lite_net.convolution(known.after(design.blocks - 1), _HEAD, 1)
        self._fresh = nn.Sequential(*last, nn.AdaptiveAvgPool2d(1), nn.Flatten())
        self._drop = nn.Dropout(0.2)
        self._logits = nn.Linear(_HEAD, len(LABELS))
        self._embedding = nn.Linear(_HEAD, EMBEDDING)

    def forward(self, x: Any) -> tuple[Any, Any]:  # noqa: ANN401 - tensors have no type where torch is not installed
        """Return logits and embedding."""
        features = self._fresh(self.known(x))
        return self._logits(self._drop(features)), self._embedding(features)

    def hold_statistics(self) -> None:
        """Normalise by what it has seen so far, also while it learns: a batch of one flap's frames is not the world."""
        for part in self.modules():
            if isinstance(part, nn.BatchNorm2d):
                part.eval()

    def new(self) -> list[Any]:
        """Return the weights that ImageNet taught nothing."""
        return [one for part in (self._fresh, self._logits, self._embedding) for one in part.parameters()]


@dataclass(frozen=True, slots=True, eq=False)
class Lesson:
    """What a student is to learn, and from where it starts (None: from ImageNet).

    One that knows something already keeps the statistics by which it normalises.
    """

    samples: Sequence[Sample]
    told: Told
    design: Design
    weighting: Weighting
    start: Student | None = None
    weights: Reals | None = None  # how often each sample is drawn; None: ``draw_weights``


def teach(lesson: Lesson, schedule: Schedule, kept: Path | None, shown: Callable[[int, float], None]) -> Student:
    """Train; the same seed, samples and number of threads give the same student but for rounding."""
    torch.manual_seed(schedule.seed)
    student: Student = learn(_Pupil(lesson), schedule, kept, shown)
    return student


class _Pupil:
    """Draws augmented batches and says what they cost."""

    def __init__(self, lesson: Lesson) -> None:
        samples = lesson.samples
        self.net = (lesson.start or Student(lesson.design)).to(memory_format=torch.channels_last)
        self._lesson, self._augmenter = lesson, Augmenter(lesson.design.recipe)
        self._weights = draw_weights(samples) if lesson.weights is None else lesson.weights
        self._allowed = allowed_flags(samples)
        self._who = np.array([sample.individual for sample in samples], np.int64)
        self._faces = nn.Parameter(torch.randn(max(1 + int(self._who.max()), 1), EMBEDDING))

    def known_and_new(self) -> tuple[list[Any], list[Any]]:
        return list(self.net.known.parameters()), [*self.net.new(), self._faces]

    def loss(self, rng: np.random.Generator, batch: int) -> Any:  # noqa: ANN401 - as above
        if self._lesson.start is not None:
            self.net.hold_statistics()
        chosen = rng.choice(len(self._weights), batch, p=self._weights)
        patches = np.stack([self._augmenter.patch(self._lesson.samples[index], rng) for index in chosen])
        logits, embedding = self.net(lite_net.as_tensor(patches))
        weighting, allowed = self._lesson.weighting, torch.from_numpy(self._allowed[chosen])
        loss = (1 - weighting.soft) * partial_label_loss(logits, allowed)
        loss = loss + weighting.identity * identity_loss(embedding, self._faces, torch.from_numpy(self._who[chosen]))
        return loss + self._resembling(logits, embedding, chosen, allowed)

    def _resembling(self, logits: Any, embedding: Any, chosen: Any, allowed: Any) -> Any:  # noqa: ANN401 - as above
        """What it costs not to be like the teacher; where the teacher was not asked the label counts whole."""
        weighting, told = self._lesson.weighting, self._lesson.told
        said = torch.from_numpy(told.probabilities[chosen])
        asked = ~torch.isnan(said[:, 0])
        share = asked.float().mean()
        loss = torch.zeros(())
        if weighting.soft and bool((~asked).any()):
            loss = loss + weighting.soft * (1 - share) * partial_label_loss(logits[~asked], allowed[~asked])
        if weighting.soft and bool(asked.any()):
            loss = loss + weighting.soft * share * soft_label_loss(logits[asked], said[asked])
            wanted = torch.from_numpy(told.embeddings[chosen])
            seen = asked & ~torch.isnan(wanted[:, 0])
            if bool(seen.any()):
                loss = loss + weighting.likeness * seen.float().mean() * likeness_loss(embedding[seen], wanted[seen])
        return loss


def float_logits(net: Student, patches: Grey) -> npt.NDArray[np.float64]:
    """Return the float network's logits, (count, labels)."""
    return _told(net, patches, 0)


def float_embeddings(net: Student, patches: Grey) -> npt.NDArray[np.float64]:
    """Return the float network's embeddings as they leave it, (count, 32)."""
    return _told(net, patches, 1)


def _told(net: Student, patches: Grey, which: int) -> npt.NDArray[np.float64]:
    with torch.no_grad():
        parts = [
            net(lite_net.as_tensor(patches[start : start + 64]))[which].numpy() for start in range(0, len(patches), 64)
        ]
    told: npt.NDArray[np.float64] = np.concatenate(parts).astype(np.float64)
    return told
