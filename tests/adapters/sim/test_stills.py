"""Stills and films: what a model learns from, and what a person looks at."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import cv2
import numpy as np
import pytest

from edge.adapters.sim.film import film, film_scene
from edge.adapters.sim.stills import STILLS_PER_NIGHT, generate
from edge.errors import ConfigError
from edge.messages import LABELS, Label

SCENARIO = Path(__file__).parents[2] / "scenarios" / "lamp_step_is_no_visit.toml"
CATS = {Label.CAT_HIDDEN, Label.CAT_CLEAR, Label.CAT_PREY}


def test_stills_are_pictures_with_boxes_inside_them() -> None:
    """Every still is 320x240 grey, its box lies within it, and only cats are individuals."""
    for still in generate(120, 1):
        assert ((240, 320), np.dtype(np.uint8)) == (still.grey.shape, still.grey.dtype)
        assert still.box.x >= 0
        assert still.box.y >= 0
        assert still.box.x + still.box.width <= 320
        assert still.box.y + still.box.height <= 240
        assert still.box.width * still.box.height > 0
        assert (still.label in CATS) == (still.individual is not None)


def test_every_label_has_its_share() -> None:
    """No class is left out, none takes half."""
    counts = Counter(still.label for still in generate(400, 2))
    assert all(20 <= counts[label] <= 200 for label in LABELS)


def test_stills_are_the_same_for_the_same_seed() -> None:
    """A training set can be made again from its seed; a shorter one is its beginning."""
    first, again = list(generate(30, 7)), list(generate(20, 7))
    assert all(np.array_equal(one.grey, other.grey) for one, other in zip(first, again, strict=False))
    assert not np.array_equal(first[0].grey, next(generate(1, 8)).grey)


def test_nights_do_not_mix() -> None:
    """Pictures of one night share place and light; splitting by night splits by place."""
    nights = [still.night for still in generate(STILLS_PER_NIGHT * 2 + 1, 3)]
    assert [0] * STILLS_PER_NIGHT + [1] * STILLS_PER_NIGHT + [2] == nights


@pytest.mark.parametrize("kind", [".mp4", ".webp"])
def test_a_film_can_be_read_again(tmp_path: Path, kind: str) -> None:
    """What was written is a film of as many frames."""
    frames = [np.full((48, 64), 20 * index, np.uint8) for index in range(6)]
    path = tmp_path / f"film{kind}"
    assert 6 == film(frames, path, 10.0)
    if kind == ".webp":
        assert 6 == len(cv2.imreadanimation(str(path))[1].frames)
        return
    reader = cv2.VideoCapture(str(path))
    assert 6 == int(reader.get(cv2.CAP_PROP_FRAME_COUNT))
    assert reader.read()[0]


def test_a_scene_can_be_filmed(tmp_path: Path) -> None:
    """A scene becomes as many frames as it lasts."""
    assert 140 == film_scene(SCENARIO, tmp_path / "scene.mp4")


def test_a_kind_of_film_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    """The owner is told which kinds there are."""
    with pytest.raises(ConfigError, match=r"film\.mov: this OpenCV writes films as \.avi, \.mp4"):
        film([], tmp_path / "film.mov", 10.0)


def test_a_folder_that_is_not_there_is_refused(tmp_path: Path) -> None:
    """A film needs a place to lie."""
    with pytest.raises(ConfigError, match="cannot be written"):
        film([np.zeros((48, 64), np.uint8)], tmp_path / "none" / "film.mp4", 10.0)
