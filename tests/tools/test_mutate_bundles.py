"""Damaged bundles: none gets in, none ends whoever looks at them."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import pytest
from mutate_bundles import base, in_daemon, mutated, restructured, run, structure, tried, unchecked

if TYPE_CHECKING:
    from pathlib import Path

MODEL = base()["model.tflite"]


def test_no_mutant_is_accepted(tmp_path: Path) -> None:
    """A few of each kind; each has an outcome, and this process lives to say so."""
    counts = run(12, 1, tmp_path)
    assert (12, 0, 0, True) == (
        counts.total("mutants"), counts.total("accepted"), counts.total("daemon_deaths"), counts.good,
    )  # fmt: skip
    assert 12 == counts.killed("killed") + counts.total("refused") + counts.total("equivalent")
    assert "12 mutants: **0 accepted**" in counts.page(60.0)


def test_the_bundle_that_is_damaged_is_good_itself(tmp_path: Path) -> None:
    """The control: undamaged, it passes the child, the daemon's load and the runtime alone."""
    for name, data in base().items():
        (tmp_path / name).write_bytes(data)
    said = tried(tmp_path, "litert"), in_daemon(tmp_path, "litert"), unchecked(MODEL, "litert")
    assert [True] * 3 == [each.ok for each in said]


@pytest.mark.parametrize("damage", [mutated, lambda data, chance: restructured(data, tuple(range(64)), chance)])
def test_a_mutant_always_differs_and_is_drawn_anew_from_its_seed(damage: object) -> None:
    """The same seed makes the same damage; no damage is none."""
    assert callable(damage)
    data = bytes(range(256))
    first, again = ([damage(data, _drawn(seed)) for seed in range(50)] for _ in range(2))
    assert first == again
    assert data not in first


def test_the_structure_is_a_small_part_and_holds_what_leads_around(tmp_path: Path) -> None:
    """The root's offset and the identifier belong to it; nine tenths of the file, the weights above all, do not."""
    del tmp_path
    places = set(structure(MODEL))
    assert set(range(8)) <= places
    assert len(places) < len(MODEL) / 3


def _drawn(seed: int) -> random.Random:
    return random.Random(seed)  # noqa: S311 - damage, not secrets
