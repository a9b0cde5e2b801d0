"""The scoring layer: raw int8 outputs to calibrated scores. Floor 2."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from edge.messages import LABELS, Scores

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt


@dataclass(frozen=True, slots=True)
class Quantisation:
    """How an int8 output reads as a real number: ``(q - zero_point) * scale``."""

    scale: float
    zero_point: int


@dataclass(frozen=True, slots=True)
class Calibration:
    """Vector scaling of the logits: ``logit / temperature + bias``, fitted on held-out visits.

    Source: Guo et al., "On Calibration of Modern Neural Networks", ICML 2017. ``bias`` has one entry per label.
    """

    temperature: float
    bias: tuple[float, ...]


def calibrated(
    logits: npt.NDArray[np.int8],
    embedding: npt.NDArray[np.int8],
    logit_scale: Quantisation,
    embedding_scale: Quantisation,
    calibration: Calibration,
) -> Scores:
    """Turn one patch's outputs into probabilities and a unit-length embedding.

    Args:
        logits: int8, one per label (any shape of that size).
        embedding: int8, any shape.
        logit_scale: of the logits.
        embedding_scale: of the embedding.
        calibration: from the manifest.
    """
    real = [(q - logit_scale.zero_point) * logit_scale.scale for q in logits.ravel().tolist()]
    return Scores(_softmax(real, calibration), _unit(embedding, embedding_scale))


def _softmax(logits: list[float], calibration: Calibration) -> tuple[float, ...]:
    if len(logits) != len(LABELS):
        raise ValueError(f"{len(logits)} logits for {len(LABELS)} labels")
    # Six numbers: plain Python is faster than numpy here and the same on every machine.
    scaled = [value / calibration.temperature + bias for value, bias in zip(logits, calibration.bias, strict=True)]
    top = max(scaled)
    powers = [math.exp(value - top) for value in scaled]
    total = math.fsum(powers)
    return tuple(power / total for power in powers)


def _unit(embedding: npt.NDArray[np.int8], scale: Quantisation) -> tuple[float, ...]:
    real = [(q - scale.zero_point) * scale.scale for q in embedding.ravel().tolist()]
    length = math.sqrt(math.fsum(value * value for value in real)) or 1.0
    return tuple(value / length for value in real)
