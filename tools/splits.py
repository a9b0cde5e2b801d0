"""Who trains, who calibrates and who tests: whole visits, by time where there is one; and which homes are left out."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

TUNNEL_CALIBRATION = ("2014-01-28", "2014-02-05")
TUNNEL_TEST_FROM = "2014-03-01"
FOLDS = (("tunnel",), ("feral",), ("dogcat",), ("caltech101",), ("raccoon", "dlcmouse"))
"""Homes that are left out together to see how strangers fare; the two small ones hold other animals only."""

COPY = "copy"
"""The part of a training picture that is held out under another name: nothing learns from it."""

UNJUDGED = "unjudged"
"""The part of an unlabelled picture of a visit that is held out: nothing is judged by it, nothing learns from it."""

TRAIN_UNTIL, CALIBRATE_UNTIL = 0.7, 0.8
"""An owner's visits in order of time: the first 70 % train, the next 10 % calibrate, the last 20 % test."""


def parts(pictures: Iterable[tuple[str, str, str]]) -> dict[tuple[str, str], str]:
    """Return the part of every (home, visit), ``train``, ``calibration`` or ``test``, from all pictures of a data set.

    A picture is (home, visit, taken), taken in ISO 8601 or empty. The homes of ``FOLDS`` go by ``part_of``. An owner's
    own home goes by the order of its visits in time (``TRAIN_UNTIL``, ``CALIBRATE_UNTIL``), so that it is judged by
    days that came later; a visit of which some picture has no time goes by ``part_of`` too.
    """
    began: dict[tuple[str, str], str] = {}
    for home, visit, taken in pictures:
        began[home, visit] = min(taken, began.get((home, visit), taken))
    split = {(home, visit): part_of(home, visit, taken) for (home, visit), taken in began.items()}
    for own in {home for home, _ in began} - SHARED:
        dated = sorted((taken, visit) for (home, visit), taken in began.items() if home == own and taken)
        for place, (_, visit) in enumerate(dated):
            done = (place + 0.5) / len(dated)
            split[own, visit] = "train" if done < TRAIN_UNTIL else "calibration" if done < CALIBRATE_UNTIL else "test"
    return split


SHARED = frozenset(home for fold in FOLDS for home in fold)


def part_of(home: str, visit: str, visit_taken: str) -> str:
    """Return the part of a visit that can be told without the others: the tunnel's by time, else by its name.

    Of the other homes every tenth visit (by a hash of its name) goes to calibration; they are tested as a whole,
    by models that never saw them.
    """
    if home == "tunnel":
        if visit_taken >= TUNNEL_TEST_FROM:
            return "test"
        return "calibration" if TUNNEL_CALIBRATION[0] <= visit_taken < TUNNEL_CALIBRATION[1] else "train"
    tenth = hashlib.sha256(f"{home}/{visit}".encode()).digest()[0] < 26
    return "calibration" if tenth and home != "dlcmouse" else "train"
