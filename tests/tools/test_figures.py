"""The fit of the calibration, against what was put in."""

from __future__ import annotations

import numpy as np
import pytest
from dataset import allowed_flags
from figures import calibrate, even_weights, fit_calibration, flap_priors, softmax
from samples_made import sample

from edge.messages import LABELS
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


def test_priors_are_the_square_roots_of_what_came_to_a_flap() -> None:
    """Classes are as common as the roots of their counts in dated visits, each counted once more."""
    dated = [sample("cat_clear", taken="2014-01-01T00:00:00")] * 8 + [sample("empty", taken="2014-01-01T00:00:00")] * 3
    undated = [sample("person")] * 40
    counts = np.array([4.0, 1.0, 9.0, 1.0, 1.0, 1.0])
    assert np.allclose(np.sqrt(counts) / np.sqrt(counts).sum(), flap_priors([*dated, *undated]))
    assert np.allclose(1 / len(LABELS), flap_priors(undated))


def test_priors_change_the_winner_and_nothing_else() -> None:
    """Divided by its priors, a calibrated score is what it was where every class counted alike."""
    rng = np.random.default_rng(0)
    logits = rng.normal(0, 2, (40, 6))
    samples = [sample("cat_clear", taken="2014-01-01T00:00:00")] * 30 + [sample("person", home="b")] * 10
    fitted = calibrate(logits, samples)
    even = softmax(logits, fit_calibration(logits, allowed_flags(samples), even_weights(samples)))
    divided = softmax(logits, fitted.calibration) / np.array(fitted.priors)
    assert np.allclose(even, divided / divided.sum(axis=1, keepdims=True))
