"""Builders of the house's words, shared by the tests of the middle floors."""

from __future__ import annotations

import numpy as np

from edge.messages import (
    LABELS,
    Bounds,
    Box,
    EvidenceSettings,
    Frame,
    Grey,
    Label,
    Motion,
    MotionWhy,
    Needs,
    Observation,
    Patch,
    Quality,
    QualityWhy,
    Resident,
    Residents,
    Rules,
    Scores,
)

WHOLE = Box(0, 0, 320, 240)
MOVING = Motion(present=True, why=MotionWhy.MOVING, box=WHOLE, area_fraction=0.3)
STILL = Motion(present=False, why=MotionWhy.STILL, box=None, area_fraction=0.0)
GOOD = Quality(ok=True, why=QualityWhy.OK, mean=90.0, contrast=40.0, sharpness=0.2)

EVIDENCE = EvidenceSettings(
    priors=(1 / 6,) * 6, llr_cap=3.0, prey_llr_cap=2.0, discount_floor=0.25, discount_scale=6.0, min_frames=3
)
BOUNDS = Bounds(admit=3.9, refuse=-3.0, prey=3.0)
MIMIS_CHIP = "276098106123456"
MIMI = Residents((Resident("Mimi", MIMIS_CHIP, Needs.CHIP, prey_check=True),), any_cat=False)
STRANGE_CHIP = "999000000000001"


def rules(*, residents: Residents = MIMI, blind_after_s: float = 3.0) -> Rules:
    """Return rules as a common configuration has them."""
    return Rules(EVIDENCE, BOUNDS, residents, blind_after_s)


def scores(label: Label, probability: float = 0.95) -> Scores:
    """Return scores that give ``label`` this probability and share the rest."""
    rest = (1.0 - probability) / (len(LABELS) - 1)
    return Scores(tuple(probability if entry is label else rest for entry in LABELS), (1.0, 0.0))


def patch(seed: int) -> Patch:
    """Return a patch of noise: two of different seeds are as different as two frames can be."""
    return Patch(np.random.default_rng(seed).integers(0, 256, (12, 16), dtype=np.uint8), WHOLE)


def seen(index: int, label: Label, probability: float = 0.95, *, same_patch: bool = False) -> Observation:
    """Return the ``index``-th frame of a visit, a tenth of a second after the one before, believed and scored."""
    picture = patch(0 if same_patch else index)
    return Observation(index, index * 100_000_000, MOVING, GOOD, picture, scores(label, probability))


def unseen(index: int, why: QualityWhy) -> Observation:
    """Return a frame that is no evidence."""
    bad = Quality(ok=False, why=why, mean=3.0, contrast=1.0, sharpness=0.0)
    return Observation(index, index * 100_000_000, MOVING, bad, None, None)


def noise_frame(seq: int, base: Grey, seed: int = 7) -> Frame:
    """Return ``base`` with a sensor's noise, as frame ``seq`` of a camera of ten frames a second."""
    noise = np.random.default_rng(seed + seq).normal(0.0, 2.0, base.shape)
    return Frame(seq, seq * 100_000_000, np.clip(base + noise, 0, 255).astype(np.uint8))
