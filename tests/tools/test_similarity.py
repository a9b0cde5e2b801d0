"""The variogram: frames that look alike are taken for alike, and their scores are."""

from __future__ import annotations

from pathlib import Path

import pytest
from similarity import Look, scene_visits, section
from words import EVIDENCE, patch

from edge.assembly import load_model

SCENE = Path(__file__).parents[1] / "scenarios" / "opens_for_own_clean_cat.toml"


def test_scores_that_go_with_the_picture_are_as_alike_as_it() -> None:
    """Where the same picture has the same score and another has another, the correlation is 1 and then 0."""
    visit = [Look(patch(index // 2), 5.0 if (index // 2) % 2 else -5.0) for index in range(40)]
    rows = list(section("a world", [visit], EVIDENCE))
    alike, unlike = (next(row for row in rows if row.startswith(f"| {band} |")) for band in ("0 to 2.5", "22 or more"))
    assert (["1.00", "1.00"], "0.00") == (
        alike.strip("| ").split(" | ")[2:],
        unlike.strip("| ").split(" | ")[2].strip("-"),
    )


@pytest.mark.parametrize("scene", [SCENE], ids=lambda path: path.stem)
def test_a_scene_shows_its_clear_mouths(scene: Path) -> None:
    """The frames that the world shows with a clear mouth are those that are kept."""
    visits = scene_visits(scene, load_model("factory", "auto", 1))
    assert 3 <= sum(map(len, visits))
