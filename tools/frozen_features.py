"""The strongest of the baselines: what ImageNet taught EfficientNet-Lite0, and a logistic regression. Needs torch."""

from __future__ import annotations

from typing import TYPE_CHECKING

import lite_net
import numpy as np
import torch
from dataset import COARSE, plain_patches
from torch import nn
from torch.nn import functional

from edge.features import Recipe

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt
    from dataset import Sample

    from edge.evaluation import Reals
    from edge.messages import Grey

_RECIPE = Recipe(width_px=160, height_px=120, margin=0.25, min_fraction=0.6, max_gain=4.0)
_BLOCKS = 12
"""Of the sixteen; what the last four see on so small a picture is hardly a picture any more."""

_DECAY = 1e-2
_ITERATIONS = 60


class FrozenFeatures:
    """Features that never learn, and a linear classifier that does; features of a picture are computed once."""

    name = "frozen EfficientNet-Lite0, logistic regression"

    def __init__(self) -> None:
        """Start with no picture seen."""
        self._seen: dict[int, npt.NDArray[np.float32]] = {}

    def judge(self, train: Sequence[Sample], test: Sequence[Sample]) -> Reals:
        """Learn from one set and return probabilities for the other, (count, coarse classes)."""
        known, asked = self._features(train), self._features(test)
        middle, spread = known.mean(axis=0), known.std(axis=0) + 1e-3
        weights = _fit((known - middle) / spread, np.array([COARSE.index(sample.coarse) for sample in train]))
        logits = torch.from_numpy((asked - middle) / spread) @ weights[:-1] + weights[-1]
        probabilities: Reals = functional.softmax(logits, dim=1).numpy().astype(np.float64)
        return probabilities

    def _features(self, samples: Sequence[Sample]) -> npt.NDArray[np.float32]:
        new = [sample for sample in samples if id(sample) not in self._seen]
        if new:
            found = _see(plain_patches(new, _RECIPE))
            self._seen |= {id(sample): row for sample, row in zip(new, found, strict=True)}
        return np.stack([self._seen[id(sample)] for sample in samples])


def _see(patches: Grey) -> npt.NDArray[np.float32]:
    """Return means and maxima over the picture of what the blocks see, side by side: (count, 2 x channels)."""
    known = lite_net.lite0()
    trunk = nn.Sequential(lite_net.stem(known), lite_net.blocks(known, range(_BLOCKS))).eval()
    parts = []
    with torch.no_grad():
        for start in range(0, len(patches), 64):
            seen = trunk(lite_net.as_tensor(patches[start : start + 64]))
            parts.append(torch.cat([seen.mean((2, 3)), seen.amax((2, 3))], 1).numpy())
    features: npt.NDArray[np.float32] = np.concatenate(parts)
    return features


def _fit(features: npt.NDArray[np.float32], truth: npt.NDArray[np.int64]) -> torch.Tensor:
    """Return weights and, in the last row, biases, of a multinomial regression with a quadratic penalty."""
    given, wanted = torch.from_numpy(features), torch.from_numpy(truth)
    weights = torch.zeros(features.shape[1] + 1, len(COARSE), requires_grad=True)
    optimiser = torch.optim.LBFGS([weights], max_iter=_ITERATIONS, line_search_fn="strong_wolfe")

    def loss() -> torch.Tensor:
        optimiser.zero_grad()
        error = functional.cross_entropy(given @ weights[:-1] + weights[-1], wanted)
        total = error + _DECAY * (weights[:-1] ** 2).sum()
        total.backward()
        return total

    optimiser.step(loss)
    return weights.detach()
