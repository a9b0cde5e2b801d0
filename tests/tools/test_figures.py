"""The fit of the calibration, against what was put in."""

from __future__ import annotations

import numpy as np
import pytest
from figures import fit_calibration, flap_priors, flap_weights, softmax
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


def test_the_flaps_own_visits_say_what_is_common() -> None:
    """Square roots of the counts with one added, of dated visits alone; without any every class is as common."""
    dated = [sample("cat_clear", taken="2014-01-30T01:00:00")] * 8 + [sample("empty", taken="2014-01-30T01:00:00")] * 3
    shares = np.array([2.0, 1.0, 3.0, 1.0, 1.0, 1.0])
    assert pytest.approx(shares / shares.sum()) == flap_priors([*dated, *[sample("person")] * 50])
    assert pytest.approx([1 / 6] * 6) == flap_priors([sample("person")] * 5)


def test_weights_make_classes_as_common_as_the_priors_and_homes_alike() -> None:
    """However many pictures there are; a partial label takes half of what its classes weigh."""
    known = [
        *[sample("cat_clear", home="tunnel")] * 5,
        sample("cat_clear", home="feral"),
        *[sample("cat_hidden", home="tunnel")] * 2,
        *[sample("cat", home="feral")] * 7,
        *[sample(label) for label in ("empty", "cat_prey", "other_animal", "person")],
    ]
    priors = np.array([0.1, 0.2, 0.4, 0.1, 0.1, 0.1])
    weights = flap_weights(known, priors)
    totals = {name: weights[[one.label == name for one in known]].sum() for name in (*LABELS, "cat")}
    assert pytest.approx([0.1, 0.1, 0.2, 0.1, 0.1, 0.1]) == [totals[label] for label in LABELS]
    assert pytest.approx(0.3) == totals["cat"]
    assert pytest.approx(weights[:5].sum()) == weights[5]
