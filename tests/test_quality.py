"""What is evidence and what is not."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest
from words import MOVING, STILL, noise_frame

from edge.messages import Frame, Grey, QualityWhy
from edge.quality import QualityJudge, QualitySettings, judge_light

SETTINGS = QualitySettings()
COVERED = replace(MOVING, area_fraction=0.5)


def scene() -> Grey:
    """Return a scene with edges that do not repeat."""
    picture = np.full((240, 320), 70, np.uint8)
    rng = np.random.default_rng(5)
    for _ in range(40):
        x, y, w, h = (int(value) for value in rng.integers([0, 0, 10, 10], [300, 220, 60, 60]))
        cv2.rectangle(picture, (x, y), (x + w, y + h), (int(rng.integers(20, 200)),), -1)
    return picture


@pytest.mark.parametrize(
    ("picture", "expected"),
    [
        (scene(), QualityWhy.OK),
        (np.zeros((240, 320), np.uint8), QualityWhy.DARK),
        ((scene() // 20).astype(np.uint8), QualityWhy.DARK),
        (np.full((240, 320), 252, np.uint8), QualityWhy.BLOWN),
        (np.full((240, 320), 128, np.uint8), QualityWhy.BLURRED),
        (cv2.GaussianBlur(scene(), (0, 0), 12).astype(np.uint8), QualityWhy.BLURRED),
    ],
    ids=["good", "black", "lamp_failed", "blown", "fogged", "out_of_focus"],
)
def test_light_and_sharpness(picture: Grey, expected: QualityWhy) -> None:
    """A picture that is dark, blown or blurred says so; a good one is evidence."""
    quality = judge_light(picture, None, SETTINGS)
    assert (expected, expected is QualityWhy.OK) == (quality.why, quality.ok)


def test_the_same_pixels_again_are_frozen() -> None:
    """A picture that agrees with the last one in every pixel is no evidence, though its time went on."""
    judge, first = QualityJudge(SETTINGS), noise_frame(0, scene())
    judge.judge(first, MOVING)
    again = Frame(1, 100_000_000, first.grey.copy())
    assert QualityWhy.FROZEN is judge.judge(again, MOVING).why


def test_a_time_that_stands_still_is_frozen() -> None:
    """A picture whose timestamp does not advance is no evidence, though its pixels changed."""
    judge = QualityJudge(SETTINGS)
    judge.judge(noise_frame(0, scene()), MOVING)
    assert QualityWhy.FROZEN is judge.judge(replace(noise_frame(1, scene()), captured_ns=0), MOVING).why


def test_an_idle_camera_that_freezes_is_noticed() -> None:
    """A frozen camera is noticed while nothing moves."""
    judge, first = QualityJudge(SETTINGS), noise_frame(0, scene())
    judge.watch_idle(first, STILL)
    assert QualityWhy.FROZEN is judge.watch_idle(Frame(1, 100_000_000, first.grey), STILL).why


@pytest.mark.parametrize(("level", "expected"), [(3, QualityWhy.DARK), (253, QualityWhy.BLOWN), (90, QualityWhy.OK)])
def test_an_idle_camera_that_shows_nothing_is_noticed(level: int, expected: QualityWhy) -> None:
    """Black or white while nothing moves is no evidence that nothing is there."""
    picture = noise_frame(0, np.full((240, 320), level, np.uint8))
    assert expected is QualityJudge(SETTINGS).watch_idle(picture, STILL).why


def test_a_knocked_camera_is_no_evidence_until_it_has_settled() -> None:
    """A shift of the whole scene is the camera; after settle_frames the new view counts as settled."""
    judge = QualityJudge(SETTINGS)
    for index in range(60):
        judge.watch_idle(noise_frame(index, scene()), STILL)
    knocked = np.roll(scene(), 24, axis=1)
    first = judge.judge(noise_frame(100, knocked), COVERED).why
    for index in range(101, 100 + SETTINGS.settle_frames):
        judge.judge(noise_frame(index, knocked), COVERED)
    assert (QualityWhy.MOVED, True) == (first, judge.settled)


def test_a_cat_that_covers_half_the_picture_is_no_knock() -> None:
    """A large body before an unmoved scene leaves the frame evidence."""
    judge = QualityJudge(SETTINGS)
    for index in range(60):
        judge.watch_idle(noise_frame(index, scene()), STILL)
    close = scene()
    cv2.ellipse(close, (120, 140), (110, 90), 0, 0, 360, (30,), -1)
    cv2.circle(close, (190, 90), 12, (220,), -1)
    assert QualityWhy.OK is judge.judge(noise_frame(100, close), COVERED).why
