"""Pictures of nothing that is known."""

from __future__ import annotations

import numpy as np
from samples_made import sample
from strange import strange

from edge.messages import LABELS


def test_strange_pictures_leave_every_class_open() -> None:
    """What nobody knows has no label, trains, and is in no home that holds anything else."""
    made = strange([sample()], 12, 1)
    assert {("train", "strange", False, len(LABELS))} == {
        (each.part, each.home, each.labelled, len(each.allowed)) for each in made
    }


def test_the_same_seed_makes_the_same_pictures() -> None:
    """A run can be repeated."""
    one, again = (strange([sample()], 8, 3) for _ in range(2))
    assert [True] * 8 == [np.array_equal(a.grey, b.grey) for a, b in zip(one, again, strict=True)]


def test_half_are_photographs_laid_out_wrongly() -> None:
    """A cut-up photograph keeps its greys and loses its places; without photographs there are clouds and stripes."""
    ramp = sample(grey=np.tile(np.linspace(0, 255, 160, dtype=np.uint8), (120, 1)))
    cut = [each.grey for number, each in enumerate(strange([ramp], 12, 1)) if number % 4 >= 2]
    assert [True] * 6 == [abs(float(each.mean()) - 127.5) < 2 for each in cut]
    assert [False] * 6 == [bool(np.all(np.diff(each[0].astype(int)) >= 0)) for each in cut]
    assert 5 == len(strange([], 5, 1))
