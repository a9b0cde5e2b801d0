"""The teacher: EfficientNet-Lite2; its last blocks learn, the first stay as ImageNet left them. Needs torch.

What the first blocks see of a picture is the same for every teacher, with or without a home, so it is computed once
(``Views``); what is learnt on top takes minutes. Normalisation keeps ImageNet's statistics: a batch of one flap's
frames is no picture of the world.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import lite_net
import numpy as np
import numpy.typing as npt
import torch
from augment import Augmenter
from dataset import Flags, Sample, allowed_flags, draw_weights, plain_patches
from learning import Schedule, learn
from losses import partial_label_loss
from torch import nn
from torch.nn import functional

from edge.features import Recipe
from edge.messages import LABELS

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from edge.evaluation import Indices, Reals
    from edge.messages import Grey

RECIPE = Recipe(width_px=192, height_px=144, margin=0.25, min_fraction=0.6, max_gain=4.0)
FIRST_LEARNING_BLOCK = 15
"""Blocks from here on learn: they see a sixteenth of the width and height, and hold four fifths of the weights."""

Halves = npt.NDArray[np.float16]
_AT_ONCE = 16


@dataclass(frozen=True, slots=True, eq=False)
class Views:
    """What the first blocks see of views of samples, float16 (count, channels, height, width).

    ``of`` is the index of each view's sample. The first ``plain`` views are the samples as the device would cut them,
    in their order; the rest are augmented.
    """

    seen: Halves
    of: Indices
    plain: int


@dataclass(frozen=True, slots=True, eq=False)
class Judgement:
    """What a teacher makes of samples: probabilities (count, labels) and pooled features (count, 1280)."""

    probabilities: Reals
    features: npt.NDArray[np.float32]


def look(samples: Sequence[Sample], augmented: int, seed: int, shown: Callable[[int, float], None]) -> Views:
    """Return every sample's plain view, and augmented ones of labelled training samples drawn by ``draw_weights``."""
    training = [index for index, sample in enumerate(samples) if sample.part == "train" and sample.labelled]
    rng, augmenter = np.random.default_rng(seed), Augmenter(RECIPE)
    drawn = np.empty(0, np.int64)
    if augmented:
        drawn = rng.choice(training, augmented, p=draw_weights([samples[index] for index in training]))
    trunk = _trunk()
    of, parts = np.concatenate([np.arange(len(samples)), drawn]), []
    for start in range(0, len(of), _AT_ONCE):
        chosen = range(start, min(start + _AT_ONCE, len(of)))
        patches = [_view(samples[of[at]], augmenter if at >= len(samples) else None, rng) for at in chosen]
        with torch.no_grad():
            parts.append(trunk(lite_net.as_tensor(np.stack(patches))).numpy().astype(np.float16))
        shown(len(patches), float("nan"))
    return Views(np.concatenate(parts), of, len(samples))


def _view(sample: Sample, augmenter: Augmenter | None, rng: np.random.Generator) -> Grey:
    return plain_patches([sample], RECIPE)[0] if augmenter is None else augmenter.patch(sample, rng)


def _trunk() -> Any:  # noqa: ANN401 - tensors have no type where torch is not installed
    known = lite_net.lite2()
    trunk = nn.Sequential(lite_net.stem(known), lite_net.blocks(known, range(FIRST_LEARNING_BLOCK)))
    return lite_net.folded(trunk).eval().to(memory_format=torch.channels_last)


class Teacher(nn.Module):  # type: ignore[misc] # torch is not installed where types are checked
    """What the first blocks saw in; logits (count, labels) and pooled features (count, 1280) out."""

    def __init__(self) -> None:
        """Start from ImageNet, with fresh logits."""
        super().__init__()
        known = lite_net.lite2()
        last = lite_net.blocks(known, range(FIRST_LEARNING_BLOCK, known.blocks))
        self.known = lite_net.folded(nn.Sequential(last, lite_net.head(known)))
        self._drop = nn.Dropout(0.2)
        self.logits = nn.Linear(len(known.weights["_fc.weight"][0]), len(LABELS))

    def forward(self, seen: Any) -> tuple[Any, Any]:  # noqa: ANN401 - as above
        """Return logits and features."""
        features = self.known(seen)
        return self.logits(self._drop(features)), features


class _Lesson:
    """Draws batches of known views."""

    def __init__(self, views: Views, chosen: Indices, allowed: Flags, start: Teacher | None = None) -> None:
        self.net = (start or Teacher()).to(memory_format=torch.channels_last)
        self._views, self._chosen, self._allowed = views, chosen, allowed

    def known_and_new(self) -> tuple[list[Any], list[Any]]:
        return list(self.net.known.parameters()), list(self.net.logits.parameters())

    def loss(self, rng: np.random.Generator, batch: int) -> Any:  # noqa: ANN401 - as above
        at = rng.choice(self._chosen, batch)
        logits, _ = self.net(_tensor(self._views.seen[at]))
        return partial_label_loss(logits, torch.from_numpy(self._allowed[self._views.of[at]]))


def train_teacher(
    views: Views,
    samples: Sequence[Sample],
    without: tuple[str, ...],
    schedule: Schedule,
    kept_and_shown: tuple[Path | None, Callable[[int, float], None]],
) -> Teacher:
    """Train on the augmented views of labelled training samples, but for some homes; the last two as ``learn``."""
    known = np.array([s.part == "train" and s.labelled and s.home not in without for s in samples])
    chosen = views.plain + np.flatnonzero(known[views.of[views.plain :]])
    trained: Teacher = learn(_Lesson(views, chosen, allowed_flags(samples)), schedule, *kept_and_shown)
    return trained


def tune_teacher(
    teacher: Teacher,
    views_and_chosen: tuple[Views, Indices],
    samples: Sequence[Sample],
    schedule: Schedule,
    shown: Callable[[int, float], None],
) -> Teacher:
    """Let a copy of a teacher learn on from chosen views, each as often as it is named; ``samples`` are the views'."""
    start, (views, chosen) = copy.deepcopy(teacher), views_and_chosen
    tuned: Teacher = learn(_Lesson(views, chosen, allowed_flags(samples), start), schedule, None, shown)
    return tuned


def judge(teacher: Teacher, views: Views, samples: Indices) -> Judgement:
    """Return what a teacher makes of some samples as the device would cut them."""
    return Judgement(*_run(teacher, views.seen, samples))


def judge_plain(teacher: Teacher, views: Views, samples: Indices) -> Reals:
    """Return only the probabilities of ``judge``."""
    return judge(teacher, views, samples).probabilities


def _run(teacher: Teacher, seen: Halves, at: Indices) -> tuple[Reals, npt.NDArray[np.float32]]:
    logits, features = [], []
    with torch.no_grad():
        for start in range(0, len(at), 64):
            told = teacher(_tensor(seen[at[start : start + 64]]))
            logits.append(functional.softmax(told[0].double(), dim=1).numpy())
            features.append(told[1].numpy())
    return np.concatenate(logits), np.concatenate(features)


def _tensor(seen: Halves) -> Any:  # noqa: ANN401 - as above
    return torch.from_numpy(seen).float().contiguous(memory_format=torch.channels_last)
