"""What the card of an adapted bundle says besides: where it came from, and whether it broke what worked."""

from __future__ import annotations

import re
from dataclasses import dataclass
from string import Template
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dataset import Sample

    from edge.evaluation import GroupVerdict

_STORY = Template("""\
## Adapted to a home

Taught on by `tools/adapt.py`, starting from `$parent` and its teacher, with $labelled labelled frames of $visits visits
to $homes, $unlabelled frames that nobody has labelled, of which the teacher said what they show, and $rehearsed frames
of elsewhere, of which the student was told what it had said before. The tables above count what this bundle was shown
and judged by since; what its ancestor learnt from stands on its own card, below.

Compared with `$parent`, each in int8 with its own calibration, on the pictures of held-out visits and drawn nights.
Calibration visits are among them, which neither learnt from and by which this one was calibrated.
**The new bundle $verdict**:

$gate

## The card of $parent

$card
""")
_ADAPTED = re.compile(r"(.+)\+home\.(\d+)")


@dataclass(frozen=True, slots=True)
class Past:
    """Where an adapted bundle came from: its ancestor, with its card, and the frames it was shown since."""

    parent: str
    card: str
    home: Sequence[Sample]
    rehearsed: int


def story(past: Past, gate: Sequence[GroupVerdict]) -> str:
    """Return the section of the card."""
    labelled = [sample for sample in past.home if sample.labelled]
    return _STORY.substitute(
        parent=past.parent,
        labelled=len(labelled),
        visits=len({(sample.home, sample.visit) for sample in labelled}),
        homes=" and ".join(sorted({f"`{sample.home}`" for sample in past.home})),
        unlabelled=len(past.home) - len(labelled),
        rehearsed=past.rehearsed,
        verdict="is not worse anywhere beyond its interval" if passed(gate) else "is rejected: it broke what worked",
        gate="\n".join(f"- {line}" for line in lines(gate)),
        card=_one_deeper(past.card),
    )


def passed(gate: Sequence[GroupVerdict]) -> bool:
    """Return whether nothing that worked is broken beyond its interval."""
    return all(group.passed for group in gate)


def lines(gate: Sequence[GroupVerdict]) -> list[str]:
    """Return each group's verdict, those that fail first."""
    return [f"{'passed' if group.passed else 'FAILED'}: {group.because}" for group in sorted(gate, key=_failed_first)]


def _failed_first(group: GroupVerdict) -> bool:
    return group.passed


def _one_deeper(card: str) -> str:
    """Return a card to be laid into another: without what stands before its title, every heading one level down."""
    text = card.split("\n---\n", 1)[1] if card.startswith("---\n") else card
    return re.sub(r"^(#+ )", r"#\1", text, flags=re.MULTILINE).strip()


def next_version(version: str) -> str:
    """Return ``1.2.3+home.1`` for 1.2.3, then ``1.2.3+home.2``: what follows the plus says nothing of precedence."""
    before = _ADAPTED.fullmatch(version)
    return f"{before[1]}+home.{int(before[2]) + 1}" if before else f"{version}+home.1"
