"""The fit of the calibration, against what was put in."""

from __future__ import annotations

import numpy as np
import pytest
from figures import fit_calibration, softmax

from edge.scoring import Calibration


def test_fitting_finds_the_temperature_and_the_shift() -> None:
    """Logits that were drawn at temperature 2 with a shifted class are put right again."""
    rng = np.random.default_rng(0)
    logits, shift = rng.normal(0, 3, (20_000, 6)), np.array([1.0, 0, 0, 0, 0, -1.0])
    shares = softmax(logits, Calibration(2.0, tuple(shift)))
    drawn = (shares.cumsum(axis=1) > rng.random((20_000, 1))).argmax(axis=1)
    found = fit_calibration(logits, np.eye(6, dtype=bool)[drawn], np.ones(20_000), 1500)
    assert pytest.approx(2.0, abs=0.15) == found.temperature
    assert np.allclose(shift, found.bias, atol=0.15)


def test_a_partial_label_does_not_choose() -> None:
    """Pictures whose label leaves two classes open pull towards neither."""
    logits, allowed = np.zeros((50, 6)), np.tile([False, True, True, False, False, False], (50, 1))
    found = fit_calibration(logits, allowed, np.ones(50), 200)
    assert pytest.approx(found.bias[1]) == found.bias[2]
    assert found.bias[1] > found.bias[0]
