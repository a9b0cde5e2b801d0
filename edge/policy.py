"""Evidence over a visit: a sequential probability ratio test with the owner's two budgets. Floor 2."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class EvidenceSettings:
    """What the model's maker says about turning its scores into evidence; travels in the signed manifest.

    ``priors`` are the class shares the calibration was fitted on, in the order of ``LABELS``: dividing them out turns
    a posterior into a likelihood ratio. One frame adds at most ``llr_cap`` to the case for a clean cat and at most
    ``prey_llr_cap`` to the case for prey. A frame that looks like the one before it counts less: its weight is the mean
    absolute difference of the two patches divided by ``discount_scale`` grey levels, kept within ``discount_floor``..1.
    Fewer than ``min_frames`` frames of evidence never open the door.
    """

    priors: tuple[float, ...]
    llr_cap: float
    prey_llr_cap: float
    discount_floor: float
    discount_scale: float
    min_frames: int
