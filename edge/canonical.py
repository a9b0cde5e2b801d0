"""The canonical fields of a visit. Floor 2.

The log line, the journal row and the line of ``catflap replay --json`` all take them from here, so they cannot differ.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from edge.messages import Label, VerdictKind, Visit

Value: TypeAlias = str | int | float | bool | None


@dataclass(frozen=True, slots=True)
class VisitSummary:
    """One visit in one line.

    ``frames`` were watched, ``evidence_frames`` of them believed; ``frames_to_verdict`` is how many of those the
    verdict rests on; ``ms_to_verdict`` runs from the first frame good enough to be evidence to the verdict, and is
    None where no such frame came before it. ``rule`` chose the visit for the spool (None: not chosen), ``spool`` says
    what became of it.
    """

    visit: str
    verdict: VerdictKind
    because: str
    resident: str | None
    frames: int
    evidence_frames: int
    frames_to_verdict: int
    ms_to_verdict: float | None
    top_label: Label | None
    bolt_s: float
    flap_opened: bool
    model: str
    runtime: str
    config: str
    rule: str | None
    spool: str

    def fields(self) -> dict[str, Value]:
        """Return the fields in order, for what takes key and value: structlog and JSON."""
        return {entry.name: getattr(self, entry.name) for entry in dataclasses.fields(self)}


def summary(visit: Visit, rule: str | None, spool: str) -> VisitSummary:
    """Return the canonical fields of a visit.

    Args:
        visit: a finished visit.
        rule: the rule that chose it for the spool, or None.
        spool: what became of it there, such as ``stored``, ``not_chosen`` or the reason it was dropped.
    """
    verdict = visit.verdict
    return VisitSummary(
        visit=visit.visit_id,
        verdict=verdict.kind,
        because=verdict.because,
        resident=verdict.resident,
        frames=len(visit.observations),
        evidence_frames=sum(entry.scores is not None for entry in visit.observations),
        frames_to_verdict=verdict.evidence_frames,
        ms_to_verdict=_ms_to_verdict(visit),
        top_label=visit.top_label(),
        bolt_s=visit.bolt_s,
        flap_opened=visit.flap_opened,
        model=visit.model_id,
        runtime=visit.runtime,
        config=visit.config_hash,
        rule=rule,
        spool=spool,
    )


def _ms_to_verdict(visit: Visit) -> float | None:
    decided_ns = visit.verdict.at_ns
    good = (entry.at_ns for entry in visit.observations if entry.quality.ok and entry.at_ns <= decided_ns)
    first_ns = next(good, None)
    return None if first_ns is None else (decided_ns - first_ns) / 1e6
