"""The README's figures on photographs: counted from what the commands print, and put where they belong."""

from __future__ import annotations

from typing import Any

from photograph_figures import Judged, named, report

from edge.messages import LABELS


def scored(label: str) -> dict[str, Any]:
    """A line of ``catflap score --json`` that is sure of one class."""
    return {"scores": {name: 1.0 if name == label else 0.0 for name in LABELS}, "model": "a 1 2"}


def test_hidden_and_clear_cats_are_added_before_they_are_compared() -> None:
    """Two halves of a cat outweigh an animal that is likelier than either."""
    shares = {"cat_hidden": 0.3, "cat_clear": 0.3, "other_animal": 0.4}
    assert "cat" == named({"scores": {**dict.fromkeys(LABELS, 0.0), **shares}})


def test_the_report_counts() -> None:
    """Right pictures, the most common class, and verdicts by what a visit was."""
    pictures = [({"label": label}, scored("cat_clear")) for label in ("cat_clear", "cat_hidden", "cat_hidden", "empty")]
    visits = [([{"label": "cat_prey"}], {"verdict": "admit"}), ([{"label": "empty"}], {"verdict": "blind"})]
    text = report(Judged(pictures, visits))
    assert "on 0.750 (" in text
    assert "| a cat with prey | 1 | 0 | 0 | 0 | 0 | 0 |" in text
    assert "| no cat | 0 | 0 | 0 | 0 | 0 | 1 |" in text
