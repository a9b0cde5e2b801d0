"""Damaged bundles: none gets in, none ends whoever looks at them."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

from mutate_bundles import base, in_child, mutated, run

if TYPE_CHECKING:
    from pathlib import Path


def test_no_mutant_is_accepted(tmp_path: Path) -> None:
    """A few of each kind, as they came and made to agree; each has an outcome, and this process lives to say so."""
    counts = run(12, 1, tmp_path)
    assert (12, 0) == (counts.mutants, counts.accepted)
    assert 12 == sum(counts.killed.values()) + counts.refused + counts.equivalent


def test_the_bundle_that_is_damaged_is_good_itself(tmp_path: Path) -> None:
    """The control: undamaged, it passes the child."""
    for name, data in base().items():
        (tmp_path / name).write_bytes(data)
    assert in_child(tmp_path).ok


def test_a_mutant_always_differs_and_is_drawn_anew_from_its_seed() -> None:
    """The same seed makes the same damage; no damage is none."""
    data = bytes(range(256))
    first, again = ([mutated(data, _drawn(seed)) for seed in range(50)] for _ in range(2))
    assert first == again
    assert data not in first


def _drawn(seed: int) -> random.Random:
    return random.Random(seed)  # noqa: S311 - damage, not secrets
