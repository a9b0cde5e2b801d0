"""docs/error-rates.md: the page of ``tools/error_rates.py``. No figure on it is typed by hand."""

from __future__ import annotations

import platform
from datetime import UTC, datetime
from pathlib import Path
from string import Template
from typing import TYPE_CHECKING

import numpy as np
from drawn_visits import FRAME_NS, FRAMES, Kind
from fixed_rule import NEVER

from edge.evaluation import wilson

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from error_rates import Judged, Race
    from fixed_rule import Counts

    from edge.messages import EvidenceSettings

PERCENTILES = (50, 95, 99)
_PAGE = Template("""\
# Error rates of the sequential test

$machine, $system, Python $python, $date; $visits visits in $seconds s, two processes. Made by `make error-rates`; the
judge is the flap's own, `edge.policy.VisitJudge`.

Visits are drawn from a known law: a frame's log-likelihood ratio is normal under prey and under a clear mouth,
$separation spreads apart, and the scores are calibrated to the letter. It is correlated from frame to frame, and the
patches are correlated alike, with a camera's noise on top, so that the similarity the flap measures is that of the
scores, blurred. In $hidden of the frames the mouth is hidden. A visit has $frames frames at ten a second, or ends with
its verdict. Shares are in per cent, with 95 % (Wilson).

What this can show is that the test does with calibrated scores what its budgets say. What it cannot show is that a
model's scores are calibrated in front of your flap.

## Realised rates beside the budgets

Judged with `discount_scale` $scale and `discount_floor` $floor, as measured (`tools/similarity.py`). The budgets are
$let_in for prey or anything but a clean cat let in, $refuse for a clean cat refused. *Refused*: a clean cat of ours
was called prey. *Lingers*: so was a clean cat that may not enter and stays for all $frames frames. *Waits*: a clean cat
of ours that is neither let in nor refused by then.

| correlation | visits | prey let in | hand or animal let in | refused | lingers, refused | waits |
|---|---|---|---|---|---|---|
$rates

The same for other budgets:

| budgets | correlation | prey let in | refused | waits |
|---|---|---|---|---|
$others

## What no discount can save

Here a share of the variance of the scores lasts all visit long, however much the pictures change: a cat whose fur
the model takes for a tail looks so from every side.

| lasting share | correlation of the rest | prey let in | refused |
|---|---|---|---|
$lasting

A visit in which the model is simply wrong in every frame is lost: it is judged as its opposite. If that happens in a
share q of the visits with prey, a further q of them gets in, whatever the budget; the budgets are for the rest.

## Time to the verdict

Clean cats of ours, frames to admission at p50 / p95 / p99 (ms at ten frames a second). *Fixed rule*: the soonest rule
"n of the last m frames over a threshold", admitting and refusing alike, that on half of $half visits of each kind made
no more errors than the test made there; both are shown on the other half, with their errors (prey let in, refused).

| correlation | sequential test | its errors | fixed rule | frames | its errors |
|---|---|---|---|---|---|
$races

## With the settings of the bundle that ships

`discount_scale` $shipped_scale, `discount_floor` $shipped_floor:

| correlation | prey let in | refused | waits |
|---|---|---|---|
$shipped
""")


def page(found: Sequence[Judged], races: Sequence[Race], shipped: EvidenceSettings, took_s: float) -> str:
    """Return the page."""
    first = found[0].cell
    return _PAGE.substitute(
        machine=_processor(),
        system=platform.system(),
        python=platform.python_version(),
        date=f"{datetime.now(UTC):%Y-%m-%d}",
        visits=sum(entry.cell.visits for entry in found),
        seconds=round(took_s),
        separation=first.law.separation,
        hidden=f"{first.law.hidden:.0%}",
        frames=FRAMES,
        scale=first.settings.discount_scale,
        floor=first.settings.discount_floor,
        let_in=_percent(first.budgets.prey_let_in),
        refuse=_percent(first.budgets.resident_refused),
        rates=_rows(found, "rates", _rate_row),
        others=_rows(found, "others", _other_row),
        lasting=_rows(found, "lasting", _lasting_row),
        half=2 * len(races[0].test),
        races="\n".join(map(_race_row, races)),
        shipped_scale=shipped.discount_scale,
        shipped_floor=shipped.discount_floor,
        shipped=_rows(found, "shipped", _bundle_row),
    )


