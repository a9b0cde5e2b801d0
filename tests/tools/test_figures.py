"""Figures and their intervals, against values known otherwise."""

from __future__ import annotations

import math

import numpy as np
import pytest
from figures import auc, balanced_accuracy, bootstrap, calibration_error, fit_calibration, softmax, wilson
from hypothesis import given
from hypothesis import strategies as st

from edge.scoring import Calibration


def test_wilson_against_a_printed_value() -> None:
    """81 of 263: 0.2553 to 0.3662 (Newcombe, Statistics in Medicine 1998, table I, method 3)."""
    figure = wilson("x", 81, 263)
    assert pytest.approx(0.2553, abs=1e-4) == figure.low
    assert pytest.approx(0.3662, abs=1e-4) == figure.high


@given(st.integers(1, 1000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_wilson_holds_its_share(counts: tuple[int, int]) -> None:
    """The interval lies within 0..1 and holds the share, at 0 and at all of them too."""
    figure = wilson("x", *counts)
    assert 0 <= figure.low <= figure.value <= figure.high <= 1


def test_auc_is_the_share_of_pairs_in_order() -> None:
    """Pairs in the right order count 1, ties a half; without either class there is no answer."""
    assert 0.75 == auc(np.array([1.0, 2.0]), np.array([0.0, 1.5]))
    assert 0.5 == auc(np.array([1.0]), np.array([1.0]))
    assert math.isnan(auc(np.array([]), np.array([1.0])))


def test_balanced_accuracy_counts_classes_not_pictures() -> None:
    """Nine right of a common class and none of a rare one is a half."""
    assert 0.5 == balanced_accuracy(np.array([0] * 9 + [1]), np.zeros(10, np.int64))


def test_the_bootstrap_resamples_visits() -> None:
    """Ten equal frames of two visits say as little as two frames."""
    values = np.repeat([0.0, 1.0], 10)
    figure = bootstrap("x", lambda chosen: float(values[chosen].mean()), ["a"] * 10 + ["b"] * 10)
    assert (0.0, 0.5, 1.0, 20) == (figure.low, figure.value, figure.high, figure.count)


def test_calibration_error_of_the_always_sure() -> None:
    """Sure of everything and right half the time is off by a half."""
    sure = np.tile([1.0, 0.0], (10, 1))
    assert 0.5 == calibration_error(sure, np.arange(10) % 2 == 0)


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
