"""The demonstration: a simulated night, one line a visit, a closing table. Floor 8."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from edge.messages import Label, VerdictKind

if TYPE_CHECKING:
    from datetime import datetime

    from edge.canonical import VisitSummary
    from edge.messages import Visit

HEAD = f"{'time':8}  {'who':16}  {'verdict':15}  {'to verdict':>10}  {'bolt':>6}  why"

_WHO = {
    Label.EMPTY: "nobody",
    Label.CAT_HIDDEN: "a cat",
    Label.CAT_CLEAR: "a cat",
    Label.CAT_PREY: "a cat",
    Label.OTHER_ANIMAL: "another animal",
    Label.PERSON: "a person",
}


class Board:
    """Hears visits, prints each as a line, and sums them up."""

    def __init__(self) -> None:
        """Start with an empty night."""
        self._lines: list[VisitSummary] = []

    def __call__(self, visit: Visit, line: VisitSummary) -> None:
        """Print one visit."""
        self._lines.append(line)
        print(visit_line(visit.started, line), flush=True)

    def table(self) -> str:
        """Return the closing table: visits, median time to verdict and time with the bolt open, by verdict."""
        rows = [f"{'verdict':16}{'visits':>7}{'median to verdict':>19}{'bolt open':>11}"]
        counts = Counter(line.verdict for line in self._lines)
        rows.extend(self._row(kind) for kind in VerdictKind if counts[kind])
        rows.append(f"{'all':16}{len(self._lines):7}{'':>19}{sum(line.bolt_s for line in self._lines):10.1f}s")
        return "\n".join(rows)

    def _row(self, kind: VerdictKind) -> str:
        lines = [line for line in self._lines if line.verdict is kind]
        times = sorted(line.ms_to_verdict for line in lines if line.ms_to_verdict is not None)
        median = f"{times[len(times) // 2]:.0f} ms" if times else "-"
        return f"{kind:16}{len(lines):7}{median:>19}{sum(line.bolt_s for line in lines):10.1f}s"


def visit_line(started: datetime, line: VisitSummary) -> str:
    """Return one visit as the demonstration shows it."""
    who = line.resident or (_WHO[line.top_label] if line.top_label is not None else "unseen")
    took = "-" if line.ms_to_verdict is None else f"{line.ms_to_verdict:.0f} ms"
    return f"{started:%H:%M:%S}  {who:16}  {line.verdict:15}  {took:>10}  {line.bolt_s:5.1f}s  {line.because}"