def _rows(found: Iterable[Judged], table: str, row: Callable[[dict[Kind, Judged]], str]) -> str:
    """Return a table's lines, one for each law and pair of budgets."""
    groups: dict[tuple[object, ...], dict[Kind, Judged]] = {}
    for entry in found:
        cell = entry.cell
        if cell.table != table:
            continue
        key = (cell.budgets.prey_let_in, cell.law.lasting, cell.law.correlation)
        groups.setdefault(key, {})[cell.kind] = entry
    return "\n".join(row(groups[key]) for key in sorted(groups))


def _rate_row(group: dict[Kind, Judged]) -> str:
    clean, prey = group[Kind.CLEAN], group[Kind.PREY]
    visits = f"{clean.cell.visits} + {prey.cell.visits}"
    told = (
        *(_share(prey.admitted), _share(group[Kind.NO_CAT].admitted)),
        *(_share(clean.refused), _share(group[Kind.LINGERS].refused), _waits(clean)),
    )
    return _line(clean.cell.law.correlation, visits, *told)


def _other_row(group: dict[Kind, Judged]) -> str:
    clean, asked = group[Kind.CLEAN], group[Kind.CLEAN].cell.budgets
    budgets = f"{_percent(asked.prey_let_in)}, {_percent(asked.resident_refused)}"
    return _line(budgets, *_two(group), _waits(clean))


def _lasting_row(group: dict[Kind, Judged]) -> str:
    return _line(group[Kind.CLEAN].cell.law.lasting, *_two(group))


def _bundle_row(group: dict[Kind, Judged]) -> str:
    return _line(*_two(group), _waits(group[Kind.CLEAN]))


def _two(group: dict[Kind, Judged]) -> Iterator[object]:
    yield group[Kind.CLEAN].cell.law.correlation
    yield _share(group[Kind.PREY].admitted)
    yield _share(group[Kind.CLEAN].refused)


def _race_row(race: Race) -> str:
    rule = race.rule
    named = f"{rule.n} of {rule.m} over {rule.threshold}" if rule else "none of those tried"
    test, fixed = race.test_errors, race.rule_errors
    return _line(
        race.correlation,
        _times(race.test),
        f"{_percent(test.prey_let_in)}, {_percent(test.resident_refused)}",
        named,
        _times(race.rule_times) if rule else "",
        f"{_percent(fixed.prey_let_in)}, {_percent(fixed.resident_refused)}" if rule else "",
    )


def _line(*cells: object) -> str:
    return f"| {' | '.join(map(str, cells))} |"


def _share(times: Counts) -> str:
    metric = wilson("", int((times < NEVER).sum()), len(times))
    return f"{100 * metric.value:.2f} ({100 * metric.low:.2f} to {100 * metric.high:.2f})"


def _waits(clean: Judged) -> str:
    waiting = (clean.admitted == NEVER) & (clean.refused == NEVER)
    return f"{100 * waiting.mean():.1f}"


def _percent(share: float) -> str:
    return f"{100 * share:.3g}"


def _times(frames: Counts) -> str:
    """Return percentiles of all visits; one that is over the visit's end is none."""
    points = [float(np.percentile(frames, percent, method="higher")) for percent in PERCENTILES]
    told = [f"{point:.0f} ({(point - 1) * FRAME_NS / 1e6:.0f})" if point < NEVER else "later" for point in points]
    return " / ".join(told)


def _processor() -> str:
    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    return next((line.split(":")[1].strip() for line in lines if "model name" in line), platform.processor())
