"""How often the sequential test is wrong, beside what the owner allowed; and how long it takes, beside a fixed rule.

    make error-rates      or      python tools/error_rates.py [--visits N] > docs/error-rates.md

The flap's own ``VisitJudge`` judges visits drawn from a known law (``drawn_visits``), in two processes.
"""

from __future__ import annotations

import argparse
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

import numpy as np  # noqa: E402 - the repository's own packages come from ROOT
from drawn_visits import FRAMES, Kind, Law, drawn  # noqa: E402
from error_rates_page import page  # noqa: E402
from fixed_rule import NEVER, Errors, best, errors_of  # noqa: E402

from edge import bundle  # noqa: E402
from edge.messages import LABELS, Residents, Rules, VerdictKind  # noqa: E402
from edge.policy import Budgets, VisitJudge, wald_bounds  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from drawn_visits import Reals
    from fixed_rule import Counts, FixedRule

    from edge.messages import EvidenceSettings, Observation

CORRELATIONS = (0.0, 0.5, 0.8, 0.9, 0.95, 0.99)
COMMON = Budgets(prey_let_in=0.02, resident_refused=0.05)
OTHERS = (Budgets(0.005, 0.02), Budgets(0.05, 0.1))
LASTING = (0.1, 0.3)
LAW = Law(separation=2.4, correlation=0.0, lasting=0.0, look=20.0, noise=3.3, hidden=0.3)
"""Two normal laws so far apart tell prey from a clear mouth with an area of 0.955 under the curve, as the student does
on prey it never saw (docs/prey.md); look and noise are the simulated world's and the tunnel's (``similarity.py``)."""
LOOK_GREY, FLOOR = 20.0, 0.01
"""What this page judges with in place of the bundle's ``discount_scale`` and ``discount_floor``: as measured."""
SMALL = 0.2  # of the visits: for the tables beside the first
_KEPT = 1000  # visits of each kind whose posteriors the fixed rule is chosen on, and as many that it is judged on


@dataclass(frozen=True, slots=True)
class Cell:
    """Visits of one kind under one law and one pair of budgets; ``table`` is where on the page they go."""

    table: str
    kind: Kind
    law: Law
    budgets: Budgets
    settings: EvidenceSettings
    visits: int


@dataclass(frozen=True, slots=True, eq=False)
class Judged:
    """What came of a cell: frames to each admission and to each refusal for prey, ``NEVER`` where there was none."""

    cell: Cell
    admitted: Counts
    refused: Counts


@dataclass(frozen=True, slots=True)
class Race:
    """The sequential test against the best fixed rule at its errors, on visits that the rule was not chosen on."""

    correlation: float
    test: Counts
    test_errors: Errors
    rule: FixedRule | None
    rule_times: Counts
    rule_errors: Errors


def main(arguments: list[str]) -> int:
    """Run; 0 done."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--visits", type=int, default=4200, help="of each kind, correlation and budget")
    options = parser.parse_args(arguments)
    begun = time.monotonic()
    shipped = bundle.load(bundle.factory_directory()).manifest.evidence
    shipped = replace(shipped, priors=(1 / len(LABELS),) * len(LABELS))  # as the drawn scores are calibrated
    measured = replace(shipped, discount_scale=LOOK_GREY, discount_floor=FLOOR)
    cells = list(_cells(measured, shipped, options.visits))
    with ProcessPoolExecutor(2) as pool:
        found = list(pool.map(judged, cells))
    races = [race(correlation, found) for correlation in CORRELATIONS]
    print(page(found, races, shipped, time.monotonic() - begun), end="")
    return 0


def _cells(measured: EvidenceSettings, shipped: EvidenceSettings, visits: int) -> Iterator[Cell]:
    few = max(round(visits * SMALL), 1)
    for correlation in CORRELATIONS:
        law = replace(LAW, correlation=correlation)
        for kind in Kind:
            many = visits if kind in (Kind.CLEAN, Kind.PREY) else few
            yield Cell("rates", kind, law, COMMON, measured, many)
        for kind in (Kind.CLEAN, Kind.PREY):
            yield from (Cell("others", kind, law, budgets, measured, few) for budgets in OTHERS)
            yield from (Cell("lasting", kind, replace(law, lasting=share), COMMON, measured, few) for share in LASTING)
            yield Cell("shipped", kind, law, COMMON, shipped, few)


def judged(cell: Cell) -> Judged:
    """Judge every visit of a cell with the flap's own judge."""
    everyone = Residents(cats=(), any_cat=cell.kind is not Kind.LINGERS)
    rules = Rules(cell.settings, wald_bounds(cell.budgets), everyone, blind_after_s=3.0)
    ends = [_end(VisitJudge(rules), visit.observations()) for visit in drawn(cell.kind, cell.law, cell.visits, seed=1)]
    admitted, refused = (
        np.array([frames if kind is wanted else NEVER for kind, frames in ends], np.int64)
        for wanted in (VerdictKind.ADMIT, VerdictKind.REFUSE_PREY)
    )
    return Judged(cell, admitted, refused)


def _end(judge: VisitJudge, observations: Iterable[Observation]) -> tuple[VerdictKind | None, int]:
    for observation in observations:
        judge.frame(observation)
        if judge.final is not None:
            return judge.final.kind, judge.evidence_frames
    return None, FRAMES


def race(correlation: float, found: Sequence[Judged]) -> Race:
    """Choose the fixed rule on one half of the visits kept, at the errors the test made there; judge both on the other.

    An error that did not happen in half the visits is allowed once.
    """
    clean, prey = (_common(found, kind, correlation) for kind in (Kind.CLEAN, Kind.PREY))
    half = min(_KEPT, len(clean.admitted) // 2)
    chosen_on, judged_on = slice(0, half), slice(half, 2 * half)
    clean_seen, prey_seen = (_posteriors(entry.cell, 2 * half) for entry in (clean, prey))
    rule = best(clean_seen[chosen_on], prey_seen[chosen_on], _allowed(clean, prey, chosen_on))
    times, errors = np.full(half, NEVER), Errors(0.0, 0.0)
    if rule is not None:
        times = rule.judged(clean_seen[judged_on])[0]
        errors = errors_of(rule, clean_seen[judged_on], prey_seen[judged_on])
    test = Errors(_share(prey.admitted[judged_on]), _share(clean.refused[judged_on]))
    return Race(correlation, clean.admitted[judged_on], test, rule, times, errors)


def _common(found: Sequence[Judged], kind: Kind, correlation: float) -> Judged:
    cells = (entry for entry in found if entry.cell.table == "rates" and entry.cell.kind is kind)
    return next(entry for entry in cells if entry.cell.law.correlation == correlation)


def _posteriors(cell: Cell, visits: int) -> Reals:
    drawn_again = zip(range(visits), drawn(cell.kind, cell.law, cell.visits, seed=1), strict=False)
    return np.stack([visit.posteriors for _, visit in drawn_again])


def _allowed(clean: Judged, prey: Judged, part: slice) -> Errors:
    least = 1 / len(clean.admitted[part])
    return Errors(max(_share(prey.admitted[part]), least), max(_share(clean.refused[part]), least))


def _share(times: Counts) -> float:
    return float((times < NEVER).mean())


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
