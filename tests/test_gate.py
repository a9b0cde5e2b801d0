"""The gate: what wakes the model and what does not."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from words import noise_frame

from edge.gate import Gate, GateSettings, OpenGate
from edge.messages import Box, Grey, Motion, MotionWhy

SETTINGS = GateSettings(min_area=0.012, min_frames=3)


def scene() -> Grey:
    """Return a wall with a pattern, 320 by 240, as a lamp lights it."""
    ramp = np.tile(np.linspace(60, 120, 320), (240, 1))
    ramp[::24] -= 25
    ramp[:, ::32] -= 15
    return ramp.astype(np.uint8)


def with_body(base: Grey, x: int, level: int = 200) -> Grey:
    """Return the scene with a body as large as a cat."""
    picture = base.copy()
    cv2.ellipse(picture, (x, 160), (45, 28), 0, 0, 360, (level,), -1)
    return picture


def watched(gate: Gate, pictures: list[Grey], lamp: float = 1.0, *, start: int = 0) -> list[Motion]:
    """Show pictures, each with its own noise, and return what the gate said of each."""
    return [gate.see(noise_frame(start + index, picture).grey, lamp) for index, picture in enumerate(pictures)]


def taught(base: Grey) -> Gate:
    """Return a gate that knows the empty scene."""
    gate = Gate(SETTINGS)
    watched(gate, [base] * 30)
    return gate


def test_an_empty_scene_keeps_the_gate_shut() -> None:
    """Sensor noise alone never opens the gate."""
    gate = taught(scene())
    assert not any(motion.present for motion in watched(gate, [scene()] * 100, start=100))


def test_a_body_opens_the_gate_and_the_box_holds_it() -> None:
    """Something as large as a cat opens the gate within min_frames, and the one box contains it."""
    gate = taught(scene())
    motions = watched(gate, [with_body(scene(), 150)] * 5, start=100)
    box = motions[-1].box
    assert box is not None
    inside = box.x <= 105 and box.y <= 132 and box.x + box.width >= 195 and box.y + box.height >= 188
    assert ([False, False, True, True, True], True) == ([motion.present for motion in motions], inside)


def test_slow_light_is_followed() -> None:
    """A dawn of a grey level every few frames never opens the gate."""
    gate = taught(scene())
    dawn = [np.clip(scene() + step / 8, 0, 255).astype(np.uint8) for step in range(400)]
    assert not any(motion.present for motion in watched(gate, dawn, start=100))


@pytest.mark.parametrize("gain", [0.4, 0.7, 1.6])
def test_the_lamps_own_step_is_no_motion(gain: float) -> None:
    """A lamp that was told to change starts a new background instead of a visit."""
    gate = taught(scene())
    lit = np.clip(scene() * gain, 0, 255).astype(np.uint8)
    assert not any(motion.present for motion in watched(gate, [lit] * 20, lamp=gain / 2, start=100))


@pytest.mark.parametrize("gain", [0.4, 0.6, 1.6])
def test_an_untold_step_of_the_whole_picture_is_light(gain: float) -> None:
    """A lamp that dims by itself, or a cloud, is taken for light because one gain explains the picture."""
    gate = taught(scene())
    lit = np.clip(scene() * gain, 0, 255).astype(np.uint8)
    assert not any(motion.present for motion in watched(gate, [lit] * 20, start=100))


def test_a_body_is_seen_right_after_a_step_of_the_light() -> None:
    """A step of the light does not blind the gate to who comes next."""
    gate = taught(scene())
    lit = np.clip(scene() * 1.5, 0, 255).astype(np.uint8)
    watched(gate, [lit] * 3, start=100)
    motions = watched(gate, [with_body(lit, 150, 30)] * 4, start=200)
    assert True is motions[-1].present


def test_an_insect_near_the_lens_is_too_short() -> None:
    """A bright blur that crosses in two frames does not open the gate."""
    gate = taught(scene())
    motions = watched(gate, [with_body(scene(), 80), with_body(scene(), 240), *[scene()] * 5], start=100)
    assert not any(motion.present for motion in motions)


def test_rain_is_too_thin() -> None:
    """Streaks a pixel or two wide, new in every frame, do not open the gate."""
    gate, rng = taught(scene()), np.random.default_rng(3)
    pictures = []
    for _ in range(60):
        picture = scene()
        for x, y in zip(rng.integers(0, 320, 40), rng.integers(0, 200, 40), strict=True):
            cv2.line(picture, (int(x), int(y)), (int(x) + 2, int(y) + 18), (190,), 1)
        pictures.append(picture)
    assert not any(motion.present for motion in watched(gate, pictures, start=100))


def test_a_cat_that_sits_still_stays_in_sight() -> None:
    """A visitor that does not move is not taken into the background for a minute."""
    gate = taught(scene())
    motions = watched(gate, [with_body(scene(), 150)] * 600, start=100)
    assert all(motion.present for motion in motions[3:])


def test_the_scene_is_empty_again_when_it_leaves() -> None:
    """When the body has gone the gate shuts, with no ghost where it was."""
    gate = taught(scene())
    watched(gate, [with_body(scene(), 150)] * 30, start=100)
    motions = watched(gate, [scene()] * 5, start=200)
    assert False is motions[-1].present


def test_a_forgotten_background_is_learnt_anew() -> None:
    """After the camera was reopened the first frames open nothing."""
    gate = taught(scene())
    gate.forget()
    motions = watched(gate, [with_body(scene(), 150)] * 20, start=100)
    assert (MotionWhy.LEARNING, False) == (motions[0].why, any(motion.present for motion in motions))


def test_the_open_gate_takes_the_whole_picture() -> None:
    """For pictures that were taken because something moved the box is the whole picture."""
    assert Box(0, 0, 320, 240) == OpenGate().see(scene(), 0.0).box
