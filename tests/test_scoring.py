"""The scoring layer."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.messages import LABELS
from edge.scoring import Calibration, Quantisation, calibrated

PLAIN = Calibration(temperature=1.0, bias=(0.0,) * 6)
UNIT = Quantisation(scale=1.0, zero_point=0)
int8s = st.lists(st.integers(-128, 127), min_size=6, max_size=6)


def array(values: list[int]) -> np.ndarray[tuple[int, int], np.dtype[np.int8]]:
    """Return an output as a runtime gives it."""
    return np.array([values], np.int8)


@given(int8s, st.floats(0.05, 20.0))
def test_probabilities_sum_to_one(logits: list[int], temperature: float) -> None:
    """Whatever the outputs, the scores are probabilities over the labels."""
    scores = calibrated(array(logits), array([1, 0]), UNIT, UNIT, Calibration(temperature, (0.0,) * 6))
    in_range = all(0.0 <= p <= 1.0 for p in scores.probabilities)
    assert (len(LABELS), True, True) == (
        len(scores.probabilities),
        in_range,
        math.isclose(1.0, math.fsum(scores.probabilities)),
    )


def test_quantisation_temperature_and_bias_are_applied() -> None:
    """A score is softmax of (q - zero point) * scale / temperature + bias."""
    calibration = Calibration(temperature=2.0, bias=(0.5, 0.0, 0.0, 0.0, 0.0, 0.0))
    scores = calibrated(array([12, 2, 2, 2, 2, 2]), array([1]), Quantisation(0.1, 2), UNIT, calibration)
    top = math.exp(10 * 0.1 / 2 + 0.5)
    assert pytest.approx(top / (top + 5)) == scores.probabilities[0]


@given(st.lists(st.integers(-128, 127), min_size=4, max_size=32))
def test_the_embedding_has_unit_length(values: list[int]) -> None:
    """The embedding is normalised; one of nothing stays nothing."""
    scores = calibrated(array([0] * 6), array(values), UNIT, UNIT, PLAIN)
    length = math.sqrt(math.fsum(value * value for value in scores.embedding))
    assert pytest.approx(1.0 if any(values) else 0.0) == length


def test_a_wrong_number_of_logits_is_refused() -> None:
    """An output that does not fit the labels is never read as if it did."""
    with pytest.raises(ValueError, match="5 logits for 6 labels"):
        calibrated(array([0] * 5), array([1]), UNIT, UNIT, PLAIN)
