"""Visits that were judged, made up."""

from __future__ import annotations

from typing import TYPE_CHECKING

from visit_verdicts import JudgedVisit, Truth

if TYPE_CHECKING:
    from edge.messages import VerdictKind


def visit(truth: Truth, verdict: VerdictKind, **evidence: float) -> JudgedVisit:
    """A visit that was this and came to that."""
    evidence = {"clean_llr": 0.0, "prey_llr": 0.0, **evidence}
    return JudgedVisit("h/v", "h", "night", truth, verdict, "so", 3, 200.0, pictures=("a.png",), **evidence)
