"""The figures of the sequential test: drawn visits are what they are said to be, and every table has its rows."""

from __future__ import annotations

import itertools
from dataclasses import replace

import error_rates
import numpy as np
import pytest
from drawn_visits import Kind, drawn
from error_rates_page import page
from fixed_rule import NEVER, Errors, FixedRule, best, errors_of
from words import EVIDENCE

from edge.messages import LABELS, Label
from edge.policy import novelty

CLEAR, PREY = LABELS.index(Label.CAT_CLEAR), LABELS.index(Label.CAT_PREY)
SETTINGS = replace(EVIDENCE, discount_scale=error_rates.LOOK_GREY, discount_floor=error_rates.FLOOR)
SEEN = replace(error_rates.LAW, hidden=0.0)


def told(probabilities: list[list[float]], label: Label) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    """Return posteriors (visits, frames, labels) that give one label these probabilities."""
    posteriors = np.zeros((len(probabilities), len(probabilities[0]), len(LABELS)), np.float32)
    posteriors[..., LABELS.index(label)] = probabilities
    return posteriors


def test_drawn_scores_are_calibrated() -> None:
    """Of frames with prey and without in equal number, a share p of those that say prey with probability p is prey."""
    both = [
        np.stack([visit.posteriors[::10] for visit in drawn(kind, SEEN, 60, 2)])[..., PREY].ravel()
        for kind in (Kind.CLEAN, Kind.PREY)
    ]
    close = [((0.25 < scores) & (scores < 0.35)).sum() for scores in both]
    assert pytest.approx(0.30, abs=0.08) == close[1] / sum(close)


@pytest.mark.parametrize("correlation", [0.0, 0.5, 0.9])
def test_the_measured_similarity_is_that_of_the_scores(correlation: float) -> None:
    """The weight of a frame is about the share that the frames' correlation leaves it."""
    visit = next(drawn(Kind.CLEAN, replace(SEEN, correlation=correlation), 1, 3))
    patches = [observation.patch for observation in visit.observations() if observation.patch is not None]
    weights = [novelty(now, before, SETTINGS) for before, now in itertools.pairwise(patches)]
    assert pytest.approx((1 - correlation) / (1 + correlation), abs=0.15) == np.mean(weights)


def test_the_same_visits_are_drawn_again() -> None:
    """Visits depend on kind, law and seed alone."""
    pairs = zip(drawn(Kind.PREY, error_rates.LAW, 3, 4), drawn(Kind.PREY, error_rates.LAW, 3, 4), strict=True)
    assert all(
        np.array_equal(one.posteriors, two.posteriors) and np.array_equal(one.patches, two.patches)
        for one, two in pairs
    )


def test_a_fixed_rule_counts_within_its_window() -> None:
    """Two of the last three frames over the threshold are a verdict; two that are further apart are none."""
    rule = FixedRule(n=2, m=3, threshold=0.8)
    times = rule.judged(told([[0.9, 0.1, 0.9, 0.1], [0.9, 0.1, 0.1, 0.9]], Label.CAT_CLEAR))[0]
    assert [3, NEVER] == times.tolist()


def test_the_best_rule_makes_no_more_errors_than_allowed() -> None:
    """Where single frames are wrong, the rule that is chosen waits for more of them."""
    clean = told([[0.9] * 12] * 4, Label.CAT_CLEAR)
    prey = told([[0.9] * 2 + [0.0] * 10] * 4, Label.CAT_CLEAR)
    prey[:, 2:, PREY] = 0.9
    rule = best(clean, prey, Errors(0.0, 0.0))
    assert rule is not None
    assert (Errors(0.0, 0.0), True) == (errors_of(rule, clean, prey), rule.n > 2)


def test_the_page_holds_every_law(monkeypatch: pytest.MonkeyPatch) -> None:
    """A few visits through the real judge fill all tables, a line for every correlation."""
    monkeypatch.setattr(error_rates, "CORRELATIONS", (0.0, 0.9))
    cells = list(error_rates._cells(SETTINGS, EVIDENCE, 4))
    found = [error_rates.judged(cell) for cell in cells]
    races = [error_rates.race(correlation, found) for correlation in error_rates.CORRELATIONS]
    lines = page(found, races, EVIDENCE, 1.0).splitlines()
    assert (1, 7) == (
        sum(line.startswith("| 0.9 | 4 + 4 |") for line in lines),
        sum("| 0.9 |" in line for line in lines),
    )
