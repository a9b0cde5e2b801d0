"""Models and visits for the tests of trials: what a model says is written into the first pixel of every patch."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from stand_ins import clock_at_1000_s

from edge.errors import HardwareError
from edge.features import Recipe
from edge.identity import Recogniser
from edge.messages import (
    LABELS,
    Bounds,
    Box,
    EvidenceSettings,
    Label,
    Motion,
    MotionWhy,
    Observation,
    Patch,
    Quality,
    QualityWhy,
    Residents,
    Rules,
)
from edge.pipeline import Judging, Model
from edge.policy import VisitJudge
from edge.scoring import Calibration, Quantisation
from edge.visits import OpenVisit, Provenance

if TYPE_CHECKING:
    import numpy.typing as npt

    from edge.messages import Visit

SIDE = 32
RULES = Rules(
    evidence=EvidenceSettings((1 / 6,) * 6, 2.0, 2.0, 0.2, 20.0, 3),
    bounds=Bounds(admit=3.9, refuse=-3.0, prey=3.0),
    residents=Residents((), any_cat=True),
    blind_after_s=3.0,
)
MOVING = Motion(True, MotionWhy.MOVING, Box(0, 0, SIDE, SIDE), 0.2)
CLEAR = Quality(True, QualityWhy.OK, 100.0, 40.0, 9.0)


@dataclass
class Reader:
    """An interpreter that reads what it is to say off the patch; one that ``swaps`` says another label instead."""

    swaps: dict[Label, Label] = field(default_factory=dict)
    dies_at: int | None = None
    asked: int = 0
    runtime = "reader 1"

    def invoke(self, tensor: npt.NDArray[np.int8]) -> tuple[npt.NDArray[np.int8], ...]:
        """Say it, or fail at the n-th time."""
        self.asked += 1
        if self.asked == self.dies_at:
            raise HardwareError("the runtime gave up")
        seen = LABELS[int(tensor[0, 0, 0, 0]) + 128]
        logits = np.full((1, len(LABELS)), -128, np.int8)
        logits[0, LABELS.index(self.swaps.get(seen, seen))] = 127
        return logits, np.ones((1, 4), np.int8)


def judging(model_id: str, reader: Reader, side_px: int = SIDE) -> Judging:
    """Return by what such a model judges."""
    unit = Quantisation(0.05, 0)
    recipe = Recipe(side_px, side_px, 0.1, 0.2, 1.0)
    model = Model(reader, recipe, unit, unit, Calibration(1.0, (0.0,) * len(LABELS)))
    return Judging(model, Recogniser((), None), Provenance(model_id, reader.runtime, "config", RULES))


def visit(number: int, label: Label, by: Judging, frames: int = 6) -> Visit:
    """Return a visit of one label, judged as the loop judges it, by a model alone or with one that watches."""
    rng = np.random.default_rng(number)
    clock = clock_at_1000_s()
    one = OpenVisit(clock.wall(), 0, number, VisitJudge(by.provenance.rules))
    for i in range(frames):
        pixels = rng.integers(0, 256, (SIDE, SIDE), dtype=np.uint8)
        pixels[0, 0] = LABELS.index(label)
        patch = Patch(pixels, Box(0, 0, SIDE, SIDE))
        second = None if by.second is None else by.second.score(patch)
        seen = Observation(i, i * 100_000_000, MOVING, CLEAR, patch, by.model.score(patch), (), second)
        one.observe(seen, lambda: None)
    return one.close(frames * 100_000_000, by.provenance)
