"""The simple things that a student is held against do what their names say."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest
from baselines import Baseline, Majority, MotionArea, Silhouette
from dataset import COARSE, Sample
from samples_made import sample

BASELINES = (Majority(), MotionArea(), Silhouette())


def scene(label: str, width_px: int, home: str = "here") -> Sample:
    """A light scene with a dark bar of this width from the left."""
    grey = np.full((120, 160), 200, np.uint8)
    grey[30:110, :width_px] = 20
    return replace(sample(label, home), grey=grey)


def thin_legs(label: str) -> Sample:
    """A dark body with thin things hanging out of it."""
    made = scene(label, 100)
    for x in range(105, 150, 6):
        cv2.line(made.grey, (95, 60), (x, 100), (20,), 2)
    return made


@pytest.mark.parametrize("baseline", BASELINES, ids=lambda baseline: baseline.name)
def test_probabilities_are_probabilities(baseline: Baseline) -> None:
    """Every picture gets one number for each class; they are positive and sum to 1."""
    train = [scene("empty", 0), scene("cat_clear", 90), scene("cat_prey", 95), scene("person", 150)]
    told = baseline.judge(train, train[:3])
    assert (3, len(COARSE)) == told.shape
    assert pytest.approx(np.ones(3)) == told.sum(axis=1)
    assert (told > 0).all()


def test_the_majority_is_learnt_where_the_learning_is() -> None:
    """The most common class of the training pictures is named, whatever is asked."""
    told = Majority().judge([scene("person", 9), scene("person", 9), scene("empty", 0)], [scene("empty", 0)])
    assert "person" == COARSE[told[0].argmax()]


def test_movement_tells_something_from_nothing() -> None:
    """Where most pictures are empty, a large difference from them is a cat."""
    train = [scene("empty", 0)] * 20 + [scene("cat_clear", 100)] * 10
    told = MotionArea().judge(train, train).argmax(axis=1)
    assert ["empty"] * 20 + ["cat"] * 10 == [COARSE[index] for index in told]


def test_a_silhouette_with_thin_parts_is_more_likely_prey() -> None:
    """What hangs thin from a dark shape raises the risk of prey where training shows it so."""
    train = [scene("cat_clear", 100)] * 30 + [thin_legs("cat_prey")] * 30
    prey = Silhouette().judge(train, [train[0], train[-1]])[:, COARSE.index("cat_prey")]
    assert prey[0] < prey[1]
